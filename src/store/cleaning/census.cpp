// Counts the contents of a segment, and lists its rows by what is to happen to them.
#include "pg/guards.hpp"
#include "store/cleaning/pass.hpp"
#include "store/cleaning/steps.hpp"
#include "store/pages.hpp"
#include "store/relations.hpp"
#include "store/rows.hpp"
#include "store/segments.hpp"

namespace pgqueue::store {
namespace {

constexpr int64 rows_fillfactor = 30;  // of the segments, sql/02_tables.sql

// Appends to a list unless it is full.
void add(RefList *list, const TaskRef &ref) {
    if (list->count == most_refs) return;
    if (list->count == list->room) {
        list->room = list->room == 0 ? 1024 : list->room * 2;
        Size size = static_cast<Size>(list->room) * sizeof(TaskRef);
        list->refs = static_cast<TaskRef *>(list->refs == nullptr ? palloc(size) : repalloc_huge(list->refs, size));
    }
    list->refs[list->count++] = ref;
}

// Counts the rows of a page.
void count_page(Pass *pass, const PageRows &page, Census *census) {
    int kept = 0;
    for (int i = 0; i < page.count; i++) {
        TaskRow row;
        uint32 length;
        page_row(page, i, &row, &length);
        Fate fate = fate_of(*pass, row);
        if (fate == Fate::Drop) {
            add(&census->drop, row.ref);
            continue;
        }
        if (fate == Fate::Archive) {
            add(&census->archive, row.ref);
            continue;
        }
        kept++;
        census->keep_bytes += static_cast<int64>(MAXALIGN(length) + sizeof(ItemIdData));
        add(&census->keep, row.ref);
    }
    census->keep_count += kept;
    census->gone += page.placed > kept ? page.placed - kept : 0;
}

}  // namespace

bool Census::mostly_garbage() const { return keep_bytes * 4 < pages * (BLCKSZ * rows_fillfactor / 100); }

Census take_census(Pass *pass, int slot) {
    Census census{};
    if (!try_lock(segment_oid(slot), AccessShareLock) || !try_lock(outcome_oid(slot), AccessShareLock)) return census;
    census.total_bytes = segment_bytes(slot);
    Relation rel = open_rows(slot, NoLock);
    if (rel == nullptr) return census;
    BufferAccessStrategy strategy = GetAccessStrategy(BAS_BULKREAD);
    BlockNumber end = RelationGetNumberOfBlocks(rel);
    for (BlockNumber block = 0; block < end; block++) {
        CHECK_FOR_INTERRUPTS();
        PageRows page;
        read_page(rel, slot, block, SnapshotSelf, strategy, &page);
        count_page(pass, page, &census);
        release_page(&page);
    }
    FreeAccessStrategy(strategy);
    census.pages = end;
    table_close(rel, NoLock);
    census.done = true;
    return census;
}

}  // namespace pgqueue::store
