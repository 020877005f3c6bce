-- Who may do what: pgqueue_user may call and read, the grants of namespace pg_background_queue decide
-- what comes of it. PUBLIC has nothing.

-- As with the views of pgqueue: it may read what is under the relation, and nothing else.
ALTER VIEW @extschema@.pg_background_tasks OWNER TO pgqueue_views;
GRANT SELECT ON pgqueue_internal.background_unfinished, pgqueue_internal.background_finished_live,
    pgqueue_internal.background_failed_live, pgqueue_internal.background_finished,
    pgqueue_internal.background_failed TO pgqueue_views;
REVOKE ALL ON ALL ROUTINES IN SCHEMA pgqueue_internal FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.pg_background_queue_enqueue(text, text),
    @extschema@.pg_background_enqueue(text, text),
    @extschema@.pg_background_queue_ensure_workers(), @extschema@.pg_background_queue_active_workers_count(),
    @extschema@.pg_background_queue_calibrate_workers_count(), @extschema@.pg_background_queue_purge(interval),
    @extschema@.pg_background_queue_import(regclass)
FROM PUBLIC;
GRANT EXECUTE ON FUNCTION @extschema@.pg_background_queue_enqueue(text, text),
    @extschema@.pg_background_enqueue(text, text),
    @extschema@.pg_background_queue_ensure_workers(), @extschema@.pg_background_queue_active_workers_count(),
    @extschema@.pg_background_queue_calibrate_workers_count(), @extschema@.pg_background_queue_purge(interval)
TO pgqueue_user;
GRANT SELECT, INSERT, UPDATE, DELETE ON @extschema@.pg_background_tasks TO pgqueue_user;
-- Called by the relation on behalf of the role that reads it.
GRANT EXECUTE ON FUNCTION pgqueue_internal.background_delay(integer) TO pgqueue_user;
