// The dictionary of roles, table pgqueue_internal.role: the key under which a role's tasks are stored, and the role of
// a key in this cluster now. See docs/internals/roles.md.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::store {

// Returns whether a role with this oid exists now, even if this process has not received its creation yet.
bool role_exists(Oid role);

// The role of a key.
struct RoleKey {
    bool known;        // the dictionary has it
    bool restored;     // came with a dump or copy; the role is found by its name
    Oid oid;           // InvalidOid: there is no such role now
    const char *name;  // the role's present name, else the last known one; valid until the transaction ends
};
// Return the role of a key, and its oid alone (InvalidOid: there is no such role now).
RoleKey role_of(int32 id);
Oid role_oid_of(int32 id);
// Returns whether two keys are of one role.
bool same_role(int32 a, int32 b);
// Returns a name for messages, palloc'd, even if the dictionary lacks the key.
char *shown_role(int32 id);

// Returns the key of a role that exists. This transaction adds it to the dictionary if missing. Waits for no other
// transaction. Raises 42704 if the role does not exist.
int32 role_id_of(Oid role);
// The same without writing. If the dictionary lacks the role, returns its oid as key.
int32 known_role_id_of(Oid role);

// Registers the callback for invalidations of the dictionary. Called once per process.
void register_role_callbacks();

}  // namespace pgqueue::store
