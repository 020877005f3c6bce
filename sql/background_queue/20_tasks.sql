-- The relation: tasks of the namespace in the words of the original. Five parts, each behind a security barrier of its
-- own. State finished or failed is a constant outside the barrier and a condition on the status inside, so WHERE state
-- = 'pending' leaves the archive out, and of the tasks that are not archived it takes only those that have not ended.

-- 2, 4, 8 ... seconds after the first, second, third ... failure.
CREATE FUNCTION pgqueue_internal.background_delay(failures integer) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN failures <= 0 THEN 0 WHEN failures >= 31 THEN 2147483647 ELSE 1 << failures END;

-- Tasks that are not archived; failures: counted ones up to now.
CREATE VIEW pgqueue_internal.background_live AS
SELECT t.id, t.command AS sql_statement, t.headers ->> 'topic' AS topic, t.created_at::timestamp AS joined_at,
    t.started_at::timestamp AS started_at, t.finished_at::timestamp AS closed_at, t.priority, f.failures AS retry_count,
    pgqueue_internal.background_delay(f.failures) AS retry_delay_in_sec, t.slot, t.status,
    t.attempt > t.uncounted AS was_tried
FROM pgqueue_internal.segment t
JOIN pgqueue_internal.queue q ON q.id = t.queue_id
JOIN pgqueue_internal.visible v ON v.id = q.namespace_id AND v.name = 'pg_background_queue'
CROSS JOIN LATERAL (SELECT greatest(t.attempt - t.uncounted - (t.status > 1)::integer, 0) AS failures) f
WHERE t.command IS NOT NULL AND (v.all_tasks OR (v.own_tasks AND pgqueue_internal.is_mine(t.role_id)));

CREATE VIEW pgqueue_internal.background_unfinished WITH (security_barrier) AS
SELECT t.id, t.sql_statement, t.topic, t.joined_at, t.started_at, t.closed_at, t.priority,
    (CASE t.status WHEN 0 THEN 'pending'
         WHEN 1 THEN CASE WHEN t.was_tried THEN 'retrying' ELSE 'pending' END
         ELSE 'running' END)
        ::@extschema@.pg_background_queue_task_state AS state, t.retry_count, t.retry_delay_in_sec, t.slot
FROM pgqueue_internal.background_live t WHERE t.status <= 2;
CREATE VIEW pgqueue_internal.background_finished_live WITH (security_barrier) AS
SELECT t.id, t.sql_statement, t.topic, t.joined_at, t.started_at, t.closed_at, t.priority, t.retry_count,
    t.retry_delay_in_sec, t.slot
FROM pgqueue_internal.background_live t WHERE t.status = 3;
CREATE VIEW pgqueue_internal.background_failed_live WITH (security_barrier) AS
SELECT t.id, t.sql_statement, t.topic, t.joined_at, t.started_at, t.closed_at, t.priority, t.retry_count,
    t.retry_delay_in_sec, t.slot
FROM pgqueue_internal.background_live t WHERE t.status > 3;

-- Archived tasks.
CREATE VIEW pgqueue_internal.background_archived AS
SELECT a.id, a.command AS sql_statement, a.headers ->> 'topic' AS topic, a.created_at::timestamp AS joined_at,
    a.started_at::timestamp AS started_at, a.finished_at::timestamp AS closed_at, a.priority, f.failures AS retry_count,
    pgqueue_internal.background_delay(f.failures) AS retry_delay_in_sec, a.error AS errors, a.status
FROM pgqueue_internal.archive a
JOIN pgqueue_internal.visible v ON v.id = a.namespace_id AND v.name = 'pg_background_queue'
CROSS JOIN LATERAL (SELECT greatest(a.attempt - coalesce(a.uncounted, 0) - 1, 0) AS failures) f
WHERE a.command IS NOT NULL AND (v.all_tasks OR (v.own_tasks AND pgqueue_internal.is_mine(a.role_id)));

CREATE VIEW pgqueue_internal.background_finished WITH (security_barrier) AS
SELECT a.id, a.sql_statement, a.topic, a.joined_at, a.started_at, a.closed_at, a.priority, a.retry_count,
    a.retry_delay_in_sec, a.errors
FROM pgqueue_internal.background_archived a WHERE a.status = 'released';
CREATE VIEW pgqueue_internal.background_failed WITH (security_barrier) AS
SELECT a.id, a.sql_statement, a.topic, a.joined_at, a.started_at, a.closed_at, a.priority, a.retry_count,
    a.retry_delay_in_sec, a.errors
FROM pgqueue_internal.background_archived a WHERE a.status <> 'released';

-- The message of a task that is not archived is looked up for the rows that are returned: after the
-- condition, and after ORDER BY ... LIMIT.
CREATE VIEW @extschema@.pg_background_tasks AS
SELECT t.id, t.sql_statement, t.topic, t.joined_at, t.started_at, t.closed_at, t.priority, t.state, t.retry_count,
    t.retry_delay_in_sec,
    CASE WHEN t.slot IS NULL THEN t.errors ELSE pgqueue_internal.outcome_error(t.slot, t.id) END AS errors
FROM (
    SELECT u.id, u.sql_statement, u.topic, u.joined_at, u.started_at, u.closed_at, u.priority, u.state, u.retry_count,
        u.retry_delay_in_sec, u.slot, NULL::text AS errors
    FROM pgqueue_internal.background_unfinished u
    UNION ALL
    SELECT l.id, l.sql_statement, l.topic, l.joined_at, l.started_at, l.closed_at, l.priority,
        'finished'::@extschema@.pg_background_queue_task_state, l.retry_count, l.retry_delay_in_sec, l.slot, NULL
    FROM pgqueue_internal.background_finished_live l
    UNION ALL
    SELECT l.id, l.sql_statement, l.topic, l.joined_at, l.started_at, l.closed_at, l.priority,
        'failed'::@extschema@.pg_background_queue_task_state, l.retry_count, l.retry_delay_in_sec, l.slot, NULL
    FROM pgqueue_internal.background_failed_live l
    UNION ALL
    SELECT a.id, a.sql_statement, a.topic, a.joined_at, a.started_at, a.closed_at, a.priority,
        'finished'::@extschema@.pg_background_queue_task_state, a.retry_count, a.retry_delay_in_sec, NULL, a.errors
    FROM pgqueue_internal.background_finished a
    UNION ALL
    SELECT a.id, a.sql_statement, a.topic, a.joined_at, a.started_at, a.closed_at, a.priority,
        'failed'::@extschema@.pg_background_queue_task_state, a.retry_count, a.retry_delay_in_sec, NULL, a.errors
    FROM pgqueue_internal.background_failed a
) t;

ALTER VIEW @extschema@.pg_background_tasks ALTER joined_at SET DEFAULT now();
ALTER VIEW @extschema@.pg_background_tasks ALTER priority SET DEFAULT 0;
ALTER VIEW @extschema@.pg_background_tasks ALTER state SET DEFAULT 'pending';
ALTER VIEW @extschema@.pg_background_tasks ALTER retry_count SET DEFAULT 0;
ALTER VIEW @extschema@.pg_background_tasks ALTER retry_delay_in_sec SET DEFAULT 0;

COMMENT ON TYPE @extschema@.pg_background_queue_task_state IS 'state of a task of pg_background_queue';
COMMENT ON VIEW @extschema@.pg_background_tasks IS
'one row for each task of pg_background_queue; takes INSERT, UPDATE and DELETE';
COMMENT ON COLUMN @extschema@.pg_background_tasks.id IS 'id; pgqueue gives it';
COMMENT ON COLUMN @extschema@.pg_background_tasks.sql_statement IS 'SQL to run, one statement or several';
COMMENT ON COLUMN @extschema@.pg_background_tasks.topic IS 'topic';
COMMENT ON COLUMN @extschema@.pg_background_tasks.joined_at IS 'when it was enqueued; INSERT: not before this time';
COMMENT ON COLUMN @extschema@.pg_background_tasks.started_at IS 'start of the last attempt';
COMMENT ON COLUMN @extschema@.pg_background_tasks.closed_at IS 'when it was finished or failed';
COMMENT ON COLUMN @extschema@.pg_background_tasks.priority IS 'smaller runs first';
COMMENT ON COLUMN @extschema@.pg_background_tasks.state IS
'pending, running, retrying, failed or finished; UPDATE to failed cancels, to pending runs again';
COMMENT ON COLUMN @extschema@.pg_background_tasks.retry_count IS 'retries up to now';
COMMENT ON COLUMN @extschema@.pg_background_tasks.retry_delay_in_sec IS 'seconds that the last retry waits';
COMMENT ON COLUMN @extschema@.pg_background_tasks.errors IS 'message of the last failed attempt';
