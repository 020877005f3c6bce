-- Workflows from SQL: what is stored, what is refused. Runs are in tests/tap/050_workflows.pl.
\set ECHO none
\set QUIET 1
BEGIN;
SELECT no_plan();
SELECT pgqueue.create_queue('flow'), pgqueue.create_namespace('elsewhere') \g /dev/null
SELECT pgqueue.create_queue('flow', namespace => 'elsewhere') \g /dev/null
SELECT pgqueue.create_task('flow', '{}') AS a \gset
SELECT pgqueue.create_task('flow', '{}', namespace => 'elsewhere') AS foreign_id \gset
SELECT pgqueue.create_task('flow', '{}', depends_on => ARRAY[:a, :a], batch_key => 'b') AS w \gset
SELECT results_eq(format('SELECT status, depends_on, batch_key FROM pgqueue.task WHERE id = %s', :w),
    format($$VALUES ('new', ARRAY[%s, %s]::bigint[], 'b')$$, :a, :a),
    'a waiting task is new and shows what it waits for');
SELECT is((SELECT count(*) FROM pgqueue_internal.dependency WHERE task_id = :w), 1::bigint, 'an id twice is one edge');
SELECT throws_ok($$SELECT pgqueue.create_task('flow', '{}', depends_on => '{999999}')$$, '42704',
    'task 999999 does not exist', 'an unknown dependency');
SELECT throws_ok(format($$SELECT pgqueue.create_task('flow', '{}', depends_on => '{%s}')$$, :foreign_id), '42704', NULL,
    'a dependency of another namespace');
SELECT throws_ok($$SELECT pgqueue.create_task('flow', '{}', depends_on => '{NULL}')$$, '22004', NULL,
    'a NULL among the dependencies');
SELECT throws_ok($$SELECT pgqueue.create_task('flow', '{}', depends_on => '{{1},{2}}')$$, '2202E', NULL,
    'two dimensions');
SELECT throws_ok($$SELECT pgqueue.create_task('flow', '{}', batch_key => '')$$, '22023', NULL, 'an empty batch key');
SELECT throws_ok($$SELECT pgqueue.create_task('flow', '{}', batch_key => 'b', depends_on_batch => 'b')$$, '22023', NULL,
    'a task that waits for its own batch');
SELECT throws_ok($$SELECT pgqueue.create_task('flow', '{}', on_failed_dependency => 'maybe')$$, '22023', NULL,
    'an unknown policy');
SELECT pgqueue.create_task('flow', '{}', depends_on => '{}') AS e \gset
SELECT is((SELECT flags::integer & 2048 FROM pgqueue_internal.segment WHERE id = :e), 0,
    'an empty array is nothing to wait for');
SAVEPOINT s;
SELECT pgqueue.create_task('flow', '{}', depends_on => ARRAY[:a], depends_on_batch => 'b') AS r \gset
ROLLBACK TO s;
SELECT is((SELECT count(*) FROM pgqueue_internal.dependency WHERE task_id = :r) + (SELECT count(*)
    FROM pgqueue_internal.batch_waiter WHERE task_id = :r), 0::bigint, 'ROLLBACK TO takes edges and waits along');
SELECT is((SELECT count(*)
    FROM pgqueue.create_tasks('flow', '{"{}","{}","{}"}', depends_on => ARRAY[:a], batch_key => 'many')), 3::bigint,
    'create_tasks');
SELECT is((SELECT count(*) FROM pgqueue_internal.dependency WHERE awaited = :a), 4::bigint, 'each of its tasks waits');
SELECT is((SELECT count(*) FROM pgqueue_internal.batch_member WHERE batch_key = 'many'), 3::bigint,
    'and is in the batch');
SELECT pgqueue.create_task('flow', '{}', dedup_key => 'k', depends_on => ARRAY[:a]) AS k \gset
SELECT is(pgqueue.create_task('flow', '{}', dedup_key => 'k', depends_on => ARRAY[:w]), :k::bigint, 'a duplicate');
SELECT is((SELECT array_agg(awaited) FROM pgqueue_internal.dependency WHERE task_id = :k), ARRAY[:a]::bigint[],
    'adds no edges');

-- Nearly all rows are of one task, or of one batch: the lookup of another one still reads few (T2).
SELECT pgqueue.create_queue('skewed') \g /dev/null
SELECT pgqueue.create_task('skewed', '{}') AS parent \gset
SELECT count(*) FROM pgqueue.create_tasks('skewed', array_fill('{}'::jsonb, ARRAY[20000]), depends_on => ARRAY[:parent],
    batch_key => 'skewed', depends_on_batch => 'many') \g /dev/null
ANALYZE pgqueue_internal.dependency, pgqueue_internal.batch_member, pgqueue_internal.batch_waiter;
-- As src/worker/own_settings.cpp has them.
SET LOCAL enable_bitmapscan = off;
SET LOCAL enable_seqscan = off;
SET LOCAL enable_sort = off;
SET LOCAL plan_cache_mode = force_generic_plan;
CREATE FUNCTION pg_temp.plan_of(types text, query text, arguments text) RETURNS SETOF text LANGUAGE plpgsql AS $$BEGIN
    EXECUTE format('PREPARE q (%s) AS %s', types, query);
    RETURN QUERY EXECUTE format('EXPLAIN (COSTS OFF) EXECUTE q (%s)', arguments);
    DEALLOCATE q;
END$$;
SELECT is((SELECT string_agg(line, '; ') FROM pg_temp.plan_of(types, query, arguments) line
        WHERE line ~ 'Scan|Filter|Sort' AND line !~ expected),
    NULL, 'it is found by ' || expected)
FROM (VALUES
    ('integer, bigint, bigint', 'SELECT task_id FROM pgqueue_internal.dependency WHERE namespace_id = $1 '
        'AND awaited = $2 AND task_id > $3 ORDER BY task_id LIMIT 32', '1, 1, 0', 'dependency_pkey'),
    ('integer, bigint, bigint', 'SELECT awaited FROM pgqueue_internal.dependency WHERE namespace_id = $1 '
        'AND task_id = $2 AND awaited > $3 ORDER BY awaited LIMIT 32', '1, 1, 0', 'dependency_task'),
    ('integer, bigint', 'SELECT task_id FROM pgqueue_internal.batch_member WHERE namespace_id = $1 AND task_id > $2 '
        'ORDER BY task_id LIMIT 32', '1, 0', 'batch_member_pkey'),
    ('integer, text', 'SELECT 1 FROM pgqueue_internal.batch_member WHERE namespace_id = $1 AND batch_key = $2 LIMIT 1',
        '1, ''x''', 'batch_member_key'),
    ('integer, text, bigint', 'SELECT task_id FROM pgqueue_internal.batch_waiter WHERE namespace_id = $1 '
        'AND batch_key = $2 AND task_id > $3 ORDER BY namespace_id, batch_key, task_id LIMIT 32', '1, ''x'', 0',
        'batch_waiter_key')) v (types, query, arguments, expected);
SELECT * FROM finish();
ROLLBACK;
