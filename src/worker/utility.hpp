// The parts of the utility hook (utility_hook.cpp), called before the server runs a command.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::worker {

// Raises 42501 if the command would make the server lock one of our views more strongly than reading does
// (utility_locks.cpp).
void refuse_view_locks(Node *command);

// If a top-level command needs a database alone, and the server would run it, makes our processes leave the database.
// They stay out until let_in() (utility_databases.cpp).
void leave_for(Node *command);
// Lets our processes into that database again. Returns whether they were kept out.
bool let_in();

}  // namespace pgqueue::worker
