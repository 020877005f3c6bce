-- Handlers: the functions that run typed tasks in the server, each as the role that registered it. A function is looked
-- up by name when a task runs; here its name is made whole, with the search path of the caller (C), and kept.

CREATE VIEW pgqueue.handler WITH (security_barrier) AS
SELECT n.name AS namespace, pgqueue_internal.shown(h.type) AS type, pgqueue_internal.shown(h.phase) AS phase,
    pgqueue_internal.shown(h.function) AS function,
    pgqueue_internal.shown(pgqueue_internal.role_name(h.role, h.role_name)) AS role,
    pgqueue_internal.shown(h.created_at) AS created_at
FROM pgqueue_internal.handler h
JOIN pgqueue_internal.visible n ON n.id = h.namespace_id
WHERE pgqueue_internal.may(h.namespace_id, 'see');
COMMENT ON VIEW pgqueue.handler IS 'functions that run typed tasks';
COMMENT ON COLUMN pgqueue.handler.namespace IS 'namespace';
COMMENT ON COLUMN pgqueue.handler.type IS 'exact type or prefix, longest wins';
COMMENT ON COLUMN pgqueue.handler.phase IS 'handle, before, after or failed';
COMMENT ON COLUMN pgqueue.handler.function IS 'schema-qualified function';
COMMENT ON COLUMN pgqueue.handler.role IS 'role it runs as';
COMMENT ON COLUMN pgqueue.handler.created_at IS 'registration; order of before and after';
ALTER VIEW pgqueue.handler ALTER COLUMN phase SET DEFAULT 'handle';

-- What keeps a handler from being run: its function is gone, or belongs to somebody else than when it was registered,
-- or its role has lost the privilege manage. NULL: nothing.
CREATE FUNCTION pgqueue_internal.handler_trouble(function text, phase text, role oid, owner oid, namespace_id integer)
    RETURNS text
    LANGUAGE C STABLE STRICT PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'pgqueue_internal_handler_trouble';

CREATE VIEW pgqueue_internal.broken_handler AS
SELECT h.namespace_id,
    pg_catalog.format('%s of type "%s" cannot run: %s',
        CASE h.phase WHEN 'handle' THEN 'handler' ELSE 'function ' || h.phase END, h.type, t.trouble) AS message,
    -- Registered by anybody else it would run as him, with a function that is not his.
    pg_catalog.format('If it is meant: SET ROLE %I; SELECT pgqueue.create_handler(type, function, phase, namespace) '
        'FROM pgqueue.delete_handler(%L, %L, %L, %L); RESET ROLE;',
        h.role_name, h.type, h.function, h.phase, n.name) AS hint
FROM pgqueue_internal.handler h
JOIN pgqueue_internal.namespace n ON n.id = h.namespace_id
CROSS JOIN LATERAL (
    SELECT pgqueue_internal.handler_trouble(h.function, h.phase, h.role, h.owner, h.namespace_id) AS trouble OFFSET 0
) t
WHERE t.trouble IS NOT NULL;

-- The row of a handler as the view shows it, to whomever.
CREATE FUNCTION pgqueue_internal.shown_handler(h pgqueue_internal.handler) RETURNS pgqueue.handler
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT n.name, (h).type, (h).phase, (h).function, pgqueue_internal.role_name((h).role, (h).role_name),
        (h).created_at
    FROM pgqueue_internal.namespace n
    WHERE n.id = (h).namespace_id;
END;

-- Raises unless type and phase can be registered: 22004, 22023.
CREATE FUNCTION pgqueue_internal.check_handler(type text, phase text) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pgqueue_internal.check_given('type', type),
        pgqueue_internal.check_length('type', type, 1000, 'Shorten it.'),
        pgqueue_internal.check_given('phase', phase),
        pgqueue_internal.check_word('phase', phase, '{handle,before,after,failed}');
    IF phase = 'handle' AND pgqueue_internal.trimmed(type) = '' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'missing type of the handler',
            HINT = 'Give a type, or the beginning of one. '
                'Functions of the other phases can be for all types.';
    END IF;
END
$$;

-- Raises 42710 when the place in the namespace is taken by another handler than `own` (0: none).
CREATE FUNCTION pgqueue_internal.check_handler_is_new(namespace_id integer, new_type text, new_phase text,
    new_function text, own integer) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    taken pgqueue_internal.handler;
BEGIN
    SELECT h.* INTO taken
    FROM pgqueue_internal.handler h
    WHERE h.namespace_id = check_handler_is_new.namespace_id AND h.type = new_type AND h.phase = new_phase
        AND h.id <> own
        AND (new_phase = 'handle' OR h.function = new_function)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'duplicate_object',
            MESSAGE = format('handler of phase "%s" for type "%s" already exists', new_phase, new_type),
            DETAIL = format('It is %s.', taken.function),
            HINT = format('SELECT pgqueue.delete_handler(%L, phase => %L);', new_type, new_phase);
    END IF;
END
$$;

-- Raises 53400 when a namespace has as many handlers as it may: the scheduler, and the workers of
-- its tasks, read them all after a change.
CREATE FUNCTION pgqueue_internal.check_handler_count(target integer, new_phase text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    most CONSTANT integer := 1000;
    most_failed CONSTANT integer := 16;
BEGIN
    -- Each failure makes a task for each of them.
    IF new_phase = 'failed' AND (SELECT count(*) FROM pgqueue_internal.handler h
            WHERE h.namespace_id = target AND h.phase = 'failed') >= most_failed THEN
        RAISE EXCEPTION USING ERRCODE = 'configuration_limit_exceeded',
            MESSAGE = format('namespace "%s" has %s handlers of phase failed, the most that it may have',
                (SELECT n.name FROM pgqueue_internal.namespace n WHERE n.id = target), most_failed),
            HINT = 'Let one function do what several do.';
    END IF;
    IF (SELECT count(*) FROM pgqueue_internal.handler h WHERE h.namespace_id = target) >= most THEN
        RAISE EXCEPTION USING ERRCODE = 'configuration_limit_exceeded',
            MESSAGE = format('namespace "%s" has %s handlers, the most that it may have',
                (SELECT n.name FROM pgqueue_internal.namespace n WHERE n.id = target), most),
            HINT = 'Register the beginning of types: a handler serves all types that begin with its type.';
    END IF;
END
$$;

-- Whose function it is; NULL: there is none.
CREATE FUNCTION pgqueue_internal.function_owner(function text, phase text) RETURNS oid
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT p.proowner FROM pg_catalog.pg_proc p
    WHERE p.oid = pg_catalog.to_regprocedure(
        function || CASE phase WHEN 'after' THEN '(jsonb,jsonb)' WHEN 'failed' THEN '(jsonb,text)' ELSE '(jsonb)' END);
END;

-- Registers a function, whose name is whole and known to exist, for the calling role. It waits only for a
-- session that registers for the same type.
CREATE FUNCTION pgqueue_internal.add_handler(target integer, new_type text, new_function text, new_phase text)
    RETURNS pgqueue.handler
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    added pgqueue_internal.handler;
    role oid := pgqueue_internal.caller();
    owner oid := pgqueue_internal.function_owner(new_function, new_phase);
BEGIN
    PERFORM pgqueue_internal.require(target, 'manage');
    PERFORM pgqueue_internal.refuse_system_namespace(target);
    PERFORM pgqueue_internal.check_handler(new_type, new_phase);
    PERFORM pgqueue_internal.check_handler_count(target, new_phase);
    PERFORM pgqueue_internal.keep_namespace(target);
    LOOP
        PERFORM pgqueue_internal.check_handler_is_new(target, new_type, new_phase, new_function, 0);
        INSERT INTO pgqueue_internal.handler AS h
            (namespace_id, type, phase, function, role, role_name, owner, owner_name)
        VALUES (target, new_type, new_phase, new_function, role, pgqueue_internal.role_name(role, ''),
            owner, pgqueue_internal.role_name(owner, ''))
        -- Another session's, which the next check sees; with one that this transaction's snapshot cannot see the server
        -- raises 40001.
        ON CONFLICT DO NOTHING
        RETURNING h.* INTO added;
        EXIT WHEN FOUND;
    END LOOP;
    PERFORM pgqueue_internal.note_role(role);
    RETURN pgqueue_internal.shown_handler(added);
END
$$;

CREATE FUNCTION pgqueue_internal.create_handler(type text, function text, phase text, namespace text)
    RETURNS pgqueue.handler
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pgqueue_internal.check_call('create_handler', true);
    RETURN pgqueue_internal.add_handler(pgqueue_internal.resolve_namespace(namespace), type, function,
        coalesce(phase, 'handle'));
END
$$;

CREATE FUNCTION pgqueue.create_handler(type text, function text, phase text DEFAULT 'handle',
    namespace text DEFAULT NULL) RETURNS pgqueue.handler
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_create_handler';
COMMENT ON FUNCTION pgqueue.create_handler IS
'Registers a function that runs typed tasks in the server, as the role of the caller, and returns its row. It '
'serves the type and all types that begin with it; the longest one wins. In phase handle (default) the function '
'f(payload jsonb) does the task; f(payload jsonb) of phase before and f(payload jsonb, result jsonb) of phase after '
'run around it, and f(payload jsonb, error text) of phase failed when a task has failed for good; there the type '''' '
'means all. Raises 42883 for an unknown function, 42809 for one that cannot be '
'a handler, 42710 when the place is taken, 53400 beyond 1000 handlers of the namespace or 16 of phase '
'failed, 22023 for a wrong type or phase. Needs the privilege manage, and the right to execute the function (42501).';

CREATE FUNCTION pgqueue_internal.delete_handler(type text, function text, phase text, namespace text)
    RETURNS SETOF pgqueue.handler
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target integer;
    gone pgqueue_internal.handler;
    deleted boolean := false;
BEGIN
    PERFORM pgqueue_internal.check_call('delete_handler', true);
    target := pgqueue_internal.resolve_namespace(namespace);
    PERFORM pgqueue_internal.require(target, 'manage');
    PERFORM pgqueue_internal.check_given('type', type);
    phase := coalesce(phase, 'handle');
    PERFORM pgqueue_internal.check_word('phase', phase, '{handle,before,after,failed}');
    FOR gone IN
        DELETE FROM pgqueue_internal.handler h
        WHERE h.namespace_id = target AND h.type = delete_handler.type AND h.phase = delete_handler.phase
            AND (delete_handler.function IS NULL OR h.function = delete_handler.function)
        RETURNING h.*
    LOOP
        deleted := true;
        RETURN NEXT pgqueue_internal.shown_handler(gone);
    END LOOP;
    IF NOT deleted THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object',
            MESSAGE = format('handler of phase "%s" for type "%s" does not exist', phase, type),
            HINT = coalesce(pgqueue_internal.perhaps('type', type,
                    ARRAY(SELECT DISTINCT h.type FROM pgqueue_internal.handler h WHERE h.namespace_id = target)),
                'See the view pgqueue.handler.');
    END IF;
END
$$;

CREATE FUNCTION pgqueue.delete_handler(type text, function text DEFAULT NULL, phase text DEFAULT 'handle',
    namespace text DEFAULT NULL)
    RETURNS SETOF pgqueue.handler
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_delete_handler';
COMMENT ON FUNCTION pgqueue.delete_handler IS
'Deletes the handlers that were registered for exactly this type and phase, all or only that of function, and '
'returns their rows. Tasks that wait find another handler, or none. Raises 42704 when there is none, 22023 for an '
'unknown phase. Needs the privilege manage.';

-- INSERT, UPDATE and DELETE on the view. The first trigger makes the name of the function
-- whole as the role that changes the view.
CREATE FUNCTION pgqueue_internal.handler_function() RETURNS trigger
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_internal_handler_function';

CREATE FUNCTION pgqueue_internal.handler_insert() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pgqueue_internal.check_call('INSERT', true);
    IF NEW.role IS NOT NULL THEN
        PERFORM pgqueue_internal.refuse_column('role', 'handler');
    ELSIF NEW.created_at IS NOT NULL THEN
        PERFORM pgqueue_internal.refuse_column('created_at', 'handler');
    END IF;
    NEW := pgqueue_internal.add_handler(pgqueue_internal.resolve_namespace(NEW.namespace), NEW.type, NEW.function,
        coalesce(NEW.phase, 'handle'));
    RETURN NEW;
END
$$;

-- Whoever changes a handler becomes its role; it keeps its place in the order.
CREATE FUNCTION pgqueue_internal.handler_update() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target integer := pgqueue_internal.resolve_namespace(OLD.namespace);
    changed pgqueue_internal.handler;
    updater oid := pgqueue_internal.caller();
    new_owner oid := pgqueue_internal.function_owner(NEW.function, NEW.phase);
BEGIN
    PERFORM pgqueue_internal.check_call('UPDATE', true);
    PERFORM pgqueue_internal.require(target, 'manage');
    IF NEW.namespace IS DISTINCT FROM OLD.namespace THEN
        PERFORM pgqueue_internal.refuse_column('namespace', 'handler');
    ELSIF NEW.role IS DISTINCT FROM OLD.role THEN
        PERFORM pgqueue_internal.refuse_column('role', 'handler');
    ELSIF NEW.created_at IS DISTINCT FROM OLD.created_at THEN
        PERFORM pgqueue_internal.refuse_column('created_at', 'handler');
    END IF;
    IF (NEW.type, NEW.phase, NEW.function) IS NOT DISTINCT FROM (OLD.type, OLD.phase, OLD.function) THEN
        RETURN NEW;
    END IF;
    NEW.phase := coalesce(NEW.phase, 'handle');
    PERFORM pgqueue_internal.check_handler(NEW.type, NEW.phase);
    IF NEW.phase IS DISTINCT FROM OLD.phase THEN
        PERFORM pgqueue_internal.check_handler_count(target, NEW.phase);
    END IF;
    SELECT h.* INTO changed FROM pgqueue_internal.handler h
    WHERE h.namespace_id = target AND h.type = OLD.type AND h.phase = OLD.phase AND h.function = OLD.function;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM pgqueue_internal.check_handler_is_new(target, NEW.type, NEW.phase, NEW.function, changed.id);
    BEGIN
        UPDATE pgqueue_internal.handler h
        SET type = NEW.type, phase = NEW.phase, function = NEW.function,
            role = updater, role_name = pgqueue_internal.role_name(updater, ''),
            owner = new_owner, owner_name = pgqueue_internal.role_name(new_owner, '')
        WHERE h.id = changed.id
        RETURNING h.* INTO changed;
        IF NOT FOUND THEN
            RETURN NULL;
        END IF;
    EXCEPTION WHEN unique_violation THEN
        PERFORM pgqueue_internal.check_handler_is_new(target, NEW.type, NEW.phase, NEW.function, changed.id);
        PERFORM pgqueue_internal.refuse_unseen();
    END;
    PERFORM pgqueue_internal.note_role(updater);
    NEW := pgqueue_internal.shown_handler(changed);
    RETURN NEW;
END
$$;

CREATE FUNCTION pgqueue_internal.handler_delete() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target integer := pgqueue_internal.resolve_namespace(OLD.namespace);
BEGIN
    PERFORM pgqueue_internal.check_call('DELETE', true);
    PERFORM pgqueue_internal.require(target, 'manage');
    DELETE FROM pgqueue_internal.handler h
    WHERE h.namespace_id = target AND h.type = OLD.type AND h.phase = OLD.phase AND h.function = OLD.function;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    RETURN OLD;
END
$$;

-- In the order of their names.
CREATE TRIGGER dml_function_insert INSTEAD OF INSERT ON pgqueue.handler
    FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.handler_function();
CREATE TRIGGER dml_function_update INSTEAD OF UPDATE ON pgqueue.handler
    FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.handler_function();
CREATE TRIGGER dml_insert INSTEAD OF INSERT ON pgqueue.handler
    FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.as_owner('handler_insert');
CREATE TRIGGER dml_update INSTEAD OF UPDATE ON pgqueue.handler
    FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.as_owner('handler_update');
CREATE TRIGGER dml_delete INSTEAD OF DELETE ON pgqueue.handler
    FOR EACH ROW EXECUTE FUNCTION pgqueue_internal.as_owner('handler_delete');
