// Priorities that share one list of ready tasks, and how such a list is split (dispatch/priorities.hpp).
#pragma once
#include <cstdint>

namespace pgqueue {

struct PriorityRange {
    std::int32_t from, to;  // both inclusive

    bool one() const { return from == to; }
    bool has(std::int32_t priority) const { return from <= priority && priority <= to; }
    void widen(std::int32_t priority) {
        from = priority < from ? priority : from;
        to = priority > to ? priority : to;
    }
    std::int64_t width() const { return std::int64_t{to} - from + 1; }

    // Returns into how many parts of equal width a list of `count` tasks is split, with about `of_part` tasks in each:
    // 1 to `most`.
    int parts(std::int64_t count, int of_part, int most) const {
        std::int64_t parts = count / of_part < width() ? count / of_part : width();
        return parts < 1 ? 1 : parts > most ? most : static_cast<int>(parts);
    }
    // Returns in which of `parts` parts a priority is. Priorities outside the range are in the first or the last part.
    int part_of(std::int32_t priority, int parts) const {
        if (priority < from) return 0;
        std::int64_t at = (std::int64_t{priority} - from) * parts / width();
        return at < parts ? static_cast<int>(at) : parts - 1;
    }
};

// Sorts n entries by priority, and keeps the order of entries with equal priority. For the few entries of a page.
template <typename Entry>
void sort_by_priority(Entry *entries, int n) {
    for (int i = 1; i < n; i++) {
        Entry e = entries[i];
        int at = i;
        for (; at > 0 && e.priority < entries[at - 1].priority; at--) entries[at] = entries[at - 1];
        entries[at] = e;
    }
}

}  // namespace pgqueue
