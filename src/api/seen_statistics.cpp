#include "api/seen_statistics.hpp"

#include "api/call.hpp"
#include "dispatch/filing.hpp"
#include "memory/registry.hpp"
#include "memory/users.hpp"
#include "stats/named.hpp"
#include "stats/totals.hpp"
#include "store/statistics.hpp"

namespace pgqueue::api {
namespace {

using memory::SlotNo;
using memory::StatNo;
using store::SavedStatistics;

bool may_see(int32 ns_id) { return may(ns_id, store::priv_look); }

// Something that is added one by one.
template <typename T>
struct Growing {
    T *items = static_cast<T *>(palloc(sizeof(T)));
    std::size_t count = 0, room = 1;

    T *add(const T &item) {
        if (count == room) items = static_cast<T *>(repalloc_huge(items, sizeof(T) * (room *= 2)));
        items[count] = item;
        return &items[count++];
    }
    std::span<T> all() const { return {items, count}; }
};

// The names of a queue and its namespace, copied, because the caches may forget them while the caller uses them. queue
// nullptr: it was deleted.
struct Names {
    const char *ns = nullptr, *queue = nullptr;
};
Names names_of(int32 queue_id) {
    const store::QueueInfo *info = store::queue_by_id(queue_id);
    const store::NamespaceInfo *ns = info != nullptr ? store::namespace_by_id(info->ns_id) : nullptr;
    return ns != nullptr ? Names{pstrdup(ns->name), pstrdup(info->name)} : Names{};
}

// Adds what was saved to numbers that shared memory does not have yet. They may be added there meanwhile.
const Statistics *merged(StatNo no, const Statistics &saved) {
    auto *sum = static_cast<Statistics *>(palloc(sizeof(Statistics)));
    const pg::Atomic<memory::Saved> &state = memory::map.statistics[no].saved;
    memory::Saved before;
    do {
        for (before = state.load(); before == memory::Saved::BeingAdded; before = state.load()) pg_usleep(100);
        pg_read_barrier();
        stats::copy(no, sum);
        pg_read_barrier();
    } while (state.load() != before);
    if (before == memory::Saved::Added) return sum;
    for (int k = 0; k < total_kinds; k++) sum->totals[k] = histogram::sum_of(sum->totals[k], saved.totals[k]);
    for (int k = 0; k < cost_kinds; k++) sum->costs[k] = histogram::sum_of(sum->costs[k], saved.costs[k]);
    for (int k = 0; k < time_kinds; k++) histogram::merge(&sum->times[k], saved.times[k]);
    sum->since = saved.since;
    return sum;
}

// Numbers of which only what was saved is known. On a standby, that is all there is.
SeenNumbers only_saved(const SavedStatistics &s, TimestampTz now) {
    auto *copy = static_cast<Statistics *>(palloc(sizeof(Statistics)));
    *copy = s.now;
    return {-1, copy, RecoveryInProgress() ? s.saved_at : now};
}

void complete(SeenNumbers *numbers, const SavedStatistics &s) {
    if (!stats::is_complete(numbers->no)) numbers->copy = merged(numbers->no, s.now);
}

// Returns whether shared memory has all numbers of a database.
bool is_complete(SlotNo db) {
    return db >= 0 && !RecoveryInProgress() && memory::state_of(db) == memory::DbState::Ready &&
           !memory::database(db).unsaved.entries.load();
}

// Returns the entry of this database, whose numbers are used from now on; -1: none.
SlotNo begin() {
    see_revocations();
    const SlotNo db = memory::loaded() ? memory::find_database(MyDatabaseId) : -1;
    if (db >= 0) memory::begin_use();
    return db;
}

Growing<SeenQueue> queues_in_memory(SlotNo db, TimestampTz now) {
    Growing<SeenQueue> seen;
    auto *visible = static_cast<bool *>(palloc0(static_cast<Size>(memory::map.shared->n_namespaces)));
    memory::each_namespace(db, [visible](SlotNo ns) {
        visible[ns] = may_see(memory::map.namespaces[ns].ns_id);
        // A flood is not filed to its end.
        if (visible[ns]) (void)dispatch::drain_some(ns);
    });
    memory::each_queue(db, [&](SlotNo no) {
        const memory::Queue &q = memory::map.queues[no];
        if (memory::is_dropped(q) || q.queue_id < memory::first_id_of_users || !visible[q.ns]) return;
        const Names names = names_of(q.queue_id);
        if (names.queue == nullptr) return;
        seen.add({no, q.queue_id, names.ns, names.queue, dispatch::look_at_waiting(no), {no, nullptr, now}});
    });
    pfree(visible);
    return seen;
}

void add_saved_queue(Growing<SeenQueue> *seen, std::size_t known, const SavedStatistics &s, TimestampTz now) {
    if (s.key.kind != StatKind::Queue) return;
    for (SeenQueue &q : seen->all().first(known))
        if (q.id == s.key.object_id) {
            complete(&q.numbers, s);
            return;
        }
    const store::QueueInfo *info = store::queue_by_id(s.key.object_id);
    if (info == nullptr || !may_see(info->ns_id)) return;
    const Names names = names_of(s.key.object_id);
    if (names.queue != nullptr) seen->add({-1, s.key.object_id, names.ns, names.queue, {}, only_saved(s, now)});
}

SeenNamed named_in_memory(StatNo no, TimestampTz now) {
    SeenNamed named{nullptr, nullptr, nullptr, InvalidOid, {no, nullptr, now}};
    if (stats::kind_of(no) == StatKind::Role) {
        const memory::Namespace &ns = memory::map.namespaces[stats::namespace_of(no)];
        const store::NamespaceInfo *info = ns.dropped.load() ? nullptr : store::namespace_by_id(ns.ns_id);
        named.namespace_name = info != nullptr ? pstrdup(info->name) : nullptr;
        named.role = static_cast<Oid>(memory::name_of(no).key);
        return named;
    }
    const memory::Queue &q = memory::map.queues[stats::queue_of(no)];
    const Names names = memory::is_dropped(q) ? Names{} : names_of(q.queue_id);
    named.namespace_name = names.ns;
    named.queue = names.queue;
    if (stats::kind_of(no) == StatKind::Type) named.name = pstrdup(memory::name_of(no).name);
    return named;
}

bool is_same(const SeenNamed &n, const SavedStatistics &s) {
    if (n.numbers.no < 0) return false;
    if (s.key.kind == StatKind::Role)
        return memory::map.namespaces[stats::namespace_of(n.numbers.no)].ns_id == s.key.object_id &&
               n.role == strtou64(s.key.name, nullptr, 10);
    return memory::map.queues[stats::queue_of(n.numbers.no)].queue_id == s.key.object_id &&
           strcmp(n.name != nullptr ? n.name : "", s.key.name) == 0;
}

// What was saved and is not in shared memory.
SeenNamed named_in_table(const SavedStatistics &s, TimestampTz now) {
    SeenNamed named{nullptr, nullptr, nullptr, InvalidOid, only_saved(s, now)};
    if (s.key.kind == StatKind::Role) {
        const store::NamespaceInfo *ns = store::namespace_by_id(s.key.object_id);
        if (ns == nullptr || !may_see(ns->id)) return named;
        named.namespace_name = pstrdup(ns->name);
        named.role = static_cast<Oid>(strtou64(s.key.name, nullptr, 10));
        return named;
    }
    const store::QueueInfo *info = store::queue_by_id(s.key.object_id);
    if (info == nullptr || !may_see(info->ns_id)) return named;
    const Names names = names_of(s.key.object_id);
    named.namespace_name = names.ns;
    named.queue = names.queue;
    if (s.key.kind == StatKind::Type) named.name = pstrdup(s.key.name);
    return named;
}

// Returns whether the tasks whose types have no entry did something.
bool is_used(StatNo no) {
    const memory::StatEntry &s = memory::map.statistics[no];
    return s.totals[static_cast<int>(Total::Retained)].load() + s.totals[static_cast<int>(Total::Failed)].load() > 0;
}

// Returns the named ones of a kind (Role), or of types and others (Type).
std::span<const SeenNamed> seen_named(StatKind kind) {
    const SlotNo db = begin();
    const TimestampTz now = GetCurrentStatementStartTimestamp();
    if (!memory::loaded()) return {};
    Growing<SeenNamed> seen;
    auto add = [&](StatNo no) {
        if (stats::database_of(no) != db || !may_see(memory::map.namespaces[stats::namespace_of(no)].ns_id)) return;
        const SeenNamed named = named_in_memory(no, now);
        if (named.namespace_name != nullptr) seen.add(named);
    };
    if (db >= 0) stats::each_named(kind, add);
    if (db >= 0 && kind == StatKind::Type)
        memory::each_queue(db, [&](SlotNo no) {
            if (is_used(memory::others_of(no))) add(memory::others_of(no));
        });
    if (is_complete(db)) return seen.all();
    const std::size_t known = seen.count;
    store::each_saved([&](const SavedStatistics &s) {
        const bool wanted = s.key.kind == kind || (kind == StatKind::Type && s.key.kind == StatKind::Others);
        if (!wanted) return;
        for (SeenNamed &n : seen.all().first(known))
            if (is_same(n, s)) {
                complete(&n.numbers, s);
                return;
            }
        const SeenNamed named = named_in_table(s, now);
        if (named.namespace_name != nullptr) seen.add(named);
    });
    return seen.all();
}

}  // namespace

int64 SeenNumbers::total(Total kind) const {
    return copy != nullptr ? copy->total(kind) : memory::map.statistics[no].totals[static_cast<int>(kind)].load();
}

int64 SeenNumbers::cost(RunCost kind) const {
    const int k = static_cast<int>(kind);
    return copy != nullptr ? copy->costs[k] : memory::map.statistics[no].costs[k].load();
}

void SeenNumbers::copy_times(Time kind, histogram::Times *times) const {
    if (copy != nullptr)
        *times = copy->times[static_cast<int>(kind)];
    else
        stats::copy_times(no, kind, times);
}

TimestampTz SeenNumbers::since() const {
    return copy != nullptr ? copy->since : memory::map.statistics[no].since.load();
}

int64 SeenQueue::count(Status status) const {
    return slot >= 0 ? memory::map.queues[slot].counts[static_cast<int>(status)].load() : -1;
}

std::span<const SeenQueue> seen_queues() {
    const SlotNo db = begin();
    const TimestampTz now = GetCurrentStatementStartTimestamp();
    if (!memory::loaded()) return {};
    Growing<SeenQueue> seen;
    if (db >= 0) seen = queues_in_memory(db, now);
    if (is_complete(db)) return seen.all();
    const std::size_t known = seen.count;
    store::each_saved([&](const SavedStatistics &s) { add_saved_queue(&seen, known, s, now); });
    return seen.all();
}

std::span<const SeenNamed> seen_types() { return seen_named(StatKind::Type); }
std::span<const SeenNamed> seen_roles() { return seen_named(StatKind::Role); }

}  // namespace pgqueue::api
