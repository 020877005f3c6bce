-- Who may do what: PUBLIC nothing (K10), roles and grants as in the table of rights, safe search paths (K11).
\set ECHO none
\set QUIET 1
BEGIN;
SELECT no_plan();

-- PUBLIC and the schemas.
SELECT is_empty(
    $$SELECT oid::regprocedure FROM pg_proc
        WHERE pronamespace IN ('pgqueue'::regnamespace, 'pgqueue_internal'::regnamespace)
    AND has_function_privilege('public', oid, 'EXECUTE')$$, 'PUBLIC may execute nothing (K10)');
SELECT is_empty(
    $$SELECT oid::regclass FROM pg_class
        WHERE relnamespace IN ('pgqueue'::regnamespace, 'pgqueue_internal'::regnamespace) AND relkind IN ('r', 'v')
    AND has_table_privilege('public', oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')$$,
    'PUBLIC may read and write nothing (K10)');
SELECT is_empty(
    $$SELECT nspname FROM pg_namespace
        WHERE nspname LIKE 'pgqueue%' AND has_schema_privilege('public', oid, 'USAGE, CREATE')$$,
    'PUBLIC may not use the schemas');
SELECT is_empty(
    $$SELECT r, n FROM unnest('{pgqueue_user,pgqueue_admin}'::text[]) r, unnest('{USAGE,CREATE}'::text[]) n
        WHERE has_schema_privilege(r, 'pgqueue_internal', n)$$,
    'nobody may use pgqueue_internal');
SELECT ok(has_schema_privilege('pgqueue_user', 'pgqueue', 'USAGE')
    AND NOT has_schema_privilege('pgqueue_user', 'pgqueue', 'CREATE'), 'pgqueue_user may use schema pgqueue');
SELECT is_empty(
    $$SELECT oid::regprocedure FROM pg_proc
        WHERE pronamespace = 'pgqueue'::regnamespace AND NOT has_function_privilege('pgqueue_user', oid, 'EXECUTE')$$,
    'pgqueue_user may call every function of schema pgqueue');
SELECT is_empty(
    $$SELECT oid::regclass FROM pg_class
        WHERE relnamespace = 'pgqueue'::regnamespace AND relkind = 'v'
            AND NOT has_table_privilege('pgqueue_user', oid, 'SELECT')$$,
    'pgqueue_user may read every view');
SELECT is_empty(
    $$SELECT oid::regclass FROM pg_class
        WHERE relnamespace IN ('pgqueue'::regnamespace, 'pgqueue_internal'::regnamespace)
    AND has_table_privilege('pgqueue_user', oid, 'TRUNCATE, REFERENCES, TRIGGER')$$,
    'and nobody gets TRIGGER or REFERENCES');
SELECT is_empty(
    $$SELECT oid::regclass FROM pg_class WHERE relnamespace = 'pgqueue_internal'::regnamespace AND relkind IN ('r', 'v')
    AND has_table_privilege('pgqueue_user', oid, 'SELECT, INSERT, UPDATE, DELETE')$$, 'the tables are out of reach');
SELECT ok(pg_has_role('pgqueue_admin', 'pgqueue_user', 'MEMBER'), 'pgqueue_admin is a pgqueue_user');
SELECT is_empty(
    $$SELECT rolname FROM pg_roles
        WHERE rolname IN ('pgqueue_user', 'pgqueue_admin') AND (rolcanlogin OR rolsuper OR rolcreaterole)$$,
    'both are NOLOGIN roles without attributes');

-- Search paths. A function that is made of SQL has its body parsed or its path pinned.
SELECT is_empty($$SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
    WHERE p.pronamespace IN ('pgqueue'::regnamespace, 'pgqueue_internal'::regnamespace) AND l.lanname <> 'c'
        AND p.prosqlbody IS NULL
    AND NOT coalesce(p.proconfig, '{}') @> ARRAY['search_path=pg_catalog, pg_temp']$$,
    'every function has a safe search path (K11)');
SELECT is_empty(
    $$SELECT oid::regprocedure FROM pg_proc
        WHERE pronamespace IN ('pgqueue'::regnamespace, 'pgqueue_internal'::regnamespace) AND prosecdef$$,
    'none is SECURITY DEFINER');
SELECT is_empty(
    $$SELECT c.oid::regclass FROM pg_class c
        WHERE c.relnamespace IN ('pgqueue'::regnamespace, 'pgqueue_internal'::regnamespace)
            AND c.relkind IN ('r', 'v', 'S')
    AND NOT EXISTS (SELECT FROM pg_depend d
        WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'e')$$,
    'all relations belong to the extension');

-- Roles, one for each privilege.
CREATE ROLE tap_use; CREATE ROLE tap_work; CREATE ROLE tap_manage; CREATE ROLE tap_read; CREATE ROLE tap_owner;
    CREATE ROLE tap_monitor; CREATE ROLE tap_nothing; CREATE ROLE tap_admin;
CREATE ROLE tap_member; CREATE ROLE tap_outsider;
GRANT pgqueue_user TO tap_use, tap_work, tap_manage, tap_read, tap_owner, tap_monitor, tap_nothing, tap_member;
GRANT pg_monitor TO tap_monitor;
GRANT pgqueue_admin TO tap_admin;
GRANT tap_use TO tap_member;
SET LOCAL ROLE tap_admin;
SELECT is((SELECT owner FROM pgqueue.create_namespace('app')), 'tap_admin', 'an admin creates a namespace and owns it');
SELECT is((SELECT owner FROM pgqueue.update_namespace('app', owner => 'tap_owner')), 'tap_owner', 'and gives it away');
SELECT lives_ok($$SELECT pgqueue.create_queue('q', namespace => 'app')$$, 'an admin acts as owner everywhere');
RESET ROLE;
SET LOCAL ROLE tap_owner;
SELECT lives_ok(format('SELECT pgqueue.grant_namespace(%L, %L, %L)', 'app', p, 'tap_' || p), 'the owner grants ' || p)
FROM unnest('{use,work,manage,read}'::text[]) p;
RESET ROLE;

-- What each role may do: the first letter of each column says yes or no.
CREATE FUNCTION pg_temp.attempt(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    BEGIN
        EXECUTE statement;
        RAISE EXCEPTION USING ERRCODE = 'TAP00';
    EXCEPTION WHEN SQLSTATE 'TAP00' THEN
        RETURN 'yes';
    END;
EXCEPTION WHEN insufficient_privilege THEN
    RETURN 'no';
END
$$;
GRANT ALL ON FUNCTION pg_temp.attempt TO PUBLIC;
CREATE FUNCTION pg_temp.attempt_as(role text, statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    EXECUTE format('SET LOCAL ROLE %I', role);
    result := pg_temp.attempt(statement);
    RESET ROLE;
    RETURN result;
END
$$;
CREATE TEMP TABLE rule (what text, statement text, allowed text[]);
INSERT INTO rule VALUES
    ('create_task', $$SELECT pgqueue.create_task('q', '{}', namespace => 'app')$$, '{use,owner,admin,member}'),
    ('create_queue', $$SELECT pgqueue.create_queue('q2', namespace => 'app')$$, '{manage,owner,admin}'),
    ('update_queue', $$SELECT pgqueue.update_queue('q', ttl => '2 h', namespace => 'app')$$, '{manage,owner,admin}'),
    ('delete_queue', $$SELECT pgqueue.delete_queue('q', namespace => 'app')$$, '{manage,owner,admin}'),
    ('pause_queue', $$SELECT pgqueue.pause_queue('q', namespace => 'app')$$, '{manage,owner,admin}'),
    ('resume_queue', $$SELECT pgqueue.resume_queue('q', namespace => 'app')$$, '{manage,owner,admin}'),
    ('INSERT INTO queue', $$INSERT INTO pgqueue.queue (queue, namespace) VALUES ('q3', 'app')$$,
        '{manage,owner,admin}'),
    ('UPDATE queue', $$UPDATE pgqueue.queue SET ttl = '3 h' WHERE queue = 'q' AND namespace = 'app'$$,
        '{manage,owner,admin,nothing}'),
    ('get_queue', $$SELECT pgqueue.get_queue('q', 'app')$$, '{use,work,manage,read,owner,admin,member,monitor}'),
    ('update_namespace', $$SELECT pgqueue.update_namespace('app', weight => 2)$$, '{owner,admin}'),
    ('delete_namespace', $$SELECT pgqueue.delete_namespace('app', force => true)$$, '{owner,admin}'),
    ('grant_namespace', $$SELECT pgqueue.grant_namespace('app', 'all', 'tap_nothing')$$, '{owner,admin}'),
    ('revoke_namespace', $$SELECT pgqueue.revoke_namespace('app', 'all', 'tap_nothing')$$, '{owner,admin}'),
    ('create_handler', $$SELECT pgqueue.create_handler('t', 'jsonb_pretty', namespace => 'app')$$,
        '{manage,owner,admin}'),
    ('create_namespace', $$SELECT pgqueue.create_namespace('app2')$$, '{admin}'),
    ('INSERT INTO namespace', $$INSERT INTO pgqueue.namespace (namespace) VALUES ('app3')$$, '{admin}'),
    ('adopt', $$SELECT pgqueue.adopt()$$, '{admin}'),
    ('ensure_workers', $$SELECT pgqueue.ensure_workers()$$, '{admin}'),
    ('stop_workers', $$SELECT pgqueue.stop_workers()$$, '{admin}'),
    ('current_task', $$SELECT * FROM pgqueue.current_task()$$,
        '{use,work,manage,read,owner,admin,member,monitor,nothing}'),
    ('version', $$SELECT pgqueue.version()$$, '{use,work,manage,read,owner,admin,member,monitor,nothing}');
SELECT is(pg_temp.attempt_as('tap_' || who, r.statement), CASE WHEN who = ANY (r.allowed) THEN 'yes' ELSE 'no' END,
    format('%s by %s', r.what, who))
FROM rule r, unnest('{use,work,manage,read,owner,monitor,nothing,admin,member,outsider}'::text[]) who
-- An UPDATE of rows that one does not see changes nothing and is no error; those
-- who see them without the right get one.
WHERE NOT (r.what = 'UPDATE queue' AND who = 'nothing');

-- What each role sees.
SELECT pgqueue.grant_namespace('app', 'use', 'tap_manage') \g /dev/null
SET LOCAL ROLE tap_use;
SELECT pgqueue.create_task('q', '{"by": "use"}', headers => '{"h": 1}', namespace => 'app') \g /dev/null
RESET ROLE;
SET LOCAL ROLE tap_manage;
SELECT pgqueue.create_task('q', '{"by": "manage"}', headers => '{"h": 1}', namespace => 'app') \g /dev/null
RESET ROLE;
CREATE FUNCTION pg_temp.seen_by(role text, query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    EXECUTE format('SET LOCAL ROLE %I', role);
    EXECUTE query INTO result;
    RESET ROLE;
    RETURN coalesce(result, '');
END
$$;
SELECT is(pg_temp.seen_by('tap_' || who,
    'SELECT string_agg(DISTINCT namespace, '' '' ORDER BY namespace) FROM pgqueue.namespace'), sees,
    'namespaces for ' || who)
FROM (VALUES ('use', 'app'), ('work', 'app'), ('manage', 'app'), ('read', 'app'), ('owner', 'app'),
    ('monitor', 'app default pgqueue'), ('nothing', ''), ('member', 'app'),
    ('admin', 'app default pgqueue')) v (who, sees);
SELECT is(pg_temp.seen_by('tap_' || who, $$SELECT string_agg(namespace || '.' || queue, ' ') FROM pgqueue.queue$$),
    sees, 'queues for ' || who)
FROM (VALUES ('use', 'app.q'), ('work', 'app.q'), ('manage', 'app.q'), ('read', 'app.q'), ('owner', 'app.q'),
    ('monitor', 'app.q'), ('nothing', ''), ('member', 'app.q'), ('admin', 'app.q')) v (who, sees);
SELECT is(pg_temp.seen_by('tap_' || who, 'SELECT count(*) FROM pgqueue.queue_status'), sees,
    'rows of queue_status for ' || who)
FROM (VALUES ('use', '7'), ('work', '7'), ('manage', '7'), ('read', '7'), ('owner', '7'), ('monitor', '7'),
    ('nothing', '0'), ('member', '7'), ('admin', '7')) v (who, sees);
SELECT is(pg_temp.seen_by('tap_' || who,
    $$SELECT string_agg(role || coalesce(' ' || (payload ->> 'by'), '-') || coalesce(' ' || (headers ->> 'h'), '-'),
        ', ' ORDER BY id) FROM pgqueue.task$$), sees, 'tasks for ' || who)
FROM (VALUES ('use', 'tap_use use 1'), ('work', ''), ('manage', 'tap_use use 1, tap_manage manage 1'),
    ('read', 'tap_use use 1, tap_manage manage 1'),
    ('owner', 'tap_use use 1, tap_manage manage 1'), ('monitor', 'tap_use--, tap_manage--'), ('nothing', ''),
    ('member', 'tap_use use 1'),
    ('admin', 'tap_use use 1, tap_manage manage 1')) v (who, sees);
SELECT is(pg_temp.seen_by('tap_' || who,
    'SELECT string_agg(role || '' '' || privilege, '', '' ORDER BY role, privilege) FROM pgqueue.namespace_grant'),
    sees, 'grants for ' || who)
FROM (VALUES ('owner', 'tap_manage manage, tap_manage use, tap_read read, tap_use use, tap_work work'),
    ('read', 'tap_read read'), ('nothing', ''), ('member', 'tap_use use')) v (who, sees);
SELECT is(pg_temp.seen_by('tap_' || who, 'SELECT count(*) >= 0 FROM pgqueue.worker')
    || pg_temp.seen_by('tap_' || who, 'SELECT count(*) >= 0 FROM pgqueue.health'), 'truetrue',
    'worker and health can be read by ' || who)
FROM unnest('{use,work,manage,read,owner,monitor,nothing,member,admin}'::text[]) who;
SELECT throws_ok('SET LOCAL ROLE tap_outsider; SELECT * FROM pgqueue.task', '42501', NULL,
    'who is no pgqueue_user reads nothing');
RESET ROLE;

-- Payload of a task in a WHERE clause is not leaked through functions of the reader.
CREATE FUNCTION pg_temp.spy(value bigint) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$
BEGIN
    PERFORM set_config('tap.spied', concat_ws(' ', current_setting('tap.spied', true), value), true);
    RETURN true;
END
$$;
GRANT ALL ON FUNCTION pg_temp.spy TO PUBLIC;
SELECT set_config('tap.spied', NULL, true) \g /dev/null
SELECT is(pg_temp.seen_by('tap_use', 'SELECT id FROM pgqueue.task WHERE pg_temp.spy(id)'),
    btrim(current_setting('tap.spied')), 'functions of the reader see only rows of the reader');

-- What grants mean.
SET LOCAL ROLE tap_owner;
SELECT ok(pgqueue.has_namespace_privilege('app', 'use', 'tap_use'), 'a grant');
SELECT ok(pgqueue.has_namespace_privilege('app', 'use', 'tap_member'), 'a grant to a role that one is a member of');
SELECT ok(NOT pgqueue.has_namespace_privilege('app', 'work', 'tap_use'), 'no grant');
SELECT ok(pgqueue.has_namespace_privilege('app', 'work') AND pgqueue.has_namespace_privilege('app', 'owner'),
    'an owner has every privilege');
SELECT ok(NOT pgqueue.has_namespace_privilege('app', 'owner', 'tap_manage'), 'others are not owners');
SELECT ok(pgqueue.has_namespace_privilege('app', 'read', 'tap_admin'), 'an admin has every privilege');
SELECT pgqueue.grant_namespace('app', 'read', 'public') \g /dev/null
SELECT ok(pgqueue.has_namespace_privilege('app', 'read', 'tap_nothing')
    AND NOT pgqueue.has_namespace_privilege('app', 'read', 'tap_outsider'), 'public means every pgqueue_user');
SELECT is((SELECT count(*) FROM pgqueue.namespace_grant WHERE role = 'public'), 1::bigint, 'and is listed so');
SELECT pgqueue.revoke_namespace('app', 'all', 'public') \g /dev/null
SELECT ok(NOT pgqueue.has_namespace_privilege('app', 'read', 'tap_nothing'), 'revoked');
SELECT lives_ok($$SELECT pgqueue.revoke_namespace('app', 'use, work', 'tap_nothing')$$,
    'what is not granted is revoked without error');
SELECT throws_ok($$SELECT pgqueue.grant_namespace('app', 'fly', 'tap_use')$$, '22023', NULL, 'an unknown privilege');
SELECT throws_ok($$SELECT pgqueue.grant_namespace('app', 'use', 'tap_unknown')$$, '42704', NULL, 'an unknown role');
SELECT throws_ok($$SELECT pgqueue.grant_namespace('nosuch', 'use', 'tap_use')$$, '42704', NULL, 'an unknown namespace');
SELECT throws_ok($$SELECT pgqueue.grant_namespace('app', NULL, 'tap_use')$$, '22004', NULL, 'no privileges');
SELECT throws_ok($$SELECT pgqueue.has_namespace_privilege('app', 'fly')$$, '22023', NULL,
    'has_namespace_privilege: an unknown privilege');
RESET ROLE;
DROP ROLE tap_work;
SELECT is((SELECT count(*) FROM pgqueue.namespace_grant WHERE role = 'tap_work' OR role IS NULL), 0::bigint,
    'a dropped role''s grants vanish');
ALTER ROLE tap_read RENAME TO tap_reader;
SELECT is((SELECT count(*) FROM pgqueue.namespace_grant WHERE role = 'tap_reader'), 1::bigint,
    'a grant follows a rename');
SELECT is(pg_temp.seen_by('tap_reader', 'SELECT count(*) FROM pgqueue.task'), '2', 'and goes on to work');

SELECT * FROM finish();
ROLLBACK;
