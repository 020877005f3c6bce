-- Version 1.0 of the original becomes this one: its table makes room for the relation.
-- The type had another name for a time.

-- The schema may be one in which others create objects: no operator or function of theirs comes into ours.
SET LOCAL search_path = pg_catalog, pg_temp;

DO $make$
BEGIN
    IF pg_catalog.to_regtype('@extschema@.pg_background_task_state') IS NOT NULL THEN
        ALTER TYPE @extschema@.pg_background_task_state RENAME TO pg_background_queue_task_state;
    END IF;
END
$make$;
ALTER TABLE @extschema@.pg_background_tasks RENAME TO pg_background_tasks_1_0;
