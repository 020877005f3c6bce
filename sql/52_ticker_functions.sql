-- The functions that manage tickers, each a body here and its entry in schema pgqueue.

-- Raises 55000 while pgqueue.tickers is off.
CREATE FUNCTION pgqueue_internal.check_tickers_on() RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF current_setting('pgqueue.tickers')::boolean IS NOT TRUE THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state', MESSAGE = 'cron is disabled',
            DETAIL = 'The setting pgqueue.tickers is off: no ticker fires.',
            HINT = 'ALTER SYSTEM SET pgqueue.tickers = on; SELECT pg_reload_conf();';
    END IF;
END
$$;

-- The namespace of a call that changes or fires a ticker; the caller needs manage in it. In the
-- extension's own the schedule can be changed.
CREATE FUNCTION pgqueue_internal.ticker_namespace(namespace text) RETURNS integer
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target integer := pgqueue_internal.resolve_namespace(namespace);
BEGIN
    PERFORM pgqueue_internal.require(target, 'manage');
    RETURN target;
END
$$;

-- Locks a ticker of a namespace and returns its row; 42704 when there is none.
CREATE FUNCTION pgqueue_internal.lock_ticker(target integer, ticker_name text) RETURNS pgqueue_internal.ticker
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    t pgqueue_internal.ticker;
    namespace_name text;
BEGIN
    SELECT s.* INTO t
    FROM pgqueue_internal.ticker s
    WHERE s.namespace_id = target AND s.name = ticker_name FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        SELECT n.name INTO namespace_name FROM pgqueue_internal.namespace n WHERE n.id = target;
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('ticker "%s" does not exist in namespace "%s"', ticker_name, namespace_name),
            HINT = coalesce(pgqueue_internal.perhaps('ticker', ticker_name,
                    ARRAY(SELECT s.name FROM pgqueue_internal.ticker s WHERE s.namespace_id = target)),
                'See the view pgqueue.ticker.');
    END IF;
    RETURN t;
END
$$;

-- Makes a ticker with the defaults, disabled; NULL when the name is taken, at the latest
-- when the session that takes it commits.
CREATE FUNCTION pgqueue_internal.add_ticker(target integer, ticker_name text) RETURNS pgqueue_internal.ticker
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    t pgqueue_internal.ticker;
BEGIN
    PERFORM pgqueue_internal.refuse_system_namespace(target);
    PERFORM pgqueue_internal.keep_namespace(target);
    INSERT INTO pgqueue_internal.ticker AS s (namespace_id, name, time_zone, role, role_name)
    VALUES (target, ticker_name, pgqueue_internal.database_time_zone(), pgqueue_internal.caller(), '')
    ON CONFLICT ON CONSTRAINT ticker_namespace_id_name_key DO NOTHING
    RETURNING s.* INTO t;
    RETURN t;
END
$$;

CREATE FUNCTION pgqueue_internal.create_ticker(given pgqueue.ticker) RETURNS pgqueue.ticker
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target integer;
    ticker_name text;
    t pgqueue_internal.ticker;
    was pgqueue_internal.ticker;
BEGIN
    PERFORM pgqueue_internal.check_call('create_ticker', true);
    PERFORM pgqueue_internal.check_tickers_on();
    ticker_name := pgqueue_internal.normalize_name('ticker', given.ticker);
    target := pgqueue_internal.ticker_namespace(given.namespace);
    LOOP
        SELECT s.* INTO was
        FROM pgqueue_internal.ticker s
        WHERE s.namespace_id = target AND s.name = ticker_name FOR NO KEY UPDATE;
        t := was;
        EXIT WHEN FOUND;
        t := pgqueue_internal.add_ticker(target, ticker_name);
        EXIT WHEN t.id IS NOT NULL;
    END LOOP;
    IF was.id IS NULL AND num_nonnulls(given.period, nullif(given.cron, '')) = 0 THEN
        given.period := pgqueue_internal.preset('ticker', 'period');
    END IF;
    RETURN pgqueue_internal.store_ticker(pgqueue_internal.ticker_with(t, given, NULL), was);
END
$$;

CREATE FUNCTION pgqueue.create_ticker(
    ticker text, queue text DEFAULT NULL, period interval DEFAULT NULL, cron text DEFAULT NULL,
    time_zone text DEFAULT NULL, payload jsonb DEFAULT NULL, type text DEFAULT NULL, command text DEFAULT NULL,
    priority integer DEFAULT NULL, retries integer DEFAULT NULL, ttl interval DEFAULT NULL,
    run_limit interval DEFAULT NULL, misfire text DEFAULT NULL, misfire_max integer DEFAULT NULL,
    overlap text DEFAULT NULL, jitter interval DEFAULT NULL, starts_at timestamptz DEFAULT NULL,
    ends_at timestamptz DEFAULT NULL, paused boolean DEFAULT NULL, description text DEFAULT NULL,
    namespace text DEFAULT NULL)
    RETURNS pgqueue.ticker LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_manage';
COMMENT ON FUNCTION pgqueue.create_ticker IS
'Creates a ticker, or changes the given settings of an existing one, and returns its row. Its slots come by period '
'(at least 1 second, default 1 minute) or by cron in time_zone (default: that of the database). In queue it makes '
'tasks with payload, type or command, which run as the role that created the ticker or changed one of these last; '
'without queue it ticks for next_ticker. Raises 22023 for a value out of range or for both period and cron, 42704 '
'for an unknown queue, 42602 for an invalid name, 55000 while pgqueue.tickers is off. Needs the privilege manage.';

CREATE FUNCTION pgqueue_internal.update_ticker(given pgqueue.ticker, rename_to text) RETURNS pgqueue.ticker
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target integer;
    ticker_name text;
    t pgqueue_internal.ticker;
    was pgqueue_internal.ticker;
BEGIN
    PERFORM pgqueue_internal.check_call('update_ticker', true);
    ticker_name := pgqueue_internal.normalize_name('ticker', given.ticker);
    target := pgqueue_internal.ticker_namespace(given.namespace);
    given.ticker := NULL;
    given.namespace := NULL;
    PERFORM pgqueue_internal.check_patched(NOT (given IS NULL) OR rename_to IS NOT NULL);
    was := pgqueue_internal.lock_ticker(target, ticker_name);
    t := pgqueue_internal.ticker_with(was, given, NULL);
    IF rename_to IS NOT NULL THEN
        t.name := pgqueue_internal.normalize_name('ticker', rename_to);
    END IF;
    RETURN pgqueue_internal.store_ticker(t, was);
END
$$;

CREATE FUNCTION pgqueue.update_ticker(
    ticker text, queue text DEFAULT NULL, period interval DEFAULT NULL, cron text DEFAULT NULL,
    time_zone text DEFAULT NULL, payload jsonb DEFAULT NULL, type text DEFAULT NULL, command text DEFAULT NULL,
    priority integer DEFAULT NULL, retries integer DEFAULT NULL, ttl interval DEFAULT NULL,
    run_limit interval DEFAULT NULL, misfire text DEFAULT NULL, misfire_max integer DEFAULT NULL,
    overlap text DEFAULT NULL, jitter interval DEFAULT NULL, starts_at timestamptz DEFAULT NULL,
    ends_at timestamptz DEFAULT NULL, paused boolean DEFAULT NULL, description text DEFAULT NULL,
    rename_to text DEFAULT NULL, namespace text DEFAULT NULL)
    RETURNS pgqueue.ticker LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_manage';
COMMENT ON FUNCTION pgqueue.update_ticker IS
'Changes the given settings of a ticker and returns its row. A new period takes the place of cron and the reverse; '
'a period of 0 disables the ticker, '''' removes queue, type, command or description. With a change of command, type '
'or payload its tasks run as the caller from then on. rename_to renames it. Raises 22023 when nothing is given or a '
'value is out of range, 42704 for an unknown ticker or queue, 42710 when the new name is taken, 42939 for what '
'cannot change in tickers of namespace pgqueue. Needs the privilege manage.';

CREATE FUNCTION pgqueue_internal.delete_ticker(
    ticker text, namespace text)
RETURNS pgqueue.ticker
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target integer;
    ticker_name text;
    t pgqueue_internal.ticker;
    deleted pgqueue.ticker;
BEGIN
    PERFORM pgqueue_internal.check_call('delete_ticker', true);
    ticker_name := pgqueue_internal.normalize_name('ticker', ticker);
    target := pgqueue_internal.ticker_namespace(namespace);
    t := pgqueue_internal.lock_ticker(target, ticker_name);
    IF t.id < 100 THEN
        RAISE EXCEPTION USING ERRCODE = 'reserved_name',
            MESSAGE = format('ticker "%s" of namespace "pgqueue" is reserved for system use', t.name),
            HINT = 'Change its period or cron with pgqueue.update_ticker.';
    END IF;
    deleted := pgqueue_internal.shown_ticker(t.id);
    DELETE FROM pgqueue_internal.ticker s WHERE s.id = t.id;
    RETURN deleted;
END
$$;

CREATE FUNCTION pgqueue.delete_ticker(
    ticker text, namespace text DEFAULT NULL)
    RETURNS pgqueue.ticker LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_manage';
COMMENT ON FUNCTION pgqueue.delete_ticker IS
'Deletes a ticker with its history and returns its last row; tasks that it made stay. Raises 42704 for an unknown '
'ticker, 42939 for tickers of namespace pgqueue. Needs the privilege manage.';

CREATE FUNCTION pgqueue_internal.get_ticker(
    ticker text, namespace text)
RETURNS SETOF pgqueue.ticker
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    ticker_name text := pgqueue_internal.normalize_name('ticker', ticker);
    target integer := pgqueue_internal.resolve_namespace(namespace);
BEGIN
    PERFORM pgqueue_internal.check_seen(target);
    RETURN QUERY
    SELECT s.*
    FROM pgqueue_internal.ticker t, pgqueue_internal.shown_ticker(t.id) s
    WHERE t.namespace_id = target AND t.name = ticker_name;
END
$$;

CREATE FUNCTION pgqueue.get_ticker(
    ticker text, namespace text DEFAULT NULL)
    RETURNS SETOF pgqueue.ticker LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 1 AS 'MODULE_PATHNAME', 'pgqueue_manage';
COMMENT ON FUNCTION pgqueue.get_ticker IS
'Returns the row of a ticker, or no row when there is none. Raises 42704 for an unknown namespace, 42501 without '
'any privilege in it.';

-- Handles the first due slot of tickers without queue, in C: the id of its ticker, NULL when none is due.
CREATE FUNCTION pgqueue_internal.take_tick(namespace_id integer) RETURNS integer
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_internal_take_tick';

CREATE FUNCTION pgqueue_internal.next_ticker(
    namespace text)
RETURNS SETOF pgqueue.ticker
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target integer;
    taken integer;
BEGIN
    PERFORM pgqueue_internal.check_call('next_ticker', true);
    target := pgqueue_internal.resolve_namespace(namespace);
    PERFORM pgqueue_internal.require(target, 'work');
    taken := pgqueue_internal.take_tick(target);
    IF taken IS NOT NULL THEN
        RETURN NEXT pgqueue_internal.shown_ticker(taken);
    END IF;
END
$$;

CREATE FUNCTION pgqueue.next_ticker(
    namespace text DEFAULT NULL)
    RETURNS SETOF pgqueue.ticker LANGUAGE C ROWS 1 AS 'MODULE_PATHNAME', 'pgqueue_manage';
COMMENT ON FUNCTION pgqueue.next_ticker IS
'Returns a ticker without queue whose slot is due, the longest waiting first, or no row when none is. The slot is '
'done when the caller commits, and a rollback gives it back; no two callers get the same slot. Needs the privilege '
'work.';

-- Makes the task of a slot (NULL: an extra one) in C; the id, NULL for a ticker without queue.
CREATE FUNCTION pgqueue_internal.fire(ticker_id integer, slot timestamptz) RETURNS bigint
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_internal_fire';

CREATE FUNCTION pgqueue_internal.fire_ticker(
    ticker text, slot timestamptz, namespace text)
RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target integer;
    ticker_name text;
    t pgqueue_internal.ticker;
BEGIN
    PERFORM pgqueue_internal.check_call('fire_ticker', true);
    ticker_name := pgqueue_internal.normalize_name('ticker', ticker);
    target := pgqueue_internal.ticker_namespace(namespace);
    PERFORM pgqueue_internal.check_moment('slot', slot);
    t := pgqueue_internal.lock_ticker(target, ticker_name);
    RETURN pgqueue_internal.fire(t.id, slot);
END
$$;

CREATE FUNCTION pgqueue.fire_ticker(
    ticker text, slot timestamptz DEFAULT NULL, namespace text DEFAULT NULL)
    RETURNS bigint LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_manage';
COMMENT ON FUNCTION pgqueue.fire_ticker IS
'Makes the task of a slot of a ticker now and returns its id; slot NULL means an extra task. A slot that has fired '
'returns the id of its task and makes no other; pause, misfire and overlap do not matter. A ticker without queue '
'becomes due for next_ticker, and the call returns NULL. Raises 42704 for an unknown ticker, or when its queue or '
'role is missing, PQ003 at max_depth. Needs the privilege manage.';
