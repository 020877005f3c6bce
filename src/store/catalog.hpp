// Namespaces, queues and grants as this process sees them. Pointers stay valid until the transaction ends.
// Namespaces and grants are few: a cache over their tables, loaded whole and dropped when one of them changes. Queues
// are many, and a process needs a few of them: each is read when it is asked for (store/queues.cpp). The trigger
// config_changed tells of changes, by relcache invalidations.
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

// The extension's own (sql/90_register.sql).
constexpr int32 system_namespace = 2;
constexpr int32 housekeeping_queue = 1;
constexpr int32 cleanup_ticker = 1;

// Reads the tables when they have changed; 55000 unless library and SQL objects have the same version.
void refresh_catalog();

// nullptr: the table has none of this name or id, whatever this process has heard of; but namespaces by name as it has
// heard.
const NamespaceInfo *namespace_by_name(const char *name);
const NamespaceInfo *namespace_by_id(int32 id);
const QueueInfo *queue_by_name(int32 ns_id, const char *name);
const QueueInfo *queue_by_id(int32 id);

// For what was there a moment ago: raises when it has gone since.
const NamespaceInfo &namespace_there(int32 id);
const QueueInfo &queue_there(int32 id);

// What a role may do in a namespace, memberships and pgqueue_admin counted: bits of Privilege.
unsigned privileges_of(Oid role, int32 ns_id);

std::span<const NamespaceInfo> all_namespaces();
// All queues as the table has them now, in the caller's memory, and how many a namespace has: for the few who need
// that.
std::span<const QueueInfo> read_queues();
int64 count_queues(int32 ns_id);

// The next question reads the tables again: a commit has been told of before its invalidation was sent.
void forget_catalog();

void register_catalog_callbacks();

}  // namespace pgqueue::store
