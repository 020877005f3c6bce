// What a command says to its client (NOTICE, WARNING and the like, as client_min_messages asks for). A worker has no
// client: the last messages are kept in the process for the end of the attempt.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::executor {

// Makes this process the client of its own commands. Once, when a worker begins.
void become_client();

// Forgets what was kept, and keeps what is said from now on, until the next call of stop_keeping_messages(): the last
// 20 messages, up to 1,000 bytes of each.
void keep_messages();
void stop_keeping_messages();

// Returns what was kept, oldest first, as text[] in the current memory context; nullptr: nothing. When earlier messages
// had to make room, the first element says how many. Under a client_encoding that is not the database's, what is not
// ASCII is shown as "?".
ArrayType *kept_messages();

}  // namespace pgqueue::executor
