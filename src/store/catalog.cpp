#include "store/catalog.hpp"

#include "pg/guards.hpp"

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

struct Cache {
    Table<NamespaceInfo> namespaces;
    Table<QueueInfo> queues;
    Table<Grant> grants;
    HTAB *queue_names;
    Oid admin, user, monitor;
    Oid rights_of;      // whose rights are in `rights`
    unsigned *rights;   // by position in namespaces
};

constinit MemoryContext context = nullptr;
constinit Cache *cache = nullptr;
constinit Oid watched[3] = {};
constinit bool stale = true;

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

void read_namespace(const RowReader &r) {
    NamespaceInfo *n = cache->namespaces.add();
    n->id = static_cast<int32>(r.integer(1));
    n->name = r.string(2);
    n->owner = static_cast<Oid>(r.integer(3));
    n->weight = static_cast<int32>(r.integer(5));
    n->max_running = static_cast<int32>(r.integer(6));
    n->max_depth = r.integer(7);
    n->paused = r.boolean(8);
}

void read_queue(const RowReader &r) {
    QueueInfo *q = cache->queues.add();
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
void index_queues() {
    cache->namespaces.sort_by_id();
    cache->queues.sort_by_id();
    for (int i = 0; i < cache->queues.count; i++) {
        const NamespaceInfo *ns = cache->namespaces.find(cache->queues.items[i].ns_id);
        cache->queues.items[i].retries_follow = ns != nullptr && strcmp(ns->name, background_namespace) == 0;
        QueueKey key{};
        key.ns_id = cache->queues.items[i].ns_id;
        strlcpy(key.name, cache->queues.items[i].name, sizeof(key.name));
        bool found;
        static_cast<QueueName *>(hash_search(cache->queue_names, &key, HASH_ENTER, &found))->index = i;
    }
}

unsigned privilege_of(const char *word) {
    if (strcmp(word, "use") == 0) return priv_use;
    if (strcmp(word, "work") == 0) return priv_work;
    if (strcmp(word, "manage") == 0) return priv_manage;
    return priv_read;
}

void read_grant(const RowReader &r) {
    Grant *g = cache->grants.add();
    g->ns_id = static_cast<int32>(r.integer(1));
    g->role = static_cast<Oid>(r.integer(2));
    g->privilege = privilege_of(r.string(4));
}

Oid table_oid(const char *name) { return get_relname_relid(name, get_namespace_oid("pgqueue_internal", false)); }

void load_table(Oid oid, void (*reader)(const RowReader &)) {
    pg::RelationRef rel(oid, AccessShareLock);
    // A catalog snapshot: fresh, and to be had in parallel mode too.
    Snapshot snapshot = RegisterSnapshot(GetCatalogSnapshot(oid));
    TableScanDesc scan = table_beginscan(rel, snapshot, 0, nullptr);
    while (HeapTuple tuple = heap_getnext(scan, ForwardScanDirection)) reader(RowReader{tuple, RelationGetDescr(static_cast<Relation>(rel))});
    table_endscan(scan);
    UnregisterSnapshot(snapshot);
}

void load() {
    constexpr void (*readers[3])(const RowReader &) = {read_namespace, read_queue, read_grant};
    // Callers up the stack may still look at the old cache: it goes with the transaction.
    if (context != nullptr) MemoryContextSetParent(context, TopTransactionContext);
    cache = nullptr;
    context = AllocSetContextCreate(CacheMemoryContext, "pgqueue catalog", ALLOCSET_DEFAULT_SIZES);
    pg::MemoryScope scope(context);
    stale = false;
    Cache *fresh = static_cast<Cache *>(palloc0(sizeof(Cache)));
    HASHCTL ctl{};
    ctl.keysize = sizeof(QueueKey);
    ctl.entrysize = sizeof(QueueName);
    ctl.hcxt = context;
    fresh->queue_names = hash_create("pgqueue queues by name", 256, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
    cache = fresh;
    for (int i = 0; i < 3; i++) {
        watched[i] = table_oid(table_names[i]);
        if (!OidIsValid(watched[i])) {
            cache = nullptr;
            stale = true;
            ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("extension pgqueue is not installed in this database"),
                    errhint("Run CREATE EXTENSION pgqueue."));
        }
        load_table(watched[i], readers[i]);
    }
    index_queues();
    fresh->admin = get_role_oid("pgqueue_admin", true);
    fresh->user = get_role_oid("pgqueue_user", true);
    fresh->monitor = get_role_oid("pg_monitor", true);
}

Cache *current() {
    if (cache == nullptr || stale) load();
    return cache;
}

void on_relcache(Datum, Oid relid) {
    if (relid == InvalidOid || relid == watched[0] || relid == watched[1] || relid == watched[2]) stale = true;
}

void on_syscache(Datum, int, uint32) { stale = true; }

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
        if (!stale) return nullptr;
        c = current();
        entry = static_cast<QueueName *>(hash_search(c->queue_names, &key, HASH_FIND, &found));
    }
    return found ? &c->queues.items[entry->index] : nullptr;
}

const QueueInfo *queue_by_id(int32 id) { return current()->queues.find(id); }

unsigned privileges_of(Oid role, int32 ns_id) {
    Cache *c = current();
    if (c->rights_of != role || c->rights == nullptr) {
        bool super = superuser_arg(role);
        bool admin = super || (OidIsValid(c->admin) && has_privs_of_role(role, c->admin));
        bool user = OidIsValid(c->user) && has_privs_of_role(role, c->user);
        bool monitor = OidIsValid(c->monitor) && has_privs_of_role(role, c->monitor);
        unsigned *rights = static_cast<unsigned *>(MemoryContextAllocZero(context, sizeof(unsigned) * (c->namespaces.count + 1)));
        for (int i = 0; i < c->namespaces.count; i++) {
            const NamespaceInfo &n = c->namespaces.items[i];
            if (monitor) rights[i] |= priv_monitor;
            bool owns = admin || (SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(n.owner)) && has_privs_of_role(role, n.owner));
            if (owns) rights[i] |= priv_all;
            for (int g = 0; g < c->grants.count; g++) {
                const Grant &grant = c->grants.items[g];
                if (grant.ns_id != n.id) continue;
                bool holds = OidIsValid(grant.role) ? SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(grant.role)) && has_privs_of_role(role, grant.role) : user;
                if (holds) rights[i] |= grant.privilege;
            }
        }
        c->rights = rights;
        c->rights_of = role;
    }
    for (int i = 0; i < c->namespaces.count; i++)
        if (c->namespaces.items[i].id == ns_id) return c->rights[i];
    return 0;
}

void forget_catalog() { stale = true; }

void register_catalog_callbacks() {
    CacheRegisterRelcacheCallback(on_relcache, Datum(0));
    // Memberships and dropped roles change rights.
    CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, on_syscache, Datum(0));
    CacheRegisterSyscacheCallback(AUTHOID, on_syscache, Datum(0));
    CacheRegisterSyscacheCallback(NAMESPACEOID, on_syscache, Datum(0));
}

}  // namespace pgqueue::store
