// Explains why a task does not run. Each check is a function that adds the reasons that it finds, the most basic ones
// first.
#pragma once
#include "api/call.hpp"
#include "dispatch/look.hpp"
#include "dispatch/position.hpp"
#include "store/queues.hpp"
#include "store/rows.hpp"

namespace pgqueue::api::why {

// The task, and what the checks need of its surroundings. The checks use shared memory only if `live`.
struct Case {
    store::TaskRow row;
    const store::QueueInfo *queue;
    const store::NamespaceInfo *ns;
    TimestampTz now;
    bool in_server;  // workers of the server run it, as role `runner`
    int32 runner;
    bool live;                      // shared memory knows the tasks of this database
    memory::SlotNo db, slot, role;  // -1 none
    dispatch::QueueLook look;
    dispatch::Position position;
};

struct Reason {
    const char *word, *message;
    const char *hint = nullptr;
    TimestampTz ready_at = 0;  // 0: unknown
};

constexpr int reasons_most = 24;

struct Reasons {
    Reason items[reasons_most];
    int count = 0;

    void add(const Reason &reason) {
        if (count < reasons_most) items[count++] = reason;
    }
};

using Check = void (*)(const Case &, Reasons *);

// Checks of the server and the database; of the task, its queue and namespace; of places to run. The last ones require
// that the task waits and is due.
void add_server(const Case &task, Reasons *reasons);
void add_waiting(const Case &task, Reasons *reasons);
void add_places(const Case &task, Reasons *reasons);

// Returns whether the task waits for its time or for other tasks, so that no ready list has it.
inline bool is_held_off(const Case &c) { return c.row.delayed_at > c.now || (c.row.flags & flag_waits) != 0; }

}  // namespace pgqueue::api::why
