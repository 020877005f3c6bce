// The hooks for utility commands: they refuse commands, make our processes leave a database, and notify our processes.
// CREATE DATABASE makes the launcher probe the new database. DROP EXTENSION ends the service of this database, and an
// update of the extension begins it.
#include "worker/processes.hpp"

#include "executor/apart.hpp"
#include "handover/actions.hpp"
#include "memory/registry.hpp"
#include "memory/wake.hpp"
#include "store/version.hpp"
#include "worker/utility.hpp"

namespace pgqueue::worker {
namespace {

constinit ProcessUtility_hook_type previous_utility = nullptr;
constinit object_access_hook_type previous_access = nullptr;
constinit bool look_at_databases = false;
constinit bool look_at_roles = false;

// Notifies the schedulers of changed roles. Each database keeps the names of its roles for a dump, and tasks of roles
// that do not exist. A sleeping scheduler would notice the change only when it wakes up.
void tell_of_roles() {
    for (SlotNo db = 0; db < memory::max_databases; db++) {
        memory::Database &d = memory::database(db);
        if (!d.used || !d.service.wanted.load()) continue;
        d.changes.roles.store(true);
        memory::wake_scheduler(db);
    }
}

bool changes_roles(Node *node) {
    return IsA(node, CreateRoleStmt) || IsA(node, DropRoleStmt) ||
           (IsA(node, RenameStmt) && reinterpret_cast<RenameStmt *>(node)->renameType == OBJECT_ROLE);
}

void on_xact_end(XactEvent event, void *) {
    if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT) return;
    if (let_in() || look_at_databases) memory::wake_launcher();
    look_at_databases = false;
    if (look_at_roles && event == XACT_EVENT_COMMIT) tell_of_roles();
    look_at_roles = false;
}

// NOTIFY is sent only if a session may listen.
void note_listen(const char *channel) {
    if (strncmp(channel, "pgqueue_", 8) != 0) return;
    SlotNo db = memory::find_database(MyDatabaseId);
    if (db >= 0) memory::database(db).waiters.listened.store(true);
}

void note(Node *node, bool top_level) {
    if (changes_roles(node)) look_at_roles = true;
    if (IsA(node, ListenStmt)) note_listen(reinterpret_cast<ListenStmt *>(node)->conditionname);
    if (top_level && (IsA(node, CreatedbStmt) || IsA(node, DropdbStmt))) look_at_databases = true;
}

void on_utility(PlannedStmt *stmt, const char *query, bool read_only, ProcessUtilityContext context,
                ParamListInfo params, QueryEnvironment *env, DestReceiver *dest, QueryCompletion *qc) {
    Node *node = stmt->utilityStmt;
    const bool top_level = context == PROCESS_UTILITY_TOPLEVEL;
    refuse_view_locks(node);
    executor::check_statement_apart(node);
    if (memory::loaded() && top_level) leave_for(node);
    if (memory::loaded()) note(node, top_level);
    if (previous_utility)
        previous_utility(stmt, query, read_only, context, params, env, dest, qc);
    else
        standard_ProcessUtility(stmt, query, read_only, context, params, env, dest, qc);
}

// DROP EXTENSION: the service ends at commit. ALTER EXTENSION: it may begin. Also checks each function that a task of
// another role calls in a user's session.
void on_access(ObjectAccessType access, Oid klass, Oid object, int sub, void *arg) {
    if (previous_access) previous_access(access, klass, object, sub, arg);
    if (access == OAT_FUNCTION_EXECUTE) executor::check_function_apart(object);
    if ((access != OAT_DROP && access != OAT_POST_ALTER) || klass != ExtensionRelationId || !memory::loaded()) return;
    if (object != get_extension_oid("pgqueue", true) || memory::find_database(MyDatabaseId) < 0) return;
    if (access == OAT_POST_ALTER) store::version_changed();
    handover::serve_at_commit(MyDatabaseId, access == OAT_POST_ALTER);
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
