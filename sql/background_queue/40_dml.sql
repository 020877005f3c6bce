-- INSERT, UPDATE and DELETE on the relation. They run as the owner of extension pgqueue; what the role that changes the
-- view may do is checked by the functions of pgqueue that they call.

-- INSERT is enqueue, with the priority of the column. A joined_at to come delays the task until then.
CREATE FUNCTION pgqueue_internal.background_insert() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wrong text := CASE
        WHEN NEW.id IS NOT NULL THEN 'id'
        WHEN NEW.state <> 'pending' THEN 'state'
        WHEN NEW.started_at IS NOT NULL THEN 'started_at'
        WHEN NEW.closed_at IS NOT NULL THEN 'closed_at'
        WHEN NEW.errors IS NOT NULL THEN 'errors'
        WHEN NEW.retry_count <> 0 THEN 'retry_count'
        WHEN NEW.retry_delay_in_sec <> 0 THEN 'retry_delay_in_sec'
    END;
BEGIN
    IF NEW.sql_statement IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'not_null_violation',
            MESSAGE = 'null value in column "sql_statement" of view "pg_background_tasks"',
            HINT = 'Give the SQL to run.';
    ELSIF wrong IS NOT NULL THEN
        PERFORM pgqueue_internal.refuse_column(wrong, 'pg_background_tasks');
    END IF;
    PERFORM pgqueue_internal.check_moment('joined_at', NEW.joined_at::timestamptz);
    NEW.priority := coalesce(NEW.priority, 0);
    -- The default is no delay, also in the hour that the local clock shows twice.
    NEW.id := pgqueue_internal.background_enqueue(NEW.sql_statement, NEW.topic, NEW.priority,
        nullif(NEW.joined_at, now()::timestamp)::timestamptz);
    NEW.joined_at := coalesce(NEW.joined_at, clock_timestamp()::timestamp);
    NEW.state := 'pending';
    NEW.retry_count := 0;
    NEW.retry_delay_in_sec := 0;
    RETURN NEW;
END
$$;

-- A failed task that is archived already is a waiting one again, of the role that enqueued it. False: it is not
-- archived. One of 1.0 that nobody knows a role of becomes the superuser's who looked at it.
CREATE FUNCTION pgqueue_internal.background_revive(id bigint) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    background integer := pgqueue_internal.background_namespace();
    archived pgqueue_internal.archive;
    runner oid;
    t record;
BEGIN
    SELECT a.* INTO archived FROM pgqueue_internal.archive a
    WHERE a.id = background_revive.id AND a.namespace_id = background AND a.status <> 'released' FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    runner := pgqueue_internal.role_of_key(archived.role_id);
    IF archived.role_id IS NULL THEN
        runner := (SELECT r.oid FROM pg_roles r WHERE r.oid = pgqueue_internal.caller() AND r.rolsuper);
        IF runner IS NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
                MESSAGE = format('permission denied to run task %s again', archived.id),
                DETAIL = 'It comes from version 1.0, and several roles could have written it.',
                HINT = 'Only a superuser may, and the task runs as that superuser.';
        END IF;
    ELSIF runner IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = format('role "%s" of task %s does not exist',
                pgqueue_internal.role_of(archived.role_id), archived.id),
            DETAIL = 'A role that has its name now is another one.',
            HINT = 'Enqueue the statement again as a role that exists.';
    ELSIF NOT (pgqueue_internal.may(background, 'use') AND pg_has_role(pgqueue_internal.caller(), runner, 'USAGE')) THEN
        PERFORM pgqueue_internal.require(background, 'manage');
    END IF;
    t := pgqueue_internal.topic(archived.headers ->> 'topic');
    PERFORM pgqueue_internal.make_topic_queue(background, t.topic, t.queue, t.priority, t.retries, t.max_running,
        t.delay_in_sec);
    PERFORM pgqueue_internal.put_task(archived.id, q.id, runner, archived.command, archived.priority, archived.headers,
        archived.created_at, NULL, 0, NULL)
    FROM pgqueue_internal.queue q WHERE q.namespace_id = background AND q.name = t.queue;
    DELETE FROM pgqueue_internal.archive a WHERE a.id = archived.id AND a.namespace_id = background;
    RETURN true;
END
$$;

-- state: failed cancels, pending runs again what has failed or waits for a retry.
CREATE FUNCTION pgqueue_internal.background_set_state(id bigint, old_state text, new_state text, reason text)
    RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF new_state = 'failed' AND old_state IN ('pending', 'retrying', 'running') THEN
        PERFORM pgqueue.cancel_task(id, reason => coalesce(reason, 'cancelled'), namespace => 'pg_background_queue');
    ELSIF new_state = 'pending' AND old_state IN ('failed', 'retrying') THEN
        IF NOT pgqueue_internal.background_revive(id) THEN
            PERFORM pgqueue.retry_task(id, namespace => 'pg_background_queue');
        END IF;
    ELSE
        RAISE EXCEPTION USING ERRCODE = 'feature_not_supported',
            MESSAGE = format('a task that is %s cannot be set to %s', old_state, new_state),
            HINT = 'Set an unfinished task to failed to cancel it, '
                'a failed or retrying one to pending to run it again.';
    END IF;
END
$$;

CREATE FUNCTION pgqueue_internal.background_update() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    which text[] := '{}';
    wrong text;
    t record;
BEGIN
    -- What a task's end and a fresh run bring with them may be written beside the state.
    SELECT min(n.key) INTO wrong
    FROM jsonb_each(to_jsonb(NEW)) n JOIN jsonb_each(to_jsonb(OLD)) o USING (key)
    WHERE n.value <> o.value AND n.key <> ALL (ARRAY['priority', 'topic', 'state']
        || CASE WHEN NEW.state <> OLD.state
            THEN ARRAY['started_at', 'closed_at', 'errors', 'retry_count', 'retry_delay_in_sec'] ELSE '{}' END);
    IF wrong IS NOT NULL OR NEW.state IS NULL THEN
        PERFORM pgqueue_internal.refuse_column(coalesce(wrong, 'state'), 'pg_background_tasks');
    END IF;
    IF NEW.priority IS DISTINCT FROM OLD.priority THEN
        which := which || 'priority'::text;
    END IF;
    t := pgqueue_internal.topic(NEW.topic);
    IF NEW.topic IS DISTINCT FROM OLD.topic THEN
        which := which || '{queue,headers}'::text[];
        PERFORM pgqueue_internal.make_topic_queue(pgqueue_internal.background_namespace(), t.topic, t.queue,
            t.priority, t.retries, t.max_running, t.delay_in_sec);
    END IF;
    IF which <> '{}' AND NOT pgqueue_internal.update_task(OLD.id, NEW.priority, NULL, NULL, NULL, NULL,
            CASE WHEN NEW.topic IS NOT NULL THEN jsonb_build_object('topic', NEW.topic) END, NULL, t.queue, which) THEN
        RETURN NULL;
    END IF;
    IF NEW.state <> OLD.state THEN
        PERFORM pgqueue_internal.background_set_state(OLD.id, OLD.state::text, NEW.state::text,
            nullif(NEW.errors, OLD.errors));
    END IF;
    RETURN NEW;
END
$$;

CREATE FUNCTION pgqueue_internal.background_delete() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    background integer := pgqueue_internal.background_namespace();
BEGIN
    IF pgqueue_internal.delete_task(OLD.id) THEN
        RETURN OLD;
    END IF;
    PERFORM pgqueue_internal.require(background, 'manage');
    DELETE FROM pgqueue_internal.archive a WHERE a.id = OLD.id AND a.namespace_id = background;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    RETURN OLD;
END
$$;

CREATE TRIGGER dml_insert INSTEAD OF INSERT ON @extschema@.pg_background_tasks
    FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.as_owner('background_insert');
CREATE TRIGGER dml_update INSTEAD OF UPDATE ON @extschema@.pg_background_tasks
    FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.as_owner('background_update');
CREATE TRIGGER dml_delete INSTEAD OF DELETE ON @extschema@.pg_background_tasks
    FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.as_owner('background_delete');
