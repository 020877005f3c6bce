-- View health with many problems: the worst first, those of one kind in one namespace folded, each caller sees his own.
-- Every statement commits.
\set ECHO none
\set QUIET 1
SELECT no_plan();
SELECT pgqueue.create_namespace('many'), pgqueue.create_namespace('few') \g /dev/null
SELECT pgqueue.create_queue('q' || i, ttl => '0', max_depth => 1, namespace => 'many') FROM generate_series(1, 25) i
    \g /dev/null
SELECT pgqueue.create_queue('q' || i, ttl => '0', namespace => 'few') FROM generate_series(1, 10) i \g /dev/null
-- A transaction for each task, so that each queue has its own time.
DO $$BEGIN FOR i IN 1..25 LOOP
    PERFORM pgqueue.create_task('q' || i, '1', namespace => 'many');
    COMMIT;
END LOOP; END$$;
SELECT pgqueue.create_task('q' || i, '1', namespace => 'few') FROM generate_series(1, 10) i \g /dev/null
SELECT pgqueue.pause_queue(queue, namespace => namespace) FROM pgqueue.queue WHERE namespace IN ('many', 'few')
    \g /dev/null
-- The dispatcher may have begun to serve this new database a moment ago.
DO $$BEGIN FOR i IN 1..1500 LOOP EXIT WHEN (SELECT sum(ready + blocked) FROM pgqueue.queue_stat) >= 35
    AND (SELECT count(*) FROM pgqueue.health WHERE problem = 'queue_paused' AND since IS NOT NULL) = 21;
    COMMIT; PERFORM pg_sleep(0.02); END LOOP; END$$;

SELECT results_eq($$SELECT namespace, count(*) FROM pgqueue.health WHERE problem = 'queue_paused'
        GROUP BY 1 ORDER BY 1$$,
    $$VALUES ('few', 10::bigint), ('many', 11::bigint)$$, 'ten rows of a kind, and one for the others');
SELECT results_eq($$SELECT queue, message FROM pgqueue.health WHERE namespace = 'many' AND problem = 'queue_paused'
        ORDER BY since$$,
    $$SELECT 'q' || i, CASE WHEN i = 11 THEN '15 further problems of this kind, the first one: ' ELSE '' END
        || 'the queue is paused and has waiting tasks' FROM generate_series(1, 11) i$$,
    'those that have waited longest, and what the last row stands for');
SELECT is((SELECT hint FROM pgqueue.health WHERE namespace = 'many' AND problem = 'queue_paused' AND queue = 'q11'),
    $$SELECT pgqueue.resume_queue('q11', namespace => 'many');$$, 'its hint is for the first of them');
SELECT results_eq($$SELECT count(*), count(DISTINCT queue), max(message) FILTER (WHERE message LIKE '%further%')
        FROM pgqueue.health WHERE namespace = 'many' AND problem = 'queue_full'$$,
    $$VALUES (11::bigint, 11::bigint, '15 further problems of this kind, the first one: '
        'the queue has 1 unfinished task, max_depth is 1')$$, 'another kind has rows of its own');
SELECT is((SELECT count(*) FROM pgqueue.top WHERE state <> 'ok'), 35::bigint, 'view top knows each of them');

-- Each row from the table, too: handlers whose role has gone.
CREATE ROLE health_gone;
GRANT pgqueue_user TO health_gone;
CREATE FUNCTION public.health_handler(payload jsonb) RETURNS void LANGUAGE sql AS '';
SELECT pgqueue.create_handler('t' || i, 'public.health_handler', namespace => 'few') FROM generate_series(1, 12) i
    \g /dev/null
UPDATE pgqueue_internal.handler SET role_name = 'health_gone', role = 'health_gone'::regrole
    WHERE namespace_id = (SELECT id FROM pgqueue_internal.namespace WHERE name = 'few');
REVOKE pgqueue_user FROM health_gone;
DROP ROLE health_gone;
SELECT results_eq($$SELECT count(*), max(substring(message FROM '^\d+ further')) FROM pgqueue.health
        WHERE problem = 'role_missing' AND namespace = 'few'$$, $$VALUES (11::bigint, '2 further')$$,
    'rows of missing roles are folded as well');

-- Critical ones come first.
BEGIN;
UPDATE pgqueue_internal.identity SET system_identifier = system_identifier + 1;
SELECT is((SELECT array_agg(DISTINCT severity) FROM pgqueue.health), '{critical,warning}'::text[], 'two severities');
SELECT is((SELECT array_agg(severity) FROM (SELECT severity FROM pgqueue.health LIMIT 1) h), '{critical}'::text[],
    'the critical one is first');
ROLLBACK;

-- The number of others counts what the caller may see.
CREATE ROLE health_reader;
GRANT pgqueue_user TO health_reader;
SELECT pgqueue.grant_namespace('few', 'read', 'health_reader') \g /dev/null
SET ROLE health_reader;
SELECT is((SELECT array_agg(DISTINCT namespace) FROM pgqueue.health), '{few}'::text[], 'a reader sees his namespace');
SELECT is((SELECT count(*) FROM pgqueue.health WHERE problem = 'queue_paused'), 10::bigint, 'with all of its rows');
RESET ROLE;
SELECT pgqueue.delete_handler(type, function, phase, namespace) FROM pgqueue.handler WHERE namespace = 'few'
    \g /dev/null
DROP OWNED BY health_reader;
DROP ROLE health_reader;
DROP FUNCTION public.health_handler;
SELECT * FROM finish();
\ir ../lib/clean.sql
