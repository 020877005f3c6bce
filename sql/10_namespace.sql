-- Namespaces: their views, and the functions behind 11_namespace_functions.sql. A function of schema pgqueue runs its
-- namesake in pgqueue_internal with the rights of the extension's owner; what the caller may do is checked there, by
-- require().

CREATE VIEW pgqueue.namespace WITH (security_barrier) AS
SELECT n.name AS namespace, pgqueue_internal.shown(pgqueue_internal.role_name(n.owner, n.owner_name)) AS owner,
    pgqueue_internal.shown(n.weight) AS weight, pgqueue_internal.shown(n.max_running) AS max_running,
    pgqueue_internal.shown(n.max_depth) AS max_depth, pgqueue_internal.shown(n.paused) AS paused,
    pgqueue_internal.shown(n.description) AS description, pgqueue_internal.shown(n.created_at) AS created_at,
    abs(pgqueue_internal.shown(n.max_leases)) AS max_leases, abs(pgqueue_internal.shown(n.max_groups)) AS max_groups,
    abs(pgqueue_internal.shown(n.max_queues)) AS max_queues,
    abs(pgqueue_internal.shown(n.max_priorities)) AS max_priorities,
    abs(pgqueue_internal.shown(n.max_dependencies)) AS max_dependencies
FROM pgqueue_internal.namespace n
WHERE pgqueue_internal.may(n.id, 'see');
COMMENT ON VIEW pgqueue.namespace IS 'one row for each namespace';
COMMENT ON COLUMN pgqueue.namespace.namespace IS 'namespace';
COMMENT ON COLUMN pgqueue.namespace.owner IS 'role that owns it';
COMMENT ON COLUMN pgqueue.namespace.created_at IS 'created';

-- Owners see every grant of theirs, others those to their own roles.
CREATE VIEW pgqueue.namespace_grant WITH (security_barrier) AS
SELECT n.name AS namespace, CASE WHEN g.role = 0 THEN 'public' ELSE a.rolname::text COLLATE "default" END AS role,
    g.privilege, pgqueue_internal.role_name(g.grantor, g.grantor_name) AS grantor, g.granted_at
FROM pgqueue_internal.namespace_grant g
JOIN pgqueue_internal.visible n ON n.id = g.namespace_id
LEFT JOIN pg_catalog.pg_roles a ON a.oid = g.role
WHERE (g.role = 0 OR a.oid IS NOT NULL)
    AND (n.grants OR g.role = 0 OR pg_catalog.pg_has_role(g.role, 'USAGE'));
COMMENT ON VIEW pgqueue.namespace_grant IS 'who may do what';
COMMENT ON COLUMN pgqueue.namespace_grant.namespace IS 'namespace';
COMMENT ON COLUMN pgqueue.namespace_grant.role IS 'role';
COMMENT ON COLUMN pgqueue.namespace_grant.privilege IS 'use, work, manage or read';
COMMENT ON COLUMN pgqueue.namespace_grant.grantor IS 'who granted it';
COMMENT ON COLUMN pgqueue.namespace_grant.granted_at IS 'when';

-- The row of a namespace as the view shows it, to whomever.
CREATE FUNCTION pgqueue_internal.shown_namespace(namespace_id integer) RETURNS pgqueue.namespace
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT n.name, pgqueue_internal.role_name(n.owner, n.owner_name), n.weight, n.max_running, n.max_depth, n.paused,
        n.description, n.created_at, abs(n.max_leases), abs(n.max_groups), abs(n.max_queues), abs(n.max_priorities),
        abs(n.max_dependencies)
    FROM pgqueue_internal.namespace n
    WHERE n.id = shown_namespace.namespace_id;
END;

-- The normalised name of a namespace that users may make, change or drop; 22004, 42602, 42939.
CREATE FUNCTION pgqueue_internal.user_namespace(namespace text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    normalized text := pgqueue_internal.normalize_name('namespace', namespace);
BEGIN
    IF normalized = 'pgqueue' THEN
        RAISE EXCEPTION USING ERRCODE = 'reserved_name', MESSAGE = 'namespace "pgqueue" is reserved for system use',
            HINT = 'Choose another name.';
    END IF;
    RETURN normalized;
END
$$;

-- Raises 42939 for the extension's own namespace.
CREATE FUNCTION pgqueue_internal.refuse_system_namespace(namespace_id integer) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF namespace_id = 2 THEN
        RAISE EXCEPTION USING ERRCODE = 'reserved_name', MESSAGE = 'namespace "pgqueue" is reserved for system use',
            HINT = 'Name another namespace.';
    END IF;
END
$$;

-- The id of a namespace with this normalised name; NULL when there is none.
CREATE FUNCTION pgqueue_internal.namespace_id(namespace_name text) RETURNS integer
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT n.id FROM pgqueue_internal.namespace n WHERE n.name = namespace_name);
END
$$;

-- Makes a namespace of the caller's; NULL when the name is taken, at the latest when the session that takes it commits.
CREATE FUNCTION pgqueue_internal.add_namespace(namespace_name text) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    new_id integer;
    owner oid := pgqueue_internal.caller();
BEGIN
    INSERT INTO pgqueue_internal.namespace (name, owner, owner_name)
    VALUES (namespace_name, owner, pgqueue_internal.role_name(owner, ''))
    -- With one that this transaction's snapshot cannot see the server raises 40001.
    ON CONFLICT DO NOTHING
    RETURNING id INTO new_id;
    RETURN new_id;
END
$$;

-- Raises 42710 when another namespace than `own` has the name.
CREATE FUNCTION pgqueue_internal.check_namespace_is_new(new_name text, own integer) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM pgqueue_internal.namespace n WHERE n.name = new_name AND n.id <> own) THEN
        RAISE EXCEPTION USING ERRCODE = 'duplicate_object', MESSAGE = format('namespace "%s" already exists', new_name),
            HINT = 'Choose another name.';
    END IF;
END
$$;

-- A part of what all share after a change; NULL: the fair part. A member of pgqueue_admin sets any
-- number. Others lower it: to no more than the present number, beside the fair part unless
-- pgqueue_admin has set that number. 42501 for more.
CREATE FUNCTION pgqueue_internal.changed_share(namespace_name text, setting text, present integer, given integer,
    was integer) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wished integer := coalesce(given, 0);
BEGIN
    IF given IS NOT DISTINCT FROM was THEN
        RETURN present;
    END IF;
    PERFORM pgqueue_internal.check_range(setting, wished, 0, NULL);
    IF pg_has_role(pgqueue_internal.caller(), 'pgqueue_admin', 'USAGE') THEN
        RETURN nullif(wished, 0);
    END IF;
    IF wished = abs(coalesce(present, 0)) THEN
        RETURN present;
    END IF;
    IF present IS NOT NULL AND (wished = 0 OR wished > abs(present)) THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = format('permission denied to raise %s of namespace "%s"', setting, namespace_name),
            DETAIL = format('It is %s; the owner of a namespace can only lower it.', abs(present)),
            HINT = format('A member of pgqueue_admin raises it: SELECT pgqueue.update_namespace(%L, %s => %s);',
                namespace_name, setting, wished);
    END IF;
    RETURN CASE WHEN present > 0 THEN wished ELSE -wished END;
END
$$;

-- Stores the settings of a namespace that `given` changes; was: as for row_with().
CREATE FUNCTION pgqueue_internal.change_namespace(target integer, given pgqueue.namespace, was pgqueue.namespace)
    RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    present pgqueue_internal.namespace;
    n pgqueue_internal.namespace;
BEGIN
    SELECT s.* INTO present FROM pgqueue_internal.namespace s WHERE s.id = target FOR NO KEY UPDATE;
    n := pgqueue_internal.row_with(present, given, was);
    n.max_leases := pgqueue_internal.changed_share(n.name, 'max_leases', present.max_leases, given.max_leases,
        was.max_leases);
    n.max_groups := pgqueue_internal.changed_share(n.name, 'max_groups', present.max_groups, given.max_groups,
        was.max_groups);
    n.max_queues := pgqueue_internal.changed_share(n.name, 'max_queues', present.max_queues, given.max_queues,
        was.max_queues);
    n.max_priorities := pgqueue_internal.changed_share(n.name, 'max_priorities', present.max_priorities,
        given.max_priorities, was.max_priorities);
    n.max_dependencies := pgqueue_internal.changed_share(n.name, 'max_dependencies', present.max_dependencies,
        given.max_dependencies, was.max_dependencies);
    PERFORM pgqueue_internal.store_row(pgqueue_internal.checked_row('namespace', n));
END
$$;

-- Renames a namespace. It waits only for a session that takes the same name.
CREATE FUNCTION pgqueue_internal.rename_namespace(namespace_id integer, new_name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    normalized text := pgqueue_internal.user_namespace(new_name);
BEGIN
    PERFORM pgqueue_internal.check_namespace_is_new(normalized, namespace_id);
    -- Else an owner could take the name that a member is about to create for others.
    IF NOT pg_has_role(pgqueue_internal.caller(), 'pgqueue_admin', 'USAGE')
        AND EXISTS (SELECT FROM pgqueue_internal.namespace n WHERE n.id = namespace_id AND n.name <> normalized) THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = 'permission denied to rename a namespace',
            DETAIL = 'Members of pgqueue_admin give namespaces their names.',
            HINT = format('A member of pgqueue_admin renames it: SELECT pgqueue.update_namespace(%L, rename_to => %L);',
                (SELECT n.name FROM pgqueue_internal.namespace n WHERE n.id = namespace_id), normalized);
    END IF;
    UPDATE pgqueue_internal.namespace n SET name = normalized WHERE n.id = namespace_id AND n.name <> normalized;
EXCEPTION WHEN unique_violation THEN
    PERFORM pgqueue_internal.check_namespace_is_new(normalized, namespace_id);
    PERFORM pgqueue_internal.refuse_unseen();
END
$$;

-- Gives a namespace to another role.
CREATE FUNCTION pgqueue_internal.give_namespace(namespace_id integer, new_owner text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    role oid := pgqueue_internal.role_oid(new_owner, false);
BEGIN
    UPDATE pgqueue_internal.namespace n SET owner = role, owner_name = new_owner WHERE n.id = namespace_id;
END
$$;
