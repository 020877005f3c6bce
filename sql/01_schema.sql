-- The schema of what users call and read, and the three roles. Roles belong to the
-- cluster: they stay at DROP EXTENSION.

CREATE SCHEMA pgqueue;
COMMENT ON SCHEMA pgqueue IS 'queues of tasks: functions and views for users';

DO $make$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['pgqueue_user', 'pgqueue_admin', 'pgqueue_views'] LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = wanted) THEN
            BEGIN
                EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN', wanted);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;  -- CREATE EXTENSION in another database was faster
            END;
        END IF;
    END LOOP;
    IF NOT pg_catalog.pg_has_role('pgqueue_admin', 'pgqueue_user', 'MEMBER') THEN
        GRANT pgqueue_user TO pgqueue_admin;
    END IF;
    -- The owner of the views (70_rights.sql) reads all tables: it is nobody, and nobody may become it.
    IF EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = 'pgqueue_views'
               AND (r.rolcanlogin OR r.rolsuper OR r.rolcreaterole OR r.rolbypassrls
                    OR EXISTS (SELECT FROM pg_catalog.pg_auth_members m WHERE r.oid IN (m.roleid, m.member)))) THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'role "pgqueue_views" cannot own the views of pgqueue',
            DETAIL = 'It may log in, has attributes, has members or is a member.',
            HINT = 'Drop the role; CREATE EXTENSION creates it again.';
    END IF;
END
$make$;
