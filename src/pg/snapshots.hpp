// Finds processes that keep old row versions from being removed.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::pg {

// Returns another process of this database, or a WAL sender, that needs row versions from before `horizon`. 0: none. A
// replication slot or a prepared transaction may then be the reason.
pid_t holder_of(TransactionId horizon);

}  // namespace pgqueue::pg
