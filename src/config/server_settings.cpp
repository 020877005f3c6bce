#include "config/server_settings.hpp"

#include "config/topics.hpp"
#include "core/names.hpp"

namespace pgqueue::config {

constinit bool enabled = true;
constinit char *databases = nullptr;
constinit char *current_namespace = nullptr;
constinit int max_workers_setting = -1;
constinit int max_workers_per_role = 0;
constinit int worker_idle_timeout = 60 * 1000;
constinit int max_crashes = 3;
constinit bool tickers = true;
constinit bool adopt_on_start = false;
constinit int dispatch_memory = 64 * 1024;
constinit int segment_size = 256 * 1024;
constinit int attempt_history = 10;
constinit int notify_interval = 10;
constinit bool track_costs = true;
constinit int max_types = 1000;
constinit int stats_flush_interval = 10 * 1000;
constinit int stats_retention = 7 * 24 * 60;
constinit int health_wait = 5 * 60 * 1000;
constinit int health_failures = 100;
constinit int log_tasks = log_failed;

namespace {

constexpr config_enum_entry log_options[] = {
    {"none", log_none, false}, {"failed", log_failed, false}, {"all", log_all, false}, {nullptr, 0, false}};

// Checks a list of names as in search_path.
bool check_databases(char **value, void **, GucSource) {
    char *copy = pstrdup(*value);
    List *names = NIL;
    bool ok = SplitIdentifierString(copy, ',', &names);
    if (!ok) GUC_check_errdetail("The value must be a comma-separated list of database names.");
    list_free(names);
    pfree(copy);
    return ok;
}

// The name of a namespace. Whether there is one cannot be asked here: a setting is also read where there is no catalog.
bool check_namespace(char **value, void **, GucSource) {
    char name[name_limit + 1];
    if (normalize_name(*value, name)) return true;
    GUC_check_errcode(ERRCODE_INVALID_NAME);
    GUC_check_errdetail("It is not the name of a namespace.");
    GUC_check_errhint("A name begins with a letter and has at most 64 letters, digits, underscores and hyphens.");
    return false;
}

struct BoolSetting {
    const char *name, *what;
    bool *value;
    GucContext context;
};
struct IntSetting {
    const char *name, *what;
    int *value, least, most;
    GucContext context;
    int flags;
};

void define_bools() {
    const BoolSetting all[] = {
        {"pgqueue.enabled", "Starts schedulers and workers.", &enabled, PGC_SIGHUP},
        {"pgqueue.adopt_on_start", "Lets a restored, copied or cloned database start dispatch by itself.",
         &adopt_on_start, PGC_SIGHUP},
        {"pgqueue.tickers", "Fires tickers.", &tickers, PGC_SIGHUP},
        {"pgqueue.track_costs", "Keeps CPU time and WAL of each run.", &track_costs, PGC_SUSET},
    };
    for (const BoolSetting &s : all)
        DefineCustomBoolVariable(s.name, s.what, nullptr, s.value, *s.value, s.context, 0, nullptr, nullptr, nullptr);
}

void define_ints(bool preloaded) {
    const IntSetting all[] = {
        {"pgqueue.max_workers", "Most workers of the whole cluster; -1 is half of max_worker_processes.",
         &max_workers_setting, -1, 256, PGC_SIGHUP, 0},
        {"pgqueue.max_workers_per_role", "Most workers of one role in one database; 0 is no own limit.",
         &max_workers_per_role, 0, 256, PGC_SIGHUP, 0},
        {"pgqueue.worker_idle_timeout", "An idle worker ends after this time.", &worker_idle_timeout, 0, INT_MAX,
         PGC_SIGHUP, GUC_UNIT_MS},
        {"pgqueue.max_crashes", "Crashes of worker or server after which a task is quarantined; 0 is never.",
         &max_crashes, 0, 1000, PGC_SIGHUP, 0},
        {"pgqueue.segment_size", "A segment of tasks is rotated at this size.", &segment_size, 1024, INT_MAX,
         PGC_SIGHUP, GUC_UNIT_KB},
        {"pgqueue.attempt_history", "Attempts kept for each task.", &attempt_history, 0, 1000, PGC_SIGHUP, 0},
        {"pgqueue.notify_interval", "At most one NOTIFY for a queue in this time; -1 is none.", &notify_interval, -1,
         INT_MAX, PGC_SIGHUP, GUC_UNIT_MS},
        {"pgqueue.max_types", "Types with statistics of their own; each takes half a kilobyte.", &max_types, 0, 1000000,
         PGC_POSTMASTER, 0},
        {"pgqueue.stats_flush_interval", "Statistics that have changed are saved after this time.",
         &stats_flush_interval, 100, INT_MAX, PGC_SIGHUP, GUC_UNIT_MS},
        {"pgqueue.stats_retention", "How long view stat_history goes back.", &stats_retention, 10, INT_MAX, PGC_SIGHUP,
         GUC_UNIT_MIN},
        {"pgqueue.health_wait", "View health tells of tasks that are ready for longer; -1 is never.", &health_wait, -1,
         INT_MAX, PGC_SIGHUP, GUC_UNIT_MS},
        {"pgqueue.health_failures",
         "View health tells of so many final failures of a queue, in ten minutes or kept; 0 is never.",
         &health_failures, 0, INT_MAX, PGC_SIGHUP, 0},
        {"pgqueue.dispatch_memory", "Shared memory of the dispatcher.", &dispatch_memory, 1024, INT_MAX / 2,
         PGC_POSTMASTER, GUC_UNIT_KB},
    };
    for (const IntSetting &s : all)
        if (preloaded || s.context != PGC_POSTMASTER)
            DefineCustomIntVariable(s.name, s.what, nullptr, s.value, *s.value, s.least, s.most, s.context, s.flags,
                                    nullptr, nullptr, nullptr);
}

}  // namespace

void define_settings(bool preloaded) {
    define_bools();
    define_ints(preloaded);
    DefineCustomStringVariable("pgqueue.databases",
                               "Databases that get a scheduler, separated by commas; empty is all with the extension.",
                               nullptr, &databases, "", PGC_SIGHUP, GUC_LIST_INPUT, check_databases, nullptr, nullptr);
    DefineCustomStringVariable("pgqueue.namespace", "Current namespace.", nullptr, &current_namespace, "default",
                               PGC_USERSET, 0, check_namespace, nullptr, nullptr);
    DefineCustomEnumVariable("pgqueue.log_tasks", "Which task events go to the server log.", nullptr, &log_tasks,
                             log_failed, log_options, PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
    MarkGUCPrefixReserved("pgqueue");
    define_topic_settings();
}

// The automatic limit is half of the server's processes, or what pg_background_queue is set to run.
int max_workers() {
    if (max_workers_setting >= 0) return max_workers_setting;
    return Max(Max(max_worker_processes / 2, 1), Min(background_max_running, max_worker_processes));
}

bool serves_database(const char *name) {
    if (databases == nullptr || databases[0] == '\0') return true;
    char *copy = pstrdup(databases);
    List *names = NIL;
    bool found = false;
    if (SplitIdentifierString(copy, ',', &names)) {
        ListCell *cell;
        foreach(cell, names)
            if (strcmp(static_cast<const char *>(lfirst(cell)), name) == 0) found = true;
    }
    list_free(names);
    pfree(copy);
    return found;
}

}  // namespace pgqueue::config
