// create_task and create_tasks: check arguments, rights and limits, then write rows and hints.
#include "api/call.hpp"
#include "api/create_args.hpp"
#include "api/dependency_args.hpp"
#include "pg/clock.hpp"
#include "pg/errcodes.hpp"
#include "pg/guards.hpp"
#include "store/ids.hpp"
#include "store/queues.hpp"
#include "store/rows.hpp"
#include "task/dedup.hpp"
#include "task/dependencies.hpp"
#include "task/depth_limit.hpp"
#include "task/lane_limit.hpp"
#include "task/priority_limit.hpp"
#include "task/transitions.hpp"

using namespace pgqueue;
using namespace pgqueue::api;

namespace {

void check_words(FunctionCallInfo fcinfo) {
    if (!PG_ARGISNULL(a_on_conflict))
        check_word("on_conflict", text_arg(fcinfo, a_on_conflict), "skip, nothing, replace, error");
    if (!PG_ARGISNULL(a_on_failed_dependency))
        check_word("on_failed_dependency", text_arg(fcinfo, a_on_failed_dependency), "cancel, hold, ignore");
}

// The times of a new task: when it is due (0 at once), and when it expires (0 never).
void set_times(FunctionCallInfo fcinfo, const store::QueueInfo &q, TimestampTz now, store::NewTask *t) {
    int64 delay = interval_arg(fcinfo, a_delay, "delay", 0);
    t->delayed_at = 0;
    if (!PG_ARGISNULL(a_delayed_at)) {
        if (!PG_ARGISNULL(a_delay))
            ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("delay and delayed_at must not be given both"), errhint("Give one of them."));
        TimestampTz at = moment_arg(fcinfo, a_delayed_at, "delayed_at");
        if (at < GetCurrentTransactionStartTimestamp())
            ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("delayed_at is in the past"),
                    errhint("Leave it out to start the task at once."));
        t->delayed_at = at > now ? at : 0;
    } else if (delay > 0) {
        t->delayed_at = pg::later(now, delay);
    }
    int64 ttl = interval_arg(fcinfo, a_ttl, "ttl", q.ttl);
    t->dies_at = ttl > 0 ? pg::later(t->delayed_at != 0 ? t->delayed_at : now, ttl) : 0;
}

// What all tasks of a call have in common.
store::NewTask common(FunctionCallInfo fcinfo, const store::QueueInfo &q) {
    store::NewTask t{};
    TimestampTz now = GetCurrentTimestamp();
    t.queue_id = q.id;
    t.role_id = store::role_id_of(caller());
    t.priority = PG_ARGISNULL(a_priority) ? q.priority : PG_GETARG_INT32(a_priority);
    t.retries = PG_ARGISNULL(a_retries) ? q.retries : checked_range("retries", PG_GETARG_INT32(a_retries), 0, 32767);
    t.run_limit = interval_arg(fcinfo, a_run_limit, "run_limit", -1);
    t.created_at = now;
    set_times(fcinfo, q, now, &t);
    if (!PG_ARGISNULL(a_type)) t.type = PG_GETARG_TEXT_PP(a_type);
    if (!PG_ARGISNULL(a_headers)) t.headers = PG_GETARG_JSONB_P(a_headers);
    return t;
}

void check_content(const store::NewTask &t) {
    if (t.payload == nullptr && t.type == nullptr && t.command == nullptr)
        ereport(ERROR, errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("missing payload"),
                errhint("Give payload, type or command."));
    if (t.type != nullptr && t.command != nullptr)
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("type and command must not be given both"),
                errhint("A type names a handler or is a label; a command is run as it is."));
    if (t.type != nullptr && VARSIZE_ANY_EXHDR(t.type) == 0)
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("type must not be empty"),
                errhint("Omit it, or pass NULL."));
    if (t.type != nullptr) checked_key(t.type, "type");
    if (t.command != nullptr) {
        const char *s = VARDATA_ANY(t.command);
        if (trim({s, static_cast<std::size_t>(VARSIZE_ANY_EXHDR(t.command))}).empty())
            ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("command must not be empty"),
                    errhint("Give the SQL to run."));
    }
}

// Checks max_depth of queue and namespace.
void check_depth(const store::NamespaceInfo &ns, const task::QueueRef &queue, int64 more) {
    if (task::Full full = task::no_room_for(ns, queue, more, 0); full.kind != nullptr)
        ereport(
            ERROR, errcode(err::queue_full), errmsg("%s \"%s\" is full", full.kind, full.name),
            errdetail("It has %s, max_depth is " INT64_FORMAT ".", tasks_of(full.depth, "unfinished"), full.max_depth),
            errhint("Try again later, or raise max_depth."));
}

// Checks max_priorities of the namespace. All tasks of a call have one priority. Tasks that wait, and tasks of groups,
// need no list now.
void check_priority(const store::NamespaceInfo &ns, const task::QueueRef &queue, const store::NewTask &t) {
    if (t.delayed_at == 0 && t.group_key == nullptr && (t.flags & flag_waits) == 0)
        task::check_priority(ns, queue, t.priority);
}

// The namespace and queue of the call, with rights checked.
task::QueueRef target(FunctionCallInfo fcinfo, const store::NamespaceInfo **ns) {
    not_null(fcinfo, a_queue, "queue");
    char *ns_name = text_arg(fcinfo, a_namespace);
    const store::NamespaceInfo &n = find_namespace(ns_name);
    require(n, store::priv_use);
    refuse_system(n);
    const store::QueueInfo &q = find_queue(n, text_arg(fcinfo, a_queue));
    *ns = &store::namespace_there(q.ns_id);
    return task::ref_of(q);
}

struct Array {
    Datum *items;
    bool *nulls;
    int count;
    bool given;
};

enum class Nulls { Refused, Allowed };

Array array_arg(FunctionCallInfo fcinfo, int i, Oid type, const char *argument, Nulls nulls = Nulls::Refused) {
    Array a{};
    if (PG_ARGISNULL(i)) return a;
    deconstruct_array(one_dimensional(PG_GETARG_ARRAYTYPE_P(i), argument), type, -1, false, TYPALIGN_INT, &a.items,
                      &a.nulls, &a.count);
    for (int k = 0; k < a.count && nulls == Nulls::Refused; k++)
        if (a.nulls[k])
            ereport(ERROR, errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
                    errmsg("argument \"%s\" must not contain NULL", argument));
    a.given = true;
    return a;
}

// What to do with a task whose key is taken.
task::OnConflict on_conflict_arg(FunctionCallInfo fcinfo) {
    std::string_view word = PG_ARGISNULL(a_on_conflict) ? "skip" : text_arg(fcinfo, a_on_conflict);
    return word == "nothing"   ? task::OnConflict::Nothing
           : word == "replace" ? task::OnConflict::Replace
           : word == "error"   ? task::OnConflict::Error
                               : task::OnConflict::Skip;
}

void set_key(store::NewTask *t, text *key) {
    t->dedup_key = checked_key(key, "dedup_key");
    t->flags |= flag_keyed;
}

// Adds the new task to the pending ones if it has no key or gets its key. Otherwise does what on_conflict requires.
// Returns the id for the caller, 0 for NULL.
struct Creation {
    task::OnConflict on_conflict;
    TimestampTz keys_until;  // 0 only while the tasks are unfinished
    task::Pending pending;
};

int64 add(Creation *c, const store::NewTask &t) {
    store::KeyHolder holder;
    while (t.dedup_key != nullptr && !task::take_key(t, c->keys_until, c->pending, &holder)) {
        if (c->on_conflict == task::OnConflict::Skip) return holder.task_id;
        if (c->on_conflict == task::OnConflict::Nothing) return 0;
        if (c->on_conflict == task::OnConflict::Error) task::raise_duplicate(t, holder.task_id, "has it");
        if (store::NewTask *same = task::find_pending(c->pending, holder.task_id)) {
            *same = t;
            same->id = holder.task_id;
            return holder.task_id;
        }
        // If the queue was purged or deleted during the wait, the caller begins anew.
        if (task::replace(holder, t) || store::queue_by_id(t.queue_id) == nullptr) return holder.task_id;
    }
    c->pending.tasks[c->pending.count++] = t;
    return t.id;
}

Creation begin_creation(FunctionCallInfo fcinfo, store::NewTask *room) {
    int64 keep = interval_arg(fcinfo, a_dedup_for, "dedup_for", 0);
    return {on_conflict_arg(fcinfo), keep > 0 ? pg::later(GetCurrentTimestamp(), keep) : 0, {room, 0}};
}

}  // namespace

namespace {

// Creating tasks with dedup keys may wait for other transactions with the same keys. Returns whether the name still
// refers to the same queue. Raises if there is no such queue, or the right is gone.
bool is_still(FunctionCallInfo fcinfo, int32 queue_id) {
    const store::NamespaceInfo *ns;
    AcceptInvalidationMessages();
    return target(fcinfo, &ns).info->id == queue_id;
}

// Returns false if the queue was purged meanwhile, which gave it another id. Then it is tried once more.
bool create_one(FunctionCallInfo fcinfo, int64 *id) {
    const store::NamespaceInfo *ns;
    const task::QueueRef queue = target(fcinfo, &ns);
    check_words(fcinfo);
    store::NewTask t = common(fcinfo, *queue.info);
    if (!PG_ARGISNULL(a_payload)) t.payload = PG_GETARG_JSONB_P(a_payload);
    if (!PG_ARGISNULL(a_command)) t.command = PG_GETARG_TEXT_PP(a_command);
    task::Workflow workflow = dependency_args(fcinfo, *ns, &t);
    if (t.command != nullptr) t.flags |= flag_command;
    if (!PG_ARGISNULL(a_dedup_key)) set_key(&t, PG_GETARG_TEXT_PP(a_dedup_key));
    t.group_key = key_arg(fcinfo, a_group_key, "group_key");
    check_content(t);
    t.id = store::next_id();
    store::NewTask room;
    Creation c = begin_creation(fcinfo, &room);
    *id = add(&c, t);
    if (t.dedup_key != nullptr && !is_still(fcinfo, t.queue_id)) return false;
    if (c.pending.count == 0) return true;
    check_depth(*ns, queue, 1);
    check_priority(*ns, queue, room);
    task::check_lane(*ns, queue, room);
    task::ask_for_edges(*ns, static_cast<int64>(workflow.awaited.size()));
    task::create(queue, {&room, 1});
    task::begin_waiting(queue, workflow, {&room, 1});
    return true;
}

}  // namespace

PGQ_FUNCTION(pgqueue_create_task) {
    check_call("create_task", true);
    int64 id = 0;
    while (!create_one(fcinfo, &id)) CHECK_FOR_INTERRUPTS();
    if (id == 0) PG_RETURN_NULL();
    PG_RETURN_INT64(id);
}

namespace {

void check_lengths(const Array &a, const char *a_name, const Array &b, const char *b_name) {
    if (a.given && b.given && a.count != b.count)
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                errmsg("%s and %s have unequal lengths", a_name, b_name),
                errdetail("There are %d %s and %d %s.", a.count, a_name, b.count, b_name));
}

// What differs between the tasks of a call.
struct Given {
    Array payloads, commands, keys, groups;
    int count;
};

Given given_args(FunctionCallInfo fcinfo) {
    Given g{};
    g.payloads = array_arg(fcinfo, a_payload, JSONBOID, "payloads");
    g.commands = array_arg(fcinfo, a_command, TEXTOID, "commands");
    g.keys = array_arg(fcinfo, a_dedup_key, TEXTOID, "dedup_keys", Nulls::Allowed);
    check_lengths(g.payloads, "payloads", g.commands, "commands");
    if (!g.payloads.given && !g.commands.given)
        ereport(ERROR, errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("missing payload"),
                errhint("Give payloads or commands."));
    g.groups = array_arg(fcinfo, a_group_key, TEXTOID, "group_keys", Nulls::Allowed);
    for (auto [keyed, name] : {std::pair{g.keys, "dedup_keys"}, std::pair{g.groups, "group_keys"}}) {
        check_lengths(g.payloads, "payloads", keyed, name);
        check_lengths(g.commands, "commands", keyed, name);
    }
    g.count = g.payloads.given ? g.payloads.count : g.commands.count;
    return g;
}

store::NewTask task_at(const Given &g, int i, const store::NewTask &first) {
    store::NewTask t = first;
    if (g.payloads.given) t.payload = DatumGetJsonbP(g.payloads.items[i]);
    if (g.commands.given) t.command = DatumGetTextPP(g.commands.items[i]);
    if (g.commands.given) t.flags |= flag_command;
    if (g.keys.given && !g.keys.nulls[i]) set_key(&t, DatumGetTextPP(g.keys.items[i]));
    if (g.groups.given && !g.groups.nulls[i])
        t.group_key = checked_key(DatumGetTextPP(g.groups.items[i]), "group_keys");
    check_content(t);
    return t;
}

void *room_for(Size bytes, int count) { return palloc_extended(bytes * static_cast<Size>(count), MCXT_ALLOC_HUGE); }

// As create_one.
bool create_many(FunctionCallInfo fcinfo, const Given &g, int64 *ids) {
    const store::NamespaceInfo *ns;
    const task::QueueRef queue = target(fcinfo, &ns);
    store::NewTask first = common(fcinfo, *queue.info);
    task::Workflow workflow = dependency_args(fcinfo, *ns, &first);
    Creation c = begin_creation(fcinfo, static_cast<store::NewTask *>(room_for(sizeof(store::NewTask), g.count)));
    store::next_ids({ids, static_cast<std::size_t>(g.count)});
    for (int i = 0; i < g.count; i++) {
        store::NewTask t = task_at(g, i, first);
        t.id = ids[i];
        ids[i] = add(&c, t);
    }
    if (g.keys.given && !is_still(fcinfo, first.queue_id)) return false;
    check_depth(*ns, queue, c.pending.count);
    if (c.pending.count > 0) {
        check_priority(*ns, queue, c.pending.tasks[0]);
        task::check_lane(*ns, queue, c.pending.tasks[0]);
    }
    task::ask_for_edges(*ns, static_cast<int64>(workflow.awaited.size()) * c.pending.count);
    std::span<const store::NewTask> tasks{c.pending.tasks, static_cast<std::size_t>(c.pending.count)};
    task::create(queue, tasks);
    task::begin_waiting(queue, workflow, tasks);
    return true;
}

}  // namespace

PGQ_FUNCTION(pgqueue_create_tasks) {
    check_call("create_tasks", true);
    const store::NamespaceInfo *ns;
    target(fcinfo, &ns);
    check_words(fcinfo);
    Given given = given_args(fcinfo);
    InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
    auto *info = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    if (given.count == 0) return Datum(0);
    auto *ids = static_cast<int64 *>(room_for(sizeof(int64), given.count));
    while (!create_many(fcinfo, given, ids)) CHECK_FOR_INTERRUPTS();
    for (int i = 0; i < given.count; i++) {
        Datum value = Int64GetDatum(ids[i]);
        bool isnull = ids[i] == 0;
        tuplestore_putvalues(info->setResult, info->setDesc, &value, &isnull);
    }
    return Datum(0);
}
