// Runs the statements of a command one after the other, as the simple query protocol does.
#include "executor/run.hpp"

#include "executor/parse.hpp"
#include "executor/result.hpp"
#include "executor/statement.hpp"
#include "pg/error.hpp"
#include "pg/guards.hpp"

namespace pgqueue::executor {
namespace {

// How the statements of a command run.
struct Way {
    bool is_worker;  // the worker's own command: the session shows it, and statement_timeout applies to it
    bool top_level;  // not called by another statement
};

// Writes the command to the log if log_statement requires it.
void log_command(const Parsed &parsed) {
    if (log_statement == LOGSTMT_NONE) return;
    bool wanted = log_statement == LOGSTMT_ALL;
    ListCell *cell;
    foreach(cell, parsed.statements) {
        if (GetCommandLogLevel(static_cast<Node *>(lfirst(cell))) <= LogStmtLevel(log_statement)) wanted = true;
    }
    if (wanted) ereport(LOG, errmsg("statement: %s", parsed.sql), errhidestmt(true));
}

// Runs one planned query in the executor, without a portal.
void run_planned(PlannedStmt *plan, const char *sql, CommandTag tag, DestReceiver *receiver,
                 QueryCompletion *completion) {
    pg::ActiveSnapshot snapshot;
    QueryDesc *query = CreateQueryDesc(plan, sql, GetActiveSnapshot(), InvalidSnapshot, receiver, nullptr, nullptr, 0);
    ExecutorStart(query, 0);
    pg::run_executor(query);
    SetQueryCompletion(completion, tag, query->estate->es_processed);
    ExecutorFinish(query);
    ExecutorEnd(query);
    FreeQueryDesc(query);
}

// Runs utility statements and rewritten statements in a portal, which survives their commits.
void run_in_portal(List *plans, const char *sql, CommandTag tag, bool top_level, DestReceiver *receiver,
                   QueryCompletion *completion) {
    Portal portal = CreateNewPortal();
    portal->visible = false;
    PortalDefineQuery(portal, nullptr, sql, tag, plans, nullptr);
    PortalStart(portal, nullptr, 0, InvalidSnapshot);
    pg::run_portal(portal, top_level, receiver, completion);
    PortalDrop(portal, false);
}

// Analyzes, rewrites and plans a statement.
List *plan_statement(RawStmt *statement, const char *sql) {
    const bool needs_snapshot = analyze_requires_snapshot(statement);
    if (needs_snapshot) PushActiveSnapshot(GetTransactionSnapshot());
    List *queries = pg_analyze_and_rewrite_fixedparams(statement, sql, nullptr, 0, nullptr);
    List *plans = pg_plan_queries(queries, sql, CURSOR_OPT_PARALLEL_OK, nullptr);
    if (needs_snapshot) PopActiveSnapshot();
    CHECK_FOR_INTERRUPTS();
    return plans;
}

// Runs one statement of a command.
void run_statement(RawStmt *statement, const char *sql, const Way &way, DestReceiver *receiver,
                   QueryCompletion *completion) {
    const CommandTag tag = CreateCommandTag(statement->stmt);
    if (way.is_worker) set_ps_display(GetCommandTagName(tag));
    List *planned = plan_statement(statement, sql);
    const bool simple = list_length(planned) == 1 && linitial_node(PlannedStmt, planned)->commandType != CMD_UTILITY;
    if (!simple) {
        run_in_portal(planned, sql, tag, way.top_level, receiver, completion);
        return;
    }
    run_planned(linitial_node(PlannedStmt, planned), sql, tag, receiver, completion);
}

// Runs all statements in the command's memory context. The result is that of the last one.
Result run_statements(const Parsed &parsed, const Way &way, MemoryContext keep) {
    FirstRow first = first_row_receiver(CurrentMemoryContext);
    QueryCompletion completion;
    const int count = list_length(parsed.statements);
    for (int i = 0; i < count; ++i) {
        const bool last = i == count - 1;
        DestReceiver *receiver = last ? &first.base : None_Receiver;
        InitializeQueryCompletion(&completion);
        pgstat_report_query_id(0, true);
        CHECK_FOR_INTERRUPTS();
        if (way.is_worker) begin_statement();
        run_statement(list_nth_node(RawStmt, parsed.statements, i), parsed.sql, way, receiver, &completion);
        CHECK_FOR_INTERRUPTS();
        if (way.is_worker) end_statement();
        CommandCounterIncrement();
    }
    return make_result(first, completion, keep);
}

// Runs all statements in a new memory context, which survives commits. On ERROR it remains as a child of `keep`.
Result run_in_own_context(const Parsed &parsed, const Way &way, MemoryContext keep) {
    MemoryContext const own = AllocSetContextCreate(keep, "pgqueue command", ALLOCSET_DEFAULT_SIZES);
    MemoryContext const previous = CurrentMemoryContext;
    MemoryContext const transaction = TopTransactionContext;
    MemoryContextSwitchTo(own);
    const Result result = run_statements(parsed, way, keep);
    // If the command has committed, the caller's context is gone.
    MemoryContextSwitchTo(previous == transaction ? TopTransactionContext : previous);
    MemoryContextDelete(own);
    return result;
}

// Copies the command into `keep`, because a commit may free its text and parse tree.
Parsed outliving(const Parsed &parsed, MemoryContext keep) {
    pg::MemoryScope scope(keep);
    return {pstrdup(parsed.sql), static_cast<List *>(copyObjectImpl(parsed.statements)), parsed.mode};
}

// Shows the command as the activity of this process.
void announce(const Parsed &parsed) {
    debug_query_string = parsed.sql;
    pgstat_report_activity(STATE_RUNNING, parsed.sql);
    log_command(parsed);
}

// Writes the duration to the log if the settings require it.
void log_duration_of(const Parsed &parsed) {
    char milliseconds[32];
    switch (check_log_duration(milliseconds, false)) {
        case 1: ereport(LOG, errmsg("duration: %s ms", milliseconds), errhidestmt(true)); break;
        case 2:
            ereport(LOG, errmsg("duration: %s ms  statement: %s", milliseconds, parsed.sql), errhidestmt(true));
            break;
        default: break;
    }
}

}  // namespace

void begin_statement() {
    ExitOnAnyError = false;
    if (StatementTimeout > 0) enable_timeout_after(STATEMENT_TIMEOUT, StatementTimeout);
}

void end_statement() {
    if (!get_timeout_active(STATEMENT_TIMEOUT) && !get_timeout_indicator(STATEMENT_TIMEOUT, false)) return;
    disable_timeout(STATEMENT_TIMEOUT, true);
    if (get_timeout_indicator(STATEMENT_TIMEOUT, true)) QueryCancelPending = false;
}

Result run(const Parsed &parsed, MemoryContext keep, bool *switched) {
    const LocalTransactionId before = pg::my_lxid();
    const bool top_level = parsed.mode == Mode::TopLevel;
    const Parsed command = top_level ? outliving(parsed, keep) : parsed;
    Result result{};
    pg::with_cleanup(
        [&] {
            announce(command);
            // A statement that cannot run in a transaction block finds one, and raises.
            if (!top_level) BeginImplicitTransactionBlock();
            result = run_in_own_context(command, {.is_worker = true, .top_level = true}, keep);
            if (!top_level) EndImplicitTransactionBlock();
            log_duration_of(command);
        },
        [&] {
            end_statement();
            debug_query_string = nullptr;
            *switched = pg::my_lxid() != before;
        });
    return result;
}

Result run_nested(const Parsed &parsed, MemoryContext keep) {
    return run_in_own_context(parsed, {.is_worker = false, .top_level = false}, keep);
}

}  // namespace pgqueue::executor
