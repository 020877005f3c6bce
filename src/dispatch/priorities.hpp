// The lists of ready tasks of a lane, one for each priority. Each list has at least a page, so a lane has few of them.
// When a lane has many priorities, several priorities share a list: they are its range. The ranges of a lane do not
// overlap, and the lists are in the order of their ranges.
//   one priority            first in, first out
//   a range, in one page    the page is sorted when tasks are taken from it
//   a range, in more pages  it is taken apart into lists of smaller ranges, some pages at a time: by the process that
//                           files a task, while the list is short; by the process that wants its tasks; or by the
//                           scheduler. No task is taken from it until then. It stays before its parts, so that new
//                           tasks go to its end. It is freed when it is empty
// Only for dispatch/. The caller holds the namespace lock. No function raises an error, waits, or allocates memory
// outside the pool.
#pragma once
#include "memory/page_list.hpp"

namespace pgqueue::dispatch {

// Returns the list of a lane to which a task of this priority goes, and creates it if needed. nullptr: the lane has no
// list, and there is no memory.
PriorityList *list_for_locked(SlotNo lane, int32 priority);
// Appends a ready task. dies: its dies_at, 0 never. since: when it became ready (monotonic), 0 now. Returns false if
// there is no memory.
bool push_task_locked(SlotNo lane, int32 priority, const TaskRef &ref, int64 dies, int64 since);
// Appends the tasks of a page, which has one priority or several. The list owns the page afterwards, or the page is
// freed. Returns how many tasks were filed.
int push_page_locked(SlotNo lane, PageNo no);
// Puts a task before the others of its priority. Returns false if there is no memory.
bool push_first_locked(SlotNo lane, int32 priority, const TaskRef &ref, int64 dies);

// What may be taken from a list now. Gone: it was taken apart, and its parts stand in its place. Begun: a part of it
// was taken apart, and the next call continues. Waits: a page has to come from the spill file, or there is no memory.
enum class Front { Tasks, None, Waits, Begun, Gone };
// Brings the next tasks of a list to the head of a page, which is *out. Takes the list apart if needed. Returns what
// may be taken.
Front front_of_locked(SlotNo lane, SlotNo list, Page **out);
// Returns how many tasks at the head of that page have the same priority.
int same_priority(const PriorityList &list, const Page &front);

// Called when a list has become empty. Frees the empty lists of the lane if it has many lists.
void list_is_empty_locked(SlotNo lane);
// Frees the lists of a lane that have no tasks.
void free_empty_lists_locked(SlotNo lane);
// Frees all lists of a lane. The caller forgets their places in the spill file.
void free_lists_locked(SlotNo lane);
// Returns how many lists a namespace may have now.
int64 share_of_lists(const Namespace &ns);

// Continues to take lists of a lane apart, some pages. Returns Tasks after a step, and None if there is nothing to do.
// Returns Waits if a page has to come from the spill file, or if there is no memory.
Front take_apart_locked(SlotNo lane);
// Marks a lane with such a list for the scheduler.
void want_taken_apart(SlotNo lane);

}  // namespace pgqueue::dispatch
