#include "task/lane_limit.hpp"

#include "memory/full_table.hpp"
#include "memory/roles.hpp"
#include "memory/users.hpp"
#include "store/rows.hpp"
#include "task/route.hpp"
#include "task/share_used_up.hpp"

namespace pgqueue::task {

void check_lane(const store::NamespaceInfo &ns, const QueueRef &queue, const store::NewTask &task) {
    if (queue.slot < 0) return;
    const memory::Queue &q = memory::map.queues[queue.slot];
    SlotNo role = -1;
    if (runs_in_server(*queue.info, task.flags)) {
        const std::string_view type =
            task.type == nullptr
                ? std::string_view{}
                : std::string_view{VARDATA_ANY(task.type), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(task.type))};
        role = memory::ensure_role(q.db, runner_of(*queue.info, {task.role_id, task.flags, type}));
    }
    // Idle ones of the namespace become free, unless this transaction began to use numbers before.
    memory::LaneShare share;
    int tries = 0;
    do {
        if (memory::has_lane(queue.slot, role)) return;
        share = memory::lane_share(q.ns);
        if (share.free == 0 || share.used < share_limit(0, share.used, share.free)) return;
    } while (memory::holder_of_drops() != MyProcPid && memory::wait_for_place(&tries, memory::most_tries_in_part));
    ereport(ERROR, errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
            errmsg("namespace \"%s\" has its part of the lists of ready tasks", ns.name),
            errdetail("It has " INT64_FORMAT ", one for each role of a queue; " INT64_FORMAT
                      " are free for all namespaces.",
                      share.used, share.free),
            errhint("Let tasks end, or use fewer queues or roles. Or raise pgqueue.dispatch_memory and restart the "
                    "server."));
}

}  // namespace pgqueue::task
