#include "stats/named.hpp"

#include "core/share.hpp"
#include "memory/registry.hpp"
#include "pg/guards.hpp"
#include "stats/totals.hpp"

namespace pgqueue::stats {
namespace {

using namespace memory;

AtomicSlot &chain_of(StatKind kind, SlotNo of, uint64 key) {
    const uint32 h = hash_combine(murmurhash32(static_cast<uint32>(of) * 2 + (kind == StatKind::Role)),
                                  murmurhash32(static_cast<uint32>(key ^ (key >> 32))));
    return map.stat_hash[h & static_cast<uint32>(map.stat_hash_size - 1)];
}

bool is_same(const StatName &n, StatKind kind, SlotNo of, uint64 key) {
    return n.used && n.kind == kind && n.of == of && n.key == key;
}

Atomic<int32> &used(StatKind kind) { return map.shared->named_stats[named_index(kind)]; }
Atomic<int32> &used_by(StatKind kind, SlotNo of) {
    return map.namespaces[kind == StatKind::Type ? map.queues[of].ns : of].named_stats[named_index(kind)];
}

// Returns a place that is free; -1: none. Registry lock held.
int32 free_place(StatKind kind) {
    const int32 first = kind == StatKind::Type ? 0 : map.shared->n_named_stats[0];
    for (int32 i = first; i < first + map.shared->n_named_stats[named_index(kind)]; i++)
        if (!map.stat_names[i].used) return i;
    return -1;
}

// Whether what was saved of such entries has been added already.
bool are_complete(StatKind kind, SlotNo of) {
    return kind == StatKind::Type ? is_complete(of) : map.namespaces[of].roles_complete.load();
}

// Registry lock held.
StatNo make(StatKind kind, SlotNo of, uint64 key, const char *name) {
    const int32 place = free_place(kind);
    if (place < 0) return -1;
    const StatNo no = first_named_stat() + place;
    init_statistics(no);
    if (are_complete(kind, of)) map.statistics[no].saved.store(Saved::Added);
    StatName &n = map.stat_names[place];
    n.kind = kind;
    n.of = of;
    n.key = key;
    strlcpy(n.name, name, sizeof(n.name));
    pg_write_barrier();
    n.used = true;
    AtomicSlot &head = chain_of(kind, of, key);
    n.next.store(head.load());
    pg_write_barrier();
    head.store(place);
    used(kind).fetch_add(1);
    used_by(kind, of).fetch_add(1);
    return no;
}

// Takes an entry out of its chain. Another process may stand on it: it finds the end, or goes on in another chain and
// finds nothing. Registry lock held.
void unlink(int32 place) {
    const StatName &n = map.stat_names[place];
    AtomicSlot *link = &chain_of(n.kind, n.of, n.key);
    while (link->load() >= 0 && link->load() != place) link = &map.stat_names[link->load()].next;
    if (link->load() == place) link->store(n.next.load());
}

}  // namespace

StatNo find_named(StatKind kind, SlotNo of, uint64 key) {
    // A chain that changes meanwhile may lead in a circle.
    int32 left = map.shared->n_named_stats[0] + map.shared->n_named_stats[1];
    for (SlotNo i = chain_of(kind, of, key).load(); i >= 0 && left > 0; i = map.stat_names[i].next.load(), left--)
        if (is_same(map.stat_names[i], kind, of, key)) return first_named_stat() + i;
    return -1;
}

bool has_room(StatKind kind, SlotNo of) {
    const int64 free = map.shared->n_named_stats[named_index(kind)] - used(kind).load();
    return share_room(0, used_by(kind, of).load(), free) > 0;
}

StatNo make_named(StatKind kind, SlotNo of, uint64 key, const char *name) {
    if (strlen(name) > most_name_bytes) return -1;
    pg::LwLockGuard lock(registry_lock());
    const StatNo found = find_named(kind, of, key);
    return found >= 0 || !has_room(kind, of) ? found : make(kind, of, key, name);
}

void free_named(StatKind kind, SlotNo of) {
    if (used_by(kind, of).load() == 0) return;
    each_named(kind, [kind, of](StatNo no) {
        StatName &n = name_of(no);
        if (n.of != of) return;
        unlink(no - first_named_stat());
        free_times(no);
        n.used = false;
        used(kind).fetch_sub(1);
        used_by(kind, of).fetch_sub(1);
    });
}

StatKind kind_of(StatNo no) {
    const int32 queues = map.shared->n_queues;
    return no < queues ? StatKind::Queue : no < 2 * queues ? StatKind::Others : name_of(no).kind;
}

SlotNo queue_of(StatNo no) {
    const int32 queues = map.shared->n_queues;
    return no < queues ? no : no < 2 * queues ? no - queues : name_of(no).of;
}

SlotNo namespace_of(StatNo no) { return kind_of(no) == StatKind::Role ? name_of(no).of : map.queues[queue_of(no)].ns; }

SlotNo database_of(StatNo no) { return map.namespaces[namespace_of(no)].db; }

}  // namespace pgqueue::stats
