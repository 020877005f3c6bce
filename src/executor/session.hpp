// The session of a worker.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::executor {

// Connects this background worker to a database as a role. The session gets the settings of both. FATAL if the database
// or role does not exist. FATAL with 28000 if can_login is true and the role may not log in any more. can_login is
// pg_authid.rolcanlogin as the caller has read it; false is always safe.
void connect(Oid database, Oid role, bool can_login);

// Resets the session to its state after connect(): settings, role, temporary tables, prepared statements, cursors,
// advisory locks, sequences, replication origin and temporary replication slots. Cheap if the task used none of them.
// Must be called outside a transaction, and also after a failed task. If it raises, the caller must end the process.
void reset_session();

}  // namespace pgqueue::executor
