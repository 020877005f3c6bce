-- Tickers: the views, and what a ticker may be. docs/internals/tickers.md

-- First slot strictly after an instant; NULL none. Raises for a cron text or zone that is not valid any more.
CREATE FUNCTION pgqueue_internal.next_slot(period interval, cron text, time_zone text, anchor timestamptz,
    starts_at timestamptz, ends_at timestamptz, after timestamptz) RETURNS timestamptz
    LANGUAGE C STABLE AS 'MODULE_PATHNAME', 'pgqueue_internal_next_slot';

-- When a slot of a ticker is due: later by its jitter.
CREATE FUNCTION pgqueue_internal.due_of_slot(ticker_id integer, slot timestamptz, jitter interval) RETURNS timestamptz
    LANGUAGE C IMMUTABLE AS 'MODULE_PATHNAME', 'pgqueue_internal_due_of_slot';

CREATE VIEW pgqueue_internal.ticker_shown AS
SELECT t.id, n.name AS namespace, t.name AS ticker, t.queue, t.period, t.cron, t.time_zone, t.payload, t.type,
    t.command, t.priority, t.retries, t.ttl, t.run_limit, t.misfire, t.misfire_max, t.overlap, t.jitter, t.starts_at,
    t.ends_at, t.paused, t.description, pgqueue_internal.role_name(t.role, t.role_name) AS role, s.next_at,
    s.last_at, s.last_task, coalesce(
        (SELECT (ARRAY['new', 'retry', 'retained', 'released', 'failed', 'expired', 'cancelled'])[k.status + 1]
         FROM pgqueue_internal.segment k WHERE k.id = s.last_task),
        (SELECT a.status FROM pgqueue_internal.archive a WHERE a.id = s.last_task)) AS last_status,
    t.created_at, t.namespace_id
FROM pgqueue_internal.ticker t
JOIN pgqueue_internal.ticker_state s ON s.ticker_id = t.id
JOIN pgqueue_internal.namespace n ON n.id = t.namespace_id;

CREATE VIEW pgqueue.ticker WITH (security_barrier) AS
SELECT t.namespace, t.ticker,
    pgqueue_internal.shown(t.queue) AS queue, pgqueue_internal.shown(t.period) AS period,
    pgqueue_internal.shown(t.cron) AS cron, pgqueue_internal.shown(t.time_zone) AS time_zone,
    pgqueue_internal.shown(t.payload) AS payload, pgqueue_internal.shown(t.type) AS type,
    pgqueue_internal.shown(t.command) AS command, pgqueue_internal.shown(t.priority) AS priority,
    pgqueue_internal.shown(t.retries) AS retries, pgqueue_internal.shown(t.ttl) AS ttl,
    pgqueue_internal.shown(t.run_limit) AS run_limit, pgqueue_internal.shown(t.misfire) AS misfire,
    pgqueue_internal.shown(t.misfire_max) AS misfire_max, pgqueue_internal.shown(t.overlap) AS overlap,
    pgqueue_internal.shown(t.jitter) AS jitter, pgqueue_internal.shown(t.starts_at) AS starts_at,
    pgqueue_internal.shown(t.ends_at) AS ends_at, pgqueue_internal.shown(t.paused) AS paused,
    pgqueue_internal.shown(t.description) AS description, pgqueue_internal.shown(t.role) AS role,
    -- With their ticker, so that nothing is compared before the rights were asked.
    CASE WHEN t.namespace_id > 0 THEN t.next_at END AS next_at,
    CASE WHEN t.namespace_id > 0 THEN t.last_at END AS last_at,
    CASE WHEN t.namespace_id > 0 THEN t.last_task END AS last_task,
    CASE WHEN t.namespace_id > 0 THEN t.last_status END AS last_status,
    pgqueue_internal.shown(t.created_at) AS created_at
FROM pgqueue_internal.ticker_shown t
WHERE pgqueue_internal.may(t.namespace_id, 'see');
COMMENT ON VIEW pgqueue.ticker IS 'one row for each ticker';
COMMENT ON COLUMN pgqueue.ticker.namespace IS 'namespace';
COMMENT ON COLUMN pgqueue.ticker.ticker IS 'ticker';
COMMENT ON COLUMN pgqueue.ticker.role IS 'role that wrote command, type or payload last and as which it runs';
COMMENT ON COLUMN pgqueue.ticker.next_at IS 'next slot';
COMMENT ON COLUMN pgqueue.ticker.last_at IS 'last slot';
COMMENT ON COLUMN pgqueue.ticker.last_task IS 'task of the last slot';
COMMENT ON COLUMN pgqueue.ticker.last_status IS 'its status';
COMMENT ON COLUMN pgqueue.ticker.created_at IS 'created';

-- With the right use: slots of tickers of own roles; with work: those whose tasks it holds.
CREATE VIEW pgqueue.ticker_run WITH (security_barrier) AS
SELECT n.name AS namespace, t.name AS ticker,
    -- With their ticker, so that nothing is compared before the rights were asked.
    CASE WHEN t.id > 0 AND n.id > 0 THEN r.slot END AS slot,
    CASE WHEN t.id > 0 AND n.id > 0 THEN r.fired_at END AS fired_at,
    CASE WHEN t.id > 0 AND n.id > 0 THEN (ARRAY['fired', 'skipped', 'missed', 'error'])[r.outcome + 1] END AS outcome,
    CASE WHEN t.id > 0 AND n.id > 0 THEN r.task_id END AS task_id,
    CASE WHEN t.id > 0 AND n.id > 0 THEN r.error END AS error
FROM pgqueue_internal.ticker_run r
JOIN pgqueue_internal.ticker t ON t.id = r.ticker_id
JOIN pgqueue_internal.visible n ON n.id = t.namespace_id
WHERE pgqueue_internal.may(t.namespace_id, 'see')
    AND (n.all_tasks OR (n.own_tasks AND pg_catalog.pg_has_role(t.role, 'USAGE'))
        OR (n.held_tasks AND EXISTS (SELECT FROM pgqueue_internal.segment k
                                     WHERE k.id = r.task_id AND k.status = 2
                                         AND pgqueue_internal.is_held(k.id, k.receipt))));
COMMENT ON VIEW pgqueue.ticker_run IS 'slots, the last 1000 of each ticker';
COMMENT ON COLUMN pgqueue.ticker_run.namespace IS 'namespace';
COMMENT ON COLUMN pgqueue.ticker_run.ticker IS 'ticker';
COMMENT ON COLUMN pgqueue.ticker_run.slot IS 'due time';
COMMENT ON COLUMN pgqueue.ticker_run.fired_at IS 'when it was handled';
COMMENT ON COLUMN pgqueue.ticker_run.outcome IS 'fired, skipped (overlap), missed (misfire) or error';
COMMENT ON COLUMN pgqueue.ticker_run.task_id IS 'task made';
COMMENT ON COLUMN pgqueue.ticker_run.error IS 'message of outcome error';

-- The row of a ticker as the view shows it, for any caller.
CREATE FUNCTION pgqueue_internal.shown_ticker(ticker_id integer) RETURNS pgqueue.ticker
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT pgqueue_internal.row_with(NULL::pgqueue.ticker, t, NULL)
    FROM pgqueue_internal.ticker_shown t WHERE t.id = shown_ticker.ticker_id
$$;

-- The zone of the database for a new ticker: what its sessions have unless they say otherwise.
CREATE FUNCTION pgqueue_internal.database_time_zone() RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
RETURN coalesce(
    (SELECT substr(c.setting, 10)
     FROM pg_catalog.pg_db_role_setting s, unnest(s.setconfig) c (setting)
     WHERE s.setrole = 0
         AND s.setdatabase = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())
         AND lower(c.setting) LIKE 'timezone=%'),
    (SELECT s.reset_val FROM pg_catalog.pg_settings s
        WHERE s.name = 'TimeZone' AND s.source IN ('configuration file', 'default', 'command line')),
    (SELECT f.setting FROM pg_catalog.pg_file_settings f
        WHERE lower(f.name) = 'timezone' AND f.applied ORDER BY f.seqno DESC LIMIT 1),
    'GMT');

-- Raises 22023 for times that no schedule can have.
CREATE FUNCTION pgqueue_internal.check_ticker_times(t pgqueue_internal.ticker) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF t.period < '1 second' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('"period" is out of range: %s', t.period),
            HINT = 'It must be 1 second or more; 0 disables the ticker.';
    END IF;
    IF least(extract(year FROM t.period), extract(month FROM t.period), extract(day FROM t.period),
            extract(hour FROM t.period), extract(minute FROM t.period), extract(microseconds FROM t.period)) < 0 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('"period" has a negative part: %s', t.period),
            HINT = 'Give one whose months, days and hours are all 0 or more.';
    END IF;
    IF t.jitter > coalesce(t.period, '1 day') THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('"jitter" is out of range: %s', t.jitter),
            HINT = 'It must not be longer than the period, with cron not longer than 1 day.';
    END IF;
    IF t.ends_at < t.starts_at THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = '"ends_at" is before "starts_at"',
            DETAIL = format('They are %s and %s.', t.ends_at, t.starts_at),
            HINT = 'Without a slot between them the ticker never fires; use paused.';
    END IF;
END
$$;

-- Raises when the content does not fit together, or the queue does not exist.
CREATE FUNCTION pgqueue_internal.check_ticker_content(t pgqueue_internal.ticker) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF t.type IS NOT NULL AND t.command IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'type and command must not be given both',
            HINT = 'A type names a handler or is a label; a command is run as it is. '
                ''''' takes the one that was set away.';
    END IF;
    IF t.command IS NOT NULL AND pgqueue_internal.trimmed(t.command) = '' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'command must not be empty',
            HINT = 'Give the SQL to run.';
    END IF;
    IF t.command IS NOT NULL AND t.queue IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'a command needs a queue',
            HINT = 'Name the queue in which its tasks run; without a queue a ticker only ticks, for next_ticker.';
    END IF;
    IF t.queue IS NOT NULL AND NOT EXISTS (SELECT FROM pgqueue_internal.queue q
            WHERE q.namespace_id = t.namespace_id AND q.name = t.queue) THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = format('queue "%s" does not exist', t.queue),
            HINT = coalesce(pgqueue_internal.near_queue(t.namespace_id, t.queue),
                'Create it first, in the namespace of the ticker.');
    END IF;
END
$$;

-- The row as it is stored: what is NULL and cannot be none has its default, zero and '' are NULL where they mean none.
-- Raises for what is wrong. was: the row before, NULL for a new one.
CREATE FUNCTION pgqueue_internal.checked_ticker(t pgqueue_internal.ticker, was pgqueue_internal.ticker)
    RETURNS pgqueue_internal.ticker
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- The scheduler copies them for each slot, and everybody waits for the scheduler.
    PERFORM pgqueue_internal.check_length('payload', t.payload::text, 65536,
        'Keep the rest in a table, which the task reads.'),
        pgqueue_internal.check_length('command', t.command, 65536, 'Put it into a procedure, and CALL that.'),
        pgqueue_internal.check_length('type', t.type, 1000, 'Shorten it.'),
        pgqueue_internal.check_length('cron', t.cron, 1000, 'Use ranges and steps, or several tickers.');
    t.cron := pgqueue_internal.trimmed(t.cron);
    t.time_zone := coalesce(nullif(t.time_zone, ''), pgqueue_internal.database_time_zone());
    t.payload := coalesce(t.payload, '{}');
    IF t.id < 100 THEN
        PERFORM pgqueue_internal.check_own_ticker(t, was);
    END IF;
    t := pgqueue_internal.checked_row('ticker', t);
    PERFORM pgqueue_internal.check_ticker_times(t);
    IF t.queue IS NOT NULL THEN
        t.queue := pgqueue_internal.normalize_name('queue', t.queue);
    END IF;
    -- A queue that is gone does not stand in the way of other changes.
    IF (t.queue, t.type, t.command) IS DISTINCT FROM (was.queue, was.type, was.command) THEN
        PERFORM pgqueue_internal.check_ticker_content(t);
    END IF;
    IF (t.cron, t.time_zone) IS DISTINCT FROM (was.cron, was.time_zone) THEN
        PERFORM pgqueue.cron_next(coalesce(t.cron, '@daily'), clock_timestamp(), t.time_zone);
    END IF;
    RETURN t;
END
$$;

-- Of the extension's own tickers only the schedule can be changed; asked before anything else is said about the values.
CREATE FUNCTION pgqueue_internal.check_own_ticker(t pgqueue_internal.ticker, was pgqueue_internal.ticker) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    t.period := nullif(t.period, '0');
    t.cron := nullif(t.cron, '');
    was.period := t.period;
    was.cron := t.cron;
    was.time_zone := t.time_zone;
    was.jitter := t.jitter;
    was.description := t.description;
    IF t IS DISTINCT FROM was OR num_nonnulls(t.period, t.cron) = 0 OR t.period > '1 day'
        OR (t.cron IS NOT NULL
            AND NOT EXISTS (SELECT FROM pgqueue.cron_next(t.cron, clock_timestamp(), t.time_zone))) THEN
        RAISE EXCEPTION USING ERRCODE = 'reserved_name',
            MESSAGE = format('ticker "%s" of namespace "pgqueue" is reserved for system use', was.name),
            HINT = 'Only its period (at most 1 day), cron, time_zone, jitter and description can be changed.';
    END IF;
END
$$;

-- State and history go with their ticker.
CREATE FUNCTION pgqueue_internal.forget_ticker() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM pgqueue_internal.ticker_state s WHERE s.ticker_id = OLD.id;
    DELETE FROM pgqueue_internal.ticker_run r WHERE r.ticker_id = OLD.id;
    RETURN NULL;
END
$$;
CREATE TRIGGER forget AFTER DELETE ON pgqueue_internal.ticker
    FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.forget_ticker();

-- Where a ticker stands after a change of its row; fresh: its slots begin anew.
CREATE FUNCTION pgqueue_internal.schedule_ticker(t pgqueue_internal.ticker, fresh boolean, resumed boolean) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s pgqueue_internal.ticker_state;
    moment timestamptz := clock_timestamp();
BEGIN
    -- Only a row that is not there is inserted: for the extension's own tickers an INSERT is a restore.
    INSERT INTO pgqueue_internal.ticker_state (ticker_id)
    SELECT t.id WHERE NOT EXISTS (SELECT FROM pgqueue_internal.ticker_state k WHERE k.ticker_id = t.id);
    SELECT k.* INTO s FROM pgqueue_internal.ticker_state k WHERE k.ticker_id = t.id FOR UPDATE;
    IF fresh THEN
        -- A period is due at once, at its anchor; cron at its next slot.
        s.next_at := pgqueue_internal.next_slot(t.period, t.cron, t.time_zone, t.anchor, t.starts_at, t.ends_at,
            CASE WHEN t.period IS NULL THEN moment
                WHEN t.starts_at IS NULL THEN t.anchor - '1 microsecond'::interval
                ELSE moment - '1 microsecond'::interval END);
        s.ahead_until := NULL;
    ELSIF s.next_at IS NULL OR s.next_at > t.ends_at THEN
        -- ends_at has moved.
        s.next_at := pgqueue_internal.next_slot(t.period, t.cron, t.time_zone, t.anchor, t.starts_at, t.ends_at,
            greatest(s.last_at, moment));
    END IF;
    UPDATE pgqueue_internal.ticker_state k
    SET next_at = s.next_at, ahead_until = s.ahead_until,
        resumed_at = CASE WHEN resumed THEN moment ELSE k.resumed_at END,
        due_at = CASE WHEN t.queue IS NOT NULL AND NOT t.paused
            THEN pgqueue_internal.due_of_slot(t.id, s.next_at, t.jitter) END
    WHERE k.ticker_id = t.id;
END
$$;

-- Stores a ticker's row after the checks, and returns it as the view shows it. was: the row before, NULL for a new one.
-- A role that changes command, type or payload becomes the ticker's role.
CREATE FUNCTION pgqueue_internal.store_ticker(changed pgqueue_internal.ticker, was pgqueue_internal.ticker)
    RETURNS pgqueue.ticker
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    t pgqueue_internal.ticker := pgqueue_internal.checked_ticker(changed, was);
    new_times boolean := (t.period, t.cron, t.time_zone, t.starts_at)
        IS DISTINCT FROM (was.period, was.cron, was.time_zone, was.starts_at);
    new_content boolean := (t.payload, t.type, t.command) IS DISTINCT FROM (was.payload, was.type, was.command);
    fresh boolean := new_times
        OR (t.period IS NOT NULL AND t.starts_at IS NULL AND (new_content OR t.queue IS DISTINCT FROM was.queue));
BEGIN
    IF t IS NOT DISTINCT FROM was THEN
        RETURN pgqueue_internal.shown_ticker(t.id);
    END IF;
    IF t.id >= 100 AND (new_content OR was.id IS NULL) THEN
        t.role := pgqueue_internal.caller();
        t.role_name := pgqueue_internal.role_name(t.role, '');
    END IF;
    IF fresh THEN
        t.anchor := coalesce(t.starts_at, clock_timestamp());
    END IF;
    BEGIN
        PERFORM pgqueue_internal.store_row(t);
    EXCEPTION WHEN unique_violation THEN
        RAISE EXCEPTION USING ERRCODE = 'duplicate_object', MESSAGE = format('ticker "%s" already exists', t.name),
            HINT = 'Choose another name.';
    END;
    PERFORM pgqueue_internal.schedule_ticker(t, fresh, was.paused AND NOT t.paused);
    RETURN pgqueue_internal.shown_ticker(t.id);
END
$$;

-- The row with what is given; was: as for row_with(). period and cron take each other's place.
CREATE FUNCTION pgqueue_internal.ticker_with(t pgqueue_internal.ticker, given pgqueue.ticker, was pgqueue.ticker)
    RETURNS pgqueue_internal.ticker
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    t := pgqueue_internal.row_with(t, given, was);
    IF (given.period, given.cron) IS DISTINCT FROM (was.period, was.cron) THEN
        IF given.period IS NOT NULL AND nullif(given.cron, '') IS NOT NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
                MESSAGE = 'period and cron must not be given both',
                HINT = 'Give one of them.';
        END IF;
        t.period := given.period;
        t.cron := given.cron;
    END IF;
    RETURN t;
END
$$;
