// Reads waiting rows in the order of their ids.
#pragma once
#include "store/scan.hpp"

namespace pgqueue::store {

// Reads at most `most` rows with ids above `after`, in ascending order of ids, and calls back for those that wait.
// Returns the id up to which all were read; INT64_MAX: there are no more.
int64 scan_waiting(Snapshot snapshot, int64 after, int most, ScanCallback callback, void *arg);

}  // namespace pgqueue::store
