// A function of another role inside a session: runs as that role, and neither side gains the other's rights. Inside executor/ only.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::executor {

struct Foreign {
    Oid user;       // to go back to
    int sec;
    int nest;       // level of settings
    bool keep_settings;
};

// The local user becomes `role`, in a security-restricted operation (no temporary tables, no SET ROLE, no deferred triggers, which would run
// as the session's role at commit), with the search path that sessions of `role` have. `home` is the role whose session it is.
// An error need not be told: the abort of the (sub)transaction restores both.
Foreign begin_foreign(Oid role, Oid home);
// Goes back. Settings that the function has made stay only when its role may act as `home` anyway.
void end_foreign(const Foreign &visit);

}  // namespace pgqueue::executor
