// Runs code of another role inside a session: as that role, and without either side gaining the other's rights. Inside
// executor/ only.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::executor {

// The state to restore after code of another role.
struct Foreign {
    Oid user;  // the user to return to
    int sec;
    int nest;  // level of settings
    CommandId since;
    bool keep_settings;
};

// Fires deferred constraints and triggers now, as the current user, because code of another role could fire them with
// its rights. Inside a query they stay immediate for the rest of the transaction.
void fire_deferred(bool inside_query);

// Makes `role` the local user, in a security-restricted operation: no temporary tables, no SET ROLE, no deferred
// triggers, which would run as the session's role at commit. Sets the search path of sessions of `role`, and the usual
// settings for reading texts. Settings that the code makes are undone unless keep_settings. After an error, the abort
// of the (sub)transaction restores both, without end_foreign(). Raises 42704 if the role does not exist.
Foreign begin_foreign(Oid role, bool keep_settings);
// Restores user and settings. Raises 42501 if an object was created in the session's temporary schema, where it would
// hide other objects of the same name.
void end_foreign(const Foreign &visit);

}  // namespace pgqueue::executor
