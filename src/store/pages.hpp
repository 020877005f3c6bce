// Reads a segment page by page. The visibility of a page's rows is decided under one buffer lock. Inside store/ only.
#pragma once
#include "store/layout.hpp"
#include "store/rows.hpp"

namespace pgqueue::store {

// The visible rows of one page, which stays pinned until release_page().
struct PageRows {
    Relation rel;
    int slot;
    BlockNumber block;
    Buffer buffer;
    int count;
    OffsetNumber offsets[MaxHeapTuplesPerPage];
    OffsetNumber roots[MaxHeapTuplesPerPage];  // by position in offsets
    int placed;                                // rows that were ever put here, as far as their line pointers remain
};

// Reads the rows of a page that are visible to the snapshot, and pins the page. strategy may be nullptr.
void read_page(Relation rel, int slot, BlockNumber block, Snapshot snapshot, BufferAccessStrategy strategy,
               PageRows *page);
// Reads the i-th visible row, without its body, and its length in bytes.
void page_row(const PageRows &page, int i, TaskRow *row, uint32 *length);
void release_page(PageRows *page);

}  // namespace pgqueue::store
