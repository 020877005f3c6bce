// The queues that this process has used. Each is read by an index, and is valid until any queue changes. Then it is
// checked at its next use. So a change costs a process one row for each queue that it uses, however many queues exist.
#include "store/queues.hpp"

#include "pg/guards.hpp"
#include "pg/testpoint.hpp"
#include "store/catalog.hpp"
#include "store/row_reader.hpp"

namespace pgqueue::store {
namespace {

struct QueueKey {
    int32 ns_id;
    char name[NAMEDATALEN + 4];
};
struct QueueName {
    QueueKey key;
    int32 id;
};

// A version of a queue's row. If the table still has this version, it need not be read again.
struct KnownQueue {
    int32 id;
    uint64 seen;  // changes that this process had received before it read the row
    ItemPointerData at;
    TransactionId xmin;
    const QueueInfo *info;
};

// The queues that were read. Old versions stay, because callers may use them until the transaction ends. So when it is
// full, a new one replaces it.
struct Known {
    MemoryContext context;
    HTAB *by_id, *by_name;
    int versions;
};

constexpr int most_versions = 8192;
constinit Known known{};
constinit uint64 changes = 1;
constinit bool rewritten = false;  // the table, or the places of its rows, may have changed: known places are invalid
constinit Oid table = InvalidOid, change = InvalidOid;

// Attribute numbers of pgqueue_internal.queue (sql/02_tables.sql).
enum QueueColumn {
    q_id = 1,
    q_namespace,
    q_name,
    q_description,
    q_executor,
    q_priority,
    q_ttl,
    q_retries,
    q_retry_delay,
    q_backoff,
    q_max_retry_delay,
    q_retry_jitter,
    q_lease,
    q_run_limit,
    q_max_running,
    q_max_depth,
    q_rate_limit,
    q_rate_burst,
    q_group_max_running,
    q_group_rate_limit,
    q_group_policy,
    q_aging,
    q_retention,
    q_on_finish,
    q_dead_letter,
    q_group_commit,
    q_forward_to,
    q_paused,
    q_paused_reason,
    q_paused_until
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

// Texts are in the current memory context.
QueueInfo read_queue(const RowReader &r) {
    QueueInfo q{};
    q.id = static_cast<int32>(r.integer(q_id));
    q.ns_id = static_cast<int32>(r.integer(q_namespace));
    q.name = r.string(q_name);
    q.server = strcmp(r.string(q_executor), "server") == 0;
    q.priority = static_cast<int32>(r.integer(q_priority));
    q.ttl = r.interval(q_ttl, -1);
    q.retries = static_cast<int32>(r.integer(q_retries));
    q.retry_delay = r.interval(q_retry_delay, 0);
    q.max_retry_delay = r.interval(q_max_retry_delay, USECS_PER_DAY);
    q.backoff = backoff_of(r.string(q_backoff));
    q.retry_jitter = r.number(q_retry_jitter);
    q.lease = r.interval(q_lease, 0);
    q.run_limit = r.interval(q_run_limit, 0);
    q.max_running = static_cast<int32>(r.integer(q_max_running));
    q.rate_limit = r.number(q_rate_limit);
    q.rate_burst = static_cast<int32>(r.integer(q_rate_burst, 1));
    q.group_max_running = static_cast<int32>(r.integer(q_group_max_running, 1));
    q.group_rate_limit = r.number(q_group_rate_limit);
    q.group_pass = strcmp(r.string(q_group_policy), "pass") == 0;
    q.aging = r.interval(q_aging, 0);
    q.dead_letter = r.string(q_dead_letter);
    q.max_depth = r.integer(q_max_depth);
    q.retention = retention_of(r.interval(q_retention, -1), q.ttl);
    q.on_finish = on_finish_of(r.string(q_on_finish));
    q.paused = r.boolean(q_paused);
    q.paused_until = r.integer(q_paused_until);
    return q;
}

HTAB *make_hash(const char *name, Size key, Size entry) {
    HASHCTL ctl{};
    ctl.keysize = key;
    ctl.entrysize = entry;
    ctl.hcxt = CurrentMemoryContext;
    return hash_create(name, 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

// Makes a new empty one, which replaces the former one when it is complete.
void begin_anew() {
    MemoryContext context = AllocSetContextCreate(TopTransactionContext, "pgqueue queues", ALLOCSET_DEFAULT_SIZES);
    pg::MemoryScope scope(context);
    Known fresh{context, make_hash("pgqueue queues by id", sizeof(int32), sizeof(KnownQueue)),
                make_hash("pgqueue queues by name", sizeof(QueueKey), sizeof(QueueName)), 0};
    if (known.context != nullptr) MemoryContextSetParent(known.context, TopTransactionContext);
    MemoryContextSetParent(context, CacheMemoryContext);
    known = fresh;
    rewritten = false;
}

KnownQueue *find_known(int32 id) {
    if (known.by_id == nullptr) return nullptr;
    return static_cast<KnownQueue *>(hash_search(known.by_id, &id, HASH_FIND, nullptr));
}

KnownQueue *find_named(const QueueKey &key) {
    if (known.by_name == nullptr) return nullptr;
    auto *named = static_cast<QueueName *>(hash_search(known.by_name, &key, HASH_FIND, nullptr));
    return named == nullptr ? nullptr : find_known(named->id);
}

// Checks the name, because the entry may belong to another queue by now.
bool is_named(const QueueInfo &q, int32 ns_id, const char *name) {
    return q.ns_id == ns_id && strcmp(q.name, name) == 0;
}

const char *copy_text(const char *text) { return text == nullptr ? nullptr : MemoryContextStrdup(known.context, text); }

const QueueInfo *copy_queue(const RowReader &row) {
    pg::TempContext scratch;
    QueueInfo q = read_queue(row);
    q.name = copy_text(q.name);
    q.dead_letter = copy_text(q.dead_letter);
    auto *copy = static_cast<QueueInfo *>(MemoryContextAlloc(known.context, sizeof(QueueInfo)));
    *copy = q;
    return copy;
}

QueueKey key_of(int32 ns_id, const char *name) {
    QueueKey key{};
    key.ns_id = ns_id;
    strlcpy(key.name, name, sizeof(key.name));
    return key;
}

// Tasks refer to their queue by id, callers by name.
void name_queue(const QueueInfo &q) {
    QueueKey key = key_of(q.ns_id, q.name);
    static_cast<QueueName *>(hash_search(known.by_name, &key, HASH_ENTER, nullptr))->id = q.id;
}

const QueueInfo *keep(const RowReader &row, uint64 seen) {
    if (known.context == nullptr || rewritten || known.versions >= most_versions) begin_anew();
    int32 id = static_cast<int32>(row.integer(q_id));
    TransactionId xmin = HeapTupleHeaderGetRawXmin(row.tuple->t_data);
    KnownQueue *q = find_known(id);
    if (q == nullptr || q->xmin != xmin || !ItemPointerEquals(&q->at, &row.tuple->t_self)) {
        const QueueInfo *info = copy_queue(row);
        name_queue(*info);
        q = static_cast<KnownQueue *>(hash_search(known.by_id, &id, HASH_ENTER, nullptr));
        *q = {id, 0, row.tuple->t_self, xmin, info};
        known.versions++;
    }
    q->seen = seen;
    return q->info;
}

void find_tables() {
    table = internal_relation("queue");
    change = internal_relation("queue_change");
}

// Returns the queue that the table has now, by the keys of an index; nullptr: none. A catalog snapshot is fresh, and
// available in parallel mode too.
const QueueInfo *look(Relation rel, Oid index, int keys, ScanKey key) {
    uint64 seen = changes;
    Snapshot snapshot = RegisterSnapshot(GetCatalogSnapshot(table));
    SysScanDesc scan = systable_beginscan(rel, index, true, snapshot, keys, key);
    PGQUEUE_TESTPOINT("catalog-reading");
    HeapTuple tuple = systable_getnext(scan);
    const QueueInfo *q = HeapTupleIsValid(tuple) ? keep(RowReader{tuple, RelationGetDescr(rel)}, seen) : nullptr;
    systable_endscan(scan);
    UnregisterSnapshot(snapshot);
    return q;
}

void key_of_namespace(ScanKey key, int32 ns_id) {
    ScanKeyInit(key, q_namespace, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(ns_id));
}

Oid name_index() { return internal_relation("queue_namespace_id_name_key"); }

void on_relcache(Datum, Oid relid) {
    if (relid != InvalidOid && relid != change && relid != table) return;
    changes++;
    rewritten = rewritten || relid != change;
}

void on_syscache(Datum, int, uint32) {
    changes++;
    rewritten = true;
}

}  // namespace

Oid internal_relation(const char *name) {
    Oid schema = get_namespace_oid("pgqueue_internal", true);
    Oid oid = OidIsValid(schema) ? get_relname_relid(name, schema) : InvalidOid;
    if (!OidIsValid(oid))
        ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                errmsg("extension pgqueue is not installed in this database"),
                errhint("Run CREATE EXTENSION pgqueue."));
    return oid;
}

const QueueInfo *queue_by_id(int32 id) {
    if (const KnownQueue *q = find_known(id); q != nullptr && q->seen == changes) return q->info;
    return read_queue_by_id(id);
}

const QueueInfo *read_queue_by_id(int32 id) {
    find_tables();
    pg::RelationRef rel(table, AccessShareLock);
    ScanKeyData key;
    ScanKeyInit(&key, q_id, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(id));
    const QueueInfo *q = look(rel, pg::primary_key_index(rel), 1, &key);
    if (q == nullptr && known.by_id != nullptr) hash_search(known.by_id, &id, HASH_REMOVE, nullptr);
    return q;
}

int32 namespace_of_queue(int32 id, Snapshot snapshot) {
    find_tables();
    pg::RelationRef rel(table, AccessShareLock);
    ScanKeyData key;
    ScanKeyInit(&key, q_id, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(id));
    SysScanDesc scan = systable_beginscan(rel, pg::primary_key_index(rel), true, snapshot, 1, &key);
    HeapTuple tuple = systable_getnext(scan);
    bool isnull;
    const int32 ns_id =
        tuple == nullptr
            ? 0
            : DatumGetInt32(heap_getattr(tuple, q_namespace, RelationGetDescr(static_cast<Relation>(rel)), &isnull));
    systable_endscan(scan);
    return ns_id;
}

const QueueInfo &queue_there(int32 id) {
    const QueueInfo *q = queue_by_id(id);
    if (q == nullptr) ereport(ERROR, errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("the queue was deleted"));
    return *q;
}

const QueueInfo *queue_by_name(int32 ns_id, const char *name) {
    if (strlen(name) >= sizeof(QueueKey::name)) return nullptr;
    const QueueKey wanted = key_of(ns_id, name);
    const KnownQueue *q = find_named(wanted);
    if (q != nullptr && q->seen == changes && is_named(*q->info, ns_id, name)) return q->info;
    find_tables();
    pg::RelationRef rel(table, AccessShareLock);
    ScanKeyData keys[2];
    key_of_namespace(&keys[0], ns_id);
    Oid collation = TupleDescAttr(RelationGetDescr(static_cast<Relation>(rel)), q_name - 1)->attcollation;
    ScanKeyEntryInitialize(&keys[1], 0, q_name, BTEqualStrategyNumber, InvalidOid, collation, F_TEXTEQ,
                           CStringGetTextDatum(name));
    return look(rel, name_index(), 2, keys);
}

std::span<const QueueInfo> read_queues() {
    find_tables();
    pg::RelationRef rel(table, AccessShareLock);
    Snapshot snapshot = RegisterSnapshot(GetCatalogSnapshot(table));
    TableScanDesc scan = table_beginscan(rel, snapshot, 0, nullptr);
    size_t count = 0, room = 64;
    auto *all = static_cast<QueueInfo *>(palloc(sizeof(QueueInfo) * room));
    while (HeapTuple tuple = heap_getnext(scan, ForwardScanDirection)) {
        PGQUEUE_TESTPOINT("catalog-reading");
        if (count == room) all = static_cast<QueueInfo *>(repalloc_huge(all, sizeof(QueueInfo) * (room *= 2)));
        all[count++] = read_queue(RowReader{tuple, RelationGetDescr(static_cast<Relation>(rel))});
    }
    table_endscan(scan);
    UnregisterSnapshot(snapshot);
    return {all, count};
}

int64 count_queues(int32 ns_id) {
    find_tables();
    pg::RelationRef rel(table, AccessShareLock);
    ScanKeyData key;
    key_of_namespace(&key, ns_id);
    Snapshot snapshot = RegisterSnapshot(GetCatalogSnapshot(table));
    SysScanDesc scan = systable_beginscan(rel, name_index(), true, snapshot, 1, &key);
    int64 count = 0;
    while (HeapTupleIsValid(systable_getnext(scan))) count++;
    systable_endscan(scan);
    UnregisterSnapshot(snapshot);
    return count;
}

void forget_queues() { changes++; }

void register_queue_callbacks() {
    CacheRegisterRelcacheCallback(on_relcache, Datum(0));
    CacheRegisterSyscacheCallback(NAMESPACEOID, on_syscache, Datum(0));
}

}  // namespace pgqueue::store
