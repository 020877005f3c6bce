// Users have rights on our views with which the server lets them lock a view, and even a waiting lock blocks all other
// readers. The tables under the views are safe without this, because the owner of the views may only read them
// (docs/internals/rights.md).
#include "worker/utility.hpp"

namespace pgqueue::worker {
namespace {

bool is_ours(Oid relation) {
    HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
    if (!HeapTupleIsValid(tuple)) return false;
    Oid owner = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relowner;
    ReleaseSysCache(tuple);
    return owner == get_role_oid("pgqueue_views", true);
}

[[noreturn]] void refuse(const char *command, Oid relation, Oid named) {
    const char *name = get_rel_name(relation), *through = get_rel_name(named);
    ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
            errmsg("permission denied to lock view \"%s\"", name != nullptr ? name : "?"),
            relation == named
                ? errdetail("%s would make every other session that uses the view wait.", command)
                : errdetail("%s \"%s\" would lock it too, and make every other session that uses it wait.", command,
                            through != nullptr ? through : "?"),
            errhint("LOCK TABLE is possible IN ACCESS SHARE MODE, which is what reading takes. "
                    "Changes of tasks wait for each other without it."));
    pg_unreachable();
}

// The views that a LOCK TABLE reaches.
struct Reach {
    bool nowait;
    List *seen;
    Oid ours;  // the first view of ours
};

bool reaches(Oid relation, Reach *reach);

bool look_into(Node *node, void *arg) {
    if (node == nullptr) return false;
    if (!IsA(node, Query)) return pg::walk_expression(node, look_into, arg);
    auto *query = reinterpret_cast<Query *>(node);
    ListCell *cell;
    foreach(cell, query->rtable) {
        auto *entry = static_cast<RangeTblEntry *>(lfirst(cell));
        if (entry->rtekind == RTE_RELATION && reaches(entry->relid, static_cast<Reach *>(arg))) return true;
    }
    return pg::walk_query(query, look_into, arg, QTW_IGNORE_JOINALIASES);
}

// Reads a view under a lock that is released at once. Two sessions that kept it would block each other at the real
// lock.
bool view_reaches(Oid relation, Reach *reach) {
    if (!reach->nowait)
        LockRelationOid(relation, AccessShareLock);
    else if (!ConditionalLockRelationOid(relation, AccessShareLock))
        return false;  // the server cannot get the lock either, and raises an error
    bool found = false;
    if (Relation view = try_relation_open(relation, NoLock)) {
        found =
            view->rd_rel->relkind == RELKIND_VIEW && look_into(reinterpret_cast<Node *>(get_view_query(view)), reach);
        relation_close(view, NoLock);
    }
    UnlockRelationOid(relation, AccessShareLock);
    return found;
}

bool reaches(Oid relation, Reach *reach) {
    check_stack_depth();
    if (list_member_oid(reach->seen, relation)) return false;
    reach->seen = lappend_oid(reach->seen, relation);
    if (is_ours(relation)) {
        reach->ours = relation;
        return true;
    }
    return get_rel_relkind(relation) == RELKIND_VIEW && view_reaches(relation, reach);
}

// Checks LOCK TABLE. If the user lacks the right, the server raises its own error.
void check_lock(const LockStmt *lock) {
    constexpr AclMode rights = ACL_INSERT | ACL_UPDATE | ACL_DELETE | ACL_TRUNCATE | pg::acl_maintain;
    if (lock->mode == AccessShareLock) return;
    ListCell *cell;
    foreach(cell, lock->relations) {
        Oid relation = RangeVarGetRelid(static_cast<RangeVar *>(lfirst(cell)), NoLock, true);
        if (!OidIsValid(relation) || pg_class_aclcheck(relation, GetUserId(), rights) != ACLCHECK_OK) continue;
        Reach reach{lock->nowait, NIL, InvalidOid};
        if (reaches(relation, &reach)) refuse("LOCK TABLE", reach.ours, relation);
    }
}

// For commands that lock the named relation before the server checks the user's rights.
void check_named(const char *command, RangeVar *name) {
    Oid relation = name != nullptr ? RangeVarGetRelid(name, NoLock, true) : InvalidOid;
    if (OidIsValid(relation) && is_ours(relation)) refuse(command, relation, relation);
}

void check_constraint(Node *node) {
    if (node == nullptr || !IsA(node, Constraint)) return;
    auto *constraint = reinterpret_cast<Constraint *>(node);
    if (constraint->contype == CONSTR_FOREIGN) check_named("A foreign key", constraint->pktable);
}

void check_constraints(Node *node) {
    check_constraint(node);
    if (node == nullptr || !IsA(node, ColumnDef)) return;
    ListCell *cell;
    foreach(cell, reinterpret_cast<ColumnDef *>(node)->constraints) check_constraint(static_cast<Node *>(lfirst(cell)));
}

// CREATE TABLE also passes its foreign keys as an ALTER TABLE.
void check_alter(const AlterTableStmt *alter) {
    ListCell *cell;
    foreach(cell, alter->cmds) {
        auto *part = static_cast<AlterTableCmd *>(lfirst(cell));
        if (part->subtype == AT_AttachPartition)
            check_named("ATTACH PARTITION", reinterpret_cast<PartitionCmd *>(part->def)->name);
        check_constraints(part->def);
    }
}

void check_create(const CreateStmt *create) {
    if (create->partbound == nullptr) return;
    ListCell *cell;
    foreach(cell, create->inhRelations) check_named("PARTITION OF", static_cast<RangeVar *>(lfirst(cell)));
}

void check(Node *command) {
    switch (nodeTag(command)) {
        case T_LockStmt: return check_lock(reinterpret_cast<LockStmt *>(command));
        case T_RuleStmt: return check_named("CREATE RULE", reinterpret_cast<RuleStmt *>(command)->relation);
        case T_CreateTrigStmt:
            return check_named("CREATE TRIGGER", reinterpret_cast<CreateTrigStmt *>(command)->relation);
        case T_AlterObjectDependsStmt:
            return check_named("DEPENDS ON EXTENSION", reinterpret_cast<AlterObjectDependsStmt *>(command)->relation);
        case T_AlterTableStmt: return check_alter(reinterpret_cast<AlterTableStmt *>(command));
        case T_CreateStmt: return check_create(reinterpret_cast<CreateStmt *>(command));
        default: return;
    }
}

}  // namespace

void refuse_view_locks(Node *command) {
    if (!IsTransactionState() || superuser()) return;
    check(command);
}

}  // namespace pgqueue::worker
