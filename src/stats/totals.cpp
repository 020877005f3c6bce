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

void add(Atomic<int64> *to, int64 more) {
    const int64 before = to->fetch_add(more);
    if (before > INT64_MAX - more) to->store(INT64_MAX);
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
    add(&map.statistics[queue].totals[static_cast<int>(kind)], count);
}

void add_cost(SlotNo queue, RunCost kind, int64 amount) {
    add(&map.statistics[queue].costs[static_cast<int>(kind)], amount);
}

void add_times(SlotNo queue, Time kind, int bucket, int64 count, int64 sum, int64 longest) {
    Times *times = times_of(queue, kind);
    if (times == nullptr) {
        add(&map.shared->times_lost, count);
        return;
    }
    add(&times->counts[bucket], count);
    add(&times->sum, sum);
    raise(&times->longest, longest);
}

namespace {

void add_saved_times(SlotNo queue, Time kind, const histogram::Times &saved) {
    const int64 count = histogram::total(saved.counts);
    if (count == 0) return;
    if (!prepare_times(queue, kind)) {
        add(&map.shared->times_lost, count);
        return;
    }
    Times *times = times_of(queue, kind);
    for (int b = 0; b < histogram::bucket_count; b++)
        if (saved.counts[b] > 0) add(&times->counts[b], saved.counts[b]);
    add(&times->sum, saved.sum);
    raise(&times->longest, saved.longest);
}

}  // namespace

void add_saved(SlotNo queue, const Statistics &saved) {
    QueueStatistics &s = map.statistics[queue];
    if (!s.saved.replace(Saved::NotAdded, Saved::BeingAdded)) return;
    for (int k = 0; k < total_kinds; k++) add(&s.totals[k], saved.totals[k]);
    for (int k = 0; k < cost_kinds; k++) add(&s.costs[k], saved.costs[k]);
    for (Time kind : {Time::Wait, Time::Run, Time::Whole})
        add_saved_times(queue, kind, saved.times[static_cast<int>(kind)]);
    s.since.store(saved.since);
    (void)s.saved.exchange(Saved::Added);
}

void expect_no_saved(SlotNo queue) { (void)map.statistics[queue].saved.replace(Saved::NotAdded, Saved::Added); }

void copy_times(SlotNo queue, Time kind, histogram::Times *copy) {
    *copy = {};
    const Times *times = times_of(queue, kind);
    if (times == nullptr) return;
    for (int b = 0; b < histogram::bucket_count; b++) copy->counts[b] = times->counts[b].load();
    copy->sum = times->sum.load();
    copy->longest = times->longest.load();
}

void copy(SlotNo queue, Statistics *copy) {
    const QueueStatistics &s = map.statistics[queue];
    for (int k = 0; k < total_kinds; k++) copy->totals[k] = s.totals[k].load();
    for (int k = 0; k < cost_kinds; k++) copy->costs[k] = s.costs[k].load();
    for (Time kind : {Time::Wait, Time::Run, Time::Whole})
        copy_times(queue, kind, &copy->times[static_cast<int>(kind)]);
    copy->since = s.since.load();
}

void free_times(SlotNo queue) {
    for (Atomic<uint32> &place : map.statistics[queue].times)
        if (const PageNo no = place.exchange(0); no != 0) give_times(queue, no);
}

}  // namespace pgqueue::stats
