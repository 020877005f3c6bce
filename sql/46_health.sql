-- The view health.

-- Queues whose tasks failed for good in the last ten minutes, how many, and since when.
CREATE VIEW pgqueue_internal.recent_failures AS
SELECT m.queue_id, sum(m.failed) AS tasks, min(m.minute) AS since
FROM pgqueue_internal.stat_minute m
WHERE m.minute > statement_timestamp() - interval '10 minutes' AND m.failed > 0
GROUP BY m.queue_id;

-- Failures as rows of health: many of them in a short time, and those that fill a dead-letter queue.
CREATE VIEW pgqueue_internal.failing_queue AS
WITH failed AS (SELECT r.* FROM pgqueue_internal.recent_failures r)
SELECT 'failures' AS problem, f.queue_id,
    pg_catalog.format('%s tasks failed for good in the last ten minutes', f.tasks) AS message,
    pg_catalog.format('See why: SELECT error_code, error, count(*) FROM pgqueue.task WHERE namespace = %L AND '
        'coalesce(origin_queue, queue) = %L AND status = ''failed'' AND finished_at > now() - interval ''10 minutes'' '
        'GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 10;', n.name, q.name) AS hint,
    f.since
FROM failed f
JOIN pgqueue_internal.queue q ON q.id = f.queue_id
JOIN pgqueue_internal.namespace n ON n.id = q.namespace_id
WHERE f.tasks >= nullif(current_setting('pgqueue.health_failures', true)::integer, 0)
UNION ALL
SELECT 'dead_letter', d.id,
    CASE sum(f.tasks) WHEN 1 THEN 'one task' ELSE sum(f.tasks) || ' tasks' END
        || ' came into this dead-letter queue in the last ten minutes',
    pg_catalog.format('SELECT id, origin_queue, type, error_code, error FROM pgqueue.task WHERE namespace = %L AND '
        'queue = %L ORDER BY finished_at DESC LIMIT 10;', n.name, d.name),
    min(f.since)
FROM failed f
JOIN pgqueue_internal.queue q ON q.id = f.queue_id
JOIN pgqueue_internal.queue d ON d.namespace_id = q.namespace_id AND d.name = q.dead_letter AND d.id <> q.id
JOIN pgqueue_internal.namespace n ON n.id = d.namespace_id
GROUP BY d.id, n.name, d.name;

-- Tasks that failed for good, each in all of its attempts with the same error: a further attempt will hardly help. The
-- last ones that the dispatcher remembers, as long as their rows say so, in queues whose statistics the caller may see:
-- the outcomes of others are not read.
CREATE VIEW pgqueue_internal.same_failure AS
SELECT coalesce(nullif(t.origin_queue_id, 0), t.queue_id) AS queue_id, t.type, l.error_code, count(*) AS tasks,
    min(t.finished_at) AS since
FROM pgqueue_internal.incidents() i
JOIN pgqueue_internal.segment t ON t.id = i.task_id AND t.status = 4
    AND pgqueue_internal.may_see_statistics(coalesce(nullif(t.origin_queue_id, 0), t.queue_id))
CROSS JOIN LATERAL (
    SELECT min(o.error_code) AS error_code, count(*) > 1 AND count(*) = count(o.error_code)
            AND count(DISTINCT (o.error_code, o.error)) = 1 AS same
    FROM pgqueue_internal.outcome o
    WHERE o.slot = t.slot AND o.id = t.id AND o.outcome = 1
) l
WHERE i.error_code IS NULL AND l.same
GROUP BY 1, 2, 3;

-- What is wrong, a row for each problem; problems: how many of its kind the row stands for, of which it is the first.
-- Each part asks for the rights of its own rows: a comparison of the caller may come before the join at the end.
-- What is of no one namespace is shown to all who see statistics of some namespace. Quarantined tasks, and those
-- without a handler, are the last ones that the dispatcher remembers, as long as their rows say so.
CREATE VIEW pgqueue_internal.problem AS
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
    p.pid, p.since, p.problems
FROM (
    SELECT s.severity, s.problem, s.namespace_id, s.queue_id, NULL::text AS type, NULL::bigint AS tasks, s.message,
        s.hint, s.pid, s.since, s.problems
    FROM pgqueue_internal.problems() s
    UNION ALL
    SELECT 'warning', 'role_missing', m.namespace_id, NULL, NULL, NULL, m.message, m.hint, NULL, NULL, 1
    FROM pgqueue_internal.missing_role m
    WHERE pgqueue_internal.may(m.namespace_id, 'look')
    UNION ALL
    SELECT 'warning', 'no_handler', b.namespace_id, NULL, NULL, NULL, b.message, b.hint, NULL, NULL, 1
    FROM pgqueue_internal.broken_handler b
    WHERE pgqueue_internal.may(b.namespace_id, 'look')
    UNION ALL
    SELECT 'warning', f.problem, NULL, f.queue_id, NULL, NULL, f.message, f.hint, NULL, f.since, 1
    FROM pgqueue_internal.failing_queue f
    WHERE pgqueue_internal.may_see_statistics(f.queue_id)
    UNION ALL
    SELECT 'warning', 'same_failure', NULL, s.queue_id, s.type, s.tasks,
        pg_catalog.format('%s failed with the same error (%s) in each attempt',
            CASE s.tasks WHEN 1 THEN 'one task' ELSE s.tasks || ' tasks' END
                || CASE WHEN s.type IS NULL THEN '' ELSE pg_catalog.format(' of type "%s"', s.type) END, s.error_code),
        pg_catalog.format('SELECT id, attempt, error, error_info FROM pgqueue.task WHERE namespace = %L AND '
            'coalesce(origin_queue, queue) = %L AND status = ''failed'' AND error_code = %L%s '
            'ORDER BY finished_at DESC LIMIT 10;', n.name, q.name, s.error_code,
            CASE WHEN s.type IS NULL THEN ' AND type IS NULL' ELSE pg_catalog.format(' AND type = %L', s.type) END),
        NULL, s.since, 1
    FROM pgqueue_internal.same_failure s
    JOIN pgqueue_internal.queue q ON q.id = s.queue_id
    JOIN pgqueue_internal.namespace n ON n.id = q.namespace_id
    UNION ALL
    SELECT 'warning', 'disabled', t.namespace_id, NULL, NULL, NULL,
        pg_catalog.format('pgqueue.tickers is off, and %s overdue',
            CASE count(*) WHEN 1 THEN 'one ticker is' ELSE count(*) || ' tickers are' END),
        'ALTER SYSTEM SET pgqueue.tickers = on; SELECT pg_reload_conf();', NULL, min(s.due_at), 1
    FROM pgqueue_internal.ticker t
    JOIN pgqueue_internal.ticker_state s ON s.ticker_id = t.id
    WHERE pgqueue_internal.may(t.namespace_id, 'look') AND s.due_at < statement_timestamp()
        AND NOT current_setting('pgqueue.tickers', true)::boolean
    GROUP BY t.namespace_id
    UNION ALL
    SELECT 'warning', k.problem, NULL, k.queue_id, k.type, count(*), NULL, NULL, NULL,
        min(coalesce(t.finished_at, t.started_at)), 1
    FROM pgqueue_internal.incidents() i
    JOIN pgqueue_internal.segment t ON t.id = i.task_id
    JOIN pgqueue_internal.queue e ON e.id = coalesce(nullif(t.origin_queue_id, 0), t.queue_id)
    CROSS JOIN LATERAL (SELECT CASE i.error_code WHEN 'PQ103' THEN 'quarantine' ELSE 'no_handler' END AS problem,
        CASE i.error_code WHEN 'PQ104' THEN coalesce(t.type, '') END AS type,
        CASE i.error_code WHEN 'PQ104' THEN e.id ELSE t.queue_id END AS queue_id) k
    WHERE pgqueue_internal.may_see_statistics(k.queue_id) AND i.error_code IS NOT NULL AND CASE i.error_code
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

-- The worst come first. Of the problems of a namespace with the same word and severity the first ten have a row each,
-- and one row stands for the others: a namespace with thousands of paused queues does not hide what else is wrong.
CREATE VIEW pgqueue.health WITH (security_barrier) AS
SELECT h.severity, h.problem, h.namespace, h.queue,
    CASE h.problems WHEN 1 THEN h.message
        ELSE pg_catalog.format('%s further problems of this kind, the first one: %s', h.problems, h.message)
    END AS message,
    h.hint, h.pid, h.since
FROM (
    SELECT p.severity, p.problem, p.namespace, p.queue, p.message, p.hint, p.pid, p.since,
        row_number() OVER like_it AS place,
        CASE row_number() OVER like_it WHEN 11
            THEN sum(p.problems) OVER (like_it ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) ELSE 1 END AS problems
    FROM pgqueue_internal.problem p
    WINDOW like_it AS (PARTITION BY p.severity, p.problem, p.namespace ORDER BY p.problems, p.since, p.queue, p.message)
) h
WHERE h.place <= 11
ORDER BY h.severity, h.problem, h.namespace, h.place;
COMMENT ON VIEW pgqueue.health IS 'what is wrong and what to do; no row when all is well';
COMMENT ON COLUMN pgqueue.health.severity IS 'warning or critical';
COMMENT ON COLUMN pgqueue.health.problem IS
'stable word: not_preloaded, disabled, no_worker_slot, queue_paused, queue_full, no_handler, limit, '
'cleaning_held_back, quarantine, crash_loop, forward_down, server_down, memory_full, memory_low, owed, '
'not_adopted, role_missing, share_used_up, namespace_paused, no_outside_worker, late, failures, dead_letter, '
'same_failure';
COMMENT ON COLUMN pgqueue.health.namespace IS 'namespace';
COMMENT ON COLUMN pgqueue.health.queue IS 'queue';
COMMENT ON COLUMN pgqueue.health.message IS 'what';
COMMENT ON COLUMN pgqueue.health.hint IS 'what to do, a statement where there is one';
COMMENT ON COLUMN pgqueue.health.pid IS 'process at fault';
COMMENT ON COLUMN pgqueue.health.since IS 'since when';
