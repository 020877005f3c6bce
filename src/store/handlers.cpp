#include "store/handlers.hpp"

#include "core/route.hpp"
#include "pg/guards.hpp"
#include "pg/testpoint.hpp"
#include "store/cached.hpp"

namespace pgqueue::store {
namespace {

// Attribute numbers of pgqueue_internal.handler (sql/02_tables.sql).
enum HandlerColumn { h_id = 1, h_namespace, h_type, h_phase, h_function, h_role, h_role_name, h_created_at, h_owner };

struct Handlers {
    HandlerInfo *handles;         // by namespace and type
    std::string_view *patterns;   // their types
    int n_handles;
    HandlerInfo *around;          // by id
    int n_around;
};

constinit Cached<Handlers> cache{};
constinit Oid watched = InvalidOid;

Phase phase_of(const char *word) {
    if (strcmp(word, "before") == 0) return Phase::Before;
    return strcmp(word, "after") == 0 ? Phase::After : Phase::Handle;
}

HandlerInfo read_handler(HeapTuple tuple, TupleDesc desc) {
    bool isnull;
    auto get = [&](int attno) { return heap_getattr(tuple, attno, desc, &isnull); };
    return {DatumGetInt32(get(h_id)),       DatumGetInt32(get(h_namespace)),     phase_of(TextDatumGetCString(get(h_phase))),
            TextDatumGetCString(get(h_type)), TextDatumGetCString(get(h_function)), DatumGetObjectId(get(h_role)), DatumGetObjectId(get(h_owner))};
}

int by_type(const void *a, const void *b) {
    auto *x = static_cast<const HandlerInfo *>(a);
    auto *y = static_cast<const HandlerInfo *>(b);
    if (x->ns_id != y->ns_id) return x->ns_id < y->ns_id ? -1 : 1;
    return std::string_view(x->type).compare(y->type);
}

int by_id(const void *a, const void *b) {
    int32 x = static_cast<const HandlerInfo *>(a)->id, y = static_cast<const HandlerInfo *>(b)->id;
    return (x > y) - (x < y);
}

// Adds one entry to an array that doubles.
void add(HandlerInfo **items, int *count, const HandlerInfo &h) {
    constexpr int first_room = 16;
    Size bytes = sizeof(HandlerInfo) * static_cast<Size>(Max(*count, first_room)) * (*count == 0 ? 1 : 2);
    bool full = *count == 0 || (*count >= first_room && (*count & (*count - 1)) == 0);
    if (full) *items = static_cast<HandlerInfo *>(*count == 0 ? palloc(bytes) : repalloc(*items, bytes));
    (*items)[(*count)++] = h;
}

void read_table(Handlers *into) {
    pg::RelationRef rel(watched, AccessShareLock);
    Snapshot snapshot = RegisterSnapshot(GetCatalogSnapshot(watched));
    TableScanDesc scan = table_beginscan(rel, snapshot, 0, nullptr);
    while (HeapTuple tuple = heap_getnext(scan, ForwardScanDirection)) {
        HandlerInfo h = read_handler(tuple, RelationGetDescr(static_cast<Relation>(rel)));
        if (h.phase == Phase::Handle)
            add(&into->handles, &into->n_handles, h);
        else
            add(&into->around, &into->n_around, h);
    }
    table_endscan(scan);
    UnregisterSnapshot(snapshot);
}

// Finds the table; raises when the extension is not there.
void find_table() {
    Oid schema = get_namespace_oid("pgqueue_internal", true);
    watched = OidIsValid(schema) ? get_relname_relid("handler", schema) : InvalidOid;
    if (!OidIsValid(watched))
        ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                errmsg("extension pgqueue is not installed in this database"), errhint("Run CREATE EXTENSION pgqueue."));
}

void read_handlers(Handlers *into) {
    find_table();
    PGQUEUE_TESTPOINT("catalog-reading");
    read_table(into);
    Size n = static_cast<Size>(into->n_handles);
    if (into->n_handles > 1) qsort(into->handles, n, sizeof(HandlerInfo), by_type);
    if (into->n_around > 1) qsort(into->around, static_cast<Size>(into->n_around), sizeof(HandlerInfo), by_id);
    into->patterns = static_cast<std::string_view *>(palloc(sizeof(std::string_view) * (n + 1)));
    for (int i = 0; i < into->n_handles; i++) into->patterns[i] = into->handles[i].type;
}

const Handlers &current() { return *cache.get("pgqueue handlers", read_handlers); }

void on_relcache(Datum, Oid relid) {
    if (relid == InvalidOid || relid == watched) cache.forget();
}

void on_syscache(Datum, int, uint32) { cache.forget(); }

// The first handler of this namespace or a later one.
int first_of(const Handlers &h, int32 ns_id) {
    int low = 0, high = h.n_handles;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (h.handles[middle].ns_id < ns_id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

}  // namespace

const HandlerInfo *handler_of_type(int32 ns_id, std::string_view type) {
    const Handlers &h = current();
    int first = first_of(h, ns_id), end = first_of(h, ns_id + 1);
    std::size_t at = longest_match({h.patterns + first, static_cast<std::size_t>(end - first)}, type);
    return at == no_route ? nullptr : &h.handles[first + static_cast<int>(at)];
}

std::span<const HandlerInfo> around_handlers() {
    const Handlers &h = current();
    return {h.around, static_cast<std::size_t>(h.n_around)};
}

void forget_handlers() { cache.forget(); }

void register_handler_callbacks() {
    CacheRegisterRelcacheCallback(on_relcache, Datum(0));
    CacheRegisterSyscacheCallback(NAMESPACEOID, on_syscache, Datum(0));
}

}  // namespace pgqueue::store
