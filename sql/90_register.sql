-- The rows that every installation has. Last, the launcher learns of this database.

INSERT INTO pgqueue_internal.namespace (id, name, owner, owner_name, description)
SELECT 1, 'default', r.oid, r.rolname, NULL FROM pg_catalog.pg_roles r WHERE r.rolname = 'pgqueue_admin'
UNION ALL
SELECT 2, 'pgqueue', r.oid, r.rolname, 'reserved: the extension''s own housekeeping' FROM pg_catalog.pg_roles r WHERE r.rolname = current_user;

INSERT INTO pgqueue_internal.ring (slot, current)
SELECT s, s IN (0, 4) FROM pg_catalog.generate_series(0, 5) s;

SELECT pgqueue_internal.register_database();
