#include "task/tell_of_failure.hpp"

#include "core/handler_step.hpp"
#include "handover/actions.hpp"
#include "pg/error.hpp"
#include "pg/failure_log.hpp"
#include "pg/guards.hpp"
#include "pg/jsonb.hpp"
#include "store/ids.hpp"
#include "store/roles.hpp"
#include "store/rows_find.hpp"
#include "task/route.hpp"
#include "task/transitions.hpp"

namespace pgqueue::task {
namespace {

// A longer message is cut in what the functions get, and a larger payload (in bytes) is left out; the failed task has
// them whole. The scheduler makes these copies when a lease ends.
constexpr int most_error = 8192;
constexpr Size most_payload = 1024 * 1024;

const char *cut(const char *text) {
    if (text == nullptr) return nullptr;
    const int bytes = static_cast<int>(strlen(text));
    return pnstrdup(text, static_cast<Size>(pg_mbcliplen(text, bytes, most_error)));
}

Jsonb *headers_of(const store::TaskRow &row, const HandlerStep &step, const End &end) {
    pg::JsonbObject headers;
    headers.add("failed_task", row.ref.id);
    headers.add("function", step.function);
    headers.add("error", cut(end.error.message));
    return headers.finish();
}

store::NewTask call_of(const QueueRef &queue, const store::TaskRow &failed, const HandlerStep &step, const End &end) {
    store::NewTask n{};
    n.id = store::next_id();
    n.queue_id = queue.info->id;
    n.role_id = store::known_role_id_of(step.role);
    n.priority = failed.priority;
    n.retries = queue.info->retries;
    n.run_limit = -1;
    n.created_at = GetCurrentTimestamp();
    n.type = failed.type != nullptr ? cstring_to_text(failed.type) : nullptr;
    n.payload = failed.payload != nullptr && VARSIZE_ANY(failed.payload) <= most_payload ? failed.payload : nullptr;
    n.headers = headers_of(failed, step, end);
    n.flags = flag_after_failure;
    return n;
}

}  // namespace

namespace {

void make_calls(const QueueRef &queue, const store::TaskRow &row, const End &end) {
    pg::TempContext scratch;
    store::TaskRow whole;
    if (!store::fetch(row.ref, true, &whole)) return;
    for (const HandlerStep &step : failed_steps(queue.info->ns_id, whole.type != nullptr ? whole.type : "")) {
        const store::NewTask call = call_of(queue, whole, step, end);
        create(queue, {&call, 1});
    }
}

}  // namespace

void tell_of_failure(const QueueRef &queue, const store::TaskRow &row, const End &end) {
    if (queue.info == nullptr || (row.flags & flag_after_failure) != 0) return;
    if (queue.slot >= 0) handover::notify_failure_at_commit(queue.slot);
    if (!has_failed_steps(queue.info->ns_id)) return;
    // The failure must be written, also where no further task can be made.
    const pg::Outcome made = pg::run_in_subtransaction([&] { make_calls(queue, row, end); }, CurrentMemoryContext);
    if (made.ok) return;
    if (ERRCODE_TO_CATEGORY(made.error.sqlstate) != ERRCODE_INSUFFICIENT_RESOURCES)
        ereport(ERROR, errcode(made.error.sqlstate), errmsg_internal("%s", made.error.message));
    pg::log_refusal("pgqueue could not make the calls of phase failed for a task", made.error);
}

FailedCall failed_call(const store::QueueInfo &queue, const store::TaskRow &row) {
    // A manager may have changed them.
    const char *function = row.headers != nullptr ? pg::text_member(row.headers, "function") : nullptr;
    const char *error = row.headers != nullptr ? pg::text_member(row.headers, "error") : nullptr;
    for (const HandlerStep &step : failed_steps(queue.ns_id, row.type != nullptr ? row.type : ""))
        if (function != nullptr && strcmp(step.function, function) == 0 &&
            store::known_role_id_of(step.role) == row.role_id)
            return {step, error != nullptr ? cstring_to_text(error) : nullptr};
    ereport(ERROR, errcode(ERRCODE_UNDEFINED_OBJECT),
            errmsg("function %s of phase failed is not registered any more", function != nullptr ? function : ""));
    pg_unreachable();
}

}  // namespace pgqueue::task
