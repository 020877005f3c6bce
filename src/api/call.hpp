// What every SQL function does first: who calls, may it be called here, in which namespace, with which right.
#pragma once
#include "api/checks.hpp"
#include "core/names.hpp"
#include "pg/backend.hpp"
#include "store/catalog.hpp"
#include "store/roles.hpp"

namespace pgqueue::api {

// The role that called the function of schema pgqueue (not the extension's owner that it may run as).
Oid caller();

// 55000 when the library is not preloaded or not of the version of the SQL objects; writes: 25006 on a standby or in a
// read-only transaction, 25000 in a parallel plan.
void check_call(const char *function, bool writes);

// A valid name, palloc'd; 22004 for nullptr, 42602 otherwise.
char *normalize(const char *kind, const char *raw);

// A namespace by name, nullptr: the session's. 42704.
const store::NamespaceInfo &find_namespace(const char *name);
// A queue by name in it. 42704.
const store::QueueInfo &find_queue(const store::NamespaceInfo &ns, const char *name);
// 42704.
[[noreturn]] void no_task(int64 id);

// 42939 for the extension's own namespace.
void refuse_system(const store::NamespaceInfo &ns);
// 42501 with the missing grant as hint.
void require(const store::NamespaceInfo &ns, unsigned privilege);
// 42501 unless the caller is a member of pgqueue_admin.
void require_admin();
bool may(int32 ns_id, unsigned privilege);
// Is a role of the dictionary one of the caller's?
bool is_mine(int32 role_id);

// Invokes a function of pgqueue_internal as the extension's owner; caller() says who called. An error shows nothing of
// what is inside. Foreign keys between our tables hold whatever session_replication_role says.
Datum invoke_as_owner(FunctionCallInfo fcinfo);

// The argument as C string, or nullptr.
inline char *text_arg(FunctionCallInfo fcinfo, int i) {
    return PG_ARGISNULL(i) ? nullptr : text_to_cstring(PG_GETARG_TEXT_PP(i));
}
// "1 ready task", "2 ready tasks".
const char *tasks_of(int64 n, const char *kind = "");
// Would a worker of the role not be let into this database? One of a role that may not log in needs no right to
// connect.
bool is_shut_out(Oid role);
// The statement that lets a role connect to this database.
const char *grant_connect(const char *role);
// A key that a user chose (dedup, group, batch): 1 to 1000 bytes, else 22023 naming the argument.
text *checked_key(text *key, const char *argument);
// 2202E for an array of several dimensions.
ArrayType *one_dimensional(ArrayType *value, const char *name);

// An interval in microseconds, a month counting 30 days; what is longer than time itself is as long as that.
int64 micros_of(const Interval *i);

}  // namespace pgqueue::api
