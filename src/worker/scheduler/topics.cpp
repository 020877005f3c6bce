// The settings of extension pg_background_queue are the server's, its topics are queues with rows of their own: after a change of the settings
// the rows follow. What a session has locked is left for the next look.
#include "worker/scheduler/scheduler.hpp"

#include "config/topics.hpp"
#include "pg/guards.hpp"

namespace pgqueue::worker::scheduler {

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
    int32 held = 0;
    bool more = false;
    bool ok = transact("bring the topics of pg_background_queue in line with their settings", [&held, &more] {
        if (!OidIsValid(get_extension_oid("pg_background_queue", true))) return;
        pg::SpiSession spi;
        pg::ActiveSnapshot snapshot;
        SPI_execute("SELECT held, more FROM pgqueue_internal.follow_topics()", false, 1);
        bool isnull;
        held = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
        more = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull));
    });
    again = !ok || held > 0 ? now.in(USECS_PER_SEC) : more ? now.in(0) : never;
    return again;
}

}  // namespace pgqueue::worker::scheduler
