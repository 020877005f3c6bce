-- pg_dump and restore. A restore runs CREATE EXTENSION and then copies the rows of the dump into the tables: rows that
-- the install script has made already are overwritten, and roles are found again by their names.

DO $make$
DECLARE
    relation pg_catalog.regclass;
BEGIN
    FOR relation IN
        SELECT c.oid FROM pg_catalog.pg_class c
        WHERE c.relnamespace = 'pgqueue_internal'::pg_catalog.regnamespace AND c.relkind IN ('r', 'S')
            AND c.relname NOT LIKE 'stat\_minute\_%'
        ORDER BY c.oid
    LOOP
        PERFORM pg_catalog.pg_extension_config_dump(relation, '');
    END LOOP;
END
$make$;

-- Rows of tasks come by SQL only from a restore: the database holds them until
-- adopt(), whichever table is copied first.
CREATE FUNCTION pgqueue_internal.restore_tasks() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pgqueue_internal.identity i WHERE i.system_identifier = 0) THEN
        INSERT INTO pgqueue_internal.identity (system_identifier, database) VALUES (0, 0);
    END IF;
    RETURN NULL;
END
$$;
DO $make$
BEGIN
    FOR slot IN 0..5 LOOP
        EXECUTE format('CREATE TRIGGER restore BEFORE INSERT ON pgqueue_internal.segment_%s '
            'FOR EACH STATEMENT EXECUTE FUNCTION pgqueue_internal.restore_tasks()', slot);
    END LOOP;
END
$make$;

-- A row of the configuration. Its arguments are the columns with a role, which is found again by its name, as numbers
-- are those of the old server (0 is PUBLIC). NULL: the row is there already.
CREATE FUNCTION pgqueue_internal.restore_row() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    FOR i IN 0 .. TG_NARGS - 1 LOOP
        CONTINUE WHEN to_jsonb(NEW) ->> TG_ARGV[i] = '0';
        NEW := jsonb_populate_record(NEW, jsonb_build_object(TG_ARGV[i],
            pgqueue_internal.restored_role(to_jsonb(NEW) ->> (TG_ARGV[i] || '_name'))));
    END LOOP;
    CASE TG_TABLE_NAME
        WHEN 'identity' THEN
            -- The same identity twice says nothing new.
            RETURN CASE WHEN EXISTS (SELECT FROM pgqueue_internal.identity i WHERE i = NEW) THEN NULL ELSE NEW END;
        WHEN 'role' THEN
            NEW.oid := (SELECT a.oid FROM pg_catalog.pg_roles a WHERE a.rolname = NEW.name);
            NEW.system_identifier := pgqueue_internal.this_cluster();
            PERFORM FROM pgqueue_internal.role r WHERE r.id = NEW.id AND r.name = NEW.name;
        WHEN 'namespace' THEN
            -- Namespaces 1 and 2 are those of the install script, 3 that of extension pg_background_queue. Where the
            -- dump has another namespace of the name of one of them, that one goes: nothing can be in it yet. The
            -- system namespace keeps its owner, the one of the extension here.
            DELETE FROM pgqueue_internal.namespace n
            WHERE n.id <= 3 AND n.id <> NEW.id AND n.name = NEW.name
                AND NOT EXISTS (SELECT FROM pgqueue_internal.queue q WHERE q.namespace_id = n.id);
            UPDATE pgqueue_internal.namespace n
            SET (name, weight, max_running, max_depth, paused, description, created_at,
                 max_leases, max_groups, max_queues, max_priorities, max_dependencies)
              = (NEW.name, NEW.weight, NEW.max_running, NEW.max_depth, NEW.paused, NEW.description, NEW.created_at,
                 NEW.max_leases, NEW.max_groups, NEW.max_queues, NEW.max_priorities, NEW.max_dependencies),
                owner = CASE WHEN n.id = 2 THEN n.owner ELSE NEW.owner END,
                owner_name = CASE WHEN n.id = 2 THEN n.owner_name ELSE NEW.owner_name END
            WHERE n.id = NEW.id AND n.id <= 3;
        WHEN 'queue' THEN
            PERFORM FROM pgqueue_internal.queue q WHERE q.id = NEW.id AND q.id < 100;
        WHEN 'ticker' THEN
            -- The extension's own tickers get the schedule of the dump.
            UPDATE pgqueue_internal.ticker t
            SET (period, cron, time_zone, jitter, description, anchor, created_at)
              = (NEW.period, NEW.cron, NEW.time_zone, NEW.jitter, NEW.description, NEW.anchor, NEW.created_at)
            WHERE t.id = NEW.id AND t.id < 100;
        WHEN 'ticker_state' THEN
            DELETE FROM pgqueue_internal.ticker_state s WHERE s.ticker_id = NEW.ticker_id AND s.ticker_id < 100;
            RETURN NEW;
        WHEN 'ring' THEN
            DELETE FROM pgqueue_internal.ring r WHERE r.slot = NEW.slot;
            RETURN NEW;
        ELSE
            RETURN NEW;
    END CASE;
    RETURN CASE WHEN FOUND THEN NULL ELSE NEW END;
END
$$;
DO $make$
DECLARE
    restored text[];
BEGIN
    FOREACH restored SLICE 1 IN ARRAY ARRAY[
        ['identity', ''], ['role', ''], ['namespace', 'owner'], ['namespace_grant', 'role, grantor'],
        ['handler', 'role, owner'], ['queue', ''], ['ticker', 'role'], ['ticker_state', ''], ['ring', '']]
    LOOP
        EXECUTE format('CREATE TRIGGER restore BEFORE INSERT ON pgqueue_internal.%I '
            'FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.restore_row(%s)', restored[1], restored[2]);
    END LOOP;
END
$make$;
