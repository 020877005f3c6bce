#include "dispatch/limits.hpp"

#include "dispatch/groups.hpp"
#include "dispatch/ready.hpp"
#include "dispatch/wake.hpp"
#include "pg/guards.hpp"

namespace pgqueue::dispatch {
namespace {

int32 room(int32 most, const pg_atomic_uint32 *running) {
    if (most <= 0) return INT32_MAX;
    return Max(most - static_cast<int32>(pg_atomic_read_u32(const_cast<pg_atomic_uint32 *>(running))), 0);
}

// Room under a limit; with none, marks `blocked` so that the next end of a task looks again.
int32 room_or_block(int32 most, pg_atomic_uint32 *running, pg_atomic_uint32 *blocked) {
    int32 n = room(most, running);
    if (n > 0) return n;
    pg_atomic_write_u32(blocked, 1);
    pg_memory_barrier();
    n = room(most, running);
    if (n > 0) pg_atomic_write_u32(blocked, 0);
    return n;
}

// Fills the token bucket up to now and returns how many starts it allows.
int32 tokens(Queue *q) {
    if (q->rate <= 0) return INT32_MAX;
    TimestampTz now = GetCurrentTimestamp();
    // A clock that was set back fills nothing and takes nothing.
    double seconds = now > q->refilled_at ? static_cast<double>(now - q->refilled_at) / USECS_PER_SEC : 0;
    q->refilled_at = now;
    q->tokens = Min(q->tokens + seconds * q->rate, static_cast<double>(q->burst));
    return static_cast<int32>(q->tokens);
}

}  // namespace

TimestampTz next_token(const Queue &q) { return q.refilled_at + static_cast<int64>((1 - q.tokens) / q.rate * USECS_PER_SEC) + 1; }

bool may_run(const Queue &q) { return !q.paused && q.throttled_until == 0 && pg_atomic_read_u32(const_cast<pg_atomic_uint32 *>(&q.blocked)) == 0; }

bool has_room(const Namespace &ns) { return room(ns.max_running, &ns.running) > 0; }

bool has_room(const Queue &q) { return room(q.max_running, &q.running) > 0; }

int32 room_of_namespace(Namespace *ns, int32 most) { return Min(most, room_or_block(ns->max_running, &ns->running, &ns->blocked)); }

int32 room_of_queue(Queue *q, int32 most) {
    int32 n = Min(most, room_or_block(q->max_running, &q->running, &q->blocked));
    if (n == 0 || q->rate <= 0) return n;
    n = Min(n, tokens(q));
    if (n > 0) return n;
    q->throttled_until = next_token(*q);
    wake_scheduler_by(q->db, q->throttled_until);
    return 0;
}

void reserve(Queue *q, Namespace *ns, int32 n) {
    pg_atomic_fetch_add_u32(&q->running, static_cast<uint32>(n));
    pg_atomic_fetch_add_u32(&ns->running, static_cast<uint32>(n));
    if (q->rate > 0) q->tokens -= n;
}

void take_places(SlotNo queue) {
    pg_atomic_fetch_add_u32(&map.queues[queue].running, 1);
    pg_atomic_fetch_add_u32(&map.namespaces[map.queues[queue].ns].running, 1);
}

void end_running(SlotNo queue, GroupNo group) {
    Queue &q = map.queues[queue];
    Namespace &ns = map.namespaces[q.ns];
    if (group != 0) end_group(queue, group, false);
    pg_atomic_fetch_sub_u32(&q.running, 1);
    pg_atomic_fetch_sub_u32(&ns.running, 1);
    pg_memory_barrier();
    bool look = false;
    if (pg_atomic_read_u32(&q.blocked) != 0) {
        pg::LwLockGuard lock(namespace_lock(q.ns));
        pg_atomic_write_u32(&q.blocked, 0);
        revise_queue_locked(queue);
        look = true;
    }
    if (pg_atomic_read_u32(&ns.blocked) != 0) {
        pg_atomic_write_u32(&ns.blocked, 0);
        look = true;
    }
    if (look) wake_scheduler(q.db);
}

void end_running_all(std::span<const Place> places) {
    end_groups(places);
    for (const Place &p : places) end_running(p.queue, 0);
}

void unreserve(SlotNo queue, GroupNo group) {
    Queue &q = map.queues[queue];
    if (group != 0) end_group(queue, group, true);
    if (q.rate > 0) {
        pg::LwLockGuard lock(namespace_lock(q.ns));
        q.tokens = Min(q.tokens + 1, static_cast<double>(q.burst));
    }
    end_running(queue, 0);
}

int64 end_throttles(SlotNo db, TimestampTz now) {
    int64 next = INT64_MAX;
    for (SlotNo no = 0; no < map.shared->used_queues; no++) {
        Queue &q = map.queues[no];
        if (!q.used || q.db != db || q.throttled_until == 0) continue;
        if (q.throttled_until > now) {
            next = Min(next, q.throttled_until);
            continue;
        }
        pg::LwLockGuard lock(namespace_lock(q.ns));
        q.throttled_until = 0;
        revise_queue_locked(no);
    }
    return next;
}

}  // namespace pgqueue::dispatch
