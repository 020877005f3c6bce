#include "dispatch/missed.hpp"

#include "memory/wake.hpp"
#include "pg/guards.hpp"

namespace pgqueue::dispatch {

void add_missed(SlotNo no, const Missed &tasks) {
    Namespace &ns = map.namespaces[no];
    pg::LwLockGuard lock(namespace_lock(no));
    if (ns.missed.to == 0) {
        ns.missed = tasks;
    } else {
        const bool older = TransactionIdPrecedes(tasks.xid, ns.missed.xid);
        ns.missed = {Min(ns.missed.from, tasks.from), Max(ns.missed.to, tasks.to), older ? tasks.xid : ns.missed.xid};
    }
    wake_scheduler(ns.db);
}

const Missed &next_missed(SlotNo no) {
    Namespace &ns = map.namespaces[no];
    if (ns.missed_read.to == 0 && ns.missed.to != 0) {
        pg::LwLockGuard lock(namespace_lock(no));
        ns.missed_read = ns.missed;
        ns.missed = {};
    }
    return ns.missed_read;
}

void read_missed_to(SlotNo no, int64 id) {
    Missed &read = map.namespaces[no].missed_read;
    read.from = id < read.to ? id + 1 : read.from;
    if (id >= read.to) read = {};
}

void forget_missed(SlotNo db) {
    each_namespace(db, [](SlotNo no) {
        pg::LwLockGuard lock(namespace_lock(no));
        map.namespaces[no].missed = map.namespaces[no].missed_read = {};
    });
}

}  // namespace pgqueue::dispatch
