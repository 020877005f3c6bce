// View health: what is wrong with the workers of a role.
#include "api/health.hpp"

#include "api/call.hpp"
#include "api/hint_texts.hpp"
#include "api/longest_wait.hpp"
#include "config/server_settings.hpp"
#include "dispatch/look.hpp"
#include "signal/crash_loop.hpp"
#include "store/roles.hpp"

namespace pgqueue::api {
namespace {

// dated: since when its tasks wait is looked up.
void put_role(ReturnSetInfo *info, memory::SlotNo no, const Survey &survey, bool dated) {
    memory::Role &role = memory::map.roles[no];
    if (!OidIsValid(store::role_oid_of(role.role_id))) return;
    const char *name = store::shown_role(role.role_id);
    const bool shut_out = is_shut_out(store::role_oid_of(role.role_id));
    if (uint32 n = signal::in_loop(role.deaths, survey.now))
        put(info, {.severity = "warning",
                   .word = "crash_loop",
                   .message = psprintf("workers of role \"%s\" ended by themselves %u times", name, n),
                   .hint = shut_out ? grant_connect(name)
                                    : "See the log of the server; tasks that ended their worker have error_code PQ102.",
                   .since = shown(&role.deaths.first, survey.now)});
    dispatch::RoleLook look = dispatch::look_at_role(no);
    if (look.ready == 0 || (!shut_out && !role.refused.load() && !look.full)) return;
    const TimestampTz since = dated ? longest_wait_among(survey.queues, -1, no) : 0;
    if (shut_out)
        put(info, {.severity = "warning",
                   .word = "no_worker_slot",
                   .message = psprintf("%s: role \"%s\" may not connect to this database", waiting(look.ready), name),
                   .hint = grant_connect(name),
                   .since = since});
    else if (role.refused.load())
        put(info, {.severity = "warning",
                   .word = "no_worker_slot",
                   .message = psprintf("%s: workers of role \"%s\" end before they begin", waiting(look.ready), name),
                   .hint = "See the log of the server for the reason.",
                   .since = since});
    if (look.full)
        put(info, {.severity = "warning",
                   .word = "limit",
                   .message = psprintf("%s: %d worker%s of role \"%s\" %s busy, pgqueue.max_workers_per_role is %d",
                                       waiting(look.ready), look.workers, look.workers == 1 ? "" : "s", name,
                                       are(look.workers), config::max_workers_per_role),
                   .hint = more_workers_of_role(),
                   .since = since});
}

}  // namespace

void put_roles(ReturnSetInfo *info, const Survey &survey) {
    for (memory::SlotNo i = 0; i < memory::map.shared->used_roles; i++) {
        // Rows beyond those that are shown need no time.
        const bool dated = tuplestore_tuple_count(info->setResult) < 5 * problems_shown;
        if (memory::map.roles[i].used && memory::map.roles[i].db == survey.db) put_role(info, i, survey, dated);
    }
}

}  // namespace pgqueue::api
