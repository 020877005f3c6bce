// Finds processes that hold a row of ours, for view health.
#pragma once
#include "pg/lock_holders.hpp"

namespace pgqueue::store {

// Return the process whose open transaction has changed or locked the row of a task or of a queue; 0: none.
pid_t holder_of_task(int64 id);
pid_t holder_of_queue(int32 id);

// Returns the session that holds the strongest of `modes` on one of our tables. Ignores the processes in `except`.
pg::LockHolder holder_of_tables(LOCKMASK modes, std::span<const pid_t> except);

}  // namespace pgqueue::store
