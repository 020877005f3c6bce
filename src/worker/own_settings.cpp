// The settings of our processes, whatever configuration file, database and role set. Those are meant for the SQL of
// users, and many of them would break, slow down or change ours.
#include "worker/processes.hpp"

namespace pgqueue::worker {
namespace {

struct Setting {
    const char *name, *value;
};

constexpr Setting ours[] = {
    // The identity of the session, and its rights.
    {"role", "none"},
    {"row_security", "on"},
    {"session_replication_role", "origin"},
    // Transactions.
    {"default_transaction_isolation", "read committed"},
    {"default_transaction_read_only", "off"},
    {"default_transaction_deferrable", "off"},
    {"synchronous_commit", "off"},
    // An error is the end of a step, not of a process.
    {"exit_on_error", "off"},
    // A user who holds a lock must not block other users: the step fails and is tried again later. The limit is shorter
    // than deadlock_timeout, so that we give way and the user's statement continues. Each transaction has a limit of at
    // most this length (pg/limited.hpp).
    {"lock_timeout", "100ms"},
    // Limits that are meant for clients.
    {"statement_timeout", "0"},
    {"transaction_timeout", "0"},
    {"idle_in_transaction_session_timeout", "0"},
    {"temp_file_limit", "-1"},
    // What a statement means, and what it may use.
    {"search_path", "pg_catalog, pg_temp"},
    {"DateStyle", "ISO, MDY"},
    {"IntervalStyle", "postgres"},
    {"standard_conforming_strings", "on"},
    {"transform_null_equals", "off"},
    {"array_nulls", "on"},
    {"restrict_nonsystem_relation_kind", ""},
    {"default_tablespace", ""},
    {"temp_tablespaces", ""},
    {"plpgsql.variable_conflict", "error"},
    {"plpgsql.extra_errors", "none"},
    // Plans: our statements are small, and read few rows by keys, in the order of an index. They need no parallel
    // workers, and are not worth compiling. A plan that reads all rows of a key and sorts them makes each step of a
    // task
    // with hundred thousands of dependents as long as all of them.
    {"max_parallel_workers_per_gather", "0"},
    {"force_parallel_mode", "off"},
    {"debug_parallel_query", "off"},
    {"jit", "off"},
    {"plan_cache_mode", "auto"},
    {"enable_bitmapscan", "off"},
    {"enable_hashagg", "on"},
    {"enable_hashjoin", "on"},
    {"enable_indexonlyscan", "on"},
    {"enable_indexscan", "on"},
    {"enable_material", "on"},
    {"enable_mergejoin", "on"},
    {"enable_nestloop", "on"},
    {"enable_seqscan", "off"},
    {"enable_sort", "off"},
};

// Returns whether the server has the setting. Some are new or removed. Settings of extensions can be set before their
// library is loaded.
bool exists(const char *name) { return strchr(name, '.') != nullptr || GetConfigOption(name, true, false) != nullptr; }

}  // namespace

void set_up_session(const char *application) {
    for (const Setting &s : ours)
        if (exists(s.name)) SetConfigOption(s.name, s.value, PGC_SUSET, PGC_S_OVERRIDE);
    pgstat_report_appname(application);
}

}  // namespace pgqueue::worker
