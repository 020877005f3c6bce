-- What a fresh installation has beside the modules; a taken over one has it already.

-- The schema may be one in which others create objects: no operator or function of theirs comes into ours.
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE TYPE @extschema@.pg_background_queue_task_state AS ENUM ('pending', 'running', 'retrying', 'failed', 'finished');
