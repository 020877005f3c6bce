-- Edges of faults.md §4: ranges, words and their texts, one for each mistake, at every entry.
\set ECHO none
\set QUIET 1
SELECT no_plan();
SELECT pgqueue.create_queue('q', ttl => '0') \g /dev/null
SELECT pgqueue.create_task('q', '1') AS id \gset

CREATE FUNCTION raised(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    hint text;
BEGIN
    EXECUTE call;
    RETURN 'nothing';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(' | ', SQLSTATE, SQLERRM, hint);
END
$$;

-- E2: every time is finite, every interval has its range.
SELECT is(raised(format('UPDATE pgqueue.task SET %I = %L WHERE id = %s', c, t, :id)), format('22023 | "%s" is out of range: %s | It must be a finite time.', c, t), format('E2: %s is not %s', c, t))
FROM unnest('{delayed_at,dies_at}'::text[]) c, unnest('{infinity,-infinity}'::text[]) t;
SELECT is(raised(format('INSERT INTO pgqueue.task (queue, payload, delayed_at) VALUES (''q'', ''1'', %L)', t)), format('22023 | "delayed_at" is out of range: %s | It must be a finite time.', t), format('E2: INSERT, not %s', t))
FROM unnest('{infinity,-infinity}'::text[]) t;
SELECT is(raised(format('SELECT pgqueue.create_task(''q'', ''1'', %s => %L)', a, i)), format('22023 | "%s" is out of range: %s | It must be between 0 and 1000 years.', a, i), format('E2: %s is not %s', a, i))
FROM unnest('{delay,ttl,run_limit,dedup_for}'::text[]) a, unnest('{-00:00:01,1001 years}'::text[]) i;
UPDATE pgqueue.task SET dies_at = '2000-01-01 00:00:00+00' WHERE id = :id;
SELECT isnt(dies_at, NULL, 'E2: no moment of the calendar means none') FROM pgqueue.task WHERE id = :id;

-- E3: durations and numbers below zero.
SELECT is(raised($$SELECT pgqueue.stop_workers(timeout => '-1 s')$$), '22023 | "timeout" is out of range: -00:00:01 | It must be between 0 and 1000 years.', 'E3: stop_workers');
SELECT is(raised($$SELECT pgqueue.progress(-1)$$), '22023 | "done" is out of range: -1 | It must be 0 or more.', 'E3: progress');
SELECT is(raised($$SELECT pgqueue.create_queue('r', rate_limit => 'Infinity')$$), '22023 | "rate_limit" is out of range: Infinity | It must be a finite number, 0 or more.', 'E3: rate_limit');
SELECT is(raised(format('SELECT pgqueue.%s(%L, %s => %s)', f, 'q', a, v)), format('22023 | "%s" is out of range: %s | %s', a, trim(v, ''''), h), format('E3: %s, %s', f, a))
FROM (VALUES ('redrive', 'max_tasks', '-1', 'It must be 0 or more.'), ('clean_queue', 'max_tasks', '-1', 'It must be 0 or more.'),
    ('clean_queue', 'older_than', '''-00:00:01''', 'It must be between 0 and 1000 years.')) v (f, a, v, h);

-- E4: one text for one mistake.
SELECT is(raised($$SELECT pgqueue.create_task('q', '1', retries => -1)$$), '22023 | "retries" is out of range: -1 | It must be between 0 and 32767.', 'E4: retries of a task');
SELECT is(raised($$SELECT pgqueue.create_queue('r', retries => -1)$$), '22023 | "retries" is out of range: -1 | It must be between 0 and 32767.', 'E4: of a queue');
SELECT is(raised(format('UPDATE pgqueue.task SET retries = -1 WHERE id = %s', :id)), '22023 | "retries" is out of range: -1 | It must be between 0 and 32767.', 'E4: of a task by UPDATE');
SELECT is(raised($$SELECT pgqueue.create_task('q', '1', on_conflict => 'x')$$), '22023 | invalid value for "on_conflict": "x" | Valid values: skip, nothing, replace, error.', 'E4: a word');
SELECT is(raised($$SELECT pgqueue.delete_queue('nosuch')$$), '42704 | queue "nosuch" does not exist in namespace "default" | See the view pgqueue.queue.', 'E4: who deletes a queue does not want to create it');
SELECT is(raised(format('UPDATE pgqueue.task SET status = ''nonsense'' WHERE id = %s', :id)),
    '22023 | invalid value for "status": "nonsense" | Valid values: new, retry, retained, released, failed, expired, cancelled.', 'E4: no status');
SELECT is(raised(format('UPDATE pgqueue.task SET status = ''failed'' WHERE id = %s', :id)), '0A000 | status cannot be set to "failed" | It can be set to cancelled and retry.', 'E4: a status that cannot be set');
SELECT like(raised($$SELECT pgqueue.update_ticker('cleanup', period => '1 hour', namespace => 'pgqueue')$$), '42939 | %', 'E4: the ticker cleanup is reserved');
SELECT like(raised($$UPDATE pgqueue.ticker SET period = '1 hour' WHERE ticker = 'cleanup'$$), '42939 | %', 'E4: by UPDATE too');
SELECT like(raised($$SET pgqueue.namespace = 'Bad Name'$$), '22023 | invalid value for parameter "pgqueue.namespace": "Bad Name"%', 'E4: the session''s namespace is a name');
SELECT is(raised($$SET pgqueue.namespace = ' Shop '$$), 'nothing', 'E4: written as everywhere');
RESET pgqueue.namespace;
CALL pgqueue.wait_for_task('{q}', '10 s') \g /dev/null
UPDATE pgqueue.task SET dies_at = NULL WHERE id = :id AND status = 'new';
SELECT pgqueue.create_task('q', '2') AS id2 \gset
CALL pgqueue.wait_for_task('{q}', '10 s') \g /dev/null
SELECT receipt, id AS id2 FROM pgqueue.next_task('w', 'q') \gset
SELECT pgqueue.release_task(:id2, :receipt) \g /dev/null
SELECT like(raised(format('SELECT pgqueue.release_task(%s, %s)', :id2, :receipt)), 'PQ001 | % | Nothing is left to do for it.', 'E4: a released task is not retained again');

-- E13: no key.
SELECT pgqueue.create_queue('keys', ttl => '0') \g /dev/null
CREATE TEMPORARY TABLE made AS SELECT id, ordinality AS n FROM pgqueue.create_tasks('keys', ARRAY['1', '2', '3']::jsonb[], dedup_keys => ARRAY['a', NULL, 'b'], group_keys => ARRAY[NULL, 'g', NULL]) WITH ORDINALITY t (id, ordinality);
SELECT is(string_agg(concat(coalesce(dedup_key, '-'), coalesce(group_key, '-')), ' ' ORDER BY n), 'a- -g b-', 'E13: NULL elements of the keys mean no key') FROM made JOIN pgqueue.task USING (id);

-- E12: steps above the field's maximum.
SELECT is(pgqueue_internal.pg_cron_numbers('16-23/24', 0, 23, '{}'), '{16}', 'E12: a step beyond the range leaves its first');

SELECT * FROM finish();
\ir ../lib/clean.sql
