// Makes receipts. A caller with the receipt of a retained task may end its attempt (task/outside.hpp).
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::task {

// Returns a random number, not 0, that identifies a new lease. Raises XX000 if the server has no random bytes.
int64 new_receipt();

}  // namespace pgqueue::task
