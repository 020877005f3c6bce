// Reads all rows to rebuild shared memory.
#include "store/scan.hpp"

#include "pg/guards.hpp"
#include "store/pages.hpp"
#include "store/relations.hpp"
#include "store/ring.hpp"
#include "store/rows.hpp"
#include "store/segments.hpp"

namespace pgqueue::store {
namespace {

struct Scan {
    Snapshot snapshot;
    ScanCallback callback;
    void (*between_pages)(void *);
    void *arg;
};

// Hands out the rows of one page. false stops the scan.
bool scan_page(const Scan &scan, Relation rel, int slot, BlockNumber block) {
    PageRows page;
    read_page(rel, slot, block, scan.snapshot, nullptr, &page);
    bool go_on = true;
    for (int i = 0; i < page.count && go_on; i++) {
        TaskRow row;
        uint32 length;
        page_row(page, i, &row, &length);
        go_on = scan.callback(scan.arg, row);
    }
    release_page(&page);
    if (scan.between_pages != nullptr) scan.between_pages(scan.arg);
    return go_on;
}

// Reads one segment. false stops the scan.
bool scan_segment(const Scan &scan, int slot) {
    Relation rel = open_rows(slot, AccessShareLock);
    if (rel == nullptr) return true;
    bool go_on = true;
    // Rows beyond the present end cannot be visible to a snapshot taken before.
    BlockNumber end = RelationGetNumberOfBlocks(rel);
    for (BlockNumber block = 0; block < end && go_on; block++) {
        CHECK_FOR_INTERRUPTS();
        go_on = scan_page(scan, rel, slot, block);
    }
    table_close(rel, NoLock);
    return go_on;
}

// Orders the slots by the time when they were filled, the old generation first.
void order_slots(const Ring &ring, int *order) {
    for (int s = 0; s < segment_count; s++) order[s] = (s + ring_segments) % segment_count;
    auto before = [&](int a, int b) {
        return is_old(a) == is_old(b) && ring.slots[a].generation < ring.slots[b].generation;
    };
    for (int i = 1; i < segment_count; i++)
        for (int j = i; j > 0 && before(order[j], order[j - 1]); j--) std::swap(order[j], order[j - 1]);
}

}  // namespace

bool scan_part(Snapshot snapshot, ScanPlace *place, int blocks, ScanCallback callback, void *arg) {
    const Scan part{snapshot, callback, nullptr, arg};
    for (; place->slot < segment_count; *place = {place->slot + 1, 0}) {
        Relation rel = open_rows(place->slot, AccessShareLock);
        if (rel == nullptr) continue;
        BlockNumber end = RelationGetNumberOfBlocks(rel);
        for (; place->block < end && blocks > 0; place->block++, blocks--) {
            CHECK_FOR_INTERRUPTS();
            (void)scan_page(part, rel, place->slot, place->block);
        }
        bool more = place->block < end;
        table_close(rel, NoLock);
        if (more) return false;
    }
    return true;
}

void scan(Snapshot snapshot, ScanCallback callback, void (*between_pages)(void *), void *arg) {
    Scan all{snapshot, callback, between_pages, arg};
    int order[segment_count];
    order_slots(read_ring(), order);
    for (int slot : order)
        if (!scan_segment(all, slot)) return;
}

}  // namespace pgqueue::store
