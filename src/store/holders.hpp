// Who has a row of ours in hands, for view health.
#pragma once
#include "pg/lock_holders.hpp"

namespace pgqueue::store {

// The process whose open transaction has the row of a task, or of a queue; 0: none.
pid_t holder_of_task(int64 id);
pid_t holder_of_queue(int32 id);

// A session with a lock on one of our tables in one of the modes.
pg::LockHolder holder_of_tables(LOCKMASK modes, std::span<const pid_t> except);

}  // namespace pgqueue::store
