// Visibility is decided by SnapshotSelf: the newest committed or own version. It is fresh, available in parallel mode,
// and takes no predicate lock for a SERIALIZABLE caller. Updates of the table are HOT, so a search by the index always
// finds one version of each row.
#include "store/roles.hpp"

#include "pg/guards.hpp"
#include "store/cached.hpp"

namespace pgqueue::store {
namespace {

// Attribute numbers of pgqueue_internal.role (sql/02_tables.sql).
enum RoleColumn { r_id = 1, r_oid, r_name, r_system, r_entry };

// A row of the dictionary.
struct Entry {
    int32 id;
    Oid oid;  // InvalidOid: not an oid of this cluster; the role is found by its name
    const char *name;
};

struct Dictionary {
    Entry *by_id, *by_oid;
    int count, room;
};

constinit Cached<Dictionary> cache{};
constinit Oid watched = InvalidOid, id_index = InvalidOid;

int32 number_as_key(Oid role) { return static_cast<int32>(role); }

Entry entry_of(HeapTuple tuple, TupleDesc desc) {
    bool isnull;
    auto get = [&](int attno) { return heap_getattr(tuple, attno, desc, &isnull); };
    bool here = DatumGetInt64(get(r_system)) == static_cast<int64>(GetSystemIdentifier());
    Entry e{DatumGetInt32(get(r_id)), InvalidOid, TextDatumGetCString(get(r_name))};
    Datum oid = get(r_oid);
    if (here && !isnull) e.oid = DatumGetObjectId(oid);
    return e;
}

int compare_ids(const void *a, const void *b) {
    int32 x = static_cast<const Entry *>(a)->id, y = static_cast<const Entry *>(b)->id;
    return (x > y) - (x < y);
}

int compare_oids(const void *a, const void *b) {
    auto *x = static_cast<const Entry *>(a), *y = static_cast<const Entry *>(b);
    return x->oid != y->oid ? (x->oid > y->oid ? 1 : -1) : compare_ids(a, b);
}

// Finds the table and its index. Raises 55000 if the extension is not installed.
void find_table() {
    Oid schema = get_namespace_oid("pgqueue_internal", true);
    watched = OidIsValid(schema) ? get_relname_relid("role", schema) : InvalidOid;
    id_index = OidIsValid(schema) ? get_relname_relid("role_id", schema) : InvalidOid;
    if (!OidIsValid(watched) || !OidIsValid(id_index))
        ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                errmsg("extension pgqueue is not installed in this database"),
                errhint("Run CREATE EXTENSION pgqueue."));
}

void read_dictionary(Dictionary *into) {
    find_table();
    pg::RelationRef rel(watched, AccessShareLock);
    TableScanDesc scan = table_beginscan(rel, SnapshotSelf, 0, nullptr);
    while (HeapTuple tuple = heap_getnext(scan, ForwardScanDirection)) {
        if (into->count == into->room) {
            into->room = Max(into->room * 2, 16);
            Size bytes = sizeof(Entry) * static_cast<Size>(into->room);
            into->by_id =
                static_cast<Entry *>(into->by_id == nullptr ? palloc(bytes) : repalloc_huge(into->by_id, bytes));
        }
        into->by_id[into->count++] = entry_of(tuple, RelationGetDescr(static_cast<Relation>(rel)));
    }
    table_endscan(scan);
    Size n = static_cast<Size>(into->count);
    into->by_oid = static_cast<Entry *>(palloc_extended(sizeof(Entry) * (n + 1), MCXT_ALLOC_HUGE));
    if (n > 0) memcpy(into->by_oid, into->by_id, sizeof(Entry) * n);
    qsort(into->by_id, n, sizeof(Entry), compare_ids);
    qsort(into->by_oid, n, sizeof(Entry), compare_oids);
}

const Dictionary &dictionary() { return *cache.get("pgqueue roles", read_dictionary); }

void on_relcache(Datum, Oid relid) {
    if (relid == InvalidOid || relid == watched) cache.forget();
}

// Returns the rows of one key, or of one role, from a sorted array.
template <typename F>
std::span<const Entry> rows_of(const Entry *sorted, int count, F order) {
    int low = 0, high = count;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (order(sorted[middle]) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    int end = low;
    while (end < count && order(sorted[end]) == 0) end++;
    return {sorted + low, static_cast<std::size_t>(end - low)};
}

Oid present_oid(const Entry &e) {
    if (!OidIsValid(e.oid)) return get_role_oid(e.name, true);
    return role_exists(e.oid) ? e.oid : InvalidOid;
}

// Adds the contents of one more row to a key. If rows disagree, the key has no role.
void add_row(RoleKey *key, const Entry &e) {
    Oid oid = present_oid(e);
    if (!key->known)
        *key = {true, !OidIsValid(e.oid), oid, e.name};
    else if (key->oid != oid)
        key->oid = InvalidOid;
}

RoleKey look_in_cache(int32 id) {
    const Dictionary &d = dictionary();
    RoleKey key{};
    for (const Entry &e : rows_of(d.by_id, d.count, [id](const Entry &row) { return row.id < id ? -1 : row.id > id; }))
        add_row(&key, e);
    return key;
}

RoleKey look_in_table(int32 id) {
    RoleKey found{};
    pg::RelationRef rel(watched, AccessShareLock);
    ScanKeyData condition;
    ScanKeyInit(&condition, r_id, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(id));
    SysScanDesc scan = systable_beginscan(rel, id_index, true, SnapshotSelf, 1, &condition);
    while (HeapTuple tuple = systable_getnext(scan))
        add_row(&found, entry_of(tuple, RelationGetDescr(static_cast<Relation>(rel))));
    systable_endscan(scan);
    return found;
}

// Finds the key of a role in the dictionary as this process knows it. If it has several, prefers its oid. Returns false
// if it has none.
bool find_key(Oid role, int32 *id) {
    const Dictionary &d = dictionary();
    bool found = false;
    for (const Entry &e :
         rows_of(d.by_oid, d.count, [role](const Entry &row) { return row.oid < role ? -1 : row.oid > role; })) {
        if ((found && e.id != number_as_key(role)) || look_in_cache(e.id).oid != role) continue;
        *id = e.id;
        found = true;
    }
    return found;
}

// Returns a key that is neither in the dictionary nor the oid of a role. Two sessions may find the same key at the same
// time, with a probability of one in a billion. Then the key has no role, and its tasks are held.
int32 free_key() {
    for (;;) {
        auto id = static_cast<int32>(
            PG_INT32_MIN + static_cast<int64>(pg_prng_uint64_range(&pg_global_prng_state, 0, PG_INT32_MAX / 2)));
        if (!look_in_table(id).known && !role_exists(static_cast<Oid>(id))) return id;
        CHECK_FOR_INTERRUPTS();
    }
}

// Inserts a row as the table's owner, without triggers, which are for rows from a dump.
void insert_row(int32 id, Oid role, const char *name) {
    pg::RelationRef rel(watched, RowExclusiveLock);
    Datum values[r_entry] = {Int32GetDatum(id), ObjectIdGetDatum(role), CStringGetTextDatum(name),
                             Int64GetDatum(static_cast<int64>(GetSystemIdentifier())),
                             OidFunctionCall0(F_GEN_RANDOM_UUID)};
    bool nulls[r_entry] = {};
    HeapTuple tuple = heap_form_tuple(RelationGetDescr(static_cast<Relation>(rel)), values, nulls);
    CatalogTupleInsert(rel, tuple);
    // This process receives the invalidation too if the (sub)transaction aborts.
    CacheInvalidateRelcache(rel);
    CommandCounterIncrement();
}

}  // namespace

bool role_exists(Oid role) {
    if (SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(role))) return true;
    if (!OidIsValid(role)) return false;
    // Reads the table, because a commit announces its work before its invalidations are sent.
    pg::RelationRef rel(AuthIdRelationId, AccessShareLock);
    ScanKeyData key;
    ScanKeyInit(&key, Anum_pg_authid_oid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(role));
    SysScanDesc scan = systable_beginscan(rel, AuthIdOidIndexId, true, SnapshotSelf, 1, &key);
    bool there = HeapTupleIsValid(systable_getnext(scan));
    systable_endscan(scan);
    return there;
}

namespace {

RoleKey look_up(int32 id) {
    RoleKey key = look_in_cache(id);
    if (OidIsValid(key.oid)) return key;
    // Before a key counts as missing, the table is read: tasks are handed over before other processes receive the row
    // that came with them.
    RoleKey newest = look_in_table(id);
    if (newest.known != key.known || OidIsValid(newest.oid)) cache.forget();
    return newest;
}

}  // namespace

Oid role_oid_of(int32 id) { return look_up(id).oid; }

RoleKey role_of(int32 id) {
    RoleKey key = look_up(id);
    if (char *name = OidIsValid(key.oid) ? GetUserNameFromId(key.oid, true) : nullptr) key.name = name;
    return key;
}

bool same_role(int32 a, int32 b) {
    if (a == b) return true;
    Oid oid = role_oid_of(a);
    return OidIsValid(oid) && oid == role_oid_of(b);
}

char *shown_role(int32 id) {
    RoleKey key = role_of(id);
    return key.name != nullptr ? pstrdup(key.name) : psprintf("role %u", static_cast<uint32>(id));
}

int32 role_id_of(Oid role) {
    int32 id = number_as_key(role);
    if (find_key(role, &id)) return id;
    const char *name = GetUserNameFromId(role, true);
    if (name == nullptr)
        ereport(ERROR, errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("role %u does not exist", role),
                errhint("It was dropped. Connect as another role."));
    // Usually a role's oid is its key. But a key from a dump may have taken it.
    RoleKey taken = look_in_table(id);
    if (taken.known && taken.oid == role) return id;
    if (taken.known) {
        cache.forget();
        if (find_key(role, &id)) return id;
        id = free_key();
    }
    insert_row(id, role, name);
    return id;
}

int32 known_role_id_of(Oid role) {
    int32 id = number_as_key(role);
    (void)find_key(role, &id);
    return id;
}

void register_role_callbacks() { CacheRegisterRelcacheCallback(on_relcache, Datum(0)); }

}  // namespace pgqueue::store
