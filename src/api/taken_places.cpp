// Places that are taken in shared memory: limits, leases, holds of workers. For the invariants of the tests
// (tests/lib/invariants.sql).
#include "api/call.hpp"

#include "dispatch/lease.hpp"
#include "dispatch/limits.hpp"
#include "handover/edges.hpp"
#include "memory/registry.hpp"
#include "pg/guards.hpp"

using namespace pgqueue;
using namespace pgqueue::api;

namespace {

// A row of places(). The kind decides which columns have a value.
struct Place {
    const char *kind;
    int32 id;  // of the namespace, queue or role
    int64 task, receipt;
    int32 pid;
    int64 taken;
};

void put(ReturnSetInfo *info, const Place &p) {
    bool held = p.task != 0;
    Datum values[6] = {CStringGetTextDatum(p.kind), Int32GetDatum(p.id),  Int64GetDatum(p.task),
                       Int64GetDatum(p.receipt),    Int32GetDatum(p.pid), Int64GetDatum(p.taken)};
    bool nulls[6] = {false, false, !held, !held, p.pid == 0, held};
    tuplestore_putvalues(info->setResult, info->setDesc, values, nulls);
}

void put_namespaces(ReturnSetInfo *info, memory::SlotNo db) {
    memory::each_namespace(db, [info](memory::SlotNo no) {
        memory::Namespace &ns = memory::map.namespaces[no];
        put(info, {"namespace", ns.ns_id, 0, 0, 0, ns.running.load()});
        put(info, {"edges", ns.ns_id, 0, 0, 0, handover::open_edges(no)});
        put(info, {"edges_asked", ns.ns_id, 0, 0, 0, handover::asked_edges(no)});
    });
}

void put_queues(ReturnSetInfo *info, memory::SlotNo db) {
    for (memory::SlotNo i = 0; i < memory::map.shared->used_queues; i++) {
        memory::Queue &q = memory::map.queues[i];
        if (!q.used || q.db != db || q.dropped.load()) continue;
        dispatch::PlacesLook places = dispatch::look_at_places(i);
        put(info, {"queue", q.queue_id, 0, 0, 0, places.running});
        put(info, {"hints", q.queue_id, 0, 0, 0, q.hinted.load()});
        put(info, {"groups", q.queue_id, 0, 0, 0, places.in_groups});
    }
}

void put_leases(ReturnSetInfo *info, memory::SlotNo db) {
    for (memory::SlotNo i = 0; i < memory::map.shared->n_leases; i++) {
        memory::Lease l;
        if (dispatch::read_lease(i, db, &l))
            put(info, {"lease", memory::map.queues[l.queue].queue_id, l.id, l.receipt, l.session, 0});
    }
}

void put_workers(ReturnSetInfo *info, memory::SlotNo db) {
    for (memory::WorkerSlot &w : memory::map.shared->workers) {
        if (w.db != db || w.state.load() == memory::WorkerState::Free) continue;
        put(info, {"worker", memory::map.roles[w.role].role_id, 0, 0, w.pid, 1});
        for (int i = 0; i < Min(w.n_holds.load(), memory::max_batch); i++) {
            const memory::Hold &h = w.holds[i];
            auto state = h.state.load();
            if (state == memory::HoldState::None || state == memory::HoldState::Taken) continue;
            put(info, {"hold", memory::map.queues[h.queue].queue_id, h.ref.id, h.receipt, w.pid, 0});
        }
    }
    for (memory::SlotNo r = 0; r < memory::map.shared->used_roles; r++) {
        memory::Role &role = memory::map.roles[r];
        if (role.used && role.db == db) put(info, {"role", role.role_id, 0, 0, 0, role.workers.load()});
    }
    put(info, {"cluster", 0, 0, 0, 0, memory::map.shared->total_workers.load()});
}

}  // namespace

PGQ_FUNCTION(pgqueue_internal_places) {
    InitMaterializedSRF(fcinfo, 0);
    auto *info = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    memory::SlotNo db = memory::loaded() ? memory::find_database(MyDatabaseId) : -1;
    if (db < 0) return Datum(0);
    put_namespaces(info, db);
    put_queues(info, db);
    put_leases(info, db);
    put_workers(info, db);
    return Datum(0);
}
