// View memory: how full shared memory is, for the cluster and for the namespaces of this database.
#include "api/call.hpp"

#include "dispatch/usage.hpp"
#include "memory/registry.hpp"

using namespace pgqueue;
using namespace pgqueue::api;

namespace {

void put(ReturnSetInfo *info, const dispatch::Usage &u, int32 ns_id) {
    Datum values[5] = {CStringGetTextDatum(u.kind), Int32GetDatum(ns_id), Int64GetDatum(u.used),
                       Int64GetDatum(u.capacity), CStringGetTextDatum(u.comment)};
    bool nulls[5] = {false, ns_id == 0, false, u.capacity == 0, false};
    tuplestore_putvalues(info->setResult, info->setDesc, values, nulls);
}

void put_namespace(ReturnSetInfo *info, memory::SlotNo no) {
    int32 id = memory::map.namespaces[no].ns_id;
    if (!may(id, store::priv_manage | store::priv_monitor)) return;
    dispatch::NamespaceUsage u = dispatch::usage_of_namespace(no);
    put(info, {"queues", u.queues, 0, "queues of the namespace"}, id);
    put(info,
        {"priorities", u.priorities, u.most_priorities,
         "lists of priorities of the namespace; further priorities share them"},
        id);
    put(info, {"leases", u.leases, 0, "tasks of the namespace in the hands of outside workers"}, id);
    put(info, {"groups", u.groups, 0, "groups with tasks that wait or are held"}, id);
    put(info, {"grouped tasks", u.grouped, 0, "tasks that wait in groups"}, id);
}

void put_database(ReturnSetInfo *info, memory::SlotNo db) {
    memory::each_namespace(db, [info](memory::SlotNo ns) { put_namespace(info, ns); });
    put(info, {"spilled pages", memory::database(db).spill.in_file, 0, "pages of this database in its spill file"}, 0);
    put(info,
        {"rebuilds", memory::database(db).reading.rebuilds, 0,
         "times that all tasks of this database were read into memory since the server started"},
        0);
    put(info,
        {"repaired", dispatch::repairs(db), 0,
         "entries of this database that a look at the rows found missing or left over; more than zero is a fault"},
        0);
}

}  // namespace

PGQ_FUNCTION(pgqueue_internal_memory) {
    InitMaterializedSRF(fcinfo, 0);
    auto *info = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    if (!memory::loaded()) return Datum(0);
    for (int kind = 0; kind < dispatch::table_kinds; kind++)
        put(info, dispatch::usage_of(static_cast<dispatch::Table>(kind)), 0);
    if (memory::SlotNo db = memory::find_database(MyDatabaseId); db >= 0) put_database(info, db);
    return Datum(0);
}
