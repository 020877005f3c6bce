// Notifies listeners of queues while other sessions with NOTIFY make that wait: the server lets one transaction with
// NOTIFY commit at a time. The scheduler starts this process when it has waited in vain. Nobody depends on this
// process, so it keeps its place among those that wait. It leaves when it has not waited for a while.
#include "worker/processes.hpp"

#include "config/server_settings.hpp"
#include "memory/wake.hpp"
#include "pg/failure_log.hpp"
#include "pg/limited.hpp"
#include "worker/news.hpp"

namespace pgqueue::worker {
namespace {

constinit SlotNo my_db = -1;
constinit News news{};

void at_exit(int, Datum) {
    if (my_db < 0) return;
    AbortOutOfAnyTransaction();
    if (news.count > 0) give_back_news(my_db, &news);
    memory::database(my_db).notifier.replace(MyProcPid, 0);
    if (has_news(my_db)) memory::wake_scheduler(my_db);
}

// Returns whether it was sent.
bool send() {
    constexpr int64 longest_wait = 60 * int64(USECS_PER_SEC);
    pg::Outcome out = pg::run_limited([] { send_news(my_db, &news); }, CurrentMemoryContext, longest_wait);
    if (out.ok)
        news.count = 0;
    else
        give_back_news(my_db, &news);
    if (!out.ok) pg::log_refusal("pgqueue notifier could not notify listeners", out.error);
    return out.ok;
}

void send_until_quiet() {
    constexpr int64 stay = 10 * int64(USECS_PER_SEC), long_wait = 10 * 1000;
    constexpr long least_rest_ms = 10, rest_after_failure_ms = 1000;
    pg::Deadline leave = pg::this_moment().in(stay);
    MemoryContext scratch = AllocSetContextCreate(TopMemoryContext, "pgqueue notifier", ALLOCSET_SMALL_SIZES);
    MemoryContextSwitchTo(scratch);
    for (pg::Moment now = pg::this_moment(); !leave.passed(now); now = pg::this_moment()) {
        CHECK_FOR_INTERRUPTS();
        reload_if_asked();
        const bool sent = !has_news(my_db) || send();
        const pg::Moment then = pg::this_moment();
        if (!sent || then.monotonic - now.monotonic > long_wait) leave = then.in(stay);
        MemoryContextReset(scratch);
        const long rest_ms = sent ? Max(long{config::notify_interval}, least_rest_ms) : rest_after_failure_ms;
        (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, Min(rest_ms, long{stay / 1000}),
                        pg::wait_event("PgqueueNotifier"));
        ResetLatch(MyLatch);
    }
}

// Returns false if a session needs the database alone: such a session only waits for a process whose pid it has seen.
bool begin(SlotNo db) {
    memory::Database &d = memory::database(db);
    if (!d.used || !d.notifier.replace(0, MyProcPid)) return false;
    my_db = db;
    pg_memory_barrier();
    return d.service.blocked_by.load() == 0;
}

}  // namespace
}  // namespace pgqueue::worker

// Entry of the notifier. The argument is the number of its database's entry.
extern "C" PGDLLEXPORT void pgqueue_notifier_main(Datum arg);

void pgqueue_notifier_main(Datum arg) {
    using namespace pgqueue;
    using namespace pgqueue::worker;
    begin_process(at_exit, Datum(0));
    if (!begin(DatumGetInt32(arg))) proc_exit(0);
    BackgroundWorkerInitializeConnectionByOid(memory::database(my_db).oid, InvalidOid, 0);
    set_up_session("pgqueue notifier");
    news = room_for_news(TopMemoryContext);
    send_until_quiet();
    proc_exit(0);
}
