-- Extension pg_background_queue: objects, columns, settings, DML on the relation, rights (rows A02-A10, A16-A19, A23,
-- A32-A34, A45, A51). Nothing commits, so no task starts by itself.
\set ECHO none
\set QUIET 1
BEGIN;
SELECT no_plan();
CREATE SCHEMA "Some where";
-- Somebody who may create there was first. The operators fit better than those of pg_catalog.
CREATE FUNCTION "Some where".planted(double precision, integer) RETURNS double precision LANGUAGE sql RETURN 7;
CREATE OPERATOR "Some where"./ (LEFTARG = double precision, RIGHTARG = integer, FUNCTION = "Some where".planted);
CREATE FUNCTION "Some where".planted(jsonb, jsonb) RETURNS text LANGUAGE sql RETURN 'planted';
CREATE OPERATOR "Some where".->> (LEFTARG = jsonb, RIGHTARG = jsonb, FUNCTION = "Some where".planted);
CREATE EXTENSION pg_background_queue SCHEMA "Some where";
SELECT is((SELECT count(*) FROM pg_depend d
    WHERE d.refclassid = 'pg_operator'::regclass AND d.refobjid IN (SELECT oid FROM pg_operator
        WHERE oprnamespace = '"Some where"'::regnamespace)), 0::bigint,
    'operators that were planted in the schema are in no object of ours');
DROP OPERATOR "Some where"./ (double precision, integer), "Some where".->> (jsonb, jsonb);
DROP FUNCTION "Some where".planted(double precision, integer), "Some where".planted(jsonb, jsonb);
SET search_path = public, "Some where";

-- Objects.
SELECT is(enum_range(NULL::pg_background_queue_task_state)::text, '{pending,running,retrying,failed,finished}',
    'A02: the states in their order');
SELECT columns_are('Some where', 'pg_background_tasks',
    ARRAY['id', 'sql_statement', 'topic', 'joined_at', 'started_at', 'closed_at', 'priority', 'state', 'retry_count',
        'retry_delay_in_sec', 'errors'], 'A03: the columns');
SELECT col_type_is('Some where', 'pg_background_tasks', name, 'pg_catalog', type, 'A03: type of ' || name)
FROM (VALUES ('id', 'bigint'), ('sql_statement', 'text'), ('topic', 'text'),
    ('joined_at', 'timestamp without time zone'), ('started_at', 'timestamp without time zone'),
    ('closed_at', 'timestamp without time zone'), ('priority', 'integer'), ('retry_count', 'integer'),
    ('retry_delay_in_sec', 'integer'), ('errors', 'text')) c (name, type);
SELECT is((SELECT atttypid FROM pg_attribute
    WHERE attrelid = '"Some where".pg_background_tasks'::regclass AND attname = 'state'),
    '"Some where".pg_background_queue_task_state'::regtype::oid, 'A03: type of state');
SELECT is(pg_get_expr(d.adbin, d.adrelid), expected, 'A03: default of ' || name)
FROM (VALUES ('joined_at', 'now()'), ('priority', '0'), ('state', '''pending''::pg_background_queue_task_state'),
    ('retry_count', '0'), ('retry_delay_in_sec', '0')) c (name, expected)
LEFT JOIN pg_attribute a ON a.attrelid = '"Some where".pg_background_tasks'::regclass AND a.attname = name
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum;
SELECT function_returns('Some where', name, args, result, 'A05, A06, A32-A34, A51: ' || name)
FROM (VALUES ('pg_background_queue_enqueue', ARRAY['text', 'text'], 'bigint'),
    ('pg_background_enqueue', ARRAY['text', 'text'], 'bigint'),
    ('pg_background_queue_ensure_workers', '{}', 'void'), ('pg_background_queue_active_workers_count', '{}', 'integer'),
    ('pg_background_queue_calibrate_workers_count', '{}', 'integer'),
    ('pg_background_queue_purge', '{interval}', 'bigint'),
    ('pg_background_queue_import', '{regclass}', 'bigint')) f (name, args, result);
SELECT is((SELECT string_agg(proname, ' ' ORDER BY proname) FROM pg_proc
    WHERE pronamespace = '"Some where"'::regnamespace),
    'pg_background_enqueue pg_background_queue_active_workers_count pg_background_queue_calibrate_workers_count '
    'pg_background_queue_enqueue pg_background_queue_ensure_workers pg_background_queue_import '
    'pg_background_queue_purge',
    'and no other function in the schema of the user');
SELECT is(pg_get_function_arguments(oid), 'sql text, topic text DEFAULT NULL::text', 'A05, A06: arguments of '
    || proname) FROM pg_proc WHERE proname IN ('pg_background_queue_enqueue', 'pg_background_enqueue')
    AND pronamespace = '"Some where"'::regnamespace;
SELECT is((SELECT count(*) FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
    WHERE e.extname = 'pg_background_queue' AND d.deptype = 'e' AND d.classid <> 'pg_type'::regclass
    AND obj_description(d.objid, d.classid::regclass::name) IS NULL
    AND d.objid NOT IN (SELECT oid FROM pg_proc WHERE pronamespace = 'pgqueue_internal'::regnamespace UNION SELECT oid
        FROM pg_class WHERE relnamespace = 'pgqueue_internal'::regnamespace)), 0::bigint,
    'every object that users see has a comment');
SELECT is((SELECT count(*) FROM pg_attribute
    WHERE attrelid = '"Some where".pg_background_tasks'::regclass AND attnum > 0
        AND col_description(attrelid, attnum) IS NULL), 0::bigint, 'every column too');

-- Settings.
SELECT is((SELECT row(vartype, boot_val, min_val, max_val, context)::text FROM pg_settings
    WHERE name = 'pg_background_queue.' || s.of), expected, row_id || ': ' || s.of)
FROM (VALUES ('A16', 'max_parallel_running_tasks_count', format('(integer,%s,0,2147483647,sighup)',
    current_setting('max_worker_processes')::integer / 2)), ('A17', 'retry_count', '(integer,0,0,2147483647,sighup)'),
    ('A18', 'delay_in_sec', '(integer,0,0,2147483647,sighup)'),
    ('A19', 'topic_config', '(string,"",,,sighup)')) s (row_id, of, expected);
SELECT throws_ok('SET pg_background_queue.retries = 1', '42602', NULL, 'a misspelt setting is refused');

-- Enqueue.
SELECT pg_background_queue_enqueue('SELECT 1') AS one \gset
SELECT is((SELECT max(id) FROM pg_background_tasks), :one::bigint, 'A05: returns the id of the new row');
SELECT throws_ok('SELECT pg_background_queue_enqueue(NULL)', '22004', NULL, 'A08: NULL is refused');
SELECT throws_ok('SELECT pg_background_enqueue(NULL)', '22004', NULL, 'A08: by the other name too');
SELECT is((SELECT row(sql_statement, topic, state, retry_count, retry_delay_in_sec, started_at, closed_at, errors)::text
    FROM pg_background_tasks WHERE id = :one), '("SELECT 1",,pending,0,0,,,)', 'A09: a fresh task');
SELECT ok(abs(extract(epoch FROM joined_at - clock_timestamp()::timestamp)) < 60, 'A09: joined_at is now')
FROM pg_background_tasks
WHERE id = :one;
SELECT is((SELECT priority FROM pg_background_tasks WHERE id = :one), 100, 'A10: priority 100 from the function');
SELECT is((SELECT array_agg(priority) FROM pg_background_tasks
    WHERE id IN (pg_background_enqueue('SELECT 1', 'nosuch'), pg_background_enqueue('SELECT 1', NULL),
        pg_background_enqueue('SELECT 1', ''))), NULL, 'none is seen by the statement that makes it');
SELECT is((SELECT array_agg(coalesce(topic, 'NULL') || ' ' || priority ORDER BY id) FROM pg_background_tasks
    WHERE id > :one), '{"nosuch 100","NULL 100"," 100"}', 'A23: unknown, NULL and empty topic have priority 100');
SELECT is((SELECT array_agg(DISTINCT queue) FROM pgqueue.task WHERE namespace = 'pg_background_queue'), '{default}',
    'A23: and wait in one queue');

-- INSERT.
WITH new AS (INSERT INTO pg_background_tasks (sql_statement) VALUES ('SELECT 2'), ('SELECT 3') RETURNING *)
SELECT is((SELECT array_agg(row(sql_statement, topic, priority, state, retry_count, closed_at)::text ORDER BY id)
    FROM new), '{"(\"SELECT 2\",,0,pending,0,)","(\"SELECT 3\",,0,pending,0,)"}',
    'A10: a bare INSERT enqueues with priority 0');
INSERT INTO pg_background_tasks (sql_statement, topic, priority, joined_at)
VALUES ('SELECT 4', 'later', 7, localtimestamp + interval '1 hour')
RETURNING id AS later \gset
SELECT is((SELECT row(topic, priority, state)::text FROM pg_background_tasks WHERE id = :later), '(later,7,pending)',
    'INSERT with topic and priority');
SELECT ok((SELECT delayed_at > clock_timestamp() + interval '59 minutes' FROM pgqueue.task WHERE id = :later),
    'a joined_at to come delays');
SELECT throws_ok(format('INSERT INTO pg_background_tasks (sql_statement, %s) VALUES (''SELECT 1'', %s)', name, value),
    '0A000', NULL, 'INSERT refuses ' || name)
FROM (VALUES ('id', '1'), ('state', '''running'''), ('started_at', 'now()'), ('closed_at', 'now()'),
    ('errors', '''x'''), ('retry_count', '1'), ('retry_delay_in_sec', '2')) c (name, value);
SELECT throws_ok('INSERT INTO pg_background_tasks (topic) VALUES (''x'')', '23502', NULL, 'INSERT needs sql_statement');

-- UPDATE.
UPDATE pg_background_tasks SET priority = 3, topic = 'moved' WHERE id = :one;
SELECT is((SELECT row(topic, priority, state)::text FROM pg_background_tasks WHERE id = :one), '(moved,3,pending)',
    'UPDATE of priority and topic');
SELECT throws_ok(format('UPDATE pg_background_tasks SET %s = %s WHERE id = %s', name, value, :one), '0A000', NULL,
    'UPDATE refuses ' || name)
FROM (VALUES ('id', '-1'), ('sql_statement', '''SELECT 5'''), ('joined_at', '''2020-01-01'''), ('state', '''running'''),
    ('state', '''finished'''), ('state', 'NULL'), ('retry_count', '1')) c (name, value);
UPDATE pg_background_tasks SET state = 'failed' WHERE id = :one;
SELECT is((SELECT row(state, errors, closed_at IS NOT NULL)::text FROM pg_background_tasks WHERE id = :one),
    '(failed,cancelled,t)', 'state failed cancels');
SELECT is((SELECT status FROM pgqueue.task WHERE id = :one), 'cancelled', 'in pgqueue it is cancelled');
UPDATE pg_background_tasks SET state = 'failed', errors = 'not wanted', closed_at = now() WHERE id = :later;
SELECT is((SELECT errors FROM pg_background_tasks WHERE id = :later), 'not wanted', 'with the reason that is given');
UPDATE pg_background_tasks SET state = 'pending', started_at = NULL, closed_at = NULL, errors = NULL, retry_count = 0
WHERE id = :one;
SELECT is((SELECT row(state, retry_count, closed_at)::text FROM pg_background_tasks WHERE id = :one), '(pending,0,)',
    'state pending runs a failed one again');
SELECT pgqueue.run_task(:one) \g /dev/null
SELECT is((SELECT row(state, closed_at >= started_at)::text FROM pg_background_tasks WHERE id = :one), '(finished,t)',
    'a finished one');
SELECT throws_ok(format('UPDATE pg_background_tasks SET state = ''pending'' WHERE id = %s', :one), '0A000', NULL,
    'is not run again');

-- DELETE.
DELETE FROM pg_background_tasks WHERE id = :one;
SELECT is((SELECT count(*) FROM pgqueue.task WHERE id = :one), 0::bigint, 'DELETE of a finished task');
WITH gone AS (DELETE FROM pg_background_tasks WHERE state = 'pending' AND sql_statement = 'SELECT 2'
    RETURNING id) SELECT is((SELECT count(*) FROM gone), 1::bigint, 'DELETE of a waiting task');

-- History, as the collector leaves it in the archive.
INSERT INTO pgqueue_internal.archive (id, namespace_id, namespace, queue, status, command, headers, priority, role_id,
    attempt, retries, created_at, started_at, finished_at, error, uncounted)
SELECT nextval('pgqueue_internal.task_id'), n.id, n.name, 'default', CASE WHEN g = 1 THEN 'failed' ELSE 'released' END,
    'SELECT ' || g, '{"topic": "old"}', 100, pgqueue_internal.note_role(current_user::regrole), 3, 2,
    now() - interval '2 days', now() - interval '47 hours', now() - g * interval '1 day',
    CASE WHEN g = 1 THEN 'went wrong' END, CASE WHEN g = 1 THEN 0 ELSE 1 END
FROM pgqueue_internal.namespace n, generate_series(1, 3) g WHERE n.name = 'pg_background_queue';
SELECT results_eq('SELECT sql_statement, state::text, retry_count, retry_delay_in_sec, errors FROM pg_background_tasks '
    'WHERE topic = ''old'' ORDER BY id',
    $$VALUES ('SELECT 1', 'failed', 2, 4, 'went wrong'), ('SELECT 2', 'finished', 1, 2, NULL),
        ('SELECT 3', 'finished', 1, 2, NULL)$$, 'archived tasks are in the relation');
SELECT is((SELECT state::text FROM pg_background_tasks
    WHERE id = (SELECT min(id) FROM pg_background_tasks WHERE topic = 'old')), 'failed', 'and are found by id');
UPDATE pg_background_tasks SET state = 'pending' WHERE topic = 'old' AND state = 'failed';
SELECT is((SELECT row(state, retry_count, priority, sql_statement)::text FROM pg_background_tasks WHERE topic = 'old'
    ORDER BY id LIMIT 1), '(pending,0,100,"SELECT 1")', 'an archived failure runs again, with its id');
DELETE FROM pg_background_tasks WHERE topic = 'old' AND sql_statement = 'SELECT 2';
SELECT is((SELECT count(*) FROM pgqueue.task_archive WHERE namespace = 'pg_background_queue'), 1::bigint,
    'DELETE reaches the archive');
SELECT is(pg_background_queue_purge('4 days'), 0::bigint, 'A51: nothing is so old');
SELECT is(pg_background_queue_purge('2 days'), 1::bigint, 'A51: purge removes archived tasks');
SELECT is(pg_background_queue_purge('0') >= 1, true, 'A51: and finished ones that are not archived');
SELECT is((SELECT count(*) FROM pg_background_tasks WHERE state IN ('finished', 'failed')), 0::bigint,
    'A51: all of them');
SELECT isnt_empty('SELECT 1 FROM pg_background_tasks WHERE state = ''pending''', 'A51: and no other');
SELECT throws_ok('SELECT pg_background_queue_purge(NULL)', '22004', NULL, 'purge of NULL is refused');
SELECT throws_ok('SELECT pg_background_queue_purge(''-1 day'')', '22023', NULL, 'purge of a negative age is refused');

-- A04: the archive is not read for unfinished tasks, nor all of it for failures.
CREATE FUNCTION pg_temp.plan_of(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    line text;
    plan text := '';
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) ' || query LOOP
        plan := plan || line || E'\n';
    END LOOP;
    RETURN plan;
END
$$;
SET LOCAL enable_seqscan = off;  -- tables are empty here
SELECT unalike(regexp_replace(pg_temp.plan_of(query), 'archive[^\n]*never executed', '', 'g'), '% archive%',
    'A04: no look into history: ' || query)
FROM (VALUES ('SELECT * FROM pg_background_tasks WHERE state = ''pending'''),
    ('SELECT count(*) FROM pg_background_tasks WHERE state = ''running'''),
    ('SELECT * FROM pg_background_tasks WHERE state = ''retrying''')) q (query);
SELECT unalike(
    regexp_replace(
        pg_temp.plan_of('SELECT * FROM pg_background_tasks WHERE state = ''failed'' ORDER BY closed_at DESC LIMIT 10'),
        '[^\n]*archive[^\n]*never executed', '', 'g'), '%Seq Scan on archive%', 'A04: failures by an index');
SELECT alike(pg_temp.plan_of('SELECT * FROM pg_background_tasks WHERE id = 5'), '%segment_0_pkey%archive_pkey%',
    'A04: one task by indexes');
RESET enable_seqscan;

-- E11: the same with 2,000 tasks that ended a moment ago and 3,000 in the archive. What a plan may do is bounded: rows
-- that a step hands on, blocks that are looked at.
SELECT count(pg_background_queue_enqueue('SELECT 1', 'ended')) FROM generate_series(1, 2000) \g /dev/null
UPDATE pg_background_tasks SET state = 'failed', errors = 'not wanted' WHERE topic = 'ended';
INSERT INTO pgqueue_internal.archive (id, namespace_id, namespace, queue, status, command, headers, priority, role_id,
    attempt, retries, created_at, started_at, finished_at, error, uncounted)
SELECT nextval('pgqueue_internal.task_id'), n.id, n.name, 'default',
    CASE WHEN g % 150 = 0 THEN 'failed' ELSE 'released' END, 'SELECT ' || g, '{"topic": "history"}', 100,
    pgqueue_internal.note_role(current_user::regrole), 1, 0,
    now(), now(), now() - g * interval '1 minute', CASE WHEN g % 150 = 0 THEN 'went wrong' END, 0
FROM pgqueue_internal.namespace n, generate_series(1, 3000) g WHERE n.name = 'pg_background_queue';
ANALYZE pgqueue_internal.archive;
CREATE FUNCTION pg_temp.work_of(query text, OUT most_rows integer, OUT blocks integer) LANGUAGE plpgsql AS $$
DECLARE
    plan jsonb;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, TIMING off, FORMAT JSON) ' || query INTO plan;
    most_rows := (SELECT max(node.rows::numeric) FROM jsonb_path_query(plan, '$.**."Actual Rows"') node (rows));
    blocks := (plan #>> '{0,Plan,Shared Hit Blocks}')::integer + (plan #>> '{0,Plan,Shared Read Blocks}')::integer;
END
$$;
SELECT ok(w.most_rows < 50, format('E11: %s reads what answers and no more: %s rows', query, w.most_rows))
FROM (VALUES ('SELECT * FROM pg_background_tasks WHERE state = ''pending'''),
    ('SELECT count(*) FROM pg_background_tasks WHERE state = ''pending'''),
    ('SELECT * FROM pg_background_tasks WHERE state IN (''running'', ''retrying'')'),
    ('SELECT * FROM pg_background_tasks WHERE state = ''pending'' ORDER BY priority, joined_at LIMIT 10')) q (query),
    pg_temp.work_of(q.query) w;
SELECT ok(w.blocks < 1000, format('E11: %s looks at %s blocks', query, w.blocks))
FROM (VALUES ('SELECT * FROM pg_background_tasks WHERE state = ''pending'''),
    ('SELECT id, sql_statement, errors, closed_at FROM pg_background_tasks WHERE state = ''failed'' '
        'ORDER BY closed_at DESC LIMIT 10'),
    ('SELECT * FROM pg_background_tasks WHERE state = ''failed'' ORDER BY id DESC LIMIT 10')) q (query),
    pg_temp.work_of(q.query) w;
SELECT is((SELECT array_agg(DISTINCT errors)
    FROM (SELECT errors FROM pg_background_tasks WHERE state = 'failed' AND topic = 'ended' ORDER BY closed_at DESC
        LIMIT 10) f), '{"not wanted"}', 'E11: with their messages');
SELECT is((SELECT count(*) FROM pg_background_tasks WHERE errors = 'not wanted' AND topic = 'ended'), 2000::bigint,
    'E11: which a condition can ask for');
SELECT is((SELECT array_agg(topic || ' ' || n ORDER BY topic)
    FROM (SELECT topic, count(*) AS n FROM pg_background_tasks WHERE state = 'failed' AND topic IN ('ended', 'history')
        GROUP BY topic) f), '{"ended 2000","history 20"}', 'E11: live and archived failures are all there');

-- An hour that the local clock shows twice: the default of joined_at is now, not the second time of it.
SELECT set_config('TimeZone',
    format('AAA0BBB-1,0/0,%s/%s', extract(doy FROM utc) - 1,
        to_char(utc - date_trunc('day', utc) + interval '90 minutes', 'HH24:MI')), true)
FROM (SELECT now() AT TIME ZONE 'UTC') t (utc) \g /dev/null
SELECT isnt(now()::timestamp::timestamptz, now(), 'the time is ambiguous');
INSERT INTO pg_background_tasks (sql_statement) VALUES ('SELECT ''ambiguous''');
SELECT is((SELECT delayed_at FROM pgqueue.task WHERE command = 'SELECT ''ambiguous'''), NULL,
    'a row without joined_at waits for nothing');
RESET TimeZone;

-- Counters of workers.
SELECT is(pg_background_queue_active_workers_count(), 0, 'A32: nothing runs');
SELECT lives_ok('SELECT pg_background_queue_ensure_workers() FROM generate_series(1, 100)',
    'A33: ensure_workers at any rate');
SELECT is(pg_background_queue_calibrate_workers_count() >= 0, true, 'A34: calibrate');

-- Rights.
SELECT pgqueue.create_queue('foreign'), pgqueue.create_task('foreign', command => 'SELECT ''foreign''') \g /dev/null
CREATE ROLE bq_none; CREATE ROLE bq_alice; CREATE ROLE bq_bob; CREATE ROLE bq_boss; CREATE ROLE bq_reader;
GRANT USAGE ON SCHEMA "Some where" TO bq_none, bq_alice, bq_bob, bq_boss, bq_reader;
GRANT pgqueue_user TO bq_alice, bq_bob, bq_boss, bq_reader;
SELECT pgqueue.grant_namespace('pg_background_queue', 'use', 'bq_alice'),
    pgqueue.grant_namespace('pg_background_queue', 'use', 'bq_bob'),
    pgqueue.grant_namespace('pg_background_queue', 'manage', 'bq_boss'),
    pgqueue.grant_namespace('pg_background_queue', 'read', 'bq_reader') \g /dev/null
SELECT is((SELECT count(*) FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
    WHERE a.grantee = 0
    AND EXISTS (SELECT FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
        WHERE e.extname = 'pg_background_queue' AND d.classid = 'pg_proc'::regclass AND d.objid = p.oid)), 0::bigint,
        'PUBLIC may call nothing');
SET ROLE bq_none;
SELECT throws_ok(q, '42501', NULL, 'without pgqueue_user: ' || q)
FROM (VALUES ('SELECT pg_background_queue_enqueue(''SELECT 1'')'), ('SELECT pg_background_enqueue(''SELECT 1'')'),
    ('SELECT pg_background_queue_ensure_workers()'), ('SELECT pg_background_queue_active_workers_count()'),
    ('SELECT pg_background_queue_calibrate_workers_count()'), ('SELECT pg_background_queue_purge(''0'')'),
    ('SELECT pg_background_queue_import(''pg_class'')'), ('SELECT * FROM pg_background_tasks'),
    ('INSERT INTO pg_background_tasks (sql_statement) VALUES (''SELECT 1'')')) s (q);
SET ROLE bq_reader;
SELECT throws_ok('SELECT pg_background_queue_enqueue(''SELECT 1'')', '42501', NULL, 'read is not use');
SELECT throws_ok('INSERT INTO pg_background_tasks (sql_statement) VALUES (''SELECT 1'')', '42501', NULL,
    'nor by INSERT');
SET ROLE bq_alice;
SELECT pg_background_queue_enqueue('SELECT ''of alice''', 'mine') AS alices \gset
INSERT INTO pg_background_tasks (sql_statement, topic) VALUES ('SELECT ''inserted by alice''', 'mine')
RETURNING id AS inserted \gset
SELECT lives_ok('SELECT pg_background_queue_ensure_workers()', 'A33: a plain role may wake the scheduler');
SELECT throws_ok('SELECT pg_background_queue_calibrate_workers_count()', '42501', NULL, 'A34: but not calibrate');
SELECT throws_ok('SELECT pg_background_queue_purge(''0'')', '42501', NULL, 'nor purge');
SELECT is((SELECT array_agg(DISTINCT sql_statement) FROM pg_background_tasks),
    '{"SELECT ''inserted by alice''","SELECT ''of alice''"}', 'it sees its own tasks');
SET ROLE bq_bob;
SELECT is((SELECT count(*) FROM pg_background_tasks), 0::bigint, 'another one sees none of them');
CREATE FUNCTION pg_temp.leak(text) RETURNS boolean
    LANGUAGE plpgsql COST 0.0001 AS $$BEGIN IF $1 LIKE '%alice%' THEN RAISE EXCEPTION 'leaked'; END IF;
        RETURN true; END$$;
SELECT lives_ok('SELECT * FROM pg_background_tasks WHERE pg_temp.leak(sql_statement)',
    'nor by a function that tells what it is given');
SELECT is_empty(format('UPDATE pg_background_tasks SET state = ''failed'' WHERE id = %s RETURNING id', :alices),
    'nor cancel them');
SET ROLE bq_reader;
SELECT throws_ok('SELECT * FROM pg_background_tasks WHERE pg_temp.leak(sql_statement)', 'leaked',
    'it does for those who may read');
SELECT lives_ok('SELECT * FROM pg_background_tasks '
    'WHERE pg_temp.leak(CASE WHEN sql_statement LIKE ''%foreign%'' THEN ''alice'' END)',
    'but nothing of another namespace');
SET ROLE bq_boss;
SELECT is((SELECT count(*) FROM pg_background_tasks WHERE id IN (:alices, :inserted)), 2::bigint, 'manage sees all');
SELECT throws_ok(format('UPDATE pg_background_tasks SET sql_statement = ''SELECT 1'' WHERE id = %s', :alices), '0A000',
    NULL, 'but cannot change what alice runs');
SELECT lives_ok('SELECT pg_background_queue_calibrate_workers_count()', 'A34: manage may calibrate');
UPDATE pg_background_tasks SET state = 'failed' WHERE id = :alices;
RESET ROLE;
SELECT is((SELECT state::text FROM pg_background_tasks WHERE id = :alices), 'failed', 'and cancel');
SELECT is((SELECT array_agg(DISTINCT role) FROM pgqueue.task WHERE id IN (:alices, :inserted)), '{bq_alice}',
    'A47: tasks belong to the role that enqueued or inserted them');

-- Seed queries (A45).
SELECT lives_ok(q, 'A45: ' || left(q, 40)) FROM (VALUES
    ('SELECT state, COUNT(*) AS count FROM pg_background_tasks GROUP BY state'),
    ('SELECT id, sql_statement, errors, closed_at FROM pg_background_tasks WHERE state = ''failed'' '
        'ORDER BY closed_at DESC LIMIT 10'),
    ('SELECT topic, COUNT(*) AS total_tasks, AVG(EXTRACT(EPOCH FROM (closed_at - started_at))) AS avg_duration_seconds '
        'FROM pg_background_tasks WHERE state = ''finished'' AND started_at IS NOT NULL GROUP BY topic')) s (q);

-- It goes, and comes again with what is there.
SELECT lives_ok('DROP EXTENSION pg_background_queue', 'DROP EXTENSION');
SELECT is((SELECT count(*) FROM pgqueue.task WHERE id = :inserted), 1::bigint, 'the tasks stay, in pgqueue');
SELECT lives_ok('CREATE EXTENSION pg_background_queue SCHEMA "Some where"', 'and CREATE EXTENSION again');
SELECT is((SELECT count(*) FROM pg_background_tasks WHERE id = :inserted), 1::bigint, 'finds them');
SELECT pgqueue.delete_namespace('pg_background_queue', force => true) \g /dev/null
SELECT throws_ok('SELECT pg_background_queue_enqueue(''SELECT 1'')', '42704', NULL, 'without its namespace it says so');
SELECT is((SELECT count(*) FROM pg_background_tasks), 0::bigint, 'and shows nothing');
DROP EXTENSION pg_background_queue;
SELECT lives_ok('CREATE EXTENSION pg_background_queue', 'it makes the namespace again');
SELECT * FROM finish();
ROLLBACK;
