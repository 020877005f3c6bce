-- E7: a task that runs fails for good, puts itself off or cancels itself, here by
-- run_task; in workers: tap/033_own_end.pl.
\set ECHO none
\set QUIET 1
BEGIN;
SELECT no_plan();
SELECT pgqueue.create_queue('q'), pgqueue.create_queue('s', executor => 'server'), pgqueue.create_queue('dead'),
    pgqueue.create_queue('mourned', dead_letter => 'dead') \g /dev/null
CREATE TABLE pg_temp.done (what text);
CREATE FUNCTION pg_temp.me() RETURNS bigint LANGUAGE sql AS 'SELECT id FROM pgqueue.current_task()';
-- What run_task says of a task with this command, what has become of it, and what it has written down.
CREATE FUNCTION pg_temp.run(command text, queue text DEFAULT 'q', retries integer DEFAULT 3) RETURNS text
    LANGUAGE plpgsql AS $$
DECLARE
    made bigint := pgqueue.create_task(queue, command => command, retries => retries);
    said text := pgqueue.run_task(made);
    written text;
BEGIN
    WITH gone AS (DELETE FROM pg_temp.done RETURNING what) SELECT string_agg(what, ' ') INTO written FROM gone;
    RETURN (SELECT concat_ws(' ', said, t.status, t.queue, a.outcome, a.error_code, a.error,
        CASE WHEN t.delayed_at > now() THEN 'later' END, written)
        FROM pgqueue.task t LEFT JOIN pgqueue.task_attempt a ON a.task_id = t.id WHERE t.id = made);
END$$;

SELECT is(
    pg_temp.run(
        $$INSERT INTO pg_temp.done
            VALUES ('x'); SELECT pgqueue.fail_task(pg_temp.me(), error => 'no use', final => true)$$),
    'failed failed q failed P0001 no use', 'E7: fail_task of the own task, final: failed, and its work is undone');
SELECT is(pg_temp.run($$SELECT pgqueue.fail_task(pg_temp.me(), error => 'no use', final => true)$$, 'mourned'),
    'failed failed dead failed P0001 no use', 'E7: it goes to the dead-letter queue');
SELECT is(pg_temp.run($$SELECT pgqueue.fail_task(pg_temp.me())$$),
    'retry retry q failed P0001 the worker failed the task later', 'E7: not final: by the rules of the queue');
SELECT is(pg_temp.run($$SELECT pgqueue.fail_task(pg_temp.me())$$, retries => 0),
    'failed failed q failed P0001 the worker failed the task', 'E7: without retries');
SELECT is(pg_temp.run($$SELECT pgqueue.fail_task(pg_temp.me(), retry_in => '0')$$),
    'retry retry q failed P0001 the worker failed the task', 'E7: retry_in');
SELECT is(
    pg_temp.run(
        $$INSERT INTO pg_temp.done VALUES ('x'); SELECT pgqueue.snooze_task(pg_temp.me(), delay => '1 h');
            INSERT INTO pg_temp.done VALUES ('y')$$),
    'retry retry q snoozed later x y', 'E7: snooze_task: put off, and its work stays');
SELECT is(pg_temp.run($$SELECT pgqueue.snooze_task(pg_temp.me())$$, retries => 0), 'retry retry q snoozed',
    'E7: it does not count as an attempt');
SELECT is(pg_temp.run($$INSERT INTO pg_temp.done VALUES ('x'); SELECT pgqueue.cancel_task(pg_temp.me(), 'enough')$$),
    'cancelled cancelled q cancelled 57014 enough x', 'E7: cancel_task: cancelled, and its work stays');
SELECT is(pg_temp.run($$SELECT pgqueue.cancel_task(pg_temp.me())$$),
    'cancelled cancelled q cancelled 57014 the task was cancelled', 'E7: without a reason');

-- What the functions say, and how often.
CREATE FUNCTION pg_temp.says(out fails text, out fails_final text, out snoozes text, out cancels text, out plural text)
    LANGUAGE plpgsql AS $$
DECLARE id bigint := pg_temp.me();
BEGIN
    fails := pgqueue.fail_task(id); fails_final := pgqueue.fail_task(id, final => true);
        snoozes := pgqueue.snooze_task(id); cancels := pgqueue.cancel_task(id);
    plural := (SELECT status FROM pgqueue.fail_tasks(ARRAY[id], final => true))
        || (SELECT status FROM pgqueue.snooze_tasks(ARRAY[id]));
    INSERT INTO pg_temp.done
    VALUES (fails || ' ' || fails_final || ' ' || snoozes || ' ' || cancels || ' ' || plural || ' '
        || (SELECT status FROM pgqueue.current_task()));
END$$;
SELECT is(pg_temp.run('SELECT pg_temp.says()'),
    'retry retry q snoozed retry failed retry cancelled failedretry retained',
    'E7: they say what the task will be; the last one counts, and until the commit the task is retained');

-- It goes with the transaction.
SELECT is(
    pg_temp.run(
        $x$DO $$BEGIN PERFORM pgqueue.fail_task(pg_temp.me(), final => true); RAISE EXCEPTION 'x';
            EXCEPTION WHEN raise_exception THEN NULL; END$$$x$),
    'released released q released', 'E7: what a rolled back block has asked for is forgotten');
SELECT is(pg_temp.run($x$DO $$BEGIN
    BEGIN PERFORM pgqueue.snooze_task(pg_temp.me(), delay => '1 h'); EXCEPTION WHEN division_by_zero THEN NULL; END;
    BEGIN PERFORM pgqueue.cancel_task(pg_temp.me()); RAISE EXCEPTION 'x'; EXCEPTION WHEN raise_exception THEN NULL;
        END; END$$$x$),
    'retry retry q snoozed later', 'E7: what one before it has asked for is not');
SELECT is(pg_temp.run('SELECT pgqueue.snooze_task(pg_temp.me()); SELECT 1/0', retries => 0),
    'failed failed q failed 22012 division by zero', 'E7: an error is an error');
SELECT is(pg_temp.run($$SELECT pgqueue.fail_task(pg_temp.me(), final => true); SELECT 1/0$$),
    'retry retry q failed 22012 division by zero later', 'E7: also after fail_task');

-- Which task.
CREATE FUNCTION pg_temp.inner_run(command text) RETURNS text
    LANGUAGE sql AS $$SELECT pgqueue.run_task(pgqueue.create_task('q', command => command))$$;
SELECT is(
    pg_temp.run(
        $$SELECT pg_temp.inner_run('SELECT pgqueue.cancel_task(pg_temp.me())'), pgqueue.snooze_task(pg_temp.me())$$),
        'retry retry q snoozed', 'E7: run_task inside: each ends itself');
SELECT is(pg_temp.run($$SELECT pg_temp.inner_run(format('SELECT pgqueue.cancel_task(%s)', pg_temp.me()))$$),
    'released released q released', 'E7: not the one around it');
SELECT is((SELECT error_code FROM pgqueue.task ORDER BY id DESC LIMIT 1), '55000', 'E7: it is told so');
SELECT alike(pg_temp.run($$SELECT pgqueue.fail_task(pg_temp.me(), 1)$$), '%PQ001%',
    'E7: with a receipt that is not its own');
SELECT alike(pg_temp.run($$SELECT pgqueue.cancel_task(pg_temp.me(), namespace => 'pgqueue')$$), '%55000%',
    'E7: in another namespace');
SELECT throws_ok(format('SELECT pgqueue.fail_task(%s)', pgqueue.create_task('q', '{}')), 'PQ001', NULL,
    'E7: outside a run it is as ever');
SELECT is((SELECT count(*) FROM pgqueue.current_task()), 0::bigint, 'E7: no task runs here');

-- A handler, and a role that has no other right for it.
CREATE FUNCTION pg_temp.h(jsonb) RETURNS void LANGUAGE plpgsql AS $$BEGIN EXECUTE $1->>0; END$$;
CREATE SCHEMA tap_own;
CREATE FUNCTION tap_own.h(jsonb) RETURNS integer LANGUAGE plpgsql AS $$BEGIN EXECUTE $1->>0; RETURN 1; END$$;
SELECT pgqueue.create_handler('do', 'tap_own.h') \g /dev/null
SELECT is(
    pgqueue.run_task(pgqueue.create_task('s',
        '["SELECT pgqueue.fail_task(pg_temp.me(), error => ''bad'', final => true, result => ''{}'')"]', type => 'do')),
        'failed', 'E7: a handler fails its task');
SELECT is(status || error || result, 'failedbad{}', 'E7: with error and result') FROM pgqueue.task WHERE type = 'do';
CREATE ROLE tap_uses;
GRANT pgqueue_user TO tap_uses;
SELECT pgqueue.grant_namespace('default', 'use', 'tap_uses') \g /dev/null
SET LOCAL ROLE tap_uses;
SELECT is(
    pgqueue.run_task(pgqueue.create_task('q',
        command => 'SELECT pgqueue.fail_task((SELECT id FROM pgqueue.current_task()), final => true)')), 'failed',
        'E7: nobody needs a right for his own task');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
