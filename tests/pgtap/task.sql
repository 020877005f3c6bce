-- Tasks from SQL: create_task, create_tasks, cancel, retry, run, get (C08 to C12). The transaction is
-- rolled back, so nothing starts by itself.
\set ECHO none
\set QUIET 1
BEGIN;
SELECT no_plan();
SELECT pgqueue.create_queue('emails'), pgqueue.create_queue('forever', ttl => '0'),
    pgqueue.create_queue('strict', priority => 7, retries => 0, ttl => '10 min') \g /dev/null

-- What a new task is (C09).
SELECT pgqueue.create_task(' Emails ', '{"to": "x"}') AS id \gset
SELECT is((SELECT to_jsonb(t) - 'id' - 'created_at' - 'dies_at' FROM pgqueue.task t WHERE id = :id),
    jsonb_build_object('role', current_user) ||
    '{"namespace": "default", "queue": "emails", "status": "new", "type": null, "command": null,
      "payload": {"to": "x"}, "headers": null, "priority": 100, "attempt": 0, "retries": 3, "group_key": null,
      "dedup_key": null, "batch_key": null, "depends_on": null, "delayed_at": null, "started_at": null,
      "finished_at": null, "worker": null, "pid": null, "receipt": null, "lease_until": null, "result": null,
      "error": null, "error_code": null, "error_info": null, "transactional": null, "ticker": null,
      "origin_queue": null}',
    'a fresh task (A09), priority 100 (A10): new, with the settings of its queue (C09)');
SELECT ok((SELECT created_at BETWEEN transaction_timestamp() AND clock_timestamp() FROM pgqueue.task WHERE id = :id),
    'created_at is the server''s clock (K16)');
SELECT results_eq($$SELECT priority, retries FROM pgqueue.task WHERE id = pgqueue.create_task('strict', '{}')$$,
    'SELECT 0, 0 WHERE false', 'a task made by the statement itself is not seen by it');
SELECT pgqueue.create_task('strict', '{}') AS strict_id \gset
SELECT results_eq(format('SELECT priority, retries, dies_at - created_at FROM pgqueue.task WHERE id = %s', :strict_id),
    $$VALUES (7, 0, interval '10 min')$$, 'priority, retries and ttl of the queue are copied (C11)');
SELECT pgqueue.update_queue('strict', priority => 8, ttl => '1 h') \g /dev/null
SELECT results_eq(format('SELECT priority, dies_at - created_at FROM pgqueue.task WHERE id = %s', :strict_id),
    $$VALUES (7, interval '10 min')$$, 'and stay when the queue changes');

-- What is refused (C09).
SELECT throws_ok($$SELECT pgqueue.create_task('nosuch', '{}')$$, '42704',
    'queue "nosuch" does not exist in namespace "default"', 'an unknown queue (C09)');
SELECT throws_ok($$SELECT pgqueue.create_task('emails')$$, '22004', 'missing payload', 'nothing to do (C09)');
SELECT throws_ok($$SELECT pgqueue.create_task('emails', NULL)$$, '22004', 'missing payload', 'payload NULL (A08, C09)');
SELECT throws_ok($$SELECT pgqueue.create_task(NULL, '{}')$$, '22004', 'argument "queue" must not be NULL', 'no queue');
SELECT throws_ok($$SELECT pgqueue.create_task('emails', '{}', namespace => 'nosuch')$$, '42704',
    'namespace "nosuch" does not exist', 'an unknown namespace');
SELECT throws_ok($$SELECT pgqueue.create_task('a b', '{}')$$, '42602', NULL, 'not a name (C07)');
SELECT throws_ok($$SELECT pgqueue.create_task('emails', type => 't', command => 'SELECT 1')$$, '22023', NULL,
    'type and command');
SELECT throws_ok($$SELECT pgqueue.create_task('emails', command => ' ')$$, '22023', NULL, 'an empty command');
SELECT throws_ok($$SELECT pgqueue.create_task('emails', '{}', retries => -1)$$, '22023', NULL, 'negative retries');
SELECT throws_ok($$SELECT pgqueue.create_task('emails', '{}', retries => 32768)$$, '22023', NULL, 'too many retries');
SELECT throws_ok($$SELECT pgqueue.create_task('emails', '{}', delay => '-1 s')$$, '22023', NULL, 'a negative delay');
SELECT throws_ok($$SELECT pgqueue.create_task('emails', '{}', ttl => '-1 s')$$, '22023', NULL, 'a negative ttl');
SELECT throws_ok($$SELECT pgqueue.create_task('emails', '{}', run_limit => '-1 s')$$, '22023', NULL,
    'a negative run_limit');
SELECT throws_ok($$SELECT pgqueue.create_task('emails', '{}', on_conflict => 'maybe')$$, '22023', NULL,
    'an unknown on_conflict');
SELECT throws_ok($$SELECT pgqueue.create_task('emails', '{}', on_failed_dependency => 'maybe')$$, '22023', NULL,
    'an unknown on_failed_dependency');

-- Due and dead (C10, C11, C12).
SELECT throws_ok($$SELECT pgqueue.create_task('emails', '{}', delayed_at => transaction_timestamp() - interval '1 s')$$,
    '22023', 'delayed_at is in the past', 'delayed_at in the past (C10)');
SELECT throws_ok($$SELECT pgqueue.create_task('emails', '{}', delayed_at => now() + interval '1 h', delay => '1 h')$$,
    '22023', NULL, 'delay and delayed_at');
SELECT pgqueue.create_task('emails', '{}', delay => '1 h', ttl => '1 h') AS id \gset
SELECT results_eq(format('SELECT delayed_at - created_at, dies_at - created_at FROM pgqueue.task WHERE id = %s', :id),
    $$VALUES (interval '1 h', interval '2 h')$$, 'ttl counts from the due time (C11)');
SELECT pgqueue.create_task('emails', '{}', delayed_at => '2100-01-01 00:00+00') AS id \gset
SELECT results_eq(format('SELECT delayed_at, dies_at FROM pgqueue.task WHERE id = %s', :id),
    $$VALUES ('2100-01-01 00:00+00'::timestamptz, '2100-01-01 01:00+00'::timestamptz)$$,
    'delayed_at, and dies_at after it (C10, C11)');
SELECT pgqueue.create_task('forever', '{}') AS id \gset
SELECT results_eq(format('SELECT dies_at FROM pgqueue.task WHERE id = %s', :id), 'VALUES (NULL::timestamptz)',
    'a queue without ttl: no end (C12)');
SELECT pgqueue.create_task('emails', '{}', ttl => '0') AS id \gset
SELECT results_eq(format('SELECT dies_at FROM pgqueue.task WHERE id = %s', :id), 'VALUES (NULL::timestamptz)',
    'ttl 0: no end');

-- Many at once.
CREATE TEMP TABLE made AS SELECT m.id, m.n
    FROM pgqueue.create_tasks('emails', ARRAY['10', '20', '30']::jsonb[], priority => 3) WITH ORDINALITY m (id, n);
SELECT results_eq('SELECT m.n, t.payload, t.priority FROM made m JOIN pgqueue.task t USING (id) ORDER BY m.n',
    $$VALUES (1::bigint, '10'::jsonb, 3), (2, '20', 3), (3, '30', 3)$$, 'ids in the order of the array');
SELECT is_empty($$SELECT pgqueue.create_tasks('emails', '{}'::jsonb[])$$, 'an empty array: nothing');
SELECT throws_ok($$SELECT pgqueue.create_tasks('emails', ARRAY['1', NULL]::jsonb[])$$, '22004', NULL, 'a NULL element');
SELECT throws_ok($$SELECT pgqueue.create_tasks('emails', ARRAY['1', '2']::jsonb[], commands => ARRAY['SELECT 1'])$$,
    '22023', NULL, 'unequal lengths');
SELECT throws_ok($$SELECT pgqueue.create_tasks('emails')$$, '22004', NULL, 'nothing to do');

-- run_task: here and now.
SELECT pgqueue.create_task('emails', command => 'SELECT 40 + 2 AS answer') AS id \gset
SELECT is(pgqueue.run_task(:id), 'released', 'run_task');
SELECT results_eq(format('SELECT status, result, transactional, attempt FROM pgqueue.task WHERE id = %s', :id),
    $$VALUES ('released', '{"tag": "SELECT 1", "rows": 1, "first": {"answer": 42}}'::jsonb, true, 1)$$, 'its result');
SELECT pgqueue.create_task('emails', command => 'SELECT 1 / 0', delay => '1 h') AS id \gset
SELECT is(pgqueue.run_task(:id), 'retry', 'a failure does not abort the caller; it ran although it is not due');
SELECT results_eq(format('SELECT error, error_code FROM pgqueue.task WHERE id = %s', :id),
    $$VALUES ('division by zero', '22012')$$, 'its error');
SELECT pgqueue.create_task('strict', command => 'SELECT 1 / 0') AS id \gset
SELECT is(pgqueue.run_task(:id), 'failed', 'without retries it has failed');
SELECT pgqueue.create_task('emails', command => 'VACUUM') AS vacuum_id \gset
SELECT throws_ok(format('SELECT pgqueue.run_task(%s)', :vacuum_id), '25001', NULL,
    'a command that cannot run in a transaction block');
SELECT is(pgqueue.run_task(pgqueue.create_task('strict',
        command => format('DO $$BEGIN RAISE EXCEPTION ''x'' USING errcode = %L; END$$', code))), 'failed',
    'a command that raises ' || code || ' itself has failed')
FROM unnest(ARRAY['25001', '57014']) code;
SELECT throws_ok('SELECT pgqueue.run_task(-1)', '42704', NULL, 'an unknown task');
SELECT throws_ok('SELECT pgqueue.run_task(NULL)', '22004', NULL, 'no id');
SELECT pgqueue.create_task('emails', command => 'SELECT id, attempt FROM pgqueue.current_task()') AS id \gset
SELECT is(pgqueue.run_task(:id), 'released', 'a task that asks who it is');
SELECT results_eq(format('SELECT (result #>> ''{first,id}'')::bigint = %1$s FROM pgqueue.task WHERE id = %1$s', :id),
    'VALUES (true)', 'current_task tells');

-- cancel_task, retry_task.
SELECT pgqueue.create_task('emails', '{}') AS id \gset
SELECT is(pgqueue.cancel_task(:id, 'changed my mind'), 'cancelled', 'cancel_task');
SELECT results_eq(format('SELECT status, error, finished_at IS NOT NULL FROM pgqueue.task WHERE id = %s', :id),
    $$VALUES ('cancelled', 'changed my mind', true)$$, 'with its reason');
SELECT is(pgqueue.cancel_task(:id), 'cancelled', 'again: no change, the status is returned');
SELECT ok(pgqueue.retry_task(:id) IN ('new', 'retry'), 'retry_task of a cancelled one');
SELECT ok((SELECT status IN ('new', 'retry') AND finished_at IS NULL AND dies_at > clock_timestamp() FROM pgqueue.task
    WHERE id = :id), 'it waits again, with a fresh ttl');
SELECT throws_ok('SELECT pgqueue.cancel_task(-1)', '42704', NULL, 'cancel: an unknown task');
SELECT throws_ok('SELECT pgqueue.cancel_task(NULL)', '22004', NULL, 'cancel: no id');
SELECT throws_ok(format('SELECT pgqueue.cancel_task(%s, namespace => %L)', :id, 'pgqueue'), '42704', NULL,
    'cancel: a task of another namespace');
SELECT throws_ok('SELECT pgqueue.retry_task(-1)', '42704', NULL, 'retry: an unknown task');
SELECT pgqueue.create_task('emails', command => 'SELECT 1') AS id \gset
SELECT pgqueue.run_task(:id) \g /dev/null
SELECT throws_ok(format('SELECT pgqueue.retry_task(%s)', :id), '55000', NULL, 'retry: a released task');
SELECT throws_ok(format('SELECT pgqueue.retry_task(%s, delay => %L)', :vacuum_id, '-1 s'), '22023', NULL,
    'retry: a negative delay');

-- UPDATE and DELETE of what waits.
SELECT pgqueue.create_task('emails', '{"v": 1}', headers => '{"h": 1}') AS id \gset
UPDATE pgqueue.task SET priority = 1, delayed_at = '2100-01-01 00:00+00', dies_at = NULL, retries = 9,
payload = '{"v": 2}', headers = NULL, queue = 'forever' WHERE id = :id;
SELECT results_eq(format('SELECT priority, delayed_at, dies_at, retries, payload, headers, queue FROM pgqueue.task '
    'WHERE id = %s', :id),
    $$VALUES (1, '2100-01-01 00:00+00'::timestamptz, NULL::timestamptz, 9, '{"v": 2}'::jsonb, NULL::jsonb, 'forever')$$,
    'UPDATE of all that may change');
SELECT results_eq($$SELECT count FROM pgqueue.queue_status WHERE queue = 'forever' AND status = 'new'$$,
    'VALUES (2::bigint)', 'and it counts where it is (C40)');
DELETE FROM pgqueue.task WHERE id = :id;
SELECT results_eq($$SELECT count FROM pgqueue.queue_status WHERE queue = 'forever' AND status = 'new'$$,
    'VALUES (1::bigint)', 'DELETE');
SELECT throws_ok($$UPDATE pgqueue.task SET queue = 'nosuch' WHERE queue = 'forever'$$, '42704', NULL,
    'to an unknown queue');
SELECT throws_ok($$UPDATE pgqueue.task SET retries = -1 WHERE queue = 'forever'$$, '22023', NULL,
    'retries out of range');

-- The ids of create_tasks are taken in one step: between those of others, in the steps of
-- the sequence, and not beyond its end.
SELECT pgqueue.create_task('forever', '1') AS before \gset
SELECT array_agg(id) AS ids FROM pgqueue.create_tasks('forever', array_fill('1'::jsonb, ARRAY[300])) AS id \gset
SELECT pgqueue.create_task('forever', '1') AS after \gset
SELECT is(:'ids'::bigint[], (SELECT array_agg(i::bigint) FROM generate_series(:before + 1, :before + 300) AS i),
    'create_tasks: one id after the other');
SELECT is(:after::bigint, :before::bigint + 301, 'create_task: goes on behind them');
ALTER SEQUENCE pgqueue_internal.task_id INCREMENT 10;
SELECT is((SELECT array_agg(id) FROM pgqueue.create_tasks('forever', '{1,2,3}') AS id),
    ARRAY[:after + 10, :after + 20, :after + 30]::bigint[], 'create_tasks: ids in the steps of the sequence');
SELECT format('ALTER SEQUENCE pgqueue_internal.task_id MAXVALUE %s', :after + 50) \gexec
SELECT throws_ok($$SELECT pgqueue.create_tasks('forever', '{1,2,3}')$$, '2200H', NULL,
    'create_tasks: the sequence ends');
ALTER SEQUENCE pgqueue_internal.task_id INCREMENT 1 MAXVALUE 9223372036854775807;

-- Waiting is for those outside a transaction.
SELECT throws_ok(
    format($$DO 'DECLARE s text; r jsonb; e text; BEGIN CALL pgqueue.wait_for_result(%s, ''0'', NULL, s, r, e); END'$$,
        :id), '25001', NULL, 'wait_for_result in a transaction block that has written');

SELECT * FROM finish();
ROLLBACK;
