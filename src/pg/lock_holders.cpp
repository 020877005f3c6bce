#include "pg/lock_holders.hpp"

namespace pgqueue::pg {
namespace {

bool is_one_of(pid_t pid, std::span<const pid_t> pids) {
    for (pid_t p : pids)
        if (p == pid) return true;
    return false;
}

LOCKMODE strongest(LOCKMASK modes) {
    LOCKMODE mode = NoLock;
    for (LOCKMODE m = AccessShareLock; m <= AccessExclusiveLock; m++)
        if ((modes & LOCKBIT_ON(m)) != 0) mode = m;
    return mode;
}

// Returns the process of a transaction; 0: the transaction has ended, or is prepared.
pid_t process_of(TransactionId xid) {
    if (!TransactionIdIsNormal(xid) || !TransactionIdIsInProgress(xid)) return 0;
    return BackendXidGetPid(SubTransGetTopmostTransaction(xid));
}

}  // namespace

LockHolder holder_of_lock(Oid schema, LOCKMASK modes, std::span<const pid_t> except) {
    LockHolder holder{};
    LockData *all = GetLockStatusData();
    for (int i = 0; i < all->nelements; i++) {
        const LockInstanceData &l = all->locks[i];
        bool here = l.locktag.locktag_type == LOCKTAG_RELATION && l.locktag.locktag_field1 == MyDatabaseId;
        if (!here || (l.holdMask & modes) == 0 || l.pid == MyProcPid || is_one_of(l.pid, except)) continue;
        if (get_rel_namespace(l.locktag.locktag_field2) != schema) continue;
        LOCKMODE mode = strongest(l.holdMask & modes);
        if (mode > holder.mode) holder = {l.pid, l.locktag.locktag_field2, mode};
    }
    return holder;
}

pid_t holder_of_version(HeapTupleHeader version) {
    if ((version->t_infomask & HEAP_XMAX_INVALID) != 0) return 0;
    TransactionId xmax = HeapTupleHeaderGetRawXmax(version);
    if ((version->t_infomask & HEAP_XMAX_IS_MULTI) == 0) return process_of(xmax);
    MultiXactMember *members = nullptr;
    int n = GetMultiXactIdMembers(xmax, &members, false, HEAP_XMAX_IS_LOCKED_ONLY(version->t_infomask));
    pid_t pid = 0;
    for (int i = 0; i < n && pid == 0; i++) pid = process_of(members[i].xid);
    return pid;
}

}  // namespace pgqueue::pg
