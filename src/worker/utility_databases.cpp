// Commands that need a database alone: DROP, RENAME, SET TABLESPACE, use as template. Our processes leave the database
// if the server would run the command, and stay out until its transaction ends. If the server would refuse the command,
// or other sessions make it fail, our processes stay.
#include "worker/utility.hpp"

#include "memory/registry.hpp"
#include "memory/wake.hpp"

#include <signal.h>

namespace pgqueue::worker {
namespace {

using memory::SlotNo;

constinit SlotNo blocked_db = -1;

DefElem *option_of(List *options, const char *name) {
    ListCell *cell;
    foreach(cell, options) {
        auto *option = static_cast<DefElem *>(lfirst(cell));
        if (strcmp(option->defname, name) == 0) return option;
    }
    return nullptr;
}

const char *template_of(const CreatedbStmt *create) {
    DefElem *option = option_of(create->options, "template");
    return option != nullptr && option->arg != nullptr ? defGetString(option) : "template1";
}

// Returns the name of the database that a command needs alone; nullptr: none.
const char *database_needed(Node *node) {
    switch (nodeTag(node)) {
        case T_DropdbStmt: return reinterpret_cast<DropdbStmt *>(node)->dbname;
        case T_CreatedbStmt: return template_of(reinterpret_cast<CreatedbStmt *>(node));
        case T_RenameStmt: {
            auto *s = reinterpret_cast<RenameStmt *>(node);
            return s->renameType == OBJECT_DATABASE ? s->subname : nullptr;
        }
        case T_AlterDatabaseStmt: {
            auto *s = reinterpret_cast<AlterDatabaseStmt *>(node);
            return option_of(s->options, "tablespace") != nullptr ? s->dbname : nullptr;
        }
        default: return nullptr;
    }
}

// The server's catalog entry of a database.
struct DatabaseRow {
    bool is_template;
    Oid tablespace;
};

DatabaseRow row_of(Oid oid) {
    HeapTuple tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(oid));
    if (!HeapTupleIsValid(tuple)) return {};
    auto form = reinterpret_cast<Form_pg_database>(GETSTRUCT(tuple));
    DatabaseRow row{form->datistemplate, form->dattablespace};
    ReleaseSysCache(tuple);
    return row;
}

bool is_free(const char *name) { return !OidIsValid(get_database_oid(name, true)); }

bool would_move(const AlterDatabaseStmt *alter, const DatabaseRow &row) {
    DefElem *option = option_of(alter->options, "tablespace");
    if (list_length(alter->options) != 1 || option->arg == nullptr) return false;
    Oid target = get_tablespace_oid(defGetString(option), true);
    return OidIsValid(target) && target != row.tablespace && target != GLOBALTABLESPACE_OID &&
           pg::may_create_in_tablespace(target);
}

// Returns whether the server would get to the check for other sessions in the database. If the user may not run the
// command, or it cannot succeed now, our processes stay.
bool would_run(Node *node, Oid db) {
    const DatabaseRow row = row_of(db);
    const bool owner = pg::owns_database(db), other = db != MyDatabaseId;
    switch (nodeTag(node)) {
        case T_DropdbStmt: return owner && other && !row.is_template && !IsInTransactionBlock(true);
        case T_RenameStmt:
            return owner && other && have_createdb_privilege() &&
                   is_free(reinterpret_cast<RenameStmt *>(node)->newname);
        case T_AlterDatabaseStmt:
            return owner && other && !IsInTransactionBlock(true) &&
                   would_move(reinterpret_cast<AlterDatabaseStmt *>(node), row);
        case T_CreatedbStmt:
            return (owner || row.is_template) && have_createdb_privilege() && !IsInTransactionBlock(true) &&
                   is_free(reinterpret_cast<CreatedbStmt *>(node)->dbname);
        default: return false;
    }
}

bool is_our_process(SlotNo db, int pid) {
    memory::Database &d = memory::database(db);
    if (d.scheduler.pid.load() == pid || d.housekeeper.pid.load() == pid || d.notifier.load() == pid) return true;
    for (memory::WorkerSlot &w : memory::map.shared->workers)
        if (w.db == db && w.pid == pid) return true;
    return false;
}

// Returns whether the database has a process that neither the server nor we send away. Parallel workers count as their
// leader. An unused place keeps the data of its former process, so the server is asked whether it is in use.
bool others_there(SlotNo db, Oid oid) {
    for (uint32 i = 0; i < ProcGlobal->allProcCount; i++) {
        const PGPROC &p = ProcGlobal->allProcs[i];
        if (p.pid == 0 || p.databaseId != oid || (p.statusFlags & PROC_IS_AUTOVACUUM) != 0) continue;
        const PGPROC *leader = p.lockGroupLeader;
        int pid = leader != nullptr ? leader->pid : p.pid;
        if (pid != MyProcPid && !is_our_process(db, pid) && BackendPidGetProc(p.pid) == &p) return true;
    }
    return false;
}

bool ends_others(Node *node) {
    return IsA(node, DropdbStmt) && option_of(reinterpret_cast<DropdbStmt *>(node)->options, "force") != nullptr;
}

void rest(long ms) {
    CHECK_FOR_INTERRUPTS();
    (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, ms,
                    pg::wait_event("PgqueueLeaveDatabase"));
    ResetLatch(MyLatch);
}

// Waits for other sessions, as long as the server does. Returns whether they have left.
bool others_leave(SlotNo db, Oid oid) {
    for (int i = 0; i < 50; i++) {
        if (!others_there(db, oid)) return true;
        rest(100);
    }
    return !others_there(db, oid);
}

// Returns whether one of our processes is there. A process that has not begun does not count: it checks first whether
// it may enter.
bool someone_there(SlotNo db) {
    memory::Database &d = memory::database(db);
    if (d.scheduler.pid.load() != 0 || d.housekeeper.pid.load() != 0 || d.notifier.load() != 0) return true;
    for (memory::WorkerSlot &w : memory::map.shared->workers) {
        auto s = w.state.load();
        if (w.db == db && w.pid != 0 && s != memory::WorkerState::Free && s != memory::WorkerState::Ended) return true;
    }
    return false;
}

void send_away(SlotNo db) {
    for (memory::WorkerSlot &w : memory::map.shared->workers)
        if (w.db == db && w.pid != 0) kill(w.pid, SIGTERM);
    const memory::Database &d = memory::database(db);
    for (pid_t pid : {d.scheduler.pid.load(), d.housekeeper.pid.load(), d.notifier.load()})
        if (pid != 0) kill(pid, SIGTERM);
}

void at_exit(int, Datum) {
    (void)let_in();
    memory::wake_launcher();
}

// Makes all our processes leave, and keeps them out. The server's own check waits five seconds for those that are still
// leaving.
void clear_database(SlotNo db) {
    static constinit bool registered = false;
    if (!registered) before_shmem_exit(at_exit, Datum(0));
    registered = true;
    if (!memory::database(db).service.blocked_by.replace(0, MyProcPid)) return;
    blocked_db = db;
    for (int i = 0; i < 100 && someone_there(db); i++) {
        send_away(db);
        rest(20);
    }
}

}  // namespace

void leave_for(Node *command) {
    const char *name = database_needed(command);
    Oid oid = name != nullptr ? get_database_oid(name, true) : InvalidOid;
    SlotNo db = OidIsValid(oid) ? memory::find_database(oid) : -1;
    if (db < 0 || !would_run(command, oid)) return;
    if (ends_others(command) || others_leave(db, oid)) clear_database(db);
}

bool let_in() {
    if (blocked_db < 0) return false;
    memory::database(blocked_db).service.blocked_by.replace(MyProcPid, 0);
    blocked_db = -1;
    return true;
}

}  // namespace pgqueue::worker
