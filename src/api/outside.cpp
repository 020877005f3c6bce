#include "api/outside.hpp"

#include "api/call.hpp"
#include "dispatch/session_leases.hpp"
#include "store/queues.hpp"
#include "store/rows.hpp"
#include "store/rows_find.hpp"
#include "task/where.hpp"

namespace pgqueue::api {

std::span<const memory::SlotNo> queue_slots(const store::NamespaceInfo &ns, ArrayType *names) {
    if (names == nullptr) return {};
    Datum *items;
    bool *nulls;
    int n;
    deconstruct_array(one_dimensional(names, "queues"), TEXTOID, -1, false, TYPALIGN_INT, &items, &nulls, &n);
    if (n == 0) return {};
    auto *slots = static_cast<memory::SlotNo *>(palloc(sizeof(memory::SlotNo) * static_cast<Size>(n)));
    int32 ns_id = ns.id;
    for (int i = 0; i < n; i++) {
        if (nulls[i])
            ereport(ERROR, errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
                    errmsg("argument \"queues\" must not contain NULL"));
        slots[i] = task::ensure_entry(find_queue(store::namespace_there(ns_id), TextDatumGetCString(items[i])));
    }
    return {slots, static_cast<std::size_t>(n)};
}

bool is_lease_of_session(const memory::Lease &lease) {
    if (!dispatch::is_of_session(lease)) return false;
    return !InSecurityRestrictedOperation() || pg::may_act_as(caller(), lease.role);
}

task::OwnRun *own_run_of(int64 id, const char *ns_name) {
    task::OwnRun *run = task::own_run();
    if (run == nullptr || run->id != id || !pg::may_act_as(caller(), run->role)) return nullptr;
    if (ns_name == nullptr) return run;
    store::TaskRow row;
    const store::QueueInfo *q = store::find(id, false, &row) ? store::queue_by_id(row.queue_id) : nullptr;
    const store::NamespaceInfo *ns = q != nullptr ? store::namespace_by_id(q->ns_id) : nullptr;
    return ns != nullptr && strcmp(normalize("namespace", ns_name), ns->name) == 0 ? run : nullptr;
}

memory::SlotNo namespace_slot(const store::NamespaceInfo &ns) {
    memory::SlotNo db = memory::ensure_database(MyDatabaseId);
    if (db < 0) ereport(ERROR, errcode(ERRCODE_OUT_OF_MEMORY), errmsg("pgqueue serves no more databases"));
    return memory::ensure_namespace(db, ns.id);
}

}  // namespace pgqueue::api
