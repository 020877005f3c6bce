// The lists of ready tasks of a lane, one for each priority. Each has a page at least, so there are few: when a lane
// has many priorities, several of them share a list, whose range they are. Ranges of a lane do not overlap, and the
// lists are in their order.
//   one priority            first in, first out
//   a range, in one page    the page is sorted when tasks are taken from it
//   a range, in more pages  it is taken apart into lists of smaller ranges, some pages at a time: by whoever files a
//                           task, while it is short; by whoever wants its tasks; by the scheduler. Until then nothing
//                           is taken from it. It stands before its parts, so that what comes meanwhile goes to its
//                           end, and is gone when it is empty
// Inside dispatch/ only; everything here is under the namespace's lock. Nothing raises, waits or allocates.
#pragma once
#include "memory/page_list.hpp"

namespace pgqueue::dispatch {

// The list of a lane that a task of this priority goes to, made when missing. Null: the lane has none, and there is no
// memory.
PriorityList *list_for_locked(SlotNo lane, int32 priority);
// Appends a ready task. since: when it became ready, 0 now. False: no memory.
bool push_task_locked(SlotNo lane, int32 priority, const TaskRef &ref, int64 dies, int64 since);
// Appends the tasks of a page, of one priority or of several; the page is the list's afterwards, or free. Returns how
// many were filed.
int push_page_locked(SlotNo lane, PageNo no);
// Puts a task before the others of its priority. False: no memory.
bool push_first_locked(SlotNo lane, int32 priority, const TaskRef &ref, int64 dies);

// What may be taken from a list now. Gone: it was taken apart, its parts stand in its place. Begun: a part of it was
// taken apart, the next look goes on. Waits: a page has to come from the spill file, or there is no memory.
enum class Front { Tasks, None, Waits, Begun, Gone };
// Brings the next tasks of a list to the head of a page.
Front front_of_locked(SlotNo lane, SlotNo list, Page **out);
// How many tasks at the head of that page have the same priority.
int same_priority(const PriorityList &list, const Page &front);

// A list has become empty: a lane with many gives it back.
void list_is_empty_locked(SlotNo lane);
// Gives the lists back in which nothing is.
void free_empty_lists_locked(SlotNo lane);
// Gives all of them back; places in the spill file are forgotten by the caller.
void free_lists_locked(SlotNo lane);
// How many lists a namespace may have now.
int64 share_of_lists(const Namespace &ns);

// Goes on with a lane whose lists are taken apart, some pages. Waits: a page has to come from the spill file, or there
// is no memory.
Front take_apart_locked(SlotNo lane);
// Lanes with such a list are looked at by the scheduler.
void want_taken_apart(SlotNo lane);

}  // namespace pgqueue::dispatch
