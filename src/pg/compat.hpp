// Differences between server versions; the only file that tests PG_VERSION_NUM.
#pragma once

#if PG_VERSION_NUM < 150000
#error "pgqueue needs PostgreSQL 15 or later"
#endif

namespace pgqueue::pg {

// Before 16 heap updates report index work as a bool, since 16 as an enum.
#if PG_VERSION_NUM >= 160000
using UpdateIndexes = TU_UpdateIndexes;
inline bool needs_index_entry(UpdateIndexes u) { return u != TU_None; }
#else
using UpdateIndexes = bool;
inline bool needs_index_entry(UpdateIndexes u) { return u; }
#endif

// The number of this process's PGPROC in ProcGlobal->allProcs.
#if PG_VERSION_NUM >= 170000
inline int my_procno() { return MyProcNumber; }
#else
inline int my_procno() { return MyProc->pgprocno; }
#endif

// The local number of the virtual transaction. It changes when the session's transaction ends.
inline LocalTransactionId my_lxid() {
#if PG_VERSION_NUM >= 170000
    return MyProc->vxid.lxid;
#else
    return MyProc->lxid;
#endif
}

// Runs a started query to its end and sends all rows to its receiver.
inline void run_executor(QueryDesc *query) {
#if PG_VERSION_NUM >= 180000
    ExecutorRun(query, ForwardScanDirection, 0);
#else
    ExecutorRun(query, ForwardScanDirection, 0, true);
#endif
}

// Runs a started portal to its end and sends all rows to the receiver.
inline void run_portal(Portal portal, bool top_level, DestReceiver *receiver, QueryCompletion *completion) {
#if PG_VERSION_NUM >= 180000
    PortalRun(portal, FETCH_ALL, top_level, receiver, receiver, completion);
#else
    PortalRun(portal, FETCH_ALL, top_level, true, receiver, receiver, completion);
#endif
}

// Drops the temporary replication slots of this process.
inline void drop_temporary_slots() {
#if PG_VERSION_NUM >= 170000
    ReplicationSlotCleanup(false);
#else
    ReplicationSlotCleanup();
#endif
}

// Since 17 a background worker can connect as a role that may not log in.
#if PG_VERSION_NUM >= 170000
constexpr bool worker_may_skip_login_check = true;
constexpr uint32 skip_login_check = BGWORKER_BYPASS_ROLELOGINCHECK;
#else
constexpr bool worker_may_skip_login_check = false;
constexpr uint32 skip_login_check = 0;
#endif

// Whether heap_multi_insert adds all pages that it needs at once.
constexpr bool extends_in_bulk = PG_VERSION_NUM >= 160000;

// Returns the path of a relation's first file, in the current memory context.
inline char *relation_path(Relation rel) {
#if PG_VERSION_NUM >= 180000
    return pstrdup(relpathperm(rel->rd_locator, MAIN_FORKNUM).str);
#elif PG_VERSION_NUM >= 160000
    return relpathperm(rel->rd_locator, MAIN_FORKNUM);
#else
    return relpathperm(rel->rd_node, MAIN_FORKNUM);
#endif
}

// Returns the index of a primary key that is not deferrable; InvalidOid: there is none.
inline Oid primary_key_index(Relation rel) {
#if PG_VERSION_NUM >= 180000
    return RelationGetPrimaryKeyIndex(rel, false);
#else
    return RelationGetPrimaryKeyIndex(rel);
#endif
}

// The permissions of a relation in a statement, as passed to ExecutorCheckPerms_hook. Since 16 they have a node type.
#if PG_VERSION_NUM >= 160000
using Permissions = RTEPermissionInfo;
inline const List *permissions_of(const List *, const List *permissions, bool) { return permissions; }
#else
using Permissions = RangeTblEntry;
inline const List *permissions_of(const List *range_table, bool) { return range_table; }
#endif

// Updates a heap tuple. *needs_entry: the new version needs index entries.
inline TM_Result update_tuple(Relation rel, ItemPointer tid, HeapTuple tuple, CommandId cid, bool wait,
                              TM_FailureData *failure, bool *needs_entry) {
    LockTupleMode mode;
#if PG_VERSION_NUM >= 160000
    UpdateIndexes indexes;
    TM_Result r = heap_update(rel, tid, tuple, cid, InvalidSnapshot, wait, failure, &mode, &indexes);
    *needs_entry = needs_index_entry(indexes);
#else
    TM_Result r = heap_update(rel, tid, tuple, cid, InvalidSnapshot, wait, failure, &mode);
    *needs_entry = !HeapTupleIsHeapOnly(tuple);
#endif
    return r;
}

// Runs TRUNCATE on open, locked relations, without privilege checks and without logical decoding.
inline void truncate_relations(List *rels, List *oids) {
#if PG_VERSION_NUM >= 160000
    ExecuteTruncateGuts(rels, oids, NIL, DROP_RESTRICT, false, false);
#else
    ExecuteTruncateGuts(rels, oids, NIL, DROP_RESTRICT, false);
#endif
}

// Returns a wait event with this name. Servers before 17 show the general one of extensions.
inline uint32 wait_event(const char *name) {
#if PG_VERSION_NUM >= 170000
    return WaitEventExtensionNew(name);
#else
    (void)name;
    return PG_WAIT_EXTENSION;
#endif
}

// Sets transaction_timeout, which exists since 17, and returns its former value. Earlier servers ignore it.
inline int swap_transaction_timeout(int value) {
#if PG_VERSION_NUM >= 170000
    return std::exchange(TransactionTimeout, value);
#else
    return value;
#endif
}

// Returns whether transaction_timeout has passed in the open transaction, which ends the process.
inline bool transaction_timed_out() {
#if PG_VERSION_NUM >= 170000
    return get_timeout_indicator(TRANSACTION_TIMEOUT, false);
#else
    return false;
#endif
}

// Returns a possibly qualified name as a list.
inline List *qualified_name_list(const char *name) {
#if PG_VERSION_NUM >= 160000
    return stringToQualifiedNameList(name, nullptr);
#else
    return stringToQualifiedNameList(name);
#endif
}

// Returns whether the role has the right CONNECT on this database.
inline bool may_connect(Oid role) {
#if PG_VERSION_NUM >= 160000
    return object_aclcheck(DatabaseRelationId, MyDatabaseId, role, ACL_CONNECT) == ACLCHECK_OK;
#else
    return pg_database_aclcheck(MyDatabaseId, role, ACL_CONNECT) == ACLCHECK_OK;
#endif
}

// Returns whether the role has the right EXECUTE on the function.
inline bool may_execute(Oid function, Oid role) {
#if PG_VERSION_NUM >= 160000
    return object_aclcheck(ProcedureRelationId, function, role, ACL_EXECUTE) == ACLCHECK_OK;
#else
    return pg_proc_aclcheck(function, role, ACL_EXECUTE) == ACLCHECK_OK;
#endif
}

// Returns whether the role has the right USAGE on the schema.
inline bool may_use_schema(Oid schema, Oid role) {
#if PG_VERSION_NUM >= 160000
    return object_aclcheck(NamespaceRelationId, schema, role, ACL_USAGE) == ACLCHECK_OK;
#else
    return pg_namespace_aclcheck(schema, role, ACL_USAGE) == ACLCHECK_OK;
#endif
}

// Returns whether `member` has all rights of `role` and may also become it, so that it gains nothing by running code as
// that role. Since 16 a membership can grant rights without SET ROLE.
inline bool may_act_as(Oid member, Oid role) {
#if PG_VERSION_NUM >= 160000
    return has_privs_of_role(member, role) && member_can_set_role(member, role);
#else
    return has_privs_of_role(member, role);
#endif
}

// Returns whether the current user owns the database.
inline bool owns_database(Oid db) {
#if PG_VERSION_NUM >= 160000
    return object_ownercheck(DatabaseRelationId, db, GetUserId());
#else
    return pg_database_ownercheck(db, GetUserId());
#endif
}

// Returns whether the current user may create objects in the tablespace.
inline bool may_create_in_tablespace(Oid tablespace) {
#if PG_VERSION_NUM >= 160000
    return object_aclcheck(TableSpaceRelationId, tablespace, GetUserId(), ACL_CREATE) == ACLCHECK_OK;
#else
    return pg_tablespace_aclcheck(tablespace, GetUserId(), ACL_CREATE) == ACLCHECK_OK;
#endif
}

// The right MAINTAIN, which also allows LOCK TABLE, since 17.
#if PG_VERSION_NUM >= 170000
constexpr AclMode acl_maintain = ACL_MAINTAIN;
#else
constexpr AclMode acl_maintain = 0;
#endif

// Call a function for each part of an expression or query. Before 16 its type is declared without arguments.
using TreeWalker = bool (*)(Node *, void *);
#if PG_VERSION_NUM >= 160000
inline bool walk_expression(Node *node, TreeWalker walker, void *arg) {
    return expression_tree_walker(node, walker, arg);
}
inline bool walk_query(Query *query, TreeWalker walker, void *arg, int flags) {
    return query_tree_walker(query, walker, arg, flags);
}
#else
inline auto *declared(TreeWalker walker) { return reinterpret_cast<bool (*)()>(reinterpret_cast<void (*)()>(walker)); }
inline bool walk_expression(Node *node, TreeWalker walker, void *arg) {
    return expression_tree_walker(node, declared(walker), arg);
}
inline bool walk_query(Query *query, TreeWalker walker, void *arg, int flags) {
    return query_tree_walker(query, declared(walker), arg, flags);
}
#endif

// Makes a role the authenticated user of a process that is not connected yet. Before 17 this call marks it as no
// superuser.
inline void set_authenticated_user(Oid role) {
#if PG_VERSION_NUM >= 170000
    SetAuthenticatedUserId(role);
#else
    SetAuthenticatedUserId(role, false);
#endif
}

// Allocates memory for data that a setting keeps beside its value. The server frees it. nullptr: out of memory.
inline void *setting_alloc(Size size) {
#if PG_VERSION_NUM >= 160000
    return guc_malloc(LOG, size);
#else
    return malloc(size);
#endif
}

}  // namespace pgqueue::pg
