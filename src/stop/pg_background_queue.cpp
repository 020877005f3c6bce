// The library of extension pg_background_queue 1.0 is now pgqueue. If it is still loaded by its old name, this raises
// an error that names the line to change.
#include "pg/backend.hpp"

extern "C" {
PG_MODULE_MAGIC;
PGDLLEXPORT void _PG_init(void);
}

void _PG_init(void) {
    if (process_shared_preload_libraries_in_progress)
        ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                errmsg("pg_background_queue is part of pgqueue and has no library of its own"),
                errhint("In shared_preload_libraries write pgqueue in place of pg_background_queue."));
    ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
            errmsg("extension pg_background_queue of this database is of a former version"),
            errhint("Run CREATE EXTENSION IF NOT EXISTS pgqueue; ALTER EXTENSION pg_background_queue UPDATE;"));
}
