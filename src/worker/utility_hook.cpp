// Commands that need a database alone (DROP, RENAME, SET TABLESPACE, use as template): our processes leave it first and stay out until the
// command's transaction ends. CREATE DATABASE has the launcher look into the new one; DROP EXTENSION ends the service of this one.
#include "worker/processes.hpp"

#include "config/settings.hpp"
#include "dispatch/registry.hpp"
#include "dispatch/wake.hpp"
#include "dispatch/xact.hpp"
#include "executor/guest.hpp"
#include "pg/error.hpp"

#include <signal.h>

namespace pgqueue::worker {
namespace {

constinit ProcessUtility_hook_type previous_utility = nullptr;
constinit object_access_hook_type previous_access = nullptr;
constinit SlotNo blocked_db = -1;
constinit bool look_at_databases = false;
constinit bool look_at_roles = false;

// The database that a command needs alone, by name; nullptr: none.
const char *database_needed(Node *node) {
    switch (nodeTag(node)) {
        case T_DropdbStmt: return reinterpret_cast<DropdbStmt *>(node)->dbname;
        case T_RenameStmt: {
            auto *s = reinterpret_cast<RenameStmt *>(node);
            return s->renameType == OBJECT_DATABASE ? s->subname : nullptr;
        }
        case T_AlterDatabaseStmt: {
            auto *s = reinterpret_cast<AlterDatabaseStmt *>(node);
            ListCell *cell;
            foreach (cell, s->options)
                if (strcmp(static_cast<DefElem *>(lfirst(cell))->defname, "tablespace") == 0) return s->dbname;
            return nullptr;
        }
        case T_CreatedbStmt: {
            auto *s = reinterpret_cast<CreatedbStmt *>(node);
            ListCell *cell;
            foreach (cell, s->options) {
                auto *e = static_cast<DefElem *>(lfirst(cell));
                if (strcmp(e->defname, "template") == 0 && e->arg != nullptr) return defGetString(e);
            }
            return nullptr;
        }
        default: return nullptr;
    }
}

// Nobody without the right for the command itself may send our processes away.
bool may_take_database(const char *name, Node *node) {
    Oid oid = get_database_oid(name, true);
    if (!OidIsValid(oid)) return false;
    return IsA(node, CreatedbStmt) ? have_createdb_privilege() : pg::owns_database(oid);
}

// A process that has not begun does not count: it looks whether it may come in before it does.
bool someone_there(SlotNo db) {
    dispatch::Database &d = dispatch::database(db);
    if (pg_atomic_read_u32(&d.scheduler_pid) != 0 || pg_atomic_read_u32(&d.housekeeper_pid) != 0) return true;
    for (dispatch::WorkerSlot &w : dispatch::map.shared->workers) {
        auto s = static_cast<dispatch::WorkerState>(pg_atomic_read_u32(&w.state));
        if (w.db == db && w.pid != 0 && s != dispatch::WorkerState::Free && s != dispatch::WorkerState::Ended) return true;
    }
    return false;
}

void send_away(SlotNo db) {
    for (dispatch::WorkerSlot &w : dispatch::map.shared->workers)
        if (w.db == db && w.pid != 0) kill(w.pid, SIGTERM);
    pid_t scheduler = static_cast<pid_t>(pg_atomic_read_u32(&dispatch::database(db).scheduler_pid));
    pid_t housekeeper = static_cast<pid_t>(pg_atomic_read_u32(&dispatch::database(db).housekeeper_pid));
    if (scheduler != 0) kill(scheduler, SIGTERM);
    if (housekeeper != 0) kill(housekeeper, SIGTERM);
}

// Has everybody of ours leave, and keeps them out. The server's own check waits five seconds for whoever is still going.
void clear_database(const char *name) {
    Oid oid = get_database_oid(name, true);
    SlotNo db = OidIsValid(oid) ? dispatch::find_database(oid) : -1;
    if (db < 0) return;
    uint32 nobody = 0;
    if (!pg_atomic_compare_exchange_u32(&dispatch::database(db).blocked_by, &nobody, static_cast<uint32>(MyProcPid))) return;
    blocked_db = db;
    for (int i = 0; i < 100 && someone_there(db); i++) {
        send_away(db);
        CHECK_FOR_INTERRUPTS();
        (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 20, pg::wait_event("PgqueueLeaveDatabase"));
        ResetLatch(MyLatch);
    }
}

void let_in() {
    if (blocked_db < 0) return;
    uint32 me = static_cast<uint32>(MyProcPid);
    pg_atomic_compare_exchange_u32(&dispatch::database(blocked_db).blocked_by, &me, 0);
    blocked_db = -1;
    look_at_databases = true;
}

// Each database keeps the names of its roles for a dump, and tasks of roles that do not exist; a scheduler that sleeps would hear of the change
// only when it wakes up.
void tell_of_roles() {
    for (SlotNo db = 0; db < dispatch::max_databases; db++) {
        dispatch::Database &d = dispatch::database(db);
        if (!d.used || pg_atomic_read_u32(&d.wanted) == 0) continue;
        pg_atomic_write_u32(&d.roles_changed, 1);
        dispatch::wake_scheduler(db);
    }
}

bool changes_roles(Node *node) {
    return IsA(node, CreateRoleStmt) || IsA(node, DropRoleStmt) || (IsA(node, RenameStmt) && reinterpret_cast<RenameStmt *>(node)->renameType == OBJECT_ROLE);
}

void on_xact_end(XactEvent event, void *) {
    if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT) return;
    let_in();
    if (look_at_databases) dispatch::wake_launcher();
    look_at_databases = false;
    if (look_at_roles && event == XACT_EVENT_COMMIT) tell_of_roles();
    look_at_roles = false;
}

void at_exit(int, Datum) {
    let_in();
    dispatch::wake_launcher();
}

// NOTIFY is sent only while somebody may listen.
void note_listen(const char *channel) {
    if (strncmp(channel, "pgqueue_", 8) != 0) return;
    SlotNo db = dispatch::find_database(MyDatabaseId);
    if (db >= 0) pg_atomic_write_u32(&dispatch::database(db).listened, 1);
}

void on_utility(PlannedStmt *stmt, const char *query, bool read_only, ProcessUtilityContext context, ParamListInfo params, QueryEnvironment *env,
                DestReceiver *dest, QueryCompletion *qc) {
    static constinit bool registered = false;
    Node *node = stmt->utilityStmt;
    bool permitted = dispatch::loaded() && context == PROCESS_UTILITY_TOPLEVEL;
    const char *name = permitted ? database_needed(node) : nullptr;
    if (name != nullptr && may_take_database(name, node)) {
        if (!registered) before_shmem_exit(at_exit, Datum(0));
        registered = true;
        clear_database(name);
    }
    if (dispatch::loaded() && changes_roles(node)) look_at_roles = true;
    if (dispatch::loaded() && IsA(node, ListenStmt)) note_listen(reinterpret_cast<ListenStmt *>(node)->conditionname);
    if (permitted && (IsA(node, CreatedbStmt) || IsA(node, DropdbStmt))) look_at_databases = true;
    if (previous_utility)
        previous_utility(stmt, query, read_only, context, params, env, dest, qc);
    else
        standard_ProcessUtility(stmt, query, read_only, context, params, env, dest, qc);
}

// DROP EXTENSION: the service ends with the commit. What a task of another role calls in a user's session.
void on_access(ObjectAccessType access, Oid klass, Oid object, int sub, void *arg) {
    if (previous_access) previous_access(access, klass, object, sub, arg);
    if (access == OAT_FUNCTION_EXECUTE) executor::check_function_of_guest(object);
    if (access != OAT_DROP || klass != ExtensionRelationId || !dispatch::loaded()) return;
    if (object == get_extension_oid("pgqueue", true) && dispatch::find_database(MyDatabaseId) >= 0) dispatch::note_database(MyDatabaseId, false);
}

}  // namespace

void install_utility_hook() {
    previous_utility = ProcessUtility_hook;
    ProcessUtility_hook = on_utility;
    previous_access = object_access_hook;
    object_access_hook = on_access;
    RegisterXactCallback(on_xact_end, nullptr);
}

}  // namespace pgqueue::worker
