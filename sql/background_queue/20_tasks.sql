-- The relation: tasks of the namespace in the words of the original. Three parts, each behind a security barrier of its own. The state of an archived
-- task is a constant outside the barrier, so WHERE state = 'pending' leaves the archive out.

-- 2, 4, 8 ... seconds after the first, second, third ... failure.
CREATE FUNCTION pgqueue_internal.background_delay(failures integer) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN failures <= 0 THEN 0 WHEN failures >= 31 THEN 2147483647 ELSE 1 << failures END;

-- Tasks that are not archived; failures: counted ones up to now.
CREATE VIEW pgqueue_internal.background_live WITH (security_barrier) AS
SELECT t.id, t.command AS sql_statement, t.headers ->> 'topic' AS topic, t.created_at::timestamp AS joined_at,
    t.started_at::timestamp AS started_at, t.finished_at::timestamp AS closed_at, t.priority,
    (CASE t.status WHEN 0 THEN 'pending' WHEN 1 THEN CASE WHEN t.attempt > t.uncounted THEN 'retrying' ELSE 'pending' END
                   WHEN 2 THEN 'running' WHEN 3 THEN 'finished' ELSE 'failed' END)::@extschema@.pg_background_queue_task_state AS state,
    f.failures AS retry_count, pgqueue_internal.background_delay(f.failures) AS retry_delay_in_sec,
    pgqueue_internal.outcome_error(t.slot, t.id) AS errors
FROM pgqueue_internal.segment t
JOIN pgqueue_internal.queue q ON q.id = t.queue_id
JOIN pgqueue_internal.visible v ON v.id = q.namespace_id AND v.name = 'pg_background_queue'
CROSS JOIN LATERAL (SELECT greatest(t.attempt - t.uncounted - (t.status > 1)::integer, 0) AS failures) f
WHERE t.command IS NOT NULL AND (v.all_tasks OR (v.own_tasks AND pgqueue_internal.is_mine(t.role_id)));

-- Archived tasks.
CREATE VIEW pgqueue_internal.background_archived AS
SELECT a.id, a.command AS sql_statement, a.headers ->> 'topic' AS topic, a.created_at::timestamp AS joined_at, a.started_at::timestamp AS started_at,
    a.finished_at::timestamp AS closed_at, a.priority, f.failures AS retry_count, pgqueue_internal.background_delay(f.failures) AS retry_delay_in_sec,
    a.error AS errors, a.status
FROM pgqueue_internal.archive a
JOIN pgqueue_internal.visible v ON v.id = a.namespace_id AND v.name = 'pg_background_queue'
CROSS JOIN LATERAL (SELECT greatest(a.attempt - coalesce(a.uncounted, 0) - 1, 0) AS failures) f
WHERE a.command IS NOT NULL AND (v.all_tasks OR (v.own_tasks AND pgqueue_internal.is_mine(a.role_id)));

CREATE VIEW pgqueue_internal.background_finished WITH (security_barrier) AS
SELECT a.id, a.sql_statement, a.topic, a.joined_at, a.started_at, a.closed_at, a.priority, a.retry_count, a.retry_delay_in_sec, a.errors
FROM pgqueue_internal.background_archived a WHERE a.status = 'released';
CREATE VIEW pgqueue_internal.background_failed WITH (security_barrier) AS
SELECT a.id, a.sql_statement, a.topic, a.joined_at, a.started_at, a.closed_at, a.priority, a.retry_count, a.retry_delay_in_sec, a.errors
FROM pgqueue_internal.background_archived a WHERE a.status <> 'released';

CREATE VIEW @extschema@.pg_background_tasks AS
SELECT t.id, t.sql_statement, t.topic, t.joined_at, t.started_at, t.closed_at, t.priority, t.state, t.retry_count, t.retry_delay_in_sec, t.errors
FROM pgqueue_internal.background_live t
UNION ALL
SELECT a.id, a.sql_statement, a.topic, a.joined_at, a.started_at, a.closed_at, a.priority,
    'finished'::@extschema@.pg_background_queue_task_state, a.retry_count, a.retry_delay_in_sec, a.errors
FROM pgqueue_internal.background_finished a
UNION ALL
SELECT a.id, a.sql_statement, a.topic, a.joined_at, a.started_at, a.closed_at, a.priority,
    'failed'::@extschema@.pg_background_queue_task_state, a.retry_count, a.retry_delay_in_sec, a.errors
FROM pgqueue_internal.background_failed a;

ALTER VIEW @extschema@.pg_background_tasks ALTER joined_at SET DEFAULT now();
ALTER VIEW @extschema@.pg_background_tasks ALTER priority SET DEFAULT 0;
ALTER VIEW @extschema@.pg_background_tasks ALTER state SET DEFAULT 'pending';
ALTER VIEW @extschema@.pg_background_tasks ALTER retry_count SET DEFAULT 0;
ALTER VIEW @extschema@.pg_background_tasks ALTER retry_delay_in_sec SET DEFAULT 0;

COMMENT ON TYPE @extschema@.pg_background_queue_task_state IS 'state of a task of pg_background_queue';
COMMENT ON VIEW @extschema@.pg_background_tasks IS 'one row for each task of pg_background_queue; takes INSERT, UPDATE and DELETE';
COMMENT ON COLUMN @extschema@.pg_background_tasks.id IS 'id; pgqueue gives it';
COMMENT ON COLUMN @extschema@.pg_background_tasks.sql_statement IS 'SQL to run, one statement or several';
COMMENT ON COLUMN @extschema@.pg_background_tasks.topic IS 'topic';
COMMENT ON COLUMN @extschema@.pg_background_tasks.joined_at IS 'when it was enqueued; INSERT: not before this time';
COMMENT ON COLUMN @extschema@.pg_background_tasks.started_at IS 'start of the last attempt';
COMMENT ON COLUMN @extschema@.pg_background_tasks.closed_at IS 'when it was finished or failed';
COMMENT ON COLUMN @extschema@.pg_background_tasks.priority IS 'smaller runs first';
COMMENT ON COLUMN @extschema@.pg_background_tasks.state IS 'pending, running, retrying, failed or finished; UPDATE to failed cancels, to pending runs again';
COMMENT ON COLUMN @extschema@.pg_background_tasks.retry_count IS 'retries up to now';
COMMENT ON COLUMN @extschema@.pg_background_tasks.retry_delay_in_sec IS 'seconds that the last retry waits';
COMMENT ON COLUMN @extschema@.pg_background_tasks.errors IS 'message of the last failed attempt';
