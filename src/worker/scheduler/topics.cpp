// The settings of the extension pg_background_queue belong to the server, and its topics are queues with rows in a
// table. After a change of the settings, this updates the rows. Rows that a session has locked follow later.
#include "worker/scheduler/scheduler.hpp"

#include "config/topics.hpp"
#include "store/statement.hpp"

namespace pgqueue::worker::scheduler {
namespace {

struct Followed {
    int32 held;
    bool more;
};

constinit store::Statement follow{"SELECT held, more FROM pgqueue_internal.follow_topics()", 0, {}, nullptr};

void read_followed(void *to, const store::ResultRow &row) {
    bool null;
    *static_cast<Followed *>(to) = {DatumGetInt32(row.get(1, &null)), DatumGetBool(row.get(2, &null))};
}

}  // namespace

pg::Deadline follow_topics(const pg::Moment &now) {
    static constinit uint32 looked = 0;
    static constinit uint64 followed = 0;
    static constinit pg::Deadline again{};
    uint32 reloads = config::topic_reloads();
    if (looked == reloads && !again.passed(now)) return again;
    looked = reloads;
    uint64 signature = config::topic_signature();
    if (followed == signature && !again.passed(now)) return again;
    followed = signature;
    Followed done{0, false};
    bool ok = transact("bring the topics of pg_background_queue in line with their settings", [&done] {
        if (!OidIsValid(get_extension_oid("pg_background_queue", true))) return;
        (void)store::run_as_self(&follow, nullptr, nullptr, read_followed, &done);
    });
    again = !ok || done.held > 0 ? now.in(USECS_PER_SEC) : done.more ? now.in(0) : never;
    return again;
}

}  // namespace pgqueue::worker::scheduler
