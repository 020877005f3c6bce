// Refuses changes through our views that the server would silently lose.
#pragma once

namespace pgqueue::api {

// Installs a hook in _PG_init, if preloaded. INSERT, UPDATE, DELETE and COPY on one of our views then raise 55000 while
// session_replication_role is replica, because the server does not fire the views' triggers in that case.
void install_replica_hook();

}  // namespace pgqueue::api
