// Runs one SQL command of a task in this process. Does not know queues, rows of tasks or shared memory.
#pragma once
#include "executor/parse.hpp"

namespace pgqueue::executor {

struct Result {
    const char *tag;  // command tag of the last statement, e.g. "SELECT 3"
    int64 rows;       // rows processed by the last statement
    Jsonb *json;      // {"tag":...,"rows":...,"first":{...}}; first only for a statement that returned a row
};

// Runs a parsed command as the session's current role inside the open transaction. Each statement sees the effects of
// those before it, and is under statement_timeout. Afterwards a transaction is open; *switched: it may be another one
// than before (only for TopLevel). Raises what the command raises. The result is allocated in `keep`, which must
// outlive the transaction. The caller resets `keep` after the task, which also frees the memory of a failed command. No
// snapshot may have been set in this transaction, because SET TRANSACTION and VACUUM must come first.
Result run(const Parsed &parsed, MemoryContext keep, bool *switched);

// Runs a parsed command inside another statement (run_task): not at top level, and without a timeout. The result is the
// same. A command that cannot run in a transaction block raises 25001. CALL and DO run, but cannot commit.
Result run_nested(const Parsed &parsed, MemoryContext keep);

}  // namespace pgqueue::executor
