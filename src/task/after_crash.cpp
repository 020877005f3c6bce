#include "task/after_crash.hpp"

#include "config/server_settings.hpp"
#include "pg/errcodes.hpp"
#include "task/retry.hpp"

namespace pgqueue::task {

bool charge_crash(const QueueRef &queue, store::TaskRow *row, int sqlstate, const char *message, TimestampTz now) {
    row->crashes++;
    row->uncounted++;
    row->flags |= flag_suspect;
    row->delayed_at = now;
    bool quarantine = config::max_crashes > 0 && row->crashes >= config::max_crashes;
    const char *text = quarantine ? psprintf("quarantined after %d crashes: %s", row->crashes, message) : message;
    End end{.outcome = quarantine ? AttemptEnd::Failed : AttemptEnd::Lost,
            .status = quarantine ? Status::Failed : Status::Retry,
            .error = {quarantine ? err::quarantined : sqlstate, text, nullptr, nullptr, nullptr},
            .by_worker = false};
    return end_attempt(queue, row, end, now, store::Wait::Skip);
}

bool charge_terminated(const QueueRef &queue, store::TaskRow *row, TimestampTz now) {
    const char *message = "the worker process was terminated by administrator command";
    if (row->uncounted >= max_uncounted) return charge_crash(queue, row, ERRCODE_ADMIN_SHUTDOWN, message, now);
    row->uncounted++;
    row->delayed_at = now;
    End end{.outcome = AttemptEnd::Lost,
            .status = Status::Retry,
            .error = {ERRCODE_ADMIN_SHUTDOWN, message, nullptr, nullptr, nullptr}};
    return end_attempt(queue, row, end, now, store::Wait::Skip);
}

bool fail_stopped(const QueueRef &queue, store::TaskRow *row, int sqlstate, const char *message, TimestampTz now) {
    End end{.outcome = AttemptEnd::Failed,
            .status = after_failure(queue.info, row, sqlstate, now),
            .error = {sqlstate, message, nullptr, nullptr, nullptr},
            .by_worker = false};
    return end_attempt(queue, row, end, now, store::Wait::Skip);
}

}  // namespace pgqueue::task
