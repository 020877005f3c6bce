// What a committing transaction hands over, packed into pages before its commit, while waiting and failing are still
// allowed.
#pragma once
#include "handover/counts.hpp"

namespace pgqueue::handover {

struct TaskNote {
    SubTransactionId sub;
    Hint hint;
};

struct Packed {
    PageNo tasks, deltas;  // chains, the newest page first
    bool out_of_pages;     // something found no page: it is lost and read again from the rows
};

// Packs tasks and changes of counters of a database, with what may be in `out` already.
void pack(SlotNo db, const Notes<TaskNote> &tasks, const Notes<CountNote> &counts, Packed *out);

}  // namespace pgqueue::handover
