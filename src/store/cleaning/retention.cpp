#include "store/cleaning/retention.hpp"

namespace pgqueue::store {

Fate fate_of(const QueueEnd &end, const TaskRow &row, TimestampTz at) {
    if (end.gone) return Fate::Drop;
    if (is_unfinished(row.status) || end.retention < 0) return Fate::Keep;
    TimestampTz finished = row.finished_at != 0 ? row.finished_at : row.created_at;
    if (finished > at || at - finished < end.retention) return Fate::Keep;
    return end.archive ? Fate::Archive : Fate::Drop;
}

}  // namespace pgqueue::store
