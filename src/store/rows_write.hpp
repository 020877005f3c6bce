// Changes and deletes rows of tasks.
#pragma once
#include "store/rows.hpp"

namespace pgqueue::store {

// Writes the changed fields of fixed width of `row` (queue_id, status, flags, attempt, uncounted, retries, crashes,
// priority, pid, origin_queue_id, epoch, receipt, delayed_at, dies_at, started_at, finished_at, lease_until). If
// `worker` is not nullptr, also writes the worker's name ("" clears it). The row must have been read by fetch or lock
// in this transaction. Wait::Skip returns false, with nothing changed, if another transaction has changed or holds the
// row since. Wait::Block is for rows locked before, and raises 40001 in that case. Updates row->tid and, if the update
// was not HOT, row->ref.
bool update(TaskRow *row, const char *worker, Wait wait);

// Parts of a waiting task to replace. A part with set=false stays.
struct BodyChange {
    bool set_payload, set_headers, set_group_key;
    Jsonb *payload, *headers;
    text *group_key;
    bool set_type, set_command;
    text *type, *command;
};
// Replaces parts of a row that the caller has locked. Raises 40001 if another transaction has changed it.
void update_body(TaskRow *row, const BodyChange &change);

// Deletes a row that the caller has locked. Raises 40001 if another transaction has changed it.
void remove(TaskRow *row);

}  // namespace pgqueue::store
