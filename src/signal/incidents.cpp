#include "signal/incidents.hpp"

namespace pgqueue::signal {
namespace {

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

}  // namespace pgqueue::signal
