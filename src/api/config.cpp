// The triggers on tables of settings: announce changes of settings and rights to the caches of backends, and to shared
// memory at commit. And register_database, which begins the service of a database.
#include "api/call.hpp"

#include "handover/actions.hpp"
#include "memory/registry.hpp"
#include "pg/guards.hpp"
#include "store/identity.hpp"
#include "store/queues.hpp"
#include "task/transitions.hpp"

using namespace pgqueue;
using namespace pgqueue::api;

namespace {

int32 int_column(TriggerData *data, HeapTuple tuple, const char *name) {
    TupleDesc desc = RelationGetDescr(data->tg_relation);
    bool isnull;
    Datum d = heap_getattr(tuple, SPI_fnumber(desc, name), desc, &isnull);
    return isnull ? 0 : DatumGetInt32(d);
}

// Returns the queue as this transaction has just written it.
void note_queue(int32 queue_id) {
    const store::QueueInfo *q = store::queue_by_id(queue_id);
    if (q == nullptr) return;
    memory::SlotNo slot = task::ensure_entry(*q);
    if (slot >= 0) handover::configure_queue_at_commit(slot, *q);
}

bool text_changed(TriggerData *data, const char *name) {
    TupleDesc desc = RelationGetDescr(data->tg_relation);
    int column = SPI_fnumber(desc, name);
    bool isnull;
    Datum before = heap_getattr(data->tg_trigtuple, column, desc, &isnull),
          now = heap_getattr(data->tg_newtuple, column, desc, &isnull);
    return !DatumGetBool(DirectFunctionCall2Coll(texteq, DEFAULT_COLLATION_OID, before, now));
}

// If the queue's executor changes, its waiting payload tasks go to other workers. If the policy of its groups changes,
// delayed tasks get another place.
void note_places(TriggerData *data, int32 queue_id) {
    if (!text_changed(data, "executor") && !text_changed(data, "group_policy")) return;
    memory::SlotNo db = memory::find_database(MyDatabaseId);
    memory::SlotNo slot = db < 0 ? -1 : memory::find_queue(db, queue_id);
    if (slot >= 0) handover::refile_at_commit(slot);
}

void note_namespace(int32 ns_id) {
    const store::NamespaceInfo *n = store::namespace_by_id(ns_id);
    memory::SlotNo db = memory::ensure_database(MyDatabaseId);
    if (n == nullptr || db < 0) return;
    memory::ensure_namespace(db, n->id);
    handover::configure_namespace_at_commit(db, {n->id, n->weight, n->max_running, n->paused, n->shares});
}

void note_namespace_gone(int32 ns_id) {
    memory::SlotNo db = memory::find_database(MyDatabaseId);
    if (db >= 0) handover::drop_namespace_at_commit(db, ns_id);
}

void note_queue_gone(int32 queue_id) {
    memory::SlotNo db = memory::find_database(MyDatabaseId);
    memory::SlotNo slot = db < 0 ? -1 : memory::find_queue(db, queue_id);
    if (slot >= 0) handover::drop_queue_at_commit(slot);
}

// Other caches receive it at commit, our own with the next command. For queues this is an invalidation of a relation
// that is never opened: one of their table would make every process plan again, and reopen, whatever reads it.
void tell_caches(Relation table) {
    if (strcmp(RelationGetRelationName(table), "queue") == 0)
        CacheInvalidateRelcacheByRelid(get_relname_relid("queue_change", RelationGetNamespace(table)));
    else
        CacheInvalidateRelcache(table);
    CommandCounterIncrement();
}

}  // namespace

PGQ_FUNCTION(pgqueue_internal_config_changed) {
    if (!CALLED_AS_TRIGGER(fcinfo))
        ereport(ERROR, errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED), errmsg("not called as a trigger"));
    auto *data = reinterpret_cast<TriggerData *>(fcinfo->context);
    tell_caches(data->tg_relation);
    const char *table = RelationGetRelationName(data->tg_relation);
    bool gone = TRIGGER_FIRED_BY_DELETE(data->tg_event);
    HeapTuple tuple = TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? data->tg_newtuple : data->tg_trigtuple;
    if (memory::loaded() && strcmp(table, "queue") == 0) {
        int32 id = int_column(data, tuple, "id");
        int32 before = int_column(data, data->tg_trigtuple, "id");
        if (gone || before != id) note_queue_gone(before);
        if (!gone) note_queue(id);
        if (TRIGGER_FIRED_BY_UPDATE(data->tg_event)) note_places(data, id);
    } else if (memory::loaded() && strcmp(table, "identity") == 0) {
        // A restore, or adopt(): the identity of the data must be checked again.
        handover::check_identity_at_commit();
    } else if (memory::loaded() && strcmp(table, "ticker") == 0) {
        handover::read_ticker_at_commit(int_column(data, tuple, "id"));
    } else if (memory::loaded() && strcmp(table, "handler") == 0) {
        memory::SlotNo db = memory::find_database(MyDatabaseId);
        handover::read_handlers_at_commit(db < 0 ? -1
                                                 : memory::find_namespace(db, int_column(data, tuple, "namespace_id")));
    } else if (memory::loaded() && strcmp(table, "namespace") == 0) {
        int32 id = int_column(data, tuple, "id");
        gone ? note_namespace_gone(id) : note_namespace(id);
    }
    return PointerGetDatum(nullptr);
}

namespace {

// Keys of a table begin above those that shared memory knows from a dropped extension, so that its remaining entries
// belong to nothing new.
void begin_ids_after(const char *table, int32 highest) {
    constexpr int32 first = 99;  // sql/02_tables.sql
    Oid types[2] = {TEXTOID, INT4OID};
    Datum values[2] = {CStringGetTextDatum(table), Int32GetDatum(highest)};
    if (highest <= first) return;
    pg::SpiSession spi;
    SPI_execute_with_args("SELECT pg_catalog.setval(pg_catalog.pg_get_serial_sequence($1, 'id'), $2)", 2, types, values,
                          nullptr, false, 1);
}

}  // namespace

// At the end of the install script: writes the identity, and starts a scheduler at commit.
PGQ_FUNCTION(pgqueue_internal_register_database) {
    (void)fcinfo;
    // A restore sets row_security off. The rows of the dump will follow, and nothing may write others before.
    row_security ? store::adopt() : store::hold();
    memory::SlotNo db = memory::loaded() && !IsBinaryUpgrade ? memory::ensure_database(MyDatabaseId) : -1;
    if (db < 0) PG_RETURN_VOID();
    memory::HighestIds ids = memory::highest_ids(db);
    begin_ids_after("pgqueue_internal.queue", ids.queue);
    begin_ids_after("pgqueue_internal.namespace", ids.ns);
    handover::serve_at_commit(MyDatabaseId, true);
    PG_RETURN_VOID();
}
