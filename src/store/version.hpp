// The version of the extension's SQL objects in this database, beside that of the library.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::store {

// Of the extension in this database, palloc'd; nullptr: there is none.
const char *installed_version();
// 55000 unless library and SQL objects have the same version. An update script may work while they differ.
void check_version();
// The extension was altered: all processes check again, once this transaction has committed.
void version_changed();

}  // namespace pgqueue::store
