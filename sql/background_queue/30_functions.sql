-- The functions of the original. Each runs its namesake in pgqueue_internal with the rights of the owner of extension
-- pgqueue, while caller() names the role that called; a task's SQL runs as that role.

-- The one way to a new task. not_before NULL: at once.
CREATE FUNCTION pgqueue_internal.background_enqueue(sql text, topic text, priority integer, not_before timestamptz)
    RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    t record;
    delay interval;
BEGIN
    PERFORM pgqueue_internal.check_call('enqueue', true);
    t := pgqueue_internal.topic(topic);
    IF NOT t.known THEN
        PERFORM pgqueue_internal.make_topic_queue(pgqueue_internal.background_namespace(), t.topic, t.queue,
            t.priority, t.retries, t.max_running, t.delay_in_sec);
    END IF;
    IF t.delay_in_sec > 0 THEN
        delay := make_interval(secs => t.delay_in_sec);
    END IF;
    IF not_before > clock_timestamp() THEN
        delay := coalesce(delay, '0') + (not_before - clock_timestamp());
    END IF;
    RETURN pgqueue.create_task(queue => t.queue, command => sql,
        priority => coalesce(background_enqueue.priority, t.priority), delay => delay,
        headers => CASE WHEN background_enqueue.topic IS NOT NULL
            THEN jsonb_build_object('topic', background_enqueue.topic) END,
        namespace => 'pg_background_queue');
END
$$;

CREATE FUNCTION pgqueue_internal.pg_background_queue_enqueue(sql text, topic text) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pgqueue_internal.check_call('pg_background_queue_enqueue', true), pgqueue_internal.check_given('sql', sql);
    RETURN pgqueue_internal.background_enqueue(sql, topic, NULL, NULL);
END
$$;
CREATE FUNCTION @extschema@.pg_background_queue_enqueue(sql text, topic text DEFAULT NULL) RETURNS bigint
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_manage';
COMMENT ON FUNCTION @extschema@.pg_background_queue_enqueue IS
'Creates a task that runs the SQL in the background as the calling role, and returns its id. The settings of the '
'topic decide its queue, priority, retries and delay; NULL is a task without a topic. Raises 22004 when sql is '
'NULL, 22023 when it is empty, 53400 when no queue can be made for the topic. Needs the privilege use in namespace '
'pg_background_queue.';

CREATE FUNCTION pgqueue_internal.pg_background_enqueue(sql text, topic text) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN pgqueue_internal.pg_background_queue_enqueue(sql, topic);
END
$$;
CREATE OR REPLACE FUNCTION @extschema@.pg_background_enqueue(sql text, topic text DEFAULT NULL) RETURNS bigint
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_manage';
COMMENT ON FUNCTION @extschema@.pg_background_enqueue IS
'Does the same as pg_background_queue_enqueue.';

CREATE FUNCTION pgqueue_internal.pg_background_queue_ensure_workers() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pgqueue_internal.wake_scheduler();
END
$$;
CREATE OR REPLACE FUNCTION @extschema@.pg_background_queue_ensure_workers() RETURNS void
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_manage';
COMMENT ON FUNCTION @extschema@.pg_background_queue_ensure_workers IS
'Wakes the scheduler, which starts workers for the tasks that are ready. It does so by itself after each commit '
'that makes a task ready, so no call is needed. Needs no privilege.';

CREATE FUNCTION pgqueue_internal.pg_background_queue_active_workers_count() RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pgqueue_internal.check_call('pg_background_queue_active_workers_count', false);
    RETURN (SELECT count(DISTINCT w.pid) FROM pgqueue_internal.workers() w
            JOIN pgqueue_internal.queue q ON q.id = w.queue_id
            WHERE w.task_id IS NOT NULL AND q.namespace_id = pgqueue_internal.background_namespace());
END
$$;
CREATE OR REPLACE FUNCTION @extschema@.pg_background_queue_active_workers_count() RETURNS integer
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_manage';
COMMENT ON FUNCTION @extschema@.pg_background_queue_active_workers_count IS
'Returns how many workers run a task of pg_background_queue in this database now. Needs no privilege.';

CREATE FUNCTION pgqueue_internal.pg_background_queue_calibrate_workers_count() RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pgqueue_internal.check_call('pg_background_queue_calibrate_workers_count', false),
        pgqueue_internal.require(pgqueue_internal.background_namespace(), 'manage');
    RETURN (SELECT count(DISTINCT w.pid) FROM pgqueue_internal.workers() w);
END
$$;
CREATE OR REPLACE FUNCTION @extschema@.pg_background_queue_calibrate_workers_count() RETURNS integer
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_manage';
COMMENT ON FUNCTION @extschema@.pg_background_queue_calibrate_workers_count IS
'Returns the number of worker processes of pgqueue in this database, with the idle ones. Needs the privilege manage '
'in namespace pg_background_queue.';

-- Finished and failed tasks go. Returns how many.
CREATE FUNCTION pgqueue_internal.pg_background_queue_purge(older_than interval) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    background integer := pgqueue_internal.background_namespace();
    before timestamptz;
    purged bigint;
    finished bigint;
BEGIN
    PERFORM pgqueue_internal.check_call('pg_background_queue_purge', true),
        pgqueue_internal.check_given('older_than', older_than::text), pgqueue_internal.require(background, 'manage');
    PERFORM pgqueue_internal.check_interval('older_than', older_than, true);
    before := clock_timestamp() - older_than;
    DELETE FROM pgqueue_internal.archive a WHERE a.namespace_id = background AND a.finished_at <= before;
    GET DIAGNOSTICS purged = ROW_COUNT;
    FOR finished IN
        SELECT t.id FROM pgqueue_internal.segment t JOIN pgqueue_internal.queue q ON q.id = t.queue_id
        WHERE q.namespace_id = background AND t.status > 2 AND t.finished_at <= before
        ORDER BY t.id
    LOOP
        purged := purged + pgqueue_internal.delete_task(finished)::integer;
    END LOOP;
    RETURN purged;
END
$$;
CREATE FUNCTION @extschema@.pg_background_queue_purge(older_than interval) RETURNS bigint
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_manage';
COMMENT ON FUNCTION @extschema@.pg_background_queue_purge IS
'Removes the tasks of pg_background_queue that were finished, failed, expired or cancelled at least older_than ago, '
'and returns how many. Raises 22004 when older_than is NULL, 22023 when it is negative. Needs the privilege manage '
'in namespace pg_background_queue.';
