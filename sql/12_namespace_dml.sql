-- INSERT, UPDATE and DELETE on the view of namespaces. In these statements NULL means none.

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
        RAISE EXCEPTION USING ERRCODE = 'duplicate_object',
            MESSAGE = format('namespace "%s" already exists', namespace_name),
            HINT = 'Change it with UPDATE, or with create_namespace, which creates or updates.';
    END IF;
    PERFORM pgqueue_internal.change_namespace(target, NEW, NULL);
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
    PERFORM pgqueue_internal.lock_owned(target, true);
    IF NEW.created_at IS DISTINCT FROM OLD.created_at THEN
        PERFORM pgqueue_internal.refuse_column('created_at', 'namespace');
    END IF;
    PERFORM pgqueue_internal.change_namespace(target, NEW, OLD);
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

CREATE TRIGGER dml_insert INSTEAD OF INSERT ON pgqueue.namespace
    FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.as_owner('namespace_insert');
CREATE TRIGGER dml_update INSTEAD OF UPDATE ON pgqueue.namespace
    FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.as_owner('namespace_update');
CREATE TRIGGER dml_delete INSTEAD OF DELETE ON pgqueue.namespace
    FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.as_owner('namespace_delete');
