#include "pg/failure_log.hpp"

#include "core/log_pace.hpp"
#include "pg/clock.hpp"

namespace pgqueue::pg {

void log_refusal(const char *what, const ErrorReport &error) {
    static constinit Refusals refusals{};
    int64 unsaid = 0;
    const uint64 kind = hash_bytes_extended(reinterpret_cast<const unsigned char *>(what),
                                            static_cast<int>(strlen(what)), static_cast<uint64>(error.sqlstate));
    if (!refusals.is_news(kind, this_moment(), &unsaid)) return;
    char since[64] = "";
    if (unsaid > 0) snprintf(since, sizeof(since), " (" INT64_FORMAT " more of these since the last line)", unsaid);
    ereport(LOG, errcode(error.sqlstate), errmsg("%s: %s%s", what, error.message, since),
            error.detail ? errdetail_internal("%s", error.detail) : 0, errhidestmt(true));
}

}  // namespace pgqueue::pg
