#include "executor/guest.hpp"

#include "executor/foreign.hpp"
#include "pg/guards.hpp"

namespace pgqueue::executor {
namespace {

constinit bool guest_here = false;

// Deferrable constraints and triggers are immediate from now on in this transaction; those that wait fire now, as the current user.
void fire_deferred() {
    ConstraintsSetStmt *all = makeNode(ConstraintsSetStmt);
    AfterTriggerSetState(all);
}

// Does fn with each cursor of the session, by name. Those that are running are not among what can be used or replaced.
template <typename F>
void each_cursor(F fn) {
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

// The cursors that the caller has open, out of the guest's reach: one that runs can neither be read nor closed nor replaced.
struct Cursors {
    struct One {
        Portal portal;
        PortalStatus status;
    };
    List *held;  // of One
    MemoryContext memory;
};

void hold_cursors(Cursors *all) {
    each_cursor([all](Portal portal) {
        if (portal->status == PORTAL_ACTIVE) return;
        pg::MemoryScope scope(all->memory);
        auto *one = static_cast<Cursors::One *>(palloc(sizeof(Cursors::One)));
        *one = {portal, portal->status};
        all->held = lappend(all->held, one);
        portal->status = PORTAL_ACTIVE;
    });
}

void let_cursors_go(Cursors *all) {
    ListCell *cell;
    foreach (cell, all->held) {
        auto *one = static_cast<Cursors::One *>(lfirst(cell));
        one->portal->status = one->status;
    }
    all->held = NIL;
}

void close_cursors_of_guest() {
    SubTransactionId mine = GetCurrentSubTransactionId();
    each_cursor([mine](Portal portal) {
        if (portal->createSubid >= mine) PortalDrop(portal, false);
    });
}

// What the guest leaves is ended while it is still the current user.
void end_guest(const Foreign &visit) {
    fire_deferred();
    close_cursors_of_guest();
    end_foreign(visit);
}

struct GuestRun {
    Oid role;
    pg::Call fn;
    void *arg;
};

void run_inside(const GuestRun &run) {
    Foreign visit = begin_foreign(run.role, false);
    run.fn(run.arg);
    end_guest(visit);
}

bool is_of_session(Oid function) {
    constexpr Oid open_objects[] = {F_LO_CLOSE, F_LOREAD, F_LOWRITE, F_LO_LSEEK, F_LO_LSEEK64, F_LO_TELL, F_LO_TELL64, F_LO_TRUNCATE, F_LO_TRUNCATE64};
    for (Oid f : open_objects)
        if (f == function) return true;
    return function >= F_PG_ADVISORY_LOCK_INT8 && function <= F_PG_ADVISORY_UNLOCK_ALL;
}

}  // namespace

bool is_session_of(Oid role) {
    return GetUserId() == role && GetOuterUserId() == role && GetSessionUserId() == role && GetAuthenticatedUserId() == role;
}

pg::Outcome run_as_guest_raw(Oid role, pg::Call fn, void *arg, MemoryContext keep) {
    GuestRun run{role, fn, arg};
    Cursors cursors{NIL, keep};
    const bool outer = guest_here;
    pg::Outcome out;
    fire_deferred();
    pg::with_cleanup(
        [&] {
            hold_cursors(&cursors);
            guest_here = true;
            out = pg::run_in_subtransaction([&run] { run_inside(run); }, keep);
        },
        [&] {
            guest_here = outer;
            let_cursors_go(&cursors);
        });
    return out;
}

void check_function_of_guest(Oid function) {
    if (!guest_here || !is_of_session(function)) return;
    ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("cannot call %s in the session of another role", format_procedure(function)),
            errhint("A worker can run the task."));
}

}  // namespace pgqueue::executor
