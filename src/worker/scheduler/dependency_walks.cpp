#include "worker/scheduler/dependency_walks.hpp"

#include "worker/scheduler/scheduler.hpp"

namespace pgqueue::worker::scheduler {
namespace {

constexpr int64 again_after_failure = USECS_PER_SEC;
constinit int n_requested = 0;

}  // namespace

int Walks::requested() { return n_requested; }

void Walks::request() {
    for (Walk &w : walks) {
        if (w.on) {
            w.again = w.again || w.after > 0;
            continue;
        }
        w = Walk{.on = true, .over = false, .again = false, .after = 0, .spent = 0, .next = w.next};
        n_requested++;
    }
}

pg::Deadline Walks::next() const {
    pg::Deadline next = never;
    for (const Walk &w : walks)
        if (w.on) next = Min(next, w.next);
    return next;
}

bool Walks::choose(const pg::Moment &now) {
    for (int i = 1; i <= store::involved_kinds; i++) {
        const int kind = (chosen + i) % store::involved_kinds;
        if (!walks[kind].on || !walks[kind].next.passed(now)) continue;
        chosen = kind;
        return true;
    }
    return false;
}

bool Walks::read(int32 namespace_id, const pg::Moment &now, store::Ids *ids) {
    Walk &w = walks[chosen];
    const bool ok = transact("read which tasks wait for others", [&] {
        MemoryContext before = MemoryContextSwitchTo(self.scratch);
        *ids = store::involved_in(static_cast<store::Involved>(chosen), namespace_id, w.after);
        MemoryContextSwitchTo(before);
    });
    if (!ok)
        w.next = now.in(again_after_failure);
    else if (ids->count > 0)
        w.after = ids->items[ids->count - 1];
    else
        w.over = true;
    return ok;
}

void Walks::spend(int64 micros) {
    Walk &w = walks[chosen];
    w.spent += micros;
    if (!w.over) return;
    const bool again = w.again;
    w = Walk{
        .on = again, .over = false, .again = false, .after = 0, .spent = 0, .next = pg::this_moment().in(3 * w.spent)};
    n_requested -= !again;
}

}  // namespace pgqueue::worker::scheduler
