#include "dispatch/spill.hpp"

#include "dispatch/lists.hpp"
#include "memory/slab.hpp"
#include "pg/failure_log.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace pgqueue::dispatch {
namespace {

constexpr int move_most = 128;  // pages moved in one step

// Each database has one file. Base backups and pg_rewind leave the folder out.
void spill_path(SlotNo db, char *out, Size size) {
    snprintf(out, size, "pg_stat_tmp/pgqueue.spill.%u", database(db).oid);
}

// Reads or writes one page at its place in the file. Returns false after an error; the caller then calls fail().
bool transfer(SlotNo db, uint32 slot, void *bytes, bool write_it) {
    char path[MAXPGPATH];
    spill_path(db, path, sizeof(path));
    int fd = OpenTransientFile(path, O_RDWR | O_CREAT | PG_BINARY);
    if (fd < 0) return false;
    off_t at = static_cast<off_t>(slot) * static_cast<off_t>(page_bytes);
    ssize_t n = write_it ? pwrite(fd, bytes, page_bytes, at) : pread(fd, bytes, page_bytes, at);
    CloseTransientFile(fd);
    return n == static_cast<ssize_t>(page_bytes);
}

// Logs an error of the file, and has all rows read again. what: the whole sentence for the log.
void fail(SlotNo db, const char *what) {
    pg::ErrorReport error{};
    error.sqlstate = errno == ENOSPC ? ERRCODE_DISK_FULL : ERRCODE_IO_ERROR;
    error.message = strerror(errno);
    pg::log_refusal(what, error);
    database(db).reading.lost.store(Lost::Full);
}

uint32 take_file_slot(SlotNo db) {
    Database &d = database(db);
    while (d.spill.free_dir != 0) {
        Page *p = page(d.spill.free_dir);
        if (p->head < p->count) return p->slots[p->head++];
        PageNo used = d.spill.free_dir;
        d.spill.free_dir = p->next;
        if (d.spill.free_dir == 0) d.spill.free_dir_last = 0;
        give_page(used);
    }
    return d.spill.file_slots++;
}

// Records a place as free. Without memory for the record, the place is lost until the file is emptied.
void free_file_slot(SlotNo db, uint32 slot) {
    SpillFile &file = database(db).spill;
    if (file.free_dir_last == 0 || page(file.free_dir_last)->count == slots_per_page) {
        PageNo no = take_page(PageKind::Ready);
        if (no == 0) return;
        (file.free_dir_last != 0 ? page(file.free_dir_last)->next : file.free_dir) = no;
        file.free_dir_last = no;
    }
    Page *p = page(file.free_dir_last);
    p->slots[p->count++] = slot;
}

FilePlace &place(int32 no) { return *slab_entry<FilePlace>(no); }

// A page that goes to the file: its place, and since when it has had tasks.
struct FilePage {
    uint32 slot;
    int64 since;
};

// Adds a page to those of a list, before the first one or behind the last one. Returns false if there is no memory.
bool add_place(SlotNo db, PageList *list, const FilePage &written, bool first) {
    const int32 no = take_entry<FilePlace>(&database(db).spill.places, true);
    if (no == 0) return false;
    place(no) = {written.slot + 1, first ? list->places : 0, written.since};
    if (first || list->places == 0)
        list->places = no;
    else
        place(list->last_place).next = no;
    if (!first || list->last_place == 0) list->last_place = no;
    return true;
}

// Removes the place of the first page in the file from a list, and returns it. The lock of the list is held.
uint32 pop_slot(SlotNo db, PageList *list) {
    const int32 no = list->places;
    const uint32 slot = place(no).slot - 1;
    list->places = place(no).next;
    if (list->places == 0) list->last_place = 0;
    place(no).slot = 0;
    give_entry<FilePlace>(&database(db).spill.places, no);
    return slot;
}

// Which pages of a list go to the file.
enum class Part {
    Middle,  // those after the first two (of a far list: after none) and before the last
    Whole    // all; the front ones only if none is in the file
};

// Detaches at most `most` pages of a list. They follow the pages that are in the file already. Returns how many; `out`
// gets their numbers. The lock of the list is held.
int detach(const ListAt &at, Part part, PageNo *out, int most) {
    PageList *list = at.list;
    bool has_file = list->spilled > 0;
    PageNo keep = has_file || at.far || part == Part::Whole ? 0 : list->front;
    if (keep != 0) keep = page(keep)->next;
    if (!has_file && !at.far && part == Part::Middle && keep == 0) return 0;
    PageNo *first = has_file ? &list->back : keep != 0 ? &page(keep)->next : &list->front;
    PageNo last = part == Part::Whole ? 0 : has_file ? list->back_last : list->front_last;
    int n = 0;
    PageNo no = *first;
    while (no != 0 && no != last && n < most) {
        out[n++] = no;
        no = page(no)->next;
    }
    if (n == 0) return 0;
    *first = no;
    if (!has_file) {
        // The pages behind the gap become the back.
        list->back = no;
        list->back_last = no != 0 ? list->front_last : 0;
        list->front_last = keep;
        if (keep != 0)
            page(keep)->next = 0;
        else
            list->front = 0;
    } else if (no == 0) {
        list->back_last = 0;
    }
    list->moving = true;
    return n;
}

// Detaches the front pages of a list that has pages in the file. Returns how many; 0: none, or too many.
int detach_front(PageList *list, PageNo *out) {
    int n = 0;
    for (PageNo no = list->front; no != 0; no = page(no)->next) {
        if (n == move_most) return 0;
        out[n++] = no;
    }
    if (n == 0) return 0;
    list->front = list->front_last = 0;
    list->moving = true;
    return n;
}

// Joins the front and the back of a list if no page is in the file. The lock of the list is held.
void join_parts(PageList *list) {
    if (list->spilled > 0) return;
    if (list->front_last != 0)
        page(list->front_last)->next = list->back;
    else
        list->front = list->back;
    if (list->back_last != 0) list->front_last = list->back_last;
    list->back = list->back_last = 0;
}

// Writes detached pages and records their places: before those that are in the file (first), or behind them. Takes the
// lock of the list again. Pages that could not be written are dropped, and their rows are read again. Returns how many
// pages were written.
int write_pages(SlotNo db, const ListAt &at, const PageNo *pages, int n, bool first) {
    PageList *list = at.list;
    uint32 slots[move_most];
    int written = 0;
    for (; written < n; written++) {
        slots[written] = take_file_slot(db);
        if (!transfer(db, slots[written], page(pages[written]), true)) break;
    }
    if (written < n) fail(db, "pgqueue could not write its spill file");
    LWLockAcquire(at.lock, LW_EXCLUSIVE);
    for (int k = 0; k < n; k++) {
        const int i = first ? n - 1 - k : k;
        const int entries = page(pages[i])->count - page(pages[i])->head;
        const int64 since = page(pages[i])->since;
        give_page(pages[i]);  // the record of its place may need a page
        if (i < written && add_place(db, list, {slots[i], since}, first)) {
            list->spilled++;
            database(db).spill.in_file++;
        } else {
            list->count -= entries;
            database(db).reading.lost.store(Lost::Full);
        }
    }
    list->moving = false;
    join_parts(list);
    return written;
}

// Returns whether pages of a list are to be read. Those of a namespace with many lists are read when somebody has
// looked for the first task, or thousands of lists that nobody uses would come back at once; and they leave an eighth
// of the pages to others.
bool runs_short(const ListAt &at) {
    const PageList *list = at.list;
    if (at.far || list->spilled == 0 || list->moving) return false;
    if (at.of_many && free_pages() < low_water())
        return list->wanted && list->front == 0 && free_pages() > low_water() / 2;
    return list->front == 0 ? list->wanted || !at.of_many : page(list->front)->next == 0;
}

// Brings the next page of a list back into page `no`. Returns false after an error of the file. The lock of the list is
// held, and released meanwhile.
bool read_page(SlotNo db, const ListAt &at, PageNo no) {
    PageList *list = at.list;
    uint32 slot = pop_slot(db, list);
    list->moving = true;
    LWLockRelease(at.lock);
    bool ok = transfer(db, slot, page(no), false);
    free_file_slot(db, slot);
    if (!ok) fail(db, "pgqueue could not read its spill file");
    LWLockAcquire(at.lock, LW_EXCLUSIVE);
    list->spilled--;
    database(db).spill.in_file--;
    list->moving = list->wanted = false;
    list->read_at = pg::monotonic_now();
    if (ok) {
        page(no)->next = 0;
        if (list->front_last != 0)
            page(list->front_last)->next = no;
        else
            list->front = no;
        list->front_last = no;
    } else {
        give_page(no);
    }
    join_parts(list);
    return ok;
}

}  // namespace

int64 first_since_in_file(const PageList &list) { return list.places != 0 ? place(list.places).since : 0; }

bool read_spilled(SlotNo db, const PageList &list, void (*visit)(void *arg, const Page &), void *arg) {
    auto *bytes = static_cast<Page *>(palloc(page_bytes));
    auto read = [&](uint32 slot) {
        CHECK_FOR_INTERRUPTS();
        const bool done = transfer(db, slot, bytes, false);
        if (done) visit(arg, *bytes);
        return done;
    };
    bool ok = true;
    for (int32 no = list.places; no != 0 && ok; no = place(no).next) ok = read(place(no).slot - 1);
    pfree(bytes);
    if (!ok) fail(db, "pgqueue could not read its spill file");
    return ok;
}

void reset_spill_file(SlotNo db) {
    char path[MAXPGPATH];
    spill_path(db, path, sizeof(path));
    (void)unlink(path);
    give_chain(database(db).spill.free_dir);
    database(db).spill.free_dir = database(db).spill.free_dir_last = 0;
    database(db).spill.file_slots = database(db).spill.in_file = 0;
    give_chain(database(db).spill.places.first);
    database(db).spill.places = {};
}

namespace {

// Writes pages of a list until `target` pages are free. Returns how many pages were written. The lock of the list is
// held, and released meanwhile.
int spill_list(SlotNo db, const ListAt &at, Part part, uint32 target) {
    PageNo pages[move_most];
    int total = 0;
    auto more = [&at, target] { return at.list->count > 0 && free_pages() < target && !at.list->moving; };
    auto write = [&](int n, bool first) {
        if (n == 0) return false;
        LWLockRelease(at.lock);
        total += write_pages(db, at, pages, n, first);
        return true;
    };
    while (more() && write(detach(at, part, pages, move_most), false)) {
    }
    if (part == Part::Whole && at.list->spilled > 0 && more()) write(detach_front(at.list, pages), true);
    // An empty list keeps a page only while enough pages are free.
    if (free_pages() < target && at.list->count == 0 && at.list->spilled == 0 && !at.list->moving) clear_list(at.list);
    return total;
}

// Reads pages of a list whose front runs out, with the lock as above: one if memory is short.
void refill_list(SlotNo db, const ListAt &at) {
    const int ahead = free_pages() < low_water() ? 1 : 4;
    int total = 0;
    while (total < ahead && (total == 0 ? runs_short(at) : at.list->spilled > 0 && !at.list->moving)) {
        PageNo no = take_page(PageKind::Ready);
        if (no == 0 || !read_page(db, at, no)) break;
        total++;
    }
}

// How long a call writes or reads pages of ready lists; the next call continues with the lists after them.
constexpr int64 longest_step = 20 * 1000;

}  // namespace

int spill_pages(SlotNo db, uint32 target) {
    constexpr int64 stays = 1000 * 1000;      // a list that was read from the file, so that its tasks can be taken
    static constinit SlotNo next[] = {0, 0};  // by part: the queue with which it continues
    const int64 begin = pg::monotonic_now();
    int total = 0;
    for (Part part : {Part::Middle, Part::Whole})
        each_list(db, &next[static_cast<int>(part)], [&](const ListAt &at) {
            const bool may = part == Part::Middle || (at.of_many && at.list->read_at < begin - stays);
            if (may) total += spill_list(db, at, part, target);
            return free_pages() < target && pg::monotonic_now() < begin + longest_step;
        });
    return total;
}

bool refill_lists(SlotNo db) {
    if (database(db).spill.in_file == 0) {
        // No list has pages in the file.
        if (database(db).spill.file_slots != 0) reset_spill_file(db);
        return true;
    }
    static constinit SlotNo next = 0;  // the queue with which it continues
    const int64 end = pg::monotonic_now() + longest_step;
    bool all = true;
    each_list(db, &next, [&](const ListAt &at) {
        refill_list(db, at);
        all = pg::monotonic_now() < end;
        return all;
    });
    return all;
}

namespace {

// Removes entries from the first page in the file. If the page keeps any, it becomes the last one there. The lock of
// the list is held, and released meanwhile.
void sift_page(SlotNo db, const ListAt &at, Page *bytes, int (*drop)(Page *)) {
    PageList *list = at.list;
    uint32 slot = pop_slot(db, list);
    list->moving = true;
    LWLockRelease(at.lock);
    bool ok = transfer(db, slot, bytes, false);
    LWLockAcquire(at.lock, LW_EXCLUSIVE);
    int gone = ok ? drop(bytes) : 0;
    list->count -= gone;
    bool stays = ok && bytes->head < bytes->count;
    if (stays && gone > 0) {
        LWLockRelease(at.lock);
        ok = transfer(db, slot, bytes, true);
        LWLockAcquire(at.lock, LW_EXCLUSIVE);
    }
    if (!ok) fail(db, "pgqueue could not read or write its spill file");
    list->moving = false;
    if (ok && stays && add_place(db, list, {slot, bytes->since}, false)) return;
    if (stays) database(db).reading.lost.store(Lost::Full);
    list->spilled--;
    database(db).spill.in_file--;
    free_file_slot(db, slot);
    join_parts(list);
}

}  // namespace

uint32 sift_spilled(SlotNo db, PageList *list, LWLock *lock, uint32 most, int (*drop)(Page *)) {
    auto *bytes = static_cast<Page *>(palloc(page_bytes));
    pg::LwLockGuard guard(lock);
    uint32 n = 0;
    for (; n < most && list->spilled > 0 && !list->moving; n++) sift_page(db, {list, lock, false, false}, bytes, drop);
    pfree(bytes);
    return n;
}

void give_file_places(SlotNo db, PageList *list) {
    for (; list->spilled > 0; list->spilled--) {
        uint32 slot = pop_slot(db, list);
        free_file_slot(db, slot);
        database(db).spill.in_file--;
    }
}

}  // namespace pgqueue::dispatch
