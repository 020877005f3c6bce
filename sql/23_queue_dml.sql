-- INSERT, UPDATE and DELETE on the view of queues. In these statements NULL means none; what cannot be none takes its default.

ALTER VIEW pgqueue.queue ALTER COLUMN executor SET DEFAULT 'outside';
ALTER VIEW pgqueue.queue ALTER COLUMN priority SET DEFAULT 100;
ALTER VIEW pgqueue.queue ALTER COLUMN ttl SET DEFAULT '1 hour';
ALTER VIEW pgqueue.queue ALTER COLUMN retries SET DEFAULT 3;
ALTER VIEW pgqueue.queue ALTER COLUMN retry_delay SET DEFAULT '2 minutes';
ALTER VIEW pgqueue.queue ALTER COLUMN backoff SET DEFAULT 'exponential';
ALTER VIEW pgqueue.queue ALTER COLUMN max_retry_delay SET DEFAULT '1 day';
ALTER VIEW pgqueue.queue ALTER COLUMN retry_jitter SET DEFAULT 0;
ALTER VIEW pgqueue.queue ALTER COLUMN lease SET DEFAULT '20 minutes';
ALTER VIEW pgqueue.queue ALTER COLUMN rate_burst SET DEFAULT 1;
ALTER VIEW pgqueue.queue ALTER COLUMN group_max_running SET DEFAULT 1;
ALTER VIEW pgqueue.queue ALTER COLUMN group_policy SET DEFAULT 'hold';
ALTER VIEW pgqueue.queue ALTER COLUMN on_finish SET DEFAULT 'keep';
ALTER VIEW pgqueue.queue ALTER COLUMN group_commit SET DEFAULT 1;
ALTER VIEW pgqueue.queue ALTER COLUMN paused SET DEFAULT false;

-- A queue's row with the settings of a row of the view.
CREATE FUNCTION pgqueue_internal.queue_with(q pgqueue_internal.queue, given pgqueue.queue) RETURNS pgqueue_internal.queue
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    q.description := given.description;
    q.executor := given.executor;
    q.priority := given.priority;
    q.ttl := given.ttl;
    q.retries := given.retries;
    q.retry_delay := given.retry_delay;
    q.backoff := given.backoff;
    q.max_retry_delay := given.max_retry_delay;
    q.retry_jitter := given.retry_jitter;
    q.lease := given.lease;
    q.run_limit := given.run_limit;
    q.max_running := given.max_running;
    q.max_depth := given.max_depth;
    q.rate_limit := given.rate_limit;
    q.rate_burst := given.rate_burst;
    q.group_max_running := given.group_max_running;
    q.group_rate_limit := given.group_rate_limit;
    q.group_policy := given.group_policy;
    q.aging := given.aging;
    q.retention := given.retention;
    q.on_finish := given.on_finish;
    q.dead_letter := given.dead_letter;
    q.group_commit := given.group_commit;
    q.forward_to := given.forward_to;
    q.paused := given.paused;
    q.paused_reason := given.paused_reason;
    q.paused_until := given.paused_until;
    RETURN q;
END
$$;

CREATE FUNCTION pgqueue_internal.queue_insert() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target integer;
    queue_name text;
    q pgqueue_internal.queue;
BEGIN
    PERFORM pgqueue_internal.check_call('INSERT', true);
    queue_name := pgqueue_internal.normalize_name('queue', NEW.queue);
    target := pgqueue_internal.managed_namespace(NEW.namespace);
    IF NEW.created_at IS NOT NULL THEN
        PERFORM pgqueue_internal.refuse_column('created_at', 'queue');
    END IF;
    q := pgqueue_internal.add_queue(target, queue_name);
    IF q.id IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'duplicate_object', MESSAGE = format('queue "%s" already exists', queue_name),
            HINT = 'Change it with UPDATE, or with create_queue, which creates or updates.';
    END IF;
    PERFORM pgqueue_internal.store_queue(pgqueue_internal.queue_with(q, NEW));
    NEW := pgqueue_internal.shown_queue(q.id);
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
    END IF;
    q := pgqueue_internal.lock_queue(pgqueue_internal.managed_namespace(OLD.namespace), OLD.queue);
    IF NEW.queue IS DISTINCT FROM OLD.queue THEN
        q.name := pgqueue_internal.normalize_name('queue', NEW.queue);
    END IF;
    PERFORM pgqueue_internal.store_queue(pgqueue_internal.queue_with(q, NEW));
    NEW := pgqueue_internal.shown_queue(q.id);
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

CREATE TRIGGER dml_insert INSTEAD OF INSERT ON pgqueue.queue FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.as_owner('queue_insert');
CREATE TRIGGER dml_update INSTEAD OF UPDATE ON pgqueue.queue FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.as_owner('queue_update');
CREATE TRIGGER dml_delete INSTEAD OF DELETE ON pgqueue.queue FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.as_owner('queue_delete');
