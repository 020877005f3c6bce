// Where a task's row is: root of its HOT chain, and the id that tells whether the row is still that task.
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
