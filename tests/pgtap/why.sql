-- why(id): each reason with its cause, alone and together; how many tasks run before it; who may ask. Reasons that need
-- other processes or another server: TAP test 043. Every statement commits.
\set ECHO none
\set QUIET 1
SELECT no_plan();
SELECT pgqueue.create_queue('a', ttl => '0'), pgqueue.create_queue('s', executor => 'server', ttl => '0'),
    pgqueue.create_namespace('w'), pgqueue.create_queue('q', ttl => '0', namespace => 'w') \g /dev/null
CREATE FUNCTION pg_temp.words(task bigint) RETURNS text
    LANGUAGE sql AS $$SELECT string_agg(reason, ' ') FROM pgqueue.why(task)$$;
-- What was created before the dispatcher served this new database may stand twice in its list:
-- taken out before anything is counted.
SELECT pgqueue.create_task('a', '0') AS id \gset
DO $$BEGIN FOR i IN 1..1500 LOOP EXIT WHEN NOT EXISTS (SELECT FROM pgqueue.task t, pgqueue.why(t.id) w
    WHERE w.reason = 'not_loaded'); COMMIT; PERFORM pg_sleep(0.02); END LOOP; END$$;
SELECT id, receipt FROM pgqueue.next_task('w1', 'a') \gset
SELECT pgqueue.release_task(:id, :receipt) \g /dev/null
SELECT is((SELECT count(*) FROM pgqueue.next_tasks('w1', '{a}', 10)), 0::bigint, 'nothing is left');
SELECT pgqueue.create_task('a', '1') AS id \gset

-- Ready, and who would take it.
SELECT results_eq(format('SELECT * FROM pgqueue.why(%s)', :id),
    format(
        $$VALUES (%s::bigint, 'new', 'no_outside_worker',
            'No outside worker waits for queue "a" or holds a task of it.',
    'SELECT * FROM pgqueue.next_task(''worker'', ''a'', namespace => ''default'');', NULL::timestamptz, 0::bigint)$$,
    :id), 'nobody takes it');
SELECT pgqueue.create_task('a', '2') AS second \gset
SELECT pgqueue.create_task('a', '3') AS third \gset
SELECT pgqueue.create_task('a', '4', priority => 1000) AS last \gset
SELECT id AS first, receipt FROM pgqueue.next_task('w1', 'a') \gset
SELECT is(:first::bigint, :id::bigint, 'the first one is taken');
SELECT results_eq(format('SELECT status, reason, message, hint, ready_at, ahead FROM pgqueue.why(%s)', t),
    format($$VALUES ('new', 'ready', %L, NULL, NULL::timestamptz, %s::bigint)$$, message, ahead), 'ready, ' || ahead
        || ' before it')
FROM (VALUES (:second::bigint, 'It may start now.', 0), (:third, 'It may start; one task runs before it.', 1),
    (:last, 'It may start; 2 tasks run before it.', 2)) v (t, message, ahead);
SELECT pgqueue.create_task('a', '0', priority => 1) \g /dev/null
SELECT is((SELECT ahead FROM pgqueue.why(:last)), 3::bigint, 'a better priority comes before it');
SELECT is((SELECT ahead FROM pgqueue.why(:second)), 1::bigint, 'before all of them');

-- Running, finished.
SELECT results_eq(format('SELECT status, reason, hint, ready_at, ahead FROM pgqueue.why(%s)', :first),
    format(
        $$VALUES ('retained', 'running', 'SELECT * FROM pgqueue.worker WHERE task_id = %s;', NULL::timestamptz,
            NULL::bigint)$$, :first), 'running');
SELECT matches((SELECT message FROM pgqueue.why(:first)), '^Worker "w1" holds it since .*; its lease ends at .*\.$',
    'who holds it until when');
SELECT pgqueue.release_task(:first, :receipt) \g /dev/null
SELECT results_eq(format('SELECT status, reason, hint FROM pgqueue.why(%s)', :first),
    $$VALUES ('released', 'finished', NULL)$$, 'finished');
SELECT matches((SELECT message FROM pgqueue.why(:first)), '^The task is released since .*\.$', 'since when');
SELECT pgqueue.cancel_task(:last) \g /dev/null
SELECT results_eq(format('SELECT status, reason, hint FROM pgqueue.why(%s)', :last),
    format($$VALUES ('cancelled', 'finished', 'SELECT pgqueue.retry_task(%s);')$$, :last),
    'cancelled: the hint says how to run it after all');
SELECT id AS bound FROM pgqueue.next_task('w2', 'a', session_bound => true) \gset
SELECT matches((SELECT message FROM pgqueue.why(:bound)), '^Worker "w2" holds it since .* until its session ends\.$',
    'bound to its session');

-- The time.
SELECT pgqueue.create_task('a', '5', delay => '1 h') AS delayed \gset
SELECT results_eq(
    format('SELECT status, reason, ready_at = (SELECT delayed_at FROM pgqueue.task WHERE id = %1$s), hint, ahead '
        'FROM pgqueue.why(%1$s)', :delayed),
    format($$VALUES ('new', 'delayed', true, 'To run it at once: SELECT pgqueue.retry_task(%s);', NULL::bigint)$$,
        :delayed), 'delayed');
SELECT id AS failed, receipt FROM pgqueue.next_task('w1', 'a') \gset
SELECT pgqueue.fail_task(:failed, :receipt, 'no') \g /dev/null
SELECT results_eq(format('SELECT status, reason, ready_at - now() BETWEEN %L AND %L FROM pgqueue.why(%s)',
    '110 s', '120 s', :failed), $$VALUES ('retry', 'retry_wait', true)$$, 'retry_wait');

-- Pauses; two reasons at once, and limits.
SELECT pgqueue.pause_queue('a', until => now() + '1 h') \g /dev/null
SELECT is(pg_temp.words(:third), 'paused', 'paused');
SELECT results_eq(format('SELECT hint, ready_at - now() BETWEEN %L AND %L FROM pgqueue.why(%s)',
    '59 min', '1 h', :third), $$VALUES ('SELECT pgqueue.resume_queue(''a'', namespace => ''default'');', true)$$,
    'until when, and how to end it');
SELECT is(pg_temp.words(:delayed), 'paused delayed', 'both reasons');
SELECT pgqueue.resume_queue('a'), pgqueue.update_queue('a', max_running => 1) \g /dev/null
SELECT is(pg_temp.words(:third), 'max_running', 'max_running');
SELECT is((SELECT message || ' ' || ahead FROM pgqueue.why(:third)),
    '1 task of queue "a" is held, its max_running is 1. 0', 'with the numbers');
SELECT is(pg_temp.words(:delayed), 'delayed', 'a limit does not matter before its time');
SELECT pgqueue.update_queue('a', max_running => 0, rate_limit => 0.01) \g /dev/null
SELECT id AS rated FROM pgqueue.next_task('w1', 'a') \gset
SELECT is(:rated::bigint, :third::bigint, 'the token is taken');
SELECT pgqueue.create_task('a', '6') AS third \gset
SELECT results_eq(format('SELECT reason, ready_at - clock_timestamp() BETWEEN %L AND %L FROM pgqueue.why(%s)',
    '60 s', '100 s', :third), $$VALUES ('rate_limit', true)$$, 'rate_limit');
SELECT pgqueue.update_queue('a', rate_limit => 0) \g /dev/null
SELECT is(pg_temp.words(:third), 'ready', 'and no limit any more');
SET pgqueue.namespace = w;
SELECT pgqueue.create_tasks('q', '{1,2}') \g /dev/null
SELECT max(id) AS in_w FROM pgqueue.task WHERE namespace = 'w' \gset
SELECT count(*) FROM pgqueue.next_task('w1', 'q') \g /dev/null
SELECT pgqueue.update_namespace('w', max_running => 1) \g /dev/null
SELECT is(pg_temp.words(:in_w), 'namespace_limit', 'namespace_limit');
SELECT pgqueue.update_namespace('w', max_running => 0, paused => true) \g /dev/null
SELECT results_eq(format('SELECT reason, message, hint FROM pgqueue.why(%s)', :in_w),
    $$VALUES ('namespace_paused', 'Namespace "w" is paused.',
        'SELECT pgqueue.update_namespace(''w'', paused => false);')$$, 'namespace_paused');
RESET pgqueue.namespace;

-- Tasks that wait for others.
SELECT pgqueue.create_task('a', '7', depends_on => ARRAY[:third::bigint]) AS after \gset
SELECT pgqueue.create_task('a', '8', depends_on => ARRAY[:third, :delayed]::bigint[]) AS after2 \gset
SELECT results_eq(format('SELECT reason, message, hint, ahead FROM pgqueue.why(%s)', :after),
    format($$VALUES ('dependency', 'It waits for task %1$s.', 'SELECT * FROM pgqueue.why(%1$s);', NULL::bigint)$$,
        :third), 'dependency: which task, and where to look on');
SELECT matches((SELECT message FROM pgqueue.why(:after2)), '^It waits for 2 tasks, one of them is \d+\.$', 'several');
SELECT pgqueue.create_task('a', '9', batch_key => 'b', delay => '1 h') \g /dev/null
SELECT pgqueue.create_task('a', '10', depends_on_batch => 'b') AS after3 \gset
SELECT results_eq(format('SELECT reason, message FROM pgqueue.why(%s)', :after3),
    $$VALUES ('dependency', 'It waits until no task of batch "b" is unfinished.')$$, 'a batch');

-- Groups.
SELECT pgqueue.create_queue('g', ttl => '0'), pgqueue.create_tasks('g', '{1,2,3}', group_keys => '{k,k,k}') \g /dev/null
SELECT id AS g1, id + 1 AS g2, id + 2 AS g3 FROM pgqueue.task WHERE queue = 'g' ORDER BY id LIMIT 1 \gset
SELECT is(pg_temp.words(:g1), 'no_outside_worker', 'the first of a group');
SELECT results_eq(format('SELECT reason, message, hint, ahead FROM pgqueue.why(%s) WHERE reason = %L', :g3, 'group'),
    format(
        $$VALUES ('group', '2 tasks of its group run before it, the first is %1$s.', 'SELECT * FROM pgqueue.why(%1$s);',
            NULL::bigint)$$, :g1), 'group: others of it come first');
SELECT is((SELECT message FROM pgqueue.why(:g2) WHERE reason = 'group'),
    format('Task %s of its group runs before it.', :g1), 'one of them');
SELECT count(*) FROM pgqueue.next_task('w1', 'g') \g /dev/null
SELECT results_eq(format('SELECT reason, message FROM pgqueue.why(%s)', :g2),
    $$VALUES ('group', '1 task of its group is held, group_max_running is 1.')$$, 'group: as many are held as may be');
SELECT pgqueue.release_task(:g1) \g /dev/null
SELECT pgqueue.update_queue('g', group_rate_limit => 0.01) \g /dev/null
SELECT id FROM pgqueue.next_task('w1', 'g') \gset
SELECT pgqueue.release_task(:id) \g /dev/null
SELECT results_eq(
    format('SELECT reason, ready_at - clock_timestamp() BETWEEN %L AND %L FROM pgqueue.why(%s) WHERE reason = %L',
        '50 s', '100 s', :g3, 'group'), $$VALUES ('group', true)$$, 'group: its rate limit');

-- In the server.
SELECT pgqueue.pause_queue('s') \g /dev/null
SELECT pgqueue.create_task('s', '1', type => 'mail:send') AS typed \gset
SELECT pgqueue.create_task('s', command => 'SELECT 1') AS command \gset
SELECT is(pg_temp.words(:typed), 'paused no_handler', 'no_handler');
SELECT is((SELECT hint FROM pgqueue.why(:typed) WHERE reason = 'no_handler'),
    'SELECT pgqueue.create_handler(''mail:send'', ''function'', namespace => ''default'');', 'the hint makes one');
SELECT is(pg_temp.words(:command), 'paused', 'a command needs none');
SELECT pgqueue.stop_workers() \g /dev/null
SELECT results_eq(format('SELECT reason, hint FROM pgqueue.why(%s)', :command),
    $$VALUES ('disabled', 'SELECT pgqueue.ensure_workers();'),
        ('paused', 'SELECT pgqueue.resume_queue(''s'', namespace => ''default'');')$$, 'stopped workers come first');
SELECT is(pg_temp.words(:third), 'ready', 'outside workers go on');
SELECT pgqueue.ensure_workers() \g /dev/null

-- What this transaction has done.
BEGIN;
SELECT pgqueue.create_task('a', '11') AS own \gset
SELECT results_eq(format('SELECT reason, message, ahead FROM pgqueue.why(%s)', :own),
    $$VALUES ('not_loaded', 'This transaction has created or changed the task; it counts from the commit on.',
        NULL::bigint)$$, 'not committed yet');
ROLLBACK;
SELECT is((SELECT count(*) FROM pgqueue.why(:own)), 0::bigint, 'an unknown task: no row');

-- In the archive.
SELECT pgqueue.create_queue('arch', ttl => '0', retention => '1 ms', on_finish => 'archive') \g /dev/null
SELECT pgqueue.create_task('arch', '1') AS archived \gset
SELECT receipt FROM pgqueue.next_task('w1', 'arch') \gset
SELECT pgqueue.release_task(:archived, :receipt) \g /dev/null
SELECT pgqueue_internal.clean(1, now() + interval '1 day') \g /dev/null
SELECT results_eq(format('SELECT id, status, reason, message FROM pgqueue.why(%s)', :archived),
    format($$VALUES (%s::bigint, 'released', 'finished', 'The task is released and in the archive.')$$, :archived),
    'finished and in the archive');

-- Who may ask.
CREATE ROLE why_use; CREATE ROLE why_read; CREATE ROLE why_work; CREATE ROLE why_nothing;
GRANT pgqueue_user TO why_use, why_read, why_work, why_nothing;
SELECT pgqueue.grant_namespace('default', 'use', 'why_use'), pgqueue.grant_namespace('default', 'read', 'why_read'),
    pgqueue.grant_namespace('default', 'work', 'why_work') \g /dev/null
SET ROLE why_use;
SELECT pgqueue.create_task('a', '12', delay => '1 h') AS mine \gset
SELECT is(pg_temp.words(:mine), 'delayed', 'use: for own tasks');
SELECT is((SELECT count(*) FROM pgqueue.why(:third)), 0::bigint, 'not for those of others');
SET ROLE why_read;
SELECT is(pg_temp.words(:mine) || ' ' || pg_temp.words(:third), 'delayed ready', 'read: for all');
SET ROLE why_work;
SELECT is((SELECT count(*) FROM pgqueue.why(:third)), 0::bigint, 'work: not for tasks that it does not hold');
SELECT id AS held FROM pgqueue.next_task('w1', 'a') \gset
SELECT is(pg_temp.words(:held), 'running', 'but for those that it holds');
SET ROLE why_nothing;
SELECT is((SELECT count(*) FROM pgqueue.why(:mine)), 0::bigint, 'no privilege: no row');
RESET ROLE;
SELECT throws_ok('SELECT * FROM pgqueue.why(NULL)', '22004', NULL, 'no id');
SELECT throws_ok(format('SELECT * FROM pgqueue.why(%s, %L)', :mine, 'w'), '42704', NULL,
    'another namespace than the task''s');
SELECT is((SELECT count(*) FROM pgqueue.why(id => :mine, namespace => 'default')), 1::bigint,
    'the task''s own namespace');
BEGIN READ ONLY;
SELECT pg_temp.words(:after) AS words \gset
COMMIT;
SELECT is(:'words'::text, 'dependency', 'in a read-only transaction too');

SET client_min_messages = warning;
DROP OWNED BY why_use, why_read, why_work, why_nothing;
DROP ROLE why_use, why_read, why_work, why_nothing;
SELECT * FROM finish();
\ir ../lib/clean.sql
