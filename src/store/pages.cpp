#include "store/pages.hpp"

#include "store/rows.hpp"

namespace pgqueue::store {
namespace {

// Returns whether a line pointer is the start of a row's chain: neither free nor a later version.
bool is_root(Page page, ItemId item) {
    if (!ItemIdIsUsed(item)) return false;
    return !ItemIdIsNormal(item) ||
           !HeapTupleHeaderIsHeapOnly(reinterpret_cast<HeapTupleHeader>(PageGetItem(page, item)));
}

// Points `tuple` at the version at an offset.
void fill_tuple(const PageRows &page, OffsetNumber offset, HeapTupleData *tuple) {
    ItemId item = PageGetItemId(BufferGetPage(page.buffer), offset);
    tuple->t_data = reinterpret_cast<HeapTupleHeader>(PageGetItem(BufferGetPage(page.buffer), item));
    tuple->t_len = ItemIdGetLength(item);
    tuple->t_tableOid = RelationGetRelid(page.rel);
    ItemPointerSet(&tuple->t_self, page.block, offset);
}

}  // namespace

void read_page(Relation rel, int slot, BlockNumber block, Snapshot snapshot, BufferAccessStrategy strategy,
               PageRows *page) {
    page->rel = rel;
    page->slot = slot;
    page->block = block;
    page->count = 0;
    page->placed = 0;
    page->buffer = ReadBufferExtended(rel, MAIN_FORKNUM, block, RBM_NORMAL, strategy);
    LockBuffer(page->buffer, BUFFER_LOCK_SHARE);
    Page p = BufferGetPage(page->buffer);
    OffsetNumber roots[MaxHeapTuplesPerPage];
    if (PageGetMaxOffsetNumber(p) > 0) heap_get_root_tuples(p, roots);
    for (OffsetNumber o = FirstOffsetNumber; o <= PageGetMaxOffsetNumber(p); o++) {
        ItemId item = PageGetItemId(p, o);
        if (is_root(p, item)) page->placed++;
        if (!ItemIdIsNormal(item)) continue;
        HeapTupleData tuple;
        fill_tuple(*page, o, &tuple);
        if (!HeapTupleSatisfiesVisibility(&tuple, snapshot, page->buffer)) continue;
        page->offsets[page->count] = o;
        page->roots[page->count] = roots[o - 1];
        page->count++;
    }
    LockBuffer(page->buffer, BUFFER_LOCK_UNLOCK);
}

void page_row(const PageRows &page, int i, TaskRow *row, uint32 *length) {
    HeapTupleData tuple;
    fill_tuple(page, page.offsets[i], &tuple);
    ItemPointerData root;
    ItemPointerSet(&root, page.block, page.roots[i]);
    read_row(&tuple, page.slot, root, row);
    *length = tuple.t_len;
}

void release_page(PageRows *page) { ReleaseBuffer(page->buffer); }

}  // namespace pgqueue::store
