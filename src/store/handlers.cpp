#include "store/handlers.hpp"

#include "core/route.hpp"
#include "pg/guards.hpp"

namespace pgqueue::store {
namespace {

// Attribute numbers of pgqueue_internal.handler (sql/02_tables.sql).
enum HandlerColumn { h_id = 1, h_namespace, h_type, h_phase, h_function, h_role };

struct Handlers {
    HandlerInfo *handles;         // by namespace and type
    std::string_view *patterns;   // their types
    int n_handles;
    HandlerInfo *around;          // by id
    int n_around;
};

constinit MemoryContext context = nullptr;
constinit Handlers *cache = nullptr;
constinit Oid watched = InvalidOid;
constinit bool stale = true;

Phase phase_of(const char *word) {
    if (strcmp(word, "before") == 0) return Phase::Before;
    return strcmp(word, "after") == 0 ? Phase::After : Phase::Handle;
}

HandlerInfo read_handler(HeapTuple tuple, TupleDesc desc) {
    bool isnull;
    auto get = [&](int attno) { return heap_getattr(tuple, attno, desc, &isnull); };
    return {DatumGetInt32(get(h_id)),       DatumGetInt32(get(h_namespace)),     phase_of(TextDatumGetCString(get(h_phase))),
            TextDatumGetCString(get(h_type)), TextDatumGetCString(get(h_function)), DatumGetObjectId(get(h_role))};
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
    Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
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

void load() {
    // Callers up the stack may still look at the old cache: it goes with the transaction.
    if (context != nullptr) MemoryContextSetParent(context, TopTransactionContext);
    cache = nullptr;
    context = AllocSetContextCreate(CacheMemoryContext, "pgqueue handlers", ALLOCSET_SMALL_SIZES);
    pg::MemoryScope scope(context);
    stale = false;
    watched = get_relname_relid("handler", get_namespace_oid("pgqueue_internal", false));
    if (!OidIsValid(watched)) {
        stale = true;
        ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("extension pgqueue is not installed in this database"),
                errhint("Run CREATE EXTENSION pgqueue."));
    }
    auto *fresh = static_cast<Handlers *>(palloc0(sizeof(Handlers)));
    read_table(fresh);
    if (fresh->n_handles > 1) qsort(fresh->handles, static_cast<std::size_t>(fresh->n_handles), sizeof(HandlerInfo), by_type);
    if (fresh->n_around > 1) qsort(fresh->around, static_cast<std::size_t>(fresh->n_around), sizeof(HandlerInfo), by_id);
    fresh->patterns = static_cast<std::string_view *>(palloc(sizeof(std::string_view) * static_cast<Size>(fresh->n_handles + 1)));
    for (int i = 0; i < fresh->n_handles; i++) fresh->patterns[i] = fresh->handles[i].type;
    cache = fresh;
}

const Handlers &current() {
    if (cache == nullptr || stale) load();
    return *cache;
}

void on_relcache(Datum, Oid relid) {
    if (relid == InvalidOid || relid == watched) stale = true;
}

void on_syscache(Datum, int, uint32) { stale = true; }

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

void forget_handlers() { stale = true; }

void register_handler_callbacks() {
    CacheRegisterRelcacheCallback(on_relcache, Datum(0));
    CacheRegisterSyscacheCallback(NAMESPACEOID, on_syscache, Datum(0));
}

}  // namespace pgqueue::store
