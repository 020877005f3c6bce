// Tasks that wait for others. The scheduler checks here what commits have posted, so that a session that ends a task
// waits for nothing. A turn does a limited part of it, and namespaces take turns. The rest is kept in the memory of
// this process, and is found again in the tables when the process ends.
#include "worker/scheduler/scheduler.hpp"

#include "pg/guards.hpp"
#include "pg/testpoint.hpp"
#include "signal/settle_posts.hpp"
#include "task/settle.hpp"

namespace pgqueue::worker::scheduler {
namespace {

using Stage = task::Settling::Stage;

constexpr int rows_in_turn = 256, rows_in_step = 64, jobs_in_step = 64;
constexpr int looks_in_turn = 1024;  // at what is new
constexpr int walk_below = 256;      // of those, and of all jobs the half of:
constexpr int most_jobs = 64 * 1024;
constexpr int64 recheck_after = 20 * 1000;
constexpr int64 look_after_failure = USECS_PER_SEC;
constexpr int patient_after = 100;  // checks of a task whose row another transaction holds
constexpr int32 new_jobs = -1;

// A task that is being checked.
struct Job {
    int64 id;  // key
    task::Settling s;
    dlist_node link;  // in its line, or in a list of resting jobs
    bool posted;      // meanwhile it was posted: it begins anew
    bool alone;       // a step has failed: its next step runs alone
    int rests;
    pg::Deadline until;
};

// The jobs of a namespace, or the jobs that are new.
struct Line {
    int32 namespace_id;  // key
    dlist_head jobs;
    int count;
    dlist_node link;  // in the list of lines with jobs, except the new ones
};

// Returns the first element of a list that is not empty.
template <typename T>
T *first_of(dlist_head *list) {
    return reinterpret_cast<T *>(reinterpret_cast<char *>(dlist_head_node(list)) - offsetof(T, link));
}

// The walk over all tables, one kind after the other. Each dropped queue requests a walk, and users may drop queues
// without end. So walks take at most a quarter of the time (T4).
struct Walk {
    bool on, begun;
    int kind;
    int64 after;
    pg::Deadline again;  // not before: after the last one, or after a failure
};

constinit HTAB *jobs = nullptr;
constinit HTAB *lines = nullptr;
constinit dlist_head ring{};
constinit dlist_head resting[2] = {};  // for recheck_after and for look_after_failure, each in order
constinit Walk walk{};
constinit int64 walk_spent = 0;
constinit pg::Deadline next_walk{};

HTAB *table_of(const char *name, Size key, Size entry) {
    HASHCTL control{};
    control.keysize = key;
    control.entrysize = entry;
    control.hcxt = self.lasting;
    return hash_create(name, 256, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

void begin() {
    if (jobs != nullptr) return;
    dlist_init(&ring);
    for (dlist_head &list : resting) dlist_init(&list);
    lines = table_of("pgqueue namespaces with tasks that wait", sizeof(int32), sizeof(Line));
    jobs = table_of("pgqueue tasks that wait", sizeof(int64), sizeof(Job));
}

Line *line_of(int32 namespace_id) {
    bool found;
    auto *line = static_cast<Line *>(hash_search(lines, &namespace_id, HASH_ENTER, &found));
    if (!found) {
        dlist_init(&line->jobs);
        line->count = 0;
    }
    return line;
}

void line_up(Job *job, bool first) {
    Line *line = line_of(job->s.stage == Stage::Look ? new_jobs : job->s.namespace_id);
    if (line->count++ == 0 && line->namespace_id != new_jobs) dlist_push_tail(&ring, &line->link);
    first ? dlist_push_head(&line->jobs, &job->link) : dlist_push_tail(&line->jobs, &job->link);
}

void begin_anew(Job *job, bool all_are_seen) {
    job->s = task::Settling{};
    job->s.id = job->id;
    job->s.all_are_seen = all_are_seen;
}

// Returns false if there are too many.
bool add_job(int64 id, bool all_are_seen) {
    bool found;
    if (hash_get_num_entries(jobs) >= most_jobs && hash_search(jobs, &id, HASH_FIND, nullptr) == nullptr) return false;
    auto *job = static_cast<Job *>(hash_search(jobs, &id, HASH_ENTER, &found));
    if (found) {
        job->posted = true;
        return true;
    }
    job->posted = job->alone = false;
    job->rests = 0;
    begin_anew(job, all_are_seen);
    line_up(job, false);
    return true;
}

void have_rest(Job *job, const pg::Moment &now, bool failed) {
    job->s.rest = false;
    failed = failed || ++job->rests > patient_after;
    job->until = now.in(failed ? look_after_failure : recheck_after);
    dlist_push_tail(&resting[failed], &job->link);
}

// Called after a step was committed.
void put_back(Job *job, const pg::Moment &now) {
    if (job->s.batch.key != nullptr && job->s.stage != Stage::Batch) {
        pfree(job->s.batch.key);
        job->s.batch.key = nullptr;
    }
    if (job->s.stage == Stage::Done && job->posted) {
        job->posted = false;
        begin_anew(job, false);
    }
    if (job->s.stage == Stage::Done)
        hash_search(jobs, &job->id, HASH_REMOVE, nullptr);
    else if (job->s.rest)
        have_rest(job, now, false);
    else
        line_up(job, false);
}

struct Step {
    Job *jobs[jobs_in_step];
    task::Settling before[jobs_in_step];
    int count, done;  // jobs taken off their line; of these, processed
};

void take_off(Line *line, Step *step) {
    step->count = step->done = 0;
    while (step->count < jobs_in_step && line->count > 0) {
        auto *job = first_of<Job>(&line->jobs);
        if (job->alone && step->count > 0) break;
        dlist_delete(&job->link);
        if (--line->count == 0 && line->namespace_id != new_jobs) dlist_delete(&line->link);
        step->before[step->count] = job->s;
        step->jobs[step->count++] = job;
        if (job->alone) break;
    }
}

// Copies the key of a batch, which must outlive the transaction.
void keep_key(Job *job, const task::Settling &before) {
    store::Batch *batch = &job->s.batch;
    if (batch->key == nullptr || batch->key == before.batch.key) return;
    pg::MemoryScope scope(self.lasting);
    batch->key = DatumGetTextPCopy(PointerGetDatum(batch->key));
}

// Continues the jobs of a step in one transaction. Returns the number of rows. New jobs only get their first stage.
int work_on(Step *step, bool new_ones) {
    int rows = 0;
    PGQUEUE_TESTPOINT("scheduler-settling");
    TimestampTz now = GetCurrentTimestamp();
    for (; step->done < step->count && rows < rows_in_step; step->done++) {
        Job *job = step->jobs[step->done];
        do rows += task::settle(&job->s, now);
        while (!new_ones && rows < rows_in_step && job->s.stage != Stage::Done && !job->s.rest);
    }
    for (int i = 0; i < step->done; i++) keep_key(step->jobs[i], step->before[i]);
    return rows;
}

// A job that fails alone waits. Jobs that failed together are tried one by one.
void take_back(Step *step, const pg::Moment &now) {
    bool alone = step->count == 1;
    for (int i = 0; i < step->count; i++) {
        Job *job = step->jobs[i];
        job->s = step->before[i];
        job->alone = true;
        if (alone)
            have_rest(job, now, true);
        else
            line_up(job, false);
    }
}

// Processes some jobs of a line. Returns how many rows were read.
int step_of(Line *line, const pg::Moment &now) {
    Step step;
    int rows = 0;
    bool new_ones = line->namespace_id == new_jobs;
    take_off(line, &step);
    if (!transact("look at tasks that wait for others", [&] { rows = work_on(&step, new_ones); })) {
        take_back(&step, now);
        return rows_in_step;
    }
    for (int i = step.count; i-- > step.done;) line_up(step.jobs[i], true);
    for (int i = 0; i < step.done; i++) {
        step.jobs[i]->alone = false;
        put_back(step.jobs[i], now);
    }
    return rows;
}

void wake_rested(const pg::Moment &now) {
    for (dlist_head &list : resting)
        while (!dlist_is_empty(&list)) {
            auto *job = first_of<Job>(&list);
            if (!job->until.passed(now)) break;
            dlist_delete(&job->link);
            line_up(job, false);
        }
}

void take_posts() {
    int64 ids[memory::settle_posts];
    int n = signal::take_posted(self.db, ids);
    bool all = signal::take_posted_all(self.db);
    for (int i = 0; i < n; i++) all = !add_job(ids[i], false) || all;
    if (!all) return;
    // A walk that has begun has passed some of them already.
    if (walk.begun)
        signal::post_settle_all(self.db, signal::Wake::Quiet);
    else
        walk = {true, false, 0, 0, next_walk};
}

bool may_walk(const pg::Moment &now) {
    return walk.on && walk.again.passed(now) && line_of(new_jobs)->count < walk_below &&
           hash_get_num_entries(jobs) < most_jobs / 2;
}

// Reads a part of the tables. Returns false if that is not possible now.
bool walk_on(const pg::Moment &now) {
    store::Ids ids{nullptr, 0};
    if (!may_walk(now)) return false;
    walk.begun = true;
    bool ok = transact("read which tasks wait for others", [&ids] {
        MemoryContext before = MemoryContextSwitchTo(self.scratch);
        ids = store::involved_in(static_cast<store::Involved>(walk.kind), walk.after);
        MemoryContextSwitchTo(before);
    });
    if (!ok) walk.again = now.in(look_after_failure);
    if (!ok) return false;
    for (int i = 0; i < ids.count; i++) add_job(ids.items[i], true);
    if (ids.count > 0)
        walk.after = ids.items[ids.count - 1];
    else if (walk.kind + 1 < store::involved_kinds)
        walk = {true, true, walk.kind + 1, 0, {}};
    else
        walk = {};
    return walk.on;
}

// Processes new jobs, and those that the walk adds.
void look_at_new(const pg::Moment &now) {
    Line *fresh = line_of(new_jobs);
    bool walks = walk.on && walk.again.passed(now);
    int64 began = pg::monotonic_now();
    for (int looks = 0; looks < looks_in_turn && (fresh->count > 0 || walk_on(now));)
        looks += fresh->count > 0 ? step_of(fresh, now) : store::some_rows;
    if (!walks) return;
    walk_spent += pg::monotonic_now() - began;
    if (walk.on) return;
    next_walk = pg::this_moment().in(3 * walk_spent);
    walk_spent = 0;
}

// Processes all jobs of this turn.
void go_on(const pg::Moment &now) {
    look_at_new(now);
    for (int rows = 0; rows < rows_in_turn && !dlist_is_empty(&ring);) {
        auto *line = first_of<Line>(&ring);
        dlist_delete(&line->link);
        dlist_push_tail(&ring, &line->link);
        rows += Max(step_of(line, now), 1);
    }
}

}  // namespace

bool owes_settling() { return jobs != nullptr && (hash_get_num_entries(jobs) > 0 || walk.on); }

pg::Deadline settle_dependencies(const pg::Moment &now) {
    if (!signal::anything_posted(self.db) && !owes_settling()) return never;
    begin();
    if (signal::anything_posted(self.db)) take_posts();
    wake_rested(now);
    go_on(now);
    if (line_of(new_jobs)->count > 0 || !dlist_is_empty(&ring) || may_walk(now)) return now.in(0);
    if (!walk.on && signal::anything_posted(self.db)) return now.in(0);
    pg::Deadline next = walk.on ? walk.again : never;
    for (dlist_head &list : resting)
        if (!dlist_is_empty(&list)) next = Min(next, first_of<Job>(&list)->until);
    return next;
}

}  // namespace pgqueue::worker::scheduler
