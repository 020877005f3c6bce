// Parses the text of a command into statements, and finds the mode in which they have to run.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::executor {

// How a command has to run. Decided from its parse tree before execution.
enum class Mode {
    Transaction,  // in one transaction with the release: exactly once
    TopLevel,  // alone and outside a transaction block (VACUUM, CREATE INDEX CONCURRENTLY, CALL, DO, ...): may commit
               // by itself
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

}  // namespace pgqueue::executor
