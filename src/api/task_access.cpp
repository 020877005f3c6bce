#include "api/task_access.hpp"

#include "pg/testpoint.hpp"
#include "store/queues.hpp"
#include "store/rows.hpp"
#include "task/row_lock.hpp"
#include "task/transitions.hpp"

namespace pgqueue::api {
namespace {

unsigned privilege_of(Access access) {
    switch (access) {
        case Access::Use: return store::priv_use;
        case Access::Work: return store::priv_work;
        default: return store::priv_manage;
    }
}

}  // namespace

const store::QueueInfo *seen_queue(const store::TaskRow &row, const char *ns_name) {
    const store::QueueInfo *q = store::queue_by_id(row.queue_id);
    const store::NamespaceInfo *ns = q != nullptr ? store::namespace_by_id(q->ns_id) : nullptr;
    if (ns == nullptr) return nullptr;
    if (ns_name != nullptr && strcmp(normalize("namespace", ns_name), ns->name) != 0) return nullptr;
    return may(ns->id, store::priv_all | store::priv_monitor | store::priv_owner) ? q : nullptr;
}

bool has_access(const store::TaskRow &row, const store::QueueInfo &queue, Access access) {
    if (may(queue.ns_id, privilege_of(access) | store::priv_owner)) return true;
    return access == Access::ManageOrOwn && may(queue.ns_id, store::priv_use) && is_mine(row.role_id);
}

const store::QueueInfo &require_access(const store::TaskRow &row, const char *ns_name, Access access) {
    const store::QueueInfo *q = seen_queue(row, ns_name);
    if (q == nullptr) no_task(row.ref.id);
    if (!has_access(row, *q, access)) require(store::namespace_there(q->ns_id), privilege_of(access));
    return *q;
}

task::QueueRef lock_task(store::TaskRow *row, const char *ns_name, Access access, bool with_body) {
    const int64 id = row->ref.id;
    const task::QueueRef before = task::ref_of(require_access(*row, ns_name, access));
    // Noted before the lock, because the next steps may fail, and again after it, because the row may have changed
    // during the wait.
    task::touch(before, *row);
    if (task::lock_row(id, store::Wait::Block, with_body, row) != store::Locked::Yes) no_task(id);
    PGQUEUE_TESTPOINT("task-locked");
    task::touch(task::queue_of(*row), *row);
    AcceptInvalidationMessages();
    return task::ref_of(require_access(*row, ns_name, access));
}

}  // namespace pgqueue::api
