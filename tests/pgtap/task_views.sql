-- What the views of tasks show of stored rows, and INSERT, UPDATE, DELETE on them. The rows are written by hand: one
-- task in each state, in different segments.
\set ECHO none
\set QUIET 1
BEGIN;
SELECT no_plan();
SELECT pgqueue.create_queue('q'), pgqueue.create_queue('dead') \g /dev/null
CREATE FUNCTION pg_temp.put(segment integer, id bigint, status integer, attempt integer, columns jsonb DEFAULT '{}')
    RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    row_type regclass := format('pgqueue_internal.segment_%s', segment)::regclass;
BEGIN
    EXECUTE format('INSERT INTO %s SELECT (jsonb_populate_record(NULL::%1$s, $1)).*',
        row_type) USING jsonb_build_object('id', id, 'status', status, 'attempt', attempt,
        'queue_id', (SELECT q.id FROM pgqueue_internal.queue q WHERE q.name = 'q'), 'role_id',
        (SELECT pgqueue_internal.note_role(oid) FROM pg_roles WHERE rolname = current_user),
        'flags', 0, 'uncounted', 0, 'retries', 3, 'crashes', 0, 'priority', 100, 'pid', 0, 'origin_queue_id', 0,
        'epoch', 0, 'receipt', 0, 'run_limit', -1,
        'created_at', '2026-01-01 00:00+00', 'command', 'SELECT 1') || columns;
END
$$;
CREATE FUNCTION pg_temp.ended(segment integer, id bigint, attempt integer, outcome integer, columns jsonb DEFAULT '{}')
    RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format(
        'INSERT INTO pgqueue_internal.outcome_%s SELECT (jsonb_populate_record(NULL::pgqueue_internal.outcome_%1$s, '
        '$1)).*', segment) USING jsonb_build_object('id', id, 'attempt', attempt,
        'outcome', outcome, 'pid', 42, 'receipt', 7, 'started_at', '2026-01-01 00:01+00', 'finished_at',
        '2026-01-01 00:02+00', 'worker', 'w') || columns;
END
$$;
SELECT pg_temp.put(0, 901, 0, 0, '{"command": null, "payload": {"a": 1}, "headers": {"h": 1}, "type": "t", '
        '"group_key": "g", "dedup_key": "d", "batch_key": "b", "ticker": "tick", "depends_on": [1, 2]}'),
    pg_temp.put(1, 902, 1, 1, '{"delayed_at": "2026-01-01 00:05+00", "worker": "w", "pid": 42, "receipt": 7}'),
    pg_temp.ended(1, 902, 1, 1, '{"error": "division by zero", "error_code": "22012", "error_info": {"detail": "d"}}'),
    pg_temp.put(2, 903, 2, 2,
        '{"worker": "w2", "pid": 43, "receipt": 8, "flags": 8, "started_at": "2026-01-01 00:03+00", '
        '"lease_until": "2026-01-01 01:00+00"}'),
        pg_temp.ended(2, 903, 1, 3, '{"error": "lost", "error_code": "PQ102"}'),
    pg_temp.put(3, 904, 3, 2, '{"worker": "w", "finished_at": "2026-01-01 00:02+00"}'),
    pg_temp.ended(3, 904, 1, 1, '{"error": "once", "error_code": "XX000"}'),
    pg_temp.ended(3, 904, 2, 0,
        '{"result": {"tag": "SELECT 1", "rows": 1}, "cpu_us": 500000, "wal_bytes": 10, "row_count": 1, '
        '"role": "bob"}'),
    pg_temp.put(4, 905, 4, 1,
        jsonb_build_object('origin_queue_id', (SELECT id FROM pgqueue_internal.queue WHERE name = 'dead'), 'flags', 1)),
        pg_temp.ended(4, 905, 1, 1, '{"error": "bad", "error_code": "42601"}'),
    pg_temp.put(5, 906, 5, 0), pg_temp.put(0, 907, 6, 0),
    pg_temp.put(0, 908, 3, 1, '{"worker": "w", "receipt": 9, "flags": 8, "started_at": "2026-01-01 00:03+00", '
        '"finished_at": "2026-01-01 00:04+00", "cpu_us": 1500000, "wal_bytes": 7, "row_count": 0}') \g /dev/null

-- task.
SELECT results_eq('SELECT id, status FROM pgqueue.task ORDER BY id',
    $$VALUES (901::bigint, 'new'), (902, 'retry'), (903, 'retained'), (904, 'released'), (905, 'failed'),
        (906, 'expired'), (907, 'cancelled'), (908, 'released')$$,
    'a row for each task, from all segments, with the word of its status (C21)');
SELECT is((SELECT to_jsonb(t) - 'created_at' FROM pgqueue.task t WHERE id = 901),
    jsonb_build_object('role', current_user) ||
    '{"id": 901, "namespace": "default", "queue": "q", "status": "new", "type": "t", "command": null,
      "payload": {"a": 1}, "headers": {"h": 1}, "priority": 100, "attempt": 0, "retries": 3,
      "group_key": "g", "dedup_key": "d", "batch_key": "b", "depends_on": [1, 2], "delayed_at": null, "dies_at": null,
      "started_at": null, "finished_at": null, "worker": null, "pid": null, "receipt": null,
      "lease_until": null, "result": null,
      "error": null, "error_code": null, "error_info": null, "transactional": null, "ticker": "tick",
      "origin_queue": null}',
    'a fresh payload task, whole');
SELECT results_eq('SELECT worker, pid, receipt, lease_until, error, error_code, error_info FROM pgqueue.task '
    'WHERE id = 902',
    $$VALUES ('w', NULL::integer, NULL::bigint, NULL::timestamptz, 'division by zero', '22012',
        '{"detail": "d"}'::jsonb)$$, 'a waiting retry: who held it and its error, no live lease');
SELECT results_eq('SELECT worker, pid, receipt, lease_until, error_code, result FROM pgqueue.task WHERE id = 903',
    $$VALUES ('w2', 43, 8::bigint, '2026-01-01 01:00+00'::timestamptz, 'PQ102', NULL::jsonb)$$,
    'a retained one: the live lease, and the error of the last failed attempt');
SELECT results_eq('SELECT result ->> ''tag'', error, transactional FROM pgqueue.task WHERE id = 904',
    $$VALUES ('SELECT 1', 'once', true)$$, 'a released one: its result, and the last error on the way');
SELECT results_eq('SELECT error, origin_queue, transactional FROM pgqueue.task WHERE id = 905',
    $$VALUES ('bad', 'dead', false)$$, 'a failed one from another queue, at top level');
SELECT results_eq('SELECT result, error FROM pgqueue.task WHERE id = 908', 'VALUES (NULL::jsonb, NULL::text)',
    'released without a result');
SELECT is((SELECT count(*) FROM pgqueue.task WHERE queue = 'q' AND status = 'released'), 2::bigint, 'filters');
SELECT results_eq('SELECT id FROM pgqueue.get_task(904)', 'VALUES (904::bigint)', 'get_task');
SELECT is_empty('SELECT * FROM pgqueue.get_task(999)', 'get_task: unknown: no row');
SELECT throws_ok('SELECT * FROM pgqueue.get_task(NULL)', '22004', 'argument "id" must not be NULL', 'get_task: no id');
SELECT results_eq($$SELECT id FROM pgqueue.get_task(904, ' DEFAULT ')$$, 'VALUES (904::bigint)',
    'get_task: with its namespace');
SELECT throws_ok($$SELECT * FROM pgqueue.get_task(904, 'pgqueue')$$, '42704', NULL, 'get_task: with another namespace');
SELECT is_empty('SELECT * FROM pgqueue.current_task()', 'current_task: no row outside a task');
-- A client's time zone changes how times look, not their order (K16).
SET LOCAL timezone = 'Pacific/Auckland';
SELECT results_eq('SELECT id FROM pgqueue.task WHERE created_at = ''2025-12-31 12:00-12'' ORDER BY created_at, id '
    'LIMIT 2', 'VALUES (901::bigint), (902)', 'order and comparison do not depend on the session''s time zone (K16)');
RESET timezone;

-- One look-up in each segment for an id, none in the outcomes that are not asked for.
CREATE FUNCTION pg_temp.plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE 'EXPLAIN (COSTS off) ' || query;
END
$$;
SET LOCAL enable_seqscan = off;
SELECT is((SELECT count(*) FROM pg_temp.plan('SELECT status FROM pgqueue.task WHERE id = 901') p
    WHERE p ~ 'Index.* Scan using segment_\d_pkey'), 6::bigint, 'an id is looked up by the key of each segment (K15)');
SELECT is((SELECT count(*) FROM pg_temp.plan('SELECT status FROM pgqueue.task WHERE id = 901') p
    WHERE p ~ 'Seq Scan on segment|outcome'), 0::bigint, 'and nowhere else (K15)');
RESET enable_seqscan;

-- A parallel plan, where what is known of rights has to be read again in the middle of it.
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SELECT cmp_ok((SELECT count(*) FROM pg_temp.plan('SELECT count(*) FROM pgqueue.task') p WHERE p ~ 'Parallel'), '>',
    0::bigint, 'the views can be read by a parallel plan');
CREATE ROLE tap_new;
CREATE TEMP TABLE counted AS SELECT count(*) FROM pgqueue.task;  -- inside a function there are no parallel plans
SELECT is((SELECT count FROM counted), 8::bigint, 'also when rights may have changed');
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;

-- A condemned segment counts as empty.
UPDATE pgqueue_internal.ring SET condemned = true WHERE slot = 3;
SELECT is((SELECT count(*) FROM pgqueue.task WHERE id = 904), 0::bigint, 'tasks of a condemned segment are gone');
SELECT is((SELECT count(*) FROM pgqueue.task_attempt WHERE task_id = 904), 0::bigint, 'and their attempts');
SELECT is((SELECT count(*) FROM pgqueue.task), 7::bigint, 'the others are not');
UPDATE pgqueue_internal.ring SET condemned = false WHERE slot = 3;

-- task_attempt.
SELECT results_eq('SELECT task_id, attempt, outcome, receipt, worker, pid, error_code FROM pgqueue.task_attempt '
    'ORDER BY task_id, attempt',
    $$VALUES (902::bigint, 1, 'failed', 7::bigint, 'w', 42, '22012'), (903, 1, 'lost', 7, 'w', 42, 'PQ102'),
    (903, 2, NULL, 8, 'w2', 43, NULL), (904, 1, 'failed', 7, 'w', 42, 'XX000'), (904, 2, 'released', 7, 'w', 42, NULL),
    (905, 1, 'failed', 7, 'w', 42, '42601'), (908, 1, 'released', 9, 'w', NULL, NULL)$$,
    'a row for each attempt, live ones too');
SELECT results_eq('SELECT started_at, finished_at, lease_until, role FROM pgqueue.task_attempt '
    'WHERE task_id = 903 AND attempt = 2',
    format($$VALUES ('2026-01-01 00:03+00'::timestamptz, NULL::timestamptz, '2026-01-01 01:00+00'::timestamptz, %L)$$,
        current_user), 'a live one in the server has no end; its role is the task''s');
SELECT results_eq('SELECT finished_at, role, cpu_seconds, wal_bytes, blocks_hit, row_count FROM pgqueue.task_attempt '
    'WHERE task_id = 908', format($$VALUES ('2026-01-01 00:04+00'::timestamptz, %L, 1.5::double precision, 7::bigint,
    0::bigint, 0::bigint)$$, current_user), 'one that ended without an outcome row; costs that are not stored are 0');
SELECT results_eq('SELECT role, cpu_seconds, wal_bytes, row_count FROM pgqueue.task_attempt '
    'WHERE task_id = 904 AND attempt = 2', $$VALUES ('bob', 0.5::double precision, 10::bigint, 1::bigint)$$, 'costs');

-- task_archive.
INSERT INTO pgqueue_internal.archive (id, namespace_id, namespace, queue, status, role_id, payload, result)
VALUES (950, 1, 'default', 'old', 'released', pgqueue_internal.note_role(current_user::regrole),
    '{"p": 1}', '{"r": 1}');
SELECT results_eq('SELECT id, namespace, queue, status, payload, result FROM pgqueue.task_archive',
    $$VALUES (950::bigint, 'default', 'old', 'released', '{"p": 1}'::jsonb, '{"r": 1}'::jsonb)$$, 'task_archive');
SELECT results_eq('SELECT id, queue FROM pgqueue.get_task(950)', $$VALUES (950::bigint, 'old')$$,
    'get_task looks in the archive too');
SELECT throws_ok('SELECT * FROM pgqueue.get_task(950, ''pgqueue'')', '42704', NULL, 'with another namespace');
SELECT results_eq('DELETE FROM pgqueue.task_archive WHERE id = 950 RETURNING id', 'VALUES (950::bigint)',
    'DELETE FROM task_archive');
SELECT is_empty('SELECT FROM pgqueue.task_archive', 'it is gone');

-- INSERT INTO task.
SELECT isnt((SELECT pgqueue.create_task('q', '{"a": 1}')), NULL, 'create_task');
CREATE TEMP TABLE made (id bigint);
WITH i AS (INSERT INTO pgqueue.task (queue, payload) VALUES (' Q ', '{"by": "insert"}') RETURNING *)
INSERT INTO made SELECT id
FROM i
WHERE status = 'new' AND queue = 'q' AND retries = 3;
SELECT is((SELECT payload ->> 'by' FROM pgqueue.task JOIN made USING (id)), 'insert', 'INSERT INTO task … RETURNING');
SELECT results_eq(
    $$INSERT INTO pgqueue.task (queue, payload, dies_at) VALUES ('q', '{}', '2100-01-01 00:00+00')
        RETURNING dies_at - '2100-01-01 00:00+00' BETWEEN '0' AND '1 min'$$, 'VALUES (true)', 'INSERT with dies_at');
SELECT results_eq(
    $$INSERT INTO pgqueue.task (queue, payload, delayed_at, dies_at)
        VALUES ('q', '{}', '2099-01-01 00:00+00', '2100-01-01 00:00+00') RETURNING delayed_at, dies_at$$,
    $$VALUES ('2099-01-01 00:00+00'::timestamptz, '2100-01-01 00:00+00'::timestamptz)$$,
    'with delayed_at too it is exact');
SELECT throws_ok(format('INSERT INTO pgqueue.task (queue, payload, %I) VALUES (%L, %L, %s)', name, 'q', '{}', value),
    '0A000', format('column "%s" of view "task" cannot be set', name), format('INSERT of %s is refused', name))
FROM (VALUES ('id', '1'), ('status', '''new'''), ('role', '''x'''), ('attempt', '1'), ('created_at', 'now()'),
    ('started_at', 'now()'), ('finished_at', 'now()'), ('worker', '''w'''), ('pid', '1'), ('receipt', '1'),
    ('lease_until', 'now()'), ('result', '''{}'''), ('error', '''e'''), ('error_code', '''e'''),
    ('error_info', '''{}'''), ('transactional', 'true'), ('ticker', '''t'''),
    ('origin_queue', '''o''')) v (name, value);
SELECT throws_ok($$INSERT INTO pgqueue.task (queue, payload) VALUES ('nosuch', '{}')$$, '42704', NULL,
    'INSERT into an unknown queue');
SELECT throws_ok($$INSERT INTO pgqueue.task (payload) VALUES ('{}')$$, '22004', NULL, 'INSERT without a queue');

-- UPDATE task.
SELECT results_eq('UPDATE pgqueue.task t SET priority = 5 FROM made m WHERE t.id = m.id RETURNING t.priority',
    'VALUES (5)', 'UPDATE of the priority');
SELECT is((SELECT priority FROM pgqueue.task JOIN made USING (id)), 5, 'is stored');
SELECT throws_ok(format('UPDATE pgqueue.task SET %I = %s WHERE id IN (SELECT id FROM made)', name, value), '0A000',
    format('column "%s" of view "task" cannot be set', name), format('UPDATE of %s is refused', name))
FROM (VALUES ('id', '1'), ('namespace', '''x'''), ('type', '''t'''), ('command', '''SELECT 2'''), ('role', '''x'''),
    ('attempt', '7'), ('created_at', 'now()'), ('worker', '''w'''), ('result', '''{}'''), ('error', '''e'''),
    ('dedup_key', '''k'''), ('batch_key', '''b'''), ('ticker', '''t''')) v (name, value);
SELECT throws_ok('UPDATE pgqueue.task SET status = ''released'' WHERE id IN (SELECT id FROM made)', '22023', NULL,
    'a status that is no request');
SELECT results_eq('UPDATE pgqueue.task SET status = ''cancelled'' WHERE id IN (SELECT id FROM made) RETURNING status',
    $$VALUES ('cancelled')$$, 'UPDATE of the status cancels');
SELECT is((SELECT status FROM pgqueue.task JOIN made USING (id)), 'cancelled', 'is stored');
SELECT is((SELECT count(*) FROM (SELECT pgqueue.retry_task(id) FROM made) r), 1::bigint, 'retry_task');

-- DELETE FROM task.
SELECT results_eq('DELETE FROM pgqueue.task t USING made m WHERE t.id = m.id RETURNING t.queue',
    $$VALUES ('q')$$, 'DELETE');
SELECT is_empty('SELECT FROM pgqueue.task JOIN made USING (id)', 'it is gone');

-- Names of priorities.
SELECT results_eq($$SELECT n, pgqueue.priority_value(n) FROM unnest('{high,default,low}'::text[]) n$$,
    $$VALUES ('high', 10), ('default', 100), ('low', 1000)$$, 'priority_value');
SELECT results_eq($$SELECT pgqueue.priority_name(n) FROM unnest('{10,100,1000,7,NULL}'::integer[]) n$$,
    $$VALUES ('high'), ('default'), ('low'), ('unknown'), ('unknown')$$, 'priority_name');
SELECT throws_ok($$SELECT pgqueue.priority_value('urgent')$$, '22023', NULL, 'priority_value: an unknown name');
SELECT throws_ok($$SELECT pgqueue.priority_value(NULL)$$, '22004', NULL, 'priority_value: no name');

-- Lists are queries of the view (C45): filters, order, a page, and how many there are.
SELECT results_eq($$SELECT id FROM pgqueue.task WHERE queue = 'q' AND status = 'released' ORDER BY id$$,
    'VALUES (904::bigint), (908)', 'C45: tasks of a queue with a status');
SELECT results_eq(
    $$SELECT status, count(*) FROM pgqueue.task WHERE queue = 'q' AND id BETWEEN 901 AND 908 GROUP BY 1 ORDER BY 1$$,
    $$VALUES ('cancelled', 1::bigint), ('expired', 1), ('failed', 1), ('new', 1), ('released', 2), ('retained', 1),
        ('retry', 1)$$, 'C45: each status finds its own');
SELECT results_eq(
    $$SELECT id, count(*) OVER () FROM pgqueue.task WHERE queue = 'q' AND id BETWEEN 901 AND 908 ORDER BY id
        LIMIT 3 OFFSET 2$$, 'VALUES (903::bigint, 8::bigint), (904, 8), (905, 8)',
    'C45: offset and limit, with the number of all');
SELECT is_empty(
    $$SELECT id FROM pgqueue.task WHERE queue = 'q' AND id BETWEEN 901 AND 908 ORDER BY id LIMIT 3 OFFSET 8$$,
    'C45: nothing after the end');
SELECT is_empty($$SELECT id FROM pgqueue.task WHERE queue = 'dead' AND status = 'released'$$,
    'C45: nothing of another queue');
SELECT is_empty($$SELECT id FROM pgqueue.task WHERE status = 'done'$$, 'C45: a word that is no status finds nothing');

-- White space around the namespace goes, and nothing else.
SELECT namespace FROM pgqueue.create_namespace('vev') \g /dev/null
SELECT queue FROM pgqueue.create_queue('v', namespace => 'vev') \g /dev/null
SELECT pgqueue.create_task('v', '1', namespace => 'vev') AS v \gset
SELECT is((SELECT t.namespace FROM pgqueue.get_task(:v, E' vev\x0b ') t), 'vev', 'get_task: white space in namespace');
SELECT is(pgqueue.priority_value(E'low\x0b '), 1000, 'priority_value: the same');

SELECT * FROM finish();
ROLLBACK;
