-- Topics: queues of namespace pg_background_queue. A topic that topic_config names has a queue of its own; tasks of the
-- others, and those without a topic, share queue default. The topic of a task is in its headers.

-- The settings of each topic of topic_config, and first, without a topic, those of the others.
-- Zero: no limit. known: its queue is there.
CREATE FUNCTION pgqueue_internal.topic_settings(OUT topic text, OUT queue text, OUT priority integer,
    OUT retries integer, OUT max_running integer, OUT delay_in_sec integer, OUT known boolean) RETURNS SETOF record
    LANGUAGE C STABLE ROWS 10 AS 'MODULE_PATHNAME', 'pgqueue_internal_topic_settings';

-- The row of topic_settings that holds for a topic.
CREATE FUNCTION pgqueue_internal.topic(name text, OUT topic text, OUT queue text, OUT priority integer,
    OUT retries integer, OUT max_running integer, OUT delay_in_sec integer, OUT known boolean) RETURNS record
    LANGUAGE C STABLE AS 'MODULE_PATHNAME', 'pgqueue_internal_topic';

-- Has the scheduler look for work.
CREATE FUNCTION pgqueue_internal.wake_scheduler() RETURNS void
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_internal_wake_scheduler';

-- A waiting task as it was elsewhere: its id, the role that runs it, failed attempts and the last error.
CREATE FUNCTION pgqueue_internal.put_task(id bigint, queue_id integer, role oid, command text, priority integer,
    headers jsonb, created_at timestamptz, delayed_at timestamptz, failures integer, error text) RETURNS void
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_internal_put_task';

-- The id is the same everywhere: a restored dump finds the namespace again.
DO $make$
BEGIN
    IF EXISTS (SELECT FROM pgqueue_internal.namespace n WHERE n.name = 'pg_background_queue' AND n.id <> 3) THEN
        RAISE EXCEPTION USING ERRCODE = 'duplicate_object', MESSAGE = 'namespace "pg_background_queue" already exists',
            HINT = 'Extension pg_background_queue needs the name: rename the namespace, or delete it.';
    END IF;
    INSERT INTO pgqueue_internal.namespace (id, name, owner, owner_name, description)
    SELECT 3, 'pg_background_queue', r.oid, r.rolname,
        'tasks of extension pg_background_queue, a queue for each topic that has settings'
    FROM pg_catalog.pg_roles r WHERE r.rolname = 'pgqueue_admin'
    ON CONFLICT (id) DO NOTHING;
END
$make$;

-- The id of the namespace; 42704 when somebody has deleted it.
CREATE FUNCTION pgqueue_internal.background_namespace() RETURNS integer
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_id integer := (SELECT n.id FROM pgqueue_internal.namespace n WHERE n.name = 'pg_background_queue');
BEGIN
    IF found_id IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = 'namespace "pg_background_queue" does not exist',
            HINT = 'Run DROP EXTENSION pg_background_queue; CREATE EXTENSION pg_background_queue;';
    END IF;
    RETURN found_id;
END
$$;

-- Makes a topic's queue when there is none.
CREATE FUNCTION pgqueue_internal.make_topic_queue(namespace_id integer, topic text, queue text, priority integer,
    retries integer, max_running integer, delay_in_sec integer) RETURNS void
LANGUAGE sql
BEGIN ATOMIC
    INSERT INTO pgqueue_internal.queue (namespace_id, name, description, executor, priority, ttl, retries, retry_delay,
        backoff, max_retry_delay, max_running, rate_limit, retention, on_finish)
    SELECT make_topic_queue.namespace_id, make_topic_queue.queue,
        CASE WHEN make_topic_queue.topic IS NULL THEN 'topics without settings of their own, and tasks without a topic'
             ELSE pg_catalog.format('topic "%s"', make_topic_queue.topic) END,
        'server', make_topic_queue.priority, NULL, make_topic_queue.retries, '2 seconds', 'exponential',
        '2147483647 seconds', nullif(make_topic_queue.max_running, 0),
        1.0::double precision / nullif(make_topic_queue.delay_in_sec, 0), '1 minute', 'archive'
    WHERE NOT EXISTS (SELECT FROM pgqueue_internal.queue q
                      WHERE q.namespace_id = make_topic_queue.namespace_id AND q.name = make_topic_queue.queue)
        AND pgqueue_internal.check_queue_share(make_topic_queue.namespace_id, false)
    ON CONFLICT DO NOTHING;
END;

-- Moves waiting tasks of topics that have a queue of their own now out of the common one, the oldest ones first and
-- not more than the scheduler, which calls, may spend on it at once. held: how many somebody holds, after some of
-- which the others are left as well; more: there may be others.
CREATE FUNCTION pgqueue_internal.move_to_topics(background integer, OUT held integer, OUT more boolean) RETURNS record
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '5ms' AS $$
DECLARE
    most CONSTANT integer := 2000;
    most_held CONSTANT integer := 5;
    common integer := (SELECT q.id FROM pgqueue_internal.queue q
                       WHERE q.namespace_id = background AND q.name = 'default');
    seen integer := 0;
    waiting record;
BEGIN
    held := 0;
    more := false;
    IF NOT EXISTS (SELECT FROM pgqueue_internal.topic_settings() s WHERE s.topic IS NOT NULL)
        OR NOT EXISTS (SELECT FROM pgqueue_internal.queue_counts() c
                       WHERE c.queue_id = common AND c.status IN (0, 1) AND c.count > 0) THEN
        RETURN;
    END IF;
    FOR waiting IN
        SELECT t.id, s.queue
        FROM pgqueue_internal.segment t
        JOIN pgqueue_internal.topic_settings() s ON s.topic = t.headers ->> 'topic'
        WHERE t.queue_id = common AND t.status IN (0, 1) ORDER BY t.id LIMIT most
    LOOP
        EXIT WHEN held >= most_held;
        seen := seen + 1;
        BEGIN
            PERFORM pgqueue_internal.update_task(waiting.id, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
                waiting.queue, '{queue}');
        EXCEPTION
            WHEN lock_not_available THEN held := held + 1;
            WHEN object_in_use OR undefined_object THEN NULL;  -- it runs, or is gone
        END;
    END LOOP;
    -- Those that are held would be seen again.
    more := seen = most AND held = 0;
    held := held + (seen = most AND held > 0)::integer;
END
$$;

-- Makes the queues that are missing. Returns how many of them wait for somebody: a session makes one of that name, or
-- has the namespace in hands.
CREATE FUNCTION pgqueue_internal.make_topic_queues(background integer) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '5ms' AS $$
DECLARE
    most_held CONSTANT integer := 5;
    held integer := 0;
    missing record;
BEGIN
    FOR missing IN
        SELECT s.* FROM pgqueue_internal.topic_settings() s
        WHERE NOT EXISTS (SELECT FROM pgqueue_internal.queue q WHERE q.namespace_id = background AND q.name = s.queue)
    LOOP
        EXIT WHEN held >= most_held;
        BEGIN
            PERFORM pgqueue_internal.make_topic_queue(background, missing.topic, missing.queue, missing.priority,
                missing.retries, missing.max_running, missing.delay_in_sec);
        EXCEPTION
            WHEN lock_not_available THEN held := held + 1;
        END;
    END LOOP;
    RETURN held;
END
$$;

-- Brings namespace and queues in line with the settings. held: how many rows somebody holds, which are for another
-- time; more: to be called again at once.
CREATE FUNCTION pgqueue_internal.follow_topics(OUT held integer, OUT more boolean) RETURNS record
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    background integer := (SELECT n.id FROM pgqueue_internal.namespace n WHERE n.name = 'pg_background_queue');
    most integer := nullif(current_setting('pg_background_queue.max_parallel_running_tasks_count')::integer, 0);
    wanted record;
    moved record;
BEGIN
    held := 0;
    more := false;
    IF background IS NULL THEN
        RETURN;
    END IF;
    IF EXISTS (SELECT FROM pgqueue_internal.namespace n
            WHERE n.id = background AND n.max_running IS DISTINCT FROM most) THEN
        UPDATE pgqueue_internal.namespace n SET max_running = most
        WHERE n.id = (SELECT f.id FROM pgqueue_internal.namespace f
                      WHERE f.id = background FOR NO KEY UPDATE SKIP LOCKED);
        held := held + (NOT FOUND)::integer;
    END IF;
    held := held + pgqueue_internal.make_topic_queues(background);
    FOR wanted IN
        SELECT q.id, s.priority, s.retries, nullif(s.max_running, 0) AS max_running,
            1.0::double precision / nullif(s.delay_in_sec, 0) AS rate_limit
        FROM pgqueue_internal.queue q
        CROSS JOIN LATERAL (SELECT t.* FROM pgqueue_internal.topic_settings() t
                            WHERE t.topic IS NULL OR t.queue = q.name ORDER BY t.topic IS NULL LIMIT 1) s
        WHERE q.namespace_id = background
            AND (q.priority, q.retries, q.max_running, q.rate_limit) IS DISTINCT FROM
                (s.priority, s.retries, nullif(s.max_running, 0), 1.0::double precision / nullif(s.delay_in_sec, 0))
    LOOP
        UPDATE pgqueue_internal.queue q
        SET (priority, retries, max_running, rate_limit)
            = (wanted.priority, wanted.retries, wanted.max_running, wanted.rate_limit)
        WHERE q.id = (SELECT f.id FROM pgqueue_internal.queue f WHERE f.id = wanted.id FOR NO KEY UPDATE SKIP LOCKED);
        held := held + (NOT FOUND)::integer;
    END LOOP;
    moved := pgqueue_internal.move_to_topics(background);
    held := held + moved.held;
    more := moved.more;
END
$$;

-- The queues are there from the start. A restore, which sets row_security off, brings those of the dump.
DO $make$
BEGIN
    IF pg_catalog.current_setting('row_security')::boolean
            AND pg_catalog.current_setting('pg_background_queue.retry_count', true) IS NOT NULL THEN
        PERFORM pgqueue_internal.follow_topics();
    END IF;
END
$make$;
