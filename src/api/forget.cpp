// For tests of worker/scheduler/reconcile.cpp: makes shared memory forget something, which no other code does.
#include "api/call.hpp"

#ifdef PGQUEUE_TESTPOINTS

#include "dispatch/lanes.hpp"
#include "dispatch/lease.hpp"
#include "dispatch/limits.hpp"
#include "dispatch/pop.hpp"
#include "dispatch/recount.hpp"
#include "dispatch/reserved_leases.hpp"
#include "dispatch/session_leases.hpp"
#include "store/queues.hpp"
#include "task/transitions.hpp"

using namespace pgqueue;
using namespace pgqueue::api;

namespace {

memory::SlotNo queue_arg(FunctionCallInfo fcinfo) {
    const store::NamespaceInfo *ns = store::namespace_by_name("default");
    return task::ensure_entry(*store::queue_by_name(ns->id, text_arg(fcinfo, 0)));
}

}  // namespace

// pgqueue_test_forget_hints(queue text): forgets ready tasks for outside workers. Returns how many. A test declares it.
PGQ_FUNCTION(pgqueue_test_forget_hints) {
    memory::SlotNo queue = queue_arg(fcinfo);
    int32 n = 0;
    for (int popped = 1; popped > 0; n += popped) {
        std::span<const memory::SlotNo> entries = dispatch::reserve_leases(1);
        popped = dispatch::pop_for_outside(memory::map.queues[queue].ns, {&queue, 1}, entries);
        if (popped > 0) dispatch::drop_popped(entries[0]);
        dispatch::return_unheld();
    }
    PG_RETURN_INT32(n);
}

// pgqueue_test_leave_popped(queue text): pops a ready task for outside workers, which is lost when this session ends.
PGQ_FUNCTION(pgqueue_test_leave_popped) {
    memory::SlotNo queue = queue_arg(fcinfo);
    (void)dispatch::pop_for_outside(memory::map.queues[queue].ns, {&queue, 1}, dispatch::reserve_leases(1));
    dispatch::leave_unheld();
    PG_RETURN_VOID();
}

// pgqueue_test_forget_lease(id bigint, receipt bigint): forgets a lease. Returns whether there was one.
PGQ_FUNCTION(pgqueue_test_forget_lease) {
    PG_RETURN_BOOL(dispatch::drop_lease(PG_GETARG_INT64(0), PG_GETARG_INT64(1)));
}

// pgqueue_test_miscount(queue text): sets the counts of the lists for its outside workers to zero.
PGQ_FUNCTION(pgqueue_test_miscount) {
    dispatch::miscount(dispatch::outside_lane(queue_arg(fcinfo)));
    PG_RETURN_VOID();
}

// pgqueue_test_take_place(queue text): takes a place for no task.
PGQ_FUNCTION(pgqueue_test_take_place) {
    dispatch::take_places(queue_arg(fcinfo));
    PG_RETURN_VOID();
}

// pgqueue_test_other_session(): makes this process another session, with the same process number as before.
PGQ_FUNCTION(pgqueue_test_other_session) {
    (void)fcinfo;
    dispatch::become_other_session();
    PG_RETURN_VOID();
}

#endif
