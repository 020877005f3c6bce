// Pages for a bulk insert, added to a segment in one go. Inside store/ only.
#pragma once
#include "store/segments.hpp"

namespace pgqueue::store {

constexpr int most_reserved = 32;

// New, empty, pinned pages at the end of a relation; the taker of a buffer owns its pin.
struct Reserved {
    Buffer buffers[most_reserved];
    int count, next;
};

void reserve_pages(Relation rel, int count, Reserved *reserved);
// The next page, InvalidBuffer when there is none left.
Buffer take_page(Reserved *reserved);
void release_pages(Reserved *reserved);

}  // namespace pgqueue::store
