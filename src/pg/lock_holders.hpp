// Who has a lock that others want.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::pg {

struct LockHolder {
    pid_t pid;  // 0: none
    Oid relation;
    LOCKMODE mode;  // the strongest one of those asked for
};
// Another process, not one of `except`, that has one of the modes on a relation of the schema.
LockHolder holder_of_lock(Oid schema, LOCKMASK modes, std::span<const pid_t> except);

// The process whose open transaction has a row's version in hands; 0: none.
pid_t holder_of_version(HeapTupleHeader version);

}  // namespace pgqueue::pg
