// Runs one SQL command of a task in this process. Knows nothing of queues, rows of tasks or shared memory.
#pragma once
#include "pg/backend.hpp"
#include "pg/error.hpp"

namespace pgqueue::executor {

// How a command has to run; decided from its parse tree before anything runs.
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

// Parses the command and finds its mode. Needs no transaction. Raises on a syntax error, on an empty command (22023),
// on transaction control and on COPY from or to the client (0A000). The parse list lives in the current memory context.
struct Parsed {
    const char *sql;
    List *statements;  // of RawStmt
    Mode mode;
};
Parsed parse(const char *sql);

// Runs a parsed command as the session's current role inside the open transaction; each statement sees those before it
// and is under statement_timeout. Afterwards a transaction is open (TopLevel: perhaps another one than before;
// `switched` tells). Raises what the command raises. The result is allocated in `keep`, which must outlive the
// transaction and be reset by the caller after the task (working memory of a command that failed is below it). Nothing
// may have set a snapshot in this transaction before: SET TRANSACTION and VACUUM want to be first.
Result run(const Parsed &parsed, MemoryContext keep, bool *switched);

// Runs a parsed command inside another statement (run_task): not at top level, no timeout of its own, same result.
// What cannot run in a transaction block raises 25001; CALL and DO run, but cannot commit.
Result run_nested(const Parsed &parsed, MemoryContext keep);

// --- the session of a worker ---

// Connects this background worker to database and role: the session is that role, with its and the database's settings.
// FATAL when database or role does not exist, or (28000) when can_login is given and the role may not log in (any
// more). can_login is pg_authid.rolcanlogin as the caller has read it; false is always safe.
void connect(Oid database, Oid role, bool can_login);

// Back to the state right after connect(): settings, role, temporary tables, prepared statements, cursors, advisory
// locks, sequences, replication origin and temporary slots. Cheap when the task touched nothing. Call outside a
// transaction, also after a failed task. If it raises, the session is not clean: the caller must end the process.
void reset_session();

// CPU seconds and WAL bytes used by this process since the last mark.
struct Costs {
    double cpu_seconds;
    int64 wal_bytes;
};
void mark_costs();
Costs costs_since_mark();

}  // namespace pgqueue::executor
