-- Outside workers: retain, release, fail, extend, snooze, singular and plural; dead letters, redrive, clean, purge;
-- what is refused (B01, B04 to B17, B27, B29 to B32, B49, B50, C13 to C24, C44, C46, C47, K12). Every statement
-- commits: a task is ready when its transaction has ended.
\set ECHO none
\set QUIET 1
SELECT no_plan();
SELECT pgqueue.create_queue('a', ttl => '0', retry_delay => '1 h'), pgqueue.create_queue('b', ttl => '0'),
    pgqueue.create_queue('srv', executor => 'server'), pgqueue.create_namespace('other') \g /dev/null
SELECT pgqueue.create_queue('a', namespace => 'other') \g /dev/null
-- A queue with a task in it: waits until the dispatcher serves this new database.
SELECT pgqueue.create_task('a', '{"any": [1, null, "x"]}', type => 'task:send', headers => '{"h": 1}') AS id \gset
CALL pgqueue.wait_for_task('{a}', '30 s') \g /dev/null

-- One task (B01, B11, B50, C13, C15).
SELECT is((SELECT count(*) FROM pgqueue.next_task('w', 'b')), 0::bigint, 'an empty queue gives no row (C13)');
SELECT * FROM pgqueue.next_task('w1', 'a') \gset got_
SELECT is(:got_id, :id, 'next_task gives the task (C13)');
SELECT results_eq($$SELECT $$ || :got_attempt || $$, '$$ || :'got_queue' || $$', '$$ || :'got_namespace' || $$', '$$
    || :'got_type' || $$'$$, $$VALUES (1, 'a', 'default', 'task:send')$$,
        'with attempt, queue, namespace and type (B11)');
SELECT is(:'got_payload'::jsonb, '{"any": [1, null, "x"]}', 'the payload is delivered unchanged (B50)');
SELECT is(:'got_headers'::jsonb, '{"h": 1}', 'and the headers');
SELECT isnt(:got_receipt::bigint, 0::bigint, 'a receipt');
SELECT results_eq(
    format('SELECT status, attempt, worker, receipt, result IS NULL, started_at >= created_at, '
        'lease_until - started_at FROM pgqueue.task WHERE id = %s', :id),
    format($$VALUES ('retained', 1, 'w1', %s::bigint, true, true, interval '20 min')$$, :got_receipt),
    'the row: retained by w1 with the queue''s lease (B11, C15, B30)');
SELECT is((SELECT count(*) FROM pgqueue.next_task('w2', 'a')), 0::bigint, 'nobody else gets it (B17)');

-- Refused receipts change nothing (C19, C20, B49).
SELECT throws_ok(format('SELECT pgqueue.%s', call), 'PQ001', NULL, call || ': another receipt (C20)')
FROM (SELECT format(c, :id)
    FROM unnest(ARRAY['release_task(%s, 1)', 'fail_task(%s, 1)', 'extend_task(%s, 1)', 'snooze_task(%s, 1)',
    'release_tasks(ARRAY[%s], ARRAY[1])', 'fail_tasks(ARRAY[%s], ARRAY[1])', 'extend_tasks(ARRAY[%s], ARRAY[1])',
    'snooze_tasks(ARRAY[%s], ARRAY[1])']) c) x(call);
SELECT throws_ok(format('SELECT pgqueue.release_task(%s, %s, namespace => %L)', :id, :got_receipt, 'other'), '42704',
    NULL, 'release from another namespace (C20)');
SELECT throws_ok(format('SELECT pgqueue.release_task(%s, %s, namespace => %L)', :id, :got_receipt, 'nosuch'), '42704',
    NULL, 'release from an unknown namespace');
SELECT throws_ok('SELECT pgqueue.release_task(987654321, 1)', '42704', 'task 987654321 does not exist',
    'an unknown task (C19)');
SELECT results_eq(format('SELECT status, receipt, attempt FROM pgqueue.task WHERE id = %s', :id),
    format($$VALUES ('retained', %s::bigint, 1)$$, :got_receipt), 'none of that changed the task');
SELECT is(pgqueue.release_task(:id, :got_receipt, '{"ok": 1}', namespace => 'default'), 'released', 'release (B12)');
SELECT results_eq(
    format('SELECT status, result, finished_at >= started_at, lease_until, receipt FROM pgqueue.task WHERE id = %s',
        :id), $$VALUES ('released', '{"ok": 1}'::jsonb, true, NULL::timestamptz, NULL::bigint)$$,
        'the row: released with its result (C16, B12)');
SELECT throws_ok(format('SELECT pgqueue.release_task(%s, %s)', :id, :got_receipt), 'PQ001', NULL,
    'a second release is refused (C19)');
SELECT throws_ok(format('SELECT pgqueue.fail_task(%s, %s)', :id, :got_receipt), 'PQ001', NULL,
    'and so is a failure after it');
SELECT pgqueue.create_task('a', '1') AS id \gset
SELECT throws_ok(format('SELECT pgqueue.release_task(%s, 0)', :id), 'PQ001', NULL,
    'a task that nobody retained cannot be released (C19)');
SELECT pgqueue.cancel_task(:id) \g /dev/null
SELECT throws_ok(format('SELECT pgqueue.release_task(%s, 0)', :id), 'PQ001', NULL,
    'nor one that was cancelled before anybody had it');

-- Receipt not given: this session's own lease.
SELECT pgqueue.create_tasks('a', ARRAY['1', '2', '3', '4', '5', '6']::jsonb[]) \g /dev/null
SELECT id FROM pgqueue.next_task('w', 'a') \gset
SELECT is(pgqueue.extend_task(:id, lease => '1 h') - now() > interval '59 min', true,
    'extend without receipt: the session''s own lease');
SELECT is(pgqueue.release_task(:id), 'released', 'release without receipt: the session''s own lease');
SELECT throws_ok(format('SELECT pgqueue.release_task(%s)', :id), 'PQ001', NULL, 'which is over then');
-- Extend (K12).
SELECT id, receipt FROM pgqueue.next_task('w', 'a', '10 s') \gset
SELECT is((SELECT lease_until - started_at FROM pgqueue.task WHERE id = :id), interval '10 s',
    'a lease of its own (C46)');
SELECT is(pgqueue.extend_task(:id, :receipt, '2 h') BETWEEN clock_timestamp() + interval '119 min'
    AND clock_timestamp() + interval '2 h', true, 'extend: lease from now (K12)');
SELECT is(pgqueue.extend_task(:id, :receipt) BETWEEN clock_timestamp() + interval '19 min'
    AND clock_timestamp() + interval '20 min', true, 'extend without lease: the queue''s');
SELECT lease_until FROM pgqueue.extend_tasks(ARRAY[:id], ARRAY[:receipt], '3 h') \gset
SELECT is((SELECT lease_until FROM pgqueue.task WHERE id = :id), :'lease_until'::timestamptz,
    'extend_tasks returns what the row has');
SELECT throws_ok(format('SELECT pgqueue.extend_task(%s, %s, %L)', :id, :receipt, '-1 s'), '22023', NULL,
    'extend: a negative lease');
SELECT throws_ok(format('SELECT pgqueue.extend_task(%s, %s, %L)', :id, :receipt, '0'), '22023', NULL,
    'extend: a lease of zero');
-- Snooze.
SELECT is(pgqueue.snooze_task(:id, :receipt, '1 h'), 'retry', 'snooze');
SELECT results_eq(format('SELECT status, delayed_at > now() + interval %L, error FROM pgqueue.task WHERE id = %s',
    '59 min', :id), $$VALUES ('retry', true, NULL)$$, 'a snoozed task waits, with no error');
SELECT throws_ok(format('SELECT pgqueue.snooze_task(%s, %s)', :id, :receipt), 'PQ001', NULL, 'it is held no more');
SELECT throws_ok(format('SELECT pgqueue.snooze_task(%s, 1, %L)', :id, '-1 s'), '22023', NULL,
    'snooze: a negative delay');

-- Plural.
SELECT array_agg(id ORDER BY id) AS ids, min(receipt) AS receipt, count(DISTINCT receipt) AS receipts, count(*)
FROM pgqueue.next_tasks('w', '{a}', 10) \gset
SELECT is(:count::int, 4, 'next_tasks: all there are');
SELECT is(:receipts::int, 1, 'one receipt for the call');
SELECT throws_ok(format('SELECT pgqueue.release_tasks(%L, ARRAY[%s,%s,%s])', :'ids', :receipt, :receipt, :receipt),
    '22023', NULL, 'ids and receipts of unequal length');
SELECT throws_ok(format('SELECT pgqueue.release_tasks(%L, ARRAY[%s], ARRAY[NULL]::jsonb[])', :'ids', :receipt), '22023',
    NULL, 'ids and results of unequal length');
SELECT throws_ok(format('SELECT pgqueue.fail_tasks(%L, ARRAY[%s], results => ARRAY[NULL]::jsonb[])', :'ids', :receipt),
    '22023', NULL, 'fail: ids and results of unequal length');
SELECT throws_ok(format('SELECT pgqueue.fail_tasks(%L, ARRAY[%s], ARRAY[%L, %L])', :'ids', :receipt, 'e', 'f'), '22023',
    NULL, 'fail: ids and errors of unequal length');
SELECT throws_ok(format('SELECT pgqueue.%s(%s)', f, a), '22004', NULL, f || '(' || a || ')')
    FROM unnest(ARRAY['release_tasks', 'fail_tasks', 'extend_tasks', 'snooze_tasks']) f,
        unnest(ARRAY['NULL', 'ARRAY[1, NULL]', '''{1}'', ARRAY[NULL]::bigint[]']) a;
SELECT throws_ok(format('SELECT pgqueue.%s(NULL)', f), '22004', 'argument "id" must not be NULL', f || '(NULL)')
FROM unnest(ARRAY['release_task', 'fail_task', 'extend_task', 'snooze_task']) f;
SELECT is_empty(format('SELECT * FROM pgqueue.%s(%L, %L)', f, '{}', '{}'), f || ': empty arrays, nothing is done')
FROM unnest(ARRAY['release_tasks', 'fail_tasks', 'extend_tasks', 'snooze_tasks']) f;
SELECT results_eq(
    format('SELECT id, status FROM pgqueue.release_tasks(%L::bigint[] || 987654321, ARRAY[%s], ARRAY[%L, NULL, %L, '
        'NULL, NULL]::jsonb[], true)', (:'ids'::bigint[])[1:2] || :id::bigint || (:'ids'::bigint[])[3],
        :receipt, '1', '3'),
    format($$VALUES (%s::bigint, 'released'), (%s, 'released'), (%s, NULL), (%s, 'released'), (987654321, NULL)$$,
        (:'ids'::bigint[])[1], (:'ids'::bigint[])[2], :id, (:'ids'::bigint[])[3]),
        'release_tasks with skip_lost: a row for each id in order, NULL for what is lost');
SELECT is((SELECT array_agg(result ORDER BY id) FROM pgqueue.task WHERE id = ANY ((:'ids'::bigint[])[1:3])),
    ARRAY['1', NULL, NULL]::jsonb[], 'each has its result');
SELECT throws_ok(format('SELECT pgqueue.release_tasks(ARRAY[%s, %s], ARRAY[%s])',
    (:'ids'::bigint[])[4], (:'ids'::bigint[])[1], :receipt), 'PQ001', NULL, 'without skip_lost one lost task');
SELECT is((SELECT status FROM pgqueue.task WHERE id = (:'ids'::bigint[])[4]), 'retained', 'leaves all as it was');
SELECT results_eq(format('SELECT status FROM pgqueue.release_tasks(ARRAY[%s, %s], ARRAY[%s], skip_lost => true)',
    (:'ids'::bigint[])[4], (:'ids'::bigint[])[4], :receipt), $$VALUES ('released'), (NULL)$$,
    'an id named twice is released once');

-- Failure (B13, B14, B16, B07, C17, C18, C44).
SELECT pgqueue.create_task('b', '{}', retries => 1) AS id \gset
SELECT receipt FROM pgqueue.next_task('w', 'b') \gset
SELECT is(pgqueue.fail_task(:id, :receipt, 'broken pipe', result => '{"part": 1}'), 'retry',
    'fail with tries left (B13)');
SELECT results_eq(
    format('SELECT status, attempt, error, result, delayed_at - now() BETWEEN interval %L AND interval %L '
        'FROM pgqueue.task WHERE id = %s', '110 s', '241 s', :id),
        $$VALUES ('retry', 1, 'broken pipe', '{"part": 1}'::jsonb, true)$$,
        'retry with the error''s text and a wait (B13, C17, C44)');
SELECT is((SELECT count(*) FROM pgqueue.next_task('w', 'b')), 0::bigint, 'not before its time (B06, B13)');
SELECT pgqueue.retry_task(:id) \g /dev/null
SELECT receipt FROM pgqueue.next_task('w', 'b') \gset
SELECT is(pgqueue.fail_task(:id, :receipt, 'again'), 'failed', 'the last try: failed (B07, B16, C18)');
SELECT results_eq(format('SELECT status, attempt, error, finished_at >= started_at FROM pgqueue.task WHERE id = %s',
    :id), $$VALUES ('failed', 2, 'again', true)$$, 'with error and end (B16)');
SELECT is((SELECT count(*) FROM pgqueue.next_task('w', 'b')), 0::bigint, 'and is taken no more (C18)');
SELECT results_eq(
    format('SELECT attempt, outcome, worker, error FROM pgqueue.task_attempt WHERE task_id = %s ORDER BY attempt', :id),
    $$VALUES (1, 'failed', 'w', 'broken pipe'), (2, 'failed', 'w', 'again')$$, 'the history of its attempts');
SELECT pgqueue.create_tasks('b', ARRAY['1', '2', '3']::jsonb[]) \g /dev/null
SELECT array_agg(id ORDER BY id) AS ids, min(receipt) AS receipt FROM pgqueue.next_tasks('w', '{b}', 3) \gset
SELECT results_eq(format('SELECT status FROM pgqueue.fail_tasks(%L, ARRAY[%s], ARRAY[%L], %L)',
    (:'ids'::bigint[])[1:1], :receipt, 'x', '0'), $$VALUES ('retry')$$, 'fail_tasks with retry_in 0');
SELECT receipt AS receipt2 FROM pgqueue.next_task('w', 'b') \gset
SELECT is((SELECT attempt FROM pgqueue.task WHERE id = (:'ids'::bigint[])[1]), 2, 'is due at once');
SELECT results_eq(
    format('SELECT status FROM pgqueue.fail_tasks(%L, ARRAY[%s, %s, %s], ARRAY[%L, NULL, %L], final => true)',
        :'ids', :receipt2, :receipt, :receipt, 'p', 'q'), $$VALUES ('failed'), ('failed'), ('failed')$$,
        'fail_tasks, final: no retry');
SELECT is((SELECT array_agg(error ORDER BY id) FROM pgqueue.task WHERE id = ANY (:'ids')),
    ARRAY['p', 'the worker failed the task', 'q'], 'each has its error');
SELECT throws_ok(format('SELECT pgqueue.fail_task(%s, 1, retry_in => %L)', :id, '-1 s'), '22023', NULL,
    'fail: a negative retry_in');
-- Snooze is not counted.
SELECT pgqueue.create_task('b', '{}', retries => 0) AS id \gset
SELECT receipt FROM pgqueue.next_task('w', 'b') \gset
SELECT is((SELECT status FROM pgqueue.snooze_tasks(ARRAY[:id], ARRAY[:receipt])), 'retry', 'snooze_tasks');
SELECT receipt FROM pgqueue.next_task('w', 'b') \gset
SELECT is(pgqueue.snooze_task(:id, :receipt), 'retry', 'snoozed again');
SELECT receipt FROM pgqueue.next_task('w', 'b') \gset
SELECT is(pgqueue.fail_task(:id, :receipt), 'failed', 'a snoozed attempt is not one of the tries, a failed one is');

-- Order: priority, then first in first out, over several queues (B04, B05, C13, C14).
SELECT pgqueue.create_task('a', '"low"', priority => pgqueue.priority_value('low')),
    pgqueue.create_task('b', '"default"'), pgqueue.create_task('a', '"default 2"'),
    pgqueue.create_task('b', '"high"', priority => pgqueue.priority_value('high')) \g /dev/null
SELECT is((SELECT array_agg(payload #>> '{}' ORDER BY n)
    FROM pgqueue.next_tasks('w', '{a,b}', 4) WITH ORDINALITY x(id, receipt, attempt, namespace, queue, type, payload,
        headers, priority, group_key, created_at, dies_at, lease_until, n)),
    '{high,default,"default 2",low}', 'best priority first, then oldest, over two queues (B05, C13, C14)');
SELECT pgqueue.create_tasks('a', ARRAY['1', '2', '3']::jsonb[]) \g /dev/null
SELECT is(ARRAY(SELECT payload FROM pgqueue.next_tasks('w', '{}', 2)), ARRAY['1', '2']::jsonb[],
    'empty list: any queue (C13)');
SELECT is(ARRAY(SELECT payload FROM pgqueue.next_task('w')), ARRAY['3']::jsonb[], 'no queue: any queue (C13)');
SELECT pgqueue.create_task('a', '"elsewhere"', namespace => 'other') \g /dev/null
SELECT is((SELECT count(*) FROM pgqueue.next_task('w')), 0::bigint, 'another namespace''s task is not given');
SELECT is((SELECT payload #>> '{}' FROM pgqueue.next_task('w', namespace => 'other')), 'elsewhere',
    'but to those who name it');
SELECT pgqueue.stop_workers() \g /dev/null
SELECT pgqueue.create_task('srv', '{}', type => 't'), pgqueue.create_task('a', command => 'SELECT 1') \g /dev/null
SELECT is((SELECT count(*) FROM pgqueue.next_tasks('w', '{srv,a}', 10)), 0::bigint,
    'neither a command nor a task of a server queue');

SELECT pgqueue.cancel_task(id) FROM pgqueue.task WHERE queue = 'srv' \g /dev/null
SELECT pgqueue.ensure_workers() \g /dev/null

-- What next_task refuses.
SELECT throws_ok('SELECT * FROM pgqueue.' || call, code, NULL, call) FROM (VALUES
    ('next_task(NULL)', '22004'), ('next_task('' '')', '22023'), ('next_task(''w'', ''nosuch'')', '42704'),
    ('next_task(''w'', ''a b'')', '42602'), ('next_task(''w'', namespace => ''nosuch'')', '42704'),
    ('next_task(''w'', ''a'', ''0'')', '22023'), ('next_task(''w'', ''a'', ''-1 s'')', '22023'),
    ('next_task(''w'', ''a'', ''-1 s'', true)', '22023'),
    ('next_tasks(NULL)', '22004'), ('next_tasks(''w'', ''{a,nosuch}'')', '42704'),
    ('next_tasks(''w'', ''{a,NULL}'')', '22004'), ('next_tasks(''w'', ''{a}'', 0)', '22023'),
    ('next_tasks(''w'', ''{a}'', -1)', '22023'), ('next_tasks(''w'', ''{a}'', 10001)', '22023'),
    ('next_tasks(''w'', ''{a}'', 1, ''0'')', '22023')) c(call, code);
SELECT is((SELECT count(*) FROM pgqueue.next_tasks('w', '{a}', 10000)), 0::bigint, 'max_tasks 10000');

-- Cancel while held (C-, PQ004).
SELECT pgqueue.create_task('a', '{}') AS id \gset
SELECT receipt FROM pgqueue.next_task('w', 'a') \gset
SELECT is(pgqueue.cancel_task(:id, 'no longer wanted'), 'cancelled', 'cancel of a task held outside: at once');
SELECT throws_ok(format('SELECT pgqueue.%s(%s, %s)', f, :id, :receipt), 'PQ004', NULL,
    f || ' tells the holder that it was cancelled')
    FROM unnest(ARRAY['extend_task', 'release_task', 'fail_task', 'snooze_task']) f;
SELECT throws_ok(format('SELECT pgqueue.release_task(%s)', :id), 'PQ004', NULL,
    'also when the session leaves the receipt out');
SELECT is_empty(
    format('SELECT * FROM pgqueue.release_tasks(ARRAY[%s], ARRAY[%s], skip_lost => true) WHERE status IS NOT NULL',
        :id, :receipt), 'with skip_lost: NULL');
SELECT results_eq(format('SELECT status, error, error_code FROM pgqueue.task WHERE id = %s', :id),
    $$VALUES ('cancelled', 'no longer wanted', '57014')$$, 'the row says why');

-- A lease never reaches beyond dies_at (C22, C46).
SELECT pgqueue.create_task('a', '{}', ttl => '10 min') AS id \gset
SELECT receipt, lease_until = dies_at AS same FROM pgqueue.next_task('w', 'a') \gset
SELECT is(:'same'::bool, true, 'the lease ends with dies_at at the latest');
SELECT is(pgqueue.extend_task(:id, :receipt, '1 day'), (SELECT dies_at FROM pgqueue.task WHERE id = :id),
    'so does an extended one');
SELECT pgqueue.release_task(:id, :receipt) \g /dev/null
SELECT is((SELECT status FROM pgqueue.task WHERE id = :id), 'released', 'a released task never turns expired (C22)');
-- Bound to the session.
SELECT pgqueue.create_task('a', '{}') AS id \gset
SELECT receipt FROM pgqueue.next_task('w', 'a', session_bound => true) \gset
SELECT results_eq(format('SELECT status, lease_until, pid FROM pgqueue.task WHERE id = %s', :id),
    format($$VALUES ('retained', NULL::timestamptz, %s)$$, pg_backend_pid()), 'session_bound: no other end');
SELECT is(pgqueue.release_task(:id, :receipt), 'released', 'and released as any other');

-- Retain and release in one transaction; roll back; savepoints.
SELECT pgqueue.create_task('a', '{}') AS id \gset
BEGIN;
SELECT receipt FROM pgqueue.next_task('w', 'a') \gset
SELECT is(pgqueue.release_task(:id, :receipt), 'released', 'retain and release in one transaction');
COMMIT;
SELECT is((SELECT status || attempt FROM pgqueue.task WHERE id = :id), 'released1', 'both hold');
SELECT pgqueue.create_tasks('a', ARRAY['1', '2', '3']::jsonb[]) \g /dev/null
BEGIN;
SELECT is(ARRAY(SELECT payload FROM pgqueue.next_tasks('w', '{a}', 3)), ARRAY['1', '2', '3']::jsonb[], 'three tasks');
SELECT is((SELECT count(*) FROM pgqueue.next_task('w', 'a')), 0::bigint, 'no more than those');
ROLLBACK;
BEGIN;
SAVEPOINT s;
SELECT is(ARRAY(SELECT payload || to_jsonb(attempt) FROM pgqueue.next_tasks('w', '{a}', 2)),
    ARRAY['[1, 1]', '[2, 1]']::jsonb[], 'rolled back: ready at once in the old order, the attempt not counted');
ROLLBACK TO s;
SELECT is(ARRAY(SELECT payload || to_jsonb(attempt) FROM pgqueue.next_tasks('w', '{a}', 3)),
    ARRAY['[1, 1]', '[2, 1]', '[3, 1]']::jsonb[], 'ROLLBACK TO: the same');
COMMIT;
SELECT is((SELECT count(*) FROM pgqueue.next_task('w', 'a')), 0::bigint, 'now they are held');
-- A statement that fails after it popped tasks loses none.
SELECT pgqueue.create_tasks('a', ARRAY['4', '5']::jsonb[]) \g /dev/null
SELECT throws_ok('SELECT 1 / (attempt - 1) FROM pgqueue.next_task(''w'', ''a'')', '22012', NULL,
    'an error after the retain');
SELECT is(ARRAY(SELECT payload FROM pgqueue.next_tasks('w', '{a}', 2)), ARRAY['4', '5']::jsonb[],
    'gives the task back (throws_ok is a subtransaction)');
-- Own uncommitted tasks.
BEGIN;
SELECT pgqueue.create_task('a', '{}') \g /dev/null
SELECT is((SELECT count(*) FROM pgqueue.next_task('w', 'a')), 0::bigint, 'own uncommitted tasks are never returned');
ROLLBACK;

-- Limits (C47).
SELECT pgqueue.create_queue('one', max_running => 1, ttl => '0') \g /dev/null
SELECT pgqueue.create_tasks('one', ARRAY['1', '2', '3']::jsonb[]) \g /dev/null
SELECT id, receipt FROM pgqueue.next_tasks('w', '{one}', 3) \gset
SELECT is((SELECT count(*) FROM pgqueue.task WHERE queue = 'one' AND status = 'retained'), 1::bigint,
    'max_running 1: one of three (C47)');
SELECT is((SELECT count(*) FROM pgqueue.next_task('w', 'one')), 0::bigint, 'no second one');
SELECT pgqueue.release_task(:id, :receipt) \g /dev/null
BEGIN;
SELECT is((SELECT count(*) FROM pgqueue.next_tasks('w', '{one}', 3)), 1::bigint, 'the next after the release');
ROLLBACK;
SELECT is((SELECT count(*) FROM pgqueue.next_tasks('w', '{one}', 3)), 1::bigint,
    'a rolled back retain frees its place');
SELECT pgqueue.create_queue('slow', rate_limit => 0.001, rate_burst => 2, ttl => '0') \g /dev/null
SELECT pgqueue.create_tasks('slow', ARRAY['1', '2', '3']::jsonb[]) \g /dev/null
SELECT is((SELECT count(*) FROM pgqueue.next_tasks('w', '{slow}', 3)), 2::bigint,
    'rate_limit: as many as the bucket has');
SELECT pgqueue.create_queue('stale', rate_limit => 0.001, rate_burst => 2) \g /dev/null
SELECT pgqueue.create_tasks('stale', '{1,2,3,4,5}') \g /dev/null
SELECT pgqueue.cancel_task(id) FROM pgqueue.task WHERE queue = 'stale' AND payload <> '5' \g /dev/null
SELECT results_eq($$SELECT payload FROM pgqueue.next_tasks('w', '{stale}', 3)$$, $$VALUES ('5'::jsonb)$$,
    'rate_limit: cancelled tasks before it take no part of it');
SELECT throws_ok(format('SELECT pgqueue.update_queue(%L, %s)', 'slow', c), '22023', NULL, c)
FROM unnest(ARRAY['rate_limit => -1', 'rate_burst => 0', 'max_running => -1', 'lease => ''0''', 'lease => ''-1 s''',
    'rate_limit => ''NaN''', 'rate_limit => ''Infinity''']) c;
SELECT pgqueue.pause_queue('one'), pgqueue.update_queue('one', max_running => 0) \g /dev/null
SELECT is((SELECT count(*) FROM pgqueue.next_tasks('w', '{one}', 3)), 0::bigint, 'nothing from a paused queue');
SELECT pgqueue.resume_queue('one') \g /dev/null
SELECT is((SELECT count(*) FROM pgqueue.next_tasks('w', '{one}', 3)), 1::bigint,
    'resumed, and max_running 0 is no limit');

-- Dead letters and redrive.
SELECT pgqueue.create_queue('dead', ttl => '0'),
    pgqueue.create_queue('work', ttl => '0', retries => 0, dead_letter => 'dead') \g /dev/null
SELECT pgqueue.create_tasks('work', ARRAY['1', '2', '3', '4']::jsonb[], type => 'mail:x') \g /dev/null
SELECT array_agg(id ORDER BY id) AS ids, min(receipt) AS receipt FROM pgqueue.next_tasks('w', '{work}', 4) \gset
SELECT * FROM pgqueue.fail_tasks(:'ids', ARRAY[:receipt], '{"550 no","421 busy","550 never","x"}') \g /dev/null
SELECT is((SELECT string_agg(concat_ws(' ', queue, origin_queue, status, error), ', ' ORDER BY id) FROM pgqueue.task
    WHERE id = ANY (:'ids')),
    'dead work failed 550 no, dead work failed 421 busy, dead work failed 550 never, dead work failed x',
    'failed tasks move to the dead-letter queue with their ids');
SELECT results_eq(
    $$SELECT queue, count FROM pgqueue.queue_status WHERE queue IN ('dead', 'work') AND status = 'failed' ORDER BY 1$$,
    $$VALUES ('dead', 4::bigint), ('work', 0)$$, 'the counts move too');
SELECT is(pgqueue.redrive('dead', type => 'nosuch'), 0::bigint, 'redrive by type: none');
SELECT is(pgqueue.redrive('dead', type => 'mail:', error => '550%', max_tasks => 1), 1::bigint,
    'redrive by type and error, at most one');
SELECT is((SELECT string_agg(concat_ws(' ', queue, origin_queue, status, attempt), ', ' ORDER BY id) FROM pgqueue.task
    WHERE id = (:'ids'::bigint[])[1]), 'work retry 1', 'it is back in its queue');
SELECT receipt FROM pgqueue.next_task('w', 'work') \gset
SELECT is(pgqueue.fail_task((:'ids'::bigint[])[1], :receipt, 'x'), 'failed',
    'with fresh retries (none), so it fails again');
SELECT is(pgqueue.redrive('dead', rate => 0.01), 4::bigint, 'redrive with a rate');
SELECT is((SELECT max(delayed_at) - min(delayed_at) BETWEEN interval '199 s' AND interval '201 s' FROM pgqueue.task
    WHERE queue = 'work' AND delayed_at > now()), true, 'spreads them');
SELECT is((SELECT count(*) FROM pgqueue.next_tasks('w', '{work}', 9)), 1::bigint, 'the first is due at once');
SELECT throws_ok('SELECT pgqueue.redrive(' || c || ')', code, NULL, 'redrive ' || c)
FROM (VALUES ('NULL', '22004'), ('''nosuch''', '42704'), ('''dead'', rate => 0', '22023'),
    ('''dead'', rate => -1', '22023'), ('''dead'', max_tasks => -1', '22023')) x(c, code);

-- clean_queue (C24, B32, B29).
SELECT pgqueue.create_queue('c', ttl => '0', retries => 0) \g /dev/null
SELECT pgqueue.create_tasks('c', ARRAY['1', '2', '3', '4']::jsonb[]) \g /dev/null
SELECT array_agg(id ORDER BY id) AS ids, min(receipt) AS receipt FROM pgqueue.next_tasks('w', '{c}', 3) \gset
SELECT pgqueue.release_task((:'ids'::bigint[])[1], :receipt),
    pgqueue.fail_task((:'ids'::bigint[])[2], :receipt) \g /dev/null
SELECT is_empty($$SELECT * FROM pgqueue.clean_queue('c', older_than => '1 h')$$,
    'clean_queue: nothing is that old (B32)');
SELECT is((SELECT string_agg(status, ' ' ORDER BY id) FROM pgqueue.clean_queue('c', max_tasks => 1)), 'released',
    'at most one');
SELECT is((SELECT string_agg(status, ' ' ORDER BY id) FROM pgqueue.clean_queue('c')), 'failed',
    'removes and returns what is finished (C24)');
SELECT is((SELECT string_agg(status, ' ' ORDER BY id) FROM pgqueue.task WHERE queue = 'c'), 'retained new',
    'and keeps the rest (C24)');
SELECT throws_ok('SELECT pgqueue.clean_queue(' || c || ')', code, NULL, 'clean_queue ' || c)
FROM (VALUES ('NULL', '22004'), ('''nosuch''', '42704'), ('''c'', ''-1 s''', '22023'),
    ('''c'', max_tasks => -1', '22023')) x(c, code);
-- purge_queue.
SELECT is(pgqueue.purge_queue('c'), 1::bigint, 'purge_queue: all but what is retained');
SELECT is((SELECT string_agg(status, ' ') FROM pgqueue.task WHERE queue = 'c'), 'retained', 'which stays');
SELECT results_eq($$SELECT status, count FROM pgqueue.queue_status WHERE queue = 'c' AND count <> 0$$,
    $$VALUES ('retained', 1::bigint)$$, 'the counts say so');
SELECT is(pgqueue.release_task((:'ids'::bigint[])[3], :receipt), 'released', 'and can be released');
SELECT pgqueue.create_tasks('c', ARRAY['8', '9']::jsonb[]) \g /dev/null
SELECT id, receipt FROM pgqueue.next_task('w', 'c') \gset
SELECT is(pgqueue.purge_queue('c', true), 3::bigint, 'force: those too');
SELECT is_empty($$SELECT * FROM pgqueue.task WHERE queue = 'c'$$, 'nothing is left');
SELECT throws_ok(format('SELECT pgqueue.release_task(%s, %s)', :id, :receipt), '42704', NULL,
    'the holder is told that it is gone');
SELECT pgqueue.create_task('c', '10') \g /dev/null
SELECT is((SELECT payload FROM pgqueue.next_task('w', 'c')), '10', 'the queue goes on');
SELECT throws_ok('SELECT pgqueue.purge_queue(' || c || ')', code, NULL, 'purge_queue ' || c)
FROM (VALUES ('NULL', '22004'), ('''nosuch''', '42704')) x(c, code);

-- Rights: work. PQ000 catches the class.
CREATE ROLE outside_worker; CREATE ROLE outside_none; CREATE ROLE outside_user;
GRANT pgqueue_user TO outside_worker, outside_none, outside_user;
SELECT pgqueue.grant_namespace('default', 'work', 'outside_worker'),
    pgqueue.grant_namespace('default', 'use', 'outside_user') \g /dev/null
SELECT pgqueue.create_tasks('b', ARRAY['1', '2']::jsonb[]) \g /dev/null
SET ROLE outside_none;
SELECT throws_ok('SELECT * FROM pgqueue.next_task(''w'', ''b'')', '42501', NULL, 'next_task needs the right work');
SET ROLE outside_user;
SELECT throws_ok('SELECT * FROM pgqueue.next_tasks(''w'')', '42501', NULL, 'use is not enough');
SET ROLE outside_worker;
SELECT id, receipt FROM pgqueue.next_task('w', 'b') \gset
SET ROLE outside_user;
SELECT throws_ok(format('SELECT pgqueue.release_task(%s, %s)', :id, :receipt), '42501', NULL,
    'release needs the right work');
SELECT throws_ok(format('SELECT * FROM pgqueue.release_tasks(ARRAY[%s], ARRAY[%s], skip_lost => true)', :id, :receipt),
    '42501', NULL, 'also with skip_lost');
SET ROLE outside_none;
SELECT throws_ok(format('SELECT pgqueue.release_task(%s, %s)', :id, :receipt), '42704', NULL,
    'who has no right at all does not hear that there is such a task');
SET ROLE outside_worker;
SELECT is(pgqueue.release_task(:id, :receipt), 'released', 'work is enough');
SELECT throws_ok('SELECT pgqueue.' || f, '42501', NULL, f || ' needs manage')
FROM unnest(ARRAY['purge_queue(''b'')', 'clean_queue(''b'')', 'redrive(''b'')']) f;
RESET ROLE;
DO $$BEGIN PERFORM pgqueue.release_task((SELECT min(id) FROM pgqueue.task), 1);
    EXCEPTION WHEN SQLSTATE 'PQ000' THEN CREATE TEMP TABLE caught (); END$$;
SELECT has_table('caught', 'WHEN SQLSTATE ''PQ000'' catches the class');
SELECT throws_ok('DO ''DECLARE f boolean; BEGIN CALL pgqueue.wait_for_task(NULL, ''''0'''', NULL, f); END''', '25001',
    NULL, 'wait_for_task in a function');

-- Nothing was lost: the counts are those of the rows.
SELECT is_empty(
    $$SELECT namespace, queue, status, count FROM pgqueue.queue_status WHERE count <> 0 EXCEPT SELECT namespace, queue,
        status, count(*) FROM pgqueue.task GROUP BY 1, 2, 3$$, 'the counts are those of the rows');
SELECT * FROM finish();
DROP OWNED BY outside_worker, outside_none, outside_user;
DROP ROLE outside_worker, outside_none, outside_user;
\ir ../lib/clean.sql
