#include "stats/totals.hpp"

#include "core/share.hpp"
#include "memory/pool.hpp"
#include "stats/named.hpp"

namespace pgqueue::stats {
namespace {

using namespace memory;

Atomic<uint32> &page_of(StatNo no, Time kind) { return map.statistics[no].times[static_cast<int>(kind)]; }

// Returns the histogram of an entry; nullptr: it has none.
Times *times_of(StatNo no, Time kind) {
    const PageNo p = page_of(no, kind).load();
    return p != 0 ? &page(p)->times : nullptr;
}

void count_pages(StatNo no, int32 n) {
    map.shared->times_pages.fetch_add(n);
    map.namespaces[namespace_of(no)].times_pages.fetch_add(n);
}

// Returns whether the entry's namespace may take a further page: it has at most half of what the others leave.
bool may_take(StatNo no) {
    const int64 used = map.namespaces[namespace_of(no)].times_pages.load();
    return share_room(0, used, int64(most_times_pages()) - map.shared->times_pages.load()) > 0;
}

// Takes a page with an empty histogram; 0: none is to be had.
PageNo take_times(StatNo no) {
    const PageNo p = may_take(no) ? take_page(PageKind::Times) : 0;
    if (p == 0) return 0;
    count_pages(no, 1);
    MemSet(&page(p)->times, 0, sizeof(Times));
    return p;
}

void give_times(StatNo no, PageNo p) {
    give_page(p);
    count_pages(no, -1);
}

void add(Atomic<int64> *to, int64 more) {
    const int64 before = to->fetch_add(more);
    if (before > INT64_MAX - more) to->store(INT64_MAX);
}

void raise(Atomic<int64> *longest, int64 value) {
    for (int64 seen = longest->load(); value > seen && !longest->compare_exchange(&seen, value);) continue;
}

}  // namespace

bool prepare_times(StatNo no, Time kind) {
    Atomic<uint32> &place = page_of(no, kind);
    if (place.load() != 0) return true;
    const PageNo p = take_times(no);
    // Another process may have been faster.
    if (p != 0 && !place.replace(0, p)) give_times(no, p);
    return place.load() != 0;
}

void add_total(StatNo no, Total kind, int64 count) { add(&map.statistics[no].totals[static_cast<int>(kind)], count); }

void add_cost(StatNo no, RunCost kind, int64 amount) { add(&map.statistics[no].costs[static_cast<int>(kind)], amount); }

void add_times(StatNo no, Time kind, int bucket, int64 count, int64 sum, int64 longest) {
    Times *times = times_of(no, kind);
    if (times == nullptr) {
        add(&map.shared->times_lost, count);
        return;
    }
    add(&times->counts[bucket], count);
    add(&times->sum, sum);
    raise(&times->longest, longest);
}

namespace {

void add_saved_times(StatNo no, Time kind, const histogram::Times &saved) {
    const int64 count = histogram::total(saved.counts);
    if (count == 0) return;
    if (!prepare_times(no, kind)) {
        add(&map.shared->times_lost, count);
        return;
    }
    Times *times = times_of(no, kind);
    for (int b = 0; b < histogram::bucket_count; b++)
        if (saved.counts[b] > 0) add(&times->counts[b], saved.counts[b]);
    add(&times->sum, saved.sum);
    raise(&times->longest, saved.longest);
}

}  // namespace

void add_numbers(StatNo no, const Statistics &saved) {
    StatEntry &s = map.statistics[no];
    for (int k = 0; k < total_kinds; k++) add(&s.totals[k], saved.totals[k]);
    for (int k = 0; k < cost_kinds; k++) add(&s.costs[k], saved.costs[k]);
    for (Time kind : {Time::Wait, Time::Run, Time::Whole})
        add_saved_times(no, kind, saved.times[static_cast<int>(kind)]);
}

void add_saved(StatNo no, const Statistics &saved) {
    StatEntry &s = map.statistics[no];
    if (!s.saved.replace(Saved::NotAdded, Saved::BeingAdded)) return;
    add_numbers(no, saved);
    s.since.store(saved.since);
    (void)s.saved.exchange(Saved::Added);
}

void expect_no_saved(StatNo no) { (void)map.statistics[no].saved.replace(Saved::NotAdded, Saved::Added); }

void copy_times(StatNo no, Time kind, histogram::Times *copy) {
    *copy = {};
    const Times *times = times_of(no, kind);
    if (times == nullptr) return;
    for (int b = 0; b < histogram::bucket_count; b++) copy->counts[b] = times->counts[b].load();
    copy->sum = times->sum.load();
    copy->longest = times->longest.load();
}

void copy(StatNo no, Statistics *copy) {
    const StatEntry &s = map.statistics[no];
    for (int k = 0; k < total_kinds; k++) copy->totals[k] = s.totals[k].load();
    for (int k = 0; k < cost_kinds; k++) copy->costs[k] = s.costs[k].load();
    for (Time kind : {Time::Wait, Time::Run, Time::Whole}) copy_times(no, kind, &copy->times[static_cast<int>(kind)]);
    copy->since = s.since.load();
}

void reset(StatNo no, int64 arrived) {
    StatEntry &s = map.statistics[no];
    // What was saved is not to be added any more.
    while (!s.saved.replace(Saved::NotAdded, Saved::Added) && s.saved.load() == Saved::BeingAdded) pg_usleep(100);
    for (Atomic<int64> &total : s.totals) (void)total.exchange(0);
    for (Atomic<int64> &cost : s.costs) (void)cost.exchange(0);
    for (Time kind : {Time::Wait, Time::Run, Time::Whole}) {
        Times *times = times_of(no, kind);
        if (times == nullptr) continue;
        for (Atomic<int64> &count : times->counts) (void)count.exchange(0);
        (void)times->sum.exchange(0);
        (void)times->longest.exchange(0);
    }
    add_total(no, Total::Arrived, arrived);
    s.since.store(GetCurrentTimestamp());
}

void free_times(StatNo no) {
    for (Atomic<uint32> &place : map.statistics[no].times)
        if (const PageNo p = place.exchange(0); p != 0) give_times(no, p);
}

}  // namespace pgqueue::stats
