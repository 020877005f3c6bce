#include "signal/incidents.hpp"

namespace pgqueue::signal {
namespace {

constexpr uint32 loop_begins = 3;
constexpr int64 loop_pause = 5 * int64(USECS_PER_MINUTE);  // a longer time without a death ends a loop

IncidentList &list_of(SlotNo db, Incident kind) { return database(db).incidents[static_cast<int>(kind)]; }

}  // namespace

void note_incident(SlotNo db, Incident kind, int64 id) {
    IncidentList &list = list_of(db, kind);
    for (const pg_atomic_uint64 &place : list.ids)
        if (static_cast<int64>(pg_atomic_read_u64(const_cast<pg_atomic_uint64 *>(&place))) == id) return;
    uint32 next = pg_atomic_fetch_add_u32(&list.next, 1) % incident_places;
    pg_atomic_write_u64(&list.ids[next], static_cast<uint64>(id));
}

int read_incidents(SlotNo db, Incident kind, int64 *out) {
    int n = 0;
    for (pg_atomic_uint64 &place : list_of(db, kind).ids) {
        int64 id = static_cast<int64>(pg_atomic_read_u64(&place));
        bool known = id == 0;
        for (int i = 0; i < n && !known; i++) known = out[i] == id;
        if (!known) out[n++] = id;
    }
    return n;
}

void note_death(Deaths *d) {
    int64 now = pg::monotonic_now();
    if (pg_atomic_read_u32(&d->count) == 0 || now - static_cast<int64>(pg_atomic_read_u64(&d->last)) > loop_pause) {
        pg_atomic_write_u32(&d->count, 0);
        pg_atomic_write_u64(&d->first, static_cast<uint64>(now));
    }
    pg_atomic_write_u64(&d->last, static_cast<uint64>(now));
    pg_atomic_fetch_add_u32(&d->count, 1);
}

uint32 in_loop(const Deaths &deaths, const pg::Moment &now) {
    auto &d = const_cast<Deaths &>(deaths);
    uint32 count = pg_atomic_read_u32(&d.count);
    bool fresh = now.monotonic - static_cast<int64>(pg_atomic_read_u64(&d.last)) <= loop_pause;
    return fresh && count >= loop_begins ? count : 0;
}

}  // namespace pgqueue::signal
