#include "store/statement.hpp"

#include "pg/error.hpp"
#include "pg/guards.hpp"
#include "store/relations.hpp"

namespace pgqueue::store {
namespace {

Oid tables_owner() {
    HeapTuple t = SearchSysCache1(RELOID, ObjectIdGetDatum(ring_oid()));
    if (!HeapTupleIsValid(t))
        ereport(ERROR, errcode(ERRCODE_UNDEFINED_TABLE), errmsg("relation pgqueue_internal.ring does not exist"));
    Oid owner = reinterpret_cast<Form_pg_class>(GETSTRUCT(t))->relowner;
    ReleaseSysCache(t);
    return owner;
}

void prepare(Statement *s) {
    if (s->plan != nullptr) return;
    SPIPlanPtr plan = SPI_prepare_cursor(s->sql, s->n_args, s->types, s->replan ? CURSOR_OPT_CUSTOM_PLAN : 0);
    if (plan == nullptr || SPI_keepplan(plan) != 0)
        ereport(ERROR, errcode(ERRCODE_INTERNAL_ERROR),
                errmsg("could not prepare a statement of pgqueue: %s", SPI_result_code_string(SPI_result)));
    s->plan = plan;
}

}  // namespace

uint64 run_as_self(Statement *statement, const Datum *values, const char *nulls, RowHandler handler, void *arg) {
    MemoryContext callers = CurrentMemoryContext;
    uint64 rows;
    bool pushed = !ActiveSnapshotSet();  // in our own processes
    if (pushed) PushActiveSnapshot(GetTransactionSnapshot());
    {
        pg::SpiSession spi;
        prepare(statement);
        int rc = 0;
        pg::hide_context([&] {
            rc = SPI_execute_plan(statement->plan, const_cast<Datum *>(values), nulls, statement->as_of_active, 0);
        });
        if (rc < 0)
            ereport(ERROR, errcode(ERRCODE_INTERNAL_ERROR),
                    errmsg("could not run a statement of pgqueue: %s", SPI_result_code_string(rc)));
        rows = SPI_processed;
        SPITupleTable *table = SPI_tuptable;
        pg::MemoryScope scope(callers);
        for (uint64 i = 0; handler != nullptr && table != nullptr && i < rows; i++)
            handler(arg, ResultRow{table->vals[i], table->tupdesc});
    }
    if (pushed) PopActiveSnapshot();
    return rows;
}

namespace {

// The rights of a role, as the server keeps them.
struct Rights {
    Oid user;
    int sec;

    static Rights now() {
        Rights r;
        GetUserIdAndSecContext(&r.user, &r.sec);
        return r;
    }
    void set() const { SetUserIdAndSecContext(user, sec); }
};

// A handler that runs with the rights of the caller.
struct CallersHandler {
    RowHandler handler;
    void *arg;
    Rights callers, owners;
};

void call_as_caller(void *p, const ResultRow &row) {
    const auto *c = static_cast<const CallersHandler *>(p);
    c->callers.set();
    c->handler(c->arg, row);
    c->owners.set();
}

}  // namespace

uint64 run_statement(Statement *statement, const Datum *values, const char *nulls, RowHandler handler, void *arg) {
    const Rights callers = Rights::now();
    CallersHandler as_caller{handler, arg, callers, {tables_owner(), callers.sec | SECURITY_LOCAL_USERID_CHANGE}};
    // An error restores the user with the (sub)transaction's abort.
    as_caller.owners.set();
    uint64 rows = run_as_self(statement, values, nulls, handler != nullptr ? call_as_caller : nullptr, &as_caller);
    callers.set();
    return rows;
}

}  // namespace pgqueue::store
