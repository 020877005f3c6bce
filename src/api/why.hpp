// Why a task does not run: a table of checks, each a function that adds the reasons it knows. Most basic first, in the
// order of the table.
#pragma once
#include "api/call.hpp"
#include "dispatch/look.hpp"
#include "dispatch/position.hpp"
#include "store/rows.hpp"

namespace pgqueue::api::why {

// The task, and what the checks need of its surroundings. Memory is asked only while `live`.
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
    TimestampTz ready_at = 0;  // 0: not known
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

// Checks about the server and the database; about the task, its queue and namespace; about places to run. The task
// waits and is due for the last ones.
void add_server(const Case &task, Reasons *reasons);
void add_waiting(const Case &task, Reasons *reasons);
void add_places(const Case &task, Reasons *reasons);

// It waits for its time or for other tasks: no list has it.
inline bool is_held_off(const Case &c) { return c.row.delayed_at > c.now || (c.row.flags & flag_waits) != 0; }

}  // namespace pgqueue::api::why
