#include "store/catalog.hpp"

#include "pg/guards.hpp"
#include "pg/testpoint.hpp"
#include "store/cached.hpp"
#include "store/queues.hpp"
#include "store/row_reader.hpp"
#include "store/version.hpp"

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
            items = static_cast<T *>(items == nullptr ? palloc(sizeof(T) * room)
                                                      : repalloc(items, sizeof(T) * static_cast<Size>(room)));
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

// The rights of a role, by position in the table of namespaces.
struct RoleRights {
    Oid role;
    unsigned *bits;
};

struct Cache {
    Table<NamespaceInfo> namespaces;
    Table<Grant> grants;
    Oid admin, user, monitor;
    RoleRights rights[8];  // of the last roles that were looked up
    int next_rights;       // the place of the next one
};

constinit Cached<Cache> cache{};
constinit Oid watched[2] = {};

enum WatchedTable { t_namespace, t_grant };
constexpr const char *table_names[2] = {"namespace", "namespace_grant"};

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

void find_tables() {
    for (int i = 0; i < 2; i++) watched[i] = internal_relation(table_names[i]);
}

void read_table(Cache *into, Oid oid, Snapshot snapshot, void (*reader)(Cache *, const RowReader &)) {
    pg::RelationRef rel(oid, AccessShareLock);
    TableScanDesc scan = table_beginscan(rel, snapshot, 0, nullptr);
    while (HeapTuple tuple = heap_getnext(scan, ForwardScanDirection))
        reader(into, RowReader{tuple, RelationGetDescr(static_cast<Relation>(rel))});
    table_endscan(scan);
}

void read_tables(Cache *into) {
    constexpr void (*readers[2])(Cache *, const RowReader &) = {read_namespace, read_grant};
    check_version();
    find_tables();
    // One snapshot for both. A catalog snapshot is fresh, and available in parallel mode too.
    Snapshot snapshot = RegisterSnapshot(GetCatalogSnapshot(watched[t_namespace]));
    for (int i = 0; i < 2; i++) {
        PGQUEUE_TESTPOINT("catalog-reading");
        read_table(into, watched[i], snapshot, readers[i]);
    }
    UnregisterSnapshot(snapshot);
    into->namespaces.sort_by_id();
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

void refresh_catalog() { (void)current(); }

namespace {

// Returns whether the table has the namespace now, even if this process has not received its creation yet: commits hand
// tasks over before their invalidations are sent. An id that is gone never comes back.
bool is_in_table(int32 id) {
    pg::RelationRef rel(watched[t_namespace], AccessShareLock);
    ScanKeyData key;
    ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(id));
    Snapshot snapshot = RegisterSnapshot(GetCatalogSnapshot(watched[t_namespace]));
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
const NamespaceInfo *namespace_by_name(const char *name) {
    for (const NamespaceInfo &n : all_namespaces())
        if (strcmp(n.name, name) == 0) return &n;
    return nullptr;
}

const NamespaceInfo *namespace_by_id(int32 id) {
    if (const NamespaceInfo *n = current()->namespaces.find(id)) return n;
    if (!is_in_table(id)) return nullptr;
    cache.forget();
    return current()->namespaces.find(id);
}

const NamespaceInfo &namespace_there(int32 id) {
    const NamespaceInfo *n = namespace_by_id(id);
    if (n == nullptr) ereport(ERROR, errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("the namespace was deleted"));
    return *n;
}

namespace {

bool has_role(Oid role, Oid of) {
    return OidIsValid(of) && SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(of)) && has_privs_of_role(role, of);
}

// Computes the rights of a role in each namespace.
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

// Returns the rights of a role, computed once while the cache is valid.
const unsigned *rights_of(Cache *c, Oid role) {
    for (const RoleRights &r : c->rights)
        if (r.bits != nullptr && r.role == role) return r.bits;
    RoleRights &r = c->rights[c->next_rights];
    r.role = InvalidOid;
    if (r.bits == nullptr)
        r.bits = static_cast<unsigned *>(
            MemoryContextAlloc(cache.context(), sizeof(unsigned) * static_cast<Size>(c->namespaces.count + 1)));
    find_rights(*c, role, r.bits);
    r.role = role;
    c->next_rights = (c->next_rights + 1) % static_cast<int>(lengthof(c->rights));
    return r.bits;
}

}  // namespace

unsigned privileges_of(Oid role, int32 ns_id) {
    if (namespace_by_id(ns_id) == nullptr) return 0;
    Cache *c = current();
    const NamespaceInfo *ns = c->namespaces.find(ns_id);
    return ns == nullptr ? 0 : rights_of(c, role)[ns - c->namespaces.items];
}

void forget_catalog() {
    cache.forget();
    forget_queues();
}

void register_catalog_callbacks() {
    CacheRegisterRelcacheCallback(on_relcache, Datum(0));
    // Memberships and dropped roles change rights.
    CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, on_syscache, Datum(0));
    CacheRegisterSyscacheCallback(AUTHOID, on_syscache, Datum(0));
    CacheRegisterSyscacheCallback(NAMESPACEOID, on_syscache, Datum(0));
    register_queue_callbacks();
}

}  // namespace pgqueue::store
