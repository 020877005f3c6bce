// Notifies listeners of queues. If that fails, because other sessions with NOTIFY make it wait for instance, a notifier
// does it from then on, until it leaves.
#include "worker/scheduler/scheduler.hpp"

#include "config/server_settings.hpp"
#include "pg/failure_log.hpp"
#include "pg/guards.hpp"
#include "pg/limited.hpp"
#include "worker/news.hpp"
#include "worker/processes.hpp"

namespace pgqueue::worker::scheduler {
namespace {

constinit pg::Deadline next{INT64_MIN};  // not before
constinit BackgroundWorkerHandle *handle = nullptr;

bool notifier_runs() {
    pid_t pid;
    if (my_db().notifier.load() != 0) return true;
    if (handle == nullptr) return false;
    if (GetBackgroundWorkerPid(handle, &pid) != BGWH_STOPPED) return true;
    pfree(handle);
    handle = nullptr;
    return false;
}

bool start() {
    pg::MemoryScope scope(self.lasting);
    if (start_notifier(self.db, &handle)) return true;
    handle = nullptr;
    return false;
}

}  // namespace

pg::Deadline notify_listeners(const pg::Moment &now) {
    if (!has_news(self.db) || notifier_runs()) return never;
    if (!next.passed(now)) return next;
    News news = room_for_news(self.scratch);
    // Not a step that the scheduler owes: the notifier repeats it.
    const pg::Outcome out = pg::run_limited([&news] { send_news(self.db, &news); }, self.scratch);
    if (out.ok) {
        next = now.in(int64(config::notify_interval) * 1000);
        return never;
    }
    pg::log_refusal("pgqueue scheduler could not notify listeners", out.error);
    give_back_news(self.db, &news);
    next = now.in(USECS_PER_SEC);
    return start() ? never : next;
}

}  // namespace pgqueue::worker::scheduler
