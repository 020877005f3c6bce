-- The settings of a queue: defaults, ranges, words, zero as "off". The one place that decides what a queue's row may hold.

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
        RAISE EXCEPTION USING ERRCODE = 'feature_not_supported', MESSAGE = format('setting "%s" is not supported yet', setting),
            HINT = 'Only its default is accepted.';
    END IF;
END
$$;

-- Raises 22023 for a setting out of its range.
CREATE FUNCTION pgqueue_internal.check_queue_ranges(q pgqueue_internal.queue) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM
        pgqueue_internal.check_word('executor', q.executor, ARRAY['outside', 'server']),
        pgqueue_internal.check_interval('ttl', q.ttl, true),
        pgqueue_internal.check_range('retries', q.retries, 0, 32767),
        pgqueue_internal.check_interval('retry_delay', q.retry_delay, true),
        pgqueue_internal.check_word('backoff', q.backoff, ARRAY['exponential', 'linear', 'quadratic', 'fixed']),
        pgqueue_internal.check_interval('max_retry_delay', q.max_retry_delay, true),
        pgqueue_internal.check_range('retry_jitter', q.retry_jitter::numeric, 0, 1),
        pgqueue_internal.check_interval('lease', q.lease, false),
        pgqueue_internal.check_interval('run_limit', q.run_limit, true),
        pgqueue_internal.check_range('max_running', q.max_running, 0, NULL),
        pgqueue_internal.check_range('max_depth', q.max_depth, 0, NULL),
        pgqueue_internal.check_range('rate_limit', q.rate_limit::numeric, 0, NULL),
        pgqueue_internal.check_range('rate_burst', q.rate_burst, 1, NULL),
        pgqueue_internal.check_range('group_max_running', q.group_max_running, 1, NULL),
        pgqueue_internal.check_range('group_rate_limit', q.group_rate_limit::numeric, 0, NULL),
        pgqueue_internal.check_word('group_policy', q.group_policy, ARRAY['hold', 'pass']),
        pgqueue_internal.check_interval('aging', q.aging, true),
        pgqueue_internal.check_interval('retention', q.retention, true),
        pgqueue_internal.check_word('on_finish', q.on_finish, ARRAY['keep', 'archive', 'delete']),
        pgqueue_internal.check_range('group_commit', q.group_commit, 1, 32);
END
$$;

-- "Perhaps you meant queue ...", NULL when the namespace has none with a name like this.
CREATE FUNCTION pgqueue_internal.near_queue(target integer, wanted text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT pgqueue_internal.perhaps('queue', wanted, ARRAY(SELECT q.name FROM pgqueue_internal.queue q WHERE q.namespace_id = target))
$$;

-- Raises unless the dead-letter queue is another queue of the same namespace.
CREATE FUNCTION pgqueue_internal.check_dead_letter(q pgqueue_internal.queue) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF q.dead_letter IS NULL THEN
        RETURN;
    END IF;
    IF q.dead_letter = q.name THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'a queue cannot be its own dead-letter queue',
            HINT = 'Name another queue of the namespace, or '''' for none.';
    END IF;
    -- Its own name of before a rename is none either.
    IF NOT EXISTS (SELECT FROM pgqueue_internal.queue d
                   WHERE d.namespace_id = q.namespace_id AND d.name = q.dead_letter AND d.id IS DISTINCT FROM q.id) THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = format('dead-letter queue "%s" does not exist', q.dead_letter),
            HINT = coalesce(pgqueue_internal.near_queue(q.namespace_id, q.dead_letter), 'Create it first, in the same namespace.');
    END IF;
END
$$;

-- The row as it is stored: what is NULL and cannot be none has its default, zero and '' are NULL where they mean none.
-- Raises for what is wrong.
CREATE FUNCTION pgqueue_internal.checked_queue(q pgqueue_internal.queue) RETURNS pgqueue_internal.queue
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    q.executor := coalesce(q.executor, 'outside');
    q.priority := coalesce(q.priority, 100);
    q.retries := coalesce(q.retries, 3);
    q.retry_delay := coalesce(q.retry_delay, '2 minutes');
    q.backoff := coalesce(q.backoff, 'exponential');
    q.max_retry_delay := coalesce(q.max_retry_delay, '1 day');
    q.retry_jitter := coalesce(q.retry_jitter, 0);
    q.lease := coalesce(q.lease, '20 minutes');
    q.rate_burst := coalesce(q.rate_burst, 1);
    q.group_max_running := coalesce(q.group_max_running, 1);
    q.group_policy := coalesce(q.group_policy, 'hold');
    q.on_finish := coalesce(q.on_finish, 'keep');
    q.group_commit := coalesce(q.group_commit, 1);
    q.paused := coalesce(q.paused, false);
    PERFORM pgqueue_internal.check_queue_ranges(q);
    q.description := nullif(q.description, '');
    q.ttl := nullif(q.ttl, '0');
    q.run_limit := nullif(q.run_limit, '0');
    q.max_running := nullif(q.max_running, 0);
    q.max_depth := nullif(q.max_depth, 0);
    q.rate_limit := nullif(q.rate_limit, 0);
    q.group_rate_limit := nullif(q.group_rate_limit, 0);
    q.aging := nullif(q.aging, '0');
    q.dead_letter := nullif(q.dead_letter, '');
    q.forward_to := nullif(q.forward_to, '');
    IF NOT q.paused THEN
        q.paused_reason := NULL;
        q.paused_until := NULL;
    END IF;
    PERFORM pgqueue_internal.check_supported(q);
    PERFORM pgqueue_internal.check_dead_letter(q);
    RETURN q;
END
$$;

-- Stores a queue's row after the checks.
CREATE FUNCTION pgqueue_internal.store_queue(changed pgqueue_internal.queue) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    q pgqueue_internal.queue := pgqueue_internal.checked_queue(changed);
    old_name text;
BEGIN
    SELECT s.name INTO old_name FROM pgqueue_internal.queue s WHERE s.id = q.id;
    UPDATE pgqueue_internal.queue s
    SET (name, description, executor, priority, ttl, retries, retry_delay, backoff, max_retry_delay, retry_jitter, lease, run_limit,
         max_running, max_depth, rate_limit, rate_burst, group_max_running, group_rate_limit, group_policy, aging, retention, on_finish,
         dead_letter, group_commit, forward_to, paused, paused_reason, paused_until)
      = (q.name, q.description, q.executor, q.priority, q.ttl, q.retries, q.retry_delay, q.backoff, q.max_retry_delay, q.retry_jitter,
         q.lease, q.run_limit, q.max_running, q.max_depth, q.rate_limit, q.rate_burst, q.group_max_running, q.group_rate_limit,
         q.group_policy, q.aging, q.retention, q.on_finish, q.dead_letter, q.group_commit, q.forward_to, q.paused, q.paused_reason,
         q.paused_until)
    WHERE s.id = q.id AND s IS DISTINCT FROM q;
    -- Tickers, and queues that name it as their dead-letter queue, follow.
    IF old_name <> q.name THEN
        UPDATE pgqueue_internal.ticker t SET queue = q.name WHERE t.namespace_id = q.namespace_id AND t.queue = old_name;
        UPDATE pgqueue_internal.queue s SET dead_letter = q.name WHERE s.namespace_id = q.namespace_id AND s.dead_letter = old_name;
    END IF;
EXCEPTION WHEN unique_violation THEN
    RAISE EXCEPTION USING ERRCODE = 'duplicate_object', MESSAGE = format('queue "%s" already exists', q.name),
        HINT = 'Choose another name.';
END
$$;

-- The row with the settings that are given (not NULL) in place of its own.
CREATE FUNCTION pgqueue_internal.patched_queue(q pgqueue_internal.queue, description text, executor text, priority integer, ttl interval,
    retries integer, retry_delay interval, backoff text, max_retry_delay interval, retry_jitter double precision, lease interval,
    run_limit interval, max_running integer, max_depth bigint, rate_limit double precision, rate_burst integer, group_max_running integer,
    group_rate_limit double precision, group_policy text, aging interval, retention interval, on_finish text, dead_letter text,
    group_commit integer, forward_to text)
RETURNS pgqueue_internal.queue
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    q.description := coalesce(description, q.description);
    q.executor := coalesce(executor, q.executor);
    q.priority := coalesce(priority, q.priority);
    q.ttl := coalesce(ttl, q.ttl);
    q.retries := coalesce(retries, q.retries);
    q.retry_delay := coalesce(retry_delay, q.retry_delay);
    q.backoff := coalesce(backoff, q.backoff);
    q.max_retry_delay := coalesce(max_retry_delay, q.max_retry_delay);
    q.retry_jitter := coalesce(retry_jitter, q.retry_jitter);
    q.lease := coalesce(lease, q.lease);
    q.run_limit := coalesce(run_limit, q.run_limit);
    q.max_running := coalesce(max_running, q.max_running);
    q.max_depth := coalesce(max_depth, q.max_depth);
    q.rate_limit := coalesce(rate_limit, q.rate_limit);
    q.rate_burst := coalesce(rate_burst, q.rate_burst);
    q.group_max_running := coalesce(group_max_running, q.group_max_running);
    q.group_rate_limit := coalesce(group_rate_limit, q.group_rate_limit);
    q.group_policy := coalesce(group_policy, q.group_policy);
    q.aging := coalesce(aging, q.aging);
    q.retention := coalesce(retention, q.retention);
    q.on_finish := coalesce(on_finish, q.on_finish);
    q.dead_letter := coalesce(dead_letter, q.dead_letter);
    q.group_commit := coalesce(group_commit, q.group_commit);
    q.forward_to := coalesce(forward_to, q.forward_to);
    RETURN q;
END
$$;
