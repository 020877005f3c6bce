// run_task: runs a command or typed task in the caller's session and transaction, as the role that created it or that
// registered its handler. For tests and debugging.
#include "api/task_access.hpp"

#include "executor/guest.hpp"
#include "executor/handler.hpp"
#include "executor/parse.hpp"
#include "executor/run.hpp"
#include "pg/error.hpp"
#include "store/rows.hpp"
#include "store/rows_find.hpp"
#include "task/own_run.hpp"
#include "task/make_receipt.hpp"
#include "task/requested_end.hpp"
#include "task/retry.hpp"
#include "task/route.hpp"
#include "task/transitions.hpp"

using namespace pgqueue;
using namespace pgqueue::api;

namespace {

struct InlineRun {
    const char *command;  // nullptr: the functions of `route`
    Oid role;             // as which it runs, invalid: there is no handler
    const char *type;
    Jsonb *payload;
    task::Route route;
    executor::Result result;
    MemoryContext keep;
    task::OwnRun own;
};

void run_content(InlineRun *run) {
    if (run->command != nullptr) {
        run->result = executor::run_nested(executor::parse(run->command), run->keep);
    } else {
        if (!run->route.found) task::no_handler(run->type);
        run->result.rows = -1;
        run->result.json = executor::run_handlers(
            {run->route.handle, run->route.before, run->route.after, run->payload}, false, run->keep);
    }
    task::decide(&run->own);
}

// Runs the task as its role, which the caller is or may become; that has been checked. In a session of that role it
// runs as if the caller ran it.
pg::Outcome run_here(InlineRun *run) {
    auto content = [run] { run_content(run); };
    pg::Outcome out;
    task::begin_run(&run->own);
    pg::with_cleanup(
        [&] {
            bool at_home = !OidIsValid(run->role) || executor::is_session_of(run->role);
            out = at_home ? pg::run_in_subtransaction(content, run->keep)
                          : executor::run_as_guest(run->role, content, run->keep);
        },
        [run] { task::end_run(&run->own); });
    return out;
}

// Returns how the task ends.
task::End end_of(const InlineRun &run, const pg::Outcome &out, const task::QueueRef &queue, store::TaskRow *row) {
    task::End end{};
    TimestampTz now = GetCurrentTimestamp();
    end.worker = "run_task";
    end.role = GetUserNameFromId(GetUserId(), false);
    if (out.ok) {
        end.costs.rows = run.result.rows;
        end.result = run.result.json;
    }
    if (out.ok || run.own.decided.what == task::Ending::What::Failed) {
        task::apply(run.own.decided, queue.info, row, &end, now);
        return end;
    }
    end.outcome = AttemptEnd::Failed;
    end.error = out.error;
    end.status = task::after_failure(queue.info, row, out.error.sqlstate, now);
    return end;
}

// Returns whether the command cannot run in the caller's transaction, or the caller was cancelled. A command may raise
// errors with the same codes itself.
bool is_of_caller(const pg::ErrorReport &error) {
    if (error.raised_by == nullptr) return false;
    return (error.sqlstate == ERRCODE_ACTIVE_SQL_TRANSACTION &&
            strcmp(error.raised_by, "PreventInTransactionBlock") == 0) ||
           (error.sqlstate == ERRCODE_QUERY_CANCELED && strcmp(error.raised_by, "ProcessInterrupts") == 0);
}

// Checks the caller's right to the handler's role. A handler works in this session with the rights of its role, and its
// effects may depend on what the caller has locked or set.
void require_handler_role(const task::Route &route, int64 id) {
    if (!route.found) return;
    if (!store::role_exists(route.handle.role))
        ereport(ERROR, errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("task " INT64_FORMAT " cannot be run", id),
                errdetail("The role of handler %s does not exist.", route.handle.function),
                errhint("Register the handler again as a role that exists."));
    if (pg::may_act_as(GetUserId(), route.handle.role)) return;
    ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
            errmsg("permission denied to run the handler of task " INT64_FORMAT " here", id),
            errdetail("Handler %s runs as another role.", route.handle.function),
            errhint("Only a role that may SET ROLE to that one can run it here; a worker can."));
}

// Checks the caller's right to the role that created the task, as which a command runs.
void require_creator(const store::TaskRow &row) {
    Oid creator = store::role_oid_of(row.role_id);
    if (!OidIsValid(creator))
        ereport(ERROR, errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("task " INT64_FORMAT " cannot be run", row.ref.id),
                errdetail("Role \"%s\", which created it, does not exist.", store::shown_role(row.role_id)),
                errhint("See pgqueue.why(" INT64_FORMAT ").", row.ref.id));
    if (!pg::may_act_as(caller(), creator))
        ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                errmsg("permission denied for task " INT64_FORMAT, row.ref.id),
                errdetail("It was created by another role."),
                errhint("Only a role that may SET ROLE to that one can run it here."));
}

}  // namespace

PGQ_FUNCTION(pgqueue_run_task) {
    check_call("run_task", true);
    not_null(fcinfo, 0, "id");
    int64 id = PG_GETARG_INT64(0);
    store::TaskRow row;
    if (!store::find(id, true, &row)) no_task(id);
    require_access(row, text_arg(fcinfo, 1), Access::Use);
    require_creator(row);
    const task::QueueRef queue = lock_task(&row, text_arg(fcinfo, 1), Access::Use, true);
    require_creator(row);
    if (!is_waiting(row.status))
        ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                errmsg("task " INT64_FORMAT " is %s and cannot be run", id, word(row.status).data()),
                errhint("Only a task that waits (new or retry) can be run; retry_task makes one that failed, expired "
                        "or was cancelled wait again."));
    if (row.command == nullptr && !task::by_handlers(*queue.info, row.flags))
        ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("task " INT64_FORMAT " has no command", id),
                errhint("Outside workers run such tasks."));
    InlineRun run{row.command, store::role_oid_of(row.role_id), row.type, row.payload, {}, {}, CurrentMemoryContext,
                  {}};
    if (row.command == nullptr) {
        run.route = task::route_of(*queue.info, row.type);
        run.role = run.route.found ? run.route.handle.role : InvalidOid;
    }
    require_handler_role(run.route, id);
    task::retain(queue, &row, "run_task", task::new_receipt(), 0, task::Held::Bound, GetCurrentTimestamp());
    run.own.id = id;
    run.own.role = run.role;
    run.own.memory = run.keep;
    pg::Outcome out = run_here(&run);
    // That is an error of the caller, not of the task.
    if (!out.ok && is_of_caller(out.error))
        ereport(ERROR, errcode(out.error.sqlstate), errmsg("%s", out.error.message),
                out.error.detail ? errdetail_internal("%s", out.error.detail) : 0,
                out.error.sqlstate == ERRCODE_QUERY_CANCELED ? 0 : errhint("The task can only be run by a worker."));
    if (!store::fetch(row.ref, false, &row))
        ereport(ERROR, errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("task " INT64_FORMAT " has removed itself", id));
    const task::QueueRef queue_now = task::queue_of(row);
    task::End end = end_of(run, out, queue_now, &row);
    task::end_attempt(queue_now, &row, end, GetCurrentTimestamp(), store::Wait::Block);
    if (!is_waiting(row.status)) task::leave_group(task::queue_of(row), row);
    std::string_view status = word(row.status);
    PG_RETURN_TEXT_P(cstring_to_text_with_len(status.data(), static_cast<int>(status.size())));
}

PGQ_FUNCTION(pgqueue_internal_current_task_id) {
    (void)fcinfo;
    task::OwnRun *run = task::own_run();
    if (run == nullptr) PG_RETURN_NULL();
    PG_RETURN_INT64(run->id);
}
