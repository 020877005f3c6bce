#include "dispatch/due.hpp"

#include "dispatch/page_list.hpp"
#include "pg/guards.hpp"

namespace pgqueue::dispatch {
namespace {

bool add_locked(Database &d, const DueEntry &entry) {
    int b = due_bucket(d.due_last, entry.due);
    if (!push_due(&d.due[b], entry)) return false;
    d.due_min[b] = Min(d.due_min[b], entry.due);
    return true;
}

// The bucket with the earliest lower bound. -1: all are empty.
int first_bucket(const Database &d) {
    int best = -1;
    for (int b = 0; b < due_buckets; b++)
        if (d.due[b].count > 0 && (best < 0 || d.due_min[b] < d.due_min[best])) best = b;
    return best;
}

// Hands the entries of a bucket down to lower ones, after making its earliest due time the base. What is in the spill file stays, with the
// same lower bound, until the scheduler brings it. False: nothing could be moved.
bool refine(Database &d, int b) {
    PageList &bucket = d.due[b];
    PageNo no = bucket.front;
    if (no == 0) return false;
    bool rest = bucket.spilled > 0 || bucket.moving;
    int64 least = d.due_min[b];
    d.due_last = Max(d.due_last, least);
    bucket.front = bucket.front_last = 0;
    if (!rest) d.due_min[b] = INT64_MAX;
    while (no != 0) {
        Page *p = page(no);
        PageNo next = p->next;
        // The page is emptied through a copy, so that its own memory serves the lower buckets.
        DueEntry copy[due_per_page];
        int n = p->count - p->head;
        memcpy(copy, p->due + p->head, sizeof(DueEntry) * static_cast<Size>(n));
        bucket.count -= n;
        give_page(no);
        for (int i = 0; i < n; i++)
            if (!add_locked(d, copy[i])) return false;
        no = next;
    }
    return true;
}

Queue &queue_of(const DueEntry &e) { return map.queues[is_grouped(e) ? queue_of_grouped(e) : map.lanes[e.lane].queue]; }

void count_hint(const DueEntry &e, int64 by) { pg_atomic_fetch_add_u64(&queue_of(e).hinted, by); }

// Takes the entries of dropped queues out of a page; returns how many. Due lock held.
int purge_page(Page *p) {
    int kept = p->head;
    for (int i = p->head; i < p->count; i++) {
        if (is_dropped(queue_of(p->due[i])))
            count_hint(p->due[i], -1);
        else
            p->due[kept++] = p->due[i];
    }
    int gone = p->count - kept;
    p->count = static_cast<uint16>(kept);
    return gone;
}

}  // namespace

void init_due(SlotNo db) {
    Database &d = database(db);
    d.due_last = 0;
    for (int b = 0; b < due_buckets; b++) {
        init_list(&d.due[b]);
        d.due_min[b] = INT64_MAX;
    }
}

void clear_due(SlotNo db) {
    Database &d = database(db);
    pg::LwLockGuard lock(due_lock(db));
    for (int b = 0; b < due_buckets; b++) clear_list(&d.due[b]);
    init_due(db);
}

void purge_due(SlotNo db) {
    // Pages are taken out of lists by this process only: between two of them the lock may go.
    for (PageList &list : database(db).due)
        for (PageNo first : {list.front, list.back})
            for (PageNo no = first; no != 0;) {
                pg::LwLockGuard lock(due_lock(db));
                list.count -= purge_page(page(no));
                no = page(no)->next;
            }
}

bool add_due(SlotNo db, const DueEntry &entry) {
    pg::LwLockGuard lock(due_lock(db));
    if (!add_locked(database(db), entry)) return false;
    count_hint(entry, 1);
    return true;
}

int take_due(SlotNo db, TimestampTz now, DueEntry *out, int most) {
    Database &d = database(db);
    pg::LwLockGuard lock(due_lock(db));
    int n = 0;
    while (n < most) {
        int b = first_bucket(d);
        if (b < 0 || d.due_min[b] > now) break;
        if (b > 0) {
            if (!refine(d, b)) break;
            continue;
        }
        Page *front = nullptr;
        Take t = front_page(&d.due[0], &front);
        if (t != Take::Got) {
            if (t == Take::Empty) d.due_min[0] = INT64_MAX;
            break;
        }
        // Bucket 0 holds entries due at or before the base.
        out[n] = front->due[front->head++];
        d.due[0].count--;
        count_hint(out[n], -1);
        n++;
        if (d.due[0].count == 0) d.due_min[0] = INT64_MAX;
    }
    return n;
}

int64 next_due(SlotNo db) {
    Database &d = database(db);
    int b = first_bucket(d);
    return b < 0 ? INT64_MAX : d.due_min[b];
}

}  // namespace pgqueue::dispatch
