-- Views of statistics, and prometheus(): their shape for a queue that has done nothing.
\set ECHO none
\set QUIET 1
BEGIN;
SELECT no_plan();
SELECT pgqueue.create_queue('q') \g /dev/null
SELECT results_eq($$SELECT namespace, queue, ready, delayed, blocked, retained, waiters, created_total, bytes
    FROM pgqueue.queue_stat$$,
    $$VALUES ('default'::text, 'q'::text, 0::bigint, 0::bigint, 0::bigint, 0::bigint, 0, 0::bigint, 0::bigint)$$,
    'a queue that has done nothing has zeros');
SELECT is_empty($$SELECT FROM pgqueue.queue_stat WHERE wait_seconds_p50 IS NOT NULL OR run_seconds_max IS NOT NULL
    OR total_seconds_p99 IS NOT NULL OR oldest_ready_seconds IS NOT NULL$$, 'and no times');
SELECT is_empty($$SELECT FROM information_schema.columns WHERE table_schema = 'pgqueue'
    AND table_name IN ('queue_stat', 'type_stat', 'worker_stat', 'stat_history', 'slow_task', 'metric')
    AND data_type = 'interval'$$,
    'statistic views hold no interval');
SELECT is_empty('SELECT * FROM pgqueue.stat_history', 'nor a history');
SELECT is_empty('SELECT * FROM pgqueue.slow_task', 'nor slow runs');
SELECT is_empty('SELECT * FROM pgqueue.type_stat', 'nor types');
SELECT is_empty('SELECT * FROM pgqueue.worker_stat', 'nor roles');
SELECT lives_ok($$SELECT pgqueue.reset_stats('q'), pgqueue.reset_stats()$$, 'a queue without numbers can be reset');
SELECT throws_ok($$SELECT pgqueue.reset_stats('q', 'nix')$$, '42704', 'type "nix" has no statistics',
    'a type that was never retained cannot');
SELECT results_eq($$SELECT value FROM pgqueue.metric WHERE name = 'queue_tasks' AND labels ->> 'queue' = 'q'$$,
    $$SELECT 0::double precision FROM generate_series(1, 7)$$, 'a sample for each status');
SELECT results_eq('SELECT namespace, queue, running, ready, per_minute, failed, last_hour, state FROM pgqueue.top',
    $$VALUES ('default'::text, 'q'::text, 0, 0::bigint, 0::bigint, 0::bigint, ''::text, 'ok'::text)$$, 'top');
SELECT is(pgqueue_internal.sparkline('{0,1,2,4,8}'), ' ' || chr(9601) || chr(9602) || chr(9604) || chr(9608),
    'a sparkline has a bar for each number');
SELECT is(pgqueue_internal.sparkline('{0,0}') || pgqueue_internal.sparkline('{}'), '', 'and none without any');

-- pg_monitor alone reads statistics, and nothing that a task says.
CREATE ROLE tap_monitors IN ROLE pg_monitor;
SELECT pgqueue.create_task('q', '"SECRET"', type => 'known') \g /dev/null
SET ROLE tap_monitors;
SELECT lives_ok(format('SELECT * FROM pgqueue.%I', v), 'pg_monitor reads ' || v)
FROM unnest('{queue_status,queue_stat,type_stat,worker_stat,stat_history,slow_task,metric,top,worker,health,
    memory}'::text[]) v;
SELECT results_eq('SELECT queue FROM pgqueue.queue_stat', $$SELECT 'q'::text$$, 'of every namespace');
SELECT matches(pgqueue.prometheus(), 'queue_tasks.namespace="default",queue="q",status="new". 0', 'and prometheus()');
SELECT throws_ok(format('SELECT * FROM pgqueue.%I', v), '42501', NULL, 'but not ' || v)
FROM unnest('{task,task_attempt,task_archive,handler,ticker,queue}'::text[]) v;
SELECT throws_ok($$SELECT pgqueue.create_task('q', '1')$$, '42501', NULL, 'and calls nothing');
RESET ROLE;
SELECT is(pgqueue.prometheus(NULL) ~ E'(^|\n)pgqueue_info', true, 'NULL is false: this server');
SELECT throws_ok('SELECT pgqueue.prometheus(true)', '0A000', NULL, 'a fleet needs the wrapper');
SELECT * FROM finish();
ROLLBACK;
