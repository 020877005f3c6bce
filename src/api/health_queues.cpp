// View health: what is wrong with queues. A look at shared memory finds the queues; catalog and rows are read only for
// those that get a row.
#include "api/health.hpp"

#include "api/call.hpp"
#include "api/hint_texts.hpp"
#include "api/longest_wait.hpp"
#include "core/status.hpp"
#include "dispatch/look.hpp"
#include "handover/counts.hpp"
#include "store/lock_holders.hpp"
#include "store/queues.hpp"
#include "store/rows.hpp"
#include "store/rows_find.hpp"

namespace pgqueue::api {
namespace {

using dispatch::QueueSurvey;
using memory::map;

const memory::Queue &entry_of(const QueueSurvey &s) { return map.queues[s.queue]; }
int64 waits_since(const QueueSurvey &s) { return s.since; }

bool is_paused(const QueueSurvey &s, const pg::Moment &) { return entry_of(s).paused && entry_of(s).hinted.load() > 0; }

bool write_paused(ReturnSetInfo *info, const HealthCase &c) {
    put(info, {.severity = "warning",
               .word = "queue_paused",
               .message = "the queue is paused and has waiting tasks",
               .hint = psprintf("SELECT pgqueue.resume_queue(%s, namespace => %s);", quote_literal_cstr(c.info->name),
                                quote_literal_cstr(c.ns->name)),
               .queue_id = c.info->id,
               .since = longest_wait(c.queue, dispatch::every_role),
               .problems = c.problems});
    return true;
}

// A pause has ended: the queue continues as soon as its row is free.
bool has_overdue_pause(const QueueSurvey &s, const pg::Moment &now) {
    const memory::Queue &q = entry_of(s);
    return q.paused && q.paused_until != 0 && now.wall - q.paused_until > owed_patience;
}

int64 paused_until(const QueueSurvey &s) { return entry_of(s).paused_until; }

bool write_overdue_pause(ReturnSetInfo *info, const HealthCase &c) {
    pid_t pid = store::holder_of_queue(c.info->id);
    put(info, {.severity = "warning",
               .word = "owed",
               .message = "the pause of the queue has ended, but a session has locked its row",
               .hint = pid != 0 ? end_session(pid) : "See the log of the server for the reason.",
               .queue_id = c.info->id,
               .pid = pid,
               .since = map.queues[c.queue].paused_until,
               .problems = c.problems});
    return true;
}

bool is_full(const QueueSurvey &s, const pg::Moment &) { return s.ready > 0 && s.full && !entry_of(s).paused; }

bool write_full(ReturnSetInfo *info, const HealthCase &c) {
    const dispatch::QueueLook look = dispatch::inspect_queue(c.queue);
    put(info, {.severity = "warning",
               .word = "limit",
               .message = psprintf("%s: %d of the queue %s held, max_running is %d", waiting(look.ready), look.running,
                                   are(look.running), look.max_running),
               .hint = double_limit(*c.ns, c.info, "max_running", Min(look.max_running, PG_INT32_MAX / 2)),
               .queue_id = c.info->id,
               .since = longest_wait(c.queue, dispatch::every_role),
               .problems = c.problems});
    return true;
}

bool is_throttled(const QueueSurvey &s, const pg::Moment &) {
    return s.ready > 0 && s.throttled && !entry_of(s).paused;
}

bool write_throttled(ReturnSetInfo *info, const HealthCase &c) {
    put(info, {.severity = "warning",
               .word = "limit",
               .message = psprintf("%s for the queue's rate_limit", waiting(dispatch::inspect_queue(c.queue).ready)),
               .hint = double_limit(*c.ns, c.info, "rate_limit", map.queues[c.queue].rate_limit),
               .queue_id = c.info->id,
               .since = longest_wait(c.queue, dispatch::every_role),
               .problems = c.problems});
    return true;
}

// Returns the statement that cancels what waits for a dropped role. A new role of its name does not get its tasks.
const char *cancel_held(const HealthCase &c, const char *role) {
    return psprintf(
        "SELECT pgqueue.cancel_task(t.id) FROM pgqueue.task t, pgqueue.why(t.id) w WHERE t.namespace = %s AND t.queue "
        "= %s AND t.role = %s "
        "AND t.status IN ('new', 'retry') AND w.reason = 'role_missing';",
        quote_literal_cstr(c.ns->name), quote_literal_cstr(c.info->name), quote_literal_cstr(role));
}

// Returns how many of the tasks still wait.
int64 waiting_of(const dispatch::HeldLook &look) {
    int64 waiting = look.tasks;
    for (int i = 0; i < look.n_refs; i++) {
        store::TaskRow row;
        if (!store::fetch(look.refs[i], false, &row) || !is_waiting(row.status)) waiting--;
    }
    return waiting;
}

bool has_held(const QueueSurvey &s, const pg::Moment &) { return s.held; }

// Writes a row for each role that does not exist. Reads the rows of the tasks of the first ones.
bool write_held(ReturnSetInfo *info, const HealthCase &c) {
    dispatch::HeldLook look;
    int roles = 0;
    for (memory::SlotNo lane = -1; dispatch::look_at_held(c.queue, &lane, &look);) {
        const int64 held = roles < problems_shown ? waiting_of(look) : look.tasks;
        if (held <= 0) continue;
        int32 id = map.roles[look.role].role_id;
        const char *name = store::shown_role(id);
        put(info, {.severity = "warning",
                   .word = "role_missing",
                   .message = psprintf("%s for role \"%s\", which does not exist", waiting(held), name),
                   .hint = store::role_of(id).restored ? psprintf("CREATE ROLE %s;", quote_identifier(name))
                                                       : cancel_held(c, name),
                   .queue_id = c.info->id,
                   .since = roles < problems_shown ? longest_wait(c.queue, look.role) : 0,
                   .problems = roles == 0 ? c.problems : 1});
        roles++;
    }
    return roles > 0;
}

bool is_at_max_depth(const QueueSurvey &s, const pg::Moment &) {
    const int64 most = entry_of(s).max_depth;
    return most > 0 && handover::unfinished(s.queue) >= most;
}

int64 refuses_since(const QueueSurvey &s) { return entry_of(s).full_since.load(); }

bool write_max_depth(ReturnSetInfo *info, const HealthCase &c) {
    put(info, {.severity = "warning",
               .word = "queue_full",
               .message = psprintf("the queue has %s, max_depth is " INT64_FORMAT,
                                   tasks_of(handover::unfinished(c.queue), "unfinished"), c.info->max_depth),
               .hint = double_limit(*c.ns, c.info, "max_depth", static_cast<double>(c.info->max_depth)),
               .queue_id = c.info->id,
               .since = shown(&map.queues[c.queue].full_since, c.now),
               .problems = c.problems});
    return true;
}

int64 fails_since(const QueueSurvey &s) { return entry_of(s).failed_since.load(); }

constexpr QueueProblem kinds[] = {
    {is_paused, write_paused, waits_since},
    {has_overdue_pause, write_overdue_pause, paused_until},
    {is_full, write_full, waits_since},
    {is_throttled, write_throttled, waits_since},
    {has_held, write_held, waits_since},
    {may_be_late, write_late, waits_since, true},
    {has_failed_pile, write_failed_pile, fails_since},
    {is_at_max_depth, write_max_depth, refuses_since},
};

// A problem of a queue. order: 0 certain, its time known; 1 its time not known; 2 uncertain, and its time is recent.
struct Finding {
    memory::SlotNo ns, queue;
    int kind, order;
    int64 time;

    bool counts() const { return order == 0 || (order == 1 && !kinds[kind].uncertain); }
    bool is_like(const Finding &other) const { return ns == other.ns && kind == other.kind; }
};

int compare(const void *left, const void *right) {
    const auto &a = *static_cast<const Finding *>(left), &b = *static_cast<const Finding *>(right);
    if (a.ns != b.ns) return a.ns < b.ns ? -1 : 1;
    if (a.kind != b.kind) return a.kind < b.kind ? -1 : 1;
    if (a.order != b.order) return a.order < b.order ? -1 : 1;
    if (a.time != b.time) return a.time < b.time ? -1 : 1;
    return a.queue < b.queue ? -1 : 1;
}

// Returns what is wrong with the queues, in the order of compare().
std::span<Finding> find(const Survey &survey) {
    constexpr int all = lengthof(kinds);
    auto *found = static_cast<Finding *>(
        MemoryContextAllocHuge(CurrentMemoryContext, (survey.queues.size() * all + 1) * sizeof(Finding)));
    Size n = 0;
    for (const QueueSurvey &s : survey.queues)
        for (int k = 0; k < all; k++) {
            if (!kinds[k].found(s, survey.now)) continue;
            const int64 time = kinds[k].time(s);
            const int order = time == 0 ? 1 : kinds[k].uncertain && !seems_late(s, survey.now) ? 2 : 0;
            found[n++] = {entry_of(s).ns, s.queue, k, order, time};
        }
    qsort(found, n, sizeof(Finding), compare);
    return {found, n};
}

// Writes the row of a finding. Returns whether there is one.
bool write(ReturnSetInfo *info, const Survey &survey, const Finding &f, int64 problems) {
    const store::QueueInfo *queue = store::queue_by_id(map.queues[f.queue].queue_id);
    const store::NamespaceInfo *ns = queue != nullptr ? store::namespace_by_id(queue->ns_id) : nullptr;
    return ns != nullptr && kinds[f.kind].write(info, {f.queue, ns, queue, survey.now, problems});
}

// Writes the rows of findings of one kind in one namespace.
void write_all(ReturnSetInfo *info, const Survey &survey, std::span<const Finding> like) {
    constexpr Size tries = 200;  // the rows of so many queues are read
    int shown = 0;
    Size i = 0;
    for (; i < like.size() && i < tries && shown < problems_shown; i++) shown += write(info, survey, like[i], 1);
    int64 others = 0;
    for (const Finding &f : like.subspan(i)) others += f.counts();
    for (; others > 0 && i < tries; i++) {
        if (write(info, survey, like[i], others)) return;
        others -= like[i].counts();
    }
}

}  // namespace

void put_queues(ReturnSetInfo *info, const Survey &survey) {
    const std::span<const Finding> found = find(survey);
    for (Size begin = 0, end = 0; begin < found.size(); begin = end) {
        while (end < found.size() && found[end].is_like(found[begin])) end++;
        write_all(info, survey, found.subspan(begin, end - begin));
    }
}

}  // namespace pgqueue::api
