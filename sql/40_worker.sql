-- The views worker, memory and health.

CREATE VIEW pgqueue.worker WITH (security_barrier) AS
SELECT w.worker, w.kind, w.pid,
    coalesce(pgqueue_internal.role_of(w.role_id),
        (SELECT a.rolname::text COLLATE "default" FROM pg_catalog.pg_roles a WHERE a.oid = w.role)) AS role,
    n.name AS namespace, q.name AS queue, w.task_id, w.type, w.command, w.attempt, w.state,
    w.since, w.lease_until, w.cpu_seconds, w.progress, w.progress_note,
    CASE WHEN w.state = 'running' AND w.progress > 0 AND w.progress <= 1
         THEN w.since + (clock_timestamp() - w.since) / w.progress END AS ends_at
FROM (
    SELECT s.worker, s.kind, s.pid, s.role_id, NULL::oid AS role, b.namespace_id, s.queue_id, s.task_id,
        t.type, t.command, s.attempt, s.state, s.since, s.lease_until, s.cpu_seconds, s.progress, s.progress_note
    FROM pgqueue_internal.workers() s
    LEFT JOIN pgqueue_internal.queue b ON b.id = s.queue_id
    LEFT JOIN LATERAL (SELECT r.type, r.command FROM pgqueue_internal.segment r
                       WHERE r.id = s.task_id LIMIT 1) t ON true
    UNION ALL
    SELECT o.worker, 'outside', o.pid, NULL, o.role, o.namespace_id, o.queue_id, o.task_id, o.type, NULL,
        o.attempt, o.state, o.since, o.lease_until, NULL, NULL, NULL
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
COMMENT ON COLUMN pgqueue.worker.cpu_seconds IS 'CPU seconds of this attempt';
COMMENT ON COLUMN pgqueue.worker.progress IS '0 to 1, as the task told';
COMMENT ON COLUMN pgqueue.worker.progress_note IS 'as the task told';
COMMENT ON COLUMN pgqueue.worker.ends_at IS 'estimate from progress';

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

-- What is of no one namespace is shown to all who see statistics of some namespace. Quarantined tasks, and those
-- without a handler, are the last ones that the dispatcher remembers, as long as their rows say so.
CREATE VIEW pgqueue.health WITH (security_barrier) AS
SELECT p.severity, p.problem, n.name AS namespace, q.name AS queue,
    coalesce(p.message, CASE p.problem
        WHEN 'quarantine' THEN pg_catalog.format('quarantined after crashes: %s',
            CASE p.tasks WHEN 1 THEN 'one task' ELSE p.tasks || ' tasks' END)
        ELSE pg_catalog.format('no handler for type "%s": %s', p.type,
            CASE p.tasks WHEN 1 THEN 'one task' ELSE p.tasks || ' tasks' END) END) AS message,
    coalesce(p.hint, CASE p.problem
        WHEN 'quarantine' THEN pg_catalog.format('SELECT id, type, command, error, error_info FROM pgqueue.task '
            'WHERE namespace = %L AND queue = %L AND status = ''failed'' AND error_code = ''PQ103'';', n.name, q.name)
        ELSE pg_catalog.format('SELECT pgqueue.create_handler(%L, ''function'', namespace => %L);',
            p.type, n.name) END) AS hint,
    p.pid, p.since
FROM (
    SELECT s.severity, s.problem, s.namespace_id, s.queue_id, NULL::text AS type, NULL::bigint AS tasks, s.message,
        s.hint, s.pid, s.since
    FROM pgqueue_internal.problems() s
    UNION ALL
    SELECT 'warning', 'role_missing', m.namespace_id, NULL, NULL, NULL, m.message, m.hint, NULL, NULL
    FROM pgqueue_internal.missing_role m
    UNION ALL
    SELECT 'warning', 'no_handler', b.namespace_id, NULL, NULL, NULL, b.message, b.hint, NULL, NULL
    FROM pgqueue_internal.broken_handler b
    UNION ALL
    SELECT 'warning', k.problem, NULL, k.queue_id, k.type, count(*), NULL, NULL, NULL,
        min(coalesce(t.finished_at, t.started_at))
    FROM pgqueue_internal.incidents() i
    JOIN pgqueue_internal.segment t ON t.id = i.task_id
    JOIN pgqueue_internal.queue e ON e.id = coalesce(nullif(t.origin_queue_id, 0), t.queue_id)
    CROSS JOIN LATERAL (SELECT CASE i.error_code WHEN 'PQ103' THEN 'quarantine' ELSE 'no_handler' END AS problem,
        CASE i.error_code WHEN 'PQ104' THEN coalesce(t.type, '') END AS type,
        CASE i.error_code WHEN 'PQ104' THEN e.id ELSE t.queue_id END AS queue_id) k
    WHERE CASE i.error_code
              WHEN 'PQ103' THEN t.status = 4
              ELSE t.status IN (1, 4) AND e.executor = 'server' AND NOT EXISTS (SELECT FROM pgqueue_internal.handler h
                   WHERE h.namespace_id = e.namespace_id AND h.phase = 'handle'
                       AND pg_catalog.starts_with(t.type, h.type)) END
        AND pgqueue_internal.outcome_error_code(t.slot, t.id) = i.error_code
    GROUP BY k.problem, k.queue_id, k.type
) p
LEFT JOIN pgqueue_internal.queue q ON q.id = p.queue_id
LEFT JOIN pgqueue_internal.visible n ON n.id = coalesce(q.namespace_id, p.namespace_id)
WHERE CASE WHEN p.queue_id IS NOT NULL OR p.namespace_id IS NOT NULL THEN n.statistics
           ELSE EXISTS (SELECT FROM pgqueue_internal.visible v WHERE v.statistics) END;
COMMENT ON VIEW pgqueue.health IS 'what is wrong and what to do; no row when all is well';
COMMENT ON COLUMN pgqueue.health.severity IS 'warning or critical';
COMMENT ON COLUMN pgqueue.health.problem IS
'stable word: not_preloaded, disabled, no_worker_slot, queue_paused, queue_full, no_handler, limit, '
'cleaning_held_back, quarantine, crash_loop, forward_down, server_down, memory_full, memory_low, owed, '
'not_adopted, role_missing, share_used_up';
COMMENT ON COLUMN pgqueue.health.namespace IS 'namespace';
COMMENT ON COLUMN pgqueue.health.queue IS 'queue';
COMMENT ON COLUMN pgqueue.health.message IS 'what';
COMMENT ON COLUMN pgqueue.health.hint IS 'what to do, a statement where there is one';
COMMENT ON COLUMN pgqueue.health.pid IS 'process at fault';
COMMENT ON COLUMN pgqueue.health.since IS 'since when';
