#include "signal/incidents.hpp"

namespace pgqueue::signal {
namespace {

constexpr uint32 loop_begins = 3;
constexpr int64 loop_pause = 5 * int64(USECS_PER_MINUTE);  // a longer time without a death ends a loop

IncidentList &list_of(SlotNo db, Incident kind) { return database(db).found.incidents[static_cast<int>(kind)]; }

}  // namespace

void record_incident(SlotNo db, Incident kind, int64 id) {
    IncidentList &list = list_of(db, kind);
    for (const Atomic<int64> &place : list.ids)
        if (place.load() == id) return;
    uint32 next = list.next.fetch_add(1) % incident_places;
    list.ids[next].store(id);
}

int read_incidents(SlotNo db, Incident kind, int64 *out) {
    int n = 0;
    for (Atomic<int64> &place : list_of(db, kind).ids) {
        int64 id = place.load();
        bool known = id == 0;
        for (int i = 0; i < n && !known; i++) known = out[i] == id;
        if (!known) out[n++] = id;
    }
    return n;
}

void record_death(Deaths *d) {
    int64 now = pg::monotonic_now();
    if (d->count.load() == 0 || now - d->last.load() > loop_pause) {
        d->count.store(0);
        d->first.store(now);
    }
    d->last.store(now);
    d->count.fetch_add(1);
}

uint32 in_loop(const Deaths &deaths, const pg::Moment &now) {
    uint32 count = deaths.count.load();
    bool fresh = now.monotonic - deaths.last.load() <= loop_pause;
    return fresh && count >= loop_begins ? count : 0;
}

}  // namespace pgqueue::signal
