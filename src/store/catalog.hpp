// Namespaces, queues and grants as this process sees them. Pointers stay valid until the transaction ends. Namespaces
// and grants are few: a cache reads their tables as a whole, and again when one of them changes. Queues are many, and a
// process needs few of them: each is read when needed (store/queues.cpp). The trigger config_changed announces changes
// by relcache invalidations.
#pragma once
#include "core/backoff.hpp"
#include "core/queue_settings.hpp"
#include "core/share.hpp"
#include "pg/backend.hpp"

namespace pgqueue::store {

using pgqueue::Backoff;
enum class OnFinish { Keep, Archive, Delete };

struct NamespaceInfo {
    int32 id;
    const char *name;
    Oid owner;
    int32 weight;
    int32 max_running;  // 0 none
    int64 max_depth;    // 0 none
    bool paused;
    Shares shares;
};

// Intervals in microseconds; a month counts 30 days.
struct QueueInfo : QueueSettings {
    int32 id, ns_id;
    const char *name;
    int32 priority;
    int64 ttl;  // -1 never expires
    int32 retries;
    int64 retry_delay, max_retry_delay;
    Backoff backoff;
    double retry_jitter;
    int64 lease;
    int64 run_limit;          // 0 none
    const char *dead_letter;  // nullptr none
    int64 max_depth;          // 0 none
    int64 retention;          // -1 for ever
    OnFinish on_finish;
};

enum Privilege : unsigned {
    priv_use = 1,
    priv_work = 2,
    priv_manage = 4,
    priv_read = 8,
    priv_owner = 16,
    priv_monitor = 32
};
constexpr unsigned priv_all = priv_use | priv_work | priv_manage | priv_read | priv_owner;

// The namespace of extension pg_background_queue.
constexpr const char *background_namespace = "pg_background_queue";

// The ids of the extension's own objects (sql/90_register.sql).
constexpr int32 system_namespace = 2;
constexpr int32 housekeeping_queue = 1;
constexpr int32 cleanup_ticker = 1;

// Reads the tables if they have changed. Raises 55000 unless library and SQL objects have the same version.
void refresh_catalog();

// Return nullptr if there is no such namespace or queue. The search by id, and for queues by name too, reads the table
// if the cache may be behind. A namespace by name is only looked up in the cache.
const NamespaceInfo *namespace_by_name(const char *name);
const NamespaceInfo *namespace_by_id(int32 id);
const QueueInfo *queue_by_name(int32 ns_id, const char *name);
const QueueInfo *queue_by_id(int32 id);

// The same for objects that existed a moment ago. Raise 42704 if the object has been deleted since.
const NamespaceInfo &namespace_there(int32 id);
const QueueInfo &queue_there(int32 id);

// Returns what a role may do in a namespace, including memberships and pgqueue_admin: bits of Privilege. 0: no such
// namespace.
unsigned privileges_of(Oid role, int32 ns_id);

// Returns all namespaces from the cache, in ascending order of ids.
std::span<const NamespaceInfo> all_namespaces();
// Return all queues that the table has now, in the current memory context, and the number of queues in a namespace.
// They read the table, so they are for rare use.
std::span<const QueueInfo> read_queues();
int64 count_queues(int32 ns_id);

// Makes the next look-up read the tables again. For a commit that is announced before its invalidation is sent.
void forget_catalog();

// Registers the callbacks for invalidations of the catalog's tables. Called once per process.
void register_catalog_callbacks();

}  // namespace pgqueue::store
