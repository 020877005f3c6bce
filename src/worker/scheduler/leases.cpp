// Ends leases of outside workers.
#include "worker/scheduler/scheduler.hpp"

#include "config/server_settings.hpp"
#include "dispatch/ended_leases.hpp"
#include "dispatch/lease.hpp"
#include "dispatch/pop.hpp"
#include "memory/wake.hpp"
#include "pg/testpoint.hpp"
#include "signal/running_file.hpp"
#include "store/catalog.hpp"
#include "store/queues.hpp"
#include "task/end_lease.hpp"

namespace pgqueue::worker::scheduler {
namespace {

using memory::map;

constexpr int most = 2048, at_once = 256;
constexpr int64 longest_in_turn = 20 * 1000;
// How long a row that another transaction holds is left alone: a commit or a rollback reports the change in a moment,
// other transactions take some time.
constexpr int64 recheck_after = 20 * 1000, recheck_late_after = 1000 * 1000;
constinit int64 patience = recheck_after;

// Sorts by the end of the lease: what ends first is first in line again. Entries with something owed come before, in
// reverse order, because each of them is put in front of the others.
int by_end(const void *a, const void *b) {
    const auto &x = *static_cast<const memory::Lease *>(a);
    const auto &y = *static_cast<const memory::Lease *>(b);
    bool x_owed = x.owed != memory::Owed::Nothing, y_owed = y.owed != memory::Owed::Nothing;
    if (x_owed != y_owed) return x_owed ? -1 : 1;
    bool before = x.time.ends != y.time.ends ? x.time.ends < y.time.ends : x.id < y.id;
    return before != x_owed ? -1 : 1;
}

// Completes the end of a lease after its commit. Returns false if another transaction holds its row.
bool follow_end(const memory::Lease &ended, const task::LeaseEnd &end) {
    task::return_to_front(end.place);
    bool charged = end.looked && (ended.owed == memory::Owed::Crash || ended.owed == memory::Owed::Charge);
    if (charged) signal::forget_executed(MyDatabaseId, ended.id);
    return end.looked;
}

// Ends some leases in one transaction, until the time is over: the end of a task may make others. If that fails, ends
// each alone, as one may be the reason. *done is increased by those that were tried. Returns false if one of them is
// left.
bool end_some(std::span<const memory::Lease> ended, const pg::Moment &now, std::size_t *done, int *failures) {
    PGQUEUE_TESTPOINT("scheduler-ends-leases");
    const pg::Deadline until = pg::deadline_in(longest_in_turn);
    auto n = static_cast<int>(ended.size());
    auto *ends =
        static_cast<task::LeaseEnd *>(MemoryContextAllocZero(self.scratch, sizeof(task::LeaseEnd) * ended.size()));
    auto *left = static_cast<bool *>(MemoryContextAllocZero(self.scratch, ended.size()));
    auto end = [&](int i) { ends[i] = task::end_lease(ended[static_cast<std::size_t>(i)], now); };
    int tried = 0;
    const bool together = transact("end leases", [&] {
        for (tried = 0; tried < n && (tried == 0 || !pg::has_passed(until)); tried++) end(tried);
        PGQUEUE_TESTPOINT("scheduler-recovering");
    });
    if (!together) tried = Min(tried + 1, n);
    if (!together && tried == 1) {
        left[0] = true;
        ++*failures;
    } else if (!together) {
        *failures += transact_one_by_one("end leases", tried, end, [&](int i) { left[i] = true; });
    }
    *done += static_cast<std::size_t>(tried);
    bool all = true;
    for (int i = 0; i < tried; i++) all = !left[i] && follow_end(ended[static_cast<std::size_t>(i)], ends[i]) && all;
    return all;
}

}  // namespace

pg::Deadline end_leases(const pg::Moment &now) {
    // A pass over all leases ends those that were over when it read them. Each turn does a part of it, so that other
    // duties do not wait for the whole.
    static constinit memory::Lease *ended = nullptr;
    static constinit std::size_t count = 0, done = 0;
    static constinit SlotNo from = 0;  // 0: no pass is under way
    static constinit bool all = true;  // none had to be left
    if (ended == nullptr)
        ended = static_cast<memory::Lease *>(MemoryContextAlloc(self.lasting, sizeof(memory::Lease) * most));
    if (done == count) {
        if (pg::Deadline next = dispatch::next_lease_end(self.db, now); from == 0 && !next.passed(now)) return next;
        count = static_cast<std::size_t>(dispatch::collect_ended(self.db, now, &from, ended, most));
        done = 0;
        qsort(ended, count, sizeof(memory::Lease), by_end);
    }
    // If so many fail, a single one is not the reason. The others are left for later.
    constexpr int most_failures = 16;
    int failures = 0;
    const pg::Deadline until = pg::deadline_in(longest_in_turn);
    while (done < count && failures < most_failures && !pg::has_passed(until)) {
        const std::size_t n = Min(count - done, std::size_t(at_once));
        all = end_some({ended + done, n}, now, &done, &failures) && all;
    }
    if (failures < most_failures && (done < count || from > 0)) return now.in(0);
    count = done = 0;
    from = 0;
    // Another transaction holds the row, and may release or extend the lease.
    if (!all) dispatch::lower_lease_bound(self.db, now.monotonic + patience);
    patience = all ? recheck_after : Min(patience * 2, recheck_late_after);
    all = true;
    return dispatch::next_lease_end(self.db, now);
}

}  // namespace pgqueue::worker::scheduler
