#include "store/catalog.hpp"

#include "pg/guards.hpp"
#include "pg/testpoint.hpp"
#include "store/cached.hpp"

namespace pgqueue::store {
namespace {

struct Grant {
    int32 ns_id;
    Oid role;  // InvalidOid: public, every pgqueue_user
    unsigned privilege;
};

template <typename T>
struct Table {
    T *items;
    int count, room;
    T *add() {
        if (count == room) {
            room = room == 0 ? 16 : room * 2;
            items = static_cast<T *>(items == nullptr ? palloc(sizeof(T) * room) : repalloc(items, sizeof(T) * static_cast<Size>(room)));
        }
        return &items[count++];
    }
    static int by_id(const void *a, const void *b) {
        int32 x = static_cast<const T *>(a)->id, y = static_cast<const T *>(b)->id;
        return x < y ? -1 : static_cast<int>(x > y);
    }
    void sort_by_id() {
        if (count > 1) qsort(items, static_cast<Size>(count), sizeof(T), by_id);
    }
    const T *find(int32 id) const {
        int low = 0, high = count;
        while (low < high) {
            int middle = (low + high) / 2;
            (items[middle].id < id ? low : high) = items[middle].id < id ? middle + 1 : middle;
        }
        return low < count && items[low].id == id ? &items[low] : nullptr;
    }
};

struct QueueKey {
    int32 ns_id;
    char name[NAMEDATALEN + 4];
};
struct QueueName {
    QueueKey key;
    int32 index;
};

// What a role may do, by position in the table of namespaces.
struct RoleRights {
    Oid role;
    unsigned *bits;
};

struct Cache {
    Table<NamespaceInfo> namespaces;
    Table<QueueInfo> queues;
    Table<Grant> grants;
    HTAB *queue_names;
    Oid admin, user, monitor;
    RoleRights rights[8];  // of the roles that asked last
    int next_rights;       // the place of the next one
};

constinit Cached<Cache> cache{};
constinit Oid watched[3] = {};

enum WatchedTable { t_namespace, t_queue, t_grant };
constexpr const char *table_names[3] = {"namespace", "queue", "namespace_grant"};

// One column of the row at hand; NULL gives `none`.
struct RowReader {
    HeapTuple tuple;
    TupleDesc desc;
    Datum get(int attno, bool *isnull) const { return heap_getattr(tuple, attno, desc, isnull); }
    int64 integer(int attno, int64 none = 0) const {
        bool isnull;
        Datum d = get(attno, &isnull);
        if (isnull) return none;
        return TupleDescAttr(desc, attno - 1)->attlen == 8 ? DatumGetInt64(d) : DatumGetInt32(d);
    }
    bool boolean(int attno) const {
        bool isnull;
        Datum d = get(attno, &isnull);
        return !isnull && DatumGetBool(d);
    }
    double number(int attno) const {
        bool isnull;
        Datum d = get(attno, &isnull);
        return isnull ? 0 : DatumGetFloat8(d);
    }
    char *string(int attno) const {
        bool isnull;
        Datum d = get(attno, &isnull);
        return isnull ? nullptr : TextDatumGetCString(d);
    }
    int64 interval(int attno, int64 none) const {
        bool isnull;
        Datum d = get(attno, &isnull);
        if (isnull) return none;
        Interval *i = DatumGetIntervalP(d);
        return i->time + (int64(i->day) + int64(i->month) * DAYS_PER_MONTH) * USECS_PER_DAY;
    }
};

// Attribute numbers of pgqueue_internal.queue (sql/02_tables.sql).
enum QueueColumn {
    q_id = 1, q_namespace, q_name, q_description, q_executor, q_priority, q_ttl, q_retries, q_retry_delay, q_backoff, q_max_retry_delay, q_retry_jitter,
    q_lease, q_run_limit, q_max_running, q_max_depth, q_rate_limit, q_rate_burst, q_group_max_running, q_group_rate_limit, q_group_policy, q_aging,
    q_retention, q_on_finish, q_dead_letter, q_group_commit, q_forward_to, q_paused, q_paused_reason, q_paused_until
};

Backoff backoff_of(const char *word) {
    if (strcmp(word, "linear") == 0) return Backoff::Linear;
    if (strcmp(word, "quadratic") == 0) return Backoff::Quadratic;
    if (strcmp(word, "fixed") == 0) return Backoff::Fixed;
    return Backoff::Exponential;
}

OnFinish on_finish_of(const char *word) {
    if (strcmp(word, "archive") == 0) return OnFinish::Archive;
    if (strcmp(word, "delete") == 0) return OnFinish::Delete;
    return OnFinish::Keep;
}

// retention: NULL follows ttl, zero is for ever.
int64 retention_of(int64 retention, int64 ttl) {
    if (retention == 0) return -1;
    if (retention > 0) return retention;
    return ttl > 0 ? ttl : -1;
}

void read_namespace(Cache *into, const RowReader &r) {
    NamespaceInfo *n = into->namespaces.add();
    n->id = static_cast<int32>(r.integer(1));
    n->name = r.string(2);
    n->owner = static_cast<Oid>(r.integer(3));
    n->weight = static_cast<int32>(r.integer(5));
    n->max_running = static_cast<int32>(r.integer(6));
    n->max_depth = r.integer(7);
    n->paused = r.boolean(8);
    auto share = [&r](int column) { return static_cast<Share>(r.integer(column)); };
    n->shares = {share(11), share(12), share(13), share(14), share(15)};
}

void read_queue(Cache *into, const RowReader &r) {
    QueueInfo *q = into->queues.add();
    q->id = static_cast<int32>(r.integer(q_id));
    q->ns_id = static_cast<int32>(r.integer(q_namespace));
    q->name = r.string(q_name);
    q->server = strcmp(r.string(q_executor), "server") == 0;
    q->priority = static_cast<int32>(r.integer(q_priority));
    q->ttl = r.interval(q_ttl, -1);
    q->retries = static_cast<int32>(r.integer(q_retries));
    q->retry_delay = r.interval(q_retry_delay, 0);
    q->max_retry_delay = r.interval(q_max_retry_delay, USECS_PER_DAY);
    q->backoff = backoff_of(r.string(q_backoff));
    q->retry_jitter = r.number(q_retry_jitter);
    q->lease = r.interval(q_lease, 0);
    q->run_limit = r.interval(q_run_limit, 0);
    q->max_running = static_cast<int32>(r.integer(q_max_running));
    q->rate_limit = r.number(q_rate_limit);
    q->rate_burst = static_cast<int32>(r.integer(q_rate_burst, 1));
    q->group_max_running = static_cast<int32>(r.integer(q_group_max_running, 1));
    q->group_rate_limit = r.number(q_group_rate_limit);
    q->group_pass = strcmp(r.string(q_group_policy), "pass") == 0;
    q->aging = r.interval(q_aging, 0);
    q->dead_letter = r.string(q_dead_letter);
    q->max_depth = r.integer(q_max_depth);
    q->retention = retention_of(r.interval(q_retention, -1), q->ttl);
    q->on_finish = on_finish_of(r.string(q_on_finish));
    q->paused = r.boolean(q_paused);
    q->paused_until = r.integer(q_paused_until);
}

// Tasks name their queue by its id, callers by its name.
void index_queues(Cache *into) {
    into->namespaces.sort_by_id();
    into->queues.sort_by_id();
    for (int i = 0; i < into->queues.count; i++) {
        const NamespaceInfo *ns = into->namespaces.find(into->queues.items[i].ns_id);
        into->queues.items[i].retries_follow = ns != nullptr && strcmp(ns->name, background_namespace) == 0;
        QueueKey key{};
        key.ns_id = into->queues.items[i].ns_id;
        strlcpy(key.name, into->queues.items[i].name, sizeof(key.name));
        bool found;
        static_cast<QueueName *>(hash_search(into->queue_names, &key, HASH_ENTER, &found))->index = i;
    }
}

unsigned privilege_of(const char *word) {
    if (strcmp(word, "use") == 0) return priv_use;
    if (strcmp(word, "work") == 0) return priv_work;
    if (strcmp(word, "manage") == 0) return priv_manage;
    return priv_read;
}

void read_grant(Cache *into, const RowReader &r) {
    Grant *g = into->grants.add();
    g->ns_id = static_cast<int32>(r.integer(1));
    g->role = static_cast<Oid>(r.integer(2));
    g->privilege = privilege_of(r.string(4));
}

// Finds the tables; raises when the extension is not there.
void find_tables() {
    Oid schema = get_namespace_oid("pgqueue_internal", true);
    for (int i = 0; i < 3; i++) {
        watched[i] = OidIsValid(schema) ? get_relname_relid(table_names[i], schema) : InvalidOid;
        if (!OidIsValid(watched[i]))
            ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("extension pgqueue is not installed in this database"), errhint("Run CREATE EXTENSION pgqueue."));
    }
}

void read_table(Cache *into, Oid oid, Snapshot snapshot, void (*reader)(Cache *, const RowReader &)) {
    pg::RelationRef rel(oid, AccessShareLock);
    TableScanDesc scan = table_beginscan(rel, snapshot, 0, nullptr);
    while (HeapTuple tuple = heap_getnext(scan, ForwardScanDirection))
        reader(into, RowReader{tuple, RelationGetDescr(static_cast<Relation>(rel))});
    table_endscan(scan);
}

void make_name_index(Cache *into) {
    HASHCTL ctl{};
    ctl.keysize = sizeof(QueueKey);
    ctl.entrysize = sizeof(QueueName);
    ctl.hcxt = CurrentMemoryContext;
    into->queue_names = hash_create("pgqueue queues by name", 256, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

void read_tables(Cache *into) {
    constexpr void (*readers[3])(Cache *, const RowReader &) = {read_namespace, read_queue, read_grant};
    find_tables();
    make_name_index(into);
    // One snapshot, so that no queue is without its namespace: a catalog snapshot is fresh and to be had in parallel mode too.
    Snapshot snapshot = RegisterSnapshot(GetCatalogSnapshot(watched[t_queue]));
    for (int i = 0; i < 3; i++) {
        PGQUEUE_TESTPOINT("catalog-reading");
        read_table(into, watched[i], snapshot, readers[i]);
    }
    UnregisterSnapshot(snapshot);
    index_queues(into);
    into->admin = get_role_oid("pgqueue_admin", true);
    into->user = get_role_oid("pgqueue_user", true);
    into->monitor = get_role_oid("pg_monitor", true);
}

Cache *current() { return cache.get("pgqueue catalog", read_tables); }

void on_relcache(Datum, Oid relid) {
    bool ours = relid == InvalidOid;
    for (Oid oid : watched) ours = ours || relid == oid;
    if (ours) cache.forget();
}

void on_syscache(Datum, int, uint32) { cache.forget(); }

}  // namespace

namespace {

// Whether a table has this id now, whatever this process has heard of: commits hand tasks over before their invalidations are sent.
// An id never comes back once it is gone.
bool is_in_table(WatchedTable table, int32 id) {
    pg::RelationRef rel(watched[table], AccessShareLock);
    ScanKeyData key;
    ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(id));
    Snapshot snapshot = RegisterSnapshot(GetCatalogSnapshot(watched[table]));
    SysScanDesc scan = systable_beginscan(rel, pg::primary_key_index(rel), true, snapshot, 1, &key);
    bool there = HeapTupleIsValid(systable_getnext(scan));
    systable_endscan(scan);
    UnregisterSnapshot(snapshot);
    return there;
}

}  // namespace

std::span<const NamespaceInfo> all_namespaces() {
    Cache *c = current();
    return {c->namespaces.items, static_cast<size_t>(c->namespaces.count)};
}
std::span<const QueueInfo> all_queues() {
    Cache *c = current();
    return {c->queues.items, static_cast<size_t>(c->queues.count)};
}
const NamespaceInfo *namespace_by_name(const char *name) {
    for (const NamespaceInfo &n : all_namespaces())
        if (strcmp(n.name, name) == 0) return &n;
    return nullptr;
}

const NamespaceInfo *namespace_by_id(int32 id) { return current()->namespaces.find(id); }

bool is_namespace(int32 id) { return current()->namespaces.find(id) != nullptr || is_in_table(t_namespace, id); }

const QueueInfo *queue_by_name(int32 ns_id, const char *name) {
    Cache *c = current();
    QueueKey key{};
    key.ns_id = ns_id;
    if (strlen(name) >= sizeof(key.name)) return nullptr;
    strlcpy(key.name, name, sizeof(key.name));
    bool found;
    auto *entry = static_cast<QueueName *>(hash_search(c->queue_names, &key, HASH_FIND, &found));
    if (!found) {
        // The caller may have waited for the transaction that made it.
        AcceptInvalidationMessages();
        if (cache.is_fresh()) return nullptr;
        c = current();
        entry = static_cast<QueueName *>(hash_search(c->queue_names, &key, HASH_FIND, &found));
    }
    return found ? &c->queues.items[entry->index] : nullptr;
}

const QueueInfo *queue_by_id(int32 id) {
    if (const QueueInfo *q = current()->queues.find(id)) return q;
    if (!is_in_table(t_queue, id)) return nullptr;
    forget_catalog();
    return current()->queues.find(id);
}

namespace {

bool has_role(Oid role, Oid of) { return OidIsValid(of) && SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(of)) && has_privs_of_role(role, of); }

// Fills in what a role may do in each namespace.
void find_rights(const Cache &c, Oid role, unsigned *bits) {
    bool admin = superuser_arg(role) || has_role(role, c.admin);
    bool user = has_role(role, c.user), monitor = has_role(role, c.monitor);
    for (int i = 0; i < c.namespaces.count; i++) {
        const NamespaceInfo &n = c.namespaces.items[i];
        bits[i] = monitor ? unsigned(priv_monitor) : 0;
        if (admin || has_role(role, n.owner)) bits[i] |= priv_all;
        for (int g = 0; g < c.grants.count; g++) {
            const Grant &grant = c.grants.items[g];
            if (grant.ns_id != n.id) continue;
            if (OidIsValid(grant.role) ? has_role(role, grant.role) : user) bits[i] |= grant.privilege;
        }
    }
}

// The rights of a role, found once for as long as the cache holds.
const unsigned *rights_of(Cache *c, Oid role) {
    for (const RoleRights &r : c->rights)
        if (r.bits != nullptr && r.role == role) return r.bits;
    RoleRights &r = c->rights[c->next_rights];
    r.role = InvalidOid;
    if (r.bits == nullptr)
        r.bits = static_cast<unsigned *>(MemoryContextAlloc(cache.context(), sizeof(unsigned) * static_cast<Size>(c->namespaces.count + 1)));
    find_rights(*c, role, r.bits);
    r.role = role;
    c->next_rights = (c->next_rights + 1) % static_cast<int>(lengthof(c->rights));
    return r.bits;
}

}  // namespace

unsigned privileges_of(Oid role, int32 ns_id) {
    Cache *c = current();
    const NamespaceInfo *ns = c->namespaces.find(ns_id);
    return ns == nullptr ? 0 : rights_of(c, role)[ns - c->namespaces.items];
}

void forget_catalog() { cache.forget(); }

void register_catalog_callbacks() {
    CacheRegisterRelcacheCallback(on_relcache, Datum(0));
    // Memberships and dropped roles change rights.
    CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, on_syscache, Datum(0));
    CacheRegisterSyscacheCallback(AUTHOID, on_syscache, Datum(0));
    CacheRegisterSyscacheCallback(NAMESPACEOID, on_syscache, Datum(0));
}

}  // namespace pgqueue::store
