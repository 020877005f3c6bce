// Background workers of this library, as they are registered with the postmaster.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::pg {

// A process that runs the function `entry` of this library with `arg`, connected to a database. restart: seconds after
// its end, or BGW_NEVER_RESTART. The postmaster signals its start and end to the process that registers it.
inline BackgroundWorker process(const char *type, const char *entry, int restart, Datum arg) {
    BackgroundWorker w{};
    strlcpy(w.bgw_name, type, BGW_MAXLEN);
    strlcpy(w.bgw_type, type, BGW_MAXLEN);
    strlcpy(w.bgw_library_name, "pgqueue", sizeof(w.bgw_library_name));
    strlcpy(w.bgw_function_name, entry, BGW_MAXLEN);
    w.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
    w.bgw_start_time = BgWorkerStart_RecoveryFinished;
    w.bgw_restart_time = restart;
    w.bgw_main_arg = arg;
    w.bgw_notify_pid = MyProcPid;
    return w;
}

// The launcher, restarted a second after its end, and a housekeeper for the entry of a database, never restarted.
inline BackgroundWorker launcher_process() { return process("pgqueue launcher", "pgqueue_launcher_main", 1, Datum(0)); }
inline BackgroundWorker housekeeper_process(int32 db) {
    return process("pgqueue housekeeper", "pgqueue_housekeeper_main", BGW_NEVER_RESTART, Int32GetDatum(db));
}

}  // namespace pgqueue::pg
