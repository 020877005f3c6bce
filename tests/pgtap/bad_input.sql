-- Bad input of every function of tasks and queues, one call a row: refused with the SQLSTATE of the contract, a message
-- and what helps, and with nothing changed. CALLs are in tests/tap/045_wrong_place.pl, handlers in handler.sql.
\set ECHO none
\set QUIET 1
SELECT no_plan();
SELECT pgqueue.create_namespace('other'), pgqueue.create_queue('q', ttl => '0'),
    pgqueue.create_queue('other', ttl => '0'), pgqueue.create_queue('q', ttl => '0', namespace => 'other'),
    pgqueue.create_queue('srv', executor => 'server') \g /dev/null
-- A task of each kind: held here and there, waiting, finished, failed.
SELECT pgqueue.create_tasks('q', ARRAY(SELECT to_jsonb(g) FROM generate_series(1, 4) g)) \g /dev/null
SELECT pgqueue.create_task('q', '1', namespace => 'other') \g /dev/null
CALL pgqueue.wait_for_task('{q}', '30 s') \g /dev/null
CALL pgqueue.wait_for_task('{q}', '30 s', namespace => 'other') \g /dev/null
SELECT (array_agg(id ORDER BY id))[1] AS held, (array_agg(id ORDER BY id))[2] AS held2,
    (array_agg(id ORDER BY id))[3] AS done, min(receipt) AS receipt FROM pgqueue.next_tasks('w', '{q}', 3) \gset
SELECT id AS far, receipt AS far_receipt FROM pgqueue.next_task('w', 'q', namespace => 'other') \gset
SELECT pgqueue.release_task(:done, :receipt) \g /dev/null
SELECT id AS new FROM pgqueue.task WHERE namespace = 'default' AND queue = 'q' AND status = 'new' \gset
SELECT pgqueue.create_task('q', '5') AS failed \gset
SELECT pgqueue.cancel_task(:failed) \g /dev/null
SELECT pgqueue.create_task('q', command => 'SELECT 1') AS command \gset
SELECT pgqueue.pause_queue('q') \g /dev/null
SELECT pgqueue.create_task('q', '6', dedup_key => 'taken') \g /dev/null

-- What a call raises; nothing when it raises nothing.
CREATE FUNCTION raised(call text) RETURNS TABLE (state text, message text, detail text, hint text)
    LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'SELECT * FROM ' || call;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
        hint = PG_EXCEPTION_HINT;
    RETURN NEXT;
END
$$;
-- All that a call may change.
CREATE VIEW everything AS SELECT md5(concat((SELECT string_agg(t::text, ' ' ORDER BY id) FROM pgqueue.task t),
    (SELECT string_agg(q::text, ' ' ORDER BY namespace, queue) FROM pgqueue.queue q),
    (SELECT string_agg(concat_ws(' ', namespace, queue, status, count), ' ' ORDER BY namespace, queue, status)
        FROM pgqueue.queue_status),
    (SELECT string_agg(a::text, ' ' ORDER BY task_id, attempt) FROM pgqueue.task_attempt a),
    (SELECT string_agg(k::text, ' ') FROM pgqueue_internal.dedup k))) AS mark;
CREATE TABLE bad (n serial, call text, state text, says text, hints text);

-- Names, and what must be given.
INSERT INTO bad (call, state, says) SELECT format('pgqueue.%s(%s%s)', f, name, more), code, says
FROM (VALUES ('create_task', ', ''{}'''), ('create_tasks', ', ''{"1"}'''), ('create_queue', ''),
    ('update_queue', ', retries => 1'), ('delete_queue', ''), ('get_queue', ''), ('pause_queue', ''),
    ('resume_queue', ''), ('clean_queue', ''), ('purge_queue', ''), ('redrive', '')) f (f, more),
    (VALUES ('NULL', '22004', '%queue%must not be NULL'), ('''''', '42602', NULL), ('''1a''', '42602', NULL),
        ('''a b''', '42602', NULL), (quote_literal(repeat('a', 65)), '42602', NULL)) n (name, code, says);
INSERT INTO bad (call, state, says) SELECT format('pgqueue.%s(''nosuch''%s)', f, more), '42704',
    'queue "nosuch" does not exist%'
FROM (VALUES ('create_task', ', ''{}'''), ('create_tasks', ', ''{"1"}'''), ('update_queue', ', retries => 1'),
    ('delete_queue', ''), ('pause_queue', ''), ('resume_queue', ''), ('clean_queue', ''),
    ('purge_queue', ''), ('redrive', '')) f (f, more);
INSERT INTO bad (call, state, says) SELECT format('pgqueue.next_task%s', a), code, says FROM (VALUES
    ('(NULL)', '22004', 'argument "worker" must not be NULL'), ('('''')', '22023', NULL),
    ('(''w'', '''')', '42602', NULL), ('(''w'', ''nosuch'')', '42704', NULL),
    ('(''w'', lease => ''0'')', '22023', NULL),
    ('(''w'', lease => ''-1 s'')', '22023', NULL), ('s(NULL)', '22004', 'argument "worker" must not be NULL'),
    ('s('' '')', '22023', NULL), ('s(''w'', ''{q,nosuch}'')', '42704', NULL),
    ('s(''w'', ''{q,NULL}'')', '22004', NULL), ('s(''w'', ''{q,a b}'')', '42602', NULL),
    ('s(''w'', ''{{q},{other}}'')', '2202E', NULL), ('s(''w'', max_tasks => 0)', '22023', NULL),
    ('s(''w'', max_tasks => -1)', '22023', NULL), ('s(''w'', max_tasks => 10001)', '22023', NULL),
    ('s(''w'', lease => ''-1 s'')', '22023', NULL),
    ('s(''w'', lease => ''-1 s'', session_bound => true)', '22023', NULL)) v (a, code, says);
-- Namespaces.
INSERT INTO bad (call, state, says) SELECT format('pgqueue.%s, namespace => %L)', f, ns), code, says
FROM unnest(ARRAY['create_task(''q'', ''{}''', 'create_tasks(''q'', ''{"1"}''', 'create_queue(''q''',
    'update_queue(''q'', retries => 1', 'delete_queue(''q''', 'get_queue(''q''', 'pause_queue(''q''',
    'resume_queue(''q''', 'clean_queue(''q''', 'purge_queue(''q''', 'redrive(''q''', 'next_task(''w''',
    'next_tasks(''w''']) f,
    (VALUES ('nosuch', '42704', 'namespace "nosuch" does not exist'), ('a b', '42602', NULL)) n (ns, code, says);
INSERT INTO bad (call, state) SELECT format('pgqueue.%s, namespace => %L)', f, ns), '42704'
FROM unnest(ARRAY['release_task({held}, {receipt}', 'fail_task({held}, {receipt}', 'extend_task({held}, {receipt}',
    'snooze_task({held}, {receipt}', 'release_tasks(ARRAY[{held}], ARRAY[{receipt}]',
    'fail_tasks(ARRAY[{held}], ARRAY[{receipt}]', 'extend_tasks(ARRAY[{held}], ARRAY[{receipt}]',
    'snooze_tasks(ARRAY[{held}], ARRAY[{receipt}]', 'cancel_task({new}', 'retry_task({failed}',
    'run_task({command}', 'get_task({new}']) f, unnest('{other,nosuch,pgqueue}'::text[]) ns
    WHERE NOT (f LIKE 'get_task%' AND ns = 'nosuch');

-- create_task: one option each.
INSERT INTO bad (call, state, says, hints) SELECT format('pgqueue.create_task(''q'', %s)', a), code, says, hints
FROM (VALUES
    ('NULL', '22004', 'missing payload', NULL), ('NULL, type => ''t'', command => ''SELECT 1''', '22023', NULL, NULL),
    ('''{}'', type => '''', command => NULL', '22023', NULL, NULL),
    ('command => ''''', '22023', NULL, NULL), ('''{}'', delay => ''-1 s''', '22023', NULL, NULL),
    ('''{}'', delayed_at => now() - interval ''1 s''', '22023', 'delayed_at is in the past', NULL),
    ('''{}'', delay => ''1 s'', delayed_at => now() + interval ''1 s''', '22023', NULL, NULL),
    ('''{}'', ttl => ''-1 s''', '22023', NULL, NULL), ('''{}'', retries => -1', '22023', NULL, NULL),
    ('''{}'', retries => 32768', '22023', NULL, NULL), ('''{}'', run_limit => ''-1 s''', '22023', NULL, NULL),
    ('''{}'', dedup_key => ''''', '22023', NULL, NULL),
    ('''{}'', dedup_key => repeat(''x'', 1001)', '22023', NULL, NULL),
    ('''{}'', dedup_key => ''k'', dedup_for => ''-1 s''', '22023', NULL, NULL),
    ('''{}'', on_conflict => ''maybe''', '22023', NULL, '%skip%nothing%replace%error%'),
    ('''{}'', dedup_key => ''taken'', on_conflict => ''error''', 'PQ002', NULL, NULL),
    ('''{}'', batch_key => ''''', '22023', NULL, NULL), ('''{}'', depends_on => ''{987654321}''', '42704', NULL, NULL),
    ('''{}'', depends_on => ARRAY[{far}]', '42704', NULL, NULL),
    ('''{}'', depends_on => ''{NULL}''', '22004', NULL, NULL),
    ('''{}'', depends_on => ''{{1},{2}}''', '2202E', NULL, NULL),
    ('''{}'', depends_on_batch => ''''', '22023', NULL, NULL),
    ('''{}'', batch_key => ''b'', depends_on_batch => ''b''', '22023', NULL, NULL),
    ('''{}'', on_failed_dependency => ''maybe''', '22023', NULL, '%cancel%hold%ignore%'),
    ('''{}'', group_key => ''''', '22023', NULL, NULL),
    ('''{}'', group_key => repeat(''x'', 1001)', '22023', NULL, NULL)) v (a, code, says, hints);
INSERT INTO bad (call, state) SELECT format('pgqueue.create_tasks(''q'', %s)', a), code FROM (VALUES
    ('NULL', '22004'), ('ARRAY[''1'', NULL]::jsonb[]', '22004'), ('commands => ARRAY[''SELECT 1'', NULL]', '22004'),
    ('commands => ARRAY['''']', '22023'), ('''{"1","2"}'', commands => ''{SELECT 1}''', '22023'),
    ('''{"1"}'', dedup_keys => ''{a,b}''', '22023'), ('''{"1"}'', group_keys => ''{a,b}''', '22023'),
    ('''{"1"}'', group_keys => ''{""}''', '22023'), ('''{"1"}'', dedup_keys => ''{""}''', '22023'),
    ('''{"1","2"}'', dedup_keys => ''{}''', '22023'), ('''{{"1"},{"2"}}''', '2202E'),
    ('''{"1"}'', type => ''t'', commands => ''{SELECT 1}''', '22023'),
    ('''{"1"}'', delay => ''-1 s''', '22023'), ('''{"1"}'', ttl => ''-1 s''', '22023'),
    ('''{"1"}'', retries => -1', '22023'), ('''{"1"}'', run_limit => ''-1 s''', '22023'),
    ('''{"1"}'', delayed_at => ''2020-01-01''', '22023'), ('''{"1"}'', on_conflict => ''maybe''', '22023'),
    ('''{"1","2"}'', dedup_keys => ''{x,taken}'', on_conflict => ''error''', 'PQ002'),
    ('''{"1"}'', depends_on => ''{987654321}''', '42704'),
    ('''{"1"}'', on_failed_dependency => ''maybe''', '22023')) v (a, code);

-- Ends of an attempt, one and many.
INSERT INTO bad (call, state, says) SELECT format('pgqueue.%s_task(%s)', f, a), code, says
FROM unnest('{release,fail,extend,snooze}'::text[]) f, (VALUES
    ('NULL', '22004', 'argument "id" must not be NULL'), ('987654321, 1', '42704', 'task 987654321 does not exist'),
    ('-1', '42704', NULL), ('{held}, 1', 'PQ001', NULL), ('{held}, 0', 'PQ001', NULL),
    ('{held}, {far_receipt}', 'PQ001', NULL), ('{new}, {receipt}', 'PQ001', NULL), ('{new}', 'PQ001', NULL),
    ('{done}, {receipt}', 'PQ001', NULL), ('{failed}, {receipt}', 'PQ001', NULL)) v (a, code, says);
INSERT INTO bad (call, state, says) SELECT format('pgqueue.%s_tasks(%s)', f, a), code, says
FROM unnest('{release,fail,extend,snooze}'::text[]) f, (VALUES
    ('NULL', '22004', 'argument "ids" must not be NULL'), ('ARRAY[{held}, NULL], ARRAY[{receipt}]', '22004', NULL),
    ('ARRAY[{held}], ARRAY[NULL]::bigint[]', '22004', NULL), ('ARRAY[{held}], ''{}''', '22023', NULL),
    ('ARRAY[{held}, {held2}], ARRAY[{receipt}, {receipt}, {receipt}]', '22023', NULL),
    ('ARRAY[ARRAY[{held}], ARRAY[{held2}]], ARRAY[{receipt}]', '2202E', NULL),
    ('''{987654321}'', ''{1}''', '42704', NULL),
    ('ARRAY[{held}, {new}], ARRAY[{receipt}]', 'PQ001', NULL),
    ('ARRAY[{held}, {held2}], ARRAY[{receipt}, 1]', 'PQ001', NULL),
    ('ARRAY[{held}, 987654321], ARRAY[{receipt}]', '42704', NULL),
    ('ARRAY[{held}, {far}], ARRAY[{receipt}]', 'PQ001', NULL)) v (a, code, says);
INSERT INTO bad (call, state) SELECT format('pgqueue.%s', a), code FROM (VALUES
    ('fail_task({held}, {receipt}, retry_in => ''-1 s'')', '22023'),
    ('fail_tasks(ARRAY[{held}], ARRAY[{receipt}], retry_in => ''-1 s'')', '22023'),
    ('fail_tasks(ARRAY[{held}], ARRAY[{receipt}], ''{a,b}'')', '22023'),
    ('fail_tasks(ARRAY[{held}], ARRAY[{receipt}], results => ''{"1","2"}'')', '22023'),
    ('release_tasks(ARRAY[{held}], ARRAY[{receipt}], ''{"1","2"}'')', '22023'),
    ('release_tasks(ARRAY[{held}], ARRAY[{receipt}], ''{}'')', '22023'),
    ('extend_task({held}, {receipt}, ''-1 s'')', '22023'), ('extend_task({held}, {receipt}, ''0'')', '22023'),
    ('extend_tasks(ARRAY[{held}], ARRAY[{receipt}], ''-1 s'')', '22023'),
    ('extend_tasks(ARRAY[{held}], ARRAY[{receipt}], ''0'')', '22023'),
    ('snooze_task({held}, {receipt}, ''-1 s'')', '22023'),
    ('snooze_tasks(ARRAY[{held}], ARRAY[{receipt}], ''-1 s'')', '22023'),
    ('cancel_task(NULL)', '22004'), ('cancel_task(987654321)', '42704'), ('retry_task(NULL)', '22004'),
    ('retry_task(987654321)', '42704'), ('retry_task({held})', '55000'), ('retry_task({done})', '55000'),
    ('retry_task({failed}, ''-1 s'')', '22023'), ('run_task(NULL)', '22004'), ('run_task(987654321)', '42704'),
    ('run_task({held})', '55000'), ('run_task({done})', '55000'), ('run_task({new})', '0A000'),
    ('get_task(NULL)', '22004'), ('progress(NULL)', '22004'), ('progress(1, 0)', '22023'), ('progress(1, -1)', '22023'),
    ('progress(''NaN'')', '22023'),
    ('priority_value(NULL)', '22004'), ('priority_value(''urgent'')', '22023')) v (a, code);

-- Queues: one setting each.
INSERT INTO bad (call, state, says, hints) SELECT format('pgqueue.%s(''q'', %s => %s)', f, setting, given), code, says,
    hints FROM unnest('{create_queue,update_queue}'::text[]) f, (VALUES
    ('executor', '''me''', '22023', '%executor%', '%outside%server%'), ('ttl', '''-1 s''', '22023', '%ttl%', NULL),
    ('retries', '-1', '22023', '%retries%', NULL), ('retries', '32768', '22023', '%retries%', NULL),
    ('retry_delay', '''-1 s''', '22023', '%retry_delay%', NULL),
    ('backoff', '''none''', '22023', '%backoff%', '%exponential%linear%quadratic%fixed%'),
    ('max_retry_delay', '''-1 s''', '22023', '%max_retry_delay%', NULL),
    ('retry_jitter', '-0.1', '22023', '%retry_jitter%', NULL), ('retry_jitter', '1.1', '22023', '%retry_jitter%', NULL),
    ('retry_jitter', '''NaN''', '22023', '%retry_jitter%', NULL),
    ('lease', '''0''', '22023', '%lease%', NULL), ('lease', '''-1 s''', '22023', '%lease%', NULL),
    ('run_limit', '''-1 s''', '22023', '%run_limit%', NULL), ('max_running', '-1', '22023', '%max_running%', NULL),
    ('max_depth', '-1', '22023', '%max_depth%', NULL), ('rate_limit', '-1', '22023', '%rate_limit%', NULL),
    ('rate_limit', '''NaN''', '22023', '%rate_limit%', NULL),
    ('rate_limit', '''Infinity''', '22023', '%rate_limit%', NULL),
    ('rate_burst', '0', '22023', '%rate_burst%', NULL), ('aging', '''-1 s''', '22023', '%aging%', NULL),
    ('retention', '''-1 s''', '22023', '%retention%', NULL),
    ('on_finish', '''shred''', '22023', '%on_finish%', '%keep%archive%delete%'),
    ('dead_letter', '''nosuch''', '42704', '%nosuch%', NULL),
    ('dead_letter', '''q''', '22023', '%dead-letter%', NULL)) v (setting, given, code, says, hints);
INSERT INTO bad (call, state, says) VALUES ('pgqueue.update_queue(''q'')', '22023', 'no patch values'),
    ('pgqueue.update_queue(''q'', rename_to => ''other'')', '42710', NULL),
    ('pgqueue.update_queue(''q'', rename_to => ''a b'')', '42602', NULL),
    ('pgqueue.delete_queue(''q'')', '55006', NULL),
    ('pgqueue.pause_queue(''other'', until => now() - interval ''1 s'')', '22023', NULL),
    ('pgqueue.clean_queue(''q'', ''-1 s'')', '22023', NULL),
    ('pgqueue.clean_queue(''q'', max_tasks => -1)', '22023', NULL),
    ('pgqueue.redrive(''q'', max_tasks => -1)', '22023', NULL),
    ('pgqueue.redrive(''q'', rate => 0)', '22023', NULL), ('pgqueue.redrive(''q'', rate => -1)', '22023', NULL),
    ('pgqueue.redrive(''q'', rate => ''NaN'')', '22023', NULL),
    ('pgqueue.redrive(''q'', rate => ''Infinity'')', '22023', NULL);

UPDATE bad
SET call =
    replace(
        replace(
            replace(
                replace(
                    replace(replace(replace(replace(replace(call, '{held}', :'held'), '{held2}', :'held2'), '{done}',
                        :'done'), '{receipt}', :'receipt'), '{new}', :'new'),
    '{failed}', :'failed'), '{far}', :'far'), '{far_receipt}', :'far_receipt'), '{command}', :'command');
SELECT mark AS before FROM everything \gset
CREATE TABLE seen AS SELECT b.n, (raised(b.call)).* FROM bad b;
SELECT ok(s.state IS NOT DISTINCT FROM b.state AND (b.says IS NULL OR s.message LIKE b.says)
    AND (b.hints IS NULL OR s.hint LIKE b.hints),
    format('%s: %s', left(b.call, 150), b.state)
        || CASE WHEN s.state IS DISTINCT FROM b.state OR s.message NOT LIKE b.says
            OR b.hints IS NOT NULL THEN format(' (%s: %s; %s)', coalesce(s.state, 'no error'), s.message, s.hint)
                ELSE '' END)
FROM bad b LEFT JOIN seen s USING (n) ORDER BY n;
SELECT is((SELECT mark FROM everything), :'before', 'none of these calls has changed anything');
SELECT is_empty($$SELECT call, message FROM seen JOIN bad USING (n) WHERE message ~ '^[A-Z]|\.$|\n' OR message = ''$$,
    'messages are in the style of the server');
SELECT is_empty(
    $$SELECT DISTINCT call, seen.state, message FROM seen JOIN bad USING (n)
        WHERE hint = '' AND detail = '' AND seen.state NOT IN ('22004')$$, 'each has a detail or a hint');

-- Nothing to do is no error, and does nothing.
SELECT is_empty('SELECT * FROM pgqueue.' || call, call || ': no row')
FROM unnest(ARRAY['create_tasks(''q'', ''{}'')', 'create_tasks(''q'', commands => ''{}'')',
    'next_tasks(''w'', ''{other}'')', 'release_tasks(''{}'')',
    'fail_tasks(''{}'')', 'extend_tasks(''{}'')', 'snooze_tasks(''{}'', ''{}'')', 'get_task(987654321)',
    'get_queue(''nosuch'')', 'clean_queue(''q'', max_tasks => 0)', 'current_task()']) call;
SELECT is((SELECT mark FROM everything), :'before', 'nor has what had nothing to do');
SELECT results_eq(
    format('SELECT id, status FROM pgqueue.release_tasks(ARRAY[%s, 987654321, %s], ARRAY[%s], skip_lost => true)',
        :new, :done, :receipt), format('VALUES (%s::bigint, NULL::text), (987654321, NULL), (%s, NULL)', :new, :done),
        'skip_lost: NULL for each id that is not held');
SELECT is((SELECT mark FROM everything), :'before', 'and nothing is changed');

SELECT * FROM finish();
DROP VIEW everything;
DROP TABLE bad, seen;
DROP FUNCTION raised;
\ir ../lib/clean.sql
