-- Messages with SQLSTATE, detail and hint of wrong calls.
\set SHOW_CONTEXT never
CREATE FUNCTION pg_temp.try(statement text, OUT code text, OUT message text, OUT detail text, OUT hint text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    code := '00000';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
END
$$;
SELECT queue FROM pgqueue.create_queue('q');
\x on
SELECT s.statement, e.* FROM unnest(ARRAY[
    $$SELECT pgqueue.create_namespace('pgqueue')$$,
    $$SELECT pgqueue.create_namespace('a b')$$,
    $$SELECT pgqueue.create_namespace(NULL)$$,
    $$SELECT pgqueue.create_namespace('n', weight => 0)$$,
    $$SELECT pgqueue.update_namespace('default')$$,
    $$SELECT pgqueue.update_namespace('nosuch', weight => 1)$$,
    $$SELECT pgqueue.update_namespace('default', owner => 'nosuch')$$,
    $$SELECT pgqueue.delete_namespace('default')$$,
    $$SELECT pgqueue.grant_namespace('default', 'fly', 'pgqueue_user')$$,
    $$SELECT pgqueue.grant_namespace('default', 'use', 'nosuch')$$,
    $$SELECT pgqueue.create_queue('1x')$$,
    $$SELECT pgqueue.create_queue(NULL)$$,
    $$SELECT pgqueue.create_queue('q', backoff => 'never')$$,
    $$SELECT pgqueue.create_queue('q', retries => 40000)$$,
    $$SELECT pgqueue.create_queue('q', lease => '0')$$,
    $$SELECT pgqueue.create_queue('q', group_commit => 5)$$,
    $$SELECT pgqueue.create_queue('q', namespace => 'nosuch')$$,
    $$SELECT pgqueue.create_queue('q', namespace => 'pgqueue')$$,
    $$SELECT pgqueue.update_queue('q')$$,
    $$SELECT pgqueue.update_queue('nosuch', ttl => '1 h')$$,
    $$INSERT INTO pgqueue.queue (queue) VALUES ('q')$$,
    $$UPDATE pgqueue.queue SET created_at = now() WHERE queue = 'q'$$,
    $$SELECT pgqueue.create_task('nosuch', '{}')$$,
    $$SELECT pgqueue.create_task('q')$$,
    $$SELECT pgqueue.create_task('q', type => 't', command => 'SELECT 1')$$,
    $$SELECT pgqueue.create_task('q', '{}', delayed_at => '2000-01-01')$$,
    $$SELECT pgqueue.create_task('q', '{}', on_conflict => 'maybe')$$,
    $$SELECT pgqueue.cancel_task(-1)$$,
    $$SELECT pgqueue.get_task(NULL)$$,
    $$INSERT INTO pgqueue.task (queue, payload, status) VALUES ('q', '{}', 'failed')$$,
    $$SELECT pgqueue.priority_value('urgent')$$]) s (statement), pg_temp.try(s.statement) e;
\x off
-- A read-only transaction.
BEGIN READ ONLY;
SELECT pgqueue.create_task('q', '{}');
ROLLBACK;
BEGIN READ ONLY;
SELECT pgqueue.create_queue('q2');
ROLLBACK;
BEGIN READ ONLY;
SELECT queue FROM pgqueue.queue WHERE queue = 'q';
ROLLBACK;
-- PREPARE TRANSACTION after work on tasks.
BEGIN;
SELECT pgqueue.create_task('q', '{}') IS NOT NULL AS made;
PREPARE TRANSACTION 'pgqueue';
SELECT count(*) FROM pgqueue.task WHERE queue = 'q';
-- A procedure that waits, in a transaction block.
BEGIN;
SELECT pgqueue.create_task('q', '{}') AS id \gset
CALL pgqueue.wait_for_result(:id, '0');
ROLLBACK;
SELECT queue FROM pgqueue.delete_queue('q');

-- What is inside our functions is no context for users; what is outside is.
\set SHOW_CONTEXT always
SELECT pgqueue.create_queue('e', executor => 'worker');
SELECT queue FROM pgqueue.create_queue('e');
UPDATE pgqueue.queue SET max_running = -1 WHERE queue = 'e';
SELECT queue FROM pgqueue.delete_queue('e');
CREATE FUNCTION makes_queue() RETURNS void LANGUAGE plpgsql AS $$BEGIN PERFORM pgqueue.create_queue('e', retries => -1); END$$;
SELECT makes_queue();
DROP FUNCTION makes_queue();

-- Names and words that are nearly right.
\set SHOW_CONTEXT never
SELECT queue FROM pgqueue.create_queue('mails');
SELECT namespace FROM pgqueue.create_namespace('billing');
SELECT ticker FROM pgqueue.create_ticker('nightly', period => '1 day');
SELECT pgqueue.create_task('mail', '{}');
SELECT pgqueue.create_task('letters', '{}');
SELECT pgqueue.update_queue('Mials', ttl => '1 h');
SELECT pgqueue.update_queue('mails', dead_letter => 'mail');
SELECT pgqueue.create_ticker('t', period => '1 day', queue => 'mailz');
SELECT pgqueue.update_ticker('nigthly', period => '2 days');
SELECT pgqueue.create_task('mails', '{}', namespace => 'biling');
SELECT pgqueue.create_queue('new', executor => 'sever');
SELECT pgqueue.create_task('mails', '{}', on_conflict => 'skipp');
-- Nobody learns the names of what he may not see.
CREATE ROLE regress_stranger IN ROLE pgqueue_user;
SET ROLE regress_stranger;
SELECT pgqueue.create_task('mails', '{}', namespace => 'biling');
SELECT pgqueue.create_task('mail', '{}', namespace => 'default');
RESET ROLE;
DROP ROLE regress_stranger;
SELECT ticker FROM pgqueue.delete_ticker('nightly');
SELECT namespace FROM pgqueue.delete_namespace('billing');
SELECT queue FROM pgqueue.delete_queue('mails');
