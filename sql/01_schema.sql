-- The schema of what users call and read, and the two roles. Roles belong to the cluster: they stay at DROP EXTENSION.

CREATE SCHEMA pgqueue;
COMMENT ON SCHEMA pgqueue IS 'queues of tasks: functions and views for users';

DO $make$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['pgqueue_user', 'pgqueue_admin'] LOOP
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
END
$make$;
