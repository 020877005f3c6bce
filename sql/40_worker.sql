-- The views worker and memory.

CREATE VIEW pgqueue.worker WITH (security_barrier) AS
SELECT w.worker, w.kind, w.pid,
    coalesce(pgqueue_internal.role_of(w.role_id),
        (SELECT a.rolname::text COLLATE "default" FROM pg_catalog.pg_roles a WHERE a.oid = w.role)) AS role,
    n.name AS namespace, q.name AS queue, w.task_id, w.type, w.command, w.attempt, w.state,
    w.since, w.lease_until, w.cpu_seconds, w.progress, w.progress_note,
    CASE WHEN w.state = 'running' AND w.progress > 0 AND w.progress <= 1
         THEN w.since + (clock_timestamp() - w.since) / w.progress END AS ends_at,
    w.wal_bytes, w.blocks_hit, w.blocks_read, w.blocks_dirtied, w.temp_bytes
FROM (
    SELECT s.worker, s.kind, s.pid, s.role_id, NULL::oid AS role, b.namespace_id, s.queue_id, s.task_id,
        t.type, t.command, s.attempt, s.state, s.since, s.lease_until, s.cpu_seconds, s.progress, s.progress_note,
        s.wal_bytes, s.blocks_hit, s.blocks_read, s.blocks_dirtied, s.temp_bytes
    FROM pgqueue_internal.workers() s
    LEFT JOIN pgqueue_internal.queue b ON b.id = s.queue_id
    LEFT JOIN LATERAL (SELECT r.type, r.command FROM pgqueue_internal.segment r
                       WHERE r.id = s.task_id LIMIT 1) t ON true
    UNION ALL
    SELECT o.worker, 'outside', o.pid, NULL, o.role, o.namespace_id, o.queue_id, o.task_id, o.type, NULL,
        o.attempt, o.state, o.since, o.lease_until, NULL, NULL, NULL,
        NULL, NULL, NULL, NULL, NULL
    FROM pgqueue_internal.outside_workers() o
) w
LEFT JOIN pgqueue_internal.queue q ON q.id = w.queue_id
LEFT JOIN pgqueue_internal.visible n ON n.id = w.namespace_id
WHERE CASE WHEN w.namespace_id IS NOT NULL THEN n.statistics
           ELSE EXISTS (SELECT FROM pg_catalog.pg_roles a
                        WHERE a.rolname IN ('pgqueue_admin', 'pg_monitor')
                            AND pg_catalog.pg_has_role(a.oid, 'USAGE')) END;
COMMENT ON VIEW pgqueue.worker IS 'live workers: server processes, and outside workers that hold a lease or wait';
COMMENT ON COLUMN pgqueue.worker.worker IS 'name';
COMMENT ON COLUMN pgqueue.worker.kind IS 'server or outside';
COMMENT ON COLUMN pgqueue.worker.pid IS 'server process or session';
COMMENT ON COLUMN pgqueue.worker.role IS 'role';
COMMENT ON COLUMN pgqueue.worker.namespace IS 'namespace';
COMMENT ON COLUMN pgqueue.worker.queue IS 'queue';
COMMENT ON COLUMN pgqueue.worker.task_id IS 'task it holds; one row each';
COMMENT ON COLUMN pgqueue.worker.type IS 'type of the task';
COMMENT ON COLUMN pgqueue.worker.command IS 'command of the task';
COMMENT ON COLUMN pgqueue.worker.attempt IS 'attempt';
COMMENT ON COLUMN pgqueue.worker.state IS 'running, idle, waiting or stopping';
COMMENT ON COLUMN pgqueue.worker.since IS 'since when in this state';
COMMENT ON COLUMN pgqueue.worker.lease_until IS 'end of the lease';
COMMENT ON COLUMN pgqueue.worker.cpu_seconds IS
'CPU seconds of this attempt, read once a second; NULL in its first second, and while pgqueue.track_costs is off';
COMMENT ON COLUMN pgqueue.worker.progress IS '0 to 1, as the task told';
COMMENT ON COLUMN pgqueue.worker.progress_note IS 'as the task told';
COMMENT ON COLUMN pgqueue.worker.ends_at IS 'estimate from progress';
COMMENT ON COLUMN pgqueue.worker.wal_bytes IS 'bytes of WAL that this attempt has written, as cpu_seconds';
COMMENT ON COLUMN pgqueue.worker.blocks_hit IS 'blocks that it found in memory, as cpu_seconds';
COMMENT ON COLUMN pgqueue.worker.blocks_read IS 'blocks that it has read, as cpu_seconds';
COMMENT ON COLUMN pgqueue.worker.blocks_dirtied IS 'blocks that it has changed first, as cpu_seconds';
COMMENT ON COLUMN pgqueue.worker.temp_bytes IS 'bytes that it has written to temporary files, as cpu_seconds';

CREATE VIEW pgqueue.memory WITH (security_barrier) AS
SELECT m.kind, n.name AS namespace, m.used, m.capacity, m.comment
FROM pgqueue_internal.memory() m
LEFT JOIN pgqueue_internal.visible n ON n.id = m.namespace_id
WHERE CASE WHEN m.namespace_id IS NOT NULL THEN n.memory
           ELSE EXISTS (SELECT FROM pgqueue_internal.visible v WHERE v.memory) END;
COMMENT ON VIEW pgqueue.memory IS
'how full the dispatcher''s shared memory is: of the whole cluster, and what each namespace of this database has of it';
COMMENT ON COLUMN pgqueue.memory.kind IS
'namespaces, queues, roles, lanes, priorities, leases, groups, grouped tasks, waiters, pages, histograms, '
'spilled pages, rebuilds, or repaired';
COMMENT ON COLUMN pgqueue.memory.namespace IS
'namespace; NULL: all of the cluster (spilled pages, rebuilds and repaired: of the database)';
COMMENT ON COLUMN pgqueue.memory.used IS 'places that are taken';
COMMENT ON COLUMN pgqueue.memory.capacity IS 'places that there are; NULL: bounded by pages';
COMMENT ON COLUMN pgqueue.memory.comment IS 'what a place is for';
