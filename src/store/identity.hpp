// Which server and database the data belongs to.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::store {

// Whether the data has an identity, and every one that is stored is this server's and this database's.
bool is_ours();

// Makes the data this database's own: identity, and the oids of roles found again by name. At commit the caller tells
// the dispatcher.
void adopt();

// New tables, whose rows a restore is going to copy: nobody's data, so no process works on it until adopt().
void hold();

}  // namespace pgqueue::store
