-- Statistics. Numbers have their unit in the name, so that programs need not read intervals.

CREATE FUNCTION pgqueue_internal.queue_statistics()
    RETURNS TABLE (queue_id integer, ready bigint, delayed bigint, blocked bigint, retained bigint, waiters integer,
        oldest_ready_seconds double precision, created_total bigint, retained_total bigint, released_total bigint,
        failed_total bigint, retried_total bigint, expired_total bigint, cancelled_total bigint, rescued_total bigint,
        dead_lettered_total bigint, limited_total bigint, bytes bigint, wait_seconds_p50 double precision,
        wait_seconds_p90 double precision, wait_seconds_p99 double precision, wait_seconds_max double precision,
        run_seconds_p50 double precision, run_seconds_p90 double precision, run_seconds_p99 double precision,
        run_seconds_max double precision, total_seconds_p50 double precision, total_seconds_p90 double precision,
        total_seconds_p99 double precision, total_seconds_max double precision, cpu_seconds_total double precision,
        wal_bytes_total bigint, blocks_hit_total bigint, blocks_read_total bigint, temp_bytes_total bigint,
        since timestamptz, as_of timestamptz)
    LANGUAGE C PARALLEL RESTRICTED ROWS 100 AS 'MODULE_PATHNAME', 'pgqueue_internal_queue_statistics';
CREATE VIEW pgqueue.queue_stat WITH (security_barrier) AS
SELECT n.name AS namespace, q.name AS queue, coalesce(s.ready, now_known.zero) AS ready,
    coalesce(s.delayed, now_known.zero) AS delayed, coalesce(s.blocked, now_known.zero) AS blocked,
    coalesce(s.retained, now_known.zero) AS retained, coalesce(s.waiters, now_known.zero) AS waiters,
    s.oldest_ready_seconds, coalesce(s.created_total, 0) AS created_total,
    coalesce(s.retained_total, 0) AS retained_total, coalesce(s.released_total, 0) AS released_total,
    coalesce(s.failed_total, 0) AS failed_total, coalesce(s.retried_total, 0) AS retried_total,
    coalesce(s.expired_total, 0) AS expired_total, coalesce(s.cancelled_total, 0) AS cancelled_total,
    coalesce(s.rescued_total, 0) AS rescued_total, coalesce(s.dead_lettered_total, 0) AS dead_lettered_total,
    coalesce(s.limited_total, 0) AS limited_total, s.bytes, s.wait_seconds_p50, s.wait_seconds_p90, s.wait_seconds_p99,
    s.wait_seconds_max, s.run_seconds_p50, s.run_seconds_p90, s.run_seconds_p99, s.run_seconds_max,
    s.total_seconds_p50, s.total_seconds_p90, s.total_seconds_p99, s.total_seconds_max,
    coalesce(s.cpu_seconds_total, 0) AS cpu_seconds_total, coalesce(s.wal_bytes_total, 0) AS wal_bytes_total,
    coalesce(s.blocks_hit_total, 0) AS blocks_hit_total, coalesce(s.blocks_read_total, 0) AS blocks_read_total,
    coalesce(s.temp_bytes_total, 0) AS temp_bytes_total, s.since, coalesce(s.as_of, statement_timestamp()) AS as_of
FROM pgqueue_internal.queue q
JOIN pgqueue_internal.visible n ON n.id = q.namespace_id
LEFT JOIN pgqueue_internal.queue_statistics() s ON s.queue_id = q.id
CROSS JOIN (SELECT CASE WHEN pg_is_in_recovery() THEN NULL ELSE 0 END) now_known (zero)
WHERE q.id >= 100 AND n.statistics;
COMMENT ON VIEW pgqueue.queue_stat IS 'counters and times of each queue';
COMMENT ON COLUMN pgqueue.queue_stat.namespace IS 'namespace';
COMMENT ON COLUMN pgqueue.queue_stat.queue IS 'queue';
COMMENT ON COLUMN pgqueue.queue_stat.ready IS 'could start now';
COMMENT ON COLUMN pgqueue.queue_stat.delayed IS 'wait for their time';
COMMENT ON COLUMN pgqueue.queue_stat.blocked IS 'wait for a group, dependency or limit';
COMMENT ON COLUMN pgqueue.queue_stat.retained IS 'held by workers';
COMMENT ON COLUMN pgqueue.queue_stat.waiters IS 'processes waiting for a task';
COMMENT ON COLUMN pgqueue.queue_stat.oldest_ready_seconds IS 'age of the oldest ready task';
COMMENT ON COLUMN pgqueue.queue_stat.created_total IS 'tasks created since reset';
COMMENT ON COLUMN pgqueue.queue_stat.retained_total IS 'tasks retained (attempts) since reset';
COMMENT ON COLUMN pgqueue.queue_stat.released_total IS 'tasks released since reset';
COMMENT ON COLUMN pgqueue.queue_stat.failed_total IS 'tasks failed for good since reset';
COMMENT ON COLUMN pgqueue.queue_stat.retried_total IS 'tasks sent to retry since reset';
COMMENT ON COLUMN pgqueue.queue_stat.expired_total IS 'tasks expired since reset';
COMMENT ON COLUMN pgqueue.queue_stat.cancelled_total IS 'tasks cancelled since reset';
COMMENT ON COLUMN pgqueue.queue_stat.rescued_total IS 'tasks taken back from a lost lease since reset';
COMMENT ON COLUMN pgqueue.queue_stat.dead_lettered_total IS 'tasks moved to a dead-letter queue since reset';
COMMENT ON COLUMN pgqueue.queue_stat.limited_total IS 'starts put off by a limit';
COMMENT ON COLUMN pgqueue.queue_stat.bytes IS 'bytes of payloads and rows';
COMMENT ON COLUMN pgqueue.queue_stat.wait_seconds_p50 IS 'median of the wait time in seconds';
COMMENT ON COLUMN pgqueue.queue_stat.wait_seconds_p90 IS '90th percentile of the wait time in seconds';
COMMENT ON COLUMN pgqueue.queue_stat.wait_seconds_p99 IS '99th percentile of the wait time in seconds';
COMMENT ON COLUMN pgqueue.queue_stat.wait_seconds_max IS 'maximum of the wait time in seconds';
COMMENT ON COLUMN pgqueue.queue_stat.run_seconds_p50 IS 'median of the run time in seconds';
COMMENT ON COLUMN pgqueue.queue_stat.run_seconds_p90 IS '90th percentile of the run time in seconds';
COMMENT ON COLUMN pgqueue.queue_stat.run_seconds_p99 IS '99th percentile of the run time in seconds';
COMMENT ON COLUMN pgqueue.queue_stat.run_seconds_max IS 'maximum of the run time in seconds';
COMMENT ON COLUMN pgqueue.queue_stat.total_seconds_p50 IS 'median of the total time in seconds';
COMMENT ON COLUMN pgqueue.queue_stat.total_seconds_p90 IS '90th percentile of the total time in seconds';
COMMENT ON COLUMN pgqueue.queue_stat.total_seconds_p99 IS '99th percentile of the total time in seconds';
COMMENT ON COLUMN pgqueue.queue_stat.total_seconds_max IS 'maximum of the total time in seconds';
COMMENT ON COLUMN pgqueue.queue_stat.cpu_seconds_total IS 'CPU seconds of runs in the server';
COMMENT ON COLUMN pgqueue.queue_stat.wal_bytes_total IS 'WAL bytes written by runs';
COMMENT ON COLUMN pgqueue.queue_stat.blocks_hit_total IS 'shared blocks hit';
COMMENT ON COLUMN pgqueue.queue_stat.blocks_read_total IS 'shared blocks read';
COMMENT ON COLUMN pgqueue.queue_stat.temp_bytes_total IS 'temporary bytes written';
COMMENT ON COLUMN pgqueue.queue_stat.since IS 'last reset';
COMMENT ON COLUMN pgqueue.queue_stat.as_of IS
'when the numbers were true: now; on a standby, which does not know what is there now (NULL), when they were saved';

CREATE FUNCTION pgqueue_internal.type_statistics()
    RETURNS TABLE (namespace text, queue text, type text, retained_total bigint, released_total bigint,
        failed_total bigint, retried_total bigint, wait_seconds_p50 double precision, wait_seconds_p90 double precision,
        wait_seconds_p99 double precision, wait_seconds_max double precision, run_seconds_p50 double precision,
        run_seconds_p90 double precision, run_seconds_p99 double precision, run_seconds_max double precision,
        cpu_seconds_total double precision, wal_bytes_total bigint, blocks_hit_total bigint, blocks_read_total bigint,
        temp_bytes_total bigint, since timestamptz, as_of timestamptz)
    LANGUAGE C PARALLEL RESTRICTED ROWS 100 AS 'MODULE_PATHNAME', 'pgqueue_internal_type_statistics';
CREATE VIEW pgqueue.type_stat WITH (security_barrier) AS
SELECT s.namespace, s.queue, s.type, s.retained_total, s.released_total, s.failed_total, s.retried_total,
    s.wait_seconds_p50, s.wait_seconds_p90, s.wait_seconds_p99, s.wait_seconds_max, s.run_seconds_p50,
    s.run_seconds_p90, s.run_seconds_p99, s.run_seconds_max, s.cpu_seconds_total, s.wal_bytes_total,
    s.blocks_hit_total, s.blocks_read_total, s.temp_bytes_total, s.since, s.as_of
FROM pgqueue_internal.type_statistics() s;
COMMENT ON VIEW pgqueue.type_stat IS
'counters and times of each type; types beyond pgqueue.max_types are the row with type NULL';
COMMENT ON COLUMN pgqueue.type_stat.namespace IS 'namespace';
COMMENT ON COLUMN pgqueue.type_stat.queue IS 'queue';
COMMENT ON COLUMN pgqueue.type_stat.type IS 'type';
COMMENT ON COLUMN pgqueue.type_stat.retained_total IS 'tasks retained (attempts) since reset';
COMMENT ON COLUMN pgqueue.type_stat.released_total IS 'tasks released since reset';
COMMENT ON COLUMN pgqueue.type_stat.failed_total IS 'tasks failed for good since reset';
COMMENT ON COLUMN pgqueue.type_stat.retried_total IS 'tasks sent to retry since reset';
COMMENT ON COLUMN pgqueue.type_stat.wait_seconds_p50 IS 'median of the wait time in seconds';
COMMENT ON COLUMN pgqueue.type_stat.wait_seconds_p90 IS '90th percentile of the wait time in seconds';
COMMENT ON COLUMN pgqueue.type_stat.wait_seconds_p99 IS '99th percentile of the wait time in seconds';
COMMENT ON COLUMN pgqueue.type_stat.wait_seconds_max IS 'maximum of the wait time in seconds';
COMMENT ON COLUMN pgqueue.type_stat.run_seconds_p50 IS 'median of the run time in seconds';
COMMENT ON COLUMN pgqueue.type_stat.run_seconds_p90 IS '90th percentile of the run time in seconds';
COMMENT ON COLUMN pgqueue.type_stat.run_seconds_p99 IS '99th percentile of the run time in seconds';
COMMENT ON COLUMN pgqueue.type_stat.run_seconds_max IS 'maximum of the run time in seconds';
COMMENT ON COLUMN pgqueue.type_stat.cpu_seconds_total IS 'CPU seconds of runs in the server';
COMMENT ON COLUMN pgqueue.type_stat.wal_bytes_total IS 'WAL bytes written by runs';
COMMENT ON COLUMN pgqueue.type_stat.blocks_hit_total IS 'shared blocks hit';
COMMENT ON COLUMN pgqueue.type_stat.blocks_read_total IS 'shared blocks read';
COMMENT ON COLUMN pgqueue.type_stat.temp_bytes_total IS 'temporary bytes written';
COMMENT ON COLUMN pgqueue.type_stat.since IS 'last reset';
COMMENT ON COLUMN pgqueue.type_stat.as_of IS 'when the numbers were true: now; on a standby, when they were saved';

CREATE FUNCTION pgqueue_internal.role_statistics()
    RETURNS TABLE (role oid, namespace text, retained_total bigint, released_total bigint, failed_total bigint,
        retried_total bigint, run_seconds_total double precision, cpu_seconds_total double precision,
        wal_bytes_total bigint, blocks_hit_total bigint, blocks_read_total bigint, temp_bytes_total bigint,
        since timestamptz, as_of timestamptz)
    LANGUAGE C PARALLEL RESTRICTED ROWS 100 AS 'MODULE_PATHNAME', 'pgqueue_internal_role_statistics';
CREATE VIEW pgqueue.worker_stat WITH (security_barrier) AS
SELECT r.rolname::text COLLATE "default" AS role, s.namespace, coalesce(w.workers, 0) AS workers, s.retained_total,
    s.released_total, s.failed_total, s.retried_total, s.run_seconds_total, s.cpu_seconds_total, s.wal_bytes_total,
    s.blocks_hit_total, s.blocks_read_total, s.temp_bytes_total, s.since, s.as_of
FROM pgqueue_internal.role_statistics() s
JOIN pg_catalog.pg_roles r ON r.oid = s.role
LEFT JOIN (
    SELECT v.role, v.namespace, count(DISTINCT v.pid)::integer AS workers FROM pgqueue.worker v GROUP BY 1, 2
) w ON w.role = r.rolname AND w.namespace = s.namespace;
COMMENT ON VIEW pgqueue.worker_stat IS 'sums by role and namespace';
COMMENT ON COLUMN pgqueue.worker_stat.role IS 'role';
COMMENT ON COLUMN pgqueue.worker_stat.namespace IS 'namespace';
COMMENT ON COLUMN pgqueue.worker_stat.workers IS 'live workers';
COMMENT ON COLUMN pgqueue.worker_stat.retained_total IS 'tasks retained (attempts) since reset';
COMMENT ON COLUMN pgqueue.worker_stat.released_total IS 'tasks released since reset';
COMMENT ON COLUMN pgqueue.worker_stat.failed_total IS 'tasks failed for good since reset';
COMMENT ON COLUMN pgqueue.worker_stat.retried_total IS 'tasks sent to retry since reset';
COMMENT ON COLUMN pgqueue.worker_stat.run_seconds_total IS 'seconds of runs';
COMMENT ON COLUMN pgqueue.worker_stat.cpu_seconds_total IS 'CPU seconds of runs in the server';
COMMENT ON COLUMN pgqueue.worker_stat.wal_bytes_total IS 'WAL bytes written by runs';
COMMENT ON COLUMN pgqueue.worker_stat.blocks_hit_total IS 'shared blocks hit';
COMMENT ON COLUMN pgqueue.worker_stat.blocks_read_total IS 'shared blocks read';
COMMENT ON COLUMN pgqueue.worker_stat.temp_bytes_total IS 'temporary bytes written';
COMMENT ON COLUMN pgqueue.worker_stat.since IS 'last reset';
COMMENT ON COLUMN pgqueue.worker_stat.as_of IS 'when the numbers were true: now; on a standby, when they were saved';

CREATE FUNCTION pgqueue.reset_stats(queue text DEFAULT NULL, type text DEFAULT NULL, namespace text DEFAULT NULL)
    RETURNS void
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_reset_stats';
COMMENT ON FUNCTION pgqueue.reset_stats(text, text, text) IS
'Makes the counters and times of a namespace begin anew at commit: those of its queues, types and roles. queue: only '
'those of this queue and its types, NULL means all. type: only those of this type, in the queue or in all queues; NULL '
'means all. namespace: NULL means the session''s namespace. Needs manage. An unknown namespace, queue or type raises '
'42704.';

-- Whether the caller may see the statistics of a queue, asked where rows are read.
CREATE FUNCTION pgqueue_internal.may_see_statistics(queue_id integer) RETURNS boolean
    LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 1 AS 'MODULE_PATHNAME', 'pgqueue_internal_may_see_statistics';

-- What queues did in each minute: the history, and the last minute of each queue, as far as it is saved.
CREATE VIEW pgqueue_internal.stat_minute AS
SELECT * FROM pgqueue_internal.stat_minute_0 UNION ALL SELECT * FROM pgqueue_internal.stat_minute_1
UNION ALL SELECT * FROM pgqueue_internal.stat_minute_2 UNION ALL SELECT * FROM pgqueue_internal.stat_minute_3
UNION ALL SELECT * FROM pgqueue_internal.stat_minute_4 UNION ALL SELECT * FROM pgqueue_internal.stat_minute_5
UNION ALL SELECT * FROM pgqueue_internal.stat_minute_6 UNION ALL SELECT * FROM pgqueue_internal.stat_minute_7
UNION ALL
SELECT s.object_id, s.minute, c[1], c[2], c[3], c[4], c[5], c[6], c[7], c[8], c[9], nullif(t[1], -1),
    nullif(t[2], -1), nullif(t[3], -1), nullif(t[4], -1)
FROM pgqueue_internal.stat s, LATERAL (SELECT s.minute_counts, s.minute_quantiles) m (c, t)
WHERE s.kind = 0 AND 0 < ANY (c[1:7]);

CREATE VIEW pgqueue.stat_history WITH (security_barrier) AS
SELECT h.minute, n.name AS namespace, q.name AS queue,
    pgqueue_internal.shown(h.created) AS created, pgqueue_internal.shown(h.retained) AS retained,
    pgqueue_internal.shown(h.released) AS released, pgqueue_internal.shown(h.failed) AS failed,
    pgqueue_internal.shown(h.retried) AS retried, pgqueue_internal.shown(h.expired) AS expired,
    pgqueue_internal.shown(h.cancelled) AS cancelled, pgqueue_internal.shown(h.depth) AS depth,
    pgqueue_internal.shown(h.running)::integer AS running, pgqueue_internal.shown(h.wait_p50) AS wait_seconds_p50,
    pgqueue_internal.shown(h.wait_p99) AS wait_seconds_p99, pgqueue_internal.shown(h.run_p50) AS run_seconds_p50,
    pgqueue_internal.shown(h.run_p99) AS run_seconds_p99
FROM pgqueue_internal.stat_minute h
JOIN pgqueue_internal.queue q ON q.id = h.queue_id
JOIN pgqueue_internal.visible n ON n.id = q.namespace_id
WHERE n.statistics AND pgqueue_internal.may_see_statistics(h.queue_id)
    AND h.minute >= statement_timestamp() - current_setting('pgqueue.stats_retention', true)::interval;
COMMENT ON VIEW pgqueue.stat_history IS 'one row for each minute and queue';
COMMENT ON COLUMN pgqueue.stat_history.minute IS 'start of the minute';
COMMENT ON COLUMN pgqueue.stat_history.namespace IS 'namespace';
COMMENT ON COLUMN pgqueue.stat_history.queue IS 'queue';
COMMENT ON COLUMN pgqueue.stat_history.created IS 'tasks created in the minute';
COMMENT ON COLUMN pgqueue.stat_history.retained IS 'tasks retained in the minute';
COMMENT ON COLUMN pgqueue.stat_history.released IS 'tasks released in the minute';
COMMENT ON COLUMN pgqueue.stat_history.failed IS 'tasks failed in the minute';
COMMENT ON COLUMN pgqueue.stat_history.retried IS 'tasks retried in the minute';
COMMENT ON COLUMN pgqueue.stat_history.expired IS 'tasks expired in the minute';
COMMENT ON COLUMN pgqueue.stat_history.cancelled IS 'tasks cancelled in the minute';
COMMENT ON COLUMN pgqueue.stat_history.depth IS 'unfinished tasks at its end';
COMMENT ON COLUMN pgqueue.stat_history.running IS 'retained at its end';
COMMENT ON COLUMN pgqueue.stat_history.wait_seconds_p50 IS 'median wait';
COMMENT ON COLUMN pgqueue.stat_history.wait_seconds_p99 IS '99th percentile of the wait';
COMMENT ON COLUMN pgqueue.stat_history.run_seconds_p50 IS 'median run';
COMMENT ON COLUMN pgqueue.stat_history.run_seconds_p99 IS '99th percentile of the run';

CREATE VIEW pgqueue.slow_task WITH (security_barrier) AS
-- Through shown(), so that the planner's statistics of the table tell nothing.
SELECT pgqueue_internal.shown(s.task_id) AS task_id, n.name AS namespace, q.name AS queue,
    pgqueue_internal.shown(s.type) AS type, pgqueue_internal.role_of(s.role_id) AS role,
    pgqueue_internal.shown(s.command) AS command, pgqueue_internal.shown(s.started_at) AS started_at,
    pgqueue_internal.shown(s.run_us) / 1e6::double precision AS run_seconds,
    pgqueue_internal.shown(s.cpu_us) / 1e6::double precision AS cpu_seconds,
    pgqueue_internal.shown(s.wal_bytes) AS wal_bytes, pgqueue_internal.shown(s.blocks_read) AS blocks_read
FROM (
    SELECT r.*, row_number() OVER (PARTITION BY r.namespace_id ORDER BY r.run_us DESC) AS by_run,
        row_number() OVER (PARTITION BY r.namespace_id ORDER BY r.cpu_us DESC NULLS LAST) AS by_cpu
    FROM pgqueue_internal.slow_run r
    -- Here, so that a comparison of the caller, which comes above, counts no others.
    WHERE pgqueue_internal.may(r.namespace_id, 'look')
) s
JOIN pgqueue_internal.queue q ON q.id = s.queue_id
JOIN pgqueue_internal.visible n ON n.id = q.namespace_id
WHERE s.by_run <= 100 OR s.by_cpu <= 100 AND s.cpu_us IS NOT NULL;
COMMENT ON VIEW pgqueue.slow_task IS 'the 100 slowest and the 100 dearest runs since reset';
COMMENT ON COLUMN pgqueue.slow_task.task_id IS 'task';
COMMENT ON COLUMN pgqueue.slow_task.namespace IS 'namespace';
COMMENT ON COLUMN pgqueue.slow_task.queue IS 'queue';
COMMENT ON COLUMN pgqueue.slow_task.type IS 'type';
COMMENT ON COLUMN pgqueue.slow_task.role IS 'role';
COMMENT ON COLUMN pgqueue.slow_task.command IS 'command, first 1000 characters';
COMMENT ON COLUMN pgqueue.slow_task.started_at IS 'start';
COMMENT ON COLUMN pgqueue.slow_task.run_seconds IS 'seconds';
COMMENT ON COLUMN pgqueue.slow_task.cpu_seconds IS 'CPU seconds';
COMMENT ON COLUMN pgqueue.slow_task.wal_bytes IS 'WAL bytes';
COMMENT ON COLUMN pgqueue.slow_task.blocks_read IS 'blocks read';

-- For tests and for the curious: queues whose totals do not account for their unfinished tasks.
CREATE FUNCTION pgqueue_internal.reconcile_statistics()
    RETURNS TABLE (namespace text, queue text, unfinished bigint, by_totals bigint)
    LANGUAGE C PARALLEL RESTRICTED ROWS 10 AS 'MODULE_PATHNAME', 'pgqueue_internal_reconcile_statistics';

CREATE FUNCTION pgqueue_internal.metrics()
    RETURNS TABLE (name text, type text, help text, labels jsonb, value double precision)
    LANGUAGE C PARALLEL RESTRICTED ROWS 1000 AS 'MODULE_PATHNAME', 'pgqueue_internal_metrics';

CREATE VIEW pgqueue.metric WITH (security_barrier) AS
SELECT m.name, m.type, m.help, m.labels, m.value FROM pgqueue_internal.metrics() m;
COMMENT ON VIEW pgqueue.metric IS 'every Prometheus sample';
COMMENT ON COLUMN pgqueue.metric.name IS 'metric name';
COMMENT ON COLUMN pgqueue.metric.type IS 'counter, gauge or histogram';
COMMENT ON COLUMN pgqueue.metric.help IS 'help text';
COMMENT ON COLUMN pgqueue.metric.labels IS 'labels';
COMMENT ON COLUMN pgqueue.metric.value IS 'value in the base unit';

CREATE FUNCTION pgqueue.prometheus(fleet boolean DEFAULT false) RETURNS text
    LANGUAGE C STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'pgqueue_prometheus';
COMMENT ON FUNCTION pgqueue.prometheus(boolean) IS
'Returns the rows of view metric in the text format 0.0.4 of Prometheus. They are those of the namespaces whose '
'statistics the caller may see (read, manage, owner or pg_monitor). fleet: true asks for all servers of the fleet, '
'which needs the wrapper pgqueue_fdw (0A000 without it); NULL means false. Needs no privilege.';
