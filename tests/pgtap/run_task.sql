-- run_task of another role's task in the caller's session (R1): it runs as its role, and nothing of it
-- is left that would run as the caller.
\set ECHO none
\set QUIET 1
CREATE ROLE tap_alice; CREATE ROLE tap_carol;
GRANT pgqueue_user TO tap_alice, tap_carol;
GRANT tap_alice TO tap_carol;
SELECT no_plan();

-- Workers leave their tasks alone.
SELECT pgqueue.create_queue('q'), pgqueue.create_queue('s', executor => 'server') \g /dev/null
SELECT pgqueue.pause_queue('q'), pgqueue.pause_queue('s') \g /dev/null
SELECT pgqueue.grant_namespace('default', 'all', 'tap_alice'),
    pgqueue.grant_namespace('default', 'use', 'tap_carol') \g /dev/null
CREATE SCHEMA tap_a AUTHORIZATION tap_alice;
CREATE SCHEMA tap_dba;
GRANT USAGE ON SCHEMA tap_dba TO PUBLIC;

-- What tap_alice has made: f() writes down as whom it ran.
SET SESSION AUTHORIZATION tap_alice;
GRANT USAGE ON SCHEMA tap_a TO PUBLIC;
CREATE TABLE tap_a.seen (who name);
CREATE TABLE tap_a.t (i integer);
CREATE FUNCTION tap_a.f() RETURNS integer
    LANGUAGE plpgsql AS $$BEGIN INSERT INTO tap_a.seen VALUES (current_user); RETURN 1; END$$;
CREATE FUNCTION tap_a.fired() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM tap_a.f(); RETURN NULL; END$$;
CREATE CONSTRAINT TRIGGER deferred AFTER INSERT ON tap_a.t DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION tap_a.fired();
CREATE FUNCTION tap_a.h(jsonb) RETURNS void LANGUAGE plpgsql AS $$BEGIN EXECUTE $1->>'do'; END$$;
SELECT pgqueue.create_handler('do', 'tap_a.h') \g /dev/null
CREATE FUNCTION tap_a.set_path(jsonb) RETURNS void LANGUAGE plpgsql AS $$BEGIN SET search_path = tap_a; END$$;
SELECT pgqueue.create_handler('do', 'tap_a.set_path', 'before') \g /dev/null
-- Takes what the session has under this name, and puts something else there.
CREATE FUNCTION tap_a.take_cursor() RETURNS text LANGUAGE plpgsql AS $$
DECLARE c refcursor := 'mine'; got text;
BEGIN FETCH c INTO got; RETURN got; END$$;
CREATE FUNCTION tap_a.replace_cursor() RETURNS void LANGUAGE plpgsql AS $$
DECLARE c refcursor := 'mine';
BEGIN CLOSE c; OPEN c FOR SELECT tap_a.f(); END$$;
CREATE FUNCTION tap_a.leave_cursor() RETURNS void LANGUAGE plpgsql AS $$
DECLARE c refcursor := 'left';
BEGIN OPEN c FOR SELECT tap_a.f(); END$$;
CREATE FUNCTION tap_a.catch() RETURNS name LANGUAGE plpgsql AS $$
BEGIN
    BEGIN INSERT INTO tap_a.t VALUES (1); RAISE EXCEPTION 'x'; EXCEPTION WHEN OTHERS THEN NULL; END;
    RETURN current_user;
END$$;
CREATE FUNCTION tap_a.numbered_temp() RETURNS void LANGUAGE plpgsql AS $$
BEGIN EXECUTE format('CREATE DOMAIN %s.jsonb AS pg_catalog.jsonb CHECK (tap_a.f() = 1)',
    pg_my_temp_schema()::regnamespace); END$$;
RESET SESSION AUTHORIZATION;

-- A task of tap_alice with this command; one that her handler runs, when it is a typed task.
CREATE FUNCTION tap_dba.task(command text, typed boolean DEFAULT false) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE id bigint;
BEGIN
    SET LOCAL SESSION AUTHORIZATION tap_alice;
    id := CASE WHEN typed THEN pgqueue.create_task('s', jsonb_build_object('do', command), type => 'do', retries => 0)
        ELSE pgqueue.create_task('q', command => command, retries => 0) END;
    RESET SESSION AUTHORIZATION;
    RETURN id;
END$$;
-- How it ends, run by the caller.
CREATE FUNCTION tap_dba.run(task bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE status text := pgqueue.run_task(task);
BEGIN RETURN concat_ws(' ', status, (SELECT t.error_code FROM pgqueue.task t WHERE t.id = task)); END$$;
CREATE FUNCTION tap_dba.run(command text, typed boolean DEFAULT false) RETURNS text
    LANGUAGE sql AS 'SELECT tap_dba.run(tap_dba.task($1, $2))';
-- As whom f() has run since the last question.
CREATE FUNCTION tap_dba.seen() RETURNS text LANGUAGE sql AS $$
    WITH gone AS (DELETE FROM tap_a.seen RETURNING who) SELECT string_agg(who, ' ' ORDER BY who) FROM gone$$;

SELECT is(tap_dba.run('SELECT tap_a.f()'), 'released', 'R1: a task of another role runs');
SELECT is(tap_dba.seen(), 'tap_alice', 'R1: as that role');
SELECT is(current_user || ' ' || session_user, 'postgres postgres', 'R1: the caller is who he was');

-- What would run at the caller's commit.
SELECT is(tap_dba.run('INSERT INTO tap_a.t VALUES (1)'), 'released', 'R1: a deferred trigger of a task is no error');
SELECT is(tap_dba.seen(), 'tap_alice', 'R1: it fires inside, as the role of the task');
SELECT is(tap_dba.run('INSERT INTO tap_a.t VALUES (1)', true), 'released', 'R1: neither is that of a handler');
SELECT is(tap_dba.seen(), 'tap_alice', 'R1: it fires inside, as the role of the handler');
SELECT is(tap_dba.run('SET CONSTRAINTS ALL DEFERRED; INSERT INTO tap_a.t VALUES (1)'), 'failed 42501',
    'R1: it cannot be deferred again');
SELECT is(tap_dba.run('DECLARE c CURSOR WITH HOLD FOR SELECT tap_a.f()'), 'failed 42501', 'R1: no holdable cursor');
SELECT is(tap_dba.run('DECLARE c CURSOR WITH HOLD FOR SELECT tap_a.f()', true), 'failed 42501',
    'R1: nor one of a handler');
SELECT is(tap_dba.seen(), NULL, 'R1: nothing of them ran as the caller');

-- What would stay in the caller's session.
SELECT is(tap_dba.run('CREATE TEMP VIEW accounts AS SELECT tap_a.f() AS id'), 'failed 42501', 'R1: no temporary view');
SELECT is(tap_dba.run('CREATE TEMP TABLE accounts (i integer)', true), 'failed 42501',
    'R1: no temporary table of a handler');
SELECT is(tap_dba.run('CREATE DOMAIN pg_temp.jsonb AS pg_catalog.jsonb CHECK (tap_a.f() = 1)'), 'failed 42501',
    'R1: no temporary domain');
SELECT is(tap_dba.run('SELECT tap_a.numbered_temp()'), 'failed 42501', 'R1: nor by the real name of the schema');
SELECT is(tap_dba.run('CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS ''SELECT 1'''), 'failed 42501',
    'R1: no temporary function');
SELECT is(tap_dba.run('CREATE SCHEMA tap_own CREATE TABLE tap_own.t (i integer)'), 'failed 42501',
    'R1: a right that the role has not is not there');
SELECT is(tap_dba.run('SET search_path = tap_a'), 'released', 'R1: a SET in the task');
SELECT is(tap_dba.run($$SELECT set_config('search_path', 'tap_a', false)$$), 'released', 'R1: set_config in the task');
SELECT is(tap_dba.run('SET search_path = tap_a', true), 'released', 'R1: a SET in a handler, and one before it');
SELECT is(current_setting('search_path'), reset_val, 'R1: do not stay') FROM pg_settings WHERE name = 'search_path';
SELECT is(tap_dba.run(command), 'failed 42501', 'R1: refused is ' || command)
FROM unnest(ARRAY['PREPARE p AS SELECT tap_a.f()', 'DEALLOCATE ALL', 'DISCARD ALL', 'SET ROLE postgres',
    'RESET ROLE', 'SET SESSION AUTHORIZATION DEFAULT', 'CLOSE ALL', 'SELECT pg_advisory_lock(1)',
    'SELECT pg_advisory_unlock_all()', 'SELECT pg_try_advisory_lock_shared(1, 2)']) command;
SELECT alike(tap_dba.run('LISTEN x'), 'failed %', 'R1: refused is LISTEN');
SELECT is(tap_dba.run('SELECT pg_advisory_xact_lock(1)'), 'released', 'R1: a lock of the transaction is not');
SELECT is(tap_dba.run('DO $x$BEGIN COMMIT; END$x$'), 'failed 2D000', 'R1: nor can it commit');
SELECT is((SELECT count(*) FROM pg_prepared_statements), 0::bigint, 'R1: no prepared statement is left');
SELECT is((SELECT count(*) FROM pg_cursors WHERE is_holdable), 0::bigint, 'R1: no cursor is left');
SELECT is(tap_dba.run('SELECT tap_a.catch()'), 'released', 'R1: a caught error in the task');
SELECT is((SELECT result->'first'->>'catch' FROM pgqueue.task ORDER BY id DESC LIMIT 1), 'tap_alice',
    'R1: changes nothing of that');
SELECT is(current_user, 'postgres', 'R1: nor for the caller');
SELECT is(
    tap_dba.run(format('SELECT pgqueue.run_task(%s)',
        tap_dba.task('INSERT INTO tap_a.t VALUES (2); SET search_path = tap_a'))), 'released', 'R1: run_task inside');
SELECT is(tap_dba.seen(), 'tap_alice', 'R1: the same holds there');
SELECT is(current_setting('search_path'), reset_val, 'R1: nothing stays of it')
FROM pg_settings
WHERE name = 'search_path';

SELECT is(tap_dba.run($$SELECT pgqueue.create_queue('made'), pgqueue.create_task('made', command => 'SELECT 1')$$),
    'released', 'R1: functions of pgqueue work in the task');
SELECT is((SELECT string_agg(DISTINCT role, ' ') FROM pgqueue.task WHERE queue = 'made'), 'tap_alice',
    'R1: as its role');

-- A function around a handler visits in the same way.
SELECT pgqueue.grant_namespace('default', 'manage', 'tap_carol') \g /dev/null
CREATE SCHEMA tap_c AUTHORIZATION tap_carol;
GRANT USAGE ON SCHEMA tap_c TO PUBLIC;
SET SESSION AUTHORIZATION tap_carol;
CREATE FUNCTION tap_c.makes(jsonb) RETURNS void
    LANGUAGE plpgsql AS $$BEGIN CREATE FUNCTION pg_temp.made() RETURNS int LANGUAGE sql AS 'SELECT 1'; END$$;
SELECT pgqueue.create_handler('around', 'tap_c.makes', 'before') \g /dev/null
SET SESSION AUTHORIZATION tap_alice;
SELECT pgqueue.create_handler('around', 'tap_a.h') \g /dev/null
SELECT pgqueue.create_task('s', '{"do": "SELECT 1"}', type => 'around', retries => 0) AS id \gset
RESET SESSION AUTHORIZATION;
SELECT is(tap_dba.run(:id), 'failed 42501', 'R1: a function before a handler makes no temporary function');

-- Cursors.
BEGIN;
SELECT is(tap_dba.run('DECLARE "left" CURSOR FOR SELECT tap_a.f()'), 'released', 'R1: a cursor of the task');
SELECT throws_ok('FETCH "left"', '34000', NULL, 'R1: is gone with it');
SELECT is(tap_dba.run('SELECT tap_a.leave_cursor()', true), 'released', 'R1: a cursor of a handler''s function');
SELECT throws_ok('FETCH "left"', '34000', NULL, 'R1: as well');
DECLARE mine CURSOR FOR SELECT 'secret' AS word;
SELECT alike(tap_dba.run('SELECT tap_a.take_cursor()'), 'failed %', 'R1: a task cannot read a cursor of the caller');
SELECT alike(tap_dba.run('FETCH mine'), 'failed %', 'R1: nor by FETCH');
SELECT alike(tap_dba.run('SELECT tap_a.replace_cursor()'), 'failed %', 'R1: nor put another one there');
SELECT is(tap_dba.run('SELECT 1'), 'released', 'R1: a task beside it');
FETCH mine \gset
SELECT is(:'word'::text, 'secret', 'R1: the caller goes on reading');
CLOSE mine;
SELECT lives_ok(
    $x$DO $$DECLARE t bigint; BEGIN FOR t IN SELECT tap_dba.task('SELECT tap_a.leave_cursor()')
        FROM generate_series(1, 100) LOOP PERFORM pgqueue.run_task(t); END LOOP; END$$$x$,
    'R1: run_task inside a loop over a query');
COMMIT;
SELECT is(tap_dba.seen(), NULL, 'R1: nothing of them ran as the caller');

-- Large objects that the caller has open.
BEGIN;
SELECT lo_from_bytea(0, 'secret') AS lo \gset
SELECT lo_open(:lo, 262144) AS fd \gset
SELECT is(tap_dba.run('SELECT loread(0, 6)'), 'failed 42501',
    'R1: a task cannot read an open large object of the caller');
SELECT is(loread(:fd, 6), 'secret', 'R1: the caller can');
ROLLBACK;

-- The caller's own deferred triggers are his.
CREATE TABLE tap_dba.t (i integer);
CREATE TABLE tap_dba.fired (who name);
GRANT ALL ON tap_dba.fired TO PUBLIC;
CREATE FUNCTION tap_dba.note() RETURNS trigger
    LANGUAGE plpgsql AS $$BEGIN INSERT INTO tap_dba.fired VALUES (current_user); RETURN NULL; END$$;
CREATE CONSTRAINT TRIGGER deferred AFTER INSERT ON tap_dba.t DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION tap_dba.note();
BEGIN;
INSERT INTO tap_dba.t VALUES (1);
SELECT is(tap_dba.run('SELECT 1'), 'released', 'R1: run_task while the caller has deferred something');
COMMIT;
SELECT is((SELECT string_agg(who, ' ') FROM tap_dba.fired), 'postgres', 'R1: that runs as the caller');
BEGIN;
SELECT is(tap_dba.run('SET CONSTRAINTS ALL DEFERRED'), 'released', 'R1: SET CONSTRAINTS in the task');
INSERT INTO tap_dba.t VALUES (2);
SELECT is((SELECT count(*) FROM tap_dba.fired), 2::bigint, 'R1: defers nothing of the caller');
COMMIT;

-- A session that has become the role can go back, and so could the task.
SELECT tap_dba.task('INSERT INTO tap_a.t VALUES (3)') AS inserts, tap_dba.task('RESET ROLE') AS resets,
    tap_dba.task('RESET SESSION AUTHORIZATION') AS leaves \gset
SET ROLE tap_alice;
SELECT is(tap_dba.run(:inserts), 'released', 'R1: after SET ROLE to the role of the task');
SELECT is(tap_dba.run(:resets), 'failed 42501', 'R1: it cannot become who the session was');
SELECT is(current_user, 'tap_alice', 'R1: the session is who it was');
RESET ROLE;
SELECT is(tap_dba.seen(), 'tap_alice', 'R1: all ran as the role of the task');
SET SESSION AUTHORIZATION tap_alice;
SELECT is(tap_dba.run(:leaves), 'failed 42501', 'R1: nor after SET SESSION AUTHORIZATION');
RESET SESSION AUTHORIZATION;

-- A caller without more rights than membership.
SELECT tap_dba.task('INSERT INTO tap_a.t VALUES (4)') AS id \gset
SET SESSION AUTHORIZATION tap_carol;
SELECT is(pgqueue.run_task(:id), 'released', 'R1: a member of the role');
RESET SESSION AUTHORIZATION;
SELECT is(tap_dba.seen(), 'tap_alice', 'R1: gives it no rights either');

-- A lease of the session is that of the role that took it.
SELECT pgqueue.create_queue('o') \g /dev/null
SELECT pgqueue.create_task('o', '{}') \g /dev/null
SELECT id AS lent FROM pgqueue.next_task('w', 'o') \gset
SELECT is(tap_dba.run('SELECT pgqueue.release_task(' || :lent || ')'), 'failed PQ001',
    'R1: a task cannot end what the caller''s session holds');
SELECT is(pgqueue.release_task(:lent), 'released', 'R1: the caller can');

-- A role's own session: as ever.
SELECT pgqueue.create_task('q',
    command => 'CREATE TEMP TABLE own AS SELECT 1; SET application_name = ''own''; PREPARE own AS SELECT 1') AS id \gset
SELECT is(pgqueue.run_task(:id), 'released', 'R1: a task of the session''s own role may do all that the role may');
SELECT is(current_setting('application_name'), 'own', 'R1: there settings stay');
SELECT ok(NOT rolsuper, 'R1: nobody became superuser') FROM pg_roles WHERE rolname = 'tap_alice';

SELECT * FROM finish();
DELETE FROM pgqueue.handler;
RESET application_name;
DROP SCHEMA tap_a, tap_c, tap_dba CASCADE;
SELECT pgqueue.revoke_namespace('default', 'all', 'tap_alice'),
    pgqueue.revoke_namespace('default', 'all', 'tap_carol') \g /dev/null
DROP OWNED BY tap_alice, tap_carol;
DROP ROLE tap_carol, tap_alice;
\ir ../lib/clean.sql
