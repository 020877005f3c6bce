-- The tricks of tests/pgtap/escalation.sql: what a role may try beside plain calls. Objects of the attacker are in
-- schema esc_evil; what runs as somebody
-- else than it should writes into esc_evil.caught.
CREATE SCHEMA esc_evil;
GRANT ALL ON SCHEMA esc_evil TO esc_use, esc_manage, esc_other;
GRANT USAGE ON SCHEMA esc_evil TO PUBLIC;
CREATE TABLE esc_evil.caught (what text, who text DEFAULT current_user, session text DEFAULT session_user);
GRANT INSERT, SELECT ON esc_evil.caught TO PUBLIC;
CREATE FUNCTION pg_temp.caught() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    SELECT string_agg(DISTINCT format('%s as %s', what, who), ', ') INTO result FROM esc_evil.caught;
    DELETE FROM esc_evil.caught;
    RETURN coalesce(result, 'nothing');
END
$$;
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

-- 1. Objects of ours cannot be changed, replaced, hung onto or looked into.
SELECT is(pg_temp.answer('esc_' || who, statement), '-', format('%s: %s', who, statement))
FROM unnest('{owner,admin}'::text[]) who, unnest(ARRAY[
    'CREATE FUNCTION pgqueue.f() RETURNS int LANGUAGE sql AS ''SELECT 1''',
        'CREATE OR REPLACE FUNCTION pgqueue.version() RETURNS text LANGUAGE sql AS ''SELECT 1''',
        'ALTER FUNCTION pgqueue.version() SECURITY DEFINER',
    'DROP FUNCTION pgqueue.version()', 'CREATE TABLE pgqueue.t ()', 'CREATE OR REPLACE VIEW pgqueue.task AS SELECT 1',
        'ALTER VIEW pgqueue.task RESET (security_barrier)', 'ALTER VIEW pgqueue.task OWNER TO esc_admin',
        'DROP VIEW pgqueue.task',
    'CREATE TRIGGER t INSTEAD OF INSERT ON pgqueue.queue FOR EACH ROW EXECUTE FUNCTION '
    'pgqueue_internal.config_changed()',
    'DROP TRIGGER IF EXISTS t ON pgqueue.queue; CREATE RULE r AS ON INSERT TO pgqueue.queue DO ALSO NOTHING',
    'CREATE RULE r AS ON INSERT TO pgqueue.queue DO ALSO NOTHING', 'COMMENT ON VIEW pgqueue.task IS ''mine''',
        'ALTER EXTENSION pgqueue DROP VIEW pgqueue.task', 'DROP EXTENSION pgqueue',
        'ALTER EXTENSION pgqueue SET SCHEMA public', 'GRANT USAGE ON SCHEMA pgqueue_internal TO esc_use',
    'CREATE EVENT TRIGGER esc_event ON ddl_command_end EXECUTE FUNCTION esc_evil.f()',
        'CREATE PUBLICATION esc_pub FOR TABLE pgqueue_internal.segment_0',
        'CREATE STATISTICS esc_evil.s ON status, id FROM pgqueue_internal.segment_0',
        'CREATE INDEX ON pgqueue_internal.segment_0 (id)',
    'SELECT FROM pgqueue_internal.segment_0', 'SELECT FROM pgqueue_internal.namespace',
        'INSERT INTO pgqueue_internal.namespace_grant DEFAULT VALUES',
        'UPDATE pgqueue_internal.segment_0 SET priority = 1', 'TRUNCATE pgqueue_internal.segment_0',
    'COPY (SELECT 1) TO ''/tmp/esc''', 'COPY pgqueue.task FROM PROGRAM ''true''',
        'CREATE TEMP VIEW v AS SELECT * FROM pgqueue_internal.segment',
        'CREATE TEMP TABLE t (LIKE pgqueue_internal.segment_0)',
        'CREATE TEMP TABLE t () INHERITS (pgqueue_internal.segment_0)',
    'CREATE TEMP TABLE t (id bigint REFERENCES pgqueue_internal.segment_0)',
        'SELECT nextval(''pgqueue_internal.task_id_seq'')', 'SELECT pgqueue_internal.places()',
        'SELECT pgqueue_internal.role_of(10)', 'SELECT pgqueue_internal.may(1, ''owner'')',
        'SELECT pgqueue_internal.create_task(1)',
    'CREATE FUNCTION pg_temp.f() RETURNS void LANGUAGE c AS ''pgqueue'', ''pgqueue_manage''',
        'SELECT FROM pg_catalog.pg_authid', 'SET LOCAL session_replication_role = replica',
        'ALTER ROLE esc_admin SUPERUSER', 'SELECT pg_catalog.pg_read_file(''postgresql.conf'')']) statement;
-- Every function of pgqueue_internal, also those that the views call for everybody.
SELECT is_empty(
    $$SELECT p.oid::regprocedure FROM pg_proc p
        WHERE p.pronamespace = 'pgqueue_internal'::regnamespace
            AND pg_temp.answer('esc_admin', format('SELECT pgqueue_internal.%I(%s)', p.proname,
    (SELECT string_agg(format('NULL::%s', format_type(t, NULL)), ', ') FROM unnest(p.proargtypes) t))) <> '-'
        AND p.prorettype <> 'trigger'::regtype AND p.prokind = 'f'$$, 'no function of pgqueue_internal can be called');

-- 2. Names: functions, operators and casts that look like those of the server, and temporary objects that look like
-- ours, come first in the search path.
-- The calls of the table are made by an administrator; nothing of the attacker's may run.
SET ROLE esc_use;
DO $do$
DECLARE
    what text;
    body text;
BEGIN
    FOR what, body IN VALUES ('lower(text) RETURNS text', '$1'), ('btrim(text) RETURNS text', '$1'),
        ('now() RETURNS timestamptz', 'pg_catalog.now()'),
        ('clock_timestamp() RETURNS timestamptz', 'pg_catalog.now()'),
        ('starts_with(text, text) RETURNS boolean', 'true'), ('quote_ident(text) RETURNS text', '$1'),
            ('string_to_array(text, text) RETURNS text[]', '''{}''::text[]'),
            ('cardinality(anyarray) RETURNS integer', '1'), ('to_jsonb(anyelement) RETURNS jsonb', '''1''::jsonb'),
        ('pg_has_role(oid, text) RETURNS boolean', 'true'), ('pg_has_role(name, text) RETURNS boolean', 'true'),
            ('current_setting(text) RETURNS text', '''esc2'''), ('hashtext(text) RETURNS integer', '1'),
            ('jsonb_typeof(jsonb) RETURNS text', '''x'''),
        ('same(text, text) RETURNS boolean', 'true'), ('same(integer, integer) RETURNS boolean', 'true'),
            ('same(bigint, bigint) RETURNS boolean', 'true'), ('same(oid, oid) RETURNS boolean', 'true'),
            ('same(smallint, smallint) RETURNS boolean', 'true'),
        ('same(timestamptz, timestamptz) RETURNS boolean', 'true'),
            ('same(interval, interval) RETURNS boolean', 'true'), ('joined(text, text) RETURNS text', '$1'),
            ('arrow(jsonb, text) RETURNS text', '''x''')
    LOOP
        EXECUTE format('CREATE FUNCTION esc_evil.%s LANGUAGE plpgsql AS %L', what,
            format('BEGIN INSERT INTO esc_evil.caught VALUES (%L); RETURN %s; END', what, body));
    END LOOP;
    FOREACH what IN ARRAY '{text,integer,bigint,oid,smallint,timestamptz,interval}'::text[] LOOP
        FOREACH body IN ARRAY '{=,<>,<,<=,>,>=}'::text[] LOOP
            EXECUTE format('CREATE OPERATOR esc_evil.%1$s (LEFTARG = %2$s, RIGHTARG = %2$s, FUNCTION = esc_evil.same)',
                body, what);
        END LOOP;
    END LOOP;
    FOREACH what IN ARRAY '{~,~~,!~,!~~}'::text[] LOOP
        EXECUTE format('CREATE OPERATOR esc_evil.%s (LEFTARG = text, RIGHTARG = text, FUNCTION = esc_evil.same)', what);
    END LOOP;
    CREATE OPERATOR esc_evil.|| (LEFTARG = text, RIGHTARG = text, FUNCTION = esc_evil.joined);
    CREATE OPERATOR esc_evil.->> (LEFTARG = jsonb, RIGHTARG = text, FUNCTION = esc_evil.arrow);
END
$do$;
RESET ROLE;
CREATE TEMP TABLE task (id integer);
CREATE TEMP TABLE queue (id integer);
CREATE TEMP TABLE segment (id integer);
CREATE TEMP TABLE namespace (id integer);
CREATE FUNCTION pg_temp.in_evil_path(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    name text;
    value text;
BEGIN
    FOR name, value IN SELECT i.name, i.value FROM pg_temp.ids i LOOP statement := replace(statement,
        '{' || name || '}', value); END LOOP;
    SET LOCAL search_path = esc_evil, pg_temp, pg_catalog, public;
    EXECUTE statement;
    -- What was caught is read before it is rolled back.
    RAISE EXCEPTION USING ERRCODE = 'TAP00', MESSAGE = pg_temp.caught();
EXCEPTION WHEN OTHERS THEN
    RETURN CASE sqlstate WHEN 'TAP00' THEN sqlerrm ELSE 'nothing, ' || sqlstate END;
END
$$;
-- Statements without an operator of their own; what the contract refuses is refused here as well.
SELECT matches(pg_temp.in_evil_path(statement), '^nothing(, (55000|42501|PQ00\d))?$', 'search path: ' || statement)
FROM (SELECT r.statement FROM routine_rule r WHERE r.statement LIKE 'SELECT%'
    UNION SELECT 'SELECT * FROM ' || pg_temp.full_name(view) FROM view_rule UNION SELECT v.statement FROM view_rule v
    WHERE v.verb = 'INSERT' AND v.statement NOT LIKE '%role)%') s (statement);
SELECT pgqueue.ensure_workers() \g /dev/null
-- The net catches: the same statement with an operator of its own.
SELECT isnt(pg_temp.in_evil_path('SELECT FROM pgqueue.queue WHERE namespace = ''esc'''), 'nothing',
    'search path: what the caller writes himself is found by his path');
DROP TABLE pg_temp.task, pg_temp.queue, pg_temp.segment, pg_temp.namespace;

-- 3. Rows of others: leaky functions, EXPLAIN, statistics, views over ours, cursors and prepared statements.
CREATE FUNCTION pg_temp.leak(value text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$
BEGIN
    IF value LIKE '%SECRET%' THEN PERFORM set_config('esc.leaked', 'yes', true); END IF;
    RETURN true;
END
$$;
GRANT ALL ON FUNCTION pg_temp.leak TO PUBLIC;
CREATE FUNCTION pg_temp.leaked_to(role text, query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    PERFORM set_config('esc.leaked', 'no', true);
    EXECUTE format('SET LOCAL ROLE %I', role);
    EXECUTE query INTO result;
    RESET ROLE;
    RETURN current_setting('esc.leaked');
EXCEPTION WHEN OTHERS THEN
    RETURN format('%s %s', sqlstate, sqlerrm);
END
$$;
SELECT is(pg_temp.leaked_to('postgres', 'SELECT count(*) FROM pgqueue.task t WHERE pg_temp.leak(t::text)'), 'yes',
    'the leaky function catches what its caller may see');
SELECT is(pg_temp.leaked_to('esc_' || who, format('SELECT count(*) FROM %s t WHERE pg_temp.leak(t::text)',
    pg_temp.full_name(view))), 'no', format('leaky function of %s on view %s', who, view))
FROM (SELECT DISTINCT view FROM view_rule) v, unnest('{nobody,use,work,other}'::text[]) who
-- Any privilege shows tickers whole.
WHERE NOT (view = 'ticker' AND who IN ('use', 'work'));
SELECT is(pg_temp.leaked_to('esc_monitor', format('SELECT count(*) FROM pgqueue.%I t WHERE pg_temp.leak(%s)', view,
    columns)), 'no', 'leaky function of monitor on payload, headers and result of view ' || view)
FROM (VALUES ('task', 't.payload::text || t.headers::text || t.result::text'), ('task_archive', 't.payload::text'),
    ('worker', 't.progress_note')) v (view, columns);
CREATE FUNCTION pg_temp.plan_of(role text, query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    line text;
    result text := '';
BEGIN
    EXECUTE format('SET LOCAL ROLE %I', role);
    FOR line IN EXECUTE 'EXPLAIN (ANALYZE, VERBOSE) ' || query LOOP result := result || line || E'\n'; END LOOP;
    RESET ROLE;
    RETURN result;
END
$$;
SELECT unalike(pg_temp.plan_of('esc_nobody', 'SELECT * FROM ' || pg_temp.full_name(view)), '%SECRET%',
    'EXPLAIN ANALYZE of view ' || view) FROM (SELECT DISTINCT view FROM view_rule) v;
ANALYZE pgqueue_internal.segment_0;
SELECT is(pg_temp.seen_by('esc_' || who,
    format('SELECT count(*) FROM pg_catalog.%s WHERE schemaname = ''pgqueue_internal''', view)), '0',
    format('statistics of our columns in %s for %s', view, who))
FROM unnest('{pg_stats,pg_stats_ext,pg_stats_ext_exprs}'::text[]) view,
    unnest('{nobody,use,owner,admin,monitor}'::text[]) who;
CREATE VIEW esc_evil.over AS SELECT * FROM pgqueue.task WHERE namespace = 'esc';
GRANT SELECT ON esc_evil.over TO PUBLIC;
ALTER VIEW esc_evil.over OWNER TO esc_owner;
GRANT ALL ON SCHEMA esc_evil TO esc_owner;
SELECT is(pg_temp.seen_by('esc_' || who, 'SELECT count(*) > 0 FROM esc_evil.over'), sees,
    'a view over ours shows to ' || who || ' what he may see')
    FROM (VALUES ('nobody', 'false'), ('use', 'false'), ('other', 'false'), ('owner', 'true')) v (who, sees);
CREATE FUNCTION esc_evil.definer() RETURNS bigint
    LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM pgqueue.task WHERE namespace = ''esc''';
ALTER FUNCTION esc_evil.definer() OWNER TO esc_use;
SELECT is(pg_temp.seen_by('esc_' || who, 'SELECT esc_evil.definer()'), '0',
    'a function with SECURITY DEFINER sees what its owner may see, called by ' || who)
    FROM unnest('{nobody,owner,admin}'::text[]) who;
PREPARE esc_prepared AS SELECT count(*) > 0 FROM pgqueue.task WHERE namespace = 'esc';
SELECT is(pg_temp.seen_by('esc_' || who, 'EXECUTE esc_prepared'), sees,
    format('a statement that a superuser prepared, for %s (%s)', who, turn)) FROM generate_series(1, 7) turn,
    (VALUES ('admin', 'true'), ('nobody', 'false'), ('read', 'true')) v (who, sees);
DEALLOCATE esc_prepared;

-- 4. Whose task is it? Somebody with `use` replaces, waits for and names tasks of others.
SELECT pgqueue.create_task('q', command => 'SELECT $$SECRET$$', delay => '1 day', dedup_key => 'esc',
    namespace => 'esc') AS keyed \gset
SELECT is(pg_temp.seen_by('esc_use', $$SELECT pgqueue.create_task('q', '1', dedup_key => 'esc', namespace => 'esc')$$),
    :'keyed'::text, 'skip gives the id, no more');
SELECT isnt(pg_temp.answer('esc_use',
    $$SELECT pgqueue.create_task('q', command => 'SELECT 2', dedup_key => 'esc', on_conflict => 'replace',
        namespace => 'esc')$$), '+', 'nobody replaces a command of somebody else');
SELECT isnt(pg_temp.answer('esc_use',
    format($$SELECT pgqueue.create_task('q', '1', depends_on => ARRAY[%s], namespace => 'esc')$$, :elsewhere)), '+',
    'a task of another namespace cannot be waited for');
SELECT is(pg_temp.answer('esc_other', format($$SELECT pgqueue.%s$$, call)), '42704',
    'a task of another namespace named with the own: ' || call)
FROM (SELECT format(c, :waiting) FROM unnest(ARRAY['cancel_task(%s, namespace => ''esc2'')',
    'retry_task(%s, namespace => ''esc2'')', 'release_task(%s, 1, namespace => ''esc2'')',
    'run_task(%s, namespace => ''esc2'')']) c) v (call);
SELECT is(pg_temp.answer('esc_manage', statement), '0A000', statement)
    FROM unnest(ARRAY['UPDATE pgqueue.task SET namespace = ''esc2''',
    'UPDATE pgqueue.queue SET namespace = ''esc2'' WHERE queue = ''q''',
    'UPDATE pgqueue.ticker SET role = ''esc_admin''', 'UPDATE pgqueue.handler SET role = ''esc_admin''',
    'INSERT INTO pgqueue.ticker (namespace, ticker, queue, role) VALUES (''esc'', ''r'', ''q'', ''postgres'')',
        'INSERT INTO pgqueue.handler (namespace, type, function, role) VALUES (''esc'', ''r'', '
        '''pg_catalog.jsonb_pretty'', ''postgres'')']) statement;
SELECT is(pg_temp.seen_by('esc_manage',
    $$SELECT role FROM pgqueue.update_ticker('t', command => 'SELECT current_user', namespace => 'esc')$$),
    'esc_manage', 'who writes the command of a ticker is its role');
SELECT is(pg_temp.seen_by('esc_manage',
    $$SELECT role FROM pgqueue.update_ticker('t', period => '3 days', namespace => 'esc')$$), 'esc_manage',
    'and stays it');

-- 5. SQL of a task stays what its author may do, in a worker.
SELECT pgqueue.create_queue('run', retries => 0, ttl => '0', namespace => 'esc') \g /dev/null
CREATE TEMP TABLE tried (id bigint, command text, expected text);
GRANT ALL ON tried TO esc_use;
SET ROLE esc_use;
INSERT INTO tried SELECT pgqueue.create_task('run', command => command, namespace => 'esc'), command, expected
    FROM (VALUES
    ('SET ROLE postgres', '42501'), ('SET SESSION AUTHORIZATION postgres', '42501'),
        ('SELECT set_config(''role'', ''postgres'', false)', '42501'),
        ('SELECT set_config(''session_authorization'', ''postgres'', false)', '42501'),
    ('SET ROLE esc_admin', '42501'), ('RESET ROLE; INSERT INTO esc_evil.caught VALUES (''RESET ROLE'')', NULL),
        ('RESET SESSION AUTHORIZATION; INSERT INTO esc_evil.caught VALUES (''RESET SESSION AUTHORIZATION'')', NULL),
    ('RESET ALL; INSERT INTO esc_evil.caught VALUES (''RESET ALL'')', NULL), ('DISCARD ALL', NULL),
        ('DO $$BEGIN RESET ROLE; INSERT INTO esc_evil.caught VALUES (''RESET ROLE in DO''); END$$', NULL),
    ('ALTER ROLE esc_use SUPERUSER', '42501'), ('ALTER SYSTEM SET pgqueue.enabled = off', '42501'),
        ('SET pgqueue.track_costs = off', '42501'), ('SET pgqueue.enabled = off', '55P02'),
        ('SET pgqueue.nosuch = 1', '42602'),
    ('SET session_replication_role = replica', '42501'), ('LOAD ''$libdir/plugins/x''', '58P01'),
        ('CREATE EVENT TRIGGER esc_event ON ddl_command_end EXECUTE FUNCTION esc_evil.f()', '42501'),
        ('SELECT FROM pgqueue_internal.segment', '42501'),
    ('SELECT pg_read_file(''postgresql.conf'')', '42501'), ('COPY (SELECT 1) TO PROGRAM ''true''', '42501'),
        ('CREATE DATABASE esc_db', '42501'), ('SELECT pgqueue.adopt()', '42501'),
        ('SELECT pgqueue.stop_workers()', '42501'), ('SELECT pgqueue.create_namespace(''esc9'')', '42501'),
    ('SELECT pgqueue.create_queue(''mine'', namespace => ''esc'')', '42501'),
        ('SELECT * FROM pgqueue.next_task(''w'', namespace => ''esc'')', '42501'),
        ('UPDATE pgqueue.task SET payload = ''1'' WHERE namespace = ''esc''', NULL)) v (command, expected);
RESET ROLE;
DO $$
BEGIN
    FOR i IN 1..3000 LOOP
        EXIT WHEN NOT EXISTS (SELECT FROM pgqueue.task t JOIN pg_temp.tried USING (id) WHERE t.finished_at IS NULL);
        COMMIT;
        PERFORM pg_sleep(0.02);
    END LOOP;
END
$$;
SELECT is(t.error_code, c.expected, 'in a task: ' || c.command) FROM tried c JOIN pgqueue.task t USING (id)
    WHERE c.expected IS NOT NULL;
SELECT isnt(t.status, 'retained', 'in a task, and it ends: ' || c.command) FROM tried c JOIN pgqueue.task t USING (id)
    WHERE c.expected IS NULL;
SELECT is_empty($$SELECT what, who, session FROM esc_evil.caught WHERE who <> 'esc_use' OR session <> 'esc_use'$$,
    'nothing leads out of the role of a task');
SELECT isnt(pg_temp.caught(), 'nothing', 'and that was looked at');

-- 6. A handler's result becomes jsonb by a cast of the type's owner, whose function runs as the handler does.
SET ROLE esc_manage;
CREATE TYPE esc_evil.bait AS ENUM ('a');
CREATE FUNCTION esc_evil.bait_json(esc_evil.bait) RETURNS json
    LANGUAGE plpgsql AS $$BEGIN INSERT INTO esc_evil.caught VALUES ('cast of a result'); RETURN '1'; END$$;
CREATE CAST (esc_evil.bait AS json) WITH FUNCTION esc_evil.bait_json(esc_evil.bait);
CREATE FUNCTION esc_evil.baited(payload jsonb) RETURNS esc_evil.bait
    LANGUAGE plpgsql AS $$BEGIN INSERT INTO esc_evil.caught VALUES ('handler'); RETURN 'a'; END$$;
SELECT pgqueue.create_handler('bait', 'esc_evil.baited', namespace => 'esc') \g /dev/null
RESET ROLE;
SELECT pgqueue.create_task('srv', '1', type => 'bait', namespace => 'esc') AS bait \gset
DO $$
BEGIN
    FOR i IN 1..1500 LOOP
        EXIT WHEN EXISTS (SELECT FROM pgqueue.task WHERE type = 'bait' AND finished_at IS NOT NULL);
        COMMIT;
        PERFORM pg_sleep(0.02);
    END LOOP;
END
$$;
SELECT is((SELECT status FROM pgqueue.task WHERE id = :bait), 'released', 'a handler in a worker');
SELECT is(pg_temp.caught(), 'cast of a result as esc_manage, handler as esc_manage',
    'the handler and the cast of its result, in a worker');
