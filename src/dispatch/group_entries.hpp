// The entries of groups: which group has a key, and what is allocated for groups and their tasks. All under the
// namespace's lock unless said otherwise; nothing raises.
#pragma once
#include "memory/slab.hpp"

namespace pgqueue::dispatch {

inline Group &group(GroupNo no) { return *slab_entry<Group>(no); }
inline GroupNode &node(int32 no) { return *slab_entry<GroupNode>(no); }
inline Namespace &namespace_of(const Group &g) { return map.namespaces[map.queues[g.queue].ns]; }
// Of a group that the caller has a place in; 0 for none. No lock.
inline uint64 key_of_group(GroupNo no) { return no != 0 ? group(no).key : 0; }

// Groups in one of their orders: the ready ones of a lane, those of a queue that wait for a token.
struct Groups {
    OrderLinks &links(int32 no) const { return group(no).links; }
    bool before(int32 a, int32 b) const {
        const Group &x = group(a), &y = group(b);
        return x.rank != y.rank ? x.rank < y.rank : x.head_id < y.head_id;
    }
};
inline OrderOps<Groups> throttled_of(SlotNo queue) { return {&map.queues[queue].throttled_groups, Groups{}}; }

// The group of a key in a queue, 0 none.
GroupNo group_of_locked(SlotNo queue, uint64 key);
// Is there room for more of those that were left out, so that it is worth to read them?
bool has_group_room(const Namespace &ns);
// held: it has been or is in somebody's hands, so its group needs it whatever the namespace's part is. 0: no memory.
GroupNo make_group(SlotNo queue, uint64 key, bool held);
int32 take_node(Namespace *ns, bool held);
void free_group(GroupNo no);
void drop_head(Group *g);

}  // namespace pgqueue::dispatch
