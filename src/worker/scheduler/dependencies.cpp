// Tasks that wait for others. The scheduler checks here what commits have posted, so that a session that ends a task
// waits for nothing. A turn does a limited part of it, and namespaces take turns. The rest is kept in the memory of
// this process, and is found again in the tables when the process ends.
#include "worker/scheduler/scheduler.hpp"

#include "pg/guards.hpp"
#include "pg/testpoint.hpp"
#include "signal/dependency_posts.hpp"
#include "task/settle_dependencies.hpp"
#include "worker/scheduler/dependency_walks.hpp"

namespace pgqueue::worker::scheduler {
namespace {

using Stage = task::Settling::Stage;

constexpr int rows_in_turn = 512, rows_in_step = 64, jobs_in_step = 64;
constexpr int most_jobs = 8 * 1024;  // of a namespace
constexpr int walk_below = 64;       // jobs of the namespace that can go on
constexpr int64 recheck_after = 20 * 1000;
constexpr int64 look_after_failure = USECS_PER_SEC;
constexpr int patient_after = 100;  // checks of a task whose row another transaction holds
constexpr int32 not_known = 0;      // namespace

struct Line;

// A task that is being checked.
struct Job {
    int64 id;  // key
    task::Settling s;
    Line *line;
    dlist_node link;  // in its line, or in a list of resting jobs
    bool posted;      // meanwhile it was posted: it begins anew
    bool alone;       // a step has failed: its next step runs alone
    int rests;
    pg::Deadline until;
};

// The jobs and the walks of a namespace.
struct Line {
    int32 namespace_id;  // key; not_known: tasks that may have lost their hint
    dlist_head jobs;     // those that can go on
    int ready, count;    // jobs in this list; all
    Walks walks;
    dlist_head *in;  // the list of lines that it is in: ring, paused or nullptr
    dlist_node link;
};

// Returns the element with this link.
template <typename T>
T *at_link(dlist_node *link) {
    return reinterpret_cast<T *>(reinterpret_cast<char *>(link) - offsetof(T, link));
}
// Returns the first element of a list that is not empty.
template <typename T>
T *first_of(dlist_head *list) {
    return at_link<T>(dlist_head_node(list));
}

constinit HTAB *jobs = nullptr;
constinit HTAB *lines = nullptr;
constinit dlist_head ring{};        // lines that can go on
constinit dlist_head paused{};      // lines whose walks wait for their time
constinit dlist_head resting[2]{};  // jobs: for recheck_after and for look_after_failure, each in order
constinit int lost_hints = 0;       // jobs of tasks that may have lost their hint
constinit bool walk_all = false;    // a walk of all namespaces is requested, but they are not read yet
constinit pg::Deadline read_namespaces{};

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
    dlist_init(&paused);
    for (dlist_head &list : resting) dlist_init(&list);
    lines = table_of("pgqueue namespaces with tasks that wait", sizeof(int32), sizeof(Line));
    jobs = table_of("pgqueue tasks that wait", sizeof(int64), sizeof(Job));
}

Line *line_of(int32 namespace_id) {
    bool found;
    auto *line = static_cast<Line *>(hash_search(lines, &namespace_id, HASH_ENTER, &found));
    if (!found) {
        *line = Line{};
        line->namespace_id = namespace_id;
        dlist_init(&line->jobs);
    }
    return line;
}

bool may_walk(const Line &line, const pg::Moment &now) {
    return line.count < most_jobs / 2 && line.walks.next().passed(now);
}

// Moves a line to the list where it belongs. One that stays in the ring keeps its place.
void file(Line *line, const pg::Moment &now) {
    bool goes_on = line->ready > 0 || may_walk(*line, now);
    dlist_head *to = goes_on ? &ring : line->walks.next() == never ? nullptr : &paused;
    if (to == line->in) return;
    if (line->in != nullptr) dlist_delete(&line->link);
    if (to != nullptr) dlist_push_tail(to, &line->link);
    line->in = to;
}

// Adds a job to the list of its line. A task whose namespace was not known moves to another line.
void line_up(Job *job, bool first, const pg::Moment &now) {
    if (job->line->namespace_id != job->s.namespace_id) {
        job->line->count--;
        job->line = line_of(job->s.namespace_id);
        job->line->count++;
    }
    job->line->ready++;
    first ? dlist_push_head(&job->line->jobs, &job->link) : dlist_push_tail(&job->line->jobs, &job->link);
    file(job->line, now);
}

// Keeps whether the task may have lost its hint.
void begin_anew(Job *job, int32 namespace_id, bool all_are_seen) {
    const bool lost_hint = job->s.lost_hint;
    job->s = task::Settling{};
    job->s.lost_hint = lost_hint;
    job->s.id = job->id;
    job->s.namespace_id = namespace_id;
    job->s.all_are_seen = all_are_seen;
}

void request_walks(Line *line, const pg::Moment &now) {
    line->walks.request();
    file(line, now);
}

// Returns false if there are too many. A task whose namespace is not known may have lost its hint.
bool add_job(Line *line, int64 id, bool all_are_seen, const pg::Moment &now) {
    const bool lost_hint = line->namespace_id == not_known;
    bool found;
    if (line->count >= most_jobs && hash_search(jobs, &id, HASH_FIND, nullptr) == nullptr) return false;
    auto *job = static_cast<Job *>(hash_search(jobs, &id, HASH_ENTER, &found));
    lost_hints += lost_hint && !(found && job->s.lost_hint);
    if (found) {
        job->posted = true;
        job->s.lost_hint = job->s.lost_hint || lost_hint;
        return true;
    }
    job->posted = job->alone = false;
    job->rests = 0;
    job->line = line;
    job->s.lost_hint = lost_hint;
    line->count++;
    begin_anew(job, line->namespace_id, all_are_seen);
    line_up(job, false, now);
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
    job->alone = false;
    if (job->s.batch.key != nullptr && job->s.stage != Stage::Batch) {
        pfree(job->s.batch.key);
        job->s.batch.key = nullptr;
    }
    if (job->s.stage == Stage::Done && job->posted) {
        job->posted = false;
        begin_anew(job, job->s.namespace_id, false);
    }
    if (job->s.stage == Stage::Done) {
        job->line->count--;
        lost_hints -= job->s.lost_hint;
        hash_search(jobs, &job->id, HASH_REMOVE, nullptr);
    } else if (job->s.rest) {
        have_rest(job, now, false);
    } else {
        line_up(job, false, now);
    }
}

struct Step {
    Job *jobs[jobs_in_step];
    task::Settling before[jobs_in_step];
    int count;  // jobs taken off their line
    task::Settled settled;
};

void take_off(Line *line, Step *step) {
    step->count = 0;
    step->settled = {};
    while (step->count < jobs_in_step && line->ready > 0) {
        auto *job = first_of<Job>(&line->jobs);
        if (job->alone && step->count > 0) break;
        dlist_delete(&job->link);
        line->ready--;
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

// Continues the jobs of a step in one transaction.
void work_on(Step *step) {
    task::Settling *settling[jobs_in_step];
    PGQUEUE_TESTPOINT("scheduler-settling");
    for (int i = 0; i < step->count; i++) settling[i] = &step->jobs[i]->s;
    step->settled =
        task::settle({settling, static_cast<std::size_t>(step->count)}, rows_in_step, GetCurrentTimestamp());
    for (int i = 0; i < step->settled.jobs; i++) keep_key(step->jobs[i], step->before[i]);
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
            line_up(job, false, now);
    }
}

// Processes some jobs of a line. Returns how many rows were read. Adds the time that brought nothing to *looked: a step
// that only looked, or the looks of another one.
int step_of(Line *line, const pg::Moment &now, int64 *looked) {
    Step step;
    const int64 began = pg::monotonic_now();
    take_off(line, &step);
    if (!transact("look at tasks that wait for others", [&] { work_on(&step); })) {
        take_back(&step, now);
        return rows_in_step;
    }
    const int done = step.settled.jobs;
    for (int i = step.count; i-- > done;) line_up(step.jobs[i], true, now);
    for (int i = 0; i < done; i++) put_back(step.jobs[i], now);
    *looked += step.settled.went_on ? step.settled.looked : pg::monotonic_now() - began;
    return step.settled.rows;
}

// Reads a part of a table. Returns how many rows were read.
int walk_on(Line *line, const pg::Moment &now) {
    store::Ids ids{nullptr, 0};
    if (!line->walks.read(line->namespace_id, now, &ids)) return rows_in_step;
    for (int i = 0; i < ids.count; i++) (void)add_job(line, ids.items[i], true, now);
    return ids.count + 1;
}

// Processes a part of a line: of a walk, while few jobs can go on, and of its jobs. Returns how many rows were read.
int turn_of(Line *line, const pg::Moment &now) {
    const bool walks = may_walk(*line, now) && line->walks.choose(now);
    int64 spent = -pg::monotonic_now();
    int rows = walks && line->ready < walk_below ? walk_on(line, now) : 0;
    spent += pg::monotonic_now();
    if (line->ready > 0) rows += step_of(line, now, &spent);
    if (walks) line->walks.spend(spent);
    file(line, now);
    return rows;
}

void wake_rested(const pg::Moment &now) {
    for (dlist_head &list : resting)
        while (!dlist_is_empty(&list)) {
            auto *job = first_of<Job>(&list);
            if (!job->until.passed(now)) break;
            dlist_delete(&job->link);
            line_up(job, false, now);
        }
}

void wake_paused(const pg::Moment &now) {
    for (dlist_node *n = paused.head.next; n != &paused.head;) {
        auto *line = at_link<Line>(n);
        n = n->next;
        file(line, now);
    }
}

pg::Deadline next_to_wake() {
    pg::Deadline next = never;
    for (dlist_head &list : resting)
        if (!dlist_is_empty(&list)) next = Min(next, first_of<Job>(&list)->until);
    for (dlist_node *n = paused.head.next; n != &paused.head; n = n->next)
        next = Min(next, at_link<Line>(n)->walks.next());
    return next;
}

// Returns whether there was room for all.
bool add_posted(Line *line, const signal::Posted &posted, const pg::Moment &now) {
    bool all = true;
    for (int i = 0; i < posted.count; i++) all = add_job(line, posted.ids[i], false, now) && all;
    return all;
}

void take_posts(const pg::Moment &now) {
    signal::Posted posted;
    signal::begin_taking(self.db);
    if (signal::take_lost_hints(self.db, &posted)) {
        if (!add_posted(line_of(not_known), posted, now)) my_db().reading.lost.store(memory::Lost::Full);
        walk_all = walk_all || posted.all;
    }
    memory::each_namespace(self.db, [&](memory::SlotNo ns) {
        if (!signal::take_posted(ns, &posted)) return;
        Line *line = line_of(memory::map.namespaces[ns].ns_id);
        if (!add_posted(line, posted, now) || posted.all) request_walks(line, now);
    });
}

// Forgets namespaces without work, which may have been deleted.
void remove_idle_lines() {
    HASH_SEQ_STATUS all;
    hash_seq_init(&all, lines);
    while (auto *line = static_cast<Line *>(hash_seq_search(&all)))
        if (line->count == 0 && line->in == nullptr) hash_search(lines, &line->namespace_id, HASH_REMOVE, nullptr);
}

// Requests a walk in all namespaces that have rows. Returns when to try again.
pg::Deadline walk_all_namespaces(const pg::Moment &now) {
    if (!walk_all) return never;
    if (!read_namespaces.passed(now)) return read_namespaces;
    store::Ids ids{nullptr, 0};
    bool ok = transact("read which namespaces have tasks that wait for others", [&] {
        MemoryContext before = MemoryContextSwitchTo(self.scratch);
        ids = store::involved_namespaces();
        MemoryContextSwitchTo(before);
    });
    if (!ok) return read_namespaces = now.in(look_after_failure);
    remove_idle_lines();
    for (int i = 0; i < ids.count; i++) request_walks(line_of(static_cast<int32>(ids.items[i])), now);
    walk_all = false;
    return never;
}

void go_on(const pg::Moment &now) {
    for (int rows = 0; rows < rows_in_turn && !dlist_is_empty(&ring);) {
        auto *line = first_of<Line>(&ring);
        dlist_delete(&line->link);
        dlist_push_tail(&ring, &line->link);
        rows += Max(turn_of(line, now), 1);
    }
}

}  // namespace

bool owes_hints() { return lost_hints > 0; }

bool owes_settling() {
    return jobs != nullptr && (hash_get_num_entries(jobs) > 0 || Walks::requested() > 0 || walk_all);
}

pg::Deadline settle_dependencies(const pg::Moment &now) {
    if (jobs == nullptr && !signal::anything_posted(self.db)) return never;
    begin();
    if (signal::anything_posted(self.db)) take_posts(now);
    pg::Deadline next = walk_all_namespaces(now);
    wake_rested(now);
    wake_paused(now);
    go_on(now);
    if (!dlist_is_empty(&ring) || signal::anything_posted(self.db)) return now.in(0);
    return Min(next, next_to_wake());
}

}  // namespace pgqueue::worker::scheduler
