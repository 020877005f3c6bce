#include "handover/edges.hpp"

#include "handover/counts.hpp"
#include "handover/notes.hpp"

namespace pgqueue::handover {
namespace {

struct Asked {
    SubTransactionId sub;
    SlotNo ns;
    int64 count;
};

constinit Notes<Asked> asked{};

int64 count_of(pg_atomic_uint64 *count) { return Max(static_cast<int64>(pg_atomic_read_u64(count)), 0); }

}  // namespace

int64 open_edges(SlotNo ns) { return count_of(&map.namespaces[ns].edges); }
int64 asked_edges(SlotNo ns) { return count_of(&map.namespaces[ns].edges_asked); }
int64 edges_of(SlotNo ns) { return open_edges(ns) + asked_edges(ns); }

int64 edges_beside(SlotNo ns) {
    int64 sum = 0;
    each_namespace(map.namespaces[ns].db, [&sum, ns](SlotNo other) { sum += other != ns ? edges_of(other) : 0; });
    return sum;
}

void ask_for_edges(SlotNo ns, int64 count) {
    Asked *a = asked.add();
    a->ns = ns;
    a->count = count;
    pg_atomic_fetch_add_u64(&map.namespaces[ns].edges_asked, count);
}

void count_edges_at_commit(SlotNo ns, int32 count) {
    if (count > 0) count_at_commit(ns, -1, edges, count);
    if (count < 0) count_at_commit(ns, edges, -1, -count);
}

bool any_asked() { return asked.count > 0; }

void end_asked(SubTransactionId sub) {
    for (; asked.count > 0 && (sub == InvalidSubTransactionId || asked.items[asked.count - 1].sub == sub); asked.count--) {
        const Asked &a = asked.items[asked.count - 1];
        pg_atomic_fetch_sub_u64(&map.namespaces[a.ns].edges_asked, a.count);
    }
    if (sub == InvalidSubTransactionId) asked.reset();
}

void hand_up_asked(SubTransactionId sub, SubTransactionId parent) { asked.hand_up(sub, parent); }

}  // namespace pgqueue::handover
