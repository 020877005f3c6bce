// Who holds old row versions back.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::pg {

// Another process of this database, or a sender of its changes, that needs what was there before `horizon`; 0: none (a
// replication slot or a prepared transaction may).
pid_t holder_of(TransactionId horizon);

}  // namespace pgqueue::pg
