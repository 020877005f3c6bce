-- What EXPLAIN ANALYZE tells a role without rights: the server may evaluate leakproof comparisons of a caller before
-- the checks of a view, and counts the rows that pass. A plan must not show whether a guess of a hidden value is right.
\set ECHO none
\set QUIET 1
BEGIN;
SELECT no_plan();
CREATE ROLE tap_reads IN ROLE pgqueue_user;
CREATE ROLE tap_uses IN ROLE pgqueue_user;
SELECT pgqueue.create_namespace('hidden') \g /dev/null
SELECT pgqueue.create_queue('q', namespace => 'hidden', on_finish => 'archive', retries => 0,
    description => 'secret') \g /dev/null
SELECT pgqueue.grant_namespace('hidden', 'use', 'tap_uses') \g /dev/null
-- Who sees something of her own, so that no plan ends before it looks at the rest.
SELECT pgqueue.create_namespace('own'), pgqueue.grant_namespace('own', 'all', 'tap_reads') \g /dev/null
SELECT pgqueue.create_queue('q', namespace => 'own'), pgqueue.create_task('q', '1', namespace => 'own') \g /dev/null
SELECT pgqueue.create_task('q', command => 'SELECT secret', group_key => 'secret', dedup_key => 'secret',
    batch_key => 'secret', namespace => 'hidden') \g /dev/null
SELECT pgqueue.create_task('q', '1', type => 'secret', namespace => 'hidden') \g /dev/null
SELECT pgqueue.cancel_task(t.id, 'secret') FROM pgqueue.task t WHERE t.type = 'secret' \g /dev/null
SELECT pgqueue.create_ticker('secret', 'q', command => 'SELECT secret', period => '1 hour', namespace => 'hidden')
\g /dev/null
CREATE FUNCTION public.secret(payload jsonb) RETURNS void LANGUAGE sql AS '';
GRANT EXECUTE ON FUNCTION public.secret(jsonb) TO PUBLIC;
SELECT pgqueue.create_handler('secret', 'public.secret', namespace => 'hidden') \g /dev/null
INSERT INTO pgqueue_internal.ticker_run (ticker_id, place, slot, fired_at, outcome, error)
SELECT t.id, 0, now(), now(), 3, 'secret' FROM pgqueue_internal.ticker t WHERE t.name = 'secret';
INSERT INTO pgqueue_internal.archive (id, namespace_id, namespace, queue, status, command, error, worker, group_key)
SELECT -1, n.id, 'hidden', 'q', 'failed', 'SELECT secret', 'secret', 'secret', 'secret'
FROM pgqueue_internal.namespace n WHERE n.name = 'hidden';

INSERT INTO pgqueue_internal.slow_run (task_id, attempt, namespace_id, queue_id, role_id, type, command, started_at,
    run_us)
SELECT -1, 1, n.id, q.id, 10, 'secret', 'SELECT secret', now(), 5000000
FROM pgqueue_internal.queue q JOIN pgqueue_internal.namespace n ON n.id = q.namespace_id WHERE n.name = 'hidden';

-- The plan of a statement with what it counts, without the value that was guessed.
CREATE FUNCTION pg_temp.plan_of(view text, column_name text, value text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    line text;
    plan text := '';
BEGIN
    FOR line IN EXECUTE format('EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off, BUFFERS off) '
        'SELECT FROM pgqueue.%I WHERE %I >= %L AND %I <= %L', view, column_name, value, column_name, value || 'z')
    LOOP
        plan := plan || replace(replace(line, quote_literal(value), '?'), quote_literal(value || 'z'), '?') || E'\n';
    END LOOP;
    RETURN regexp_replace(plan, 'Memory: \d+kB|Buckets: .*', '', 'g');
END
$$;
-- Every text column of these views that has the secret for the superuser, with its value.
CREATE TEMP TABLE guess (view text, name text, value text);
DO $$
DECLARE
    c record;
    found text;
BEGIN
    FOR c IN
        SELECT t.relname AS view, a.attname AS name
        FROM pg_class t
        JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND a.atttypid = 'text'::regtype
        WHERE t.relnamespace = 'pgqueue'::regnamespace AND t.relkind = 'v'
            AND t.relname IN ('task', 'task_attempt', 'task_archive', 'ticker', 'ticker_run', 'handler', 'queue',
                'slow_task')
    LOOP
        EXECUTE format('SELECT max(%I) FROM pgqueue.%I WHERE namespace = ''hidden'' AND %1$I LIKE ''%%secret%%''',
            c.name, c.view) INTO found;
        IF found IS NOT NULL THEN
            INSERT INTO guess VALUES (c.view, c.name, found);
        END IF;
    END LOOP;
END
$$;
GRANT SELECT ON guess TO PUBLIC;
SELECT cmp_ok((SELECT count(*) FROM guess), '>', 15::bigint, 'there is much to guess');
SELECT is((SELECT string_agg(DISTINCT view, ' ' ORDER BY view) FROM guess),
    'handler queue slow_task task task_archive task_attempt ticker ticker_run', 'in each view');

SELECT isnt(pg_temp.plan_of('task', 'command', 'SELECT secret'), pg_temp.plan_of('task', 'command', 'xELECT secret'),
    'who may see the task sees a difference');
SET ROLE tap_reads;
SELECT is(pg_temp.plan_of(view, name, value), pg_temp.plan_of(view, name, 'x' || substr(value, 2)),
    format('without rights: %s of %s', name, view)) FROM guess
-- Names have indexes of their own: they may be guessed (docs/privileges.md).
WHERE (view, name) NOT IN (('handler', 'function'), ('handler', 'phase'), ('handler', 'type'), ('queue', 'queue'),
        ('ticker', 'ticker')) AND name <> 'namespace' ORDER BY view, name;
SET ROLE tap_uses;
SELECT is(pg_temp.plan_of(view, name, value), pg_temp.plan_of(view, name, 'x' || substr(value, 2)),
    format('with use: %s of %s', name, view)) FROM guess
WHERE view LIKE 'task%' AND name NOT IN ('namespace', 'queue') ORDER BY view, name;
RESET ROLE;
SELECT * FROM finish();
ROLLBACK;
