// Runs one SQL command of a task in this process. Does not know queues, rows of tasks or shared memory.
#pragma once
#include "pg/backend.hpp"
#include "pg/error.hpp"

namespace pgqueue::executor {

// How a command has to run. Decided from its parse tree before execution.
enum class Mode {
    Transaction,  // in one transaction with the release: exactly once
    TopLevel,  // alone and outside a transaction block (VACUUM, CREATE INDEX CONCURRENTLY, CALL, DO, ...): may commit
               // by itself
};

struct Result {
    const char *tag;  // command tag of the last statement, e.g. "SELECT 3"
    int64 rows;       // rows processed by the last statement
    Jsonb *json;      // {"tag":...,"rows":...,"first":{...}}; first only for a statement that returned a row
};

// A parsed command. The parse tree is in the memory context that was current in parse().
struct Parsed {
    const char *sql;
    List *statements;  // of RawStmt
    Mode mode;
};
// Parses a command and finds its mode. Needs no transaction. Raises 42601 on a syntax error, 22023 on an empty command,
// and 0A000 on transaction control and on COPY from or to the client.
Parsed parse(const char *sql);

// Runs a parsed command as the session's current role inside the open transaction. Each statement sees the effects of
// those before it, and is under statement_timeout. Afterwards a transaction is open; *switched: it may be another one
// than before (only for TopLevel). Raises what the command raises. The result is allocated in `keep`, which must
// outlive the transaction. The caller resets `keep` after the task, which also frees the memory of a failed command. No
// snapshot may have been set in this transaction, because SET TRANSACTION and VACUUM must come first.
Result run(const Parsed &parsed, MemoryContext keep, bool *switched);

// Runs a parsed command inside another statement (run_task): not at top level, and without a timeout. The result is the
// same. A command that cannot run in a transaction block raises 25001. CALL and DO run, but cannot commit.
Result run_nested(const Parsed &parsed, MemoryContext keep);

// --- the session of a worker ---

// Connects this background worker to a database as a role. The session gets the settings of both. FATAL if the database
// or role does not exist. FATAL with 28000 if can_login is true and the role may not log in any more. can_login is
// pg_authid.rolcanlogin as the caller has read it; false is always safe.
void connect(Oid database, Oid role, bool can_login);

// Resets the session to its state after connect(): settings, role, temporary tables, prepared statements, cursors,
// advisory locks, sequences, replication origin and temporary replication slots. Cheap if the task used none of them.
// Must be called outside a transaction, and also after a failed task. If it raises, the caller must end the process.
void reset_session();

// CPU seconds and WAL bytes that this process has used since the last mark.
struct Costs {
    double cpu_seconds;
    int64 wal_bytes;
};
// Set the mark, and return the costs since.
void mark_costs();
Costs costs_since_mark();

}  // namespace pgqueue::executor
