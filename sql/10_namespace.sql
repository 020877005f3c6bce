-- Namespaces: the views and the functions that manage them. A function of schema pgqueue runs its namesake in pgqueue_internal with the
-- rights of the extension's owner; what the caller may do is checked there, by require().

CREATE VIEW pgqueue.namespace WITH (security_barrier) AS
SELECT n.name AS namespace, pgqueue_internal.role_name(n.owner, n.owner_name) AS owner, n.weight, n.max_running, n.max_depth, n.paused,
    n.description, n.created_at,
    abs(n.max_leases) AS max_leases, abs(n.max_groups) AS max_groups, abs(n.max_queues) AS max_queues,
    abs(n.max_priorities) AS max_priorities, abs(n.max_dependencies) AS max_dependencies
FROM pgqueue_internal.namespace n
WHERE pgqueue_internal.may(n.id, 'see');
COMMENT ON VIEW pgqueue.namespace IS 'one row for each namespace';
COMMENT ON COLUMN pgqueue.namespace.namespace IS 'namespace';
COMMENT ON COLUMN pgqueue.namespace.owner IS 'role that owns it';
COMMENT ON COLUMN pgqueue.namespace.weight IS 'share of the workers, 1 to 1000, default 1';
COMMENT ON COLUMN pgqueue.namespace.max_running IS 'most tasks retained at once; NULL unlimited';
COMMENT ON COLUMN pgqueue.namespace.max_depth IS 'most unfinished tasks; NULL unlimited';
COMMENT ON COLUMN pgqueue.namespace.paused IS 'nothing of it starts';
COMMENT ON COLUMN pgqueue.namespace.description IS 'free text';
COMMENT ON COLUMN pgqueue.namespace.created_at IS 'created';
COMMENT ON COLUMN pgqueue.namespace.max_leases IS 'most leases of outside workers at once; NULL the fair part';
COMMENT ON COLUMN pgqueue.namespace.max_groups IS 'most groups with tasks at once; NULL the fair part';
COMMENT ON COLUMN pgqueue.namespace.max_queues IS 'most queues; NULL the fair part';
COMMENT ON COLUMN pgqueue.namespace.max_priorities IS 'most priorities with ready tasks at once; NULL the fair part';
COMMENT ON COLUMN pgqueue.namespace.max_dependencies IS 'most dependencies of waiting tasks at once; NULL the fair part';

-- Owners see every grant of theirs, others those to their own roles.
CREATE VIEW pgqueue.namespace_grant WITH (security_barrier) AS
SELECT n.name AS namespace, CASE WHEN g.role = 0 THEN 'public' ELSE a.rolname::text COLLATE "default" END AS role, g.privilege,
    pgqueue_internal.role_name(g.grantor, g.grantor_name) AS grantor, g.granted_at
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
    SELECT n.name, pgqueue_internal.role_name(n.owner, n.owner_name), n.weight, n.max_running, n.max_depth, n.paused, n.description, n.created_at,
        abs(n.max_leases), abs(n.max_groups), abs(n.max_queues), abs(n.max_priorities), abs(n.max_dependencies)
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

-- Makes a namespace of the caller's; NULL when the name is taken. The lock lets one session at a time make namespaces.
CREATE FUNCTION pgqueue_internal.add_namespace(namespace_name text) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    new_id integer;
    owner oid := pgqueue_internal.caller();
BEGIN
    LOCK TABLE pgqueue_internal.namespace IN SHARE ROW EXCLUSIVE MODE;
    IF EXISTS (SELECT FROM pgqueue_internal.namespace n WHERE n.name = namespace_name) THEN
        RETURN NULL;
    END IF;
    INSERT INTO pgqueue_internal.namespace (name, owner, owner_name)
    VALUES (namespace_name, owner, pgqueue_internal.role_name(owner, ''))
    -- Only with one that this transaction's snapshot cannot see: then the server raises 40001.
    ON CONFLICT DO NOTHING
    RETURNING id INTO new_id;
    RETURN new_id;
END
$$;

-- Changes what is not NULL; zero limits become NULL, as does an empty description.
CREATE FUNCTION pgqueue_internal.patch_namespace(namespace_id integer, new_weight integer, new_max_running integer, new_max_depth bigint,
    new_paused boolean, new_description text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pgqueue_internal.check_range('weight', new_weight, 1, 1000),
        pgqueue_internal.check_range('max_running', new_max_running, 0, NULL),
        pgqueue_internal.check_range('max_depth', new_max_depth, 0, NULL);
    IF num_nonnulls(new_weight, new_max_running, new_max_depth, new_paused, new_description) = 0 THEN
        RETURN;
    END IF;
    UPDATE pgqueue_internal.namespace n
    SET weight = coalesce(new_weight, n.weight),
        max_running = nullif(coalesce(new_max_running, n.max_running), 0),
        max_depth = nullif(coalesce(new_max_depth, n.max_depth), 0),
        paused = coalesce(new_paused, n.paused),
        description = nullif(coalesce(new_description, n.description), '')
    WHERE n.id = namespace_id;
END
$$;

-- A part of what all share after a change; wished NULL: no change, zero: the fair part. A member of pgqueue_admin sets
-- any number. Others lower it: to no more than the present number, beside the fair part unless pgqueue_admin has set
-- that number. 42501 for more.
CREATE FUNCTION pgqueue_internal.changed_share(namespace_name text, setting text, present integer, wished integer,
    is_admin boolean) RETURNS integer
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pgqueue_internal.check_range(setting, wished, 0, NULL);
    IF is_admin AND wished IS NOT NULL THEN
        RETURN nullif(wished, 0);
    END IF;
    IF wished IS NULL OR wished = abs(coalesce(present, 0)) THEN
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

-- Changes the parts that are not NULL.
CREATE FUNCTION pgqueue_internal.patch_shares(namespace_id integer, new_max_leases integer, new_max_groups integer, new_max_queues integer,
    new_max_priorities integer, new_max_dependencies integer) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    is_admin boolean := pg_has_role(pgqueue_internal.caller(), 'pgqueue_admin', 'USAGE');
BEGIN
    IF num_nonnulls(new_max_leases, new_max_groups, new_max_queues, new_max_priorities, new_max_dependencies) = 0 THEN
        RETURN;
    END IF;
    UPDATE pgqueue_internal.namespace n
    SET max_leases = pgqueue_internal.changed_share(n.name, 'max_leases', n.max_leases, new_max_leases, is_admin),
        max_groups = pgqueue_internal.changed_share(n.name, 'max_groups', n.max_groups, new_max_groups, is_admin),
        max_queues = pgqueue_internal.changed_share(n.name, 'max_queues', n.max_queues, new_max_queues, is_admin),
        max_priorities = pgqueue_internal.changed_share(n.name, 'max_priorities', n.max_priorities, new_max_priorities, is_admin),
        max_dependencies = pgqueue_internal.changed_share(n.name, 'max_dependencies', n.max_dependencies, new_max_dependencies, is_admin)
    WHERE n.id = namespace_id;
END
$$;

-- Renames a namespace; 42710 when the name is taken.
CREATE FUNCTION pgqueue_internal.rename_namespace(namespace_id integer, new_name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    normalized text := pgqueue_internal.user_namespace(new_name);
BEGIN
    LOCK TABLE pgqueue_internal.namespace IN SHARE ROW EXCLUSIVE MODE;
    IF EXISTS (SELECT FROM pgqueue_internal.namespace n WHERE n.name = normalized AND n.id <> namespace_id) THEN
        RAISE EXCEPTION USING ERRCODE = 'duplicate_object', MESSAGE = format('namespace "%s" already exists', normalized),
            HINT = 'Choose another name.';
    END IF;
    UPDATE pgqueue_internal.namespace n SET name = normalized WHERE n.id = namespace_id AND n.name <> normalized;
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
