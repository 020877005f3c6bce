#include "store/handlers.hpp"

#include "core/route.hpp"
#include "pg/guards.hpp"
#include "pg/testpoint.hpp"
#include "store/cached.hpp"
#include "store/queues.hpp"

namespace pgqueue::store {
namespace {

// Attribute numbers of pgqueue_internal.handler (sql/02_tables.sql).
enum HandlerColumn { h_id = 1, h_namespace, h_type, h_phase, h_function, h_role, h_role_name, h_created_at, h_owner };

// The handlers of one namespace. So after a change a process reads only the namespaces whose tasks it uses.
struct Handlers {
    HandlerInfo *handles;        // by type
    std::string_view *patterns;  // their types
    int n_handles;
    HandlerInfo *around;  // by id
    int n_around;
};

struct OfNamespace {
    int32 ns_id;  // key
    Cached<Handlers> cached;
};

constinit HTAB *namespaces = nullptr;
constinit int32 reading = 0;  // the namespace that is read
constinit Oid watched = InvalidOid;

Phase phase_of(const char *word) {
    Phase phase = Phase::Handle;
    (void)read_phase(word, &phase);
    return phase;
}

HandlerInfo read_handler(HeapTuple tuple, TupleDesc desc) {
    bool isnull;
    auto get = [&](int attno) { return heap_getattr(tuple, attno, desc, &isnull); };
    return {DatumGetInt32(get(h_id)),
            DatumGetInt32(get(h_namespace)),
            phase_of(TextDatumGetCString(get(h_phase))),
            TextDatumGetCString(get(h_type)),
            TextDatumGetCString(get(h_function)),
            DatumGetObjectId(get(h_role)),
            DatumGetObjectId(get(h_owner))};
}

int by_type(const void *a, const void *b) {
    auto *x = static_cast<const HandlerInfo *>(a);
    auto *y = static_cast<const HandlerInfo *>(b);
    return std::string_view(x->type).compare(y->type);
}

int by_id(const void *a, const void *b) {
    int32 x = static_cast<const HandlerInfo *>(a)->id, y = static_cast<const HandlerInfo *>(b)->id;
    return (x > y) - (x < y);
}

// Appends to an array whose room doubles.
void add(HandlerInfo **items, int *count, const HandlerInfo &h) {
    constexpr int first_room = 16;
    Size bytes = sizeof(HandlerInfo) * static_cast<Size>(Max(*count, first_room)) * (*count == 0 ? 1 : 2);
    bool full = *count == 0 || (*count >= first_room && (*count & (*count - 1)) == 0);
    if (full) *items = static_cast<HandlerInfo *>(*count == 0 ? palloc(bytes) : repalloc(*items, bytes));
    (*items)[(*count)++] = h;
}

void read_table(Handlers *into) {
    watched = internal_relation("handler");
    pg::RelationRef rel(watched, AccessShareLock);
    ScanKeyData key;
    ScanKeyInit(&key, h_namespace, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(reading));
    Snapshot snapshot = RegisterSnapshot(GetCatalogSnapshot(watched));
    SysScanDesc scan = systable_beginscan(rel, internal_relation("handler_namespace_id_type_phase_function_key"), true,
                                          snapshot, 1, &key);
    while (HeapTuple tuple = systable_getnext(scan)) {
        HandlerInfo h = read_handler(tuple, RelationGetDescr(static_cast<Relation>(rel)));
        if (h.phase == Phase::Handle)
            add(&into->handles, &into->n_handles, h);
        else
            add(&into->around, &into->n_around, h);
    }
    systable_endscan(scan);
    UnregisterSnapshot(snapshot);
}

void read_handlers(Handlers *into) {
    PGQUEUE_TESTPOINT("catalog-reading");
    read_table(into);
    Size n = static_cast<Size>(into->n_handles);
    if (into->n_handles > 1) qsort(into->handles, n, sizeof(HandlerInfo), by_type);
    if (into->n_around > 1) qsort(into->around, static_cast<Size>(into->n_around), sizeof(HandlerInfo), by_id);
    into->patterns = static_cast<std::string_view *>(palloc(sizeof(std::string_view) * (n + 1)));
    for (int i = 0; i < into->n_handles; i++) into->patterns[i] = into->handles[i].type;
}

HTAB *make_table() {
    HASHCTL control{};
    control.keysize = sizeof(int32);
    control.entrysize = sizeof(OfNamespace);
    control.hcxt = CacheMemoryContext;
    return hash_create("pgqueue handlers", 16, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

const Handlers &handlers_of(int32 ns_id) {
    if (namespaces == nullptr) namespaces = make_table();
    bool found;
    auto *entry = static_cast<OfNamespace *>(hash_search(namespaces, &ns_id, HASH_ENTER, &found));
    if (!found) *entry = OfNamespace{ns_id, {}};
    reading = ns_id;
    return *entry->cached.get("pgqueue handlers", read_handlers);
}

void on_relcache(Datum, Oid relid) {
    if (relid == InvalidOid || relid == watched) forget_handlers();
}

void on_syscache(Datum, int, uint32) { forget_handlers(); }

}  // namespace

const HandlerInfo *handler_of_type(int32 ns_id, std::string_view type) {
    const Handlers &h = handlers_of(ns_id);
    std::size_t at = longest_match({h.patterns, static_cast<std::size_t>(h.n_handles)}, type);
    return at == no_route ? nullptr : &h.handles[at];
}

std::span<const HandlerInfo> around_handlers(int32 ns_id) {
    const Handlers &h = handlers_of(ns_id);
    return {h.around, static_cast<std::size_t>(h.n_around)};
}

void forget_handlers() {
    if (namespaces == nullptr) return;
    HASH_SEQ_STATUS entries;
    hash_seq_init(&entries, namespaces);
    while (auto *entry = static_cast<OfNamespace *>(hash_seq_search(&entries))) entry->cached.forget();
}

void register_handler_callbacks() {
    CacheRegisterRelcacheCallback(on_relcache, Datum(0));
    CacheRegisterSyscacheCallback(NAMESPACEOID, on_syscache, Datum(0));
}

}  // namespace pgqueue::store
