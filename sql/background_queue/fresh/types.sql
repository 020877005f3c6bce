-- What a fresh installation has beside the modules; a taken over one has it already.

CREATE TYPE @extschema@.pg_background_queue_task_state AS ENUM ('pending', 'running', 'retrying', 'failed', 'finished');
