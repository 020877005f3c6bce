// What keeps segments from being emptied: bits of Housekeeper::held_back.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::memory {

constexpr uint32 condemning_held = 1, truncation_held = 2;

}  // namespace pgqueue::memory
