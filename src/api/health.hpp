// Problems for view health, and the functions that write them.
#pragma once
#include "dispatch/survey.hpp"
#include "memory/shared.hpp"
#include "pg/clock.hpp"
#include "store/catalog.hpp"
#include "store/queues.hpp"

namespace pgqueue::api {

// A row of the view. ns_id, queue_id: of one of them, 0 none; pid: of the session to blame, 0 none; since: 0 not known;
// problems: how many of its kind it stands for, of which it is the first.
struct Problem {
    const char *severity, *word, *message, *hint;
    int32 ns_id = 0, queue_id = 0;
    int pid = 0;
    TimestampTz since = 0;
    int64 problems = 1;
};

// Adds the row.
void put(ReturnSetInfo *info, const Problem &problem);

// Returns "1 ready task waits", "2 ready tasks wait".
const char *waiting(int64 ready);
// Returns "is" or "are".
const char *are(int64 n);
// Returns a time of the monotonic clock as a time of the wall clock; 0 stays 0.
TimestampTz shown(const pg::Atomic<int64> *monotonic, const pg::Moment &now);

// What is owed for longer than this, in microseconds, is a problem.
constexpr int64 owed_patience = 5 * int64(USECS_PER_SEC);
// Returns the statement that ends a session.
const char *end_session(pid_t pid);

// Sums over the queues of a namespace.
struct QueueSums {
    int64 ready = 0;    // tasks in queues that are not paused
    int64 outside = 0;  // of these, for outside workers
    int64 hinted = 0;   // waiting tasks
};

// What the caller may see of a database in one look at all queues. wanted, sums: by slot of the namespace.
struct Survey {
    memory::SlotNo db;
    pg::Moment now;
    const bool *wanted;
    std::span<const dispatch::QueueSurvey> queues;
    const QueueSums *sums;
};

// A queue with a problem. problems: as in Problem.
struct HealthCase {
    memory::SlotNo queue;
    const store::NamespaceInfo *ns;
    const store::QueueInfo *info;
    pg::Moment now;
    int64 problems;
};

// A kind of problem of queues. found() uses the survey only, so that it is cheap for all queues. write() writes the
// row, and returns whether it is still needed. time() orders the queues: the least comes first, 0 not known.
struct QueueProblem {
    bool (*found)(const dispatch::QueueSurvey &queue, const pg::Moment &now);
    bool (*write)(ReturnSetInfo *info, const HealthCase &c);
    int64 (*time)(const dispatch::QueueSurvey &queue);
    bool uncertain = false;  // only write() decides; until then those that may be late count
};

// Ready tasks wait for longer than pgqueue.health_wait; pgqueue.health_failures failed tasks are kept.
bool may_be_late(const dispatch::QueueSurvey &queue, const pg::Moment &now);
bool write_late(ReturnSetInfo *info, const HealthCase &c);
bool has_failed_pile(const dispatch::QueueSurvey &queue, const pg::Moment &now);
bool write_failed_pile(ReturnSetInfo *info, const HealthCase &c);
// Returns whether the times of the lists say that tasks are late.
bool seems_late(const dispatch::QueueSurvey &queue, const pg::Moment &now);

// Write what is wrong with the queues, with the workers of roles, with a namespace. Of the queues of a namespace with
// the same kind of problem only the first problems_shown have a row of their own, and one more row stands for the
// others.
constexpr int problems_shown = 10;
void put_queues(ReturnSetInfo *info, const Survey &survey);
void put_roles(ReturnSetInfo *info, const Survey &survey);
void put_namespace(ReturnSetInfo *info, memory::SlotNo ns, const Survey &survey);

}  // namespace pgqueue::api
