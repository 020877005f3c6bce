#include "stats/totals.hpp"

#include "memory/pool.hpp"

namespace pgqueue::stats {
namespace {

using namespace memory;

Atomic<uint32> &page_of(SlotNo queue, Time kind) { return map.statistics[queue].times[static_cast<int>(kind)]; }

// Returns the histogram of a queue; nullptr: it has none.
Times *times_of(SlotNo queue, Time kind) {
    const PageNo no = page_of(queue, kind).load();
    return no != 0 ? &page(no)->times : nullptr;
}

void count_pages(SlotNo queue, int32 n) {
    map.shared->times_pages.fetch_add(n);
    map.namespaces[map.queues[queue].ns].times_pages.fetch_add(n);
}

// Returns whether the namespace of a queue may take a further page: it has at most half of what the others leave.
bool may_take(SlotNo queue) {
    const int64 used = map.namespaces[map.queues[queue].ns].times_pages.load();
    return share_room(0, used, int64(most_times_pages()) - map.shared->times_pages.load()) > 0;
}

// Takes a page with an empty histogram; 0: none is to be had.
PageNo take_times(SlotNo queue) {
    const PageNo no = may_take(queue) ? take_page(PageKind::Times) : 0;
    if (no == 0) return 0;
    count_pages(queue, 1);
    MemSet(&page(no)->times, 0, sizeof(Times));
    return no;
}

void give_times(SlotNo queue, PageNo no) {
    give_page(no);
    count_pages(queue, -1);
}

void raise(Atomic<int64> *longest, int64 value) {
    for (int64 seen = longest->load(); value > seen && !longest->compare_exchange(&seen, value);) continue;
}

}  // namespace

bool prepare_times(SlotNo queue, Time kind) {
    Atomic<uint32> &place = page_of(queue, kind);
    if (place.load() != 0) return true;
    const PageNo no = take_times(queue);
    // Another process may have been faster.
    if (no != 0 && !place.replace(0, no)) give_times(queue, no);
    return place.load() != 0;
}

void add_total(SlotNo queue, Total kind, int64 count) {
    map.statistics[queue].totals[static_cast<int>(kind)].fetch_add(count);
}

void add_cost(SlotNo queue, RunCost kind, int64 amount) {
    map.statistics[queue].costs[static_cast<int>(kind)].fetch_add(amount);
}

void add_times(SlotNo queue, Time kind, int bucket, int64 count, int64 sum, int64 longest) {
    Times *times = times_of(queue, kind);
    if (times == nullptr) {
        map.shared->times_lost.fetch_add(count);
        return;
    }
    times->counts[bucket].fetch_add(count);
    times->sum.fetch_add(sum);
    raise(&times->longest, longest);
}

void copy_times(SlotNo queue, Time kind, TimesCopy *copy) {
    const Times *times = times_of(queue, kind);
    for (int b = 0; b < histogram::bucket_count; b++) copy->counts[b] = times != nullptr ? times->counts[b].load() : 0;
    copy->sum = times != nullptr ? times->sum.load() : 0;
    copy->longest = times != nullptr ? times->longest.load() : 0;
}

double TimesCopy::quantile(double q) const {
    const double us = histogram::quantile(counts, q, longest);
    return us < 0 ? -1 : us / USECS_PER_SEC;
}

void free_times(SlotNo queue) {
    for (Atomic<uint32> &place : map.statistics[queue].times)
        if (const PageNo no = place.exchange(0); no != 0) give_times(queue, no);
}

}  // namespace pgqueue::stats
