// The dictionary of roles, table pgqueue_internal.role: under which key a role's tasks are stored, and who a key is in
// this cluster now. docs/internals/roles.md.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::store {

// Whether a role of this number exists now: also one whose creation this process has not heard of.
bool role_exists(Oid role);

// Who a key is.
struct RoleKey {
    bool known;        // the dictionary has it
    bool restored;     // came with a dump or copy, and no role of its name was here yet
    Oid oid;           // InvalidOid: there is no such role now
    const char *name;  // the present one, else the last that is known; valid until the transaction ends
};
RoleKey role_of(int32 id);
Oid role_oid_of(int32 id);
// Two keys of one role.
bool same_role(int32 a, int32 b);
// A palloc'd name for messages: also for a key that the dictionary does not have.
char *shown_role(int32 id);

// The key of a role that exists, written by this transaction when the dictionary lacks it. No other transaction is
// waited for.
int32 role_id_of(Oid role);
// The same without writing: its number when the dictionary lacks it.
int32 known_role_id_of(Oid role);

void register_role_callbacks();

}  // namespace pgqueue::store
