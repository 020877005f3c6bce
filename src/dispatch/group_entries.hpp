// The entries of groups and of their tasks: finds, creates and frees them. The caller holds the namespace lock unless a
// comment says otherwise. No function raises an error.
#pragma once
#include "memory/slab.hpp"

namespace pgqueue::dispatch {

// Returns the group of a number.
inline Group &group(GroupNo no) { return *slab_entry<Group>(no); }
// Returns the node of a number.
inline GroupNode &node(int32 no) { return *slab_entry<GroupNode>(no); }
// Returns the namespace of a group.
inline Namespace &namespace_of(const Group &g) { return map.namespaces[map.queues[g.queue].ns]; }
// Returns the key of a group in which the caller has a place; 0 for group 0. Needs no lock.
inline uint64 key_of_group(GroupNo no) { return no != 0 ? group(no).key : 0; }

// The entries of an order of groups (core/ready_order.hpp): the ready groups of a lane, or the groups of a queue that
// wait for a token.
struct Groups {
    OrderLinks &links(int32 no) const { return group(no).links; }
    bool before(int32 a, int32 b) const {
        const Group &x = group(a), &y = group(b);
        return x.rank != y.rank ? x.rank < y.rank : x.head_id < y.head_id;
    }
};
// Returns the order of the queue's groups that wait for a token.
inline OrderOps<Groups> throttled_of(SlotNo queue) { return {&map.queues[queue].throttled_groups, Groups{}}; }

// Returns the group of a key in a queue; 0: none.
GroupNo group_of_locked(SlotNo queue, uint64 key);
// Returns whether it is worthwhile to read tasks that were left out: there is room for an eighth more tasks, or for
// 256.
bool has_group_room(const Namespace &ns);
// Creates a group. held: a task of the group is or was held, so the group is created even if the namespace's part is
// used up. Returns 0 if there is no memory, or if that part is used up.
GroupNo make_group(SlotNo queue, uint64 key, bool held);
// Takes a node for a task of a group. held: the task was held. Returns 0 in the same cases.
int32 take_node(Namespace *ns, bool held);
// Frees a group without tasks. Wakes the scheduler if tasks that were left out now have room.
void free_group(GroupNo no);
// Removes the head of a group that is in no order, and frees its node. Wakes the scheduler in the same case.
void drop_head(Group *g);

}  // namespace pgqueue::dispatch
