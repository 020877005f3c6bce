#include "store/reserve.hpp"

namespace pgqueue::store {
namespace {

// A page of zeros, aligned for direct I/O.
alignas(4096) constinit char zeros[BLCKSZ] = {};

}  // namespace

// Servers before 16 add pages one by one with a write each. Here the last page is written and those before it are a hole of the file, which reads as
// zeros; their buffers are made first, so that nobody can find them otherwise. Pages left unused by an error are empty pages.
void reserve_pages(Relation rel, int count, Reserved *reserved) {
    reserved->count = reserved->next = 0;
    LockRelationForExtension(rel, ExclusiveLock);
    BlockNumber end = RelationGetNumberOfBlocks(rel);
    for (; reserved->count < count; reserved->count++) {
        Buffer buffer = ReadBufferExtended(rel, MAIN_FORKNUM, end + static_cast<BlockNumber>(reserved->count), RBM_ZERO_AND_LOCK, nullptr);
        LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
        reserved->buffers[reserved->count] = buffer;
    }
    if (count > 0) smgrextend(RelationGetSmgr(rel), MAIN_FORKNUM, end + static_cast<BlockNumber>(count) - 1, zeros, false);
    UnlockRelationForExtension(rel, ExclusiveLock);
}

Buffer take_page(Reserved *reserved) { return reserved->next < reserved->count ? reserved->buffers[reserved->next++] : InvalidBuffer; }

void release_pages(Reserved *reserved) {
    for (Buffer b = take_page(reserved); b != InvalidBuffer; b = take_page(reserved)) ReleaseBuffer(b);
}

}  // namespace pgqueue::store
