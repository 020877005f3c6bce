// The session of a worker: connects as the role of its tasks, and returns to that state after each task.

#include "executor/session.hpp"
namespace pgqueue::executor {
namespace {

// The session's user after connect(), and what tasks have used since then.
struct Session {
    Oid session_user;
    bool temp_namespace;  // a committed transaction used the session's temporary schema since it was last emptied
};
constinit Session session{};

// Records at commit what reset_session() must check. Deferred triggers have run by then.
void note_touched(XactEvent event, void *) {
    if (event == XACT_EVENT_PRE_COMMIT && (MyXactFlags & XACT_FLAGS_ACCESSEDTEMPNAMESPACE))
        session.temp_namespace = true;
}

// Raises FATAL unless the database accepts connections. The connection of a role that may not log in skips that check.
void require_open_database(Oid database) {
    HeapTuple tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(database));
    if (!HeapTupleIsValid(tuple))
        ereport(FATAL, errcode(ERRCODE_UNDEFINED_DATABASE), errmsg("database %u does not exist", database));
    const bool open = reinterpret_cast<Form_pg_database>(GETSTRUCT(tuple))->datallowconn;
    ReleaseSysCache(tuple);
    if (!open) {
        ereport(FATAL, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                errmsg("database \"%s\" is not currently accepting connections", get_database_name(database)));
    }
}

// Sets session_authorization, and the superuser flag of the session, to the values of the role in the catalog.
void confirm_session_user(Oid role) {
    char *name = GetUserNameFromId(role, true);
    if (name == nullptr) {
        ereport(FATAL, errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
                errmsg("role with OID %u does not exist", role));
    }
    SetConfigOption("session_authorization", name, PGC_BACKEND, PGC_S_OVERRIDE);
}

// Connects as a role that may not log in, on servers that cannot skip the check. It does what the server's parallel
// workers do: it sets authenticated and session user before the connection, which then keeps them. So nothing ever runs
// as another role, and the activity view and the settings are those of the role. It is not known yet whether the role
// is a superuser: for SET SESSION AUTHORIZATION it is not, and for all other purposes pg_authid decides.
void connect_without_login(Oid database, Oid role) {
    InitializingParallelWorker = true;
    pg::set_authenticated_user(role);
    SetSessionAuthorization(role, false);
    BackgroundWorkerInitializeConnectionByOid(database, role, BGWORKER_BYPASS_ALLOWCONN);
    InitializingParallelWorker = false;
    StartTransactionCommand();
    confirm_session_user(role);
    CommitTransactionCommand();
}

// Ends effects that only the end of a session would end otherwise: replication origin and temporary replication slots.
void reset_replication() {
    if (replorigin_session_origin != InvalidRepOriginId) {
        replorigin_session_reset();
        replorigin_session_origin = InvalidRepOriginId;
        replorigin_session_origin_lsn = InvalidXLogRecPtr;
        replorigin_session_origin_timestamp = 0;
    }
    if (max_replication_slots > 0) pg::drop_temporary_slots();
}

// What of the settings of role and database a worker does not follow: the session is the connection's role, and an
// error ends a task only.
void set_own_way() {
    SetConfigOption("role", "none", PGC_SUSET, PGC_S_OVERRIDE);
    SetConfigOption("exit_on_error", "off", PGC_SUSET, PGC_S_OVERRIDE);
}

// Becomes the session's role again after SET ROLE or SET SESSION AUTHORIZATION. Needs no catalog: the values were
// checked at connect.
void reset_role() {
    if (GetSessionUserId() == session.session_user && !OidIsValid(GetCurrentRoleId())) return;
    SetConfigOption("session_authorization", nullptr, PGC_USERSET, PGC_S_SESSION);
    SetConfigOption("role", nullptr, PGC_USERSET, PGC_S_SESSION);
}

// Empties the temporary schema if a task has used it. Does not wait for the disk, because a crash empties it as well.
void reset_temporary_objects() {
    if (!session.temp_namespace) return;
    StartTransactionCommand();
    set_config_option("synchronous_commit", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
    ResetTempTableNamespace();
    CommitTransactionCommand();
    session.temp_namespace = false;
}

}  // namespace

void connect(Oid database, Oid role, bool can_login) {
    if (can_login) {
        BackgroundWorkerInitializeConnectionByOid(database, role, 0);
    } else if (pg::worker_may_skip_login_check) {
        BackgroundWorkerInitializeConnectionByOid(database, role, pg::skip_login_check | BGWORKER_BYPASS_ALLOWCONN);
    } else {
        connect_without_login(database, role);
    }
    set_own_way();
    StartTransactionCommand();
    if (!can_login) require_open_database(database);
    process_session_preload_libraries();
    CommitTransactionCommand();
    session = {GetSessionUserId(), false};
    RegisterXactCallback(note_touched, nullptr);
}

void reset_session() {
    debug_query_string = nullptr;
    // Cursors first: closing one may run code of the user's.
    PortalHashTableDeleteAll();
    DropAllPreparedStatements();
    reset_role();
    ResetAllOptions();
    ResetSequenceCaches();
    LockReleaseAll(USER_LOCKMETHOD, true);
    reset_replication();
    reset_temporary_objects();
}

}  // namespace pgqueue::executor
