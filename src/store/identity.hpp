// Which server and database the data belongs to, and its schema version.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::store {

constexpr int schema_version = 1;

struct Identity {
    bool ours;           // every stored identity is this server's and this database's
    int schema_version;  // of the newest row, 0 when there is none
};
Identity read_identity();

// Makes the data this database's own: identity, and the oids of roles found again by name. At commit the caller tells the dispatcher.
void adopt();

// New tables, whose rows a restore is going to copy: nobody's data, so no process works on it until adopt().
void hold();

}  // namespace pgqueue::store
