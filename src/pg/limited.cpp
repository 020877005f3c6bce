#include "pg/limited.hpp"

#include "core/patience.hpp"
#include "pg/clock.hpp"

namespace pgqueue::pg {
namespace {

struct Frame {
    bool (*fn)(void *);
    void *arg;
    bool committed;
};

void run_frame(void *p) {
    auto *frame = static_cast<Frame *>(p);
    StartTransactionCommand();
    bool commit = frame->fn(frame->arg);
    if (commit)
        CommitTransactionCommand();
    else
        AbortCurrentTransaction();
    frame->committed = commit;
}

}  // namespace

Outcome run_limited_raw(bool (*fn)(void *), void *arg, MemoryContext keep, bool *committed, int64 limit) {
    static constinit Patience patience{};
    if (limit == 0) limit = patience.limit(monotonic_now());
    Frame frame{fn, arg, false};
    SetCurrentStatementStartTimestamp();
    // Also if SQL has set another limit: a function's setting holds until the function ends.
    const int before = std::exchange(LockTimeout, static_cast<int>(limit / 1000));
    Outcome out = run_then_abort_on_error_raw(run_frame, &frame, keep);
    LockTimeout = before;
    if (met_lock(out)) patience.wasted(limit);
    if (committed != nullptr) *committed = out.ok && frame.committed;
    return out;
}

}  // namespace pgqueue::pg
