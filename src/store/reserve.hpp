// Adds the pages for a bulk insert to a segment at once. Inside store/ only.
#pragma once
#include "store/segments.hpp"

namespace pgqueue::store {

constexpr int most_reserved = 32;

// New, empty, pinned pages at the end of a relation. The taker of a buffer owns its pin.
struct Reserved {
    Buffer buffers[most_reserved];
    int count, next;
};

// Adds `count` pages (at most most_reserved), or none if the file system cannot reserve them.
void reserve_pages(Relation rel, int count, Reserved *reserved);
// Returns the next page; InvalidBuffer: none is left.
Buffer take_page(Reserved *reserved);
// Releases the pins of the pages that were not taken.
void release_pages(Reserved *reserved);

}  // namespace pgqueue::store
