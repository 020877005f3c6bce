#include "api/hint_texts.hpp"

#include "config/server_settings.hpp"
#include "memory/shared.hpp"
#include "pg/backend.hpp"

using namespace pgqueue;

namespace {

constexpr const char *and_reload = "SELECT pg_reload_conf();";
constexpr const char *and_restart = "then restart the server.";

const char *set(const char *name, const char *value, const char *then) {
    return psprintf("ALTER SYSTEM SET %s = %s; %s", name, value, then);
}

const char *twice(int value, int most) { return psprintf("%d", value <= most / 2 ? Max(value * 2, 1) : most); }

}  // namespace

const char *api::more_workers() {
    const auto all = memory::map.shared->total_workers.load();
    const int most = config::max_workers(), processes = Min(max_worker_processes, 256);
    if (all >= most && most < processes) return set("pgqueue.max_workers", twice(most, processes), and_reload);
    return set("max_worker_processes", twice(max_worker_processes, MAX_BACKENDS), and_restart);
}

const char *api::who_has_slots() {
    return "SELECT pid, leader_pid, usename, backend_type, query FROM pg_stat_activity WHERE backend_type NOT LIKE "
           "'pgqueue%' AND datid IS NOT NULL AND backend_type <> 'client backend';";
}

bool api::lacks_scheduler(const memory::Database &d) {
    return d.service.no_slot_since.load() != 0 && d.scheduler.pid.load() == 0;
}

const char *api::more_workers_of_role() {
    return set("pgqueue.max_workers_per_role", twice(config::max_workers_per_role, 256), and_reload);
}

const char *api::more_dispatch_memory() {
    return set("pgqueue.dispatch_memory", psprintf("'%dMB'", Max(config::dispatch_memory / 512, 1)), and_restart);
}

const char *api::serve_this_database() {
    const char *name = quote_identifier(get_database_name(MyDatabaseId));
    return set("pgqueue.databases", quote_literal_cstr(psprintf("%s, %s", config::databases, name)), and_reload);
}

const char *api::double_limit(const store::NamespaceInfo &ns, const store::QueueInfo *queue, const char *setting,
                              double now) {
    const char *ns_name = quote_literal_cstr(ns.name), *given = psprintf("%s => %.15g", setting, now * 2);
    if (queue == nullptr) return psprintf("SELECT pgqueue.update_namespace(%s, %s);", ns_name, given);
    return psprintf("SELECT pgqueue.update_queue(%s, %s, namespace => %s);", quote_literal_cstr(queue->name), given,
                    ns_name);
}
