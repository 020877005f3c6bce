// The result of a command: its tag, its row count and its first row as jsonb.
#pragma once
#include "executor/executor.hpp"

namespace pgqueue::executor {

// Takes the rows of a statement: keeps the first, drops the others. `base` comes first: the server's pointer to it is a
// pointer to us.
struct FirstRow {
    DestReceiver base;
    MemoryContext memory;   // of what is kept; must live until make_result()
    TupleDesc columns;      // of the rows that come; a row's own descriptor may lack the names
    JsonbParseState *json;  // the result object; opened with the first row, nullptr before
};
static_assert(std::is_standard_layout_v<FirstRow>);

// A receiver that has seen no row yet.
FirstRow first_row_receiver(MemoryContext memory);

// The whole result of a command from its last statement's completion and first row, in `keep`.
Result make_result(FirstRow &first, const QueryCompletion &completion, MemoryContext keep);

// Adds a value to an open jsonb object (place WJB_VALUE) or array (WJB_ELEM), as to_jsonb() shows it. A json value that
// jsonb cannot hold becomes its text.
void push_value(JsonbParseState **state, JsonbIteratorToken place, Oid type, Datum value, bool is_null);

// A value that is not NULL as a whole jsonb, in the current memory context.
Jsonb *whole_value(Oid type, Datum value);

}  // namespace pgqueue::executor
