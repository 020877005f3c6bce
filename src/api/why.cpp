// why(id): what keeps a task from running now. The SQL function checks the rights. This reads the row and shared
// memory.
#include "api/why.hpp"

#include "dispatch/filing.hpp"
#include "dispatch/lease.hpp"
#include "memory/registry.hpp"
#include "memory/roles.hpp"
#include "pg/guards.hpp"
#include "store/queues.hpp"
#include "store/rows_find.hpp"
#include "task/route.hpp"
#include "task/transitions.hpp"

using namespace pgqueue;
using namespace pgqueue::api;
using namespace pgqueue::api::why;

namespace {

constexpr Check checks[] = {add_server, add_waiting, add_places};

// Reads what shared memory knows. A task in another queue's lane is searched where its worker would search it.
void look(Case *c) {
    c->db = c->slot = c->role = -1;
    c->live = false;
    if (!memory::loaded() || RecoveryInProgress()) return;
    c->db = memory::find_database(MyDatabaseId);
    if (c->db < 0) return;
    c->slot = memory::find_queue(c->db, c->queue->id);
    c->live = c->slot >= 0 && memory::state_of(c->db) == memory::DbState::Ready;
    if (!c->live) return;
    if (c->in_server) c->role = memory::find_role(c->db, c->runner);
    // A flood of tasks is left to the scheduler.
    constexpr int most_parts = 4;
    const memory::SlotNo ns = memory::map.queues[c->slot].ns;
    for (int part = 0; part < most_parts && dispatch::drain_some(ns) == dispatch::Filed::Some; part++) {
    }
    c->look = dispatch::inspect_queue(c->slot);
    // Tasks of groups are in no list.
    if (c->row.group == 0 && !is_held_off(*c) && (!c->in_server || c->role >= 0))
        c->position = dispatch::find_position(c->slot, c->role, c->row.priority, c->row.ref.id);
}

void add_finished(const Case &c, Reasons *reasons) {
    bool may_retry = c.row.status != Status::Released;
    reasons->add({"finished",
                  psprintf("The task is %s since %s.", word(c.row.status).data(),
                           pstrdup(timestamptz_to_str(c.row.finished_at))),
                  may_retry ? psprintf("SELECT pgqueue.retry_task(" INT64_FORMAT ");", c.row.ref.id) : nullptr});
}

void add_running(const Case &c, Reasons *reasons) {
    const char *since = pstrdup(timestamptz_to_str(c.row.started_at));
    const char *worker = store::worker_name(c.row);
    const char *message =
        c.in_server ? psprintf("Process %d of the server runs it since %s.", c.row.pid, since)
        : c.row.lease_until == 0
            ? psprintf("Worker \"%s\" holds it since %s until its session ends.", worker ? worker : "", since)
            : psprintf("Worker \"%s\" holds it since %s; its lease ends at %s.", worker ? worker : "", since,
                       timestamptz_to_str(c.row.lease_until));
    reasons->add(
        {"running", message, psprintf("SELECT * FROM pgqueue.worker WHERE task_id = " INT64_FORMAT ";", c.row.ref.id)});
}

// Adds that nothing blocks the task.
void add_ready(const Case &c, Reasons *reasons) {
    bool counted = c.live && c.position.listed == dispatch::Listed::Yes;
    const char *message = "It may start now.";
    if (counted && c.position.ahead == 1)
        message = "It may start; one task runs before it.";
    else if (counted && c.position.ahead > 1)
        message = psprintf("It may start; " INT64_FORMAT " tasks run before it.", c.position.ahead);
    else if (c.live && dispatch::is_popped(c.db, c.row.ref.id))
        message = "A worker has taken it and is about to run it.";
    else if (memory::Lease lease; c.live && dispatch::find_lease(c.row.ref.id, &lease))
        message = "An outside worker has taken it in a transaction that has not committed yet.";
    else if (c.live && c.position.listed == dispatch::Listed::Unknown)
        message = psprintf("It may start; more than " INT64_FORMAT " tasks run before it.", c.position.ahead);
    reasons->add({"ready", message});
}

void find_reasons(const Case &c, Reasons *reasons) {
    if (c.row.status == Status::Retained) return add_running(c, reasons);
    if (!is_waiting(c.row.status)) return add_finished(c, reasons);
    for (Check check : checks) check(c, reasons);
    if (reasons->count == 0) add_ready(c, reasons);
}

void put(ReturnSetInfo *info, int64 id, const char *status, const Reason &r, const int64 *ahead) {
    Datum values[7] = {Int64GetDatum(id),
                       CStringGetTextDatum(status),
                       CStringGetTextDatum(r.word),
                       CStringGetTextDatum(r.message),
                       Datum(0),
                       TimestampTzGetDatum(r.ready_at),
                       Datum(0)};
    bool nulls[7] = {false, false, false, false, r.hint == nullptr, r.ready_at == 0, ahead == nullptr};
    if (r.hint != nullptr) values[4] = CStringGetTextDatum(r.hint);
    if (ahead != nullptr) values[6] = Int64GetDatum(*ahead);
    tuplestore_putvalues(info->setResult, info->setDesc, values, nulls);
}

bool fill(Case *c, int64 id) {
    if (!store::find(id, false, &c->row)) return false;
    c->queue = store::queue_by_id(c->row.queue_id);
    c->ns = c->queue ? store::namespace_by_id(c->queue->ns_id) : nullptr;
    if (c->ns == nullptr) return false;
    c->row.type = store::fetch_type(c->row.ref);
    c->now = GetCurrentTimestamp();
    c->in_server = task::runs_in_server(*c->queue, c->row.flags);
    c->runner = task::runner_of(*c->queue, c->row);
    return true;
}

}  // namespace

// Arguments: id, and the status that the caller has seen, which is all that is known of an archived task.
PGQ_FUNCTION(pgqueue_internal_reasons) {
    InitMaterializedSRF(fcinfo, 0);
    auto *info = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    int64 id = PG_GETARG_INT64(0);
    Case c{};
    if (!fill(&c, id)) {
        const char *status = text_arg(fcinfo, 1);
        put(info, id, status, {"finished", psprintf("The task is %s and in the archive.", status)}, nullptr);
        return Datum(0);
    }
    if (is_waiting(c.row.status)) look(&c);
    Reasons reasons;
    find_reasons(c, &reasons);
    bool counted =
        c.live && (c.position.listed == dispatch::Listed::Yes || c.position.listed == dispatch::Listed::InFile);
    for (int i = 0; i < reasons.count; i++)
        put(info, id, word(c.row.status).data(), reasons.items[i], counted ? &c.position.ahead : nullptr);
    return Datum(0);
}
