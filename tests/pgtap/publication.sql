-- Everything works under a publication FOR ALL TABLES, which lets no table without an identity be
-- updated. Fault L5. Every statement commits.
\set ECHO none
\set QUIET 1
SELECT no_plan();
SET client_min_messages = error;
CREATE FUNCTION pg_temp.wait_until(condition text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    met boolean;
BEGIN
    FOR i IN 1..1500 LOOP
        EXECUTE 'SELECT ' || condition INTO met;
        EXIT WHEN met;
        PERFORM pg_sleep(0.02);
    END LOOP;
    RETURN met;
END
$$;

SELECT is_empty(
    $$SELECT c.oid::regclass FROM pg_class c
        WHERE c.relnamespace = 'pgqueue_internal'::regnamespace AND c.relkind IN ('r', 'p')
    AND NOT EXISTS (SELECT FROM pg_index i
        WHERE i.indrelid = c.oid AND i.indisprimary AND i.indimmediate AND i.indpred IS NULL)$$,
    'L5: every table has a primary key');
CREATE PUBLICATION everything FOR ALL TABLES;

SELECT pgqueue.create_namespace('p'), pgqueue.create_queue('q', ttl => '0', namespace => 'p'),
    pgqueue.create_queue('arch', ttl => '0', retention => '1 ms', on_finish => 'archive', namespace => 'p') \g /dev/null
SELECT pgqueue.create_queue('drop', ttl => '0', on_finish => 'delete', namespace => 'p'),
    pgqueue.create_queue('run', ttl => '0', namespace => 'p') \g /dev/null
SET pgqueue.namespace = p;
-- A whole life: keys, dependencies, groups, batches; retain, fail, extend, snooze,
-- release; cancel, retry, change, move, delete.
SELECT format('SELECT lives_ok(%L, %L)', sql, 'L5: ' || sql) FROM (VALUES
    ($$SELECT pgqueue.create_task('q', '1', dedup_key => 'k')$$),
    ($$SELECT pgqueue.create_task('q', '2', dedup_key => 'k', on_conflict => 'replace')$$),
    ($$SELECT pgqueue.create_task('q', '3', depends_on => ARRAY(SELECT min(id) FROM pgqueue.task WHERE queue = 'q'), $$
        || $$batch_key => 'b')$$),
    ($$SELECT pgqueue.create_task('q', '4', depends_on_batch => 'b', group_key => 'g')$$),
    ($$SELECT pgqueue.create_task('run', command => 'SELECT 1')$$),
    ($$SELECT pgqueue.fail_task(id, receipt, 'no', retry_in => '0') FROM pgqueue.next_task('w', 'q')$$),
    ($$SELECT pg_temp.wait_until('EXISTS (SELECT FROM pgqueue.next_task(''w'', ''q''))')$$),
    ($$SELECT pgqueue.extend_task(id) FROM pgqueue.task WHERE status = 'retained' AND queue = 'q'$$),
    ($$SELECT pgqueue.release_task(id) FROM pgqueue.task WHERE status = 'retained' AND queue = 'q'$$),
    ($$UPDATE pgqueue.task SET priority = 7 WHERE queue = 'q' AND status = 'new'$$),
    ($$SELECT pgqueue.cancel_task(id) FROM pgqueue.task WHERE queue = 'q' AND status = 'new'$$),
    ($$SELECT pgqueue.retry_task(id) FROM pgqueue.task WHERE status = 'cancelled'$$),
    ($$DELETE FROM pgqueue.task WHERE queue = 'q' AND status IN ('new', 'retry')$$)) v (sql) \gexec
SELECT ok(pg_temp.wait_until($$(SELECT status = 'released' FROM pgqueue.task WHERE queue = 'run')$$),
    'L5: a command runs');

-- Tickers, handlers, grants, settings.
CREATE FUNCTION public.handled(jsonb) RETURNS void LANGUAGE sql AS '';
SELECT format('SELECT lives_ok(%L, %L)', sql, 'L5: ' || sql) FROM (VALUES
    ($$SELECT pgqueue.create_ticker('t', 'q', period => '1 day')$$), ($$SELECT pgqueue.fire_ticker('t')$$),
    ($$SELECT pgqueue.update_ticker('t', priority => 3)$$), ($$SELECT pgqueue.delete_ticker('t')$$),
    ($$SELECT pgqueue.create_handler('h', 'public.handled')$$), ($$SELECT pgqueue.delete_handler('h')$$),
    ($$SELECT pgqueue.grant_namespace('p', 'all', 'public')$$),
    ($$SELECT pgqueue.revoke_namespace('p', 'all', 'public')$$), ($$SELECT pgqueue.update_queue('q', priority => 5)$$),
    ($$SELECT pgqueue.purge_queue('q')$$),
    ($$SELECT pgqueue.update_namespace('p', weight => 3)$$),
    ($$SELECT pgqueue_internal.follow_roles()$$)) v (sql) \gexec

-- Archive and housekeeping.
SELECT pgqueue.create_task('arch', '1'), pgqueue.create_task('arch', '2'), pgqueue.create_task('drop', '3') \g /dev/null
SELECT format('SELECT lives_ok(%L, %L)', sql, 'L5: ' || sql)
FROM (VALUES ($$SELECT pgqueue.release_task(id, receipt) FROM pgqueue.next_tasks('w', '{arch,drop}', 3)$$),
    ($$SELECT pgqueue_internal.clean(1, now() + interval '1 day')$$)) v (sql) \gexec
SELECT is((SELECT count(*) FROM pgqueue.task_archive), 2::bigint, 'L5: finished tasks are archived');
SELECT lives_ok('DELETE FROM pgqueue.task_archive WHERE payload = ''1''', 'L5: rows of the archive can be deleted');

-- A copy can begin to work, and be cleared.
INSERT INTO pgqueue_internal.identity VALUES (1, 2);
SELECT is((SELECT count(*) FROM pgqueue.health WHERE problem = 'not_adopted'), 1::bigint, 'a restored database');
SELECT lives_ok('SELECT pgqueue.adopt()', 'L5: adopt()');
SELECT is((SELECT count(*) FROM pgqueue_internal.identity), 1::bigint, 'it has one identity');
SELECT pgqueue.create_task('run', command => 'SELECT 2') AS id \gset
SELECT ok(pg_temp.wait_until(format($$(SELECT status = 'released' FROM pgqueue.task WHERE id = %s)$$, :id)),
    'L5: and works');
SELECT lives_ok($$SELECT pgqueue.delete_namespace('p', force => true)$$, 'L5: delete_namespace');
SELECT is((SELECT count(*) FROM pgqueue.task_archive), 0::bigint, 'its archive has gone with it');

DROP PUBLICATION everything;
DROP FUNCTION public.handled(jsonb);
RESET pgqueue.namespace;
SELECT * FROM finish();
\ir ../lib/clean.sql
