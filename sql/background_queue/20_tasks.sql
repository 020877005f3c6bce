-- The relation: tasks of the namespace in the words of the original. A view of two parts: everything, for roles that may see it, and the own
-- tasks of others. Whether the first part is seen at all is one question before any row is looked at, so it needs no security barrier and
-- conditions reach its branches: WHERE state = 'pending' leaves the archive out.

-- Who may see what of the namespace; no row when it was deleted.
CREATE VIEW pgqueue_internal.background_visible AS
SELECT v.id, v.all_tasks, v.own_tasks AND NOT v.all_tasks AS own_only FROM pgqueue_internal.visible v WHERE v.name = 'pg_background_queue';

-- 2, 4, 8 … seconds after the first, second, third … failure.
CREATE FUNCTION pgqueue_internal.background_delay(failures integer) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN failures <= 0 THEN 0 WHEN failures >= 31 THEN 2147483647 ELSE 1 << failures END;

-- Tasks that are not archived; failures: counted ones up to now.
CREATE VIEW pgqueue_internal.background_task AS
SELECT t.id, t.role_id, t.command AS sql_statement, t.headers ->> 'topic' AS topic, t.created_at::timestamp AS joined_at,
    t.started_at::timestamp AS started_at, t.finished_at::timestamp AS closed_at, t.priority,
    (CASE t.status WHEN 0 THEN 'pending' WHEN 1 THEN CASE WHEN t.attempt > t.uncounted THEN 'retrying' ELSE 'pending' END
                   WHEN 2 THEN 'running' WHEN 3 THEN 'finished' ELSE 'failed' END)::@extschema@.pg_background_queue_task_state AS state,
    f.failures AS retry_count, pgqueue_internal.background_delay(f.failures) AS retry_delay_in_sec,
    pgqueue_internal.outcome_error(t.slot, t.id) AS errors
FROM pgqueue_internal.segment t
JOIN pgqueue_internal.queue q ON q.id = t.queue_id AND q.namespace_id = (SELECT v.id FROM pgqueue_internal.background_visible v)
CROSS JOIN LATERAL (SELECT greatest(t.attempt - t.uncounted - (t.status > 1)::integer, 0) AS failures) f
WHERE t.command IS NOT NULL;

-- Archived tasks; what an installation of 1.0 knew of them is in their headers.
CREATE VIEW pgqueue_internal.background_archive AS
SELECT a.id, a.role, a.status, a.command AS sql_statement, a.headers ->> 'topic' AS topic, a.created_at::timestamp AS joined_at,
    a.started_at::timestamp AS started_at, a.finished_at::timestamp AS closed_at, a.priority,
    f.failures AS retry_count, pgqueue_internal.background_delay(f.failures) AS retry_delay_in_sec, a.error AS errors
FROM pgqueue_internal.archive a
CROSS JOIN LATERAL (SELECT greatest(a.attempt - coalesce(a.uncounted, 0) - 1, 0) AS failures) f
WHERE a.namespace_id = (SELECT v.id FROM pgqueue_internal.background_visible v) AND a.command IS NOT NULL;

CREATE VIEW pgqueue_internal.background_own WITH (security_barrier) AS
SELECT t.id, t.sql_statement, t.topic, t.joined_at, t.started_at, t.closed_at, t.priority, t.state, t.retry_count, t.retry_delay_in_sec, t.errors
FROM pgqueue_internal.background_task t
WHERE (SELECT v.own_only FROM pgqueue_internal.background_visible v) AND pgqueue_internal.is_mine(t.role_id)
UNION ALL
SELECT a.id, a.sql_statement, a.topic, a.joined_at, a.started_at, a.closed_at, a.priority,
    (CASE a.status WHEN 'released' THEN 'finished' ELSE 'failed' END)::@extschema@.pg_background_queue_task_state, a.retry_count,
    a.retry_delay_in_sec, a.errors
FROM pgqueue_internal.background_archive a
JOIN pg_catalog.pg_roles r ON r.rolname = a.role
WHERE (SELECT v.own_only FROM pgqueue_internal.background_visible v) AND pg_catalog.pg_has_role(r.oid, 'USAGE');

CREATE VIEW @extschema@.pg_background_tasks AS
SELECT t.id, t.sql_statement, t.topic, t.joined_at, t.started_at, t.closed_at, t.priority, t.state, t.retry_count, t.retry_delay_in_sec, t.errors
FROM pgqueue_internal.background_task t
WHERE (SELECT v.all_tasks FROM pgqueue_internal.background_visible v)
UNION ALL
SELECT a.id, a.sql_statement, a.topic, a.joined_at, a.started_at, a.closed_at, a.priority,
    'finished'::@extschema@.pg_background_queue_task_state, a.retry_count, a.retry_delay_in_sec, a.errors
FROM pgqueue_internal.background_archive a
WHERE (SELECT v.all_tasks FROM pgqueue_internal.background_visible v) AND a.status = 'released'
UNION ALL
SELECT a.id, a.sql_statement, a.topic, a.joined_at, a.started_at, a.closed_at, a.priority,
    'failed'::@extschema@.pg_background_queue_task_state, a.retry_count, a.retry_delay_in_sec, a.errors
FROM pgqueue_internal.background_archive a
WHERE (SELECT v.all_tasks FROM pgqueue_internal.background_visible v) AND a.status <> 'released'
UNION ALL
SELECT o.id, o.sql_statement, o.topic, o.joined_at, o.started_at, o.closed_at, o.priority, o.state, o.retry_count, o.retry_delay_in_sec, o.errors
FROM pgqueue_internal.background_own o;

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
