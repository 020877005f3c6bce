// The entries of groups, for the two files that keep them. All under the namespace's lock; nothing raises.
#pragma once
#include "dispatch/groups.hpp"

namespace pgqueue::dispatch {

inline GroupNode &node(int32 no) { return *slab_entry<GroupNode>(no); }
inline Namespace &namespace_of(const Group &g) { return map.namespaces[map.queues[g.queue].ns]; }

// Groups in one of their orders: the ready ones of a lane, those of a queue that wait for a token.
struct Groups {
    OrderLinks &links(int32 no) const { return group(no).links; }
    bool before(int32 a, int32 b) const {
        const Group &x = group(a), &y = group(b);
        return x.rank != y.rank ? x.rank < y.rank : x.head_id < y.head_id;
    }
};
inline OrderOps<Groups> throttled_of(SlotNo queue) { return {&map.queues[queue].throttled_groups, Groups{}}; }

// Is there room for more of those that were left out, so that it is worth to read them?
bool has_group_room(const Namespace &ns);
// held: it has been or is in somebody's hands, so its group needs it whatever the namespace's part is. 0: no memory.
GroupNo make_group(SlotNo queue, uint64 key, bool held);
int32 take_node(Namespace *ns, bool held);
void free_group(GroupNo no);
void drop_head(Group *g);
// Has the scheduler look at the head when it may start, at `due` or after a wait; no entry is made twice for one head.
void set_timer(Group *g, TimestampTz due, Wait wait);

// Takes a group out of the order that it is in.
void make_unready(GroupNo no);
// Files a hint, or leaves the task out for want of memory. wake: nobody else is told when the group becomes ready.
void file_in_group(const Hint &hint, bool wake);
// After any change: is the group ready, and where? A group without tasks goes.
void settle_group(GroupNo no, bool wake);
// Forgets the waiting tasks of a group.
void clear_group(GroupNo no);
// No waiting task and no running one: the group goes, unless its bucket has to be remembered.
void free_when_empty(GroupNo no);

}  // namespace pgqueue::dispatch
