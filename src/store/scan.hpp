// Reads all rows, for the rebuild and for checks.
#pragma once
#include "store/rows.hpp"

namespace pgqueue::store {

// Called for each row of a scan. false stops the scan.
using ScanCallback = bool (*)(void *arg, const TaskRow &row);
// Reads every row that is visible under `snapshot`, without variable parts: segment by segment, the oldest first, each
// in physical order. Calls between_pages(arg) after each page (may be nullptr). Checks for interrupts.
void scan(Snapshot snapshot, ScanCallback callback, void (*between_pages)(void *), void *arg);

// A scan in parts: where the next part begins.
struct ScanPlace {
    int slot;
    BlockNumber block;
};
// Reads the visible rows of at most `blocks` blocks from `place` on, and advances `place`. The caller takes a snapshot
// for each part, so rows that move meanwhile may be missed or come twice. The callback's result is ignored. Returns
// true if that was the last part.
bool scan_part(Snapshot snapshot, ScanPlace *place, int blocks, ScanCallback callback, void *arg);

}  // namespace pgqueue::store
