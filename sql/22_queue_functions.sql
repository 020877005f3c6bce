-- The functions that manage queues, each a body here and its entry in schema pgqueue.

-- Locks a queue of a namespace and returns its row; 42704 when there is none.
CREATE FUNCTION pgqueue_internal.lock_queue(target integer, queue_name text) RETURNS pgqueue_internal.queue
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    q pgqueue_internal.queue;
    namespace_name text;
BEGIN
    SELECT s.* INTO q
    FROM pgqueue_internal.queue s
    WHERE s.namespace_id = target AND s.name = queue_name FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        SELECT n.name INTO namespace_name FROM pgqueue_internal.namespace n WHERE n.id = target;
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('queue "%s" does not exist in namespace "%s"', queue_name, namespace_name),
            HINT = coalesce(pgqueue_internal.near_queue(target, queue_name), 'See the view pgqueue.queue.');
    END IF;
    RETURN q;
END
$$;

-- Makes a queue with the defaults; NULL when the name is taken, at the latest when the session that takes it commits.
CREATE FUNCTION pgqueue_internal.add_queue(target integer, queue_name text) RETURNS pgqueue_internal.queue
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    q pgqueue_internal.queue;
BEGIN
    PERFORM pgqueue_internal.check_queue_share(target, false);
    PERFORM pgqueue_internal.keep_namespace(target);
    INSERT INTO pgqueue_internal.queue AS s (namespace_id, name) VALUES (target, queue_name)
    ON CONFLICT ON CONSTRAINT queue_namespace_id_name_key DO NOTHING
    RETURNING s.* INTO q;
    RETURN q;
END
$$;

-- Locks a queue, made with the defaults when there is none.
CREATE FUNCTION pgqueue_internal.made_queue(target integer, queue_name text) RETURNS pgqueue_internal.queue
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    q pgqueue_internal.queue;
BEGIN
    LOOP
        SELECT s.* INTO q
        FROM pgqueue_internal.queue s
        WHERE s.namespace_id = target AND s.name = queue_name FOR NO KEY UPDATE;
        IF FOUND THEN
            RETURN q;
        END IF;
        q := pgqueue_internal.add_queue(target, queue_name);
        IF q.id IS NOT NULL THEN
            RETURN q;
        END IF;
    END LOOP;
END
$$;

-- The namespace of a call that manages queues; the caller needs manage in it. The
-- extension's own is for nobody to change.
CREATE FUNCTION pgqueue_internal.managed_namespace(namespace text) RETURNS integer
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target integer := pgqueue_internal.resolve_namespace(namespace);
BEGIN
    PERFORM pgqueue_internal.require(target, 'manage'),
        pgqueue_internal.refuse_system_namespace(target);
    RETURN target;
END
$$;

-- Raises 22023 for the end of a pause that has passed; infinity: none.
CREATE FUNCTION pgqueue_internal.check_pause_end(setting text, until timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF until <= clock_timestamp() THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('"%s" is in the past', setting),
            HINT = 'Use pgqueue.resume_queue to end a pause.';
    END IF;
    PERFORM pgqueue_internal.check_moment(setting, nullif(until, 'infinity'));
END
$$;

-- Pauses a queue, or changes reason and end of a pause that holds.
CREATE FUNCTION pgqueue_internal.set_pause(q pgqueue_internal.queue, reason text, until timestamptz)
    RETURNS pgqueue.queue
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    holds boolean := q.paused AND (q.paused_until IS NULL OR q.paused_until > clock_timestamp());
BEGIN
    PERFORM pgqueue_internal.check_pause_end('until', until);
    q.paused := true;
    q.paused_reason := nullif(coalesce(reason, CASE WHEN holds THEN q.paused_reason END), '');
    q.paused_until := coalesce(until, CASE WHEN holds THEN q.paused_until END);
    RETURN pgqueue_internal.store_queue(q);
END
$$;

CREATE FUNCTION pgqueue_internal.create_queue(given pgqueue.queue) RETURNS pgqueue.queue
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target integer;
    queue_name text;
BEGIN
    PERFORM pgqueue_internal.check_call('create_queue', true);
    queue_name := pgqueue_internal.normalize_name('queue', given.queue);
    target := pgqueue_internal.managed_namespace(given.namespace);
    RETURN pgqueue_internal.store_queue(pgqueue_internal.row_with(pgqueue_internal.made_queue(target, queue_name),
        given, NULL));
END
$$;

CREATE FUNCTION pgqueue.create_queue(
    queue text, description text DEFAULT NULL, executor text DEFAULT NULL, priority integer DEFAULT NULL,
    ttl interval DEFAULT NULL, retries integer DEFAULT NULL, retry_delay interval DEFAULT NULL,
    backoff text DEFAULT NULL, max_retry_delay interval DEFAULT NULL, retry_jitter double precision DEFAULT NULL,
    lease interval DEFAULT NULL, run_limit interval DEFAULT NULL, max_running integer DEFAULT NULL,
    max_depth bigint DEFAULT NULL, rate_limit double precision DEFAULT NULL,
    rate_burst integer DEFAULT NULL, group_max_running integer DEFAULT NULL,
    group_rate_limit double precision DEFAULT NULL, group_policy text DEFAULT NULL, aging interval DEFAULT NULL,
    retention interval DEFAULT NULL, on_finish text DEFAULT NULL, dead_letter text DEFAULT NULL,
    group_commit integer DEFAULT NULL, forward_to text DEFAULT NULL, namespace text DEFAULT NULL)
    RETURNS pgqueue.queue LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_manage';
COMMENT ON FUNCTION pgqueue.create_queue IS
'Creates a queue with the defaults of the view queue, or changes the given settings of an existing one, and returns '
'its row. NULL means not given; 0 or '''' means none for a setting that can be none, and for ever for retention. '
'Raises 42602 for an invalid name, 22023 for a value out of range, 42704 for an unknown namespace or dead_letter '
'queue, 53400 when the namespace has as many queues as it may, 0A000 for group_commit and forward_to. Needs the '
'privilege manage.';

CREATE FUNCTION pgqueue_internal.update_queue(given pgqueue.queue, rename_to text) RETURNS pgqueue.queue
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target integer;
    queue_name text;
    q pgqueue_internal.queue;
BEGIN
    PERFORM pgqueue_internal.check_call('update_queue', true);
    queue_name := pgqueue_internal.normalize_name('queue', given.queue);
    target := pgqueue_internal.managed_namespace(given.namespace);
    given.queue := NULL;
    given.namespace := NULL;
    PERFORM pgqueue_internal.check_patched(NOT (given IS NULL) OR rename_to IS NOT NULL);
    q := pgqueue_internal.row_with(pgqueue_internal.lock_queue(target, queue_name), given, NULL);
    IF rename_to IS NOT NULL THEN
        q.name := pgqueue_internal.normalize_name('queue', rename_to);
    END IF;
    RETURN pgqueue_internal.store_queue(q);
END
$$;

CREATE FUNCTION pgqueue.update_queue(
    queue text, description text DEFAULT NULL, executor text DEFAULT NULL, priority integer DEFAULT NULL,
    ttl interval DEFAULT NULL, retries integer DEFAULT NULL, retry_delay interval DEFAULT NULL,
    backoff text DEFAULT NULL, max_retry_delay interval DEFAULT NULL, retry_jitter double precision DEFAULT NULL,
    lease interval DEFAULT NULL, run_limit interval DEFAULT NULL, max_running integer DEFAULT NULL,
    max_depth bigint DEFAULT NULL, rate_limit double precision DEFAULT NULL,
    rate_burst integer DEFAULT NULL, group_max_running integer DEFAULT NULL,
    group_rate_limit double precision DEFAULT NULL, group_policy text DEFAULT NULL, aging interval DEFAULT NULL,
    retention interval DEFAULT NULL, on_finish text DEFAULT NULL, dead_letter text DEFAULT NULL,
    group_commit integer DEFAULT NULL, forward_to text DEFAULT NULL, rename_to text DEFAULT NULL,
    namespace text DEFAULT NULL)
    RETURNS pgqueue.queue LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_manage';
COMMENT ON FUNCTION pgqueue.update_queue IS
'Changes the given settings of a queue and returns its row. priority, ttl and retries hold for new tasks, all other '
'settings also for those that wait. rename_to renames it; tickers and dead_letter settings that name it follow. '
'Raises 22023 when nothing is given or a value is out of range, 42704 for an unknown queue, namespace or '
'dead_letter queue, 42710 when the new name is taken, 0A000 for group_commit and forward_to. Needs the privilege '
'manage.';

CREATE FUNCTION pgqueue_internal.delete_queue(
    queue text, force boolean, namespace text)
RETURNS pgqueue.queue
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target integer;
    queue_name text;
    q pgqueue_internal.queue;
    deleted pgqueue.queue;
BEGIN
    PERFORM pgqueue_internal.check_call('delete_queue', true);
    queue_name := pgqueue_internal.normalize_name('queue', queue);
    target := pgqueue_internal.managed_namespace(namespace);
    q := pgqueue_internal.lock_queue(target, queue_name);
    deleted := pgqueue_internal.shown_queue(q.id);
    PERFORM pgqueue_internal.drop_queue_tasks(q.id, force IS TRUE);
    UPDATE pgqueue_internal.queue s SET dead_letter = NULL
    WHERE s.namespace_id = q.namespace_id AND s.dead_letter = q.name;
    DELETE FROM pgqueue_internal.queue s WHERE s.id = q.id;
    RETURN deleted;
END
$$;

CREATE FUNCTION pgqueue.delete_queue(
    queue text, force boolean DEFAULT false, namespace text DEFAULT NULL)
    RETURNS pgqueue.queue LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_manage';
COMMENT ON FUNCTION pgqueue.delete_queue IS
'Deletes a queue with all its tasks and returns its last row. Retained tasks raise 55006, unless force cancels '
'them. A dead_letter setting that names the queue becomes none. Raises 42704 for an unknown queue. Needs the '
'privilege manage.';

CREATE FUNCTION pgqueue_internal.get_queue(
    queue text, namespace text)
RETURNS SETOF pgqueue.queue
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    queue_name text := pgqueue_internal.normalize_name('queue', queue);
    target integer := pgqueue_internal.resolve_namespace(namespace);
BEGIN
    PERFORM pgqueue_internal.check_seen(target);
    RETURN QUERY
    SELECT s.*
    FROM pgqueue_internal.queue q, pgqueue_internal.shown_queue(q.id) s
    WHERE q.namespace_id = target AND q.name = queue_name;
END
$$;

CREATE FUNCTION pgqueue.get_queue(
    queue text, namespace text DEFAULT NULL)
    RETURNS SETOF pgqueue.queue LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 1 AS 'MODULE_PATHNAME', 'pgqueue_manage';
COMMENT ON FUNCTION pgqueue.get_queue IS
'Returns the row of a queue, or no row when there is none. Raises 42704 for an unknown namespace, 42501 without any '
'privilege in it.';

CREATE FUNCTION pgqueue_internal.pause_queue(
    queue text, reason text, until timestamptz, namespace text)
RETURNS pgqueue.queue
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target integer;
    queue_name text;
    q pgqueue_internal.queue;
BEGIN
    PERFORM pgqueue_internal.check_call('pause_queue', true);
    queue_name := pgqueue_internal.normalize_name('queue', queue);
    target := pgqueue_internal.managed_namespace(namespace);
    q := pgqueue_internal.lock_queue(target, queue_name);
    RETURN pgqueue_internal.set_pause(q, reason, until);
END
$$;

CREATE FUNCTION pgqueue.pause_queue(
    queue text, reason text DEFAULT NULL, until timestamptz DEFAULT NULL, namespace text DEFAULT NULL)
    RETURNS pgqueue.queue LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_manage';
COMMENT ON FUNCTION pgqueue.pause_queue IS
'Pauses a queue and returns its row: no task of it starts, running tasks go on. until ends the pause by itself '
'(NULL: it lasts until resume_queue); reason is shown by the view queue and by why. NULL keeps the reason or end of '
'a pause that holds already. Raises 22023 for an end in the past, 42704 for an unknown queue. Needs the privilege '
'manage.';

CREATE FUNCTION pgqueue_internal.resume_queue(
    queue text, namespace text)
RETURNS pgqueue.queue
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target integer;
    queue_name text;
    q pgqueue_internal.queue;
BEGIN
    PERFORM pgqueue_internal.check_call('resume_queue', true);
    queue_name := pgqueue_internal.normalize_name('queue', queue);
    target := pgqueue_internal.managed_namespace(namespace);
    q := pgqueue_internal.lock_queue(target, queue_name);
    q.paused := false;
    RETURN pgqueue_internal.store_queue(q);
END
$$;

CREATE FUNCTION pgqueue.resume_queue(
    queue text, namespace text DEFAULT NULL)
    RETURNS pgqueue.queue LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_manage';
COMMENT ON FUNCTION pgqueue.resume_queue IS
'Ends the pause of a queue and returns its row. A queue that is not paused is no error. Raises 42704 for an unknown '
'queue. Needs the privilege manage.';
