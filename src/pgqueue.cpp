// Wires the library together: settings, shared memory, callbacks, the launcher.
#include "pg/backend.hpp"

#include "api/replica.hpp"
#include "config/server_settings.hpp"
#include "handover/transaction.hpp"
#include "memory/shared.hpp"
#include "signal/running_file.hpp"
#include "store/catalog.hpp"
#include "store/handlers.hpp"
#include "store/roles.hpp"
#include "task/own_run.hpp"
#include "worker/processes.hpp"

extern "C" {
PG_MODULE_MAGIC;
PGDLLEXPORT void _PG_init(void);
}

namespace {

constinit shmem_request_hook_type previous_request = nullptr;
constinit shmem_startup_hook_type previous_startup = nullptr;

Size dispatch_bytes() { return Size(pgqueue::config::dispatch_memory) * 1024; }

void on_request() {
    if (previous_request) previous_request();
    pgqueue::memory::request_shared(dispatch_bytes());
#ifdef PGQUEUE_TESTPOINTS
    RequestAddinShmemSpace(pgqueue::pg::fault_bytes());
#endif
}

void on_startup() {
    if (previous_startup) previous_startup();
#ifdef PGQUEUE_TESTPOINTS
    pgqueue::pg::attach_faults();
#endif
    if (pgqueue::memory::attach_shared(dispatch_bytes())) pgqueue::signal::open_running_file();
}

}  // namespace

void _PG_init(void) {
    bool preloaded = process_shared_preload_libraries_in_progress;
    pgqueue::config::define_settings(preloaded);
    pgqueue::store::register_catalog_callbacks();
    pgqueue::store::register_handler_callbacks();
    pgqueue::store::register_role_callbacks();
    if (!preloaded || IsBinaryUpgrade) return;
    previous_request = shmem_request_hook;
    shmem_request_hook = on_request;
    previous_startup = shmem_startup_hook;
    shmem_startup_hook = on_startup;
    pgqueue::handover::register_xact_callbacks();
    pgqueue::task::register_run_callbacks();
    pgqueue::worker::install_utility_hook();
    pgqueue::api::install_replica_hook();
    pgqueue::worker::register_launcher();
}
