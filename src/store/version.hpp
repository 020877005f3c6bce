// The versions of the extension's SQL objects in this database and of the library.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::store {

// Returns the version of the extension in this database, palloc'd; nullptr: it is not installed.
const char *installed_version();
// Raises 55000 unless library and SQL objects have the same version, or the extension is not installed. Does nothing
// inside an update script.
void check_version();
// Makes all processes check the version again, once this transaction has committed. For ALTER EXTENSION.
void version_changed();

}  // namespace pgqueue::store
