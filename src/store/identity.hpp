// The identity of the data: the server and the database that it belongs to.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::store {

// Returns whether the data has an identity, and all stored identities are those of this server and database.
bool is_ours();

// Makes the data this database's own: writes its identity, and finds the oids of roles again by name. The caller makes
// the scheduler check the identity at commit.
void adopt();

// Marks new tables, into which a restore will copy rows, as data of no database. No process works on it until adopt().
void hold();

}  // namespace pgqueue::store
