-- Roles in stored rows: a number, by which the role is known while this database runs, and a
-- name, by which a restore finds it again.

-- The columns that name roles. elsewhere: the number in row t is no number of a role here.
CREATE VIEW pgqueue_internal.role_column AS
SELECT * FROM (VALUES
    ('role', 'oid', 'name', 't.oid IS NULL OR t.system_identifier <> pgqueue_internal.this_cluster()'),
    ('namespace', 'owner', 'owner_name', 't.owner = pgqueue_internal.nobody(t.owner_name)'),
    ('namespace_grant', 'role', 'role_name', 't.role = pgqueue_internal.nobody(t.role_name)'),
    ('namespace_grant', 'grantor', 'grantor_name', 't.grantor = pgqueue_internal.nobody(t.grantor_name)'),
    ('handler', 'role', 'role_name', 't.role = pgqueue_internal.nobody(t.role_name)'),
    ('handler', 'owner', 'owner_name', 't.owner = pgqueue_internal.nobody(t.owner_name)'),
    ('ticker', 'role', 'role_name', 't.role = pgqueue_internal.nobody(t.role_name)')
) c (table_name, number, name, elsewhere);

-- Handlers' tasks are stored under the keys of their roles too.
CREATE FUNCTION pgqueue_internal.note_handler_roles() RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT count(pgqueue_internal.note_role(a.oid))
    FROM pg_catalog.pg_authid a
    WHERE a.oid IN (SELECT h.role FROM pgqueue_internal.handler h);
END;

-- Changes the rows that `wrong` selects (place, oid, rolname of the role): those that somebody has in
-- hands are left. False: there are such.
CREATE FUNCTION pgqueue_internal.set_roles(c pgqueue_internal.role_column, wrong text) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    there boolean;
BEGIN
    EXECUTE format('SELECT EXISTS (%s)', wrong) INTO there;
    IF NOT there THEN
        RETURN true;
    END IF;
    EXECUTE format('UPDATE pgqueue_internal.%I t SET %I = w.oid, %I = w.rolname %s '
            'FROM (%s FOR UPDATE OF t SKIP LOCKED) w WHERE t.ctid = w.place',
        c.table_name, c.number, c.name,
        CASE c.table_name WHEN 'role' THEN ', system_identifier = pgqueue_internal.this_cluster()' END, wrong);
    EXECUTE format('SELECT NOT EXISTS (%s)', wrong) INTO there;
    RETURN there;
END
$$;

-- What the scheduler does when it starts and after a role was made, renamed or dropped: names follow their roles,
-- and rows that came with a dump without their role get the one of that name. It waits for no row; false:
-- somebody has one in hands, look again.
CREATE FUNCTION pgqueue_internal.follow_roles() RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    c pgqueue_internal.role_column;
    done boolean := true;
BEGIN
    PERFORM pgqueue_internal.drop_grants();
    FOR c IN SELECT * FROM pgqueue_internal.role_column LOOP
        done := pgqueue_internal.set_roles(c,
            format('SELECT t.ctid AS place, a.oid, a.rolname FROM pgqueue_internal.%1$I t
            JOIN pg_catalog.pg_authid a ON a.oid = t.%2$I WHERE a.rolname <> t.%3$I AND NOT (%4$s)',
            c.table_name, c.number, c.name, c.elsewhere)) AND done;
        done := pgqueue_internal.set_roles(c,
            format('SELECT t.ctid AS place, a.oid, a.rolname FROM pgqueue_internal.%1$I t
            JOIN pg_catalog.pg_authid a ON a.rolname = t.%3$I WHERE %4$s',
            c.table_name, c.number, c.name, c.elsewhere)) AND done;
    END LOOP;
    PERFORM pgqueue_internal.note_handler_roles();
    -- Of several rows that say the same one is enough.
    DELETE FROM pgqueue_internal.role r WHERE r.entry IN (
        SELECT d.entry FROM pgqueue_internal.role d
        WHERE EXISTS (SELECT FROM pgqueue_internal.role o
                      WHERE o.id = d.id AND o.oid = d.oid AND o.name = d.name AND o.entry < d.entry)
        FOR UPDATE SKIP LOCKED);
    RETURN done;
END
$$;

-- Grants to a role that was dropped are gone; so is one that a role has already, when it is found again by its name.
CREATE FUNCTION pgqueue_internal.drop_grants() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    gone CONSTANT text := $sql$
        SELECT g.ctid FROM pgqueue_internal.namespace_grant g
        WHERE g.role <> 0 AND NOT EXISTS (SELECT FROM pg_catalog.pg_authid a WHERE a.oid = g.role)
            AND (g.role <> pgqueue_internal.nobody(g.role_name) OR EXISTS (
                SELECT FROM pg_catalog.pg_authid a JOIN pgqueue_internal.namespace_grant o ON o.role = a.oid
                WHERE a.rolname = g.role_name AND o.namespace_id = g.namespace_id AND o.privilege = g.privilege)) $sql$;
    there boolean;
BEGIN
    EXECUTE format('SELECT EXISTS (%s)', gone) INTO there;
    IF there THEN
        EXECUTE format('DELETE FROM pgqueue_internal.namespace_grant d '
            'WHERE d.ctid IN (%s FOR UPDATE OF g SKIP LOCKED)', gone);
    END IF;
END
$$;

-- The data becomes this database's own. Rows that come from another cluster belong to the roles of their names here;
-- those of a copy inside the cluster keep their roles, and only one that was dropped is looked for by its name. A role
-- that is not found has nobody's number.
CREATE FUNCTION pgqueue_internal.adopt_rows(database oid) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    here CONSTANT bigint := pgqueue_internal.this_cluster();
    by_name CONSTANT boolean := EXISTS (SELECT FROM pgqueue_internal.identity i
        WHERE i.system_identifier NOT IN (0, here));
    c pgqueue_internal.role_column;
BEGIN
    DELETE FROM pgqueue_internal.identity;
    INSERT INTO pgqueue_internal.identity (system_identifier, database) VALUES (here, adopt_rows.database);
    -- A key that the dictionary does not know is a number of the old cluster: here it may be somebody else's.
    INSERT INTO pgqueue_internal.role (id, oid, name, system_identifier)
    SELECT DISTINCT s.role_id, NULL::oid, 'role ' || (s.role_id::bigint & 4294967295), here
    FROM (SELECT t.role_id FROM pgqueue_internal.segment t
          UNION SELECT a.role_id FROM pgqueue_internal.archive a WHERE a.role_id IS NOT NULL) s
    WHERE NOT EXISTS (SELECT FROM pgqueue_internal.role r WHERE r.id = s.role_id);
    UPDATE pgqueue_internal.role r
    SET oid = (SELECT a.oid FROM pg_catalog.pg_authid a WHERE a.rolname = r.name), system_identifier = here
    WHERE r.system_identifier <> here OR NOT EXISTS (SELECT FROM pg_catalog.pg_authid a WHERE a.oid = r.oid);
    FOR c IN SELECT * FROM pgqueue_internal.role_column x WHERE x.table_name <> 'role' LOOP
        EXECUTE format('UPDATE pgqueue_internal.%1$I t SET %2$I = pgqueue_internal.nobody(t.%3$I)
            WHERE t.%2$I <> 0 AND ($1 OR NOT EXISTS (SELECT FROM pg_catalog.pg_authid a WHERE a.oid = t.%2$I))',
            c.table_name, c.number, c.name) USING by_name;
    END LOOP;
    INSERT INTO pgqueue_internal.role (id, oid, name, system_identifier)
    SELECT DISTINCT (h.role::bigint - 4294967296)::integer, NULL::oid, h.role_name, here
    FROM pgqueue_internal.handler h WHERE h.role = pgqueue_internal.nobody(h.role_name);
    PERFORM pgqueue_internal.follow_roles();
END
$$;

-- What of the configuration belongs to a role that does not exist. A hint for one that
-- came with a dump is to make the role.
CREATE VIEW pgqueue_internal.missing_role AS
SELECT m.namespace_id, m.message,
    CASE WHEN m.role = pgqueue_internal.nobody(m.role_name) THEN pg_catalog.format('CREATE ROLE %I;', m.role_name)
        ELSE m.hint END AS hint
FROM (
    SELECT n.id AS namespace_id, n.owner AS role, n.owner_name AS role_name,
        pg_catalog.format('role "%s", which owns the namespace, does not exist', n.owner_name) AS message,
        pg_catalog.format('SELECT pgqueue.update_namespace(%L, owner => ''pgqueue_admin'');', n.name) AS hint
    FROM pgqueue_internal.namespace n
    UNION ALL
    SELECT h.namespace_id, h.role, h.role_name,
        pg_catalog.format('role "%s" of function %s does not exist, tasks of type "%s" wait for it',
            h.role_name, h.function, h.type),
        pg_catalog.format('SELECT pgqueue.create_handler(type, function, phase, namespace) '
            'FROM pgqueue.delete_handler(%L, %L, %L, %L);', h.type, h.function, h.phase, n.name)
    FROM pgqueue_internal.handler h JOIN pgqueue_internal.namespace n ON n.id = h.namespace_id
    UNION ALL
    SELECT t.namespace_id, t.role, t.role_name,
        pg_catalog.format('role "%s" of ticker "%s" does not exist, it makes no tasks', t.role_name, t.name),
        pg_catalog.format('SELECT pgqueue.delete_ticker(%L, namespace => %L);', t.name, n.name)
    FROM pgqueue_internal.ticker t JOIN pgqueue_internal.namespace n ON n.id = t.namespace_id
) m
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles a WHERE a.oid = m.role);
