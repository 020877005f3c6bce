-- Attempts of tasks: those that ended, from the outcomes, and the last one from the
-- task's row when it has no outcome row.

CREATE VIEW pgqueue.task_attempt WITH (security_barrier) AS
SELECT t.id AS task_id, n.name AS namespace, q.name AS queue, pgqueue_internal.shown(e.attempt) AS attempt,
    CASE WHEN n.receipts THEN nullif(pgqueue_internal.shown(e.receipt), 0) END AS receipt,
    pgqueue_internal.shown(e.worker) AS worker, pgqueue_internal.shown(e.role) AS role,
    nullif(pgqueue_internal.shown(e.pid), 0) AS pid,
    pgqueue_internal.shown(e.started_at) AS started_at, pgqueue_internal.shown(e.finished_at) AS finished_at,
    pgqueue_internal.shown(e.lease_until) AS lease_until,
    (ARRAY['released', 'failed', 'snoozed', 'lost', 'cancelled', 'expired'])[
        pgqueue_internal.shown(e.outcome) + 1] AS outcome,
    pgqueue_internal.shown(e.error) AS error, pgqueue_internal.shown(e.error_code) AS error_code,
    pgqueue_internal.shown(e.error_info) AS error_info,
    pgqueue_internal.shown(e.cpu_us) / 1e6::double precision AS cpu_seconds,
    pgqueue_internal.shown(e.wal_bytes) AS wal_bytes, pgqueue_internal.shown(e.row_count) AS row_count,
    pgqueue_internal.shown(e.blocks_hit) AS blocks_hit, pgqueue_internal.shown(e.blocks_read) AS blocks_read,
    pgqueue_internal.shown(e.blocks_dirtied) AS blocks_dirtied, pgqueue_internal.shown(e.temp_bytes) AS temp_bytes,
    CASE WHEN n.bodies OR (n.own_tasks AND pgqueue_internal.is_mine(t.role_id)) THEN e.messages END AS messages
FROM pgqueue_internal.segment t
JOIN pgqueue_internal.queue q ON q.id = t.queue_id
JOIN pgqueue_internal.visible n ON n.id = q.namespace_id
CROSS JOIN LATERAL (
    SELECT o.attempt, o.receipt, o.worker, o.role, o.pid, o.started_at, o.finished_at, o.lease_until,
        o.outcome::integer AS outcome, o.error, o.error_code, o.error_info, o.cpu_us, o.wal_bytes, o.row_count,
        o.blocks_hit, o.blocks_read, o.blocks_dirtied, o.temp_bytes, o.messages
    FROM pgqueue_internal.outcome o
    WHERE o.slot = t.slot AND o.id = t.id AND o.attempt > 0
    UNION ALL
    SELECT t.attempt, t.receipt, t.worker, CASE WHEN t.flags & 8 <> 0 THEN t.creator END, t.pid, t.started_at,
        CASE WHEN t.status <> 2 THEN t.finished_at END,
        t.lease_until,
        CASE t.status WHEN 0 THEN 2 WHEN 1 THEN 3 WHEN 3 THEN 0 WHEN 4 THEN 1 WHEN 5 THEN 5 WHEN 6 THEN 4 END,
        NULL, NULL, NULL, t.cpu_us, CASE WHEN t.cpu_us IS NOT NULL THEN coalesce(t.wal_bytes, 0) END, t.row_count,
        CASE WHEN t.cpu_us IS NOT NULL THEN coalesce(t.blocks_hit, 0) END,
        CASE WHEN t.cpu_us IS NOT NULL THEN coalesce(t.blocks_read, 0) END,
        CASE WHEN t.cpu_us IS NOT NULL THEN coalesce(t.blocks_dirtied, 0) END,
        CASE WHEN t.cpu_us IS NOT NULL THEN coalesce(t.temp_bytes, 0) END, NULL
    WHERE t.attempt > 0
        AND NOT EXISTS (SELECT FROM pgqueue_internal.outcome o
                        WHERE o.slot = t.slot AND o.id = t.id AND o.attempt = t.attempt)
) e
WHERE pgqueue_internal.may_see_task(t.queue_id, t.role_id, t.status, t.id, t.receipt);
COMMENT ON VIEW pgqueue.task_attempt IS 'one row for each attempt, live ones too; the last 10 of a task are kept';
COMMENT ON COLUMN pgqueue.task_attempt.task_id IS 'task';
COMMENT ON COLUMN pgqueue.task_attempt.namespace IS 'namespace';
COMMENT ON COLUMN pgqueue.task_attempt.queue IS 'queue';
COMMENT ON COLUMN pgqueue.task_attempt.attempt IS '1 for the first';
COMMENT ON COLUMN pgqueue.task_attempt.receipt IS 'receipt';
COMMENT ON COLUMN pgqueue.task_attempt.worker IS 'worker';
COMMENT ON COLUMN pgqueue.task_attempt.role IS 'role of the worker';
COMMENT ON COLUMN pgqueue.task_attempt.pid IS 'server process';
COMMENT ON COLUMN pgqueue.task_attempt.started_at IS 'start';
COMMENT ON COLUMN pgqueue.task_attempt.finished_at IS 'end; NULL while live';
COMMENT ON COLUMN pgqueue.task_attempt.lease_until IS 'end of the lease';
COMMENT ON COLUMN pgqueue.task_attempt.outcome IS
'released, failed, snoozed, lost, cancelled, expired; NULL while live';
COMMENT ON COLUMN pgqueue.task_attempt.error IS 'message';
COMMENT ON COLUMN pgqueue.task_attempt.error_code IS 'SQLSTATE';
COMMENT ON COLUMN pgqueue.task_attempt.error_info IS 'detail, hint, context';
COMMENT ON COLUMN pgqueue.task_attempt.cpu_seconds IS
'CPU seconds; NULL of an outside worker and while pgqueue.track_costs is off, as all costs';
COMMENT ON COLUMN pgqueue.task_attempt.wal_bytes IS 'WAL bytes';
COMMENT ON COLUMN pgqueue.task_attempt.row_count IS 'rows processed';
COMMENT ON COLUMN pgqueue.task_attempt.blocks_hit IS 'blocks that it found in memory';
COMMENT ON COLUMN pgqueue.task_attempt.blocks_read IS 'blocks that it has read';
COMMENT ON COLUMN pgqueue.task_attempt.blocks_dirtied IS 'blocks that it has changed first';
COMMENT ON COLUMN pgqueue.task_attempt.temp_bytes IS 'bytes that it has written to temporary files';
COMMENT ON COLUMN pgqueue.task_attempt.messages IS
'what it said to its client (NOTICE, WARNING), as client_min_messages asks for: the last 20 messages, up to 1,000 '
'bytes of each; hidden where payload is';
