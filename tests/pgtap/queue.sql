-- Queues: create, update, delete, get, pause, the settings and their ranges, the view with INSERT,
-- UPDATE, DELETE (C01 to C07, C12, C40).
\set ECHO none
\set QUIET 1
BEGIN;
SELECT no_plan();

-- Defaults (C01).
SELECT is((SELECT to_jsonb(q) - 'created_at' FROM pgqueue.create_queue(' Emails ') q),
    '{"namespace": "default", "queue": "emails", "description": null, "executor": "outside", "priority": 100,
      "ttl": "01:00:00", "retries": 3, "retry_delay": "00:02:00",
      "backoff": "exponential", "max_retry_delay": "1 day", "retry_jitter": 0,
      "lease": "00:20:00", "run_limit": null, "max_running": null, "max_depth": null, "rate_limit": null,
      "rate_burst": 1, "group_max_running": 1, "group_rate_limit": null, "group_policy": "hold", "aging": null,
      "retention": null, "on_finish": "keep", "dead_letter": null, "group_commit": 1, "forward_to": null,
      "paused": false, "paused_reason": null, "paused_until": null}'::jsonb,
    'create_queue with a name only: the defaults (C01)');
SELECT is((SELECT to_jsonb(q) - 'created_at' - 'queue' FROM pgqueue.queue q WHERE queue = 'inserted'), NULL,
    'no queue yet');
INSERT INTO pgqueue.queue (queue) VALUES ('inserted');
SELECT is((SELECT to_jsonb(q) - 'created_at' - 'queue' FROM pgqueue.queue q WHERE queue = 'inserted'),
    (SELECT to_jsonb(q) - 'created_at' - 'queue' FROM pgqueue.queue q WHERE queue = 'emails'),
    'INSERT has the same defaults');
SELECT is_empty(
    $$SELECT a.attname, d.adbin FROM pg_attribute a
        LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
    WHERE a.attrelid = 'pgqueue.queue'::regclass AND a.attnum > 0
        AND (d.adbin IS NOT NULL) <> (a.attname IN ('executor', 'priority', 'ttl', 'retries', 'retry_delay', 'backoff',
        'max_retry_delay', 'retry_jitter', 'lease', 'rate_burst', 'group_max_running', 'group_policy', 'on_finish',
        'group_commit', 'paused'))$$, 'the view shows them as column defaults');
SELECT is_empty($$
    SELECT v.attname, pg_get_expr(vd.adbin, vd.adrelid), pg_get_expr(td.adbin, td.adrelid)
    FROM pg_attribute v JOIN pg_attrdef vd ON (vd.adrelid, vd.adnum) = (v.attrelid, v.attnum)
    JOIN pg_attribute t ON t.attrelid = 'pgqueue_internal.queue'::regclass AND t.attname = v.attname
    JOIN pg_attrdef td ON (td.adrelid, td.adnum) = (t.attrelid, t.attnum)
    WHERE v.attrelid = 'pgqueue.queue'::regclass
        AND pg_get_expr(vd.adbin, vd.adrelid) <> pg_get_expr(td.adbin, td.adrelid)$$,
    'and those of the table are the same');

-- Create or update (C02).
SELECT results_eq($$SELECT queue, ttl, retries FROM pgqueue.create_queue('EMAILS', ttl => '2 h')$$,
    $$VALUES ('emails', interval '2 h', 3)$$, 'again: updates what is given and keeps the rest (C02)');
SELECT is((SELECT count(*) FROM pgqueue.queue WHERE queue = 'emails'), 1::bigint, 'and makes no second one (C02)');

-- Get (C03).
SELECT is((SELECT ttl FROM pgqueue.get_queue(' emails ')), interval '2 h', 'get_queue (C03)');
SELECT is_empty($$SELECT * FROM pgqueue.get_queue('nosuch')$$, 'unknown: no row (C03)');
SELECT throws_ok($$SELECT * FROM pgqueue.get_queue('emails', 'nosuch')$$, '42704', NULL, 'unknown namespace');
SELECT throws_ok($$SELECT * FROM pgqueue.get_queue(NULL)$$, '22004', NULL, 'no name');

-- Lists (C04): the view, with what SQL has for lists.
SELECT pgqueue.create_queue('list-' || i) FROM generate_series(1, 150) i \g /dev/null
SELECT results_eq(
    $$SELECT queue, count(*) OVER () FROM pgqueue.queue WHERE queue LIKE 'list-%' ORDER BY queue OFFSET 10 LIMIT 2$$,
    $$VALUES ('list-108', 150::bigint), ('list-109', 150)$$,
    'a part of the list in order, with the total count (C04)');

-- Update (C05).
SELECT results_eq($$SELECT ttl, retries FROM pgqueue.update_queue('emails', retries => 5)$$,
    $$VALUES (interval '2 h', 5)$$, 'only what is given (C05)');
SELECT throws_ok($$SELECT pgqueue.update_queue('emails')$$, '22023', 'no patch values', 'nothing given (C05)');
SELECT throws_ok($$SELECT pgqueue.update_queue('nosuch', retries => 5)$$, '42704',
    'queue "nosuch" does not exist in namespace "default"', 'an unknown queue');
SELECT pgqueue.create_task('emails', '{"n": 1}') \g /dev/null
SELECT is((SELECT queue FROM pgqueue.update_queue('emails', rename_to => ' Mails ')), 'mails',
    'renames, with tasks in it (C05)');
SELECT results_eq('SELECT queue FROM pgqueue.task', $$VALUES ('mails')$$, 'its tasks follow (C05)');
SELECT throws_ok($$SELECT pgqueue.update_queue('mails', rename_to => 'inserted')$$, '42710',
    'queue "inserted" already exists', 'to a name that is taken');
SELECT throws_ok($$SELECT pgqueue.update_queue('mails', rename_to => 'a b')$$, '42602', NULL, 'to what is no name');
SELECT is((SELECT queue FROM pgqueue.update_queue('mails', rename_to => 'mails')), 'mails', 'to its own name');

-- Every setting through both functions; what is given is shown.
CREATE TEMP TABLE setting (name text, given text, shown text);
INSERT INTO setting VALUES ('description', $$'text'$$, 'text'), ('executor', $$'server'$$, 'server'),
    ('priority', '-5', '-5'), ('ttl', $$'90 s'$$, '00:01:30'), ('ttl', $$'0'$$, NULL), ('retries', '0', '0'),
    ('retries', '32767', '32767'), ('retry_delay', $$'1 s'$$, '00:00:01'), ('retry_delay', $$'0'$$, '00:00:00'),
    ('backoff', $$'linear'$$, 'linear'), ('backoff', $$'quadratic'$$, 'quadratic'), ('backoff', $$'fixed'$$, 'fixed'),
    ('max_retry_delay', $$'1 h'$$, '01:00:00'), ('retry_jitter', '0.5', '0.5'), ('retry_jitter', '1', '1'),
    ('lease', $$'1 min'$$, '00:01:00'), ('run_limit', $$'5 min'$$, '00:05:00'), ('run_limit', $$'0'$$, NULL),
    ('max_running', '4', '4'), ('max_running', '0', NULL), ('max_depth', '1000', '1000'), ('max_depth', '0', NULL),
    ('rate_limit', '0.5', '0.5'), ('rate_limit', '0', NULL), ('rate_burst', '10', '10'),
    ('group_max_running', '3', '3'), ('group_max_running', '1', '1'), ('group_rate_limit', '2.5', '2.5'),
    ('group_policy', $$'pass'$$, 'pass'),
    ('group_rate_limit', '0', NULL), ('group_policy', $$'hold'$$, 'hold'), ('aging', $$'0'$$, NULL),
    ('retention', $$'7 days'$$, '7 days'), ('retention', $$'0'$$, '00:00:00'), ('on_finish', $$'archive'$$, 'archive'),
    ('on_finish', $$'delete'$$, 'delete'), ('dead_letter', $$''$$, NULL), ('group_commit', '1', '1'),
    ('forward_to', $$''$$, NULL), ('description', $$''$$, NULL);
CREATE FUNCTION pg_temp.one(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    EXECUTE query INTO result;
    RETURN result;
END
$$;
SELECT is(pg_temp.one(format('SELECT %1$I FROM pgqueue.%2$s(%3$L, %1$I => %4$s)', name, function, 'mails', given)),
    shown, format('%s: %s = %s', function, name, given))
FROM setting, unnest('{create_queue,update_queue}'::text[]) function;

-- Ranges and words.
CREATE TEMP TABLE wrong (name text, given text, code text);
INSERT INTO wrong
VALUES ('executor', $$'nobody'$$, '22023'), ('ttl', $$'-1 s'$$, '22023'), ('ttl', $$'2000 years'$$, '22023'),
    ('retries', '-1', '22023'), ('retries', '32768', '22023'), ('retry_delay', $$'-1 s'$$, '22023'),
    ('backoff', $$'Linear'$$, '22023'),
    ('max_retry_delay', $$'-1 s'$$, '22023'), ('retry_jitter', '-0.1', '22023'), ('retry_jitter', '1.1', '22023'),
    ('retry_jitter', $$'NaN'$$, '22023'), ('lease', $$'0'$$, '22023'), ('lease', $$'-1 s'$$, '22023'),
    ('run_limit', $$'-1 s'$$, '22023'), ('max_running', '-1', '22023'), ('max_depth', '-1', '22023'),
    ('rate_limit', '-1', '22023'), ('rate_limit', $$'Infinity'$$, '22023'), ('rate_burst', '0', '22023'),
    ('group_max_running', '0', '22023'),
    ('group_rate_limit', '-1', '22023'), ('group_policy', $$'wait'$$, '22023'), ('aging', $$'-1 s'$$, '22023'),
    ('retention', $$'-1 s'$$, '22023'), ('on_finish', $$'burn'$$, '22023'), ('group_commit', '0', '22023'),
    ('group_commit', '33', '22023'),
    -- Settings that take effect with a later version.
    ('dead_letter', $$'nosuch'$$, '42704'), ('group_commit', '2', '0A000'), ('forward_to', $$'eu'$$, '0A000');
SELECT throws_ok(format('SELECT pgqueue.%s(%L, %I => %s)', function, 'mails', name, given), code, NULL,
    format('%s: %s = %s is refused', function, name, given))
FROM wrong, unnest('{create_queue,update_queue}'::text[]) function;
SELECT throws_ok(format('UPDATE pgqueue.queue SET %I = %s WHERE queue = %L', name, given, 'mails'), code, NULL,
    format('UPDATE: %s = %s is refused', name, given)) FROM wrong;
-- A rename does not make a queue its own dead-letter queue; found by the fuzzer.
SELECT throws_ok($$SELECT pgqueue.update_queue('mails', dead_letter => 'mails', rename_to => 'post')$$, '42704', NULL,
    'update_queue: its own name of before a rename as dead letter');
SELECT throws_ok($$UPDATE pgqueue.queue SET queue = 'post', dead_letter = 'mails' WHERE queue = 'mails'$$,
    '42704', NULL,
    'UPDATE: its own name of before a rename as dead letter');

-- Names (C07).
SELECT throws_ok(format('SELECT pgqueue.%s(%L)', function, name), '42602', NULL,
    format('%s refuses the name %L (C07)', function, left(name, 10)))
FROM unnest(ARRAY['1x', 'a b', '', ' ', 'ä', 'a.b', '-a', repeat('x', 65)]) name,
    unnest('{create_queue,delete_queue,pause_queue,resume_queue,get_queue}'::text[]) function;
SELECT lives_ok(format('SELECT pgqueue.create_queue(%L)', repeat('x', 64)), 'a name of 64 letters (C07)');
SELECT lives_ok(format('SELECT pgqueue.update_queue(%L, ttl => %L)', upper(repeat('x', 64)), '1 h'),
    'and all of them count (C07)');

-- Pause.
SELECT results_eq($$SELECT paused, paused_reason, paused_until FROM pgqueue.pause_queue('mails', 'rain', 'infinity')$$,
    $$VALUES (true, 'rain', 'infinity'::timestamptz)$$, 'pause_queue');
SELECT results_eq($$SELECT paused, paused_reason, paused_until FROM pgqueue.pause_queue('mails', 'snow')$$,
    $$VALUES (true, 'snow', 'infinity'::timestamptz)$$, 'again: changes what is given');
SELECT results_eq($$SELECT paused, paused_reason, paused_until FROM pgqueue.resume_queue('mails')$$,
    $$VALUES (false, NULL::text, NULL::timestamptz)$$, 'resume_queue');
SELECT is((SELECT paused FROM pgqueue.resume_queue('mails')), false, 'not paused: no error');
SELECT results_eq($$SELECT paused, paused_reason, paused_until FROM pgqueue.pause_queue('mails')$$,
    $$VALUES (true, NULL::text, NULL::timestamptz)$$, 'a new pause does not know the old one');
SELECT throws_ok($$SELECT pgqueue.pause_queue('mails', until => now() - interval '1 s')$$, '22023', NULL,
    'until in the past');
SELECT throws_ok($$SELECT pgqueue.pause_queue('nosuch')$$, '42704', NULL, 'an unknown queue');
UPDATE pgqueue_internal.queue SET paused_until = now() - interval '1 s', paused_reason = 'over' WHERE name = 'mails';
SELECT results_eq($$SELECT paused, paused_reason, paused_until FROM pgqueue.get_queue('mails')$$,
    $$VALUES (false, NULL::text, NULL::timestamptz)$$, 'a pause is over at its end, also where nobody noticed yet');
SELECT is((SELECT paused_reason FROM pgqueue.pause_queue('mails')), NULL, 'and its reason with it');

-- INSERT, UPDATE, DELETE.
SELECT results_eq(
    $$INSERT INTO pgqueue.queue (queue, ttl, retries, retention, paused, paused_reason)
        VALUES ('Reports', NULL, NULL, '1 day', true, 'new')
        RETURNING queue, namespace, ttl, retries, retention, paused, paused_reason$$,
    $$VALUES ('reports', 'default', NULL::interval, 3, interval '1 day', true, 'new')$$,
    'INSERT: NULL means none, or the default of what cannot be none (C12)');
SELECT throws_ok($$INSERT INTO pgqueue.queue (queue) VALUES ('reports')$$, '42710', 'queue "reports" already exists',
    'INSERT of one that is there');
SELECT throws_ok($$INSERT INTO pgqueue.queue (queue) VALUES ('reports') ON CONFLICT DO NOTHING$$, '42710', NULL,
    'ON CONFLICT DO NOTHING never fires');
SELECT throws_ok($$INSERT INTO pgqueue.queue (queue, namespace) VALUES ('reports', 'nosuch')$$, '42704', NULL,
    'INSERT into an unknown namespace');
SELECT throws_ok($$INSERT INTO pgqueue.queue (queue) VALUES (NULL)$$, '22004', NULL, 'INSERT without a name');
SELECT throws_ok($$INSERT INTO pgqueue.queue (queue, created_at) VALUES ('r2', now())$$, '0A000',
    'column "created_at" of view "queue" cannot be set', 'created_at is ours');
SELECT results_eq(
    $$UPDATE pgqueue.queue SET retention = NULL, ttl = '5 min', priority = NULL, paused = false WHERE queue = 'reports'
        RETURNING retention, ttl, priority, paused, paused_reason$$,
    $$VALUES (NULL::interval, interval '5 min', 100, false, NULL::text)$$, 'UPDATE: NULL means none');
SELECT results_eq($$UPDATE pgqueue.queue SET queue = 'Reports2' WHERE queue = 'reports' RETURNING queue$$,
    $$VALUES ('reports2')$$, 'UPDATE of the name renames');
SELECT throws_ok($$UPDATE pgqueue.queue SET queue = 'mails' WHERE queue = 'reports2'$$, '42710', NULL,
    'to a name that is taken');
SELECT throws_ok($$UPDATE pgqueue.queue SET namespace = 'other' WHERE queue = 'reports2'$$, '0A000', NULL,
    'a queue stays in its namespace');
SELECT throws_ok($$UPDATE pgqueue.queue SET created_at = now() WHERE queue = 'reports2'$$, '0A000', NULL,
    'created_at stays');
SELECT results_eq($$DELETE FROM pgqueue.queue WHERE queue = 'reports2' RETURNING queue$$,
    $$VALUES ('reports2')$$, 'DELETE');

-- Delete (C06).
SELECT is((SELECT count(*) FROM pgqueue.task WHERE queue = 'mails'), 1::bigint, 'a task is there');
SELECT is((SELECT queue FROM pgqueue.delete_queue('mails')), 'mails', 'delete_queue returns the queue (C06)');
SELECT is_empty('SELECT FROM pgqueue.task', 'its tasks are gone (C06)');
SELECT is_empty($$SELECT FROM pgqueue.queue_status WHERE queue = 'mails'$$, 'and its status rows');
SELECT throws_ok($$SELECT pgqueue.delete_queue('mails')$$, '42704', NULL, 'twice');
SELECT pgqueue.create_queue('mails') \g /dev/null
SELECT is((SELECT count(*) FROM pgqueue.task WHERE queue = 'mails'), 0::bigint, 'a new queue of that name is empty');

-- Status (C40).
SELECT results_eq($$SELECT status, count FROM pgqueue.queue_status WHERE queue = 'mails'$$,
    $$VALUES ('new', 0::bigint), ('retry', 0), ('retained', 0), ('released', 0), ('failed', 0), ('expired', 0),
        ('cancelled', 0)$$,
    'every status of every queue, zeros too (C40)');

-- The session's namespace.
SELECT pgqueue.create_namespace('other') \g /dev/null
SET LOCAL pgqueue.namespace = 'other';
SELECT is((SELECT namespace FROM pgqueue.create_queue('here')), 'other', 'no namespace given: the session''s');
SELECT throws_ok($$SELECT pgqueue.update_queue('mails', ttl => '1 h')$$, '42704', NULL,
    'queues of others are not found there');
SELECT is((SELECT ttl FROM pgqueue.update_queue('mails', ttl => '3 h', namespace => 'default')), interval '3 h',
    'unless named');
SET LOCAL pgqueue.namespace = 'nosuch';
SELECT throws_ok($$SELECT pgqueue.create_queue('q')$$, '42704', NULL, 'the session''s namespace does not exist');
RESET pgqueue.namespace;

-- Objects of users ahead in the search path are not touched (K11).
CREATE SCHEMA shadow;
CREATE TABLE shadow.queue (LIKE pgqueue_internal.queue);
CREATE TABLE shadow.task (id bigint);
CREATE FUNCTION shadow.lower(text) RETURNS text LANGUAGE sql AS $$SELECT (1 / 0)::text$$;
CREATE FUNCTION shadow.format(text, VARIADIC text[]) RETURNS text LANGUAGE sql AS $$SELECT (1 / 0)::text$$;
SET LOCAL search_path = shadow, pg_catalog, public;
SELECT lives_ok(
    $$SELECT pgqueue.create_queue('Shadowed', ttl => '1 h'); SELECT pgqueue.update_queue('shadowed', retries => 1);
        SELECT pgqueue.priority_value('HIGH'); SELECT *
        FROM pgqueue.get_task(1)$$, 'functions ahead in the search path are not called (K11)');
SELECT is_empty('SELECT FROM shadow.queue', 'tables ahead in the search path are not touched (K11)');
RESET search_path;

SELECT * FROM finish();
ROLLBACK;
