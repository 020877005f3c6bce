// Parses the text of a command into statements, and finds the mode in which they have to run.

#include "executor/parse.hpp"
namespace pgqueue::executor {
namespace {

// Returns whether the options of a statement include the given one.
bool has_option(const List *options, const char *name) {
    ListCell *cell;
    foreach(cell, options) {
        if (strcmp(lfirst_node(DefElem, cell)->defname, name) == 0) return true;
    }
    return false;
}

// Returns true for ALTER TABLE ... DETACH PARTITION ... CONCURRENTLY.
bool detaches_concurrently(const AlterTableStmt *alter) {
    ListCell *cell;
    foreach(cell, alter->cmds) {
        const auto *command = lfirst_node(AlterTableCmd, cell);
        if (command->subtype == AT_DetachPartition && castNode(PartitionCmd, command->def)->concurrent) return true;
    }
    return false;
}

// Returns true for a statement that cannot run in a transaction block in some or all of its forms, or that may commit
// by itself. It does not look up the named relation. So REINDEX and CLUSTER of one plain table count as such
// statements, although they do not commit by themselves, and share the transaction of the release.
bool wants_top_level(Node *statement) {
    switch (nodeTag(statement)) {
        case T_VacuumStmt: return castNode(VacuumStmt, statement)->is_vacuumcmd;
        case T_IndexStmt: return castNode(IndexStmt, statement)->concurrent;
        case T_DropStmt: return castNode(DropStmt, statement)->concurrent;
        case T_AlterTableStmt: return detaches_concurrently(castNode(AlterTableStmt, statement));
        case T_AlterDatabaseStmt: return has_option(castNode(AlterDatabaseStmt, statement)->options, "tablespace");
        case T_DiscardStmt: return castNode(DiscardStmt, statement)->target == DISCARD_ALL;
        case T_ReindexStmt:
        case T_ClusterStmt:
        case T_CreatedbStmt:
        case T_DropdbStmt:
        case T_CreateTableSpaceStmt:
        case T_DropTableSpaceStmt:
        case T_AlterSystemStmt:
        case T_CreateSubscriptionStmt:
        case T_AlterSubscriptionStmt:
        case T_DropSubscriptionStmt:
        case T_CallStmt:
        case T_DoStmt: return true;
        default: return false;
    }
}

// Raises for a statement that no task may contain.
void refuse_impossible(Node *statement) {
    if (IsA(statement, TransactionStmt)) {
        ereport(
            ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("transaction control is not allowed in a task"),
            errdetail("The command contains %s.", GetCommandTagName(CreateCommandTag(statement))),
            errhint("A task runs in one transaction. Put work that commits in between into a procedure, and CALL it."));
    }
    if (IsA(statement, CopyStmt) && castNode(CopyStmt, statement)->filename == nullptr) {
        ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                errmsg("COPY %s is not allowed in a task",
                       castNode(CopyStmt, statement)->is_from ? "FROM STDIN" : "TO STDOUT"),
                errdetail("A task has no client."), errhint("Use COPY from or to a file or a program."));
    }
}

}  // namespace

Parsed parse(const char *sql) {
    List *statements = pg_parse_query(sql);
    if (statements == NIL) {
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("the command is empty"),
                errdetail("It contains no SQL statement."));
    }
    ListCell *cell;
    foreach(cell, statements) refuse_impossible(lfirst_node(RawStmt, cell)->stmt);
    // Together with other statements, it meets the implicit transaction block and raises its own error.
    const bool alone = list_length(statements) == 1 && wants_top_level(linitial_node(RawStmt, statements)->stmt);
    return {sql, statements, alone ? Mode::TopLevel : Mode::Transaction};
}

}  // namespace pgqueue::executor
