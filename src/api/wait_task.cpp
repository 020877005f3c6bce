// CALL wait_for_task: sleeps on a latch until one of the queues has a task for an outside worker; holds no snapshot and no lock.
#include "api/call.hpp"
#include "api/outside.hpp"
#include "api/waiting.hpp"

#include "dispatch/outside.hpp"
#include "dispatch/ready.hpp"

using namespace pgqueue;
using namespace pgqueue::api;

namespace {

enum Arg { a_queues, a_timeout, a_namespace, a_found };

constinit dispatch::TaskWaiter *waiting_as = nullptr;
constinit bool exit_callback_registered = false;

// A waiter's entry must not outlive its process.
void stop_waiting() {
    if (waiting_as != nullptr) dispatch::end_wait(waiting_as);
    waiting_as = nullptr;
}

void at_exit(int, Datum) { stop_waiting(); }

// Sleeps between looks until something is ready or the time is over.
bool wait_until(dispatch::SlotNo ns, std::span<const dispatch::SlotNo> queues, pg::Deadline end) {
    for (;;) {
        stop_waiting();
        waiting_as = dispatch::begin_wait(ns, queues);
        ResetLatch(MyLatch);
        if (dispatch::ready_for_outside(ns, queues)) return true;
        if (pg::has_passed(end)) return false;
        sleep_outside_transaction(end, waiting_as != nullptr, "PgqueueTask");
    }
}

}  // namespace

PGQ_FUNCTION(pgqueue_wait_for_task) {
    check_call("wait_for_task", true);
    check_may_wait(fcinfo, "wait_for_task");
    const store::NamespaceInfo &ns = find_namespace(text_arg(fcinfo, a_namespace));
    require(ns, store::priv_work);
    int64 micros = wait_time(fcinfo, a_timeout);
    dispatch::SlotNo slot = namespace_slot(ns);
    std::span<const dispatch::SlotNo> named = queue_slots(ns, PG_ARGISNULL(a_queues) ? nullptr : PG_GETARG_ARRAYTYPE_P(a_queues));
    // What is used after a commit must live longer than the transaction.
    MemoryContext keep = AllocSetContextCreate(PortalContext ? PortalContext : TopMemoryContext, "pgqueue wait", ALLOCSET_SMALL_SIZES);
    auto *copy = static_cast<dispatch::SlotNo *>(MemoryContextAlloc(keep, sizeof(dispatch::SlotNo) * (named.size() + 1)));
    for (std::size_t i = 0; i < named.size(); i++) copy[i] = named[i];
    std::span<const dispatch::SlotNo> queues{copy, named.size()};
    if (!exit_callback_registered) {
        before_shmem_exit(at_exit, Datum(0));
        exit_callback_registered = true;
    }
    bool found = false;
    pg::with_cleanup(
        [&] {
            SPI_connect_ext(SPI_OPT_NONATOMIC);
            found = wait_until(slot, queues, pg::deadline_in(micros));
            SPI_finish();
        },
        [] { stop_waiting(); });
    TupleDesc desc;
    if (get_call_result_type(fcinfo, nullptr, &desc) != TYPEFUNC_COMPOSITE) ereport(ERROR, errcode(ERRCODE_DATATYPE_MISMATCH), errmsg("wait_for_task returns a row"));
    Datum value = BoolGetDatum(found);
    bool isnull = false;
    return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), &value, &isnull));
}
