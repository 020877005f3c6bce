// Inserts tasks into the current segment.
#include "store/rows_insert.hpp"

#include "pg/guards.hpp"
#include "store/layout.hpp"
#include "store/relations.hpp"
#include "store/reserve.hpp"
#include "store/ring.hpp"
#include "store/rows.hpp"

namespace pgqueue::store {
namespace {

constexpr int rows_per_pass = 256;
constexpr int rows_worth_new_pages = 32;

// The current segment, open for inserts.
struct Target {
    int slot;
    Relation heap;
    Relation key;
};

// Opens the current segment. If a rotation comes between the choice and the lock, releases the lock and chooses again.
// So after a rotation, only transactions that held the lock before insert into the old segment.
Target open_current() {
    bool ask_ring = false;
    for (;;) {
        int slot = ask_ring ? read_ring().current_of(false) : current_slot();
        Relation heap = open_rows(slot, RowExclusiveLock);
        if (heap != nullptr) {
            int now = ask_ring ? read_ring().current_of(false) : current_slot();
            if (now == slot) return {slot, heap, index_open(segment(slot).heap_key, RowExclusiveLock)};
            table_close(heap, RowExclusiveLock);
        }
        // Shared memory may name a condemned segment for a moment, if two collectors update it in the wrong order.
        ask_ring = heap == nullptr;
        CHECK_FOR_INTERRUPTS();
    }
}

// Closes the segment; the lock stays.
void close_target(const Target &target) {
    index_close(target.key, NoLock);
    table_close(target.heap, NoLock);
}

// Builds the tuple of a new task, in the current memory context.
HeapTuple form_task(const NewTask &task) {
    RowImage image{};
    FixedPart &f = image.fixed;
    f.id = task.id;
    f.queue_id = task.queue_id;
    f.role_id = task.role_id;
    f.status = static_cast<int16>(Status::New);
    f.flags = task.flags;
    f.retries = task.retries;
    f.priority = task.priority;
    f.created_at = task.created_at;
    f.run_limit = task.run_limit;
    image.numbers[delayed_at] = task.delayed_at;
    image.numbers[dies_at] = task.dies_at;
    image.numbers[row_count] = null_of(row_count);
    auto part = [](const void *p) { return static_cast<const varlena *>(p); };
    image.body[type] = part(task.type);
    image.body[group_key] = part(task.group_key);
    image.body[dedup_key] = part(task.dedup_key);
    image.body[batch_key] = part(task.batch_key);
    image.body[ticker] = part(task.ticker);
    image.body[command] = part(task.command);
    image.body[payload] = part(task.payload);
    image.body[headers] = part(task.headers);
    image.body[depends_on] = part(task.depends_on);
    return form_row(image);
}

// Returns the reference of a new row.
TaskRef place_of(int64 id, const ItemPointerData &tid, int slot) {
    return {id, ItemPointerGetBlockNumber(&tid), ItemPointerGetOffsetNumber(&tid), static_cast<uint8>(slot)};
}

// Inserts a single task.
void insert_one(const Target &target, const NewTask &task, TaskRef *ref) {
    HeapTuple tuple = form_task(task);
    heap_insert(target.heap, tuple, GetCurrentCommandId(true), 0, nullptr);
    add_row_entry(target.key, target.heap, task.id, &tuple->t_self, false);
    *ref = place_of(task.id, tuple->t_self, target.slot);
    heap_freetuple(tuple);
}

// The tuple slots of a pass, which the process keeps. They only carry tuples of the pass, which a failed call leaves
// behind in freed memory.
struct Slots {
    TupleTableSlot *slots[rows_per_pass];
    int made;
};
constinit Slots *kept_slots = nullptr;
constinit TupleDesc kept_desc = nullptr;

// Returns this many empty slots.
TupleTableSlot **empty_slots(Relation heap, int count) {
    pg::MemoryScope scope(TopMemoryContext);
    if (kept_desc == nullptr) kept_desc = CreateTupleDescCopy(RelationGetDescr(heap));
    if (kept_slots == nullptr) kept_slots = static_cast<Slots *>(palloc0(sizeof(Slots)));
    for (; kept_slots->made < count; kept_slots->made++)
        kept_slots->slots[kept_slots->made] = MakeTupleTableSlot(kept_desc, &TTSOpsHeapTuple);
    for (int i = 0; i < count; i++) {
        TupleTableSlot *slot = kept_slots->slots[i];
        slot->tts_flags = static_cast<uint16>((slot->tts_flags & ~TTS_FLAG_SHOULDFREE) | TTS_FLAG_EMPTY);
        reinterpret_cast<HeapTupleTableSlot *>(slot)->tuple = nullptr;
    }
    return kept_slots->slots;
}

// Returns how many of the tuples fit on a new page, beside the room that the fill factor leaves for updates.
int rows_on_page(Relation heap, TupleTableSlot **slots, int count) {
    std::size_t room = BLCKSZ - SizeOfPageHeaderData -
                       static_cast<std::size_t>(RelationGetTargetPageFreeSpace(heap, HEAP_DEFAULT_FILLFACTOR));
    int n = 0;
    for (std::size_t used = 0; n < count; n++) {
        HeapTuple tuple = reinterpret_cast<HeapTupleTableSlot *>(slots[n])->tuple;
        used += MAXALIGN(tuple->t_len) + sizeof(ItemIdData);
        if (used > room) break;
    }
    return n > 0 ? n : 1;
}

// Inserts the tuples page by page, into pages that are added at once.
void insert_on_new_pages(Relation heap, TupleTableSlot **slots, int count, BulkInsertState bulk) {
    int pages = 0;
    for (int at = 0; at < count; pages++) at += rows_on_page(heap, slots + at, count - at);
    Reserved reserved;
    reserve_pages(heap, Min(pages, most_reserved), &reserved);
    for (int at = 0; at < count;) {
        int rows = rows_on_page(heap, slots + at, count - at);
        Buffer page = take_page(&reserved);
        if (page != InvalidBuffer) {
            if (bulk->current_buf != InvalidBuffer) ReleaseBuffer(bulk->current_buf);
            bulk->current_buf = page;
        }
        heap_multi_insert(heap, slots + at, rows, GetCurrentCommandId(true), 0, bulk);
        at += rows;
    }
    release_pages(&reserved);
}

// Inserts up to rows_per_pass tasks. Their tuples are in the current memory context.
void insert_pass(const Target &target, std::span<const NewTask> tasks, TaskRef *refs, BulkInsertState bulk) {
    int count = static_cast<int>(tasks.size());
    TupleTableSlot **slots = empty_slots(target.heap, count);
    // The slots own the tuples; otherwise the server would copy each.
    for (int i = 0; i < count; i++) ExecStoreHeapTuple(form_task(tasks[static_cast<std::size_t>(i)]), slots[i], true);
    if (!pg::extends_in_bulk && count >= rows_worth_new_pages)
        insert_on_new_pages(target.heap, slots, count, bulk);
    else
        heap_multi_insert(target.heap, slots, count, GetCurrentCommandId(true), 0, bulk);
    for (int i = 0; i < count; i++) {
        const NewTask &task = tasks[static_cast<std::size_t>(i)];
        add_row_entry(target.key, target.heap, task.id, &slots[i]->tts_tid, false);
        refs[i] = place_of(task.id, slots[i]->tts_tid, target.slot);
    }
}

// Inserts many tasks in passes.
void insert_many(const Target &target, std::span<const NewTask> tasks, TaskRef *refs) {
    BulkInsertState bulk = GetBulkInsertState();
    // Only its pinned page is used. The rows will be read again soon, so they stay in the common buffers.
    FreeAccessStrategy(bulk->strategy);
    bulk->strategy = nullptr;
    pg::TempContext scratch;
    for (std::size_t at = 0; at < tasks.size(); at += rows_per_pass) {
        CHECK_FOR_INTERRUPTS();
        auto part = tasks.subspan(at, tasks.size() - at < rows_per_pass ? tasks.size() - at : rows_per_pass);
        insert_pass(target, part, refs + at, bulk);
        MemoryContextReset(CurrentMemoryContext);
    }
    FreeBulkInsertState(bulk);
}

}  // namespace

void insert(std::span<const NewTask> tasks, TaskRef *refs) {
    if (tasks.empty()) return;
    Target target = open_current();
    if (tasks.size() == 1)
        insert_one(target, tasks[0], refs);
    else
        insert_many(target, tasks, refs);
    close_target(target);
}

int64 stored_bytes(const NewTask &t) {
    constexpr int64 fixed = 200;  // the columns of a fixed width, with the headers of the row
    int64 bytes = fixed;
    for (const void *body : std::initializer_list<const void *>{t.type, t.group_key, t.dedup_key, t.batch_key, t.ticker,
                                                                t.command, t.payload, t.headers, t.depends_on})
        if (body != nullptr) bytes += VARSIZE_ANY(body);
    return bytes;
}

}  // namespace pgqueue::store
