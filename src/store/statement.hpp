// SQL over our own tables, for work that is not on the hot path. A process keeps the plan, and runs it with the rights
// of the tables' owner, whoever calls. Statements name every object and operator with its schema, because the caller
// sets the search_path.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::store {

constexpr int statement_args = 13;

struct Statement {
    const char *sql;
    int n_args;
    Oid types[statement_args];
    SPIPlanPtr plan;            // nullptr until first used
    bool replan = false;        // plan for the values at hand, each time
    bool as_of_active = false;  // read-only, and sees what the active snapshot sees
};

// A row passed to a handler. Values by reference live until the handler returns.
struct ResultRow {
    HeapTuple tuple;
    TupleDesc desc;
    Datum get(int column, bool *isnull) const { return SPI_getbinval(tuple, desc, column, isnull); }
};

using RowHandler = void (*)(void *arg, const ResultRow &row);

// Runs the statement as the owner of the tables. Calls the handler (nullptr: none) for each returned row, with the
// rights and in the memory context of the caller. Returns the number of rows. nulls: 'n' or ' ' for each argument,
// nullptr none.
uint64 run_statement(Statement *statement, const Datum *values, const char *nulls, RowHandler handler, void *arg);
// The same with the rights of the current user.
uint64 run_as_self(Statement *statement, const Datum *values, const char *nulls, RowHandler handler, void *arg);

// Runs a statement without NULL arguments, and ignores the rows.
inline uint64 run_statement(Statement *statement, const Datum *values) {
    return run_statement(statement, values, nullptr, nullptr, nullptr);
}

// Runs the statement and calls fn for each row. Returns the number of rows.
template <typename F>
uint64 each_row(Statement *statement, const Datum *values, F &&fn) {
    return run_statement(
        statement, values, nullptr,
        [](void *f, const ResultRow &row) { (*static_cast<std::remove_reference_t<F> *>(f))(row); }, &fn);
}

}  // namespace pgqueue::store
