#include "task/fire_ticker.hpp"

#include "core/schedule.hpp"
#include "handover/actions.hpp"
#include "pg/clock.hpp"
#include "pg/errcodes.hpp"
#include "pg/testpoint.hpp"
#include "pg/zone.hpp"
#include "store/ids.hpp"
#include "store/queues.hpp"
#include "store/rows.hpp"
#include "task/dependencies.hpp"
#include "task/depth_limit.hpp"
#include "task/transitions.hpp"

namespace pgqueue::task {
namespace {

using store::RunOutcome;
using store::Ticker;

// The bytes that the tasks of one transaction may take, beyond the first task. The scheduler has other work, and a
// session that changes a ticker waits for it.
constexpr int64 batch_bytes = 4 * 1024 * 1024;
// How many missed slots are written to the history at once.
constexpr int missed_recorded = 100;
// A ticker whose zone or cron text is not valid any more is checked again after this time.
constexpr int64 invalid_wait = int64(SECS_PER_HOUR) * USECS_PER_SEC;

// Why no task can be created; message nullptr: it can.
struct Obstacle {
    int sqlstate;
    const char *message;
    const char *hint;
};

Obstacle schedule_of(const Ticker &t, core::Schedule *s) {
    using Kind = core::Schedule::Kind;
    *s = {};
    s->kind = t.cron != nullptr ? Kind::Cron : t.period != nullptr ? Kind::Period : Kind::None;
    if (t.period != nullptr) {
        s->months = t.period->month;
        s->days = t.period->day;
        s->micros = t.period->time;
    }
    core::CronError error;
    if (t.cron != nullptr && !core::parse_cron(t.cron, s->cron, error))
        return {ERRCODE_INVALID_PARAMETER_VALUE, psprintf("cron text \"%s\" is not valid", t.cron), error.hint};
    const char *zone = t.cron != nullptr && s->cron.zone[0] != '\0' ? s->cron.zone : t.time_zone;
    const pg_tz *tz = pg::find_zone(zone);
    if (tz == nullptr)
        return {ERRCODE_INVALID_PARAMETER_VALUE, psprintf("time zone \"%s\" is not known", zone),
                "Give another time_zone."};
    s->zone = pg::cron_zone(tz);
    s->anchor = pg::to_unix_us(t.anchor);
    s->starts = t.starts_at != DT_NOBEGIN ? pg::to_unix_us(t.starts_at) : INT64_MIN;
    s->ends = t.ends_at != DT_NOEND ? pg::to_unix_us(t.ends_at) : INT64_MAX;
    return {};
}

TimestampTz following(const core::Schedule &s, TimestampTz after) {
    std::optional<int64> slot = core::next_slot(s, pg::to_unix_us(after));
    return slot ? pg::from_unix_us(*slot) : 0;
}

// The newest slots of a ticker from `first` to `until`, oldest first.
struct Slots {
    TimestampTz *at;
    int count;
};
Slots newest(const core::Schedule &s, TimestampTz first, TimestampTz until, int most) {
    if (first == 0 || first > until) return {nullptr, 0};
    auto *at = static_cast<int64 *>(palloc(sizeof(int64) * static_cast<Size>(most)));
    int n = core::newest_slots(s, pg::to_unix_us(first), pg::to_unix_us(until), at, most);
    for (int i = 0; i < n; i++) at[i] = pg::from_unix_us(at[i]);
    return {at, n};
}

template <typename T>
struct Rows {
    T *items = nullptr;
    int count = 0, room = 0;

    T *add() {
        if (count == room) {
            room = room == 0 ? 16 : room * 2;
            Size bytes = sizeof(T) * static_cast<Size>(room);
            items = static_cast<T *>(items == nullptr ? palloc(bytes) : repalloc_huge(items, bytes));
        }
        return &items[count++];
    }
};

// The rows that a call writes at its end.
struct Work {
    TimestampTz now;
    Rows<store::NewTask> tasks;
    Rows<store::TickerRun> runs;
    int64 first_id = 0;  // of the tasks created here, whose rows do not exist yet
    int64 room = batch_bytes;
};

void record_run(Work *w, Ticker *t, TimestampTz slot, RunOutcome outcome, int64 task_id, const char *error) {
    *w->runs.add() = {t->id, t->runs++, slot, w->now, outcome, task_id, error};
}

void record_missed(Work *w, Ticker *t, const Slots &slots, int count) {
    for (int i = Max(0, count - missed_recorded); i < count; i++)
        record_run(w, t, slots.at[i], RunOutcome::Missed, 0, nullptr);
}

// Checks max_depth, including the tasks that are created here and have no rows yet.
Full no_room(const Work &w, const store::NamespaceInfo &ns, const store::QueueInfo &q) {
    int64 here = 0, elsewhere = 0;
    for (int i = 0; (q.max_depth > 0 || ns.max_depth > 0) && i < w.tasks.count; i++) {
        const store::QueueInfo &other = store::queue_there(w.tasks.items[i].queue_id);
        here += other.id == q.id;
        elsewhere += other.id != q.id && other.ns_id == q.ns_id;
    }
    return no_room_for(ns, ref_of(q), here + 1, elsewhere);
}

Obstacle obstacle_of(const Work &w, const Ticker &t, const store::QueueInfo *q) {
    const store::NamespaceInfo *ns = store::namespace_by_id(t.ns_id);
    if (q == nullptr || ns == nullptr)
        return {ERRCODE_UNDEFINED_OBJECT, psprintf("queue \"%s\" does not exist", t.queue),
                "Create it, or give the ticker another queue."};
    if (!SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(t.role)))
        return {ERRCODE_UNDEFINED_OBJECT, psprintf("role \"%s\" does not exist", t.role_name),
                "Write command, type or payload of the ticker as another role."};
    if (Full full = no_room(w, *ns, *q); full.kind != nullptr)
        return {err::queue_full, psprintf("%s \"%s\" is full", full.kind, full.name),
                "Try again later, or raise max_depth."};
    return {};
}

bool is_unfinished(const Work &w, const Ticker &t, int64 id) {
    if (id == 0) return false;
    return (w.first_id != 0 && id >= w.first_id) || end_of_dependency(id, t.ns_id) == DependencyEnd::Unfinished;
}

ArrayType *single(int64 id) {
    Datum item = Int64GetDatum(id);
    return construct_array(&item, 1, INT8OID, 8, true, TYPALIGN_DOUBLE);
}

int64 add_task(Work *w, Ticker *t, const store::QueueInfo &q, int64 awaited) {
    store::NewTask n{};
    n.id = store::next_id();
    n.queue_id = q.id;
    n.role_id = store::role_id_of(t->role);
    n.priority = t->has_priority ? t->priority : q.priority;
    n.retries = t->retries >= 0 ? t->retries : q.retries;
    n.run_limit = t->run_limit;
    n.created_at = w->now;
    int64 ttl = t->ttl >= 0 ? t->ttl : q.ttl;
    n.dies_at = ttl > 0 ? pg::later(w->now, ttl) : 0;
    n.type = t->type;
    n.command = t->command;
    n.payload = t->payload;
    n.ticker = t->name;
    if (n.command != nullptr) n.flags |= flag_command;
    if (awaited != 0) {
        n.flags |= flag_depends | flag_waits | flag_ignore_failed;
        n.depends_on = single(awaited);
    }
    *w->tasks.add() = n;
    w->room -= VARSIZE(n.payload) + (n.command != nullptr ? VARSIZE(n.command) : 0);
    if (w->first_id == 0) w->first_id = n.id;
    t->prior_task = t->last_task;
    t->last_task = n.id;
    return n.id;
}

void fire_slot(Work *w, Ticker *t, TimestampTz slot) {
    int64 task_id = 0;
    if (slot <= t->ahead_until && store::has_fired(t->id, slot, &task_id)) return;
    t->last_at = slot;
    const store::QueueInfo *q = store::queue_by_name(t->ns_id, t->queue);
    if (Obstacle o = obstacle_of(*w, *t, q); o.message != nullptr) {
        record_run(w, t, slot, RunOutcome::Error, 0, o.message);
        return;
    }
    bool running = t->overlap != store::Overlap::Allow && is_unfinished(*w, *t, t->last_task);
    if (running && (t->overlap == store::Overlap::Skip || is_unfinished(*w, *t, t->prior_task))) {
        record_run(w, t, slot, RunOutcome::Skipped, 0, nullptr);
        return;
    }
    record_run(w, t, slot, RunOutcome::Fired, add_task(w, t, *q, running ? t->last_task : 0), nullptr);
}

// Fires at least one slot. Returns false if the others have to wait; next_at is then the first of these.
bool fire_slots(Work *w, Ticker *t, const Slots &slots) {
    for (int i = 0; i < slots.count; i++) {
        if (i > 0 && w->room <= 0) {
            t->next_at = slots.at[i];
            return false;
        }
        fire_slot(w, t, slots.at[i]);
    }
    return true;
}

// Returns how many of the first slots were due before an instant.
int due_before(const Ticker &t, const Slots &slots, TimestampTz instant) {
    int n = 0;
    while (n < slots.count && due_of_slot(t.id, slots.at[n], t.jitter) < instant) n++;
    return n;
}

// Handles the slots that were due before `bound` by the misfire policy, and all later slots that are due.
void handle_slots(Work *w, Ticker *t, const core::Schedule &s, TimestampTz bound) {
    int most = Max(t->misfire_max, missed_recorded);
    Slots early = t->next_at < bound ? newest(s, t->next_at, Min(bound - 1, w->now), most) : Slots{nullptr, 0};
    Slots missed{early.at, due_before(*t, early, bound)};
    int made_up = t->misfire == store::Misfire::Skip ? 0 : t->misfire == store::Misfire::One ? 1 : t->misfire_max;
    made_up = Min(made_up, missed.count);
    record_missed(w, t, missed, missed.count - made_up);
    Slots made{missed.at + (missed.count - made_up), made_up};
    if (!fire_slots(w, t, made)) return;
    TimestampTz first = missed.count < early.count ? early.at[missed.count]
                        : t->next_at < bound       ? following(s, bound - 1)
                                                   : t->next_at;
    Slots late = newest(s, first, w->now, most);
    int due = due_before(*t, late, w->now + 1), left_out = Max(0, due - t->misfire_max);
    record_missed(w, t, late, left_out);
    if (!fire_slots(w, t, {late.at + left_out, due - left_out})) return;
    t->next_at = due < late.count ? late.at[due] : following(s, w->now);
}

// Postpones a ticker whose slots cannot be computed.
void put_off(Work *w, Ticker *t, const Obstacle &o) {
    record_run(w, t, t->next_at, RunOutcome::Error, 0, o.message);
    t->next_at = w->now + invalid_wait;
}

void handle_one(Work *w, Ticker *t, TimestampTz since) {
    if (t->paused || t->queue == nullptr || t->next_at == 0 || due_of_slot(t->id, t->next_at, t->jitter) > w->now)
        return;
    core::Schedule s;
    if (Obstacle o = schedule_of(*t, &s); o.message != nullptr) {
        put_off(w, t, o);
    } else {
        handle_slots(w, t, s, Max(since, t->resumed_at));
    }
    t->due_at = due_of_slot(t->id, t->next_at, t->jitter);
}

int by_queue(const void *a, const void *b) {
    auto *x = static_cast<const store::NewTask *>(a), *y = static_cast<const store::NewTask *>(b);
    if (x->queue_id != y->queue_id) return x->queue_id < y->queue_id ? -1 : 1;
    return x->id < y->id ? -1 : 1;
}

// Writes all rows. Tasks of one queue are inserted together.
void write(Work *w, std::span<Ticker> tickers) {
    std::span<store::NewTask> tasks{w->tasks.items, static_cast<std::size_t>(w->tasks.count)};
    if (!tasks.empty()) PGQUEUE_TESTPOINT("ticker-writing");
    if (tasks.size() > 1) qsort(tasks.data(), tasks.size(), sizeof(store::NewTask), by_queue);
    for (std::size_t from = 0, to; from < tasks.size(); from = to) {
        for (to = from; to < tasks.size() && tasks[to].queue_id == tasks[from].queue_id;) to++;
        create(ref_of(store::queue_there(tasks[from].queue_id)), tasks.subspan(from, to - from));
    }
    for (const store::NewTask &n : tasks) {
        if (n.depends_on == nullptr) continue;
        int64 awaited;
        memcpy(&awaited, ARR_DATA_PTR(n.depends_on), sizeof(awaited));
        const QueueRef queue = ref_of(store::queue_there(n.queue_id));
        begin_waiting(queue, {queue.info->ns_id, {&awaited, 1}, nullptr, nullptr}, {&n, 1});
    }
    store::write_states(tickers);
    if (w->runs.count > 0) store::write_runs({w->runs.items, static_cast<std::size_t>(w->runs.count)});
}

void raise(const Obstacle &o) { ereport(ERROR, errcode(o.sqlstate), errmsg("%s", o.message), errhint("%s", o.hint)); }

}  // namespace

TimestampTz next_slot(const Ticker &t, TimestampTz after) {
    core::Schedule s;
    if (Obstacle o = schedule_of(t, &s); o.message != nullptr) raise(o);
    return following(s, after);
}

TimestampTz due_of_slot(int32 ticker_id, TimestampTz slot, int64 jitter) {
    return slot == 0 ? 0 : slot + core::jitter_of(ticker_id, slot, jitter);
}

std::size_t handle_due(std::span<Ticker> tickers, TimestampTz now, TimestampTz since) {
    Work w{now, {}, {}};
    std::size_t handled = 0;
    while (handled < tickers.size() && w.room > 0) handle_one(&w, &tickers[handled++], since);
    write(&w, tickers.first(handled));
    return handled;
}

bool hand_out(Ticker *t, TimestampTz now, TimestampTz since) {
    Work w{now, {}, {}};
    core::Schedule s;
    if (Obstacle o = schedule_of(*t, &s); o.message != nullptr) {
        put_off(&w, t, o);
        write(&w, {t, 1});
        return false;
    }
    Slots slots = newest(s, t->next_at, now, Max(t->misfire_max, missed_recorded));
    int keep = t->misfire == store::Misfire::All ? Min(slots.count, t->misfire_max) : 1;
    TimestampTz slot = slots.at[slots.count - keep];
    bool given = t->misfire != store::Misfire::Skip || slot >= Max(since, t->resumed_at);
    record_missed(&w, t, slots, given ? slots.count - keep : slots.count);
    if (given) {
        t->last_at = slot;
        record_run(&w, t, slot, RunOutcome::Fired, 0, nullptr);
    }
    t->next_at = following(s, slot);
    write(&w, {t, 1});
    return given;
}

int64 fire(Ticker *t, TimestampTz slot, TimestampTz now) {
    Work w{now, {}, {}};
    int64 task_id = 0;
    if (t->queue == nullptr) {
        // A tick for next_ticker.
        TimestampTz at = slot != no_slot ? slot : now;
        t->next_at = t->next_at == 0 ? at : Min(t->next_at, at);
        write(&w, {t, 1});
        return 0;
    }
    if (slot != no_slot && store::has_fired(t->id, slot, &task_id)) return task_id;
    const store::QueueInfo *q = store::queue_by_name(t->ns_id, t->queue);
    if (Obstacle o = obstacle_of(w, *t, q); o.message != nullptr) raise(o);
    if (slot != no_slot && slot == t->next_at) {
        t->next_at = next_slot(*t, slot);
        if (t->due_at != 0) t->due_at = due_of_slot(t->id, t->next_at, t->jitter);
    } else if (slot != no_slot && t->next_at != 0 && slot > t->next_at) {
        t->ahead_until = Max(t->ahead_until, slot);
    }
    t->last_at = slot != no_slot ? slot : now;
    task_id = add_task(&w, t, *q, 0);
    record_run(&w, t, t->last_at, RunOutcome::Fired, task_id, nullptr);
    write(&w, {t, 1});
    handover::read_ticker_at_commit(t->id);
    return task_id;
}

}  // namespace pgqueue::task
