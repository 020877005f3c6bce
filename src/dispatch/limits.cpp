#include "dispatch/limits.hpp"

#include "dispatch/group_sets.hpp"
#include "dispatch/groups.hpp"
#include "dispatch/lanes.hpp"
#include "memory/slab.hpp"
#include "memory/wake.hpp"
#include "pg/guards.hpp"
#include "stats/totals.hpp"

namespace pgqueue::dispatch {
namespace {

int32 room(int32 most, const Atomic<int32> *running) {
    if (most <= 0) return INT32_MAX;
    return Max(most - running->load(), 0);
}

// Returns the room under a limit. Without room, marks `blocked` so that the next end of a task checks again.
int32 room_or_block(int32 most, Atomic<int32> *running, Atomic<bool> *blocked) {
    int32 n = room(most, running);
    if (n > 0) return n;
    blocked->store(true);
    pg_memory_barrier();
    n = room(most, running);
    if (n > 0) blocked->store(false);
    return n;
}

// A limit of the queue puts its next start off.
void count_limited(const Queue &q) { stats::add_total(static_cast<SlotNo>(&q - map.queues), Total::Limited, 1); }

}  // namespace

bool may_run(const Queue &q) { return !q.paused && q.throttled_until == 0 && !q.blocked.load(); }

bool has_room(const Namespace &ns) { return room(ns.max_running, &ns.running) > 0; }

bool has_room(const Queue &q) { return room(q.max_running, &q.running) > 0; }

int32 room_of_namespace(Namespace *ns, int32 most) {
    return Min(most, room_or_block(ns->max_running, &ns->running, &ns->blocked));
}

int32 room_of_queue(Queue *q, int32 most) {
    int32 n = Min(most, room_or_block(q->max_running, &q->running, &q->blocked));
    if (n == 0 && most > 0) count_limited(*q);
    if (n == 0 || q->rate_limit <= 0) return n;
    n = Min(n, static_cast<int32>(q->bucket.fill(q->rate_limit, q->rate_burst, pg::monotonic_now())));
    if (n > 0) return n;
    count_limited(*q);
    q->throttled_until = q->bucket.next(q->rate_limit);
    wake_scheduler_by(q->db, {q->throttled_until});
    return 0;
}

void reserve(Queue *q, Namespace *ns, int32 n) {
    q->running.fetch_add(n);
    ns->running.fetch_add(n);
    if (q->rate_limit > 0) q->bucket.tokens -= n;
}

void take_places(SlotNo queue) {
    map.queues[queue].running.fetch_add(1);
    map.namespaces[map.queues[queue].ns].running.fetch_add(1);
}

void end_running(SlotNo queue, GroupNo group) {
    Queue &q = map.queues[queue];
    Namespace &ns = map.namespaces[q.ns];
    if (group != 0) end_group(queue, group, false);
    q.running.fetch_sub(1);
    ns.running.fetch_sub(1);
    pg_memory_barrier();
    bool look = false;
    if (q.blocked.load()) {
        pg::LwLockGuard lock(namespace_lock(q.ns));
        q.blocked.store(false);
        revise_queue_locked(queue);
        look = true;
    }
    if (ns.blocked.load()) {
        ns.blocked.store(false);
        look = true;
    }
    if (look) wake_scheduler(q.db);
}

void end_running_all(std::span<const LimitPlace> places) {
    end_groups(places);
    for (const LimitPlace &p : places) end_running(p.queue, 0);
}

PlacesLook look_at_places(SlotNo no) {
    const Queue &q = map.queues[no];
    PlacesLook look{};
    pg::LwLockGuard lock(namespace_lock(q.ns), LW_SHARED);
    look.running = q.running.load();
    each_entry<Group>(map.namespaces[q.ns].groups, [&look, no](GroupNo, const Group &g) {
        if (g.queue == no) look.in_groups += g.running;
    });
    return look;
}

bool forget_places(SlotNo queue, const PlacesLook &seen) {
    Queue &q = map.queues[queue];
    Namespace &ns = map.namespaces[q.ns];
    pg::LwLockGuard lock(namespace_lock(q.ns));
    if (!q.running.replace(seen.running, 0)) return false;
    ns.running.fetch_sub(seen.running);
    if (seen.in_groups != 0) forget_running_locked(queue);
    q.blocked.store(false);
    ns.blocked.store(false);
    revise_queue_locked(queue);
    return true;
}

namespace {

void lift_throttle_locked(SlotNo queue) {
    map.queues[queue].throttled_until = 0;
    revise_queue_locked(queue);
}

}  // namespace

void unreserve(SlotNo queue, GroupNo group) {
    Queue &q = map.queues[queue];
    if (group != 0) end_group(queue, group, true);
    if (q.rate_limit > 0) {
        pg::LwLockGuard lock(namespace_lock(q.ns));
        q.bucket.give_back(q.rate_burst);
        if (q.throttled_until != 0 && q.bucket.tokens >= 1) lift_throttle_locked(queue);
    }
    end_running(queue, 0);
}

namespace {

// Ends the throttle of a queue if its time has passed.
void end_throttle(SlotNo queue, const pg::Moment &now) {
    Queue &q = map.queues[queue];
    if (q.throttled_until == 0 || q.throttled_until > now.monotonic) return;
    pg::LwLockGuard lock(namespace_lock(q.ns));
    lift_throttle_locked(queue);
}

}  // namespace

pg::Deadline end_throttles(SlotNo db, const pg::Moment &now) {
    pg::Deadline next = never;
    for (SlotNo no = 0; no < map.shared->used_queues; no++) {
        Queue &q = map.queues[no];
        if (!q.used || q.db != db) continue;
        end_throttle(no, now);
        if (q.throttled_until != 0) next = Min(next, pg::Deadline{q.throttled_until});
        if (q.group_token_at != 0) next = Min(next, end_group_throttles(no, now));
    }
    return next;
}

}  // namespace pgqueue::dispatch
