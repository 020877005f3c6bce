-- Functions of tasks that are made of SQL, and INSERT, UPDATE and DELETE on the views.

CREATE FUNCTION pgqueue.get_task(id bigint, namespace text DEFAULT NULL) RETURNS SETOF pgqueue.task
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED ROWS 1 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    task pgqueue.task;
BEGIN
    IF id IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'argument "id" must not be NULL';
    END IF;
    SELECT t.* INTO task FROM pgqueue.task t WHERE t.id = get_task.id;
    IF NOT FOUND THEN
        SELECT a.id, a.namespace, a.queue, a.status, a.type, a.command, a.payload, a.headers, a.priority, a.role,
            a.attempt, a.retries, a.group_key, a.dedup_key, a.batch_key, a.depends_on, a.created_at, a.delayed_at,
            a.dies_at, a.started_at, a.finished_at, a.worker, a.pid, a.receipt, a.lease_until, a.result, a.error,
            a.error_code, a.error_info, a.transactional, a.ticker, a.origin_queue
        INTO task FROM pgqueue.task_archive a WHERE a.id = get_task.id;
        IF NOT FOUND THEN
            RETURN;
        END IF;
    END IF;
    IF task.namespace <> lower(btrim(namespace, E' \t\n\r\f\x0b')) THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('task %s does not exist in namespace "%s"', id, namespace),
            HINT = 'Leave out the namespace, or give the one of the task.';
    END IF;
    RETURN NEXT task;
END
$$;
COMMENT ON FUNCTION pgqueue.get_task IS
'Returns a task, also an archived one, or no row when there is none that the caller may see. namespace, when given, '
'must be that of the task, else 42704; id must not be NULL (22004). The privileges read and manage, and pg_monitor, '
'show all tasks; use shows the caller''s own, work those that it holds.';

CREATE FUNCTION pgqueue.current_task() RETURNS SETOF pgqueue.task
LANGUAGE sql VOLATILE ROWS 1
BEGIN ATOMIC
    SELECT t.* FROM pgqueue.task t WHERE t.id = pgqueue_internal.current_task_id();
END;
COMMENT ON FUNCTION pgqueue.current_task IS
'Returns the row of the task that this session runs, and no row outside of a task. As in the view task, the caller '
'sees it with the privilege read or manage, or use for its own task.';

CREATE FUNCTION pgqueue.priority_value(name text) RETURNS integer
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    value integer := CASE lower(btrim(name, E' \t\n\r\f\x0b'))
        WHEN 'high' THEN 10 WHEN 'default' THEN 100 WHEN 'low' THEN 1000 END;
BEGIN
    IF name IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'argument "name" must not be NULL';
    ELSIF value IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('invalid value for "name": "%s"', name),
            HINT = 'Valid values: high, default, low.';
    END IF;
    RETURN value;
END
$$;
COMMENT ON FUNCTION pgqueue.priority_value IS
'Returns the number of a priority by its name: high is 10, default 100, low 1000. Raises 22023 for any other name, '
'22004 for NULL. Needs no privilege.';

CREATE FUNCTION pgqueue.priority_name(priority integer) RETURNS text
LANGUAGE sql VOLATILE
RETURN CASE priority WHEN 10 THEN 'high' WHEN 100 THEN 'default' WHEN 1000 THEN 'low' ELSE 'unknown' END;
COMMENT ON FUNCTION pgqueue.priority_name IS
'Returns the name of a priority: high for 10, default for 100, low for 1000, and unknown for any other number. '
'Needs no privilege.';

-- INSERT creates a task as the role that inserts. dies_at is given to create_task as a ttl, so without delayed_at it
-- comes out later by the time of the call.
CREATE FUNCTION pgqueue_internal.task_insert() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    column_name text;
    ttl interval;
BEGIN
    IF num_nonnulls(NEW.id, NEW.status, NEW.role, NEW.attempt, NEW.created_at, NEW.started_at, NEW.finished_at,
            NEW.worker, NEW.pid, NEW.receipt, NEW.lease_until, NEW.result, NEW.error, NEW.error_code, NEW.error_info,
            NEW.transactional, NEW.ticker, NEW.origin_queue) > 0 THEN
        SELECT k INTO column_name
        FROM unnest(ARRAY['id', 'status', 'role', 'attempt', 'created_at', 'started_at', 'finished_at', 'worker',
            'pid', 'receipt', 'lease_until', 'result', 'error', 'error_code', 'error_info', 'transactional', 'ticker',
            'origin_queue']) k
        WHERE to_jsonb(NEW) ->> k IS NOT NULL
        LIMIT 1;
        RAISE EXCEPTION USING ERRCODE = 'feature_not_supported',
            MESSAGE = format('column "%s" of view "task" cannot be set', column_name),
            HINT = 'Omit this column; the functions of schema pgqueue may change what the view cannot.';
    END IF;
    -- As check_moment() says it; this runs as the caller, who may not call it. create_task checks delayed_at.
    IF NEW.dies_at < '1970-01-01 00:00+00' OR NEW.dies_at >= '10000-01-01 00:00+00' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('"dies_at" is out of range: %s', NEW.dies_at),
            HINT = 'It must be a time of the years 1970 to 9999.';
    ELSIF NEW.dies_at <= coalesce(NEW.delayed_at, clock_timestamp()) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('"dies_at" is out of range: %s', NEW.dies_at),
            HINT = 'It must be in the future, and after delayed_at.';
    ELSIF NEW.dies_at IS NOT NULL THEN
        ttl := make_interval(secs => extract(epoch FROM NEW.dies_at - coalesce(NEW.delayed_at, clock_timestamp())));
    END IF;
    NEW.id := pgqueue.create_task(queue => NEW.queue, payload => NEW.payload, type => NEW.type, command => NEW.command,
        priority => NEW.priority, delayed_at => NEW.delayed_at, ttl => ttl, retries => NEW.retries,
        dedup_key => NEW.dedup_key, group_key => NEW.group_key, batch_key => NEW.batch_key,
        depends_on => NEW.depends_on, headers => NEW.headers, namespace => NEW.namespace);
    SELECT t.* INTO NEW FROM pgqueue.task t WHERE t.id = NEW.id;
    RETURN NEW;
END
$$;

-- UPDATE of what may change; runs as the extension's owner, update_task() checks the caller's rights.
CREATE FUNCTION pgqueue_internal.task_update() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    which text[];
    wrong text;
BEGIN
    SELECT coalesce(array_agg(n.key) FILTER (WHERE n.key = ANY (ARRAY['priority', 'delayed_at', 'dies_at', 'retries',
            'payload', 'headers', 'group_key', 'queue'])), '{}'),
        min(n.key) FILTER (WHERE n.key <> ALL (ARRAY['priority', 'delayed_at', 'dies_at', 'retries', 'payload',
            'headers', 'group_key', 'queue', 'status']))
    INTO which, wrong
    FROM jsonb_each(to_jsonb(NEW)) n
    JOIN jsonb_each(to_jsonb(OLD)) o USING (key)
    WHERE n.value <> o.value;
    IF wrong IS NOT NULL THEN
        PERFORM pgqueue_internal.refuse_column(wrong, 'task');
    END IF;
    IF which <> '{}' AND NOT pgqueue_internal.update_task(OLD.id, NEW.priority, NEW.delayed_at, NEW.dies_at,
            NEW.retries, NEW.payload, NEW.headers, NEW.group_key, NEW.queue, which) THEN
        RETURN NULL;
    END IF;
    RETURN NEW;
END
$$;

-- UPDATE of the status: the same as the functions, as the role that updates.
CREATE FUNCTION pgqueue_internal.task_update_status() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.status IS NOT DISTINCT FROM OLD.status THEN
        RETURN NEW;
    ELSIF NEW.status = 'cancelled' THEN
        NEW.status := pgqueue.cancel_task(OLD.id);
    ELSIF NEW.status = 'retry' THEN
        NEW.status := pgqueue.retry_task(OLD.id);
    ELSE
        -- As check_word() says it; this runs as the caller.
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('invalid value for "status": "%s"', NEW.status),
            HINT = 'Valid values: cancelled, retry.';
    END IF;
    RETURN NEW;
END
$$;

CREATE FUNCTION pgqueue_internal.task_delete() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT pgqueue_internal.delete_task(OLD.id) THEN
        RETURN NULL;
    END IF;
    RETURN OLD;
END
$$;

CREATE FUNCTION pgqueue_internal.task_archive_delete() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target integer := pgqueue_internal.resolve_namespace(OLD.namespace);
BEGIN
    PERFORM pgqueue_internal.check_call('DELETE', true);
    PERFORM pgqueue_internal.require(target, 'manage');
    DELETE FROM pgqueue_internal.archive a WHERE a.id = OLD.id AND a.namespace_id = target;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    RETURN OLD;
END
$$;

CREATE TRIGGER dml_insert INSTEAD OF INSERT ON pgqueue.task
    FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.task_insert();
CREATE TRIGGER dml_update INSTEAD OF UPDATE ON pgqueue.task
    FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.as_owner('task_update');
CREATE TRIGGER dml_update_status INSTEAD OF UPDATE ON pgqueue.task
    FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.task_update_status();
CREATE TRIGGER dml_delete INSTEAD OF DELETE ON pgqueue.task
    FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.as_owner('task_delete');
CREATE TRIGGER dml_delete INSTEAD OF DELETE ON pgqueue.task_archive
    FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.as_owner('task_archive_delete');
