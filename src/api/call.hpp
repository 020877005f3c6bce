// What every SQL function does first: determines the caller and the namespace, reads arguments, and checks whether the
// call is possible and permitted. And words that several functions put into messages.
#pragma once
#include "api/checks.hpp"
#include "core/names.hpp"
#include "pg/backend.hpp"
#include "store/catalog.hpp"
#include "store/queues.hpp"
#include "store/roles.hpp"

namespace pgqueue::api {

// Returns the role that called the function of schema pgqueue, not the extension's owner as which it may run.
Oid caller();

// A right that another session has revoked ends with its commit, in the middle of a statement and of a transaction too:
// a statement that was prepared takes no lock that would show it. Called before rights are read.
void see_revocations();

// Raises 55000 if the library is not preloaded, or its version differs from that of the SQL objects. With `writes` also
// raises 25006 on a standby or in a read-only transaction, and 25000 in a parallel plan. function: its name for
// messages.
void check_call(const char *function, bool writes);

// Returns the normalized name, palloc'd. Raises 22004 for nullptr, and 42602 if the name is not valid. kind: "queue" or
// the like, for messages.
char *normalize(const char *kind, const char *raw);

// Returns a namespace by name; nullptr: the session's. Raises 42704 if there is none.
const store::NamespaceInfo &find_namespace(const char *name);
// Returns a queue of the namespace by name. Raises 42704 if there is none.
const store::QueueInfo &find_queue(const store::NamespaceInfo &ns, const char *name);
// Raises 42704: the task does not exist.
[[noreturn]] void no_task(int64 id);

// Raises 42939 for the extension's own namespace.
void refuse_system(const store::NamespaceInfo &ns);
// Raises 42501, with the missing grant as hint, unless the caller has one of the privileges (bits of store::Privilege)
// in the namespace.
void require(const store::NamespaceInfo &ns, unsigned privilege);
// Raises 42501 unless the caller is a superuser or a member of pgqueue_admin.
void require_admin();
// Returns whether the caller has one of the privileges (bits of store::Privilege) in the namespace.
bool may(int32 ns_id, unsigned privilege);
// Returns whether a role of the dictionary is the caller, or a role whose rights the caller has.
bool is_mine(int32 role_id);

// Calls a function of pgqueue_internal as the extension's owner; caller() still returns the calling role. An error
// hides the inner context. Foreign keys between our tables are enforced whatever session_replication_role is.
Datum invoke_as_owner(FunctionCallInfo fcinfo);

// Returns the argument as C string; nullptr: it is NULL.
inline char *text_arg(FunctionCallInfo fcinfo, int i) {
    return PG_ARGISNULL(i) ? nullptr : text_to_cstring(PG_GETARG_TEXT_PP(i));
}
// Returns "1 ready task" or "2 ready tasks". kind: "ready" here, may be empty.
const char *tasks_of(int64 n, const char *kind = "");
// Returns whether a worker of the role could not connect to this database. False for a role that may not log in,
// because its workers need no right to connect.
bool is_shut_out(Oid role);
// Returns the statement that lets a role connect to this database.
const char *grant_connect(const char *role);
// Returns a key that a user has chosen (dedup, group, batch). Raises 22023, with the argument's name, unless it has 1
// to 1000 bytes.
text *checked_key(text *key, const char *argument);
// Returns the array. Raises 2202E if it has several dimensions.
ArrayType *one_dimensional(ArrayType *value, const char *name);

// Returns an interval in microseconds; a month counts 30 days. Limited to the range of timestamps.
int64 micros_of(const Interval *i);

}  // namespace pgqueue::api
