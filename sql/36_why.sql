-- Why a task does not run.

CREATE TYPE pgqueue.reason AS (id bigint, status text, reason text, message text, hint text, ready_at timestamptz, ahead bigint);
COMMENT ON TYPE pgqueue.reason IS 'what keeps a task from running: a word, a sentence, what to do, when it will be ready, and how many tasks run before it';

-- The reasons of a task that the caller may see; status: what it was when the caller looked.
CREATE FUNCTION pgqueue_internal.reasons(id bigint, status text) RETURNS SETOF pgqueue.reason
    LANGUAGE C STABLE STRICT PARALLEL RESTRICTED ROWS 2 AS 'MODULE_PATHNAME', 'pgqueue_internal_reasons';

CREATE FUNCTION pgqueue.why(id bigint, namespace text DEFAULT NULL) RETURNS SETOF pgqueue.reason
LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 2
BEGIN ATOMIC
    SELECT r.* FROM pgqueue.get_task(why.id, namespace => why.namespace) t, pgqueue_internal.reasons(t.id, t.status) r;
END;
COMMENT ON FUNCTION pgqueue.why IS
'why it does not run yet, and when it will';
