-- INSERT, UPDATE and DELETE on the view of tickers. There NULL means none, and what a row leaves out has the default of the view.

ALTER VIEW pgqueue.ticker ALTER COLUMN payload SET DEFAULT '{}';
ALTER VIEW pgqueue.ticker ALTER COLUMN misfire SET DEFAULT 'one';
ALTER VIEW pgqueue.ticker ALTER COLUMN misfire_max SET DEFAULT 100;
ALTER VIEW pgqueue.ticker ALTER COLUMN overlap SET DEFAULT 'allow';
ALTER VIEW pgqueue.ticker ALTER COLUMN paused SET DEFAULT false;
ALTER VIEW pgqueue.ticker ALTER COLUMN period SET DEFAULT '1 minute';

-- A ticker's row with the settings of a row of the view that differ from those that the statement has read: who changes only the schedule
-- does not bring back, as his own, a command that its author has just replaced. read: NULL for a new ticker.
CREATE FUNCTION pgqueue_internal.ticker_with(t pgqueue_internal.ticker, given pgqueue.ticker, read pgqueue.ticker) RETURNS pgqueue_internal.ticker
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    t.queue := pgqueue_internal.column_after(given.queue, read.queue, t.queue);
    IF (given.period, given.cron) IS DISTINCT FROM (read.period, read.cron) THEN
        t.period := given.period;
        t.cron := given.cron;
    END IF;
    t.time_zone := coalesce(pgqueue_internal.column_after(given.time_zone, read.time_zone, t.time_zone), t.time_zone);
    t.payload := pgqueue_internal.column_after(given.payload, read.payload, t.payload);
    t.type := pgqueue_internal.column_after(given.type, read.type, t.type);
    t.command := pgqueue_internal.column_after(given.command, read.command, t.command);
    t.priority := pgqueue_internal.column_after(given.priority, read.priority, t.priority);
    t.retries := pgqueue_internal.column_after(given.retries, read.retries, t.retries);
    t.ttl := pgqueue_internal.column_after(given.ttl, read.ttl, t.ttl);
    t.run_limit := pgqueue_internal.column_after(given.run_limit, read.run_limit, t.run_limit);
    t.misfire := pgqueue_internal.column_after(given.misfire, read.misfire, t.misfire);
    t.misfire_max := pgqueue_internal.column_after(given.misfire_max, read.misfire_max, t.misfire_max);
    t.overlap := pgqueue_internal.column_after(given.overlap, read.overlap, t.overlap);
    t.jitter := pgqueue_internal.column_after(given.jitter, read.jitter, t.jitter);
    t.starts_at := pgqueue_internal.column_after(given.starts_at, read.starts_at, t.starts_at);
    t.ends_at := pgqueue_internal.column_after(given.ends_at, read.ends_at, t.ends_at);
    t.paused := pgqueue_internal.column_after(given.paused, read.paused, t.paused);
    t.description := pgqueue_internal.column_after(given.description, read.description, t.description);
    RETURN t;
END
$$;

-- Raises 0A000 when a column that the extension fills differs.
CREATE FUNCTION pgqueue_internal.check_ticker_columns(given pgqueue.ticker, was pgqueue.ticker) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF given.role IS DISTINCT FROM was.role THEN
        PERFORM pgqueue_internal.refuse_column('role', 'ticker');
    ELSIF given.next_at IS DISTINCT FROM was.next_at THEN
        PERFORM pgqueue_internal.refuse_column('next_at', 'ticker');
    ELSIF given.last_at IS DISTINCT FROM was.last_at THEN
        PERFORM pgqueue_internal.refuse_column('last_at', 'ticker');
    ELSIF given.last_task IS DISTINCT FROM was.last_task THEN
        PERFORM pgqueue_internal.refuse_column('last_task', 'ticker');
    ELSIF given.last_status IS DISTINCT FROM was.last_status THEN
        PERFORM pgqueue_internal.refuse_column('last_status', 'ticker');
    ELSIF given.created_at IS DISTINCT FROM was.created_at THEN
        PERFORM pgqueue_internal.refuse_column('created_at', 'ticker');
    END IF;
END
$$;

CREATE FUNCTION pgqueue_internal.ticker_insert() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target integer;
    ticker_name text;
    t pgqueue_internal.ticker;
BEGIN
    PERFORM pgqueue_internal.check_call('INSERT', true);
    PERFORM pgqueue_internal.check_tickers_on();
    ticker_name := pgqueue_internal.normalize_name('ticker', NEW.ticker);
    target := pgqueue_internal.ticker_namespace(NEW.namespace);
    PERFORM pgqueue_internal.check_ticker_columns(NEW, NULL);
    IF NEW.cron IS NOT NULL THEN
        NEW.period := NULL;
    END IF;
    t := pgqueue_internal.add_ticker(target, ticker_name);
    IF t.id IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'duplicate_object', MESSAGE = format('ticker "%s" already exists', ticker_name),
            HINT = 'Change it with UPDATE, or with create_ticker, which creates or updates.';
    END IF;
    PERFORM pgqueue_internal.store_ticker(pgqueue_internal.ticker_with(t, NEW, NULL), NULL);
    NEW := pgqueue_internal.shown_ticker(t.id);
    RETURN NEW;
END
$$;

-- A new cron takes the place of the period, and the reverse.
CREATE FUNCTION pgqueue_internal.ticker_update() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    was pgqueue_internal.ticker;
    t pgqueue_internal.ticker;
BEGIN
    PERFORM pgqueue_internal.check_call('UPDATE', true);
    IF NEW.namespace IS DISTINCT FROM OLD.namespace THEN
        PERFORM pgqueue_internal.refuse_column('namespace', 'ticker');
    END IF;
    PERFORM pgqueue_internal.check_ticker_columns(NEW, OLD);
    IF NEW.cron IS DISTINCT FROM OLD.cron AND NEW.cron IS NOT NULL AND NEW.period IS NOT DISTINCT FROM OLD.period THEN
        NEW.period := NULL;
    ELSIF NEW.period IS DISTINCT FROM OLD.period AND NEW.period IS NOT NULL AND NEW.cron IS NOT DISTINCT FROM OLD.cron THEN
        NEW.cron := NULL;
    ELSIF num_nonnulls(NEW.period, NEW.cron) = 2 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'period and cron must not be given both', HINT = 'Give one of them.';
    END IF;
    was := pgqueue_internal.lock_ticker(pgqueue_internal.ticker_namespace(OLD.namespace), OLD.ticker);
    -- The caller would become the role of a command that he has not seen.
    IF (NEW.payload, NEW.type, NEW.command) IS DISTINCT FROM (OLD.payload, OLD.type, OLD.command)
        AND (was.payload, was.type, was.command) IS DISTINCT FROM (OLD.payload, OLD.type, OLD.command) THEN
        PERFORM pgqueue_internal.refuse_unseen();
    END IF;
    t := pgqueue_internal.ticker_with(was, NEW, OLD);
    IF NEW.ticker IS DISTINCT FROM OLD.ticker THEN
        t.name := pgqueue_internal.normalize_name('ticker', NEW.ticker);
    END IF;
    PERFORM pgqueue_internal.store_ticker(t, was);
    NEW := pgqueue_internal.shown_ticker(t.id);
    RETURN NEW;
END
$$;

CREATE FUNCTION pgqueue_internal.ticker_delete() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pgqueue_internal.delete_ticker(OLD.ticker, OLD.namespace);
    RETURN OLD;
END
$$;

CREATE TRIGGER dml_insert INSTEAD OF INSERT ON pgqueue.ticker FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.as_owner('ticker_insert');
CREATE TRIGGER dml_update INSTEAD OF UPDATE ON pgqueue.ticker FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.as_owner('ticker_update');
CREATE TRIGGER dml_delete INSTEAD OF DELETE ON pgqueue.ticker FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.as_owner('ticker_delete');
