#include "task/route.hpp"

#include "core/route.hpp"
#include "pg/errcodes.hpp"
#include "store/catalog.hpp"
#include "store/handlers.hpp"
#include "store/queues.hpp"
#include "store/roles.hpp"
#include "store/rows.hpp"
#include "store/rows_find.hpp"

namespace pgqueue::task {
namespace {

using store::HandlerInfo;

HandlerStep step_of(const HandlerInfo &h) {
    return {h.function, h.role, h.owner, h.phase, may_handle(h.role, h.ns_id)};
}

// Returns the steps of one phase for a type, in the order of registration. Without those of phase failed whose role has
// lost its right: a task that failed can do without.
std::span<HandlerStep> steps_of(int32 ns_id, Phase phase, std::string_view type) {
    std::span<const HandlerInfo> all = store::around_handlers(ns_id);
    auto mine = [&](const HandlerInfo &h) {
        return h.phase == phase && begins(h.type, type) && (phase != Phase::Failed || may_handle(h.role, h.ns_id));
    };
    std::size_t n = 0;
    for (const HandlerInfo &h : all) n += mine(h);
    if (n == 0) return {};
    auto *steps = static_cast<HandlerStep *>(palloc(sizeof(HandlerStep) * n));
    std::size_t at = 0;
    for (const HandlerInfo &h : all)
        if (mine(h)) steps[at++] = step_of(h);
    return {steps, n};
}

// Returns the role whose workers run tasks of a type. If its handler, or a function around it, has a role that does not
// exist, returns that role: the tasks wait for it.
Oid runner_of_type(const HandlerInfo &handler, std::string_view type) {
    if (!store::role_exists(handler.role)) return handler.role;
    for (const HandlerInfo &h : store::around_handlers(handler.ns_id))
        if (h.phase != Phase::Failed && begins(h.type, type) && !store::role_exists(h.role)) return h.role;
    return handler.role;
}

}  // namespace

bool may_handle(Oid role, int32 ns_id) {
    return !store::role_exists(role) || (store::privileges_of(role, ns_id) & store::priv_manage) != 0;
}

int32 runner_of(const store::QueueInfo &queue, const Routed &task) {
    if (!by_handlers(queue, task.flags) || task.type.empty()) return task.role_id;
    const HandlerInfo *h = store::handler_of_type(queue.ns_id, task.type);
    return h == nullptr ? task.role_id : store::known_role_id_of(runner_of_type(*h, task.type));
}

int32 runner_of(const store::QueueInfo &queue, const store::TaskRow &row) {
    if (!by_handlers(queue, row.flags)) return row.role_id;
    const char *type = row.type != nullptr ? row.type : store::fetch_type(row.ref);
    return runner_of(queue, {row.role_id, row.flags, type != nullptr ? std::string_view(type) : std::string_view()});
}

bool has_role(const store::QueueInfo &queue, const store::TaskRow &row) {
    return OidIsValid(store::role_oid_of(runner_of(queue, row)));
}

Route route_of(const store::QueueInfo &queue, const char *type) {
    Route route{};
    const HandlerInfo *h = type != nullptr ? store::handler_of_type(queue.ns_id, type) : nullptr;
    if (h == nullptr) return route;
    route.found = true;
    route.handle = step_of(*h);
    route.before = steps_of(queue.ns_id, Phase::Before, type);
    std::span<HandlerStep> after = steps_of(queue.ns_id, Phase::After, type);
    for (std::size_t i = 0; i < after.size() / 2; i++) std::swap(after[i], after[after.size() - 1 - i]);
    route.after = after;
    return route;
}

bool has_failed_steps(int32 ns_id) {
    for (const HandlerInfo &h : store::around_handlers(ns_id))
        if (h.phase == Phase::Failed) return true;
    return false;
}

std::span<const HandlerStep> failed_steps(int32 ns_id, std::string_view type) {
    return steps_of(ns_id, Phase::Failed, type);
}

void no_handler(const char *type) {
    if (type == nullptr)
        ereport(ERROR, errcode(err::handler_not_found), errmsg("handler not found for task without type"),
                errdetail("Tasks without a command in a queue with executor server need a type."));
    ereport(ERROR, errcode(err::handler_not_found), errmsg("handler not found for task %s", type),
            errhint("Register one with SELECT pgqueue.create_handler(%s, ...).", quote_literal_cstr(type)));
    pg_unreachable();
}

}  // namespace pgqueue::task
