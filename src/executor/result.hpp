// The result of a command: its tag, its row count and its first row as jsonb (result.cpp), and single values as jsonb
// (values.cpp).
#pragma once
#include "executor/run.hpp"

namespace pgqueue::executor {

// Receives the rows of a statement: keeps the first and drops the others. `base` must be the first member, because the
// server's pointer to it is also a pointer to this struct.
struct FirstRow {
    DestReceiver base;
    MemoryContext memory;   // of what is kept; must live until make_result()
    TupleDesc columns;      // of the rows; a row's own descriptor may lack the names
    JsonbParseState *json;  // the result object; opened with the first row, nullptr before
};
static_assert(std::is_standard_layout_v<FirstRow>);

// Returns a receiver that has seen no row yet.
FirstRow first_row_receiver(MemoryContext memory);

// Builds the result of a command from the completion and the first row of its last statement, in `keep`.
Result make_result(FirstRow &first, const QueryCompletion &completion, MemoryContext keep);

// Adds a value to an open jsonb object (place WJB_VALUE) or array (WJB_ELEM), as to_jsonb() converts it. A json value
// that jsonb cannot hold becomes its text.
void push_value(JsonbParseState **state, JsonbIteratorToken place, Oid type, Datum value, bool is_null);

// Returns a value that is not NULL as a complete jsonb, in the current memory context.
Jsonb *whole_value(Oid type, Datum value);

}  // namespace pgqueue::executor
