-- What a queue's row may hold beside the ranges of its settings.

-- Raises 0A000 for settings without effect in this version.
CREATE FUNCTION pgqueue_internal.check_supported(q pgqueue_internal.queue) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    setting text;
BEGIN
    setting := CASE
        WHEN q.group_commit <> 1 THEN 'group_commit'
        WHEN q.forward_to IS NOT NULL THEN 'forward_to'
    END;
    IF setting IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'feature_not_supported',
            MESSAGE = format('setting "%s" is not supported yet', setting),
            HINT = 'Only its default is accepted.';
    END IF;
END
$$;

-- "Perhaps you meant queue ...", NULL when the namespace has none with a name like this.
CREATE FUNCTION pgqueue_internal.near_queue(target integer, wanted text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT pgqueue_internal.perhaps('queue', wanted,
        ARRAY(SELECT q.name FROM pgqueue_internal.queue q WHERE q.namespace_id = target))
$$;

-- Raises unless the dead-letter queue is another queue of the same namespace.
CREATE FUNCTION pgqueue_internal.check_dead_letter(q pgqueue_internal.queue) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF q.dead_letter IS NULL THEN
        RETURN;
    END IF;
    IF q.dead_letter = q.name THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'a queue cannot be its own dead-letter queue',
            HINT = 'Name another queue of the namespace, or '''' for none.';
    END IF;
    -- Its own name of before a rename is none either.
    IF NOT EXISTS (SELECT FROM pgqueue_internal.queue d
                   WHERE d.namespace_id = q.namespace_id AND d.name = q.dead_letter AND d.id IS DISTINCT FROM q.id) THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('dead-letter queue "%s" does not exist', q.dead_letter),
            HINT = coalesce(pgqueue_internal.near_queue(q.namespace_id, q.dead_letter),
                'Create it first, in the same namespace.');
    END IF;
END
$$;

-- Stores a queue's row, which the caller has locked, and returns it as the view shows it.
CREATE FUNCTION pgqueue_internal.store_queue(changed pgqueue_internal.queue) RETURNS pgqueue.queue
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    q pgqueue_internal.queue := pgqueue_internal.checked_row('queue', changed);
    old_name text := (SELECT s.name FROM pgqueue_internal.queue s WHERE s.id = q.id);
BEGIN
    IF NOT q.paused THEN
        q.paused_reason := NULL;
        q.paused_until := NULL;
    END IF;
    PERFORM pgqueue_internal.check_supported(q);
    PERFORM pgqueue_internal.check_dead_letter(q);
    BEGIN
        PERFORM pgqueue_internal.store_row(q);
    EXCEPTION WHEN unique_violation THEN
        RAISE EXCEPTION USING ERRCODE = 'duplicate_object', MESSAGE = format('queue "%s" already exists', q.name),
            HINT = 'Choose another name.';
    END;
    -- Tickers, and queues that name it as their dead-letter queue, follow.
    IF old_name <> q.name THEN
        UPDATE pgqueue_internal.ticker t SET queue = q.name
        WHERE t.namespace_id = q.namespace_id AND t.queue = old_name;
        UPDATE pgqueue_internal.queue s SET dead_letter = q.name
        WHERE s.namespace_id = q.namespace_id AND s.dead_letter = old_name;
    END IF;
    RETURN pgqueue_internal.shown_queue(q.id);
END
$$;
