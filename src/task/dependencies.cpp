#include "task/dependencies.hpp"

#include "handover/actions.hpp"
#include "handover/edges.hpp"
#include "memory/registry.hpp"
#include "pg/errcodes.hpp"
#include "store/queues.hpp"
#include "store/rows.hpp"
#include "store/rows_find.hpp"
#include "task/share_used_up.hpp"
#include "task/transitions.hpp"

namespace pgqueue::task {
namespace {

// The limit of open edges in a database: about 200 MB, and an hour of work for the disk and the scheduler.
constexpr int64 edges_at_most = 1000 * 1000;

// The deltas of edges are of the namespace's place in memory; one that was deleted has none.
void count_edges_of(int32 namespace_id, int64 count) {
    SlotNo db = memory::find_database(MyDatabaseId);
    SlotNo ns = db >= 0 ? memory::find_namespace(db, namespace_id) : -1;
    if (ns >= 0) handover::count_edges_at_commit(ns, static_cast<int32>(count));
}

}  // namespace

const store::QueueInfo *live_queue(int32 id) {
    const store::QueueInfo *q = store::queue_by_id(id);
    SlotNo db = q && memory::loaded() ? memory::find_database(MyDatabaseId) : -1;
    return db >= 0 && memory::is_queue_dropped(db, id) ? nullptr : q;
}

bool is_free(int32 namespace_id, int64 id) {
    if (store::has_edges(namespace_id, id)) return false;
    store::Batch batch = store::awaited_batch(namespace_id, id);
    return batch.key == nullptr || store::batch_is_over(batch);
}

void remove_edge(int32 namespace_id, int64 awaited, int64 task) {
    if (!store::remove_edge(namespace_id, awaited, task)) return;
    handover::add_awaited_at_commit(awaited, -1);
    count_edges_of(namespace_id, -1);
}

int remove_edges(int32 namespace_id, int64 task) {
    int count =
        store::remove_edges(namespace_id, task, [](int64 awaited) { handover::add_awaited_at_commit(awaited, -1); });
    if (count > 0) count_edges_of(namespace_id, -count);
    return count;
}

DependencyEnd end_of_dependency(int64 id, int32 namespace_id) {
    store::TaskRow row;
    const store::QueueInfo *q = store::find(id, false, &row) ? live_queue(row.queue_id) : nullptr;
    if (q != nullptr && (namespace_id == 0 || q->ns_id == namespace_id))
        return is_unfinished(row.status)        ? DependencyEnd::Unfinished
               : row.status == Status::Released ? DependencyEnd::Good
                                                : DependencyEnd::Bad;
    bool released;
    int32 archived = q == nullptr ? store::archived_in(id, &released) : 0;
    if (archived == 0 || (namespace_id != 0 && archived != namespace_id)) return DependencyEnd::Unknown;
    return released ? DependencyEnd::Good : DependencyEnd::Bad;
}

EdgeShare edge_share(const store::NamespaceInfo &ns, SlotNo slot) {
    int64 used = handover::edges_of(slot), free = Max(edges_at_most - used - handover::edges_beside(slot), 0);
    return {used, free, share_limit(ns.shares.dependencies, used, free)};
}

void ask_for_edges(const store::NamespaceInfo &ns, int64 count) {
    SlotNo db = memory::find_database(MyDatabaseId);
    if (count <= 0 || db < 0) return;
    SlotNo slot = memory::ensure_namespace(db, ns.id);
    EdgeShare share = edge_share(ns, slot);
    if (share.used + count > share.limit)
        share_used_up(
            ns, {"dependencies of waiting tasks", "max_dependencies", ns.shares.dependencies, share.used, share.free,
                 "Have many tasks wait for a batch (batch_key, depends_on_batch) instead of for each other."});
    handover::ask_for_edges(slot, count);
}

namespace {

// Makes the scheduler check new waiting tasks at commit, because what they wait for may have ended meanwhile. It checks
// the tasks, or what they wait for if that is less, and one task for the batch.
void note_waiting(SlotNo ns, const Workflow &w, std::span<const int64> tasks) {
    bool many = tasks.size() > w.awaited.size() + 1;
    for (int64 id : many ? w.awaited : tasks) handover::settle_at_commit(ns, id);
    if (many && w.awaits_batch != nullptr) handover::settle_at_commit(ns, tasks[0]);
}

}  // namespace

void begin_waiting(const QueueRef &queue, const Workflow &w, std::span<const store::NewTask> tasks) {
    if (tasks.empty() || (w.awaited.empty() && w.batch_key == nullptr && w.awaits_batch == nullptr)) return;
    auto *ids = static_cast<int64 *>(palloc_extended(sizeof(int64) * tasks.size(), MCXT_ALLOC_HUGE));
    for (std::size_t i = 0; i < tasks.size(); i++) ids[i] = tasks[i].id;
    std::span<const int64> all{ids, tasks.size()};
    if (w.batch_key != nullptr) store::join_batch(all, {w.namespace_id, w.batch_key});
    if (w.awaits_batch != nullptr) store::wait_for_batch(all, {w.namespace_id, w.awaits_batch});
    if (!w.awaited.empty()) count_edges_of(w.namespace_id, store::add_edges(all, w.awaited, w.namespace_id));
    for (int64 id : w.awaited) handover::add_awaited_at_commit(id, static_cast<int32>(tasks.size()));
    if (w.awaits_batch != nullptr || !w.awaited.empty()) note_waiting(namespace_of(queue), w, all);
}

void wait_again(const QueueRef &queue, store::TaskRow *row) {
    const int64 id = row->ref.id;
    const int32 ns_id = queue.info->ns_id;
    store::TaskRow body;
    if (!store::fetch(row->ref, true, &body)) return;
    if ((row->flags & flag_batch) != 0 && body.batch_key != nullptr)
        store::join_batch({&id, 1}, {ns_id, body.batch_key});
    if ((row->flags & flag_depends) == 0) return;
    store::Ids old = store::all_awaited_by(ns_id, id);
    for (int i = 0; i < old.count; i++)
        if (end_of_dependency(old.items[i], 0) != DependencyEnd::Unfinished) remove_edge(ns_id, old.items[i], id);
    Datum *items = nullptr;
    int n = 0;
    if (body.depends_on != nullptr)
        deconstruct_array(body.depends_on, INT8OID, 8, true, TYPALIGN_DOUBLE, &items, nullptr, &n);
    for (int i = 0; i < n; i++) {
        int64 awaited = DatumGetInt64(items[i]);
        if (end_of_dependency(awaited, 0) != DependencyEnd::Unfinished) continue;
        ask_for_edges(store::namespace_there(ns_id), 1);
        if (store::add_edges({&id, 1}, {&awaited, 1}, ns_id) == 0) continue;
        handover::add_awaited_at_commit(awaited, 1);
        count_edges_of(ns_id, 1);
    }
    if (is_free(ns_id, id)) {
        row->flags &= static_cast<int16>(~flag_waits);
        store::stop_waiting_for_batch(ns_id, id);
    } else {
        row->flags |= flag_waits;
        handover::settle_at_commit(namespace_of(queue), id);
    }
}

}  // namespace pgqueue::task
