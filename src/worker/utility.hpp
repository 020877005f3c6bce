// The parts of the hook that sees utility commands before the server runs them; utility_hook.cpp calls them.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::worker {

// Raises 42501 when a command would have the server lock a view of ours more strongly than reading does
// (utility_locks.cpp).
void refuse_view_locks(Node *command);

// When a top-level command needs a database alone, and the server would run it: our processes leave the database and
// stay out until let_in() (utility_databases.cpp).
void leave_for(Node *command);
// Whether anybody was kept out.
bool let_in();

}  // namespace pgqueue::worker
