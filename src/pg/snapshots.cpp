#include "pg/snapshots.hpp"

#include "pg/guards.hpp"

namespace pgqueue::pg {
namespace {

// Returns the first transaction whose effects a process has to distinguish: that of its snapshot, or its own.
TransactionId needed_by(const PGPROC &p) {
    if (!TransactionIdIsNormal(p.xid)) return p.xmin;
    return TransactionIdIsNormal(p.xmin) && TransactionIdPrecedes(p.xmin, p.xid) ? p.xmin : p.xid;
}

}  // namespace

pid_t holder_of(TransactionId horizon) {
    pid_t holder = 0;
    TransactionId oldest = InvalidTransactionId;
    bool writes = false;
    LwLockGuard lock(ProcArrayLock, LW_SHARED);
    for (uint32 i = 0; i < ProcGlobal->allProcCount; i++) {
        const PGPROC &p = ProcGlobal->allProcs[i];
        if (p.pid == 0 || &p == MyProc || (p.databaseId != MyDatabaseId && OidIsValid(p.databaseId))) continue;
        TransactionId needed = needed_by(p);
        if (!TransactionIdIsNormal(needed) || TransactionIdFollows(needed, horizon)) continue;
        // If several need the same, the process that has written is the reason for the others.
        bool older = !TransactionIdIsNormal(oldest) || TransactionIdPrecedes(needed, oldest) ||
                     (needed == oldest && !writes && TransactionIdIsNormal(p.xid));
        if (!older) continue;
        oldest = needed;
        writes = TransactionIdIsNormal(p.xid);
        holder = p.pid;
    }
    return holder;
}

}  // namespace pgqueue::pg
