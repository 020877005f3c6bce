// Checks a namespace's part of the places for queues before a queue is created. Other parts are checked where they are
// used.
#include "api/call.hpp"

#include "handover/transaction.hpp"
#include "memory/full_table.hpp"
#include "memory/registry.hpp"
#include "memory/users.hpp"
#include "store/queues.hpp"
#include "task/share_used_up.hpp"

using namespace pgqueue;
using namespace pgqueue::api;

namespace {

// Counts the namespace's places that no queue has, as this transaction sees it: places of queues that were just
// deleted or purged, perhaps in this transaction.
int64 left_over(const store::NamespaceInfo &ns, const memory::QueueShare &share) {
    return Max(share.used - store::count_queues(ns.id), 0);
}

const char *remedy(int64 left) {
    if (left == 0) return "Delete queues.";
    int pid = memory::holder_of_drops();
    const char *waits =
        psprintf("The places of " INT64_FORMAT " queues that were deleted or purged are not free yet", left);
    return pid == 0 ? psprintf("%s.", waits)
                    : psprintf("%s: they wait for the end of the transaction of process %d.", waits, pid);
}

// Waits a moment for places of deleted queues. Raises 53400 if there is none. A purge gives the queue another place,
// and its former one remains for a while. So it only asks for as many as the namespace may have queues.
void check_queue_share(const store::NamespaceInfo &ns, bool purge) {
    for (int tries = 0;;) {
        memory::SlotNo slot = memory::ensure_namespace(memory::ensure_database(MyDatabaseId), ns.id);
        memory::QueueShare share = memory::queue_share(slot);
        int64 used = purge ? left_over(ns, share) : share.used;
        // If no place at all is free, and the namespace could have one, the error is that of the full table.
        if (used < share_limit(share.own, used, share.free) || (used == 0 && share.free == 0)) return;
        int64 left = purge ? used : left_over(ns, share);
        // Entries that are dropped while this transaction searches for a place wait for its end, so it begins their use
        // anew.
        bool hope = left > 0 && (memory::holder_of_drops() != MyProcPid || handover::let_drops_pass());
        if (hope && memory::wait_for_place(&tries, memory::most_tries, true)) continue;
        const char *what = purge ? "places for queues that are purged" : "queues";
        task::share_used_up(ns, {what, "max_queues", share.own, used, share.free, remedy(left)});
    }
}

}  // namespace

PGQ_FUNCTION(pgqueue_internal_check_queue_share) {
    const store::NamespaceInfo *ns = store::namespace_by_id(PG_GETARG_INT32(0));
    bool known = ns != nullptr && memory::loaded() && !IsBinaryUpgrade && memory::ensure_database(MyDatabaseId) >= 0;
    if (known) check_queue_share(*ns, PG_GETARG_BOOL(1));
    PG_RETURN_BOOL(true);
}
