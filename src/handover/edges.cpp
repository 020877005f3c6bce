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

int64 count_of(const Atomic<int64> *count) { return Max(count->load(), 0); }

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
    map.namespaces[ns].edges_asked.fetch_add(count);
}

void count_edges_at_commit(SlotNo ns, int32 count) {
    if (count > 0) count_at_commit(ns, -1, edges, count);
    if (count < 0) count_at_commit(ns, edges, -1, -count);
}

bool any_asked() { return asked.count > 0; }

void end_asked(SubTransactionId sub) {
    for (; asked.count > 0 && (sub == InvalidSubTransactionId || asked.items[asked.count - 1].sub == sub);
         asked.count--) {
        const Asked &a = asked.items[asked.count - 1];
        map.namespaces[a.ns].edges_asked.fetch_sub(a.count);
    }
    if (sub == InvalidSubTransactionId) asked.reset();
}

void hand_up_asked(SubTransactionId sub, SubTransactionId parent) { asked.hand_up(sub, parent); }

}  // namespace pgqueue::handover
