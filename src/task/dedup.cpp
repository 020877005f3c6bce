#include "task/dedup.hpp"

#include "pg/errcodes.hpp"
#include "pg/testpoint.hpp"
#include "store/rows.hpp"
#include "store/rows_find.hpp"
#include "store/rows_write.hpp"
#include "task/row_lock.hpp"
#include "task/transitions.hpp"

namespace pgqueue::task {
namespace {

bool is_held(const store::KeyHolder &holder, const Pending &pending) {
    return find_pending(pending, holder.task_id) != nullptr || holder.until > GetCurrentTimestamp() ||
           store::is_unfinished_task(holder.task_id);
}

// Locks and reads the row of the task. Raises if the new task may not change it.
bool lock_waiting(const store::KeyHolder &holder, const store::NewTask &by, store::TaskRow *row) {
    // Noted before the lock, because the next steps may fail, and again after it, because the row may have changed
    // during the wait.
    if (store::find(holder.task_id, false, row)) touch(queue_of(*row), *row);
    store::Locked locked = lock_row(holder.task_id, store::Wait::Block, true, row);
    if (locked != store::Locked::Yes || !is_unfinished(row->status)) {
        if (holder.until > GetCurrentTimestamp())
            raise_duplicate(by, holder.task_id, "is finished, its key is kept for the time of dedup_for");
        return false;
    }
    // During the wait its queue may have been purged, and the task with it.
    AcceptInvalidationMessages();
    const QueueRef queue = queue_of(*row);
    if (queue.info == nullptr) return false;
    touch(queue, *row);
    if (row->status == Status::Retained) raise_duplicate(by, holder.task_id, "is retained and cannot be replaced");
    if (!store::same_role(row->role_id, by.role_id))
        ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                errmsg("permission denied for task " INT64_FORMAT, holder.task_id),
                errdetail("It was created by another role."),
                errhint("Only the role that created a task can replace it."));
    if ((row->flags & flag_command) != (by.flags & flag_command))
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                errmsg("task " INT64_FORMAT " cannot be replaced", holder.task_id),
                errdetail("One of the two tasks is an SQL command, the other one is not."));
    return true;
}

}  // namespace

store::NewTask *find_pending(const Pending &pending, int64 id) {
    int low = 0, high = pending.count;
    while (low < high) {
        int middle = (low + high) / 2;
        if (pending.tasks[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < pending.count && pending.tasks[low].id == id ? &pending.tasks[low] : nullptr;
}

bool take_key(const store::NewTask &task, TimestampTz until, const Pending &pending, store::KeyHolder *holder) {
    store::Key key{task.queue_id, task.dedup_key};
    store::KeyHolder mine{task.id, until};
    for (;;) {
        CHECK_FOR_INTERRUPTS();
        if (store::insert_key(key, mine)) return true;
        // Reads without the row's lock first, so that callers that only meet a duplicate need not wait for each other.
        if (!store::read_key(key, false, holder)) continue;
        if (is_held(*holder, pending)) return false;
        PGQUEUE_TESTPOINT("dedup-takeover");
        if (!store::read_key(key, true, holder)) continue;
        if (is_held(*holder, pending)) return false;
        store::write_key(key, mine);
        return true;
    }
}

bool replace(const store::KeyHolder &holder, const store::NewTask &by) {
    store::TaskRow row;
    if (!lock_waiting(holder, by, &row)) return false;
    const store::TaskRow before = row;
    row.priority = by.priority;
    row.delayed_at = by.delayed_at;
    row.dies_at = by.dies_at;
    store::update(&row, nullptr, store::Wait::Block);
    store::BodyChange body{};
    body.set_payload = body.set_headers = body.set_type = body.set_command = true;
    body.payload = by.payload;
    body.headers = by.headers;
    body.type = by.type;
    body.command = by.command;
    store::update_body(&row, body);
    const QueueRef queue = queue_of(row);
    announce({.from_queue = queue, .to_queue = queue, .from = &before, .to = &row});
    hint_again(queue, row, memory::Arrival::InPlace);
    return true;
}

void raise_duplicate(const store::NewTask &task, int64 holder, const char *why) {
    ereport(ERROR, errcode(err::duplicate_task),
            errmsg("a task with dedup key \"%s\" exists already", text_to_cstring(task.dedup_key)),
            errdetail("Task " INT64_FORMAT " %s.", holder, why));
    pg_unreachable();
}

int64 take_key_back(const store::TaskRow &row) {
    store::TaskRow body;
    if (!store::fetch(row.ref, true, &body) || body.dedup_key == nullptr) return 0;
    store::Key key{row.queue_id, body.dedup_key};
    store::KeyHolder holder;
    while (!store::insert_key(key, {row.ref.id, 0})) {
        CHECK_FOR_INTERRUPTS();
        if (!store::read_key(key, true, &holder)) continue;
        if (holder.task_id != row.ref.id && store::is_unfinished_task(holder.task_id)) return holder.task_id;
        // Writes the row even if the key is ours already. So housekeeping that has seen the old version does not remove
        // the new one.
        store::write_key(key, {row.ref.id, holder.task_id == row.ref.id ? holder.until : 0});
        return 0;
    }
    return 0;
}

void raise_key_taken(const store::TaskRow &row, int64 holder) {
    store::TaskRow body;
    store::NewTask named{};
    if (store::fetch(row.ref, true, &body)) named.dedup_key = body.dedup_key;
    if (named.dedup_key == nullptr) named.dedup_key = cstring_to_text("");
    raise_duplicate(named, holder,
                    psprintf("has it now, so task " INT64_FORMAT " stays %s", row.ref.id, word(row.status).data()));
}

}  // namespace pgqueue::task
