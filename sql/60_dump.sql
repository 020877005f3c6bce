-- pg_dump and restore. A restore runs CREATE EXTENSION and then copies the rows of the dump into the tables: rows that
-- the install script has made already are overwritten, and roles are found again by their names.

DO $make$
DECLARE
    relation pg_catalog.regclass;
BEGIN
    FOR relation IN
        SELECT c.oid FROM pg_catalog.pg_class c
        WHERE c.relnamespace = 'pgqueue_internal'::pg_catalog.regnamespace AND c.relkind IN ('r', 'S')
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

-- The same identity twice says nothing new.
CREATE FUNCTION pgqueue_internal.restore_identity() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM pgqueue_internal.identity i WHERE i = NEW) THEN
        RETURN NULL;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER restore BEFORE INSERT ON pgqueue_internal.identity
    FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.restore_identity();

-- By name, as numbers are those of the old server. Rows that say the same become one.
CREATE FUNCTION pgqueue_internal.restore_role() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.oid := (SELECT a.oid FROM pg_catalog.pg_roles a WHERE a.rolname = NEW.name);
    NEW.system_identifier := pgqueue_internal.this_cluster();
    IF EXISTS (SELECT FROM pgqueue_internal.role r WHERE r.id = NEW.id AND r.name = NEW.name) THEN
        RETURN NULL;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER restore BEFORE INSERT ON pgqueue_internal.role
    FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.restore_role();

-- Namespaces 1 and 2 are those of the install script, 3 that of extension pg_background_queue. Where the dump has
-- another namespace of the name of one of them, that one goes: nothing can be in it yet. The system namespace keeps its
-- owner, the one of the extension here.
CREATE FUNCTION pgqueue_internal.restore_namespace() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.owner := pgqueue_internal.restored_role(NEW.owner_name);
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
    IF FOUND THEN
        RETURN NULL;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER restore BEFORE INSERT ON pgqueue_internal.namespace
    FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.restore_namespace();

CREATE FUNCTION pgqueue_internal.restore_grant() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.role <> 0 THEN
        NEW.role := pgqueue_internal.restored_role(NEW.role_name);
    END IF;
    NEW.grantor := pgqueue_internal.restored_role(NEW.grantor_name);
    RETURN NEW;
END
$$;
CREATE TRIGGER restore BEFORE INSERT ON pgqueue_internal.namespace_grant
    FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.restore_grant();

CREATE FUNCTION pgqueue_internal.restore_handler() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.role := pgqueue_internal.restored_role(NEW.role_name);
    NEW.owner := pgqueue_internal.restored_role(NEW.owner_name);
    RETURN NEW;
END
$$;
CREATE TRIGGER restore BEFORE INSERT ON pgqueue_internal.handler
    FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.restore_handler();

CREATE FUNCTION pgqueue_internal.restore_queue() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.id < 100 AND EXISTS (SELECT FROM pgqueue_internal.queue q WHERE q.id = NEW.id) THEN
        RETURN NULL;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER restore BEFORE INSERT ON pgqueue_internal.queue
    FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.restore_queue();

-- The extension's own tickers are there already: they get the schedule of the dump.
CREATE FUNCTION pgqueue_internal.restore_ticker() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.role := pgqueue_internal.restored_role(NEW.role_name);
    UPDATE pgqueue_internal.ticker t
    SET (period, cron, time_zone, jitter, description, anchor, created_at)
      = (NEW.period, NEW.cron, NEW.time_zone, NEW.jitter, NEW.description, NEW.anchor, NEW.created_at)
    WHERE t.id = NEW.id AND t.id < 100;
    IF FOUND THEN
        RETURN NULL;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER restore BEFORE INSERT ON pgqueue_internal.ticker
    FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.restore_ticker();

CREATE FUNCTION pgqueue_internal.restore_ticker_state() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM pgqueue_internal.ticker_state s WHERE s.ticker_id = NEW.ticker_id AND s.ticker_id < 100;
    RETURN NEW;
END
$$;
CREATE TRIGGER restore BEFORE INSERT ON pgqueue_internal.ticker_state
    FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.restore_ticker_state();

CREATE FUNCTION pgqueue_internal.restore_ring() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM pgqueue_internal.ring r WHERE r.slot = NEW.slot;
    RETURN NEW;
END
$$;
CREATE TRIGGER restore BEFORE INSERT ON pgqueue_internal.ring
    FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.restore_ring();
