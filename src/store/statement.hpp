// SQL over our own tables for what is not on the hot path: a plan kept for the process, run with the rights of the
// tables' owner whoever calls. Statements name every object and operator with its schema, because the caller's
// search_path is not ours.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::store {

constexpr int statement_args = 8;

struct Statement {
    const char *sql;
    int n_args;
    Oid types[statement_args];
    SPIPlanPtr plan;            // nullptr until first used
    bool replan = false;        // for the values at hand, each time
    bool as_of_active = false;  // it reads, and sees what the active snapshot sees
};

// What a row handler may read; values by reference live until it returns.
struct ResultRow {
    HeapTuple tuple;
    TupleDesc desc;
    Datum get(int column, bool *isnull) const { return SPI_getbinval(tuple, desc, column, isnull); }
};

using RowHandler = void (*)(void *arg, const ResultRow &row);

// Runs the statement as the owner of the tables; each row it returns is handed to the handler (nullptr: none), which
// allocates in the caller's memory context. Returns the number of rows. nulls: 'n' and ' ' for each argument, nullptr
// none.
uint64 run_statement(Statement *statement, const Datum *values, const char *nulls, RowHandler handler, void *arg);
// The same with the rights of the process.
uint64 run_as_self(Statement *statement, const Datum *values, const char *nulls, RowHandler handler, void *arg);

inline uint64 run_statement(Statement *statement, const Datum *values) {
    return run_statement(statement, values, nullptr, nullptr, nullptr);
}

template <typename F>
uint64 each_row(Statement *statement, const Datum *values, F &&fn) {
    return run_statement(
        statement, values, nullptr,
        [](void *f, const ResultRow &row) { (*static_cast<std::remove_reference_t<F> *>(f))(row); }, &fn);
}

}  // namespace pgqueue::store
