// Receipts: who has the receipt of a retained task may end its attempt.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::task {

// A random number that no other lease has; not 0. Raises XX000 when the server has no random bytes.
int64 new_receipt();

}  // namespace pgqueue::task
