// Finds processes that hold a lock which others want.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::pg {

struct LockHolder {
    pid_t pid;  // 0: none
    Oid relation;
    LOCKMODE mode;  // the strongest one of the modes asked for
};
// Returns the process that holds the strongest of `modes` on a relation of the schema, in this database. Ignores this
// process and those in `except`.
LockHolder holder_of_lock(Oid schema, LOCKMASK modes, std::span<const pid_t> except);

// Returns the process whose open transaction has changed or locked a row's version; 0: none, or the transaction is
// prepared.
pid_t holder_of_version(HeapTupleHeader version);

}  // namespace pgqueue::pg
