#include "api/waiting.hpp"

#include "api/call.hpp"

namespace pgqueue::api {

// If the client ends, the session ends as it does where the server checks for that. Processes such as a worker, whose
// task waits, have no client.
void sleep_with_client(long ms, const char *what) {
    uint32 wait_event = pg::wait_event(what);
    if (FeBeWaitSet == nullptr || !WaitEventSetCanReportClosed()) {
        (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, ms, wait_event);
        return;
    }
    // Every waiter on the client's socket first sets the events that it waits for.
    ModifyWaitEvent(FeBeWaitSet, FeBeWaitSetSocketPos, WL_SOCKET_CLOSED, nullptr);
    WaitEvent event;
    if (WaitEventSetWait(FeBeWaitSet, ms, &event, 1, wait_event) == 0) return;
    if ((event.events & WL_POSTMASTER_DEATH) != 0)
        ereport(FATAL, errcode(ERRCODE_ADMIN_SHUTDOWN),
                errmsg("terminating connection due to unexpected postmaster exit"));
    if ((event.events & WL_SOCKET_CLOSED) != 0) {
        ClientConnectionLost = 1;
        InterruptPending = 1;
    }
}

void check_may_wait(FunctionCallInfo fcinfo, const char *procedure) {
    bool atomic = fcinfo->context == nullptr || !IsA(fcinfo->context, CallContext) ||
                  reinterpret_cast<CallContext *>(fcinfo->context)->atomic;
    if (atomic || IsTransactionBlock())
        ereport(ERROR, errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
                errmsg("%s cannot wait inside a transaction block or a function", procedure),
                errdetail("It would hold a snapshot while it waits."),
                errhint("Commit first and call it by itself, or use LISTEN."));
    if (IsolationUsesXactSnapshot())
        ereport(ERROR, errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
                errmsg("%s cannot wait in a transaction with isolation level REPEATABLE READ or above", procedure));
}

int64 wait_time(FunctionCallInfo fcinfo, int arg) {
    return interval_arg(fcinfo, arg, "timeout", int64(60) * USECS_PER_SEC);
}

void sleep_outside_transaction(pg::Deadline end, bool registered, const char *event) {
    constexpr long longest_ms = 3600L * 1000, unregistered_ms = 100;
    SPI_commit();
    sleep_with_client(Min(pg::ms_until(end) + 1, registered ? longest_ms : unregistered_ms), event);
    CHECK_FOR_INTERRUPTS();
}

}  // namespace pgqueue::api
