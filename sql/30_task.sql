-- Tasks: the views over the segments. `WHERE id = ...` reaches each segment's primary key; the columns of outcomes cost
-- a look-up only where they are selected. A condemned segment has nothing but garbage and counts as empty.

-- The condemned segments, looked up once: `slot <> ALL (...)` is a one-time filter of each branch, so that a segment
-- which has only garbage is not read. One that an old snapshot shows as condemned may take rows again, and those of
-- this transaction can be seen: so it has to be condemned now as well.
CREATE VIEW pgqueue_internal.condemned AS
SELECT r.slot::integer AS slot FROM pgqueue_internal.ring r WHERE r.condemned AND pgqueue_internal.is_condemned(r.slot);

-- creator: the name of the role that created it.
CREATE VIEW pgqueue_internal.segment AS
SELECT t.*, pgqueue_internal.role_of(t.role_id) AS creator
FROM (
    SELECT 0 AS slot, s.* FROM pgqueue_internal.segment_0 s
    UNION ALL SELECT 1, s.* FROM pgqueue_internal.segment_1 s
    UNION ALL SELECT 2, s.* FROM pgqueue_internal.segment_2 s
    UNION ALL SELECT 3, s.* FROM pgqueue_internal.segment_3 s
    UNION ALL SELECT 4, s.* FROM pgqueue_internal.segment_4 s
    UNION ALL SELECT 5, s.* FROM pgqueue_internal.segment_5 s
) t
WHERE t.slot <> ALL (ARRAY(SELECT c.slot FROM pgqueue_internal.condemned c));

CREATE VIEW pgqueue_internal.outcome AS
SELECT o.*
FROM (
    SELECT 0 AS slot, o.* FROM pgqueue_internal.outcome_0 o
    UNION ALL SELECT 1, o.* FROM pgqueue_internal.outcome_1 o
    UNION ALL SELECT 2, o.* FROM pgqueue_internal.outcome_2 o
    UNION ALL SELECT 3, o.* FROM pgqueue_internal.outcome_3 o
    UNION ALL SELECT 4, o.* FROM pgqueue_internal.outcome_4 o
    UNION ALL SELECT 5, o.* FROM pgqueue_internal.outcome_5 o
) o
WHERE o.slot <> ALL (ARRAY(SELECT c.slot FROM pgqueue_internal.condemned c));

-- Rights are asked of the row alone, here and in the other views: comparisons that the server may evaluate first
-- (leakproof ones) then stand in the same node of the plan, and EXPLAIN ANALYZE counts only rows that pass both.
CREATE FUNCTION pgqueue_internal.may_see_task(queue_id integer, role_id integer, status smallint, id bigint,
    receipt bigint) RETURNS boolean
    LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 1 AS 'MODULE_PATHNAME', 'pgqueue_internal_may_see_task';
CREATE FUNCTION pgqueue_internal.may_see_archived(namespace_id integer, role_id integer) RETURNS boolean
    LANGUAGE C STABLE PARALLEL RESTRICTED COST 1 AS 'MODULE_PATHNAME', 'pgqueue_internal_may_see_archived';

CREATE VIEW pgqueue.task WITH (security_barrier) AS
SELECT t.id, n.name AS namespace, q.name AS queue,
    (ARRAY['new', 'retry', 'retained', 'released', 'failed', 'expired', 'cancelled'])[
        pgqueue_internal.shown(t.status) + 1] AS status,
    pgqueue_internal.shown(t.type) AS type, pgqueue_internal.shown(t.command) AS command,
    CASE WHEN n.bodies OR (n.own_tasks AND pgqueue_internal.is_mine(t.role_id))
              OR (n.held_tasks AND t.status = 2 AND pgqueue_internal.is_held(t.id, t.receipt))
        THEN t.payload END AS payload,
    CASE WHEN n.bodies OR (n.own_tasks AND pgqueue_internal.is_mine(t.role_id))
              OR (n.held_tasks AND t.status = 2 AND pgqueue_internal.is_held(t.id, t.receipt))
        THEN t.headers END AS headers,
    pgqueue_internal.shown(t.priority) AS priority, pgqueue_internal.shown(t.creator) AS role,
    pgqueue_internal.shown(t.attempt) AS attempt, pgqueue_internal.shown(t.retries) AS retries,
    pgqueue_internal.shown(t.group_key) AS group_key, pgqueue_internal.shown(t.dedup_key) AS dedup_key,
    pgqueue_internal.shown(t.batch_key) AS batch_key, pgqueue_internal.shown(t.depends_on) AS depends_on,
    pgqueue_internal.shown(t.created_at) AS created_at, pgqueue_internal.shown(t.delayed_at) AS delayed_at,
    pgqueue_internal.shown(t.dies_at) AS dies_at, pgqueue_internal.shown(t.started_at) AS started_at,
    pgqueue_internal.shown(t.finished_at) AS finished_at, pgqueue_internal.shown(t.worker) AS worker,
    CASE WHEN t.status = 2 THEN nullif(pgqueue_internal.shown(t.pid), 0) END AS pid,
    CASE WHEN t.status = 2 AND n.receipts THEN nullif(pgqueue_internal.shown(t.receipt), 0) END AS receipt,
    CASE WHEN t.status = 2 THEN pgqueue_internal.shown(t.lease_until) END AS lease_until,
    CASE WHEN (n.bodies OR (n.own_tasks AND pgqueue_internal.is_mine(t.role_id))) AND t.attempt > 0 THEN
        coalesce(t.result, pgqueue_internal.outcome_result(t.slot, t.id, t.attempt)) END AS result,
    pgqueue_internal.outcome_error(t.slot, t.id) AS error,
    pgqueue_internal.outcome_error_code(t.slot, t.id) AS error_code,
    pgqueue_internal.outcome_error_info(t.slot, t.id) AS error_info,
    CASE WHEN pgqueue_internal.shown(t.attempt) > 0
        THEN t.flags & 1 = 0 AND (t.command IS NOT NULL OR q.executor = 'server') END AS transactional,
    pgqueue_internal.shown(t.ticker) AS ticker,
    (SELECT f.name FROM pgqueue_internal.queue f WHERE f.id = pgqueue_internal.shown(t.origin_queue_id)) AS origin_queue
FROM pgqueue_internal.segment t
JOIN pgqueue_internal.queue q ON q.id = t.queue_id
JOIN pgqueue_internal.visible n ON n.id = q.namespace_id
WHERE pgqueue_internal.may_see_task(t.queue_id, t.role_id, t.status, t.id, t.receipt);
COMMENT ON VIEW pgqueue.task IS 'one row for each task that is not archived';
COMMENT ON COLUMN pgqueue.task.id IS 'unique in the database';
COMMENT ON COLUMN pgqueue.task.namespace IS 'namespace';
COMMENT ON COLUMN pgqueue.task.queue IS 'queue';
COMMENT ON COLUMN pgqueue.task.status IS 'new, retry, retained, released, failed, expired or cancelled';
COMMENT ON COLUMN pgqueue.task.type IS 'type that chooses the handler';
COMMENT ON COLUMN pgqueue.task.command IS 'SQL command; NULL for a payload task';
COMMENT ON COLUMN pgqueue.task.payload IS 'payload';
COMMENT ON COLUMN pgqueue.task.headers IS 'metadata that handlers do not need, such as a trace';
COMMENT ON COLUMN pgqueue.task.priority IS 'smaller runs first';
COMMENT ON COLUMN pgqueue.task.role IS 'role that created it and as which a command runs';
COMMENT ON COLUMN pgqueue.task.attempt IS 'attempts begun';
COMMENT ON COLUMN pgqueue.task.retries IS 'further attempts allowed after the first';
COMMENT ON COLUMN pgqueue.task.group_key IS 'order key';
COMMENT ON COLUMN pgqueue.task.dedup_key IS 'deduplication key';
COMMENT ON COLUMN pgqueue.task.batch_key IS 'batch key';
COMMENT ON COLUMN pgqueue.task.depends_on IS 'tasks it waits for';
COMMENT ON COLUMN pgqueue.task.created_at IS 'clock at create_task';
COMMENT ON COLUMN pgqueue.task.delayed_at IS 'not before; NULL at once';
COMMENT ON COLUMN pgqueue.task.dies_at IS 'expires then; NULL never';
COMMENT ON COLUMN pgqueue.task.started_at IS 'start of the last attempt';
COMMENT ON COLUMN pgqueue.task.finished_at IS 'end of the task';
COMMENT ON COLUMN pgqueue.task.worker IS 'who holds or held it';
COMMENT ON COLUMN pgqueue.task.pid IS 'server process of a live attempt';
COMMENT ON COLUMN pgqueue.task.receipt IS 'receipt of the live lease (right work or manage)';
COMMENT ON COLUMN pgqueue.task.lease_until IS 'end of the live lease; NULL: ends with its session';
COMMENT ON COLUMN pgqueue.task.result IS 'result; of a command {"tag","rows","first"}';
COMMENT ON COLUMN pgqueue.task.error IS 'message of the last failed attempt';
COMMENT ON COLUMN pgqueue.task.error_code IS 'its SQLSTATE';
COMMENT ON COLUMN pgqueue.task.error_info IS 'its detail, hint and context';
COMMENT ON COLUMN pgqueue.task.transactional IS 'effects and release commit together (exactly once)';
COMMENT ON COLUMN pgqueue.task.ticker IS 'ticker that made it';
COMMENT ON COLUMN pgqueue.task.origin_queue IS 'queue it failed in, when in a dead-letter queue';

CREATE VIEW pgqueue.task_archive WITH (security_barrier) AS
SELECT a.id, n.name AS namespace,
    pgqueue_internal.shown(a.queue) AS queue, pgqueue_internal.shown(a.status) AS status,
    pgqueue_internal.shown(a.type) AS type, pgqueue_internal.shown(a.command) AS command,
    CASE WHEN n.bodies OR (n.own_tasks AND pgqueue_internal.is_mine(a.role_id)) THEN a.payload END AS payload,
    CASE WHEN n.bodies OR (n.own_tasks AND pgqueue_internal.is_mine(a.role_id)) THEN a.headers END AS headers,
    pgqueue_internal.shown(a.priority) AS priority,
    pgqueue_internal.shown(pgqueue_internal.role_of(a.role_id)) AS role, pgqueue_internal.shown(a.attempt) AS attempt,
    pgqueue_internal.shown(a.retries) AS retries, pgqueue_internal.shown(a.group_key) AS group_key,
    pgqueue_internal.shown(a.dedup_key) AS dedup_key, pgqueue_internal.shown(a.batch_key) AS batch_key,
    pgqueue_internal.shown(a.depends_on) AS depends_on, pgqueue_internal.shown(a.created_at) AS created_at,
    pgqueue_internal.shown(a.delayed_at) AS delayed_at, pgqueue_internal.shown(a.dies_at) AS dies_at,
    pgqueue_internal.shown(a.started_at) AS started_at, pgqueue_internal.shown(a.finished_at) AS finished_at,
    pgqueue_internal.shown(a.worker) AS worker,
    NULL::integer AS pid, NULL::bigint AS receipt, NULL::timestamptz AS lease_until,
    CASE WHEN n.bodies OR (n.own_tasks AND pgqueue_internal.is_mine(a.role_id)) THEN a.result END AS result,
    pgqueue_internal.shown(a.error) AS error, pgqueue_internal.shown(a.error_code) AS error_code,
    pgqueue_internal.shown(a.error_info) AS error_info, pgqueue_internal.shown(a.transactional) AS transactional,
    pgqueue_internal.shown(a.ticker) AS ticker, pgqueue_internal.shown(a.origin_queue) AS origin_queue,
    pgqueue_internal.shown(a.archived_at) AS archived_at
FROM pgqueue_internal.archive a
JOIN pgqueue_internal.visible n ON n.id = a.namespace_id
WHERE pgqueue_internal.may_see_archived(a.namespace_id, a.role_id);

-- The columns of task with the same comments.
DO $make$
DECLARE
    c record;
BEGIN
    FOR c IN
        SELECT a.attname AS name, pg_catalog.col_description(a.attrelid, a.attnum) AS comment
        FROM pg_catalog.pg_attribute a WHERE a.attrelid = 'pgqueue.task'::pg_catalog.regclass AND a.attnum > 0
    LOOP
        EXECUTE pg_catalog.format('COMMENT ON COLUMN pgqueue.task_archive.%I IS %L', c.name, c.comment);
    END LOOP;
END
$make$;
COMMENT ON VIEW pgqueue.task_archive IS 'finished tasks kept by on_finish archive';
COMMENT ON COLUMN pgqueue.task_archive.archived_at IS 'moved here';
