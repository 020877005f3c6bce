#include "executor/apart.hpp"

#include "pg/guards.hpp"

namespace pgqueue::executor {
namespace {

constinit bool apart = false;

// Calls fn for each cursor of the session.
template <typename F>
void each_cursor(F fn) {
    pg::ActiveSnapshot snapshot;
    pg::SpiSession spi;
    if (SPI_execute("SELECT name FROM pg_catalog.pg_cursor()", true, 0) != SPI_OK_SELECT)
        ereport(ERROR, errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not list the cursors of the session"));
    SPITupleTable *rows = SPI_tuptable;
    const uint64 n = SPI_processed;
    for (uint64 i = 0; i < n; i++) {
        Portal portal = GetPortalByName(SPI_getvalue(rows->vals[i], rows->tupdesc, 1));
        if (PortalIsValid(portal)) fn(portal);
    }
}

// The cursors that were open before. A running cursor can be neither read nor closed nor replaced, so all of them are
// marked as running.
struct Cursors {
    struct One {
        Portal portal;
        PortalStatus status;
    };
    List *known;  // of One
    MemoryContext memory;
};

void hold_cursors(Cursors *all) {
    each_cursor([all](Portal portal) {
        pg::MemoryScope scope(all->memory);
        auto *one = static_cast<Cursors::One *>(palloc(sizeof(Cursors::One)));
        *one = {portal, portal->status};
        all->known = lappend(all->known, one);
        portal->status = PORTAL_ACTIVE;
    });
}

void let_cursors_go(Cursors *all) {
    ListCell *cell;
    foreach(cell, all->known) {
        auto *one = static_cast<Cursors::One *>(lfirst(cell));
        one->portal->status = one->status;
    }
    all->known = NIL;
}

bool is_known(const Cursors &all, Portal portal) {
    ListCell *cell;
    foreach(cell, all.known)
        if (static_cast<Cursors::One *>(lfirst(cell))->portal == portal) return true;
    return false;
}

void close_new_cursors(const Cursors &all) {
    each_cursor([&all](Portal portal) {
        if (!is_known(all, portal)) PortalDrop(portal, false);
    });
}

bool is_of_session(Oid function) {
    constexpr Oid open_objects[] = {F_LO_CLOSE, F_LOREAD,    F_LOWRITE,     F_LO_LSEEK,      F_LO_LSEEK64,
                                    F_LO_TELL,  F_LO_TELL64, F_LO_TRUNCATE, F_LO_TRUNCATE64, F_LO_OPEN};
    for (Oid f : open_objects)
        if (f == function) return true;
    return function >= F_PG_ADVISORY_LOCK_INT8 && function <= F_PG_ADVISORY_UNLOCK_ALL;
}

}  // namespace

void run_apart_raw(pg::Call fn, void *arg, MemoryContext keep) {
    Cursors cursors{NIL, keep};
    const bool outer = apart;
    pg::with_cleanup(
        [&] {
            hold_cursors(&cursors);
            apart = true;
            fn(arg);
            close_new_cursors(cursors);
        },
        [&] {
            apart = outer;
            let_cursors_go(&cursors);
        });
}

namespace {

// Returns the utility statement in an analyzed query, or the statement itself.
Node *executed_by(Node *statement) {
    const bool wrapped = IsA(statement, Query) && castNode(Query, statement)->utilityStmt != nullptr;
    return wrapped ? castNode(Query, statement)->utilityStmt : statement;
}

}  // namespace

void check_function_apart(Oid function) {
    if (!apart || !is_of_session(function)) return;
    ereport(
        ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
        errmsg("cannot call %s in the session of another role", format_procedure(function)),
        errhint("It uses open objects of the session. Call it in the handler itself, or let a worker run the task."));
}

void check_statement_apart(Node *statement) {
    if (!apart) return;
    // The others have it inside: EXPLAIN EXECUTE, CREATE TABLE AS EXECUTE, and both together.
    if (IsA(statement, ExplainStmt)) return check_statement_apart(executed_by(castNode(ExplainStmt, statement)->query));
    if (IsA(statement, CreateTableAsStmt))
        return check_statement_apart(executed_by(castNode(CreateTableAsStmt, statement)->query));
    if (!IsA(statement, ExecuteStmt)) return;
    ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
            errmsg("cannot execute a prepared statement in the session of another role"));
}

}  // namespace pgqueue::executor
