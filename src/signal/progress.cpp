// Lock-free: the writer makes `progress_turn` odd while it writes. A reader that sees it change reads again.
#include "signal/progress.hpp"

namespace pgqueue::signal {
namespace {

// The bits of part + 1 as a double. Zero means that nothing was reported.
uint64 coded(double part) { return std::bit_cast<uint64>(part + 1); }

WorkerSlot *my_slot() {
    if (MyBackendType != B_BG_WORKER) return nullptr;
    for (WorkerSlot &w : map.shared->workers) {
        if (w.pid != MyProcPid || w.db < 0) continue;
        for (int i = 0; i < Min(w.n_holds.load(), max_batch); i++)
            if (w.holds[i].state.load() == HoldState::Running) return &w;
    }
    return nullptr;
}

}  // namespace

void tell_progress(double part, const char *note) {
    WorkerSlot *w = my_slot();
    if (w == nullptr) return;
    char cut[progress_note_bytes] = "";
    if (note != nullptr) {
        int length = pg_mbcliplen(note, static_cast<int>(strlen(note)), progress_note_bytes - 1);
        memcpy(cut, note, static_cast<std::size_t>(length));
    }
    w->progress_turn.fetch_add(1);
    pg_write_barrier();
    memcpy(w->progress_note, cut, sizeof(cut));
    pg_write_barrier();
    w->progress_turn.fetch_add(1);
    w->progress.store(coded(part));
}

bool read_progress(WorkerSlot *w, Progress *progress) {
    constexpr int tries = 100;
    uint64 bits = w->progress.load();
    if (bits == 0) return false;
    progress->part = std::bit_cast<double>(bits) - 1;
    for (int i = 0; i < tries; i++) {
        uint32 before = w->progress_turn.load();
        pg_read_barrier();
        memcpy(progress->note, w->progress_note, sizeof(progress->note));
        pg_read_barrier();
        if ((before & 1) == 0 && w->progress_turn.load() == before) return true;
    }
    progress->note[0] = '\0';
    return true;
}

}  // namespace pgqueue::signal
