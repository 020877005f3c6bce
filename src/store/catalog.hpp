// Namespaces and grants as this process sees them. Pointers stay valid until the transaction ends. They are few: a
// cache reads their tables as a whole, and again when one of them changes. The trigger config_changed announces changes
// by relcache invalidations.
#pragma once
#include "core/share.hpp"
#include "pg/backend.hpp"

namespace pgqueue::store {

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

enum Privilege : unsigned {
    priv_use = 1,
    priv_work = 2,
    priv_manage = 4,
    priv_read = 8,
    priv_owner = 16,
    priv_monitor = 32
};
// Each of them shows all tasks of the namespace, and its statistics.
constexpr unsigned priv_look = priv_manage | priv_read | priv_monitor;
constexpr unsigned priv_all = priv_use | priv_work | priv_manage | priv_read | priv_owner;

// The namespace of extension pg_background_queue.
constexpr const char *background_namespace = "pg_background_queue";

// The ids of the extension's own objects (sql/90_register.sql).
constexpr int32 system_namespace = 2;
constexpr int32 housekeeping_queue = 1;
constexpr int32 cleanup_ticker = 1;

// Reads the tables if they have changed. Raises 55000 unless library and SQL objects have the same version.
void refresh_catalog();

// Return nullptr if there is no such namespace. The search by id reads the table if the cache may be behind; the search
// by name uses the cache only.
const NamespaceInfo *namespace_by_name(const char *name);
const NamespaceInfo *namespace_by_id(int32 id);

// Returns a namespace that existed a moment ago. Raises 42704 if it has been deleted since.
const NamespaceInfo &namespace_there(int32 id);

// Returns what a role may do in a namespace, including memberships and pgqueue_admin: bits of Privilege. 0: no such
// namespace.
unsigned privileges_of(Oid role, int32 ns_id);

// Returns all namespaces from the cache, in ascending order of ids.
std::span<const NamespaceInfo> all_namespaces();

// Makes the next look-up read the tables again. For a commit that is announced before its invalidation is sent.
void forget_catalog();

// Registers the callbacks for invalidations of the catalog's tables. Called once per process.
void register_catalog_callbacks();

}  // namespace pgqueue::store
