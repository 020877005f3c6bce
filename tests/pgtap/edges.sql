-- What stands at the edges: times, durations, words and texts at every entry (E2 to E6, E13). Bad
-- calls of single functions: bad_input.sql.
\set ECHO none
\set QUIET 1
SELECT no_plan();
SET client_min_messages = warning;
SELECT pgqueue.create_queue('q', ttl => '0'), pgqueue.create_queue('keyed', ttl => '0'),
    pgqueue.create_queue('held', ttl => '0') \g /dev/null
SELECT pgqueue.create_task('q', '1') AS id \gset
SELECT pgqueue.create_ticker('t', period => '1 hour') \g /dev/null

-- E2: a time that is not finite, or that no calendar needs, is refused wherever one can be given. Tickers know two
-- words for none: -infinity for starts_at, infinity for ends_at; pause_queue one: infinity.
SELECT throws_ok(format(entry, moment), '22023', NULL, format('E2: %s', format(entry, moment)))
FROM unnest('{-infinity,infinity,12000-01-01 00:00Z}'::text[]) moment,
    unnest(ARRAY['UPDATE pgqueue.task SET delayed_at = %L', 'UPDATE pgqueue.task SET dies_at = %L',
    'INSERT INTO pgqueue.task (queue, payload, delayed_at) VALUES (''q'', ''1'', %L)',
    'INSERT INTO pgqueue.task (queue, payload, dies_at) VALUES (''q'', ''1'', %L)',
    'SELECT pgqueue.create_task(''q'', ''1'', delayed_at => %L)',
    'SELECT pgqueue.create_tasks(''q'', ''{1}'', delayed_at => %L)', 'SELECT pgqueue.fire_ticker(''t'', %L)']) entry;
SELECT throws_ok(call, '22023', NULL, 'E2: ' || call)
FROM unnest(ARRAY['SELECT pgqueue.update_ticker(''t'', starts_at => ''infinity'')',
    'SELECT pgqueue.update_ticker(''t'', ends_at => ''-infinity'')',
    'UPDATE pgqueue.ticker SET starts_at = ''infinity'' WHERE ticker = ''t''',
    'UPDATE pgqueue.ticker SET ends_at = ''12000-01-01 00:00Z'' WHERE ticker = ''t''',
    'UPDATE pgqueue.queue SET paused = true, paused_until = ''-infinity'' WHERE queue = ''q''',
    'UPDATE pgqueue.queue SET paused = true, paused_until = ''12000-01-01 00:00Z'' WHERE queue = ''q''',
    'UPDATE pgqueue.queue SET paused = true, paused_until = ''2000-01-01 00:00Z'' WHERE queue = ''q''',
    'SELECT pgqueue.pause_queue(''q'', until => ''2000-01-01 00:00Z'')',
    'SELECT pgqueue.pause_queue(''q'', until => ''12000-01-01 00:00Z'')',
    'SELECT pgqueue.cron_next(''@daily'', ''infinity'')']) call;
SELECT throws_ok(format(call, longest), '22023', NULL, 'E2: ' || format(call, longest))
FROM unnest('{1001 years,-1 s}'::text[]) longest,
    unnest(ARRAY['SELECT pgqueue.create_task(''q'', ''1'', delay => %L)',
        'SELECT pgqueue.create_task(''q'', ''1'', ttl => %L)',
        'SELECT pgqueue.create_task(''q'', ''1'', run_limit => %L)',
    'SELECT pgqueue.create_task(''q'', ''1'', dedup_key => ''k'', dedup_for => %L)', 'SELECT pgqueue.retry_task(1, %L)',
    'SELECT pgqueue.fail_task(1, 1, retry_in => %L)', 'SELECT pgqueue.snooze_task(1, 1, %L)',
    'SELECT pgqueue.extend_task(1, 1, %L)', 'SELECT pgqueue.next_task(''w'', lease => %L)',
    'SELECT pgqueue.clean_queue(''q'', %L)', 'SELECT pgqueue.stop_workers(timeout => %L)',
    'SELECT pgqueue.create_queue(''q'', ttl => %L)', 'UPDATE pgqueue.queue SET lease = %L WHERE queue = ''q''',
    'UPDATE pgqueue.ticker SET jitter = %L WHERE ticker = ''t''']) call;
-- The moment that the server counts from is one as the others.
UPDATE pgqueue.task SET dies_at = '2000-01-01 00:00Z' WHERE id = :id;
SELECT isnt((SELECT status || ':' || coalesce(dies_at::date::text, 'never') FROM pgqueue.task WHERE id = :id),
    'new:never', 'E2: 2000-01-01 00:00Z is not never');
SELECT throws_ok(
    $$INSERT INTO pgqueue.task (queue, payload, delayed_at, dies_at) SELECT 'q', '1', m, m
        FROM (SELECT now() + interval '1 day') x (m)$$, '22023', NULL, 'E2: a task that dies when it is due');
SELECT results_eq($$SELECT paused_until FROM pgqueue.pause_queue('q', until => 'infinity')$$,
    $$VALUES ('infinity'::timestamptz)$$, 'E2: a pause without an end');
SELECT pgqueue.resume_queue('q') \g /dev/null

-- E3: what is silly is not taken in silence.
SELECT throws_ok($$SELECT pgqueue.progress(-1)$$, '22023', '"done" is out of range: -1', 'E3: progress below zero');
SELECT throws_ok($$SELECT pgqueue.progress('infinity')$$, '22023', NULL, 'E3: progress without end');
SELECT throws_ok($$SELECT pgqueue.stop_workers(timeout => '-1 s')$$, '22023', '"timeout" is out of range: -00:00:01',
    'E3: stop_workers');
\set ON_ERROR_STOP 0
CALL pgqueue.wait_for_task('{q}', '-1 s');
SELECT is(:'SQLSTATE'::text, '22023', 'E3: wait_for_task');
CALL pgqueue.wait_for_result(:id, '-1 s');
SELECT is(:'SQLSTATE'::text, '22023', 'E3: wait_for_result');
\set ON_ERROR_STOP 1
CREATE FUNCTION pg_temp.hint_of(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    message text;
    hint text;
BEGIN
    EXECUTE call;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
    RETURN sqlstate || ' ' || message || ' / ' || hint;
END
$$;
SELECT is(pg_temp.hint_of($$SELECT pgqueue.update_queue('q', rate_limit => 'Infinity')$$),
    '22023 "rate_limit" is out of range: Infinity / It must be 0 or more, and finite.', 'E3: a rate without end');

-- E4: one text for one mistake, from C and from SQL.
SELECT is(pg_temp.hint_of(call), wanted, 'E4: ' || call) FROM (VALUES
    ($$SELECT pgqueue.create_task('q', '1', retries => -1)$$,
        '22023 "retries" is out of range: -1 / It must be between 0 and 32767.'),
    ($$SELECT pgqueue.update_queue('q', retries => -1)$$,
        '22023 "retries" is out of range: -1 / It must be between 0 and 32767.'),
    ($$UPDATE pgqueue.task SET retries = -1$$, '22023 "retries" is out of range: -1 / It must be between 0 and 32767.'),
    ($$SELECT pgqueue.next_tasks('w', max_tasks => 0)$$,
        '22023 "max_tasks" is out of range: 0 / It must be between 1 and 10000.'),
    ($$SELECT pgqueue.create_task('q', '1', ttl => '-1 s')$$,
        '22023 "ttl" is out of range: -00:00:01 / It must be between 0 and 1000 years.'),
    ($$SELECT pgqueue.update_queue('q', ttl => '-1 s')$$,
        '22023 "ttl" is out of range: -00:00:01 / It must be between 0 and 1000 years.'),
    ($$SELECT pgqueue.create_task('q', '1', on_conflict => 'maybe')$$,
        '22023 invalid value for "on_conflict": "maybe" / Valid values: skip, nothing, replace, error.'),
    ($$SELECT pgqueue.update_queue('q', executor => 'me')$$,
        '22023 invalid value for "executor": "me" / Valid values: outside, server.'),
    ($$UPDATE pgqueue.task SET status = 'done'$$,
        '22023 invalid value for "status": "done" / Valid values: cancelled, retry.'),
    ($$SELECT pgqueue.delete_queue('nosuch')$$,
        '42704 queue "nosuch" does not exist in namespace "default" / See the view pgqueue.queue.')) c (call, wanted);
SELECT throws_ok(call, '42939', 'ticker "cleanup" of namespace "pgqueue" is reserved for system use', 'E4: ' || call)
FROM unnest(ARRAY[
    $$SELECT pgqueue.update_ticker('cleanup', command => 'SELECT 1', namespace => 'pgqueue')$$,
    $$SELECT pgqueue.update_ticker('cleanup', period => '0', namespace => 'pgqueue')$$,
    $$SELECT pgqueue.update_ticker('cleanup', queue => 'nosuch', namespace => 'pgqueue')$$,
    $$UPDATE pgqueue.ticker SET type = 'x', command = 'SELECT 1' WHERE namespace = 'pgqueue'$$]) call;
SELECT throws_ok(format('SET pgqueue.namespace = %L', name), '42602', NULL, format('E4: SET pgqueue.namespace = %L',
    name)) FROM unnest(ARRAY['Bad Name', '', '1a', 'a b', repeat('a', 65)]) name;
SELECT lives_ok($$SET pgqueue.namespace = 'Default'$$, 'E4: a name in capitals is the name');
RESET pgqueue.namespace;
SELECT pgqueue.create_task('held', '1') AS released \gset
CALL pgqueue.wait_for_task('{held}', '30 s') \g /dev/null
SELECT receipt FROM pgqueue.next_task('w', 'held') \gset
SELECT throws_ok($$SELECT pgqueue.delete_queue('held')$$, '55006', 'queue "held" has 1 retained task', 'E4: one task');
SELECT pgqueue.release_task(:released, :receipt) \g /dev/null
SELECT matches(pg_temp.hint_of(format('SELECT pgqueue.release_task(%s, %s)', :released, :receipt)),
    'It is finished; there is nothing to end.$', 'E4: PQ001 of a released task');

-- E5: health says since when. For what waits: since when the task waits that has waited longest; for what
-- is full: since when tasks are refused.
SELECT pgqueue.create_queue('paused', ttl => '0'), pgqueue.create_queue('one', ttl => '0', max_running => 1),
    pgqueue.create_queue('slow', ttl => '0', rate_limit => 0.001),
    pgqueue.create_queue('full', ttl => '0', max_depth => 2),
    pgqueue.create_namespace('small', max_running => 1, max_depth => 3),
    pgqueue.create_queue('in_small', ttl => '0', namespace => 'small') \g /dev/null
SELECT pgqueue.create_task(q, '1', priority => 100 - g, namespace => CASE q WHEN 'in_small' THEN 'small' END)
FROM unnest('{paused,one,slow,in_small}'::text[]) q, generate_series(1, 3) g
ORDER BY g \g /dev/null
SELECT pgqueue.create_task('paused', '1', group_key => 'g') AS grouped \gset
SELECT pgqueue.create_task('full', '1') FROM generate_series(1, 2) \g /dev/null
CALL pgqueue.wait_for_task('{one,slow}', '30 s') \g /dev/null
SELECT count(*) FROM pgqueue.next_task('w', 'one') a, pgqueue.next_task('w', 'slow') b \g /dev/null
SET pgqueue.namespace = small;
SELECT count(*) FROM pgqueue.next_task('w', 'in_small') \g /dev/null
RESET pgqueue.namespace;
SELECT pgqueue.pause_queue('paused') \g /dev/null
SELECT is(h.since, (SELECT min(t.created_at) FROM pgqueue.task t
    WHERE (t.queue = h.queue OR (h.queue IS NULL AND t.namespace = h.namespace)) AND t.status = 'new'),
    format('E5: since of %s: %s', h.problem, h.message))
FROM pgqueue.health h WHERE h.problem IN ('limit', 'queue_paused') ORDER BY h.message;
SELECT is((SELECT array_agg(concat_ws(' ', problem, namespace, queue)
    ORDER BY concat_ws(' ', problem, namespace, queue) COLLATE "C")
    FROM pgqueue.health
    WHERE problem IN ('limit', 'queue_paused', 'queue_full')),
    '{"limit default one","limit default slow","limit small","queue_full default full","queue_full small",'
    '"queue_paused default paused"}'::text[], 'E5: all of them are there');
SELECT pgqueue.cancel_task(id) FROM pgqueue.task WHERE queue = 'paused' AND id <> :grouped \g /dev/null
SELECT is((SELECT since FROM pgqueue.health WHERE problem = 'queue_paused'),
    (SELECT created_at FROM pgqueue.task WHERE id = :grouped), 'E5: since of a task with a group key');
SELECT is((SELECT count(since) FROM pgqueue.health WHERE problem = 'queue_full'), 0::bigint,
    'E5: queue_full: no task was refused yet');
SELECT clock_timestamp() AS refused \gset
SELECT throws_ok($$SELECT pgqueue.create_task('full', '1')$$, 'PQ003', NULL, 'E5: a task is refused');
SELECT throws_ok($$SELECT pgqueue.create_task('in_small', '1', namespace => 'small')$$, 'PQ003', NULL,
    'E5: and one of a namespace');
SELECT is((SELECT count(*) FROM pgqueue.health
    WHERE problem = 'queue_full' AND since BETWEEN :'refused'::timestamptz - interval '1 s'
        AND clock_timestamp() + interval '1 s'), 2::bigint, 'E5: since then');
SELECT pgqueue.update_queue('full', max_depth => 3), pgqueue.create_task('full', '1') \g /dev/null
SELECT is((SELECT count(since) FROM pgqueue.health WHERE problem = 'queue_full' AND queue = 'full'), 0::bigint,
    'E5: a task that is taken begins anew');
-- Hints are statements; each of these takes its problem away.
CREATE PROCEDURE pg_temp.follow(word text) LANGUAGE plpgsql AS $$
DECLARE
    statement text;
BEGIN
    FOR statement IN SELECT h.hint FROM pgqueue.health h WHERE h.problem = word LOOP
        EXECUTE statement;
    END LOOP;
END
$$;
CALL pg_temp.follow('limit');
CALL pg_temp.follow('queue_full');
CALL pg_temp.follow('queue_paused');
SELECT is_empty(
    $$SELECT * FROM pgqueue.health
        WHERE problem IN ('limit', 'queue_full', 'queue_paused') AND queue IS DISTINCT FROM 'slow'$$,
    'E5: what the hints say helps');

-- E13: NULL among the keys of create_tasks is a task without one.
SELECT count(*)
FROM pgqueue.create_tasks('keyed', '{1,2,3,4}', group_keys => '{a,NULL,b,NULL}',
    dedup_keys => '{x,NULL,NULL,y}') \g /dev/null
SELECT results_eq(
    $$SELECT payload::text, group_key, dedup_key FROM pgqueue.task WHERE queue = 'keyed' ORDER BY payload$$,
    $$VALUES ('1', 'a', 'x'), ('2', NULL, NULL), ('3', 'b', NULL), ('4', NULL, 'y')$$,
    'E13: tasks with and without keys');
SELECT is((SELECT count(DISTINCT id)
    FROM pgqueue.create_tasks('keyed', '{1,2,3}', dedup_keys => '{x,NULL,NULL}') c (id)), 3::bigint,
    'E13: those without a key are no duplicates');
SELECT is((SELECT count(*) FROM pgqueue.task WHERE queue = 'keyed'), 6::bigint, 'E13: the one with it is');
SELECT is((SELECT array_agg(id IS NULL ORDER BY n)
    FROM pgqueue.create_tasks('keyed', '{1,2,3}', dedup_keys => '{x,NULL,y}',
        on_conflict => 'nothing') WITH ORDINALITY c (id, n)), '{t,f,t}'::boolean[],
    'E13: on_conflict nothing leaves out those with a key that is taken');
SELECT lives_ok(
    $$SELECT *
        FROM pgqueue.create_tasks('keyed', '{1,2}', dedup_keys => '{NULL,NULL}', group_keys => '{NULL,NULL}',
            on_conflict => 'error')$$, 'E13: nothing but NULL is no key at all, twice no duplicate');
SELECT is((SELECT count(*) FROM pgqueue.task WHERE queue = 'keyed' AND dedup_key IS NULL AND group_key IS NULL),
    6::bigint, 'E13: six tasks have no key');

-- Texts that our processes copy have a length that costs nothing.
SELECT lives_ok(
    $$SELECT pgqueue.create_ticker('long', 'keyed', period => '1 h', payload => to_jsonb(repeat('x', 65534)))$$,
    'a payload of 64 KiB');
CREATE FUNCTION edge_handler(jsonb) RETURNS void LANGUAGE sql AS 'SELECT';
SELECT throws_ok(s, '22023', format('"%s" must have at most %s bytes', setting, longest), what) FROM (VALUES
    ('payload', 65536, 'one byte more',
        $$SELECT pgqueue.update_ticker('long', payload => to_jsonb(repeat('x', 65535)))$$),
    ('payload', 65536, 'and by the view',
        $$UPDATE pgqueue.ticker SET payload = to_jsonb(repeat('x', 65535)) WHERE ticker = 'long'$$),
    ('command', 65536, 'a command',
        $$SELECT pgqueue.create_ticker('longer', 'keyed', period => '1 h', command => repeat('x', 65537))$$),
    ('type', 1000, 'a type',
        $$SELECT pgqueue.create_ticker('longer', 'keyed', period => '1 h', type => repeat('x', 1001))$$),
    ('cron', 1000, 'a cron text',
        $$SELECT pgqueue.create_ticker('longer', 'keyed', cron => '0' || repeat(',0', 500) || ' * * * *')$$),
    ('cron', 1000, 'one of 200 MB',
        $$SELECT pgqueue.create_ticker('longer', 'keyed', cron => repeat('0-59,', 40000000) || '0-59 * * * * *')$$),
    ('type', 1000, 'a type of a handler', $$SELECT pgqueue.create_handler(repeat('x', 1001), 'edge_handler')$$),
    ('worker', 1000, 'a worker', $$SELECT pgqueue.next_task(repeat('x', 1001), 'keyed')$$)) v (setting,
    longest, what, s);
SELECT throws_ok($$SELECT pgqueue.create_task('keyed', '1', type => repeat('x', 1001))$$, '22023',
    'type must have 1 to 1000 bytes', 'a type of a task');
SELECT throws_ok($$INSERT INTO pgqueue.task (queue, payload, type) VALUES ('keyed', '1', repeat('x', 1001))$$, '22023',
    'type must have 1 to 1000 bytes', 'and by the view');
SELECT pgqueue.delete_ticker('long') \g /dev/null
DROP FUNCTION edge_handler(jsonb);

-- A function of a user that is wrongly declared safe has a parallel worker change something.
SELECT sum(used) AS leases FROM pgqueue.memory WHERE kind = 'leases' \gset
CREATE FUNCTION taken() RETURNS bigint
    LANGUAGE plpgsql PARALLEL SAFE AS $$BEGIN RETURN (SELECT count(*) FROM pgqueue.next_task('w', 'keyed')); END$$;
SELECT set_config(name, 'on', false)
FROM pg_settings
WHERE name IN ('force_parallel_mode', 'debug_parallel_query') \g /dev/null
\set ON_ERROR_STOP 0
SELECT taken();
\set answer :SQLSTATE
\set ON_ERROR_STOP 1
SELECT set_config(name, 'off', false)
FROM pg_settings
WHERE name IN ('force_parallel_mode', 'debug_parallel_query') \g /dev/null
DROP FUNCTION taken();
SELECT is(:'answer'::text, '25000', 'a parallel plan changes nothing');
SELECT is((SELECT sum(used) FROM pgqueue.memory WHERE kind = 'leases'), :leases::numeric, 'and leaves no lease');
SELECT * FROM finish();
\ir ../lib/clean.sql
