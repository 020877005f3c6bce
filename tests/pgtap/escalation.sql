-- Nobody gets more than the documents say. Every function, view and setting by role (tests/escalation/surface.sql);
-- then the tricks by which a role may
-- try to get more (tests/escalation/tricks.sql). Statements commit where they must: a task is ready when its
-- transaction has ended.
\set ECHO none
\set QUIET 1
SET client_min_messages = warning;

-- Roles, namespaces and what is in them. What is held is held by a session that is gone.
SELECT format('CREATE ROLE esc_%s', r), format('GRANT pgqueue_user TO esc_%s', r)
    FROM unnest('{nobody,use,work,manage,read,other,monitor,owner,admin}'::text[]) r \gexec
CREATE ROLE esc_outsider;
GRANT pg_monitor TO esc_monitor;
GRANT pgqueue_admin TO esc_admin;
CREATE EXTENSION pg_background_queue;
SELECT extnamespace::regnamespace AS bq FROM pg_extension WHERE extname = 'pg_background_queue' \gset
CREATE TABLE public.esc_former (id bigint, sql_statement text, topic text, joined_at timestamp, started_at timestamp,
    closed_at timestamp, priority integer, state :bq.pg_background_queue_task_state, retry_count integer,
    retry_delay_in_sec integer, errors text);
SELECT pgqueue.create_namespace('esc'), pgqueue.create_namespace('esc2') \g /dev/null
SELECT pgqueue.update_namespace('esc', owner => 'esc_owner'),
    pgqueue.update_namespace('esc2', owner => 'esc_other') \g /dev/null
SELECT pgqueue.update_namespace('pg_background_queue', owner => 'esc_owner') \g /dev/null
SELECT pgqueue.grant_namespace(n, p, 'esc_' || p)
    FROM unnest('{esc,pg_background_queue}'::text[]) n, unnest('{use,work,manage,read}'::text[]) p \g /dev/null
SELECT pgqueue.create_queue(q, ttl => '0', namespace => n)
    FROM (VALUES ('q', 'esc'), ('empty', 'esc'), ('q', 'esc2')) v (q, n) \g /dev/null
SELECT pgqueue.create_queue('old', on_finish => 'archive', retention => '1 us', namespace => 'esc'),
    pgqueue.create_queue('srv', executor => 'server', namespace => 'esc') \g /dev/null
SELECT pgqueue.create_handler('h', 'pg_catalog.jsonb_pretty', namespace => 'esc') \g /dev/null
SELECT pgqueue.create_ticker('t', 'q', period => '1 day', starts_at => now() + '1 day', command => 'SELECT $$SECRET$$',
    namespace => 'esc') \g /dev/null
-- For view health: a task without a handler.
SELECT pgqueue.create_task('srv', '"SECRET"', type => 'none', namespace => 'esc') \g /dev/null
SELECT pgqueue.create_task('old', '"SECRET"', headers => '"SECRET"', namespace => 'esc') AS archived \gset
SELECT pgqueue.cancel_task(:archived) \g /dev/null
SELECT pgqueue.create_task('q', '"SECRET"', headers => '"SECRET"', delay => '1 day', namespace => 'esc') AS waiting,
    pgqueue.create_task('q', command => 'SELECT $$SECRET$$', delay => '1 day', namespace => 'esc') AS command,
    pgqueue.create_task('q', '"other"', delay => '1 day', namespace => 'esc2') AS elsewhere \gset
SELECT pgqueue.create_tasks('q', ARRAY['"SECRET"', '"SECRET"', '"SECRET"']::jsonb[], namespace => 'esc') \g /dev/null
INSERT INTO :bq.pg_background_tasks (sql_statement, joined_at) VALUES ('SELECT $$SECRET$$', now() + interval '1 day')
    RETURNING id AS bq_task \gset
INSERT INTO :bq.pg_background_tasks (sql_statement, joined_at) VALUES ('SELECT $$SECRET$$', now() + interval '1 day')
    RETURNING id AS bq_failed \gset
UPDATE :bq.pg_background_tasks SET state = 'failed', errors = 'SECRET' WHERE id = :bq_failed;
SELECT pgqueue.fire_ticker('t', namespace => 'esc') \g /dev/null
CALL pgqueue.wait_for_task('{q}', '30 s', 'esc') \g /dev/null
SELECT id AS failed, receipt FROM pgqueue.next_task('w', 'q', namespace => 'esc') \gset
-- Longer than a millisecond: then it is in view slow_task.
SELECT pg_sleep(0.002) \g /dev/null
SELECT pgqueue.fail_task(:failed, :receipt, 'SECRET', final => true, result => '"SECRET"') \g /dev/null
SELECT id AS held, receipt FROM pgqueue.next_task('w', 'q', '1 h', namespace => 'esc') \gset
SELECT pgqueue_internal.clean(1, clock_timestamp() + interval '1 h') \g /dev/null
DO $$
BEGIN
    FOR i IN 1..1500 LOOP
        EXIT WHEN EXISTS (SELECT FROM pgqueue.health WHERE namespace = 'esc');
        COMMIT;
        PERFORM pg_sleep(0.02);
    END LOOP;
END
$$;
\c -
SELECT no_plan();
SELECT isnt((SELECT count(*) FROM pgqueue.task_archive WHERE namespace = 'esc'), 0::bigint,
    'there is an archived task');
SET client_min_messages = warning;
\ir ../escalation/surface.sql
CREATE TEMP TABLE ids (name text, value text);
INSERT INTO ids VALUES ('archived', :archived), ('waiting', :waiting), ('command', :command), ('failed', :failed),
    ('held', :held), ('receipt', :receipt), ('elsewhere', :elsewhere),
    ('bq', :'bq'), ('bq_task', :bq_task);
CREATE FUNCTION pg_temp.full_name(view text) RETURNS text LANGUAGE sql AS $$
    SELECT format('%s.%I', CASE view WHEN 'pg_background_tasks' THEN (SELECT value FROM pg_temp.ids WHERE name = 'bq')
        ELSE 'pgqueue' END, view)
$$;
-- What a role gets for a statement: + with rows, 0 without, - for 42501, else the SQLSTATE. Nothing of it stays.
CREATE FUNCTION pg_temp.answer(role text, statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    name text;
    value text;
    found_rows bigint;
BEGIN
    FOR name, value IN SELECT i.name, i.value FROM pg_temp.ids i LOOP statement := replace(statement,
        '{' || name || '}', value); END LOOP;
    EXECUTE format('SET LOCAL ROLE %I', role);
    EXECUTE statement;
    GET DIAGNOSTICS found_rows = ROW_COUNT;
    RAISE EXCEPTION USING ERRCODE = 'TAP00';
EXCEPTION
    WHEN SQLSTATE 'TAP00' THEN RETURN CASE found_rows WHEN 0 THEN '0' ELSE '+' END;
    WHEN insufficient_privilege THEN RETURN '-';
    WHEN OTHERS THEN RETURN sqlstate;
END
$$;
CREATE FUNCTION pg_temp.answers(statement text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(pg_temp.answer('esc_' || r.who, statement), ' ' ORDER BY r.n) FROM pg_temp.roles r
$$;

SELECT is(pg_temp.answers(r.statement), btrim(r.answers), format('%s: %s', r.routine, r.statement)) FROM routine_rule r
    WHERE r.statement IS NOT NULL;
SELECT pgqueue.ensure_workers() \g /dev/null
-- Procedures wait outside of functions only: the answer is the SQLSTATE that psql saw.
\set VERBOSITY sqlstate
\set ON_ERROR_STOP 0
SET ROLE esc_nobody; CALL pgqueue.wait_for_task('{q}', '0', 'esc') \g /dev/null
\set answer :SQLSTATE
RESET ROLE; SELECT is(:'answer'::text, '42501', 'wait_for_task: nobody');
SET ROLE esc_nobody; CALL pgqueue.wait_for_result(:waiting, '0') \g /dev/null
\set answer :SQLSTATE
RESET ROLE; SELECT is(:'answer'::text, '42704', 'wait_for_result: nobody');
SET ROLE esc_use; CALL pgqueue.wait_for_task('{q}', '0', 'esc') \g /dev/null
\set answer :SQLSTATE
RESET ROLE; SELECT is(:'answer'::text, '42501', 'wait_for_task: use');
SET ROLE esc_use; CALL pgqueue.wait_for_result(:waiting, '0') \g /dev/null
\set answer :SQLSTATE
RESET ROLE; SELECT is(:'answer'::text, '42704', 'wait_for_result: use');
SET ROLE esc_work; CALL pgqueue.wait_for_task('{q}', '0', 'esc') \g /dev/null
\set answer :SQLSTATE
RESET ROLE; SELECT is(:'answer'::text, '00000', 'wait_for_task: work');
SET ROLE esc_work; CALL pgqueue.wait_for_result(:waiting, '0') \g /dev/null
\set answer :SQLSTATE
RESET ROLE; SELECT is(:'answer'::text, '42704', 'wait_for_result: work');
SET ROLE esc_manage; CALL pgqueue.wait_for_task('{q}', '0', 'esc') \g /dev/null
\set answer :SQLSTATE
RESET ROLE; SELECT is(:'answer'::text, '42501', 'wait_for_task: manage');
SET ROLE esc_manage; CALL pgqueue.wait_for_result(:waiting, '0') \g /dev/null
\set answer :SQLSTATE
RESET ROLE; SELECT is(:'answer'::text, '00000', 'wait_for_result: manage');
SET ROLE esc_read; CALL pgqueue.wait_for_task('{q}', '0', 'esc') \g /dev/null
\set answer :SQLSTATE
RESET ROLE; SELECT is(:'answer'::text, '42501', 'wait_for_task: read');
SET ROLE esc_read; CALL pgqueue.wait_for_result(:waiting, '0') \g /dev/null
\set answer :SQLSTATE
RESET ROLE; SELECT is(:'answer'::text, '00000', 'wait_for_result: read');
SET ROLE esc_other; CALL pgqueue.wait_for_task('{q}', '0', 'esc') \g /dev/null
\set answer :SQLSTATE
RESET ROLE; SELECT is(:'answer'::text, '42501', 'wait_for_task: other');
SET ROLE esc_other; CALL pgqueue.wait_for_result(:waiting, '0') \g /dev/null
\set answer :SQLSTATE
RESET ROLE; SELECT is(:'answer'::text, '42704', 'wait_for_result: other');
SET ROLE esc_monitor; CALL pgqueue.wait_for_task('{q}', '0', 'esc') \g /dev/null
\set answer :SQLSTATE
RESET ROLE; SELECT is(:'answer'::text, '42501', 'wait_for_task: monitor');
SET ROLE esc_owner; CALL pgqueue.wait_for_task('{q}', '0', 'esc') \g /dev/null
\set answer :SQLSTATE
RESET ROLE; SELECT is(:'answer'::text, '00000', 'wait_for_task: owner');
SET ROLE esc_owner; CALL pgqueue.wait_for_result(:waiting, '0') \g /dev/null
\set answer :SQLSTATE
RESET ROLE; SELECT is(:'answer'::text, '00000', 'wait_for_result: owner');
SET ROLE esc_admin; CALL pgqueue.wait_for_task('{q}', '0', 'esc') \g /dev/null
\set answer :SQLSTATE
RESET ROLE; SELECT is(:'answer'::text, '00000', 'wait_for_task: admin');
SET ROLE esc_admin; CALL pgqueue.wait_for_result(:waiting, '0') \g /dev/null
\set answer :SQLSTATE
RESET ROLE; SELECT is(:'answer'::text, '00000', 'wait_for_result: admin');
\set ON_ERROR_STOP 1

SELECT is(pg_temp.answers(r.statement), btrim(r.answers), format('%s of view %s: %s', r.verb, r.view, r.statement))
    FROM view_rule r;

-- What the catalog has and the table has not.
CREATE TEMP VIEW ours AS
    SELECT d.classid, d.objid FROM pg_depend d
    JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
    WHERE d.deptype = 'e' AND e.extname IN ('pgqueue', 'pg_background_queue');
SELECT is_empty($$SELECT p.oid::regprocedure FROM pg_proc p
    JOIN ours o ON o.classid = 'pg_proc'::regclass AND o.objid = p.oid
    WHERE p.pronamespace <> 'pgqueue_internal'::regnamespace
        AND NOT EXISTS (SELECT FROM routine_rule r WHERE r.routine = p.proname)$$,
    'each function and procedure outside of schema pgqueue_internal stands in tests/escalation/surface.sql');
SELECT is_empty($$SELECT c.relname, v.verb FROM pg_class c
    JOIN ours o ON o.classid = 'pg_class'::regclass AND o.objid = c.oid,
        unnest('{SELECT,INSERT,UPDATE,DELETE}'::text[]) v (verb)
    WHERE c.relnamespace <> 'pgqueue_internal'::regnamespace AND c.relkind IN ('r', 'v', 'm', 'f', 'p')
        AND has_table_privilege('pgqueue_user', c.oid, v.verb)
    AND NOT EXISTS (SELECT FROM view_rule r WHERE r.view = c.relname
        AND r.verb = v.verb)$$, 'and each verb that is granted on a view');
SELECT results_eq(
    $$SELECT name FROM pg_settings WHERE name ~ '^(pgqueue|pg_background_queue)\.' ORDER BY name COLLATE "C"$$,
    $$SELECT setting FROM setting_rule ORDER BY setting COLLATE "C"$$, 'and each setting');
SELECT is_empty($$SELECT routine FROM routine_rule WHERE routine NOT IN (SELECT p.proname FROM pg_proc p
        JOIN ours o ON o.classid = 'pg_proc'::regclass AND o.objid = p.oid
        WHERE p.pronamespace <> 'pgqueue_internal'::regnamespace)
    UNION SELECT view FROM view_rule WHERE view NOT IN (SELECT c.relname FROM pg_class c
        JOIN ours o ON o.classid = 'pg_class'::regclass AND o.objid = c.oid
        WHERE c.relnamespace <> 'pgqueue_internal'::regnamespace)$$, 'nothing stands there that is gone');

-- Who is no pgqueue_user gets nothing at all.
SELECT is(pg_temp.answer('esc_outsider', r.statement), '-', 'outsider: ' || r.statement)
    FROM (SELECT statement FROM routine_rule UNION SELECT statement FROM view_rule) r WHERE r.statement IS NOT NULL;

-- What no view takes is refused before any row is looked at; TRUNCATE, triggers, rules, references as well.
SELECT is_empty(
    format(
        $$SELECT c.oid::regclass FROM pg_class c WHERE c.relnamespace = 'pgqueue'::regnamespace AND c.relkind = 'v'
            AND has_table_privilege(%L, c.oid, 'TRUNCATE, REFERENCES, TRIGGER')$$, 'esc_' || who),
    who || ' may do nothing else to a view') FROM roles;

-- Settings: in the session, for itself, for others, for the database, for the system.
SELECT is(pg_temp.answer('esc_admin', format('SET LOCAL %s = %L', r.setting, s.reset_val)), replace(r.answer, '+', '0'),
    'SET ' || r.setting) FROM setting_rule r JOIN pg_settings s ON s.name = r.setting;
SELECT is(pg_temp.answer('esc_admin', format('SELECT set_config(%L, %L, true)', r.setting, s.reset_val)), r.answer,
    'set_config of ' || r.setting) FROM setting_rule r JOIN pg_settings s ON s.name = r.setting;
SELECT is(pg_temp.answer('esc_admin', format('ALTER ROLE esc_admin SET %s = %L', r.setting, s.reset_val)),
    replace(r.answer, '+', '0'), 'ALTER ROLE of itself SET ' || r.setting) FROM setting_rule r
    JOIN pg_settings s ON s.name = r.setting;
SELECT is(pg_temp.answer('esc_admin', format(c, r.setting, s.reset_val)), '-', format(c, r.setting, s.reset_val))
    FROM setting_rule r JOIN pg_settings s ON s.name = r.setting,
    unnest(ARRAY['ALTER ROLE esc_use SET %s = %L', 'ALTER ROLE ALL SET %s = %L',
        format('ALTER DATABASE %I SET %%s = %%L', current_database()),
        format('ALTER ROLE esc_admin IN DATABASE %I SET %%s = %%L', 'template1')]) c
WHERE c NOT LIKE '%IN DATABASE%' OR r.answer = '-';

\ir ../escalation/tricks.sql
\ir ../escalation/run_task.sql
\ir ../escalation/locks.sql

SELECT * FROM finish();
SELECT pgqueue.purge_queue(queue, force => true, namespace => namespace) FROM pgqueue.queue
    WHERE namespace IN ('esc', 'esc2') \g /dev/null
DELETE FROM pgqueue.handler WHERE namespace = 'esc';
DROP TABLE public.esc_former;
DROP EXTENSION pg_background_queue;
SELECT pgqueue.delete_namespace(n, force => true) FROM unnest('{esc,esc2,pg_background_queue}'::text[]) n \g /dev/null
DROP SCHEMA esc_evil CASCADE;
SELECT format('DROP OWNED BY %I', rolname), format('DROP ROLE %I', rolname) FROM pg_roles
    WHERE rolname LIKE 'esc\_%' \gexec
\ir ../lib/clean.sql
