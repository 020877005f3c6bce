#include "signal/running_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace pgqueue::signal {
namespace {

// Base backups and pg_rewind skip this folder, so a copy of the cluster has no suspects.
constexpr const char *path = "pg_stat_tmp/pgqueue.running";
constexpr uint64 file_magic = 0x7067717565756531;

struct File {
    uint64 magic;
    RunningTask running[max_workers];
    RunningTask executed[max_workers * 2];
};

constinit File *file = nullptr;

// Writes real blocks, not a hole, because a store into a mapping must not meet a full disk.
bool fill(int fd) {
    char zeros[4096] = {};
    struct stat st;
    if (fstat(fd, &st) == 0 && st.st_size == static_cast<off_t>(sizeof(File))) return true;
    if (ftruncate(fd, 0) != 0) return false;
    for (Size left = sizeof(File); left > 0;) {
        ssize_t n = write(fd, zeros, Min(left, sizeof(zeros)));
        if (n <= 0) return false;
        left -= static_cast<Size>(n);
    }
    return true;
}

void map_file() {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
    void *at = MAP_FAILED;
    if (fd >= 0 && fill(fd)) at = mmap(nullptr, sizeof(File), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd >= 0) close(fd);
    if (at == MAP_FAILED) ereport(FATAL, errcode_for_file_access(), errmsg("could not map file \"%s\": %m", path));
    file = static_cast<File *>(at);
}

RunningTask *free_entry() {
    for (RunningTask &e : file->executed)
        if (e.id == 0) return &e;
    return nullptr;
}

}  // namespace

void open_running_file() {
    if (file == nullptr) map_file();
    if (file->magic != file_magic) {
        memset(file, 0, sizeof(File));
        file->magic = file_magic;
    }
    bool only_suspects = false;
    for (RunningTask &e : file->running) only_suspects = only_suspects || (e.id != 0 && e.suspect != 0);
    for (RunningTask &e : file->running) {
        if (e.id != 0 && (!only_suspects || e.suspect != 0))
            if (RunningTask *to = free_entry()) *to = e;
        e.id = 0;
    }
}

void mark_running(SlotNo worker, int64 id, int32 attempt, bool suspect) {
    RunningTask &e = file->running[worker];
    e.database = MyDatabaseId;
    e.attempt = attempt;
    e.suspect = suspect ? 1 : 0;
    pg_write_barrier();
    e.id = id;
}

void clear_running(SlotNo worker) {
    if (file != nullptr) file->running[worker].id = 0;
}

bool next_executed(Oid database, int *at, RunningTask *task) {
    while (*at < static_cast<int>(lengthof(file->executed))) {
        const RunningTask &e = file->executed[(*at)++];
        if (e.id == 0 || e.database != database) continue;
        *task = e;
        return true;
    }
    return false;
}

bool was_executing(Oid database, int64 id, int32 attempt) {
    for (const RunningTask &e : file->executed)
        if (e.id == id && e.database == database && e.attempt == attempt) return true;
    return false;
}

void forget_executed(Oid database, int64 id) {
    for (RunningTask &e : file->executed)
        if (e.database == database && e.id == id) e.id = 0;
}

}  // namespace pgqueue::signal
