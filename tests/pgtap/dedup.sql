-- Dedup keys (B08, B09, B10, B34). Committed step by step in one session; the queues have no workers.
\set ECHO none
\set QUIET 1
SELECT no_plan();
SELECT pgqueue.create_queue('mail'), pgqueue.create_queue('other'),
    pgqueue.create_queue('archived', on_finish => 'archive', retention => '1 us'),
    pgqueue.create_queue('short', retries => 0) \g /dev/null

-- B08, B09.
SELECT pgqueue.create_task('mail', '{"n": 1}', dedup_key => 'email:user:123') AS id \gset
SELECT is(pgqueue.create_task('mail', '{"n": 2}', dedup_key => 'email:user:123'), :id::bigint,
    'B08: the second task with the key is the first one');
SELECT is((SELECT count(*) FROM pgqueue.task WHERE dedup_key = 'email:user:123'), 1::bigint, 'B08: there is one task');
SELECT is(pgqueue.create_task('mail', '{"n": 3}', dedup_key => 'email:user:123', on_conflict => 'nothing'), NULL,
    'B08: on_conflict nothing tells by NULL');
SELECT isnt(pgqueue.create_task('mail', '{}', dedup_key => 'email:user:124'), :id::bigint,
    'another key is another task');
SELECT isnt(pgqueue.create_task('other', '{}', dedup_key => 'email:user:123'), :id::bigint,
    'a key is one of its queue');
SELECT isnt(pgqueue.create_task('mail', '{}'), pgqueue.create_task('mail', '{}'),
    'B09: without key nothing is a duplicate');
SELECT throws_ok($$SELECT pgqueue.create_task('mail', '{}', dedup_key => 'email:user:123', on_conflict => 'error')$$,
    'PQ002',
    'a task with dedup key "email:user:123" exists already', 'on_conflict error');
SELECT pgqueue.create_task('mail', '{}', dedup_key => 'd') AS dup \gset
CREATE FUNCTION detail_of(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE d text;
BEGIN
    EXECUTE command;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS d = PG_EXCEPTION_DETAIL;
    RETURN d;
END $$;
SELECT is(detail_of($$SELECT pgqueue.create_task('mail', '{}', dedup_key => 'd', on_conflict => 'error')$$),
    format('Task %s has it.', :dup), 'and its detail has the id');
SELECT is((SELECT payload FROM pgqueue.task WHERE id = :id), '{"n": 1}', 'the first task is as it was');

-- Bad input.
SELECT throws_ok($$SELECT pgqueue.create_task('mail', '{}', dedup_key => '')$$, '22023', NULL, 'an empty key');
SELECT throws_ok($$SELECT pgqueue.create_task('mail', '{}', dedup_key => repeat('x', 1001))$$, '22023', NULL,
    'a long key');
SELECT throws_ok($$SELECT pgqueue.create_task('mail', '{}', dedup_key => 'x', dedup_for => '-1 s')$$, '22023', NULL,
    'a negative time');
SELECT throws_ok($$SELECT pgqueue.create_tasks('mail', '{"{}","{}"}', dedup_keys => '{a}')$$, '22023', NULL,
    'unequal lengths');

-- Replace.
SELECT is(pgqueue.create_task('mail', '{"n": 4}', type => 'mail:send', priority => 5, headers => '{"h": 1}',
    delay => '1 h', ttl => '2 h', dedup_key => 'email:user:123', on_conflict => 'replace'),
    :id::bigint, 'replace returns the id');
SELECT results_eq(
    format('SELECT payload, headers, type, priority, status, dies_at - delayed_at, delayed_at > clock_timestamp() '
        'FROM pgqueue.task WHERE id = %s', :id),
    $$VALUES ('{"n": 4}'::jsonb, '{"h": 1}'::jsonb, 'mail:send', 5, 'new', interval '2 h', true)$$,
    'and has written what was given');
SELECT pgqueue.create_task('mail', '{"n": 5}', dedup_key => 'email:user:123', on_conflict => 'replace') \g /dev/null
SELECT results_eq(format('SELECT payload, headers, type, priority, delayed_at FROM pgqueue.task WHERE id = %s', :id),
    $$VALUES ('{"n": 5}'::jsonb, NULL::jsonb, NULL, 100, NULL::timestamptz)$$, 'what is not given is as in a new task');
SELECT throws_ok(
    $$SELECT pgqueue.create_task('mail', command => 'SELECT 1', dedup_key => 'email:user:123',
        on_conflict => 'replace')$$, '22023', NULL, 'a payload does not become a command');
-- The session waits until its tasks are there for it.
SELECT pgqueue.create_queue('held') \g /dev/null
SELECT pgqueue.create_task('held', '{"n": 1}', dedup_key => 'k') AS held \gset
CREATE PROCEDURE take(queue text) LANGUAGE plpgsql AS $$
DECLARE
    until timestamptz := clock_timestamp() + interval '60 s';
    got bigint;
BEGIN
    LOOP
        SELECT id INTO got FROM pgqueue.next_task('w', take.queue);
        COMMIT;
        EXIT WHEN got IS NOT NULL;
        IF clock_timestamp() > until THEN RAISE 'no task came'; END IF;
        PERFORM pg_sleep(0.01);
    END LOOP;
END $$;
CALL take('held');
SELECT is((SELECT status FROM pgqueue.task WHERE id = :held), 'retained', 'a task is retained');
SELECT is(pgqueue.create_task('held', '{}', dedup_key => 'k'), :held::bigint, 'a retained task has its key');
SELECT throws_ok($$SELECT pgqueue.create_task('held', '{}', dedup_key => 'k', on_conflict => 'replace')$$, 'PQ002',
    NULL, 'and is not replaced');

-- B10: finished, the key is free; with dedup_for it is kept.
SELECT is(pgqueue.release_task(:held), 'released', 'it is released');
SELECT pgqueue.create_task('held', '{}', dedup_key => 'k') AS second \gset
SELECT cmp_ok(:second::bigint, '>', :held::bigint, 'B10: then the key is free');
SELECT is((SELECT count(*) FROM pgqueue.task WHERE queue = 'held' AND dedup_key = 'k'), 2::bigint,
    'B10: both tasks are there');
SELECT is(pgqueue.create_task('held', '{}', dedup_key => 'k'), :second::bigint, 'the second task has the key now');
SELECT pgqueue.create_task('other', '{}', dedup_key => 'once', dedup_for => '1 h') AS once \gset
SELECT is(pgqueue.cancel_task(:once), 'cancelled', 'a task with dedup_for ends');
SELECT is(pgqueue.create_task('other', '{}', dedup_key => 'once'), :once::bigint, 'its key is kept for the time');
SELECT throws_ok($$SELECT pgqueue.create_task('other', '{}', dedup_key => 'once', on_conflict => 'replace')$$, 'PQ002',
    NULL, 'what is finished cannot be replaced');
UPDATE pgqueue_internal.dedup SET until = clock_timestamp() - interval '1 s' WHERE key = 'once';
SELECT isnt(pgqueue.create_task('other', '{}', dedup_key => 'once'), :once::bigint, 'and free after it');
SELECT is((SELECT count(*) FROM pgqueue_internal.dedup WHERE key = 'once'), 1::bigint,
    'the row of the key was taken over');

-- A task that is retried needs its key back.
SELECT pgqueue.create_task('other', '{}', dedup_key => 'again') AS first \gset
SELECT is(pgqueue.cancel_task(:first), 'cancelled', 'cancelled');
SELECT is(pgqueue.retry_task(:first), 'new', 'retried, it has its key again');
SELECT is(pgqueue.create_task('other', '{}', dedup_key => 'again'), :first::bigint, 'as others are told');
SELECT is(pgqueue.cancel_task(:first), 'cancelled', 'cancelled again');
SELECT pgqueue.create_task('other', '{}', dedup_key => 'again') AS next \gset
SELECT throws_ok(format('SELECT pgqueue.retry_task(%s)', :first), 'PQ002', NULL,
    'but not while another task has the key');
SELECT is(pgqueue.cancel_task(:next), 'cancelled', 'that one ends');
SELECT is(pgqueue.retry_task(:first), 'new', 'then it can be retried');
SELECT is(pgqueue.create_task('other', '{}', dedup_key => 'again'), :first::bigint, 'and has the key');

-- Bulk.
SELECT array_agg(id) AS ids
FROM pgqueue.create_tasks('short', '{"{\"n\": 1}","{\"n\": 2}","{\"n\": 3}"}', dedup_keys => '{a,b,a}') id \gset
SELECT is(:'ids'::bigint[], (SELECT ARRAY[min(id), max(id), min(id)] FROM pgqueue.task WHERE queue = 'short'),
    'a duplicate inside the array is the first of its key');
SELECT is((SELECT count(*) FROM pgqueue.task WHERE queue = 'short'), 2::bigint, 'two tasks for three elements');
SELECT is((SELECT array_agg(id IS NULL)
    FROM pgqueue.create_tasks('short', '{"{}","{}","{}"}', dedup_keys => '{b,c,c}', on_conflict => 'nothing') id),
    '{t,f,t}', 'nothing: NULL at the places of duplicates');
SELECT is((SELECT count(DISTINCT id)
    FROM pgqueue.create_tasks('short', '{"{\"n\": 7}","{\"n\": 8}","{\"n\": 9}"}', dedup_keys => '{e,a,e}',
        on_conflict => 'replace') id), 2::bigint, 'replace in bulk');
SELECT results_eq(
    $$SELECT dedup_key, payload->>'n' FROM pgqueue.task WHERE queue = 'short' AND dedup_key IN ('a', 'e') ORDER BY 1$$,
    $$VALUES ('a', '8'), ('e', '9')$$, 'the last one is what stays');
SELECT throws_ok($$SELECT pgqueue.create_tasks('short', '{"{}","{}"}', dedup_keys => '{x,x}', on_conflict => 'error')$$,
    'PQ002', NULL, 'error inside the array');
SELECT is((SELECT count(*) FROM pgqueue.task WHERE dedup_key = 'x'), 0::bigint, 'with nothing changed');

-- Savepoints.
BEGIN;
SAVEPOINT s;
SELECT pgqueue.create_task('mail', '{}', dedup_key => 'sp') AS rolled_back \gset
ROLLBACK TO s;
SELECT pgqueue.create_task('mail', '{}', dedup_key => 'sp') AS kept \gset
COMMIT;
SELECT isnt(:rolled_back::bigint, :kept::bigint, 'a rolled back task has no key');
SELECT is(pgqueue.create_task('mail', '{}', dedup_key => 'sp'), :kept::bigint, 'the other one has');

-- B34: two finished tasks with one key in the archive.
SELECT pgqueue.cancel_task(pgqueue.create_task('archived', '{}', dedup_key => 'z')) \g /dev/null
SELECT pgqueue.cancel_task(pgqueue.create_task('archived', '{}', dedup_key => 'z')) \g /dev/null
SELECT is((SELECT count(*) FROM pgqueue.task WHERE queue = 'archived'), 2::bigint,
    'B34: two cancelled tasks with one key');
SELECT pgqueue_internal.clean(1, clock_timestamp() + interval '1 h') \g /dev/null
SELECT is((SELECT count(*) FROM pgqueue.task_archive WHERE queue = 'archived' AND dedup_key = 'z'), 2::bigint,
    'B34: both are in the archive');
SELECT is((SELECT count(*) FROM pgqueue_internal.dedup WHERE key = 'z'), 0::bigint,
    'the row of the key went with a cleaning pass');
SELECT ok(pgqueue.create_task('archived', '{}', dedup_key => 'z') > 0, 'B10: archived, the key is free');

-- Redrive: a task whose key another one has stays, the rest goes. Fault L7.
SELECT pgqueue.create_queue('grave', ttl => '0'),
    pgqueue.create_queue('redriven', ttl => '0', retries => 0, dead_letter => 'grave') \g /dev/null
SELECT pgqueue.create_tasks('redriven', '{1,2,3}', dedup_keys => '{a,b,c}') \g /dev/null
SELECT pgqueue.fail_task(id, receipt) FROM pgqueue.next_tasks('w', '{redriven}', 3) \g /dev/null
SELECT pgqueue.create_task('redriven', '4', dedup_key => 'a', delay => '1 day') AS four \gset
SET client_min_messages = warning;
SELECT is(pgqueue.redrive('grave', max_tasks => 1), 1::bigint, 'L7: redrive goes past a task whose key is taken');
SELECT is(pgqueue.redrive('grave'), 1::bigint, 'L7: and sends the rest');
SELECT results_eq(
    $$SELECT queue, payload::text, status FROM pgqueue.task WHERE queue IN ('grave', 'redriven') ORDER BY id$$,
    $$VALUES ('grave', '1', 'failed'), ('redriven', '2', 'retry'), ('redriven', '3', 'retry'),
        ('redriven', '4', 'new')$$, 'L7: the one that stays is as it was');
SELECT pgqueue.cancel_task(:four) \g /dev/null
SELECT is(pgqueue.redrive('grave'), 1::bigint, 'L7: it goes when the key is free');
-- Two failed ones with the same key.
SELECT pgqueue.purge_queue('redriven'), pgqueue.create_task('redriven', '5', dedup_key => 'd') \g /dev/null
SELECT pgqueue.fail_task(id, receipt) FROM pgqueue.next_task('w', 'redriven') \g /dev/null
SELECT pgqueue.create_task('redriven', '6', dedup_key => 'd') \g /dev/null
SELECT pgqueue.fail_task(id, receipt) FROM pgqueue.next_task('w', 'redriven') \g /dev/null
SELECT is(pgqueue.redrive('grave'), 1::bigint, 'L7: of two with one key the first goes');
SELECT results_eq(
    $$SELECT queue, payload::text FROM pgqueue.task WHERE dedup_key = 'd' AND queue IN ('grave', 'redriven')
        ORDER BY id$$, $$VALUES ('redriven', '5'), ('grave', '6')$$, 'L7: and the other one stays');
RESET client_min_messages;
SELECT pgqueue.create_queue('ungraved', ttl => '0', retries => 0),
    pgqueue.create_task('ungraved', '7', dedup_key => 'e') \g /dev/null
SELECT pgqueue.fail_task(id, receipt) FROM pgqueue.next_task('w', 'ungraved') \g /dev/null
SELECT pgqueue.create_task('ungraved', '8', dedup_key => 'e') \g /dev/null
SELECT throws_ok($$SELECT pgqueue.retry_task(id) FROM pgqueue.task WHERE queue = 'ungraved' AND status = 'failed'$$,
    'PQ002', NULL,
    'L7: retry_task of a task whose key is taken raises');

-- Dead queues.
SELECT pgqueue.create_task('held', '{}', dedup_key => 'dead') \g /dev/null
SELECT pgqueue.delete_queue('held') \g /dev/null
SELECT pgqueue_internal.clean(1000000000, clock_timestamp()) \g /dev/null
SELECT is((SELECT count(*) FROM pgqueue_internal.dedup WHERE key = 'dead'), 0::bigint,
    'rows of a deleted queue go with a cleaning pass');
SELECT is((SELECT count(*) FROM pgqueue_internal.dedup WHERE key = 'sp'), 1::bigint, 'those of waiting tasks stay');

-- Rights: another role's task is a duplicate, but is not replaced. The caller's search_path does not matter.
CREATE ROLE dedup_app;
GRANT pgqueue_user TO dedup_app;
SELECT pgqueue.grant_namespace('default', 'use', 'dedup_app') \g /dev/null
CREATE SCHEMA evil;
CREATE FUNCTION evil.equal(text, text) RETURNS boolean
    LANGUAGE plpgsql AS $$BEGIN RAISE 'hijacked by %', current_user; END$$;
CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.equal);
GRANT USAGE ON SCHEMA evil TO dedup_app;
SET ROLE dedup_app;
SET search_path = evil, pg_catalog;
SELECT pgqueue.create_task('mail', '{}', dedup_key => 'sp') AS theirs \gset
RESET search_path;
SET ROLE dedup_app;
RESET ROLE;
SELECT is(:theirs::bigint, :kept::bigint,
    'a role may meet another role''s key, with its own operators on its search_path');
SET ROLE dedup_app;
DO $$ BEGIN PERFORM pgqueue.create_task('mail', '{}', dedup_key => 'sp', on_conflict => 'replace'); RAISE 'not refused';
EXCEPTION WHEN insufficient_privilege THEN PERFORM set_config('test.refused', 'yes', false); END $$;
RESET ROLE;
SELECT is(current_setting('test.refused', true), 'yes', 'but not replace its task');
SELECT * FROM finish();
DROP OWNED BY dedup_app;
DROP ROLE dedup_app;
DROP FUNCTION detail_of;
DROP PROCEDURE take;
DROP SCHEMA evil CASCADE;
\ir ../lib/clean.sql
