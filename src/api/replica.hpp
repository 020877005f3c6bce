// Changes through our views where the server would leave them out in silence.
#pragma once

namespace pgqueue::api {

// In _PG_init, preloaded: INSERT, UPDATE, DELETE and COPY on a view of ours raise 55000 while session_replication_role
// is replica. Their triggers, which the server does not fire then, are all that there is behind the view.
void install_replica_hook();

}  // namespace pgqueue::api
