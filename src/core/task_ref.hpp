// Where a task's row is: the root of its HOT chain, and the id, which shows whether the row is still that task's.
#pragma once
#include <cstdint>

namespace pgqueue {

struct TaskRef {
    std::int64_t id;
    std::uint32_t block;
    std::uint16_t offset;
    std::uint8_t segment;
};
static_assert(sizeof(TaskRef) == 16);

}  // namespace pgqueue
