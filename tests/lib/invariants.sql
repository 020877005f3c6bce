-- What holds in a database that is at rest, whatever happened before. For a superuser, in psql: hands out and releases
-- all that outside workers may have, then prints a line for each broken invariant with the ids, nothing when all hold.
-- The processes of pgqueue need moments for what sessions left behind, so the caller repeats it until a deadline:
-- check_invariants() in tests/tap/lib/PgQueue.pm. It finishes tasks: the last step of a test.
--   I1  queue_status counts what the rows say
--   I2  a waiting task that is due and that nothing holds back is handed out
--   I3  places under limits are as many as tasks are held, places of workers as many as there are workers
--   I4  each lease and each hold is of a retained row, each retained row has exactly one of them
--   I5  with a ledger (below): nothing made is lost, each released task had its effect once, under the attempt that the
--       row says
--   I6  no other session is left; no row is retained by a process that is gone
--   I7  an unfinished task has its dedup key and is a member of its batch; no attempt beyond its retries
--   I8  memory had nothing to repair
-- Ledger: tables that a test may have, see tests/lib/ledger.sql.
\set QUIET on
SET client_min_messages = warning;
SET search_path = pg_catalog, pg_temp;

CREATE OR REPLACE FUNCTION pg_temp.has_ledger() RETURNS boolean
    LANGUAGE sql AS $$ SELECT to_regclass('ledger.made') IS NOT NULL $$;

-- Tasks whose rows count: those of queues that exist.
CREATE OR REPLACE VIEW pg_temp.live AS
SELECT t.*, q.name AS queue, n.name AS namespace, q.paused OR n.paused AS paused, q.executor = 'server'
    OR t.command IS NOT NULL AS in_server
FROM pgqueue_internal.segment t
JOIN pgqueue_internal.queue q ON q.id = t.queue_id
JOIN pgqueue_internal.namespace n ON n.id = q.namespace_id;

-- Takes and releases what a namespace hands out, a batch in a transaction; how many.
CREATE OR REPLACE PROCEDURE pg_temp.drain_namespace(name text, INOUT done bigint) LANGUAGE plpgsql AS $$
DECLARE
    held record;
BEGIN
    LOOP
        SELECT array_agg(t.id) AS ids, array_agg(t.receipt) AS receipts, array_agg(t.attempt) AS attempts INTO held
        FROM pgqueue.next_tasks('invariants', max_tasks => 1000, lease => '10 minutes', namespace => name) t;
        EXIT WHEN held.ids IS NULL;
        PERFORM pgqueue.release_tasks(held.ids, held.receipts);
        IF pg_temp.has_ledger() THEN
            EXECUTE 'INSERT INTO ledger.effect SELECT m.id, u.attempt FROM unnest($1, $2) u (id, attempt) '
                'JOIN ledger.made m USING (id) WHERE m.effective'
            USING held.ids, held.attempts;
        END IF;
        COMMIT;
        done := done + cardinality(held.ids);
    END LOOP;
    COMMIT;
END
$$;

-- Until nothing comes for a while: rate limits hand out a few at a time.
CREATE OR REPLACE PROCEDURE pg_temp.drain() LANGUAGE plpgsql AS $$
DECLARE
    name text;
    done bigint;
    empty integer := 0;
BEGIN
    WHILE empty < 4 LOOP
        done := 0;
        FOR name IN SELECT n.name FROM pgqueue_internal.namespace n WHERE n.name <> 'pgqueue' LOOP
            CALL pg_temp.drain_namespace(name, done);
        END LOOP;
        empty := CASE done WHEN 0 THEN empty + 1 ELSE 0 END;
        PERFORM pg_sleep(0.05);
    END LOOP;
END
$$;

CREATE OR REPLACE FUNCTION pg_temp.wrong_counts() RETURNS SETOF text LANGUAGE sql AS $$
    SELECT format('queue %s.%s (%s), status %s: counted %s, rows %s', n.name, q.name, q.id, s.status, c.count,
        coalesce(r.count, 0))
    FROM pgqueue_internal.queue q
    JOIN pgqueue_internal.namespace n ON n.id = q.namespace_id
    CROSS JOIN generate_series(0, 6) s (status)
    LEFT JOIN pgqueue_internal.queue_counts() c ON c.queue_id = q.id AND c.status = s.status
    LEFT JOIN (SELECT queue_id, status, count(*) FROM pgqueue_internal.segment GROUP BY 1, 2) r ON r.queue_id = q.id
        AND r.status = s.status
    -- A queue that memory has not heard of has no tasks.
    WHERE coalesce(c.count, 0) <> coalesce(r.count, 0)
    UNION ALL
    SELECT format('namespace %s: counted %s open dependencies, rows %s', p.id, p.taken, coalesce(d.count, 0))
    FROM pgqueue_internal.places() p
    LEFT JOIN (SELECT namespace_id, count(*) FROM pgqueue_internal.dependency GROUP BY 1) d ON d.namespace_id = p.id
    WHERE p.kind = 'edges' AND p.taken <> coalesce(d.count, 0)
    UNION ALL
    SELECT format('namespace %s: %s dependencies are asked for by nobody', p.id, p.taken)
    FROM pgqueue_internal.places() p WHERE p.kind = 'edges_asked' AND p.taken <> 0
$$;

-- Waiting and due tasks that nothing holds back, the first 200 of them. Those in the
-- server may wait for as long as others run.
CREATE OR REPLACE FUNCTION pg_temp.not_handed_out() RETURNS SETOF text LANGUAGE sql AS $$
    WITH unfinished AS MATERIALIZED (SELECT * FROM pg_temp.live WHERE status IN (0, 1, 2)),
    -- It waits for a task or a batch that is unfinished, or failed with policy hold.
    blocked AS MATERIALIZED (
        SELECT d.task_id
        FROM pgqueue_internal.dependency d
        JOIN unfinished t ON t.id = d.task_id
        WHERE t.flags & 4096 <> 0
        UNION SELECT d.task_id FROM pgqueue_internal.dependency d JOIN unfinished a ON a.id = d.awaited
        UNION SELECT w.task_id
        FROM pgqueue_internal.batch_waiter w
        JOIN pgqueue_internal.batch_member m USING (namespace_id, batch_key)
        JOIN unfinished a ON a.id = m.task_id),
    -- As many of its group as may be are held; who holds them is for I3, I4 and I6.
    busy AS MATERIALIZED (SELECT t.queue_id, t.group_key FROM unfinished t
        JOIN pgqueue_internal.queue q ON q.id = t.queue_id WHERE t.status = 2 AND t.group_key IS NOT NULL
        GROUP BY 1, 2, q.group_max_running HAVING count(*) >= q.group_max_running),
    -- One of its group waits for its time.
    stopped AS MATERIALIZED (SELECT queue_id, group_key FROM unfinished
        WHERE group_key IS NOT NULL AND status IN (0, 1) AND delayed_at > clock_timestamp()),
    waiting AS MATERIALIZED (
        SELECT t.* FROM unfinished t
        WHERE t.status IN (0, 1) AND NOT t.paused AND (t.delayed_at IS NULL OR t.delayed_at <= clock_timestamp())
            AND t.namespace <> 'pgqueue'
            AND NOT (t.flags & 2048 <> 0 AND t.id IN (SELECT b.task_id FROM blocked b))
            AND NOT EXISTS (SELECT FROM stopped s WHERE s.queue_id = t.queue_id AND s.group_key = t.group_key)
            AND NOT EXISTS (SELECT FROM busy b WHERE b.queue_id = t.queue_id AND b.group_key = t.group_key)
        LIMIT 200
    )
    SELECT format('task %s of %s.%s, status %s, role %s%s%s: %s', t.id, t.namespace, t.queue, t.status, t.creator,
        ', group ' || t.group_key,
        CASE WHEN t.in_server THEN ', in the server' END, y.reasons)
    FROM waiting t, LATERAL (
        SELECT string_agg(y.reason || ': ' || y.message, ' / ') AS reasons,
            coalesce(bool_or(y.reason IN ('disabled', 'not_adopted', 'role_missing')
                             OR (y.reason = 'rate_limit' AND y.ready_at < clock_timestamp() + interval '10 s')),
                             false) AS held
        FROM pgqueue.why(t.id) y) y
    WHERE NOT y.held
$$;

-- Due tasks of which memory says that they wait for their time, or that they are over.
CREATE OR REPLACE FUNCTION pg_temp.not_ended() RETURNS SETOF text LANGUAGE sql AS $$
    SELECT format('task %s of %s.%s, status %s, has not expired at %s', t.id, t.namespace, t.queue, t.status, t.dies_at)
    FROM pg_temp.live t WHERE t.status IN (0, 1, 2) AND t.dies_at < clock_timestamp() - interval '1 s'
$$;

CREATE OR REPLACE FUNCTION pg_temp.wrong_places() RETURNS SETOF text LANGUAGE sql AS $$
    WITH p AS MATERIALIZED (SELECT * FROM pgqueue_internal.places()),
    held AS MATERIALIZED (SELECT t.queue_id, q.namespace_id, count(*), count(t.group_key) AS grouped,
        string_agg(t.id::text, ' ') AS ids
        FROM pgqueue_internal.segment t
        JOIN pgqueue_internal.queue q ON q.id = t.queue_id
        WHERE t.status = 2
        GROUP BY 1, 2)
    SELECT format('queue %s.%s (%s): %s places taken, %s tasks retained: %s',
        n.name, q.name, q.id, p.taken, coalesce(h.count, 0), h.ids)
    FROM p
    JOIN pgqueue_internal.queue q ON q.id = p.id
    JOIN pgqueue_internal.namespace n ON n.id = q.namespace_id
    LEFT JOIN held h ON h.queue_id = q.id
    WHERE p.kind = 'queue' AND p.taken <> coalesce(h.count, 0)
    UNION ALL
    SELECT format('groups of queue %s (%s): %s places taken, %s tasks retained: %s',
        q.name, q.id, p.taken, coalesce(h.grouped, 0), h.ids)
    FROM p JOIN pgqueue_internal.queue q ON q.id = p.id LEFT JOIN held h ON h.queue_id = q.id
    WHERE p.kind = 'groups' AND p.taken <> coalesce(h.grouped, 0)
    UNION ALL
    SELECT format('namespace %s (%s): %s places taken, %s tasks retained', n.name, n.id, p.taken, coalesce(h.count, 0))
    FROM p JOIN pgqueue_internal.namespace n ON n.id = p.id
    LEFT JOIN (SELECT namespace_id, sum(count) AS count FROM held GROUP BY 1) h ON h.namespace_id = n.id
    WHERE p.kind = 'namespace' AND p.taken <> coalesce(h.count, 0)
    UNION ALL
    SELECT format('namespace %s: %s leases counted, there are %s', n.name, m.used, count(p.id))
    FROM pgqueue.memory m
    JOIN pgqueue_internal.namespace n ON n.name = m.namespace
    LEFT JOIN pgqueue_internal.queue q ON q.namespace_id = n.id
    LEFT JOIN p ON p.kind = 'lease' AND p.id = q.id
    WHERE m.kind = 'leases' GROUP BY n.name, m.used HAVING m.used <> count(p.id)
    UNION ALL
    SELECT format('role %s: %s places of workers taken, %s workers',
        p.id, p.taken, (SELECT count(*) FROM p w WHERE w.kind = 'worker' AND w.id = p.id))
    FROM p WHERE p.kind = 'role' AND p.taken <> (SELECT count(*) FROM p w WHERE w.kind = 'worker' AND w.id = p.id)
    UNION ALL
    SELECT format('cluster: %s places of workers taken, %s workers in this database',
        p.taken, (SELECT count(*) FROM p w WHERE w.kind = 'worker'))
    FROM p WHERE p.kind = 'cluster' AND p.taken <> (SELECT count(*) FROM p w WHERE w.kind = 'worker')
        AND NOT EXISTS (SELECT FROM pg_stat_activity a
            WHERE a.backend_type = 'pgqueue worker' AND a.datname <> current_database())
    UNION ALL
    SELECT format('a worker''s place is kept by process %s, which is gone', p.pid)
    FROM p
    WHERE p.kind = 'worker' AND NOT EXISTS (SELECT FROM pg_stat_activity a
        WHERE a.pid = p.pid AND a.backend_type = 'pgqueue worker')
$$;

CREATE OR REPLACE FUNCTION pg_temp.wrong_holders() RETURNS SETOF text LANGUAGE sql AS $$
    WITH p AS MATERIALIZED (SELECT * FROM pgqueue_internal.places() WHERE kind IN ('lease', 'hold'))
    SELECT format('%s of task %s by process %s, but the row is %s', p.kind, p.task_id, p.pid,
        coalesce(
            (SELECT format('status %s with %s receipt', t.status,
                CASE WHEN t.receipt = p.receipt THEN 'this' ELSE 'another' END)
                  FROM pg_temp.live t WHERE t.id = p.task_id LIMIT 1), 'missing'))
    FROM p
    WHERE NOT EXISTS (SELECT FROM pg_temp.live t WHERE t.id = p.task_id AND t.status = 2 AND t.receipt = p.receipt
                             AND (p.kind = 'lease' OR t.epoch <> 0))
    UNION ALL
    SELECT format('task %s of %s.%s is retained by process %s (%s), holders in memory: %s',
        t.id, t.namespace, t.queue, t.pid,
        coalesce('lease until ' || t.lease_until, 'no lease'),
        (SELECT count(*) FROM p WHERE p.task_id = t.id))
    FROM pg_temp.live t WHERE t.status = 2 AND (SELECT count(*) FROM p WHERE p.task_id = t.id) <> 1
$$;

CREATE OR REPLACE FUNCTION pg_temp.wrong_ledger() RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    IF pg_temp.has_ledger() THEN
        RETURN QUERY EXECUTE $q$
            SELECT format('task %s is lost: neither row nor effect', m.id)
            FROM ledger.made m LEFT JOIN ledger.effect e USING (id)
            WHERE NOT m.removable AND e.id IS NULL AND NOT EXISTS (SELECT FROM pg_temp.live t WHERE t.id = m.id)
                AND NOT EXISTS (SELECT FROM pgqueue_internal.archive a WHERE a.id = m.id)
            UNION ALL
            SELECT format('task %s has had its effect, in attempt %s, and is %s in attempt %s',
                e.id, e.attempt, t.status, t.attempt)
            FROM ledger.effect e JOIN (SELECT id, status::text, attempt FROM pg_temp.live
                                       UNION ALL SELECT id, status, attempt FROM pgqueue_internal.archive) t USING (id)
            WHERE t.status NOT IN ('3', 'released') OR t.attempt <> e.attempt
            UNION ALL
            SELECT format('task %s is released in attempt %s without its effect', t.id, t.attempt)
            FROM ledger.made m JOIN (SELECT id, status::text, attempt FROM pg_temp.live
                                     UNION ALL SELECT id, status, attempt FROM pgqueue_internal.archive) t USING (id)
            LEFT JOIN ledger.effect e USING (id)
            WHERE m.effective AND t.status IN ('3', 'released') AND e.id IS NULL
            UNION ALL
            SELECT format('task %s: an attempt ended with %s: %s', o.id, o.error_code, o.error)
            FROM pgqueue_internal.outcome o
            JOIN ledger.made m USING (id) WHERE o.error_code LIKE 'XX%' OR o.error_code = '23505'
        $q$;
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION pg_temp.left_behind() RETURNS SETOF text LANGUAGE sql AS $$
    SELECT format('session %s (%s) is still there, %s: %s', a.pid, a.usename, a.state, a.query)
    FROM pg_stat_activity a
    WHERE a.backend_type = 'client backend' AND a.datname = current_database() AND a.pid <> pg_backend_pid()
    UNION ALL
    SELECT format('prepared transaction %s is still there', x.gid)
    FROM pg_prepared_xacts x
    WHERE x.database = current_database()
    UNION ALL
    SELECT format('task %s of %s.%s is retained by process %s, which is gone', t.id, t.namespace, t.queue, t.pid)
    FROM pg_temp.live t
    WHERE t.status = 2 AND (t.epoch <> 0 OR t.lease_until IS NULL)
        AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.pid = t.pid)
$$;

CREATE OR REPLACE FUNCTION pg_temp.wrong_keys() RETURNS SETOF text LANGUAGE sql AS $$
    SELECT format('task %s of %s.%s, status %s, has not its dedup key %s',
        t.id, t.namespace, t.queue, t.status, t.dedup_key)
    FROM pg_temp.live t
    WHERE t.flags & 256 <> 0 AND t.status IN (0, 1, 2)
        AND NOT EXISTS (SELECT FROM pgqueue_internal.dedup d WHERE d.task_id = t.id AND d.key = t.dedup_key)
    UNION ALL
    SELECT format('task %s of %s.%s, status %s, is no member of its batch %s',
        t.id, t.namespace, t.queue, t.status, t.batch_key)
    FROM pg_temp.live t
    WHERE t.flags & 512 <> 0 AND t.status IN (0, 1, 2) AND NOT EXISTS (SELECT FROM pgqueue_internal.batch_member b
        WHERE b.task_id = t.id)
    UNION ALL
    SELECT format('task %s of %s.%s, status %s: attempt %s, %s of them uncounted, retries %s',
        t.id, t.namespace, t.queue, t.status, t.attempt, t.uncounted, t.retries)
    FROM pg_temp.live t
    WHERE t.uncounted > t.attempt
        OR (t.status IN (0, 1, 2) AND t.attempt - t.uncounted > t.retries + (t.status = 2)::int)
$$;

CREATE OR REPLACE FUNCTION pg_temp.repaired() RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    IF to_regclass('pgqueue.memory') IS NOT NULL THEN
        RETURN QUERY EXECUTE $q$
            SELECT format('memory had to be repaired: %s', m) FROM (SELECT to_jsonb(v) AS m FROM pgqueue.memory v) r
            WHERE m ->> 'kind' = 'repaired' AND EXISTS (SELECT FROM jsonb_each(m) c
                WHERE jsonb_typeof(c.value) = 'number' AND c.value <> '0')
        $q$;
    END IF;
END
$$;

CALL pg_temp.drain();

-- Ten of each; how many more there are stands behind the last one.
WITH broken (invariant, what) AS (
    SELECT 'I1', c FROM pg_temp.wrong_counts() c
    UNION ALL SELECT 'I2', c FROM pg_temp.not_handed_out() c
    UNION ALL SELECT 'I2', c FROM pg_temp.not_ended() c
    UNION ALL SELECT 'I3', c FROM pg_temp.wrong_places() c
    UNION ALL SELECT 'I4', c FROM pg_temp.wrong_holders() c
    UNION ALL SELECT 'I5', c FROM pg_temp.wrong_ledger() c
    UNION ALL SELECT 'I6', c FROM pg_temp.left_behind() c
    UNION ALL SELECT 'I7', c FROM pg_temp.wrong_keys() c
    UNION ALL SELECT 'I8', c FROM pg_temp.repaired() c
), counted AS (SELECT invariant, what, row_number() OVER w AS n, count(*) OVER (PARTITION BY invariant) AS all
    FROM broken WINDOW w AS (PARTITION BY invariant ORDER BY what))
SELECT invariant || ': ' || what
    || CASE WHEN n = 10 AND counted.all > 10 THEN format(' … and %s more', counted.all - 10) ELSE '' END
FROM counted WHERE n <= 10 ORDER BY invariant, n;
