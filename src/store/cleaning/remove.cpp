// Removes rows of finished tasks whose retention is over.
#include "store/cleaning/pass.hpp"
#include "store/cleaning/steps.hpp"
#include "store/find.hpp"
#include "store/relations.hpp"
#include "store/rows.hpp"
#include "store/segments.hpp"

namespace pgqueue::store {
namespace {

constexpr int64 drops_per_transaction = 1000;

// Deletes one garbage row. Returns false if it is not garbage any more, or if another transaction holds it.
bool drop_row(Pass *pass, const TaskRef &ref) {
    Relation rel = open_rows(ref.segment, NoLock);
    if (rel == nullptr) return false;
    ItemPointerData root;
    ItemPointerSet(&root, ref.block, ref.offset);
    Found found;
    bool dropped = false;
    if (find_at(rel, ref.segment, root, &found)) {
        TaskRow row;
        read_row(&found.tuple, found.slot, found.root, &row);
        dropped = row.ref.id == ref.id && fate_of(*pass, row) == Fate::Drop && delete_version(found, false) == TM_Ok;
        ReleaseBuffer(found.buffer);
        if (dropped && pass->sink->removed != nullptr) pass->sink->removed(pass->sink->arg, row);
    }
    table_close(rel, NoLock);
    return dropped;
}

}  // namespace

void drop_rows(Pass *pass, const RefList &list) {
    for (int64 at = 0; at < list.count; at += drops_per_transaction) {
        int64 end = Min(list.count, at + drops_per_transaction);
        int64 dropped = 0;
        bool ok = step(pass, "removing finished tasks", [&] {
            if (!try_lock(segment_oid(list.refs[at].segment), RowExclusiveLock)) return false;
            for (int64 i = at; i < end; i++) {
                CHECK_FOR_INTERRUPTS();
                if (drop_row(pass, list.refs[i])) dropped++;
            }
            return dropped > 0;
        });
        if (ok) pass->report.removed += dropped;
    }
}

}  // namespace pgqueue::store
