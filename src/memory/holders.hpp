// Holders of tasks, and sessions that wait for them: workers of the server, outside workers, waiting sessions. Part of
// shared.hpp, which describes the locks.
#pragma once
#include "memory/pages.hpp"

namespace pgqueue::memory {

constexpr int max_batch = 32;  // most tasks that one worker holds at once

enum class WorkerState : uint32 { Free, Starting, Idle, Busy, Ended };
// Why a worker ended: by itself (its task crashed it, or it left), with the server, by the signal of another process,
// at a timeout of the server, before it had started, or because its task ran on after its run limit or its dies_at.
enum class EndedBy : uint32 { Itself, Shutdown, Order, Timeout, Unborn, RunLimit, Expiry };
enum class HoldState : uint32 { None, Popped, Claimed, Running, Taken };

// What a held task takes of the limits: a place in its queue and namespace, and in its group (0: it has none).
struct LimitPlace {
    SlotNo queue;
    GroupNo group;
};

// A task that a worker has popped. The worker writes it. The scheduler reads it after the worker has ended, or takes it
// back.
struct Hold {
    TaskRef ref;
    SlotNo queue;
    GroupNo group;
    int32 priority;
    int32 attempt;
    int64 receipt;
    Atomic<HoldState> state;
};

constexpr int progress_note_bytes = 128;
constexpr int cancel_reason_bytes = 256;

// A worker process of the server, or a free slot for one.
// What the running task has cost so far (core/costs.hpp).
struct LiveCosts {
    Atomic<bool> known;  // false: not measured yet
    Atomic<int64> cpu_us, wal_bytes, blocks_hit, blocks_read, blocks_dirtied, temp_bytes;
};

struct WorkerSlot {
    Atomic<WorkerState> state;
    SlotNo db, role;    // workers lock while Free to Starting, then immutable until Free
    uint32 generation;  // grows with each use
    pid_t pid;          // 0: its process has not begun
    int procno;
    Atomic<int64> leave;       // since when it has been asked to end after its task (monotonic); 0: it has not
    Atomic<EndedBy> ended_by;  // written at its end
    Atomic<bool> giving_back;  // the scheduler has asked it to return tasks that do not run
    Atomic<int64> cancel_id;   // task to cancel, 0 none: that attempt, or the task after it (worker/late_cancel)
    Atomic<int32> cancel_attempt;
    char cancel_reason[cancel_reason_bytes];  // '' none; workers lock
    // the next three are monotonic
    Atomic<int64> since;    // last change of state
    Atomic<int64> joined;   // start of the process
    Atomic<int64> started;  // start of the running task
    // signal/progress.hpp
    Atomic<uint64> progress;  // as the running task reported it, 0: not yet
    Atomic<uint32> progress_turn;
    char progress_note[progress_note_bytes];
    LiveCosts costs;  // signal/live_costs.hpp
    Atomic<int32> n_holds;
    Hold holds[max_batch];
};

// How long a lease holds: from when to when by the monotonic clock, and until when by its row.
struct LeaseTime {
    int64 given;        // when it was given or extended
    int64 ends;         // 0: as long as its session
    TimestampTz until;  // as in the row
};

// Reserved: a session has it for a task that it will pop. Popped: for a popped task whose row still waits. Held: for a
// task whose row is retained; it is in the chain of the task's id.
enum class LeaseState : uint32 { Free, Reserved, Popped, Held };

// What the scheduler owes the row of a task whose holder is gone. The entry remains until that is written, however
// often the row is locked or the transaction fails.
enum class Owed : uint8 {
    Nothing,
    Check,       // its lease was restored from the row, which may have changed since
    PutBack,     // popped by a worker that ended
    GiveBack,    // held, but not begun, or held by no process
    Crash,       // its process ended by itself, or with the server, while the task ran
    Terminated,  // an administrator ended its process while the task ran
    TimedOut,    // the server ended its process at transaction_timeout while the task ran
    RunLimit,    // it ran on after its run limit, so its process was ended
    Expired,     // it ran on after its dies_at, so its process was ended
    Charge,      // it ran when the server crashed, and the crash lost its claim
};

// A task that an outside worker holds, or is about to hold. While it is Held, it is under the lease lock of its id.
// Otherwise only its session writes it.
struct Lease {
    Atomic<LeaseState> state;
    int64 id;  // 0 while it is not Held
    int64 receipt;
    TaskRef ref;
    SlotNo db, queue;
    GroupNo group;
    int32 priority;
    int32 attempt;
    LeaseTime time;
    TimestampTz dies;   // dies_at of the task, 0 never: no lease extends beyond it
    uint64 session_no;  // of the session that retained it
    pid_t session;      // the process that retained it, 0: it has ended, or belonged to an earlier life of the server
    int procno;         // of that process
    Oid role;           // the role that retained it, InvalidOid: unknown since the server started
    bool bound;         // it ends with that process
    bool ended;         // its session has ended
    Owed owed;
    SlotNo next;  // in the hash chain, or free list
};

// A session that sleeps until a queue has a ready task. The session writes the fields before it sets `state` to
// Waiting.
enum class WaitState : uint32 { Free, Filling, Waiting, Woken };
constexpr int waited_queues = 32;

struct TaskWaiter {
    Atomic<WaitState> state;
    SlotNo db, ns;
    int32 n_queues;  // 0: any queue of the namespace
    SlotNo queues[waited_queues];
    int procno;
    // for the view of workers
    pid_t pid;
    Oid role;
    TimestampTz since;
};

// A session that sleeps until a task ends.
struct ResultWaiter {
    Atomic<int64> task_id;  // 0 free
    SlotNo db;
    int procno;
};

}  // namespace pgqueue::memory
