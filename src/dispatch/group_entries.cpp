#include "dispatch/group_entries.hpp"

#include "memory/wake.hpp"
#include "pg/guards.hpp"

namespace pgqueue::dispatch {
namespace {

int part_of(uint64 key) { return static_cast<int>(key % group_locks); }
GroupNo *chain_of(uint64 key) {
    uint64 chains = static_cast<uint64>(map.group_hash_size / group_locks);
    return &map.group_hash[(key / group_locks) % chains * group_locks + static_cast<uint64>(part_of(key))];
}

// Returns how many free pages groups may take. They leave an eighth of the pool to everything else.
int64 pages_for_groups() { return int64(free_pages()) - map.shared->pages / 8; }

// Returns how many more pages the groups of a namespace may take. The fair part is a number of pages, max_groups is a
// number of groups. A max_groups of the owner applies in addition to the fair part. One of pgqueue_admin replaces it.
int64 pages_to_take(const Namespace &ns) {
    int64 used = ns.groups.pages + ns.group_nodes.pages;
    return ns.shares.groups > 0 ? pages_for_groups() : share_room(0, used, pages_for_groups());
}

bool may_take_page(const Namespace &ns) { return pages_to_take(ns) > 0; }

bool within_number(const Namespace &ns) { return ns.shares.groups == 0 || ns.groups.used < abs(ns.shares.groups); }

// Wakes the scheduler if tasks that were left out waited for room and now have it.
void look_for_room(SlotNo queue) {
    Namespace &ns = map.namespaces[map.queues[queue].ns];
    if (!ns.groups_blocked || !has_group_room(ns)) return;
    ns.groups_blocked = false;
    wake_scheduler(ns.db);
}

}  // namespace

bool has_group_room(const Namespace &ns) {
    constexpr int64 much = 256, some_groups = 8;
    if (ns.group_nodes.used == 0) return pages_to_take(ns) >= 2 && within_number(ns);
    if (!within_number(ns)) return false;
    int64 wanted = Min(ns.group_nodes.used / 8 + 1, much);
    int64 nodes = int64(ns.group_nodes.pages) * slab_pieces<GroupNode> - ns.group_nodes.used;
    int64 groups = int64(ns.groups.pages) * slab_pieces<Group> - ns.groups.used;
    int64 pages = pages_to_take(ns);
    if (groups < Min(wanted, some_groups) && pages-- <= 0) return false;
    return nodes + pages * slab_pieces<GroupNode> >= wanted;
}

GroupNo group_of_locked(SlotNo queue, uint64 key) {
    pg::LwLockGuard lock(group_lock(part_of(key)), LW_SHARED);
    for (GroupNo no = *chain_of(key); no != 0; no = group(no).next)
        if (group(no).key == key && group(no).queue == queue) return no;
    return 0;
}

GroupNo make_group(SlotNo queue, uint64 key, bool held) {
    const Queue &q = map.queues[queue];
    Namespace &ns = map.namespaces[q.ns];
    bool within = held || within_number(ns);
    GroupNo no = within ? take_entry<Group>(&ns.groups, held || may_take_page(ns)) : 0;
    if (no == 0) return 0;
    Group &g = group(no);
    g.queue = queue;
    g.ready_in = -1;
    g.bucket = {static_cast<double>(q.rate_burst), q.group_rate_limit > 0 ? pg::monotonic_now() : 0};
    pg::LwLockGuard lock(group_lock(part_of(key)));
    g.key = key;
    g.next = *chain_of(key);
    *chain_of(key) = no;
    return no;
}

void free_group(GroupNo no) {
    Group &g = group(no);
    Slab *slab = &namespace_of(g).groups;
    {
        pg::LwLockGuard lock(group_lock(part_of(g.key)));
        GroupNo *link = chain_of(g.key);
        while (*link != no) link = &group(*link).next;
        *link = g.next;
        g.key = 0;
    }
    SlotNo queue = g.queue;
    give_entry<Group>(slab, no);
    look_for_room(queue);
}

int32 take_node(Namespace *ns, bool held) {
    return take_entry<GroupNode>(&ns->group_nodes, held || may_take_page(*ns));
}

void drop_head(Group *g) {
    int32 no = g->first;
    GroupNode &n = node(no);
    g->first = n.next;
    if (g->first == 0) g->last = 0;
    g->timed = false;
    n.ref.id = 0;
    map.lanes[n.lane].grouped--;
    give_entry<GroupNode>(&namespace_of(*g).group_nodes, no);
    look_for_room(g->queue);
}

}  // namespace pgqueue::dispatch
