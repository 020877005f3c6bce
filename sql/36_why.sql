-- Why a task does not run.

CREATE TYPE pgqueue.reason AS (id bigint, status text, reason text, message text, hint text, ready_at timestamptz,
    ahead bigint);
COMMENT ON TYPE pgqueue.reason IS
'what keeps a task from running: a word, a sentence, what to do, when it will be ready, '
'and how many tasks run before it';

-- The reasons of a task that the caller may see; status: what it was when the caller looked.
CREATE FUNCTION pgqueue_internal.reasons(id bigint, status text) RETURNS SETOF pgqueue.reason
    LANGUAGE C STABLE STRICT PARALLEL RESTRICTED ROWS 2 AS 'MODULE_PATHNAME', 'pgqueue_internal_reasons';

CREATE FUNCTION pgqueue.why(id bigint, namespace text DEFAULT NULL) RETURNS SETOF pgqueue.reason
LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 2
BEGIN ATOMIC
    SELECT r.* FROM pgqueue.get_task(why.id, namespace => why.namespace) t, pgqueue_internal.reasons(t.id, t.status) r;
END;
COMMENT ON FUNCTION pgqueue.why IS
'Returns why a task does not run now, a row for each reason: a word, a message, a hint, when it will be ready, and '
'how many tasks run before it. A task that runs or is finished has one row that says so, a task that the caller '
'does not see has none. namespace, when given, must be that of the task, else 42704. Needs the right to see the '
'task, as get_task does.';
