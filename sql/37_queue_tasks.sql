-- What the management of queues does with tasks: redrive, clean, purge.

-- A failed task gets a fresh run in the queue that it failed in: 0. NULL: not failed any more, or in somebody's hands;
-- else the id of the unfinished task that has its dedup key.
CREATE FUNCTION pgqueue_internal.redrive_task(id bigint, delay interval) RETURNS bigint
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_internal_redrive_task';

-- Removes all tasks of a queue but retained ones (force: those too), without touching them. Returns how many.
CREATE FUNCTION pgqueue_internal.purge_tasks(queue_id integer, force boolean) RETURNS bigint
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_internal_purge_tasks';

CREATE FUNCTION pgqueue_internal.redrive(queue text, type text, error text, max_tasks integer, rate double precision,
    namespace text)
RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    queue_name text;
    target integer;
    q pgqueue_internal.queue;
    failed bigint;
    holder bigint;
    sent bigint := 0;
    kept bigint := 0;
BEGIN
    PERFORM pgqueue_internal.check_call('redrive', true);
    queue_name := pgqueue_internal.normalize_name('queue', queue);
    target := pgqueue_internal.managed_namespace(namespace);
    q := pgqueue_internal.lock_queue(target, queue_name);
    PERFORM pgqueue_internal.check_range('max_tasks', max_tasks, 0, NULL);
    PERFORM pgqueue_internal.check_range('rate', rate::numeric, 0.001, NULL);
    FOR failed IN
        SELECT t.id FROM pgqueue_internal.segment t
        WHERE t.queue_id = q.id AND t.status = 4
            AND (redrive.type IS NULL OR starts_with(t.type, redrive.type))
            AND (redrive.error IS NULL OR EXISTS (
                SELECT FROM pgqueue_internal.outcome o
                WHERE o.slot = t.slot AND o.id = t.id AND o.attempt = t.attempt AND o.error LIKE redrive.error))
        ORDER BY t.finished_at, t.id
    LOOP
        EXIT WHEN sent >= max_tasks;
        holder := pgqueue_internal.redrive_task(failed,
            CASE WHEN rate IS NULL THEN interval '0' ELSE make_interval(secs => sent / rate) END);
        IF holder = 0 THEN
            sent := sent + 1;
        ELSIF holder IS NOT NULL THEN
            kept := kept + 1;
        END IF;
    END LOOP;
    IF kept > 0 THEN
        RAISE NOTICE USING MESSAGE = format('%s in queue "%s": unfinished tasks have the same dedup keys',
                CASE kept WHEN 1 THEN 'one failed task stays' ELSE kept || ' failed tasks stay' END, queue_name),
            HINT = format('SELECT id, dedup_key FROM pgqueue.task WHERE namespace = %L AND queue = %L '
                'AND status = ''failed'' AND dedup_key IS NOT NULL;',
                (SELECT n.name FROM pgqueue_internal.namespace n WHERE n.id = target), queue_name);
    END IF;
    RETURN sent;
END
$$;
CREATE FUNCTION pgqueue.redrive(queue text, type text DEFAULT NULL, error text DEFAULT NULL,
    max_tasks integer DEFAULT NULL, rate double precision DEFAULT NULL, namespace text DEFAULT NULL) RETURNS bigint
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_manage';
COMMENT ON FUNCTION pgqueue.redrive IS
'Gives failed tasks of a queue fresh retries and a fresh ttl, moves those of a dead-letter queue back to the queue '
'where they failed, and returns how many. It takes the oldest first, at most max_tasks (NULL: all), with types that '
'begin with type and errors LIKE error; rate (at least 0.001) spreads their starts, so many a second. A notice '
'counts the tasks that stay because an unfinished task has their dedup key. Raises 22023 for a value out of range, '
'42704 for an unknown queue. Needs the privilege manage.';

CREATE FUNCTION pgqueue_internal.clean_queue(queue text, older_than interval, max_tasks integer, namespace text)
    RETURNS SETOF pgqueue.task
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    queue_name text;
    target integer;
    q pgqueue_internal.queue;
    finished pgqueue.task;
    namespace_name text;
BEGIN
    PERFORM pgqueue_internal.check_call('clean_queue', true);
    queue_name := pgqueue_internal.normalize_name('queue', queue);
    target := pgqueue_internal.managed_namespace(namespace);
    q := pgqueue_internal.lock_queue(target, queue_name);
    PERFORM pgqueue_internal.check_interval('older_than', older_than, true);
    PERFORM pgqueue_internal.check_range('max_tasks', max_tasks, 0, NULL);
    SELECT n.name INTO namespace_name FROM pgqueue_internal.namespace n WHERE n.id = target;
    FOR finished IN
        SELECT t.* FROM pgqueue.task t
        WHERE t.namespace = namespace_name AND t.queue = queue_name
            AND t.status IN ('released', 'failed', 'expired', 'cancelled')
            AND (older_than IS NULL OR t.finished_at <= clock_timestamp() - older_than)
        ORDER BY t.finished_at, t.id
        LIMIT max_tasks
    LOOP
        IF pgqueue_internal.delete_task(finished.id) THEN
            RETURN NEXT finished;
        END IF;
    END LOOP;
END
$$;
CREATE FUNCTION pgqueue.clean_queue(queue text, older_than interval DEFAULT NULL, max_tasks integer DEFAULT NULL,
    namespace text DEFAULT NULL)
    RETURNS SETOF pgqueue.task LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_manage';
COMMENT ON FUNCTION pgqueue.clean_queue IS
'Removes finished tasks of a queue and returns them: those that ended at least older_than ago (NULL: all), the '
'oldest first, at most max_tasks (NULL: all). The archive does not change. Raises 22023 for a value out of range, '
'42704 for an unknown queue. Needs the privilege manage.';

CREATE FUNCTION pgqueue_internal.purge_queue(queue text, force boolean, namespace text) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    queue_name text;
    target integer;
    q pgqueue_internal.queue;
BEGIN
    PERFORM pgqueue_internal.check_call('purge_queue', true);
    queue_name := pgqueue_internal.normalize_name('queue', queue);
    target := pgqueue_internal.managed_namespace(namespace);
    PERFORM pgqueue_internal.check_queue_share(target, true);
    q := pgqueue_internal.lock_queue(target, queue_name);
    RETURN pgqueue_internal.purge_tasks(q.id, force IS TRUE);
END
$$;
CREATE FUNCTION pgqueue.purge_queue(queue text, force boolean DEFAULT false, namespace text DEFAULT NULL) RETURNS bigint
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_manage';
COMMENT ON FUNCTION pgqueue.purge_queue IS
'Removes all tasks of a queue except retained ones and returns how many; with force also the retained ones, which '
'are cancelled when they run. The archive does not change. Raises 42704 for an unknown queue, 53400 when too many '
'purged queues of the namespace wait for the end of older transactions. Needs the privilege manage.';
