// Lock-free stacks over the fixed block: free pages, lanes, priority lists and leases. A head is tag << 32 | number +
// 1; the tag prevents the ABA problem. A process may still read an entry that another process has just taken, but not
// write it. This is safe because the memory is never unmapped.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::memory {

// Takes an empty page from the pool; 0: none is left.
PageNo take_page(PageKind kind);
// Puts a page in front of a list that another process takes as a whole.
void push_page(Atomic<PageNo> *list, PageNo no);
// Returns a page to the pool.
void give_page(PageNo no);
// Returns a chain of pages to the pool.
void give_chain(PageNo first);
// Returns the number of free pages.
inline uint32 free_pages() { return map.shared->free_pages.load(); }
// The number of free pages below which the scheduler writes middle pages of long lists to the spill file.
inline uint32 low_water() { return map.shared->pages / 4; }
// Returns whether a process may take a page for one of many tasks: an eighth of the pages is left to namespaces and
// transactions with few.
inline bool room_for_many() { return free_pages() > low_water() / 2; }

// Take an entry from its stack (-1: none is left), return it, or count the free ones.
SlotNo take_lane();
SlotNo take_priority();
inline int32 free_lanes() { return map.shared->free_lanes.load(); }
inline int32 free_priorities() { return map.shared->free_priorities.load(); }
inline int32 free_leases() { return map.shared->free_leases.load(); }
SlotNo take_lease();
void give_lane(SlotNo no);
void give_lease(SlotNo no);
void give_priority(SlotNo no);

// Fills all stacks of a new block. Called once, while no other process can see the block.
void init_pools();

}  // namespace pgqueue::memory
