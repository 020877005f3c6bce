// Code of another role inside a session: runs as that role, and neither side gains the other's rights. Inside executor/
// only.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::executor {

struct Foreign {
    Oid user;  // to go back to
    int sec;
    int nest;  // level of settings
    CommandId since;
    bool keep_settings;
};

// Deferred constraints and triggers that wait fire now, as the current user: code of another role could have them fire
// with its rights. Inside a query they are immediate from then on in this transaction.
void fire_deferred(bool inside_query);

// The local user becomes `role`, in a security-restricted operation (no temporary tables, no SET ROLE, no deferred
// triggers, which would run as the session's role at commit), with the search path that sessions of `role` have, and
// the usual settings for reading texts. Settings that it makes are undone unless they are kept. An error need not be
// told: the abort of the (sub)transaction restores both.
Foreign begin_foreign(Oid role, bool keep_settings);
// Goes back. Raises when something was made in the temporary schema of the session: there it would come before what
// others call by the same name.
void end_foreign(const Foreign &visit);

}  // namespace pgqueue::executor
