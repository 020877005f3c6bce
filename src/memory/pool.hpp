// Lock-free stacks over the fixed block: free pages, lanes and priority lists. A head is tag << 32 | number + 1, the
// tag defeats ABA. An entry that another process has just taken may still be read here, never written: the memory is
// never unmapped.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::memory {

// Takes a page; 0 when none is left.
PageNo take_page(PageKind kind);
// Puts a page in front of a list that another process takes whole.
void push_page(Atomic<PageNo> *list, PageNo no);
// Gives a page back.
void give_page(PageNo no);
// Gives a whole chain back.
void give_chain(PageNo first);
inline uint32 free_pages() { return map.shared->free_pages.load(); }
// Below this the scheduler writes middle pages of long lists to the spill file.
inline uint32 low_water() { return map.shared->pages / 4; }

SlotNo take_lane();
SlotNo take_priority();
inline int32 free_lanes() { return map.shared->free_lanes.load(); }
inline int32 free_priorities() { return map.shared->free_priorities.load(); }
inline int32 free_leases() { return map.shared->free_leases.load(); }
SlotNo take_lease();
void give_lane(SlotNo no);
void give_lease(SlotNo no);
void give_priority(SlotNo no);

void init_pools();

}  // namespace pgqueue::memory
