// Ids of new tasks.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::store {

// Returns the next id of the sequence.
int64 next_id();
// Fills `ids` with as many ids of the sequence, in ascending order.
void next_ids(std::span<int64> ids);

}  // namespace pgqueue::store
