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

-- A queue's row with the settings of a row of the view that differ from those that the statement has read. read: NULL for a new queue.
CREATE FUNCTION pgqueue_internal.queue_with(q pgqueue_internal.queue, given pgqueue.queue, read pgqueue.queue) RETURNS pgqueue_internal.queue
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    q.description := pgqueue_internal.column_after(given.description, read.description, q.description);
    q.executor := pgqueue_internal.column_after(given.executor, read.executor, q.executor);
    q.priority := pgqueue_internal.column_after(given.priority, read.priority, q.priority);
    q.ttl := pgqueue_internal.column_after(given.ttl, read.ttl, q.ttl);
    q.retries := pgqueue_internal.column_after(given.retries, read.retries, q.retries);
    q.retry_delay := pgqueue_internal.column_after(given.retry_delay, read.retry_delay, q.retry_delay);
    q.backoff := pgqueue_internal.column_after(given.backoff, read.backoff, q.backoff);
    q.max_retry_delay := pgqueue_internal.column_after(given.max_retry_delay, read.max_retry_delay, q.max_retry_delay);
    q.retry_jitter := pgqueue_internal.column_after(given.retry_jitter, read.retry_jitter, q.retry_jitter);
    q.lease := pgqueue_internal.column_after(given.lease, read.lease, q.lease);
    q.run_limit := pgqueue_internal.column_after(given.run_limit, read.run_limit, q.run_limit);
    q.max_running := pgqueue_internal.column_after(given.max_running, read.max_running, q.max_running);
    q.max_depth := pgqueue_internal.column_after(given.max_depth, read.max_depth, q.max_depth);
    q.rate_limit := pgqueue_internal.column_after(given.rate_limit, read.rate_limit, q.rate_limit);
    q.rate_burst := pgqueue_internal.column_after(given.rate_burst, read.rate_burst, q.rate_burst);
    q.group_max_running := pgqueue_internal.column_after(given.group_max_running, read.group_max_running, q.group_max_running);
    q.group_rate_limit := pgqueue_internal.column_after(given.group_rate_limit, read.group_rate_limit, q.group_rate_limit);
    q.group_policy := pgqueue_internal.column_after(given.group_policy, read.group_policy, q.group_policy);
    q.aging := pgqueue_internal.column_after(given.aging, read.aging, q.aging);
    q.retention := pgqueue_internal.column_after(given.retention, read.retention, q.retention);
    q.on_finish := pgqueue_internal.column_after(given.on_finish, read.on_finish, q.on_finish);
    q.dead_letter := pgqueue_internal.column_after(given.dead_letter, read.dead_letter, q.dead_letter);
    q.group_commit := pgqueue_internal.column_after(given.group_commit, read.group_commit, q.group_commit);
    q.forward_to := pgqueue_internal.column_after(given.forward_to, read.forward_to, q.forward_to);
    q.paused := pgqueue_internal.column_after(given.paused, read.paused, q.paused);
    q.paused_reason := pgqueue_internal.column_after(given.paused_reason, read.paused_reason, q.paused_reason);
    q.paused_until := pgqueue_internal.column_after(given.paused_until, read.paused_until, q.paused_until);
    RETURN q;
END
$$;

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
    PERFORM pgqueue_internal.store_queue(pgqueue_internal.queue_with(bare, NEW, NULL));
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
    ELSIF NEW.paused_until IS DISTINCT FROM OLD.paused_until THEN
        PERFORM pgqueue_internal.check_pause_end('paused_until', NEW.paused_until);
    END IF;
    q := pgqueue_internal.lock_queue(pgqueue_internal.managed_namespace(OLD.namespace), OLD.queue);
    IF NEW.queue IS DISTINCT FROM OLD.queue THEN
        q.name := pgqueue_internal.normalize_name('queue', NEW.queue);
    END IF;
    PERFORM pgqueue_internal.store_queue(pgqueue_internal.queue_with(q, NEW, OLD));
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
