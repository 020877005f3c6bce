#include "task/requested_end.hpp"

#include "pg/clock.hpp"
#include "task/retry.hpp"

namespace pgqueue::task {

const char *text_of(const Ending &e) {
    if (e.text != nullptr) return e.text;
    return e.what == Ending::What::Cancelled ? "the task was cancelled" : "the worker failed the task";
}

void apply(const Ending &ending, const store::QueueInfo *queue, store::TaskRow *row, End *end, TimestampTz now) {
    switch (ending.what) {
        case Ending::What::None: break;
        case Ending::What::Failed:
            end->outcome = AttemptEnd::Failed;
            end->error.sqlstate = ERRCODE_RAISE_EXCEPTION;
            end->error.message = text_of(ending);
            end->result = ending.result;
            end->status = ending.final ? Status::Failed : after_failure(queue, row, ERRCODE_RAISE_EXCEPTION, now);
            if (end->status == Status::Retry && ending.delay >= 0) row->delayed_at = pg::later(now, ending.delay);
            break;
        case Ending::What::Snoozed:
            end->outcome = AttemptEnd::Snoozed;
            end->status = Status::Retry;
            row->uncounted++;
            row->delayed_at = ending.delay > 0 ? pg::later(now, ending.delay) : 0;
            break;
        case Ending::What::Cancelled:
            end->outcome = AttemptEnd::Cancelled;
            end->status = Status::Cancelled;
            end->error.sqlstate = ERRCODE_QUERY_CANCELED;
            end->error.message = text_of(ending);
            break;
    }
}

}  // namespace pgqueue::task
