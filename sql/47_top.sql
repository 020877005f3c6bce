-- View top, for \watch.

-- The numbers as a line of bars, one for each, scaled to the largest: '' without any above zero. In UTF-8 the eight
-- blocks from one eighth to full, else eight ASCII characters.
CREATE FUNCTION pgqueue_internal.sparkline(numbers bigint[]) RETURNS text
LANGUAGE sql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
SELECT coalesce(string_agg(CASE WHEN level = 0 THEN ' ' WHEN getdatabaseencoding() = 'UTF8' THEN chr(9600 + level)
    ELSE substr('.:-=+*%#', level, 1) END, '' ORDER BY place), '')
FROM (
    SELECT u.place, ceil(8.0 * u.n / most)::integer AS level
    FROM unnest(numbers) WITH ORDINALITY u (n, place), (SELECT max(m) AS most FROM unnest(numbers) m) x
    WHERE most > 0
) bars
$$;

CREATE VIEW pgqueue.top WITH (security_barrier) AS
SELECT s.namespace, s.queue, s.retained::integer AS running, s.ready,
    make_interval(secs => s.oldest_ready_seconds) AS oldest, coalesce(h.per_minute, 0) AS per_minute,
    coalesce(h.failed, 0) AS failed, make_interval(secs => s.run_seconds_p99) AS p99_run,
    coalesce(h.last_hour, '') AS last_hour,
    coalesce(p.state, CASE WHEN c.paused AND s.ready + s.delayed + s.blocked > 0 THEN 'paused' ELSE 'ok' END) AS state
FROM pgqueue.queue_stat s
LEFT JOIN pgqueue.queue c ON c.namespace = s.namespace AND c.queue = s.queue
LEFT JOIN (
    SELECT m.namespace, m.queue, sum(m.failed)::bigint AS failed,
        (array_agg(m.released ORDER BY m.minute DESC))[1] AS per_minute,
        pgqueue_internal.sparkline(array_agg(m.released ORDER BY m.minute)) AS last_hour
    FROM (
        SELECT q.namespace, q.queue, g.minute, coalesce(t.released, 0) AS released, coalesce(t.failed, 0) AS failed
        FROM (SELECT DISTINCT v.namespace, v.queue FROM pgqueue.stat_history v
            WHERE v.minute > statement_timestamp() - interval '1 hour') q
        CROSS JOIN generate_series(date_trunc('minute', statement_timestamp()) - interval '60 min',
            date_trunc('minute', statement_timestamp()) - interval '1 min', interval '1 min') g (minute)
        LEFT JOIN (
            SELECT v.namespace, v.queue, v.minute, sum(v.released)::bigint AS released, sum(v.failed)::bigint AS failed
            FROM pgqueue.stat_history v WHERE v.minute > statement_timestamp() - interval '61 min' GROUP BY 1, 2, 3
        ) t ON t.namespace = q.namespace AND t.queue = q.queue AND t.minute = g.minute
    ) m
    GROUP BY 1, 2
) h ON h.namespace = s.namespace AND h.queue = s.queue
LEFT JOIN (
    SELECT e.namespace, e.queue,
        (array_agg(CASE e.problem WHEN 'queue_paused' THEN 'paused' ELSE e.problem END
            ORDER BY e.severity <> 'critical', e.problem))[1] AS state
    FROM pgqueue.health e WHERE e.queue IS NOT NULL GROUP BY 1, 2
) p ON p.namespace = s.namespace AND p.queue = s.queue
ORDER BY s.retained + coalesce(h.per_minute, 0) DESC NULLS LAST, s.ready DESC NULLS LAST, s.namespace, s.queue;
COMMENT ON VIEW pgqueue.top IS 'for \watch: busiest queues first, bars and sparkline as text';
COMMENT ON COLUMN pgqueue.top.namespace IS 'namespace';
COMMENT ON COLUMN pgqueue.top.queue IS 'queue';
COMMENT ON COLUMN pgqueue.top.running IS 'retained';
COMMENT ON COLUMN pgqueue.top.ready IS 'ready';
COMMENT ON COLUMN pgqueue.top.oldest IS 'age of the oldest ready task';
COMMENT ON COLUMN pgqueue.top.per_minute IS 'released in the last minute that is over';
COMMENT ON COLUMN pgqueue.top.failed IS 'failed in the last hour';
COMMENT ON COLUMN pgqueue.top.p99_run IS '99th percentile of run time';
COMMENT ON COLUMN pgqueue.top.last_hour IS 'released per minute, sparkline';
COMMENT ON COLUMN pgqueue.top.state IS 'ok, paused or the problem word of health';
