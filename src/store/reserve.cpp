#include "store/reserve.hpp"

namespace pgqueue::store {
namespace {

// A page of zeros, aligned for direct I/O.
alignas(4096) constinit char zeros[BLCKSZ] = {};

// Makes the file system reserve blocks for the new pages, so that a full disk is an error now and not at write-back.
// Returns false if that is not possible here.
bool allocate(Relation rel, BlockNumber from, int count) {
#ifdef FALLOC_FL_KEEP_SIZE
    if (from / RELSEG_SIZE != (from + static_cast<BlockNumber>(count) - 1) / RELSEG_SIZE || from % RELSEG_SIZE == 0)
        return false;
    char *base = pg::relation_path(rel);
    char *path = from < RELSEG_SIZE ? base : psprintf("%s.%u", base, from / RELSEG_SIZE);
    int fd = OpenTransientFile(path, O_RDWR | PG_BINARY);
    if (fd < 0) return false;
    off_t start = static_cast<off_t>(from % RELSEG_SIZE) * BLCKSZ;
    int rc = fallocate(fd, FALLOC_FL_KEEP_SIZE, start, static_cast<off_t>(count) * BLCKSZ);
    CloseTransientFile(fd);
    pfree(base);
    return rc == 0;
#else
    (void)rel, (void)from, (void)count;
    return false;
#endif
}

}  // namespace

// Servers before 16 add pages one by one with a write each, which costs as much as the rest of an insert. Here the file
// system allocates the pages, and only the last one is written. Those before it read as zeros. Their buffers are
// created first, so that no process can have put rows there. Pages left unused by an error are empty pages.
void reserve_pages(Relation rel, int count, Reserved *reserved) {
    reserved->count = reserved->next = 0;
    LockRelationForExtension(rel, ExclusiveLock);
    BlockNumber end = RelationGetNumberOfBlocks(rel);
    if (!allocate(rel, end, count)) count = 0;
    for (; reserved->count < count; reserved->count++) {
        Buffer buffer = ReadBufferExtended(rel, MAIN_FORKNUM, end + static_cast<BlockNumber>(reserved->count),
                                           RBM_ZERO_AND_LOCK, nullptr);
        LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
        reserved->buffers[reserved->count] = buffer;
    }
    if (count > 0)
        smgrextend(RelationGetSmgr(rel), MAIN_FORKNUM, end + static_cast<BlockNumber>(count) - 1, zeros, false);
    UnlockRelationForExtension(rel, ExclusiveLock);
}

Buffer take_page(Reserved *reserved) {
    return reserved->next < reserved->count ? reserved->buffers[reserved->next++] : InvalidBuffer;
}

void release_pages(Reserved *reserved) {
    for (Buffer b = take_page(reserved); b != InvalidBuffer; b = take_page(reserved)) ReleaseBuffer(b);
}

}  // namespace pgqueue::store
