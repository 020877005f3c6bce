#include "dispatch/spill.hpp"

#include "dispatch/lists.hpp"
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

// Appends a place to a chain of directory pages. A further page is taken from the pool, or is *spare, which becomes 0
// then. Returns false if there is no memory.
bool push_slot(PageNo *first, PageNo *last, uint32 slot, PageNo *spare) {
    if (*last == 0 || page(*last)->count == slots_per_page) {
        PageNo no = spare != nullptr ? *spare : take_page(PageKind::Ready);
        if (no == 0) return false;
        if (spare != nullptr) *spare = 0;
        page(no)->next = 0;
        page(no)->head = page(no)->count = 0;
        if (*last != 0)
            page(*last)->next = no;
        else
            *first = no;
        *last = no;
    }
    Page *p = page(*last);
    p->slots[p->count++] = slot;
    return true;
}

// Appends a place to those of a list, as push_slot().
bool add_file_page(PageList *list, uint32 slot, PageNo *spare) {
    if (list->first_slot != 0) return push_slot(&list->dir, &list->dir_last, slot, spare);
    list->first_slot = slot + 1;
    return true;
}

// Records a place as free. Without memory for the record, the place is lost until the file is emptied.
void free_file_slot(SlotNo db, uint32 slot) {
    SpillFile &file = database(db).spill;
    (void)push_slot(&file.free_dir, &file.free_dir_last, slot, nullptr);
}

// Which pages of a list go to the file.
enum class Part {
    Middle,  // those after the first two (of a far list: after none) and before the last
    Whole    // all
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

// Writes detached pages in order, and records their places. Takes the lock of the list again. Pages that could not be
// written are dropped, and their rows are read again. Returns how many pages were written.
int write_pages(SlotNo db, const ListAt &at, PageNo *pages, int n) {
    PageList *list = at.list;
    uint32 slots[move_most];
    int written = 0;
    for (; written < n; written++) {
        slots[written] = take_file_slot(db);
        if (!transfer(db, slots[written], page(pages[written]), true)) break;
    }
    if (written < n) fail(db, "pgqueue could not write its spill file");
    LWLockAcquire(at.lock, LW_EXCLUSIVE);
    for (int i = 0; i < n; i++) {
        Page *p = page(pages[i]);
        int entries = p->count - p->head;
        // Memory is short when pages are written, so a written page serves as a directory page if one is needed.
        if (i < written && add_file_page(list, slots[i], &pages[i])) {
            list->spilled++;
            database(db).spill.in_file++;
        } else {
            list->count -= entries;
            database(db).reading.lost.store(Lost::Full);
        }
        if (pages[i] != 0) give_page(pages[i]);
    }
    list->moving = false;
    join_parts(list);
    return written;
}

// A list without a front, of a namespace with many, is read when somebody has looked for its first task. Else thousands
// of lists that nobody uses would come back at once.
bool runs_short(const ListAt &at) {
    const PageList *list = at.list;
    if (at.far || list->spilled == 0 || list->moving) return false;
    return list->front == 0 ? list->wanted || !at.of_many : page(list->front)->next == 0;
}

// Removes the place of the first page in the file from a list, and returns it. The lock of the list is held.
uint32 pop_slot(PageList *list) {
    const uint32 slot = list->first_slot - 1;
    list->first_slot = 0;
    if (list->dir == 0) return slot;
    Page *p = page(list->dir);
    list->first_slot = p->slots[p->head++] + 1;
    if (p->head == p->count) {
        PageNo used = list->dir;
        list->dir = p->next;
        if (list->dir == 0) list->dir_last = 0;
        give_page(used);
    }
    return slot;
}

// Brings the next page of a list back into page `no`. Returns false after an error of the file. The lock of the list is
// held, and released meanwhile.
bool read_page(SlotNo db, const ListAt &at, PageNo no) {
    PageList *list = at.list;
    uint32 slot = pop_slot(list);
    list->moving = true;
    LWLockRelease(at.lock);
    bool ok = transfer(db, slot, page(no), false);
    free_file_slot(db, slot);
    if (!ok) fail(db, "pgqueue could not read its spill file");
    LWLockAcquire(at.lock, LW_EXCLUSIVE);
    list->spilled--;
    database(db).spill.in_file--;
    list->moving = list->wanted = false;
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

bool read_spilled(SlotNo db, const PageList &list, void (*visit)(void *arg, const Page &), void *arg) {
    auto *bytes = static_cast<Page *>(palloc(page_bytes));
    auto read = [&](uint32 slot) {
        CHECK_FOR_INTERRUPTS();
        const bool done = transfer(db, slot, bytes, false);
        if (done) visit(arg, *bytes);
        return done;
    };
    bool ok = list.first_slot == 0 || read(list.first_slot - 1);
    for (PageNo dir = list.dir; dir != 0 && ok; dir = page(dir)->next)
        for (int i = page(dir)->head; i < page(dir)->count && ok; i++) ok = read(page(dir)->slots[i]);
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
}

namespace {

// Writes pages of a list until `target` pages are free. Returns how many pages were written. The lock of the list is
// held, and released meanwhile.
int spill_list(SlotNo db, const ListAt &at, Part part, uint32 target) {
    PageNo pages[move_most];
    int total = 0;
    while (free_pages() < target && !at.list->moving) {
        int n = detach(at, part, pages, move_most);
        if (n == 0) break;
        LWLockRelease(at.lock);
        total += write_pages(db, at, pages, n);
    }
    // An empty list keeps a page only while enough pages are free.
    if (free_pages() < target && at.list->count == 0 && at.list->spilled == 0 && !at.list->moving) clear_list(at.list);
    return total;
}

// Reads pages of a list whose front runs out, with the lock as above: one if memory is short. Returns how many pages
// were read.
int refill_list(SlotNo db, const ListAt &at) {
    const int ahead = free_pages() < low_water() ? 1 : 4;
    int total = 0;
    while (total < ahead && (total == 0 ? runs_short(at) : at.list->spilled > 0 && !at.list->moving)) {
        PageNo no = take_page(PageKind::Ready);
        if (no == 0 || !read_page(db, at, no)) break;
        total++;
    }
    return total;
}

}  // namespace

int spill_pages(SlotNo db, uint32 target) {
    int total = 0;
    for (Part part : {Part::Middle, Part::Whole})
        each_list(db, [&](const ListAt &at) {
            if (part == Part::Middle || at.of_many) total += spill_list(db, at, part, target);
            return free_pages() < target;
        });
    return total;
}

int refill_lists(SlotNo db) {
    if (database(db).spill.in_file == 0) {
        // No list has pages in the file.
        if (database(db).spill.file_slots != 0) reset_spill_file(db);
        return 0;
    }
    // So many pages of namespaces with many lists, or those that are wanted at once would use up what others need.
    constexpr int most_if_short = 64;
    int total = 0, of_many = 0;
    each_list(db, [&](const ListAt &at) {
        if (at.of_many && of_many >= most_if_short && free_pages() < low_water()) return true;
        const int n = refill_list(db, at);
        if (at.of_many) of_many += n;
        total += n;
        return true;
    });
    return total;
}

namespace {

// Removes entries from the first page in the file. If the page keeps any, it becomes the last one there. spare: as in
// push_slot(). The lock of the list is held, and released meanwhile.
void sift_page(SlotNo db, const ListAt &at, Page *bytes, int (*drop)(Page *), PageNo *spare) {
    PageList *list = at.list;
    uint32 slot = pop_slot(list);
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
    if (ok && stays && add_file_page(list, slot, spare)) return;
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
    PageNo spare = take_page(PageKind::Ready);
    uint32 n = 0;
    for (; n < most && spare != 0 && list->spilled > 0 && !list->moving; n++) {
        sift_page(db, {list, lock, false, false}, bytes, drop, &spare);
        if (spare == 0) spare = take_page(PageKind::Ready);
    }
    if (spare != 0) give_page(spare);
    pfree(bytes);
    return n;
}

void give_file_places(SlotNo db, PageList *list) {
    for (; list->spilled > 0; list->spilled--) {
        uint32 slot = pop_slot(list);
        free_file_slot(db, slot);
        database(db).spill.in_file--;
    }
}

}  // namespace pgqueue::dispatch
