-- The rows of 1.0, and what its table let other roles do, as privileges of the namespace.

SELECT pgqueue_internal.background_check_source('@extschema@.pg_background_tasks_1_0'::pg_catalog.regclass);
SELECT pgqueue_internal.background_take('@extschema@.pg_background_tasks_1_0'::pg_catalog.regclass);

DO $make$
DECLARE
    granted record;
BEGIN
    FOR granted IN
        SELECT r.rolname AS role,
            pg_catalog.string_agg(DISTINCT CASE x.privilege_type
                WHEN 'SELECT' THEN 'read' WHEN 'INSERT' THEN 'use' ELSE 'manage' END, ',') AS privileges
        FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) x JOIN pg_catalog.pg_roles r ON r.oid = x.grantee
        WHERE c.oid = '@extschema@.pg_background_tasks_1_0'::pg_catalog.regclass AND x.grantee <> c.relowner
            AND x.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
        GROUP BY r.rolname
    LOOP
        EXECUTE pg_catalog.format('GRANT pgqueue_user TO %I', granted.role);
        PERFORM pgqueue.grant_namespace('pg_background_queue', granted.privileges, granted.role);
    END LOOP;
END
$make$;

DROP TABLE @extschema@.pg_background_tasks_1_0;
COMMENT ON EXTENSION pg_background_queue IS
'queue of SQL statements that the server runs in the background, with topics; made of pgqueue';
