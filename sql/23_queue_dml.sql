-- INSERT, UPDATE and DELETE on the view of queues. In these statements NULL means none;
-- what cannot be none takes its default.

CREATE FUNCTION pgqueue_internal.queue_insert() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target integer;
    queue_name text;
    q pgqueue_internal.queue;
    bare pgqueue_internal.queue;
BEGIN
    PERFORM pgqueue_internal.check_call('INSERT', true);
    queue_name := pgqueue_internal.normalize_name('queue', NEW.queue);
    target := pgqueue_internal.managed_namespace(NEW.namespace);
    IF NEW.created_at IS NOT NULL THEN
        PERFORM pgqueue_internal.refuse_column('created_at', 'queue');
    END IF;
    PERFORM pgqueue_internal.check_pause_end('paused_until', NEW.paused_until);
    q := pgqueue_internal.add_queue(target, queue_name);
    IF q.id IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'duplicate_object', MESSAGE = format('queue "%s" already exists', queue_name),
            HINT = 'Change it with UPDATE, or with create_queue, which creates or updates.';
    END IF;
    -- NULL means none, or the default of what cannot be none.
    bare.id := q.id;
    bare.namespace_id := q.namespace_id;
    bare.name := q.name;
    bare.created_at := q.created_at;
    NEW := pgqueue_internal.store_queue(pgqueue_internal.row_with(bare, NEW, NULL));
    RETURN NEW;
END
$$;

CREATE FUNCTION pgqueue_internal.queue_update() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    q pgqueue_internal.queue;
BEGIN
    PERFORM pgqueue_internal.check_call('UPDATE', true);
    IF NEW.namespace IS DISTINCT FROM OLD.namespace THEN
        PERFORM pgqueue_internal.refuse_column('namespace', 'queue');
    ELSIF NEW.created_at IS DISTINCT FROM OLD.created_at THEN
        PERFORM pgqueue_internal.refuse_column('created_at', 'queue');
    ELSIF NEW.paused_until IS DISTINCT FROM OLD.paused_until THEN
        PERFORM pgqueue_internal.check_pause_end('paused_until', NEW.paused_until);
    END IF;
    q := pgqueue_internal.lock_queue(pgqueue_internal.managed_namespace(OLD.namespace), OLD.queue);
    IF NEW.queue IS DISTINCT FROM OLD.queue THEN
        q.name := pgqueue_internal.normalize_name('queue', NEW.queue);
    END IF;
    NEW := pgqueue_internal.store_queue(pgqueue_internal.row_with(q, NEW, OLD));
    RETURN NEW;
END
$$;

CREATE FUNCTION pgqueue_internal.queue_delete() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pgqueue_internal.delete_queue(OLD.queue, false, OLD.namespace);
    RETURN OLD;
END
$$;

CREATE TRIGGER dml_insert INSTEAD OF INSERT ON pgqueue.queue
    FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.as_owner('queue_insert');
CREATE TRIGGER dml_update INSTEAD OF UPDATE ON pgqueue.queue
    FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.as_owner('queue_update');
CREATE TRIGGER dml_delete INSTEAD OF DELETE ON pgqueue.queue
    FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.as_owner('queue_delete');
