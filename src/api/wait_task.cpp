// CALL wait_for_task: sleeps on a latch until one of the queues has a task for an outside worker. It holds no snapshot
// and no lock while it waits.
#include "api/call.hpp"
#include "api/outside.hpp"
#include "api/waiting.hpp"

#include "dispatch/pop.hpp"
#include "dispatch/waiters.hpp"
#include "pg/guards.hpp"

using namespace pgqueue;
using namespace pgqueue::api;

namespace {

enum Arg { a_queues, a_timeout, a_namespace, a_found };

constinit memory::TaskWaiter *waiting_as = nullptr;
constinit bool exit_callback_registered = false;

// Frees the entry of a waiter, which must not outlive its process.
void stop_waiting() {
    if (waiting_as != nullptr) dispatch::end_wait(waiting_as);
    waiting_as = nullptr;
}

void at_exit(int, Datum) { stop_waiting(); }

// What the caller waits for. It has names, because numbers of entries are valid only until the transaction ends.
struct Wanted {
    int32 ns_id;
    ArrayType *queues;  // nullptr any
};

// Registers as a waiter, then checks whether something is ready.
bool look_and_register(const Wanted &wanted) {
    pg::MemoryScope scope(TopTransactionContext);
    see_revocations();
    const store::NamespaceInfo &ns = store::namespace_there(wanted.ns_id);
    require(ns, store::priv_work);
    memory::SlotNo slot = namespace_slot(ns);
    std::span<const memory::SlotNo> queues = queue_slots(store::namespace_there(wanted.ns_id), wanted.queues);
    waiting_as = dispatch::begin_wait(slot, queues);
    ResetLatch(MyLatch);
    return dispatch::ready_for_outside(slot, queues);
}

// Sleeps between checks until something is ready or the time has passed.
bool wait_until(const Wanted &wanted, pg::Deadline end) {
    for (;;) {
        stop_waiting();
        if (look_and_register(wanted)) return true;
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
    Wanted wanted{ns.id, nullptr};
    // Data used after a commit must outlive the transaction.
    if (!PG_ARGISNULL(a_queues)) {
        pg::MemoryScope scope(PortalContext ? PortalContext : TopMemoryContext);
        wanted.queues = PG_GETARG_ARRAYTYPE_P_COPY(a_queues);
    }
    if (!exit_callback_registered) {
        before_shmem_exit(at_exit, Datum(0));
        exit_callback_registered = true;
    }
    bool found = false;
    pg::with_cleanup(
        [&] {
            SPI_connect_ext(SPI_OPT_NONATOMIC);
            found = wait_until(wanted, pg::deadline_in(micros));
            SPI_finish();
        },
        [] { stop_waiting(); });
    TupleDesc desc;
    if (get_call_result_type(fcinfo, nullptr, &desc) != TYPEFUNC_COMPOSITE)
        ereport(ERROR, errcode(ERRCODE_DATATYPE_MISMATCH), errmsg("wait_for_task returns a row"));
    Datum value = BoolGetDatum(found);
    bool isnull = false;
    return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), &value, &isnull));
}
