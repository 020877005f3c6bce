-- INSERT, UPDATE and DELETE on the view of tickers. There NULL means none, and what a row
-- leaves out has the default of the view.

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
    NEW := pgqueue_internal.store_ticker(pgqueue_internal.ticker_with(t, NEW, NULL), NULL);
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
    ELSIF NEW.period IS DISTINCT FROM OLD.period AND NEW.period IS NOT NULL
            AND NEW.cron IS NOT DISTINCT FROM OLD.cron THEN
        NEW.cron := NULL;
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
    NEW := pgqueue_internal.store_ticker(t, was);
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

CREATE TRIGGER dml_insert INSTEAD OF INSERT ON pgqueue.ticker
    FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.as_owner('ticker_insert');
CREATE TRIGGER dml_update INSTEAD OF UPDATE ON pgqueue.ticker
    FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.as_owner('ticker_update');
CREATE TRIGGER dml_delete INSTEAD OF DELETE ON pgqueue.ticker
    FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.as_owner('ticker_delete');
