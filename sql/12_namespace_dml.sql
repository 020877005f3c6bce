-- INSERT, UPDATE and DELETE on the view of namespaces. In these statements NULL means none.

ALTER VIEW pgqueue.namespace ALTER COLUMN weight SET DEFAULT 1;
ALTER VIEW pgqueue.namespace ALTER COLUMN paused SET DEFAULT false;

CREATE FUNCTION pgqueue_internal.namespace_insert() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    namespace_name text;
    target integer;
BEGIN
    PERFORM pgqueue_internal.check_call('INSERT', true);
    namespace_name := pgqueue_internal.user_namespace(NEW.namespace);
    PERFORM pgqueue_internal.require(NULL, 'admin');
    IF NEW.created_at IS NOT NULL THEN
        PERFORM pgqueue_internal.refuse_column('created_at', 'namespace');
    END IF;
    target := pgqueue_internal.add_namespace(namespace_name);
    IF target IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'duplicate_object', MESSAGE = format('namespace "%s" already exists', namespace_name),
            HINT = 'Change it with UPDATE, or with create_namespace, which creates or updates.';
    END IF;
    PERFORM pgqueue_internal.patch_namespace(target, NEW.weight, NEW.max_running, NEW.max_depth, NEW.paused, NEW.description);
    PERFORM pgqueue_internal.patch_shares(target, NEW.max_leases, NEW.max_groups, NEW.max_queues, NEW.max_priorities, NEW.max_dependencies);
    IF NEW.owner IS NOT NULL THEN
        PERFORM pgqueue_internal.give_namespace(target, NEW.owner);
    END IF;
    NEW := pgqueue_internal.shown_namespace(target);
    RETURN NEW;
END
$$;

CREATE FUNCTION pgqueue_internal.namespace_update() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target integer;
BEGIN
    PERFORM pgqueue_internal.check_call('UPDATE', true);
    target := pgqueue_internal.resolve_namespace(pgqueue_internal.user_namespace(OLD.namespace));
    PERFORM pgqueue_internal.require(target, 'owner');
    IF NEW.created_at IS DISTINCT FROM OLD.created_at THEN
        PERFORM pgqueue_internal.refuse_column('created_at', 'namespace');
    END IF;
    -- Only what the statement changes: another session may have changed the rest since it was read.
    PERFORM pgqueue_internal.patch_namespace(target,
        CASE WHEN NEW.weight IS DISTINCT FROM OLD.weight THEN coalesce(NEW.weight, 1) END,
        CASE WHEN NEW.max_running IS DISTINCT FROM OLD.max_running THEN coalesce(NEW.max_running, 0) END,
        CASE WHEN NEW.max_depth IS DISTINCT FROM OLD.max_depth THEN coalesce(NEW.max_depth, 0) END,
        CASE WHEN NEW.paused IS DISTINCT FROM OLD.paused THEN coalesce(NEW.paused, false) END,
        CASE WHEN NEW.description IS DISTINCT FROM OLD.description THEN coalesce(NEW.description, '') END);
    PERFORM pgqueue_internal.patch_shares(target,
        CASE WHEN NEW.max_leases IS DISTINCT FROM OLD.max_leases THEN coalesce(NEW.max_leases, 0) END,
        CASE WHEN NEW.max_groups IS DISTINCT FROM OLD.max_groups THEN coalesce(NEW.max_groups, 0) END,
        CASE WHEN NEW.max_queues IS DISTINCT FROM OLD.max_queues THEN coalesce(NEW.max_queues, 0) END,
        CASE WHEN NEW.max_priorities IS DISTINCT FROM OLD.max_priorities THEN coalesce(NEW.max_priorities, 0) END,
        CASE WHEN NEW.max_dependencies IS DISTINCT FROM OLD.max_dependencies THEN coalesce(NEW.max_dependencies, 0) END);
    IF NEW.namespace IS DISTINCT FROM OLD.namespace THEN
        PERFORM pgqueue_internal.rename_namespace(target, NEW.namespace);
    END IF;
    IF NEW.owner IS DISTINCT FROM OLD.owner THEN
        PERFORM pgqueue_internal.give_namespace(target, NEW.owner);
    END IF;
    NEW := pgqueue_internal.shown_namespace(target);
    RETURN NEW;
END
$$;

CREATE FUNCTION pgqueue_internal.namespace_delete() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pgqueue_internal.delete_namespace(OLD.namespace, false);
    RETURN OLD;
END
$$;

CREATE TRIGGER dml_insert INSTEAD OF INSERT ON pgqueue.namespace FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.as_owner('namespace_insert');
CREATE TRIGGER dml_update INSTEAD OF UPDATE ON pgqueue.namespace FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.as_owner('namespace_update');
CREATE TRIGGER dml_delete INSTEAD OF DELETE ON pgqueue.namespace FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.as_owner('namespace_delete');
