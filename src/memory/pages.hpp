// Layout of the pool's pages: tasks that wait, in lists, in the due heap and in groups, and the hand-over of a
// committing transaction. Part of shared.hpp, which describes the locks.
#pragma once
#include "core/ready_order.hpp"
#include "core/task_ref.hpp"
#include "core/token_bucket.hpp"
#include "memory/statistics.hpp"
#include "pg/atomic.hpp"

namespace pgqueue::memory {

using pg::Atomic;
using pg::AtomicSlot;

using PageNo = uint32;  // 0 none
using SlotNo = int32;   // index of a fixed array, -1 none
using GroupNo = int32;  // entry of a slab of groups, 0 none
constexpr Size page_bytes = 4096;

// The entry of a task in the due heap, or in a list of put-off tasks.
struct DueEntry {
    int64 due;   // TimestampTz; monotonic if the task was put off
    int64 dies;  // TimestampTz, 0 never
    TaskRef ref;
    SlotNo lane;  // of a task with a group key: grouped_due(queue), the scheduler reads its row
    int32 priority;
};
// The value of DueEntry::lane for a task with a group key, a test for it, and the queue in it.
constexpr SlotNo grouped_due(SlotNo queue) { return -2 - queue; }
inline bool is_grouped(const DueEntry &e) { return e.lane < -1; }
inline SlotNo queue_of_grouped(const DueEntry &e) { return -2 - e.lane; }

// How a task with a group key joins its group (docs/internals/groups.md).
enum class Arrival : uint8 {
    Behind,   // behind the others
    InFront,  // it was taken before: in front of the others
    InPlace   // it may be in the group already, and keeps its place
};

// Why a task that cannot be taken now is put off for a while. dispatch/due.hpp says for how long.
enum class Wait : uint8 {
    None,
    Look,     // not put off: the scheduler reads its row
    Locked,   // another transaction holds its row
    Suspect,  // another suspect runs
    Failed,   // an operation on the task failed
};
constexpr int wait_kinds = 4;  // without None

// A task to be filed: ready, due at a time, or put off.
struct Hint {
    TaskRef ref;
    SlotNo lane;
    int32 priority;
    TimestampTz due;   // 0 at once
    TimestampTz dies;  // 0 never
    uint64 group;      // hash of its group key, 0 none
    Arrival arrival;
    Wait wait = Wait::None;  // if not None, due is 0
};

// A change of a count that a transaction hands over.
struct Delta {
    SlotNo slot;  // of a queue; for edges, of a namespace
    int8 from;    // Status, -1 none (a new row)
    int8 to;      // Status, -1 none (a removed row)
    int32 count;
};

// Ready: tasks of one lane and one priority. Mixed: of one lane. Hints: ready tasks of several lanes of a namespace.
// Grouped: tasks with a group key of a namespace. Times: a histogram.
enum class PageKind : uint8 { Ready, Mixed, Hints, Due, Grouped, Deltas, Slab, Times };

// An entry of a page of ready tasks with several priorities.
struct MixedEntry {
    TaskRef ref;
    int32 priority;
};

constexpr Size page_header = 48;

// One page of the pool: part of a list, part of a slab (memory/slab.hpp), or part of the hand-over of a committing
// transaction.
struct Page {
    PageNo next;
    PageNo prev;   // of a slab
    uint16 head;   // first entry still there
    uint16 count;  // end of the entries
    PageKind kind;
    TransactionId xid;  // for a hand-over of deltas
    SlotNo lane;        // for a hand-over of tasks
    int32 priority;     // for a page of kind Ready
    int64 min_dies;     // earliest dies_at of the entries, INT64_MAX none
    int64 since;        // when its first entry became ready, by the monotonic clock (for aging)
    union {
        TaskRef ready[(page_bytes - page_header) / sizeof(TaskRef)];
        MixedEntry mixed[(page_bytes - page_header) / sizeof(MixedEntry)];
        DueEntry due[(page_bytes - page_header) / sizeof(DueEntry)];
        Hint hints[(page_bytes - page_header) / sizeof(Hint)];
        char slab[page_bytes - page_header];
        Delta deltas[(page_bytes - page_header) / sizeof(Delta)];
        Times times;
        uint32 slots[(page_bytes - page_header) / sizeof(uint32)];  // places in the spill file, in order
    };
};
static_assert(sizeof(Page) <= page_bytes);
constexpr int ready_per_page = sizeof(Page::ready) / sizeof(TaskRef);
constexpr int mixed_per_page = sizeof(Page::mixed) / sizeof(MixedEntry);
constexpr int due_per_page = sizeof(Page::due) / sizeof(DueEntry);
constexpr int hints_per_page = sizeof(Page::hints) / sizeof(Hint);
constexpr int deltas_per_page = sizeof(Page::deltas) / sizeof(Delta);
constexpr int slots_per_page = sizeof(Page::slots) / sizeof(uint32);

// The i-th entry of a page of ready tasks.
inline const TaskRef &ready_ref(const Page &p, int i) {
    return p.kind == PageKind::Mixed ? p.mixed[i].ref : p.ready[i];
}
inline int32 ready_priority(const Page &p, int i) {
    return p.kind == PageKind::Mixed ? p.mixed[i].priority : p.priority;
}

// The place in the spill file of a page of a list. Entry of a slab.
struct FilePlace {
    uint32 slot;  // number of the place + 1, 0 free
    int32 next;   // place of the next page of the list, 0 none; or the next free one
    int64 since;  // of the page
    bool used() const { return slot != 0; }
};

// A FIFO of entries as a chain of pages. While `spilled` > 0 the order is: front pages, file pages, back pages.
struct PageList {
    PageNo front, front_last;
    PageNo back, back_last;
    int32 places, last_place;  // of its pages in the file, in order [written by the scheduler only]
    uint32 spilled;            // pages in the file
    bool wanted;               // somebody has looked for the first page in the file
    bool moving;               // the scheduler writes or reads pages of it outside the lock
    int64 read_at;             // when a page was last read from the file (monotonic), 0 never
    int64 count;               // entries, including those in the file
    int64 min_dies;            // lower bound over all entries, INT64_MAX none
};

// Entries of one size in pages. Pages with a free place come first.
struct Slab {
    PageNo first, last;
    int32 pages, used;  // entries used
};

// A task that waits in its group.
struct GroupNode {
    TaskRef ref;       // id 0: free
    int64 since;       // may start from this time on (monotonic), as its hint said; 0 at once, without aging
    TimestampTz dies;  // 0 never
    SlotNo lane;
    int32 priority;
    int32 next;  // the node behind it, 0 none; or the next free one
    bool again;  // it was taken before

    bool used() const { return ref.id != 0; }
};

// The tasks of one key in a queue. Under the namespace's lock.
struct Group {
    uint64 key;  // 0: free
    SlotNo queue;
    GroupNo next;        // in the hash chain, or the next free one
    int32 first, last;   // nodes, 0 none
    int32 running;       // retained
    SlotNo ready_in;     // the lane in which it is a ready group, -1 none
    bool throttled;      // it is among the groups of its queue that wait for a token
    bool timed;          // the due heap, or a list of put-off tasks, has an entry for the head
    OrderLinks links;    // in the order of ready or of throttled groups
    int64 rank;          // there: rank by priority, with aging by virtual time; or the time of its next token
    int64 head_id;       // there: the task at the head
    TokenBucket bucket;  // for group_rate_limit

    bool used() const { return key != 0; }
};

}  // namespace pgqueue::memory
