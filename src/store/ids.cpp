// Takes ids for new tasks from the sequence.
#include "store/ids.hpp"

#include "store/relations.hpp"
#include "store/rows.hpp"

namespace pgqueue::store {
namespace {

// Reads the step and the maximum of the sequence. Returns false if it does not count upward.
bool read_settings(Oid sequence, int64 *step, int64 *most) {
    HeapTuple tuple = SearchSysCache1(SEQRELID, ObjectIdGetDatum(sequence));
    if (!HeapTupleIsValid(tuple)) return false;
    auto *form = reinterpret_cast<Form_pg_sequence>(GETSTRUCT(tuple));
    *step = form->seqincrement;
    *most = form->seqmax;
    ReleaseSysCache(tuple);
    return *step > 0;
}

// Advances the sequence by all ids at once. This takes one access to its page and one WAL record, where nextval needs
// one access per id. Returns false if the sequence ends before.
bool take_run(std::span<int64> ids) {
    int64 step, most, length;
    Oid oid = sequence_oid();
    if (!read_settings(oid, &step, &most) || pg_mul_s64_overflow(step, static_cast<int64>(ids.size()), &length))
        return false;
    Relation rel = relation_open(oid, RowExclusiveLock);
    (void)GetTopTransactionId();  // the commit waits for the record
    GenericXLogState *record = GenericXLogStart(rel);
    Buffer buffer = ReadBuffer(rel, 0);
    LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
    Page page = GenericXLogRegisterBuffer(record, buffer, 0);
    auto *tuple = reinterpret_cast<HeapTupleHeader>(PageGetItem(page, PageGetItemId(page, FirstOffsetNumber)));
    auto *state = reinterpret_cast<FormData_pg_sequence_data *>(reinterpret_cast<char *>(tuple) + tuple->t_hoff);
    bool enough = state->last_value <= most - length;
    int64 first = state->is_called ? state->last_value + step : state->last_value;
    if (enough) {
        state->last_value = first + length - step;
        state->is_called = true;
        state->log_cnt = 0;
        GenericXLogFinish(record);
    } else {
        GenericXLogAbort(record);
    }
    UnlockReleaseBuffer(buffer);
    relation_close(rel, NoLock);
    for (std::size_t i = 0; enough && i < ids.size(); i++) ids[i] = first + static_cast<int64>(i) * step;
    return enough;
}

}  // namespace

int64 next_id() { return nextval_internal(sequence_oid(), false); }

void next_ids(std::span<int64> ids) {
    if (ids.size() > 1 && take_run(ids)) return;
    for (int64 &id : ids) id = next_id();
}

}  // namespace pgqueue::store
