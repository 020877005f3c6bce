-- The functions that manage namespaces, each a body here and its entry in schema pgqueue.

-- Keeps a namespace until the end of the transaction, for a row that refers to it. 42704 when another session has
-- deleted it meanwhile. The caller has checked the rights.
CREATE FUNCTION pgqueue_internal.keep_namespace(target integer) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM FROM pgqueue_internal.namespace n WHERE n.id = target FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = 'the namespace was deleted by another session',
            HINT = 'See the view pgqueue.namespace.';
    END IF;
END
$$;

-- Locks a namespace that the caller owns until the end of the transaction: alone, or beside others who grant and
-- revoke. Ownership is asked for again after the wait, in which another session may have given the namespace away. And
-- who gives it away waits for open grants, so that none of them comes to light later.
CREATE FUNCTION pgqueue_internal.lock_owned(target integer, alone boolean) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pgqueue_internal.require(target, 'owner');
    IF alone THEN
        PERFORM FROM pgqueue_internal.namespace n WHERE n.id = target FOR NO KEY UPDATE;
    ELSE
        PERFORM FROM pgqueue_internal.namespace n WHERE n.id = target FOR SHARE;
    END IF;
    PERFORM pgqueue_internal.keep_namespace(target), pgqueue_internal.require(target, 'owner');
END
$$;

CREATE FUNCTION pgqueue_internal.create_namespace(given pgqueue.namespace) RETURNS pgqueue.namespace
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    namespace_name text;
    target integer;
BEGIN
    PERFORM pgqueue_internal.check_call('create_namespace', true);
    namespace_name := pgqueue_internal.user_namespace(given.namespace);
    PERFORM pgqueue_internal.require(NULL, 'admin');
    LOOP
        target := coalesce(pgqueue_internal.namespace_id(namespace_name),
            pgqueue_internal.add_namespace(namespace_name));
        EXIT WHEN target IS NOT NULL;
    END LOOP;
    PERFORM pgqueue_internal.change_namespace(target, given, NULL);
    RETURN pgqueue_internal.shown_namespace(target);
END
$$;

CREATE FUNCTION pgqueue.create_namespace(namespace text, weight integer DEFAULT NULL, max_running integer DEFAULT NULL,
    max_depth bigint DEFAULT NULL, description text DEFAULT NULL, max_leases integer DEFAULT NULL,
    max_groups integer DEFAULT NULL, max_queues integer DEFAULT NULL, max_priorities integer DEFAULT NULL,
    max_dependencies integer DEFAULT NULL) RETURNS pgqueue.namespace
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_manage';
COMMENT ON FUNCTION pgqueue.create_namespace IS
'Creates a namespace that the caller owns, or changes the given settings of an existing one, and returns its row. '
'weight is its share of the workers (1 to 1000, default 1). 0 means no limit for max_running and max_depth, and the '
'fair part for max_leases, max_groups, max_queues, max_priorities and max_dependencies. Raises 42602 for an invalid '
'name, 42939 for the name pgqueue, 22023 for a value out of range. Needs membership in pgqueue_admin.';

CREATE FUNCTION pgqueue_internal.update_namespace(given pgqueue.namespace, rename_to text) RETURNS pgqueue.namespace
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target integer;
BEGIN
    PERFORM pgqueue_internal.check_call('update_namespace', true);
    target := pgqueue_internal.resolve_namespace(pgqueue_internal.user_namespace(given.namespace));
    PERFORM pgqueue_internal.lock_owned(target, true);
    given.namespace := NULL;
    PERFORM pgqueue_internal.check_patched(NOT (given IS NULL) OR rename_to IS NOT NULL);
    PERFORM pgqueue_internal.change_namespace(target, given, NULL);
    IF rename_to IS NOT NULL THEN
        PERFORM pgqueue_internal.rename_namespace(target, rename_to);
    END IF;
    IF given.owner IS NOT NULL THEN
        PERFORM pgqueue_internal.give_namespace(target, given.owner);
    END IF;
    RETURN pgqueue_internal.shown_namespace(target);
END
$$;

CREATE FUNCTION pgqueue.update_namespace(namespace text, weight integer DEFAULT NULL, max_running integer DEFAULT NULL,
    max_depth bigint DEFAULT NULL, paused boolean DEFAULT NULL, description text DEFAULT NULL, owner text DEFAULT NULL,
    rename_to text DEFAULT NULL, max_leases integer DEFAULT NULL,
    max_groups integer DEFAULT NULL, max_queues integer DEFAULT NULL, max_priorities integer DEFAULT NULL,
    max_dependencies integer DEFAULT NULL)
    RETURNS pgqueue.namespace
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_manage';
COMMENT ON FUNCTION pgqueue.update_namespace IS
'Changes the given settings of a namespace and returns its row; 0 removes a limit, '''' the description. rename_to '
'gives it another name, owner another owner. Only members of pgqueue_admin rename a namespace and raise max_leases, '
'max_groups, max_queues, max_priorities and max_dependencies (42501). Raises 22023 when nothing is given or a '
'value is out of range, 42704 for an unknown namespace or owner, 42710 when the new name is taken, 42939 for the '
'namespace pgqueue. Needs ownership of the namespace.';

CREATE FUNCTION pgqueue_internal.delete_namespace(namespace text, force boolean)
RETURNS pgqueue.namespace
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    namespace_name text;
    target integer;
    queues bigint;
    tickers bigint;
    deleted pgqueue.namespace;
BEGIN
    PERFORM pgqueue_internal.check_call('delete_namespace', true);
    namespace_name := pgqueue_internal.user_namespace(namespace);
    target := pgqueue_internal.resolve_namespace(namespace_name);
    PERFORM pgqueue_internal.lock_owned(target, true);
    PERFORM FROM pgqueue_internal.namespace n WHERE n.id = target FOR UPDATE;  -- no new queues until the end
    deleted := pgqueue_internal.shown_namespace(target);
    SELECT count(*) INTO queues FROM pgqueue_internal.queue q WHERE q.namespace_id = target;
    SELECT count(*) INTO tickers FROM pgqueue_internal.ticker t WHERE t.namespace_id = target;
    IF queues + tickers > 0 AND force IS NOT TRUE THEN
        RAISE EXCEPTION USING ERRCODE = 'dependent_objects_still_exist',
            MESSAGE = format('namespace "%s" is not empty', namespace_name),
            DETAIL = format('Queues in it: %s, tickers: %s.', queues, tickers),
            HINT = format('Delete them first, or use SELECT pgqueue.delete_namespace(%L, force => true).',
                namespace_name);
    END IF;
    PERFORM pgqueue_internal.drop_queue_tasks(q.id, true) FROM pgqueue_internal.queue q WHERE q.namespace_id = target;
    DELETE FROM pgqueue_internal.archive a WHERE a.namespace_id = target;
    DELETE FROM pgqueue_internal.namespace n WHERE n.id = target;
    RETURN deleted;
END
$$;

CREATE FUNCTION pgqueue.delete_namespace(namespace text, force boolean DEFAULT false) RETURNS pgqueue.namespace
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_manage';
COMMENT ON FUNCTION pgqueue.delete_namespace IS
'Deletes a namespace with its archived tasks and returns its last row. One that has queues or tickers raises 2BP01, '
'unless force deletes them too, with all their tasks; running tasks are cancelled. Raises 42704 for an unknown '
'namespace, 42939 for the namespace pgqueue. Needs ownership of the namespace.';

CREATE FUNCTION pgqueue_internal.get_namespace(namespace text) RETURNS SETOF pgqueue.namespace
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    namespace_name text := pgqueue_internal.normalize_name('namespace',
        coalesce(namespace, current_setting('pgqueue.namespace', true), 'default'));
BEGIN
    RETURN QUERY
    SELECT s.* FROM pgqueue_internal.namespace n, pgqueue_internal.shown_namespace(n.id) s
    WHERE n.name = namespace_name AND pgqueue_internal.check_seen(n.id);
END
$$;

CREATE FUNCTION pgqueue.get_namespace(namespace text DEFAULT NULL) RETURNS SETOF pgqueue.namespace
    LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 1 AS 'MODULE_PATHNAME', 'pgqueue_manage';
COMMENT ON FUNCTION pgqueue.get_namespace IS
'Returns the row of a namespace, or no row when there is none. NULL means the setting pgqueue.namespace. Raises '
'42501 without any privilege in it.';

-- The privileges of a comma list, each once; all stands for the four. 22004, 22023.
CREATE FUNCTION pgqueue_internal.privilege_list(privileges text) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known CONSTANT text[] := ARRAY['use', 'work', 'manage', 'read'];
    given text;
    result text[] := ARRAY[]::text[];
BEGIN
    PERFORM pgqueue_internal.check_given('privileges', privileges);
    FOREACH given IN ARRAY string_to_array(lower(privileges), ',') LOOP
        given := pgqueue_internal.trimmed(given);
        PERFORM pgqueue_internal.check_word('privileges', given, known || 'all'::text);
        result := result || CASE WHEN given = 'all' THEN known ELSE ARRAY[given] END;
    END LOOP;
    IF cardinality(result) = 0 THEN
        PERFORM pgqueue_internal.check_word('privileges', privileges, known || 'all'::text);
    END IF;
    RETURN ARRAY(SELECT DISTINCT p FROM unnest(result) p);
END
$$;

CREATE FUNCTION pgqueue_internal.grant_namespace(namespace text, privileges text, role text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target integer;
    grantor oid := pgqueue_internal.caller();
    words text[];
BEGIN
    PERFORM pgqueue_internal.check_call('grant_namespace', true);
    target := pgqueue_internal.resolve_namespace(pgqueue_internal.normalize_name('namespace', namespace));
    PERFORM pgqueue_internal.lock_owned(target, false);
    words := pgqueue_internal.privilege_list(privileges);
    INSERT INTO pgqueue_internal.namespace_grant (namespace_id, role, role_name, privilege, grantor, grantor_name)
    SELECT target, pgqueue_internal.role_oid(grant_namespace.role, true), grant_namespace.role, p, grantor,
        pgqueue_internal.role_name(grantor, '')
    FROM unnest(words) p
    ON CONFLICT DO NOTHING;
END
$$;

CREATE FUNCTION pgqueue.grant_namespace(namespace text, privileges text, role text) RETURNS void
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_manage';
COMMENT ON FUNCTION pgqueue.grant_namespace IS
'Grants privileges in a namespace to a role. privileges is a comma list of use, work, manage and read, or all; the '
'role public means every member of pgqueue_user. Granting what is granted is no error. Raises 22023 for an unknown '
'privilege, 42704 for an unknown namespace or role. Needs ownership of the namespace.';

CREATE FUNCTION pgqueue_internal.revoke_namespace(namespace text, privileges text, role text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target integer;
    role_oid oid;
    words text[];
BEGIN
    PERFORM pgqueue_internal.check_call('revoke_namespace', true);
    target := pgqueue_internal.resolve_namespace(pgqueue_internal.normalize_name('namespace', namespace));
    PERFORM pgqueue_internal.lock_owned(target, false);
    words := pgqueue_internal.privilege_list(privileges);
    role_oid := pgqueue_internal.role_oid(role, true);
    DELETE FROM pgqueue_internal.namespace_grant g
    WHERE g.namespace_id = target AND g.role = role_oid AND g.privilege = ANY (words);
END
$$;

CREATE FUNCTION pgqueue.revoke_namespace(namespace text, privileges text, role text) RETURNS void
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_manage';
COMMENT ON FUNCTION pgqueue.revoke_namespace IS
'Revokes direct grants of a role in a namespace. privileges is a comma list of use, work, manage and read, or all. '
'Revoking what is not granted is no error. Raises 22023 for an unknown privilege, 42704 for an unknown namespace or '
'role. Needs ownership of the namespace.';

CREATE FUNCTION pgqueue_internal.has_namespace_privilege(namespace text, privilege text, role text) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target integer := pgqueue_internal.resolve_namespace(pgqueue_internal.normalize_name('namespace', namespace));
    asked oid;
BEGIN
    PERFORM pgqueue_internal.check_given('privilege', privilege),
        pgqueue_internal.check_word('privilege', privilege, ARRAY['use', 'work', 'manage', 'read', 'owner']);
    asked := CASE WHEN role IS NULL THEN pgqueue_internal.caller() ELSE pgqueue_internal.role_oid(role, false) END;
    RETURN pg_has_role(asked, 'pgqueue_admin', 'USAGE')
        OR EXISTS (SELECT FROM pgqueue_internal.namespace n
            WHERE n.id = target AND pgqueue_internal.is_member(asked, n.owner))
        OR EXISTS (SELECT FROM pgqueue_internal.namespace_grant g
                   WHERE g.namespace_id = target AND g.privilege = has_namespace_privilege.privilege
                       AND CASE WHEN g.role = 0 THEN pg_has_role(asked, 'pgqueue_user', 'USAGE')
                                ELSE pgqueue_internal.is_member(asked, g.role) END);
END
$$;

CREATE FUNCTION pgqueue.has_namespace_privilege(namespace text, privilege text, role text DEFAULT NULL) RETURNS boolean
    LANGUAGE C STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'pgqueue_manage';
COMMENT ON FUNCTION pgqueue.has_namespace_privilege IS
'Returns whether a role (NULL: the caller) has a privilege in a namespace: use, work, manage, read or owner. '
'Memberships in other roles count; the owner and members of pgqueue_admin have every privilege. Raises 22023 for an '
'unknown privilege, 42704 for an unknown namespace or role. Needs no privilege.';
