#include "dispatch/due.hpp"

#include "dispatch/spill.hpp"
#include "memory/page_list.hpp"
#include "memory/registry.hpp"
#include "memory/users.hpp"
#include "memory/wake.hpp"
#include "pg/guards.hpp"

namespace pgqueue::dispatch {
namespace {

bool add_locked(Database &d, const DueEntry &entry) {
    int b = due_bucket(d.due_heap.last, entry.due);
    if (!push_due(&d.due_heap.buckets[b], entry)) return false;
    d.due_heap.least[b] = Min(d.due_heap.least[b], entry.due);
    return true;
}

// Returns the bucket with the earliest lower bound; -1: all are empty.
int first_bucket(const Database &d) {
    int best = -1;
    for (int b = 0; b < due_buckets; b++)
        if (d.due_heap.buckets[b].count > 0 && (best < 0 || d.due_heap.least[b] < d.due_heap.least[best])) best = b;
    return best;
}

// Makes the lower bound of a bucket the base, and moves its entries to lower buckets. Entries in the spill file stay in
// the bucket, with the same lower bound, until the scheduler brings them to memory. Returns false if the bucket has no
// page in memory, or if memory runs out and the rows must be read again.
bool refine(Database &d, int b) {
    PageList &bucket = d.due_heap.buckets[b];
    PageNo no = bucket.front;
    if (no == 0) return false;
    bool rest = bucket.spilled > 0 || bucket.moving;
    int64 least = d.due_heap.least[b];
    d.due_heap.last = Max(d.due_heap.last, least);
    bucket.front = bucket.front_last = 0;
    if (!rest) d.due_heap.least[b] = INT64_MAX;
    while (no != 0) {
        Page *p = page(no);
        PageNo next = p->next;
        // The entries are copied first, so that the freed page can serve the lower buckets.
        DueEntry copy[due_per_page];
        int n = p->count - p->head;
        memcpy(copy, p->due + p->head, sizeof(DueEntry) * static_cast<Size>(n));
        bucket.count -= n;
        give_page(no);
        for (int i = 0; i < n; i++) {
            if (add_locked(d, copy[i])) continue;
            // Another process took the page. The rows are read again.
            give_chain(next);
            d.reading.lost.store(Lost::Full);
            return false;
        }
        no = next;
    }
    return true;
}

Queue &queue_of(const DueEntry &e) { return map.queues[is_grouped(e) ? queue_of_grouped(e) : map.lanes[e.lane].queue]; }

void count_hint(const DueEntry &e, int by) {
    queue_of(e).hinted.fetch_add(by);
    if (!is_grouped(e)) map.lanes[e.lane].due += by;
}

// Removes the entries of dropped queues from a page. Returns how many. Due lock held.
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

// Moves the entries of a page to the end of the one before it, if they fit. Returns whether they did.
bool join(Page *before, const Page *p) {
    const int n = p->count - p->head;
    if (before->count + n > due_per_page) return false;
    memcpy(before->due + before->count, p->due + p->head, sizeof(DueEntry) * static_cast<Size>(n));
    before->count = static_cast<uint16>(before->count + n);
    return true;
}

// Purges the pages of one part of a list, and gives back those that the page before them can take in. Only the
// scheduler removes pages from these lists, so the lock may be free between two pages.
void purge_part(SlotNo db, PageList *list, PageNo first, PageNo *last) {
    for (PageNo before = 0, no = first; no != 0;) {
        pg::LwLockGuard lock(due_lock(db));
        Page *p = page(no);
        const PageNo next = p->next;
        list->count -= purge_page(p);
        if (before != 0 && join(page(before), p)) {
            page(before)->next = next;
            if (*last == no) *last = before;
            give_page(no);
        } else {
            before = no;
        }
        no = next;
    }
}

void purge_list(SlotNo db, PageList *list) {
    purge_part(db, list, list->front, &list->front_last);
    purge_part(db, list, list->back, &list->back_last);
}

// Takes entries off the heap whose time of the calendar has come. Returns how many. Due lock held.
int take_from_heap(Database &d, TimestampTz now, DueEntry *out, int most) {
    int n = 0;
    while (n < most) {
        int b = first_bucket(d);
        if (b < 0 || d.due_heap.least[b] > now) break;
        if (b > 0) {
            if (!refine(d, b)) break;
            continue;
        }
        Page *front = nullptr;
        Take t = front_page(&d.due_heap.buckets[0], &front);
        if (t != Take::Got) {
            if (t == Take::Empty) d.due_heap.least[0] = INT64_MAX;
            break;
        }
        // Bucket 0 holds entries due at or before the base.
        out[n++] = front->due[front->head++];
        d.due_heap.buckets[0].count--;
        if (d.due_heap.buckets[0].count == 0) d.due_heap.least[0] = INT64_MAX;
    }
    return n;
}

// Takes entries off the front of a list that have waited long enough. Returns how many. Due lock held.
int take_from_list(PageList *list, int64 *until, int64 now, DueEntry *out, int most) {
    int n = 0;
    while (n < most && *until <= now) {
        Page *front = nullptr;
        Take t = front_page(list, &front);
        if (t == Take::Empty) *until = INT64_MAX;
        if (t != Take::Got) break;
        *until = front->due[front->head].due;
        if (*until > now) break;
        out[n++] = front->due[front->head++];
        list->count--;
    }
    return n;
}

}  // namespace

void clear_due(SlotNo db) {
    Database &d = database(db);
    pg::LwLockGuard lock(due_lock(db));
    for (PageList &list : d.due_heap.buckets) clear_list(&list);
    for (PageList &list : d.due_heap.put_off) clear_list(&list);
    init_due_lists(&d);
    each_namespace(db, [](SlotNo ns) { clear_list(&map.namespaces[ns].arrived); });
    each_queue(db, [](SlotNo q) {
        for (SlotNo lane : lanes_of(map.queues[q])) map.lanes[lane].due = 0;
    });
}

namespace {

constinit uint64 purged_in_memory = 0;  // the last drop whose entries were removed from memory

}  // namespace

void purge_due(SlotNo db) {
    purged_in_memory = put_down_until();
    for (PageList &list : database(db).due_heap.buckets) purge_list(db, &list);
    for (PageList &list : database(db).due_heap.put_off) purge_list(db, &list);
    each_namespace(db, [db](SlotNo ns) { purge_list(db, &map.namespaces[ns].arrived); });
}

namespace {

// Returns the newest drop of a queue that still has hints although its entries in memory were removed; 0: none.
uint64 newest_purge(SlotNo db) {
    uint64 newest = 0;
    each_queue(db, [&newest](SlotNo no) {
        const Queue &q = map.queues[no];
        if (is_put_down(q, purged_in_memory) && map.queues[no].hinted.load() != 0) newest = Max(newest, q.drop);
    });
    return newest;
}

// The state of purge_spilled_due(), which walks over the pages in the file.
struct FilePurge {
    bool running;
    uint64 until;  // the last drop whose entries it removes, or has removed
    int bucket;
    uint32 left;  // pages of the bucket that it has not read
};
constinit FilePurge file_purge{};

}  // namespace

bool purge_spilled_due(SlotNo db) {
    Database &d = database(db);
    FilePurge &p = file_purge;
    if (!p.running) {
        uint64 newest = d.spill.in_file > 0 ? newest_purge(db) : 0;
        if (newest <= p.until) return true;
        p = {true, newest, 0, d.due_heap.buckets[0].spilled};
    }
    for (uint32 budget = 128; budget > 0 && p.bucket < due_buckets;) {
        uint32 wanted = Min(budget, p.left);
        uint32 n = sift_spilled(db, &d.due_heap.buckets[p.bucket], due_lock(db), wanted, purge_page);
        budget -= n;
        p.left -= n;
        if (n < wanted && d.due_heap.buckets[p.bucket].spilled > 0) break;  // no memory for a page now
        if (p.left > 0 && n == wanted) continue;
        p.bucket++;
        p.left = p.bucket < due_buckets ? d.due_heap.buckets[p.bucket].spilled : 0;
    }
    p.running = p.bucket < due_buckets;
    return !p.running;
}

bool add_due(SlotNo db, const DueEntry &entry) {
    pg::LwLockGuard lock(due_lock(db));
    if (!add_locked(database(db), entry)) return false;
    count_hint(entry, 1);
    return true;
}

int64 length_of(Wait wait) {
    constexpr int64 lengths[wait_kinds] = {0, 20 * 1000, 100 * 1000, USECS_PER_SEC};
    return lengths[static_cast<int>(wait) - 1];
}

bool put_off(SlotNo db, Wait wait, DueEntry entry) {
    Database &d = database(db);
    int k = static_cast<int>(wait) - 1;
    entry.due = pg::monotonic_now() + length_of(wait);
    {
        pg::LwLockGuard lock(due_lock(db));
        if (!push_due(&d.due_heap.put_off[k], entry)) return false;
        d.due_heap.put_off_until[k] = Min(d.due_heap.put_off_until[k], entry.due);
        count_hint(entry, 1);
    }
    wake_scheduler_by(db, {entry.due});
    return true;
}

int arrive(SlotNo db, const pg::Moment &now, int most, DueEntry *out, int *unsorted) {
    Database &d = database(db);
    pg::LwLockGuard lock(due_lock(db));
    int n = 0;
    for (int k = 0; k < wait_kinds; k++)
        n += take_from_list(&d.due_heap.put_off[k], &d.due_heap.put_off_until[k], now.monotonic, out + n, most - n);
    n += take_from_heap(d, now.wall, out + n, most - n);
    *unsorted = 0;
    for (int i = 0; i < n; i++) {
        if (push_due(&map.namespaces[queue_of(out[i]).ns].arrived, out[i])) continue;
        count_hint(out[i], -1);
        out[(*unsorted)++] = out[i];
    }
    return n;
}

bool has_arrived(SlotNo ns) { return map.namespaces[ns].arrived.count > 0; }

int take_arrived(SlotNo ns, DueEntry *out, int most) {
    PageList *list = &map.namespaces[ns].arrived;
    pg::LwLockGuard lock(due_lock(map.namespaces[ns].db));
    int n = 0;
    for (Page *front; n < most && front_page(list, &front) == Take::Got; n++) {
        out[n] = front->due[front->head++];
        list->count--;
        count_hint(out[n], -1);
    }
    return n;
}

pg::Deadline next_due(SlotNo db, const pg::Moment &now) {
    Database &d = database(db);
    int b = first_bucket(d);
    pg::Deadline next = b < 0 ? never : now.until(d.due_heap.least[b]);
    for (int64 until : d.due_heap.put_off_until) next = Min(next, pg::Deadline{until});
    each_namespace(db, [&](SlotNo ns) { next = has_arrived(ns) ? now.in(0) : next; });
    return next;
}

}  // namespace pgqueue::dispatch
