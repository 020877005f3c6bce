// Who holds tasks, or waits for them: workers of the server, outside workers, sessions that wait. Part of shared.hpp,
// which says what the locks protect.
#pragma once
#include "memory/pages.hpp"

namespace pgqueue::memory {

constexpr int max_batch = 32;  // most tasks that one worker holds at once

enum class WorkerState : uint32 { Free, Starting, Idle, Busy, Ended };
// Why a worker ended: by itself (its task broke it, or it left), with the server, because somebody told it to, at a
// time-out of the server, before it was up, or because its task went on after its run limit or its dies_at.
enum class EndedBy : uint32 { Itself, Shutdown, Order, Timeout, Unborn, RunLimit, Expiry };
enum class HoldState : uint32 { None, Popped, Claimed, Running, Taken };

// What a held task takes of the limits: a place in its queue and namespace, and in its group (0: it is in none).
struct Place {
    SlotNo queue;
    GroupNo group;
};

// A task that a worker has popped; the owner writes it, the scheduler reads it after the worker ended or takes it back.
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

struct WorkerSlot {
    Atomic<WorkerState> state;
    SlotNo db, role;    // workers lock while Free to Starting, then immutable until Free
    uint32 generation;  // grows with each use
    pid_t pid;          // 0: its process has not begun
    int procno;
    Atomic<int64> leave;       // since when it has been asked to end after its task, by the monotonic clock; 0 not
    Atomic<EndedBy> ended_by;  // written at its end
    Atomic<bool> giving_back;  // scheduler asked: give back what is not running
    Atomic<int64> cancel_id;   // task to cancel, 0 none; honoured only while that very attempt runs
    Atomic<int32> cancel_attempt;
    char cancel_reason[cancel_reason_bytes];  // '' none; workers lock
    // by the monotonic clock
    Atomic<int64> since;    // last change of state
    Atomic<int64> joined;   // the process began
    Atomic<int64> started;  // the running task began
    // signal/progress.hpp
    Atomic<uint64> progress;  // as the running task told, 0: not
    Atomic<uint32> progress_turn;
    char progress_note[progress_note_bytes];
    Atomic<int32> n_holds;
    Hold holds[max_batch];
};

// How long a lease holds: since and until when by the monotonic clock, and what the row says of it.
struct LeaseTime {
    int64 given;        // when it was given or extended
    int64 ends;         // 0: with its session only
    TimestampTz until;  // as in the row
};

// Reserved: a session has it for a task that it is going to pop. Popped: for a task off the lists, whose row still
// waits. Held: for a task whose row is retained, in the chain of its id.
enum class LeaseState : uint32 { Free, Reserved, Popped, Held };

// What the scheduler owes the row of a task whose holder is gone: the entry stands until that is written, however often
// the row is locked or the transaction fails.
enum class Owed : uint8 {
    Nothing,
    Check,       // its lease was restored from the row, which may have changed since
    PutBack,     // popped by a worker that ended
    GiveBack,    // held, but not begun, or nobody's
    Crash,       // it ran when its process ended by itself, or with the server
    Terminated,  // it ran when an administrator ended its process
    TimedOut,    // it ran when the server ended its process at transaction_timeout
    RunLimit,    // it ran on after its run limit, and its process ended for that
    Expired,     // the same after its dies_at
    Charge,      // it ran when the server crashed, and its claim was lost with the crash
};

// A task that an outside worker holds, or is about to. Lease lock of its id while it is Held, else its session writes
// it alone.
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
    TimestampTz dies;   // dies_at of the task, 0 never: no lease reaches beyond it
    uint64 session_no;  // of the session that retained it
    pid_t session;      // process that retained it, 0: it has ended, or was before the server started
    int procno;         // of that process
    Oid role;           // that retained it, InvalidOid: not known since the server started
    bool bound;         // ends with that process
    bool ended;         // its session is gone
    Owed owed;
    SlotNo next;  // in the hash chain, or free list
};

// Somebody who sleeps until a queue has a ready task. Written by its owner before `state` says Waiting.
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

struct ResultWaiter {
    Atomic<int64> task_id;  // 0 free
    SlotNo db;
    int procno;
};

}  // namespace pgqueue::memory
