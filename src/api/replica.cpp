#include "api/replica.hpp"

#include "pg/guards.hpp"

namespace pgqueue::api {
namespace {

constinit ExecutorCheckPerms_hook_type previous_check = nullptr;

// SELECT FOR UPDATE needs the right UPDATE too, but names no column.
bool is_changed(const pg::Permissions &p) {
    return (p.requiredPerms & (ACL_INSERT | ACL_DELETE)) != 0 ||
           ((p.requiredPerms & ACL_UPDATE) != 0 && !bms_is_empty(p.updatedCols));
}

// Returns whether the triggers of a view are functions of ours.
bool is_our_view(Oid oid) {
    if (get_rel_relkind(oid) != RELKIND_VIEW) return false;
    pg::RelationRef view(oid, AccessShareLock);
    const Oid ours = get_namespace_oid("pgqueue_internal", true);
    for (int i = 0; view->trigdesc != nullptr && i < view->trigdesc->numtriggers; i++)
        if (OidIsValid(ours) && get_func_namespace(view->trigdesc->triggers[i].tgfoid) == ours) return true;
    return false;
}

void check(const pg::Permissions &p) {
    if (!OidIsValid(p.relid) || !is_changed(p) || !is_our_view(p.relid)) return;
    ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
            errmsg("cannot change view \"%s\" while session_replication_role is replica", get_rel_name(p.relid)),
            errdetail("The change would be lost: triggers of views do not fire then."),
            errhint("Call a function of schema pgqueue, or set session_replication_role to origin."));
}

// The hook. Its arguments differ between servers.
template <typename... Args>
bool on_check(Args... args) {
    if (SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA) {
        ListCell *cell;
        foreach(cell, pg::permissions_of(args...)) check(*static_cast<const pg::Permissions *>(lfirst(cell)));
    }
    return previous_check == nullptr || previous_check(args...);
}

}  // namespace

void install_replica_hook() {
    previous_check = ExecutorCheckPerms_hook;
    ExecutorCheckPerms_hook = on_check;
}

}  // namespace pgqueue::api
