-- Tickers in one session: what they may be, who may do what, DML, fire_ticker, next_ticker. B44, C07, C27 to C31, C34,
-- C36, C37; on a running server: tests/tap/046_tickers.pl and 047_ticker_clock.pl.
\set ECHO none
\set QUIET 1
BEGIN;
SELECT no_plan();
SELECT pgqueue.create_namespace('app'), pgqueue.create_queue('out', ttl => '0'),
    pgqueue.create_queue('server', executor => 'server'), pgqueue.create_queue('q', namespace => 'app') \g /dev/null
SET LOCAL timezone = 'UTC';

-- create_ticker: defaults and all settings.
SELECT is((SELECT to_jsonb(t) - '{created_at,next_at,time_zone}'::text[] FROM pgqueue.create_ticker('plain') t),
    jsonb_build_object('namespace', 'default', 'ticker', 'plain', 'queue', NULL, 'period', '00:01:00', 'cron', NULL,
        'payload', '{}'::jsonb, 'type', NULL, 'command', NULL,
        'priority', NULL, 'retries', NULL, 'ttl', NULL, 'run_limit', NULL, 'misfire', 'one', 'misfire_max', 100,
        'overlap', 'allow', 'jitter', NULL, 'starts_at', NULL,
        'ends_at', NULL, 'paused', false, 'description', NULL, 'role', current_user, 'last_at', NULL, 'last_task', NULL,
        'last_status', NULL), 'a ticker with the defaults (C27)');
SELECT ok((SELECT next_at BETWEEN now() AND clock_timestamp() FROM pgqueue.ticker WHERE ticker = 'plain'),
    'which is due at once (C29)');
SELECT is((SELECT to_jsonb(t) - '{created_at,next_at}'::text[]
    FROM pgqueue.create_ticker(' All ', 'server', cron => '0 3 * * *', time_zone => 'Asia/Tokyo', payload => '[1]',
        command => 'SELECT 1',
        priority => 5, retries => 6, ttl => '7 h', run_limit => '8 min', misfire => 'all', misfire_max => 9,
        overlap => 'queue', jitter => '10 s', starts_at => '2100-01-01', ends_at => '2101-01-01',
        paused => true, description => 'words') t),
    jsonb_build_object('namespace', 'default', 'ticker', 'all', 'queue', 'server', 'period', NULL, 'cron', '0 3 * * *',
        'time_zone', 'Asia/Tokyo', 'payload', '[1]'::jsonb, 'type', NULL,
        'command', 'SELECT 1', 'priority', 5, 'retries', 6, 'ttl', '07:00:00', 'run_limit', '00:08:00', 'misfire',
        'all', 'misfire_max', 9, 'overlap', 'queue', 'jitter', '00:00:10',
        'starts_at', '2100-01-01T00:00:00+00:00', 'ends_at', '2101-01-01T00:00:00+00:00', 'paused', true, 'description',
        'words', 'role', current_user, 'last_at', NULL, 'last_task', NULL,
        'last_status', NULL), 'all settings (C07: the name is trimmed and lower-cased)');
SELECT is((SELECT next_at FROM pgqueue.ticker WHERE ticker = 'all'), '2100-01-01 18:00+00'::timestamptz,
    'its next slot is after starts_at, in its zone');
SELECT is((SELECT time_zone FROM pgqueue.ticker WHERE ticker = 'plain'),
    (SELECT setting FROM pg_file_settings WHERE lower(name) = 'timezone'),
    'the zone is that of the server, not of the session');
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET timezone = %L', current_database(), 'Asia/Kolkata'); END $$;
SELECT is((SELECT time_zone FROM pgqueue.create_ticker('zoned')), 'Asia/Kolkata', 'or of the database');
SELECT is((SELECT count(*) FROM pgqueue.get_ticker('all')), 1::bigint, 'get_ticker finds it');
SELECT is((SELECT count(*) FROM pgqueue.get_ticker('nosuch')), 0::bigint, 'unknown: no row (C28)');

-- Creating again updates what is given; nothing new changes nothing (C31).
SELECT (SELECT next_at FROM pgqueue.ticker WHERE ticker = 'plain') AS due \gset
SELECT pgqueue.create_ticker('plain'),
    pgqueue.create_ticker('plain', period => '1 minute', payload => '{}') \g /dev/null
SELECT is((SELECT next_at FROM pgqueue.ticker WHERE ticker = 'plain'), :'due'::timestamptz,
    'registering it again makes no slot (C31)');
SELECT is((SELECT priority || ' ' || coalesce(cron, '') || paused FROM pgqueue.create_ticker('all', priority => 4)),
    '4 0 3 * * *true', 'only what is given changes (C28)');
SELECT is((SELECT period::text || coalesce(cron, ' none') FROM pgqueue.update_ticker('all', period => '1 h')),
    '01:00:00 none', 'a period takes the place of cron');
SELECT is((SELECT cron || coalesce(period::text, ' none') FROM pgqueue.update_ticker('all', cron => '@daily')),
    '@daily none', 'and the reverse');
SELECT ok((SELECT t.next_at > :'due' AND t.next_at <= clock_timestamp()
    FROM pgqueue.update_ticker('plain', period => '2 min') t), 'a new period is due at once (C31)');
SELECT (SELECT next_at FROM pgqueue.ticker WHERE ticker = 'plain') AS due \gset
SELECT pgqueue.update_ticker('plain', description => 'x', misfire => 'skip', overlap => 'skip',
    priority => 3) \g /dev/null
SELECT is((SELECT next_at FROM pgqueue.ticker WHERE ticker = 'plain'), :'due'::timestamptz,
    'other settings leave the slots as they are');
SELECT is((SELECT concat(period, cron, next_at) FROM pgqueue.update_ticker('plain', period => '0')), '',
    'period 0 disables (C30)');
SELECT ok((SELECT next_at IS NOT NULL FROM pgqueue.update_ticker('plain', period => '1 min')),
    'a period enables again');
SELECT is((SELECT ticker FROM pgqueue.update_ticker('plain', rename_to => 'Renamed')), 'renamed', 'a new name');
SELECT is((SELECT concat(queue, type, command, description)
    FROM pgqueue.update_ticker('all', queue => '', command => '', description => '')), '', 'empty text is none');
SELECT is((SELECT concat(starts_at, ends_at, jitter)
    FROM pgqueue.update_ticker('all', starts_at => '-infinity', ends_at => 'infinity', jitter => '0')), '',
    'endless dates and no jitter are none');
SELECT is((SELECT next_at - '2100-02-28 12:00+00'
    FROM pgqueue.create_ticker('month', period => '1 month', starts_at => '2100-02-28 12:00+00')), '0'::interval,
    'a period of a month');

-- Refused.
SELECT throws_ok(call, state, message, 'refused: ' || call) FROM (VALUES
    ($$SELECT pgqueue.create_ticker(NULL)$$, '22004', NULL),
    ($$SELECT pgqueue.create_ticker('1x')$$, '42602', 'invalid ticker name: "1x"'),
    ($$SELECT pgqueue.create_ticker('x', 'nosuch')$$, '42704', 'queue "nosuch" does not exist'),
    ($$SELECT pgqueue.create_ticker('x', 'q q')$$, '42602', NULL),
    ($$SELECT pgqueue.create_ticker('x', period => '1 s', cron => '@daily')$$, '22023',
        'period and cron must not be given both'),
    ($$SELECT pgqueue.create_ticker('x', period => '999 ms')$$, '22023', '"period" is out of range: 00:00:00.999'),
    ($$SELECT pgqueue.create_ticker('x', period => '-1 min')$$, '22023', '"period" is out of range: -00:01:00'),
    ($$SELECT pgqueue.create_ticker('x', period => '1 month -30 days')$$, '22023',
        '"period" is out of range: 1 mon -30 days'),
    ($$SELECT pgqueue.create_ticker('x', period => '1 month -1 day')$$, '22023',
        '"period" has a negative part: 1 mon -1 days'),
    ($$SELECT pgqueue.create_ticker('x', period => '1 month -700 hours')$$, '22023',
        '"period" has a negative part: 1 mon -700:00:00'),
    ($$SELECT pgqueue.create_ticker('x', cron => '61 * * * *')$$, '22023', 'cron text "61 * * * *" is not valid'),
    ($$SELECT pgqueue.create_ticker('x', cron => '* * * *')$$, '22023', 'cron text "* * * *" is not valid'),
    ($$SELECT pgqueue.create_ticker('x', cron => '@daily', time_zone => 'Mars/Phobos')$$, '22023',
        'time zone "Mars/Phobos" not recognized'),
    ($$SELECT pgqueue.create_ticker('x', time_zone => 'Mars/Phobos')$$, '22023',
        'time zone "Mars/Phobos" not recognized'),
    ($$SELECT pgqueue.create_ticker('x', 'server', type => 'a', command => 'SELECT 1')$$, '22023',
        'type and command must not be given both'),
    ($$SELECT pgqueue.create_ticker('x', command => 'SELECT 1')$$, '22023', 'a command needs a queue'),
    ($$SELECT pgqueue.create_ticker('x', 'server', command => ' ')$$, '22023', 'command must not be empty'),
    ($$SELECT pgqueue.create_ticker('x', misfire => 'never')$$, '22023', 'invalid value for "misfire": "never"'),
    ($$SELECT pgqueue.create_ticker('x', overlap => 'never')$$, '22023', 'invalid value for "overlap": "never"'),
    ($$SELECT pgqueue.create_ticker('x', misfire_max => 0)$$, '22023', NULL),
    ($$SELECT pgqueue.create_ticker('x', retries => -1)$$, '22023', NULL),
    ($$SELECT pgqueue.create_ticker('x', ttl => '-1 s')$$, '22023', NULL),
    ($$SELECT pgqueue.create_ticker('x', run_limit => '-1 s')$$, '22023', NULL),
    ($$SELECT pgqueue.create_ticker('x', period => '1 min', jitter => '2 min')$$, '22023',
        '"jitter" is out of range: 00:02:00'),
    ($$SELECT pgqueue.create_ticker('x', starts_at => '2030-01-02', ends_at => '2030-01-01')$$, '22023',
        '"ends_at" is before "starts_at"'),
    ($$SELECT pgqueue.update_ticker('renamed')$$, '22023', 'no patch values'),
    ($$SELECT pgqueue.update_ticker('nosuch', priority => 1)$$, '42704',
        'ticker "nosuch" does not exist in namespace "default"'),
    ($$SELECT pgqueue.update_ticker('renamed', rename_to => 'all')$$, '42710', 'ticker "all" already exists'),
    ($$SELECT pgqueue.delete_ticker('nosuch')$$, '42704', NULL),
    ($$SELECT pgqueue.fire_ticker('nosuch')$$, '42704', NULL),
    ($$SELECT pgqueue.fire_ticker('all', 'infinity')$$, '22023', '"slot" is out of range: infinity'),
    ($$SELECT pgqueue.fire_ticker(NULL)$$, '22004', NULL),
    ($$SELECT pgqueue.next_ticker('nosuch')$$, '42704', NULL),
    ($$SELECT pgqueue.create_ticker('x', namespace => 'pgqueue')$$, '42939',
        'namespace "pgqueue" is reserved for system use')) c (call, state, message);
SELECT is((SELECT count(*) FROM pgqueue.ticker WHERE ticker = 'x'), 0::bigint, 'and nothing is left of it');

-- Midnight of 2000, the zero of timestamps, is a time as any other.
SELECT is((SELECT next_at FROM pgqueue.create_ticker('y2k', ends_at => '2000-01-01 00:00Z')), NULL,
    'a ticker that has ended in 2000');

-- The system ticker (C34): seen, rescheduled, not broken.
SELECT results_eq($$SELECT ticker, period, queue FROM pgqueue.ticker WHERE namespace = 'pgqueue'$$,
    $$VALUES ('cleanup', '1 hour'::interval, 'housekeeping')$$, 'the system ticker (C34)');
SELECT is((SELECT period FROM pgqueue.update_ticker('cleanup', period => '10 min', namespace => 'pgqueue')), '10 min',
    'it can be rescheduled');
SELECT is((SELECT cron FROM pgqueue.update_ticker('cleanup', cron => '30 * * * *', namespace => 'pgqueue')),
    '30 * * * *', 'also by cron');
SELECT throws_ok('SELECT ' || call, '42939', NULL, 'not: ' || call) FROM unnest(ARRAY[
    $$pgqueue.update_ticker('cleanup', paused => true, namespace => 'pgqueue')$$,
    $$pgqueue.update_ticker('cleanup', period => '0', namespace => 'pgqueue')$$,
    $$pgqueue.update_ticker('cleanup', period => '2 days', namespace => 'pgqueue')$$,
    $$pgqueue.update_ticker('cleanup', rename_to => 'x', namespace => 'pgqueue')$$,
    $$pgqueue.update_ticker('cleanup', queue => '', namespace => 'pgqueue')$$,
    $$pgqueue.update_ticker('cleanup', type => 'x', namespace => 'pgqueue')$$,
    $$pgqueue.update_ticker('cleanup', cron => '0 0 30 2 *', namespace => 'pgqueue')$$,
    $$pgqueue.update_ticker('cleanup', ends_at => now(), namespace => 'pgqueue')$$,
    $$pgqueue.delete_ticker('cleanup', 'pgqueue')$$,
    $$pgqueue.create_task('housekeeping', '1', namespace => 'pgqueue')$$,
    $$pgqueue.next_task('w', namespace => 'pgqueue')$$, $$pgqueue.next_tasks('w', namespace => 'pgqueue')$$,
    $$pgqueue.pause_queue('housekeeping', namespace => 'pgqueue')$$,
    $$pgqueue.update_queue('housekeeping', ttl => '1 s', namespace => 'pgqueue')$$,
    $$pgqueue.delete_queue('housekeeping', namespace => 'pgqueue')$$,
    $$pgqueue.purge_queue('housekeeping', true, 'pgqueue')$$,
    $$pgqueue.create_handler('x', 'pg_catalog.jsonb_typeof', namespace => 'pgqueue')$$]) call;
SELECT isnt(pgqueue.fire_ticker('cleanup', namespace => 'pgqueue'), NULL, 'an extra run');
SELECT results_eq($$SELECT queue, type, status, ticker FROM pgqueue.task WHERE namespace = 'pgqueue'$$,
    $$VALUES ('housekeeping', 'pgqueue:cleanup', 'new', 'cleanup')$$, 'whose task is seen');
SELECT throws_ok(call, '42939', NULL, 'but not put off: ' || call) FROM unnest(ARRAY[
    $$UPDATE pgqueue.task SET delayed_at = '2100-01-01' WHERE namespace = 'pgqueue'$$,
    $$SELECT pgqueue.retry_task(id, '10 years') FROM pgqueue.task WHERE namespace = 'pgqueue'$$]) call;
SELECT pgqueue.update_ticker('cleanup', period => '20 min', namespace => 'pgqueue') \g /dev/null
SELECT results_eq($$SELECT last_status, last_at IS NOT NULL FROM pgqueue.ticker WHERE namespace = 'pgqueue'$$,
    $$VALUES ('new', true)$$, 'rescheduled it keeps its last run');
SELECT pgqueue.fire_ticker('cleanup', namespace => 'pgqueue') \g /dev/null
SELECT is((SELECT count(*) FROM pgqueue.ticker_run WHERE namespace = 'pgqueue'), 2::bigint, 'and its history');

-- fire_ticker: the task has what the ticker says.
SELECT pgqueue.create_ticker('made', 'out', cron => '0 3 1 1 *', time_zone => 'UTC', payload => '{"a": 1}',
    type => 'report', priority => 5, retries => 2, ttl => '1 h') \g /dev/null
SELECT pgqueue.fire_ticker('made', '2030-01-01 03:00+00') AS id \gset
SELECT is((SELECT to_jsonb(t)
    FROM (SELECT queue, type, payload, priority, retries, ticker, role, status, dies_at - created_at AS lives
        FROM pgqueue.task WHERE id = :id) t),
    jsonb_build_object('queue', 'out', 'type', 'report', 'payload', '{"a": 1}'::jsonb, 'priority', 5, 'retries', 2,
        'ticker', 'made', 'role', current_user, 'status', 'new', 'lives', '01:00:00'), 'the task of a slot');
SELECT is(pgqueue.fire_ticker('made', '2030-01-01 03:00+00'), :id::bigint, 'the same slot again: the same task');
SELECT isnt(pgqueue.fire_ticker('made'), :id::bigint, 'without a slot an extra one');
SELECT is((SELECT count(*) FROM pgqueue.task WHERE ticker = 'made'), 2::bigint, 'two tasks in all');
SELECT results_eq(
    $$SELECT outcome, task_id FROM pgqueue.ticker_run WHERE ticker = 'made' AND slot = '2030-01-01 03:00+00'$$,
    format('VALUES (%L, %s::bigint)', 'fired', :id), 'the history tells of it');
SELECT is((SELECT last_status FROM pgqueue.ticker WHERE ticker = 'made'), 'new',
    'B44: last_status is that of the last task');
SELECT (SELECT next_at FROM pgqueue.ticker WHERE ticker = 'made') AS next \gset
SELECT pgqueue.fire_ticker('made', :'next') \g /dev/null
SELECT is((SELECT next_at FROM pgqueue.ticker WHERE ticker = 'made'), :'next'::timestamptz + '1 year',
    'the next slot by hand: the one after it is next');
SELECT isnt(pgqueue.fire_ticker('made', '2026-03-29 02:30+01'), NULL, 'any time can be made a slot');
SELECT isnt(pgqueue.fire_ticker('made', '2000-01-01 00:00+00'), NULL, 'also the epoch of the server');
SELECT is((SELECT count(*) FROM pgqueue.ticker_run WHERE ticker = 'made' AND slot = '2000-01-01 00:00+00'), 1::bigint,
    'which is a slot as any other');
SELECT is(pgqueue.fire_ticker('renamed'), NULL, 'without a queue no task');
SELECT pgqueue.create_ticker('run', 'server', command => 'SELECT 40 + 2 AS answer') \g /dev/null
SELECT pgqueue.fire_ticker('run') AS id \gset
SELECT is(pgqueue.run_task(:id), 'released', 'run_task runs what a ticker made');
SELECT is((SELECT last_status FROM pgqueue.ticker WHERE ticker = 'run'), 'released', 'B44: and the ticker says so');
SELECT pgqueue.update_queue('out', max_depth => 1) \g /dev/null
SELECT throws_ok($$SELECT pgqueue.fire_ticker('made', '2031-01-01')$$, 'PQ003', 'queue "out" is full', 'a full queue');
SELECT pgqueue.delete_queue('out', force => true) \g /dev/null
SELECT throws_ok($$SELECT pgqueue.fire_ticker('made', '2031-01-01')$$, '42704', 'queue "out" does not exist',
    'a queue that is gone');
SELECT lives_ok($$SELECT pgqueue.update_ticker('made', priority => 7)$$, 'is not in the way of other changes');
SELECT is((SELECT count(*) FROM pgqueue.ticker_run WHERE ticker = 'made'), 5::bigint, 'each firing is in the history');
SELECT pgqueue.create_queue('ring', ttl => '0', on_finish => 'delete'),
    pgqueue.create_ticker('ring', 'ring', cron => '0 0 1 1 *') \g /dev/null
DO $$ BEGIN PERFORM pgqueue.fire_ticker('ring', '2000-01-01'::timestamptz + i * interval '1 day')
    FROM generate_series(1, 1100) i; END $$;
SELECT results_eq($$SELECT count(*), min(slot), max(slot) FROM pgqueue.ticker_run WHERE ticker = 'ring'$$,
    $$VALUES (1000::bigint, '2000-01-01'::timestamptz + interval '101 days',
        '2000-01-01'::timestamptz + interval '1100 days')$$, 'the history keeps the last 1000');

-- next_ticker: ticks for outside clients (C29).
DELETE FROM pgqueue.ticker WHERE namespace = 'default';
SELECT pgqueue.create_ticker('b', period => '1 h', payload => '2'),
    pgqueue.create_ticker('a', period => '1 h', starts_at => now() - interval '90 min', misfire => 'all',
        payload => '1'),
    pgqueue.create_ticker('paused', paused => true), pgqueue.create_ticker('off', period => '0'),
    pgqueue.create_ticker('later', starts_at => now() + interval '1 h'),
    pgqueue.create_ticker('task', 'server') \g /dev/null
UPDATE pgqueue_internal.ticker_state s SET next_at = now() - interval '90 min'
FROM pgqueue_internal.ticker t
WHERE t.id = s.ticker_id AND t.name = 'a';
SELECT results_eq(
    $$SELECT ticker, payload, last_at = now() - interval '90 min', next_at = now() - interval '30 min'
        FROM pgqueue.next_ticker()$$, $$VALUES ('a', '1'::jsonb, true, true)$$, 'longest waiting first (C29)');
SELECT is((SELECT ticker FROM pgqueue.next_ticker()), 'a', 'misfire all: each slot');
SELECT is((SELECT ticker FROM pgqueue.next_ticker()), 'b', 'then the other');
SELECT is((SELECT count(*) FROM pgqueue.next_ticker()), 0::bigint,
    'then none: paused, disabled, later ones and those with a queue are not handed out (C29, C30)');
SELECT pgqueue.update_ticker('b', period => '2 h') \g /dev/null
SELECT is((SELECT ticker FROM pgqueue.next_ticker()), 'b', 'a changed one is due at once (C31)');
SELECT pgqueue.fire_ticker('b') \g /dev/null
SELECT is((SELECT ticker FROM pgqueue.next_ticker()), 'b', 'and one that is fired by hand');
SELECT pgqueue.create_ticker('zoneless', period => '1 h'), pgqueue.create_ticker('zoned2', period => '1 h') \g /dev/null
UPDATE pgqueue_internal.ticker SET time_zone = 'Mars/Phobos' WHERE name = 'zoneless';
SELECT is((SELECT ticker FROM pgqueue.next_ticker()), 'zoned2', 'one whose zone is gone is not in the way of others');
SELECT is((SELECT error FROM pgqueue.ticker_run WHERE ticker = 'zoneless'), 'time zone "Mars/Phobos" is not known',
    'and says why');
SELECT is((SELECT count(*) FROM pgqueue.next_ticker('app')), 0::bigint, 'each namespace has its own (C35)');

-- DML.
DELETE FROM pgqueue.ticker WHERE namespace = 'default';
INSERT INTO pgqueue.ticker (ticker, queue, cron, command) VALUES ('d', 'server', '@hourly', 'SELECT 1');
SELECT results_eq($$SELECT cron, period, misfire, paused, payload FROM pgqueue.ticker WHERE ticker = 'd'$$,
    $$VALUES ('@hourly', NULL::interval, 'one', false, '{}'::jsonb)$$, 'INSERT: a given cron beats the default period');
INSERT INTO pgqueue.ticker (ticker) VALUES ('e');
SELECT is((SELECT period FROM pgqueue.ticker WHERE ticker = 'e'), '1 min', 'INSERT: the default period');
SELECT throws_ok($$INSERT INTO pgqueue.ticker (ticker) VALUES ('e')$$, '42710', 'ticker "e" already exists',
    'INSERT of an existing one');
SELECT throws_ok($$INSERT INTO pgqueue.ticker (ticker) VALUES ('e') ON CONFLICT DO NOTHING$$, '42710', NULL,
    'also with ON CONFLICT');
SELECT throws_ok(format('INSERT INTO pgqueue.ticker (ticker, %I) VALUES (%L, %s)', c, 'z', v), '0A000', NULL,
    'INSERT of ' || c)
FROM (VALUES ('role', '''x'''), ('next_at', 'now()'), ('last_at', 'now()'), ('last_task', '1'),
    ('last_status', '''x'''), ('created_at', 'now()')) v (c, v);
UPDATE pgqueue.ticker SET period = '5 min' WHERE ticker = 'd';
SELECT is((SELECT concat(period, cron) FROM pgqueue.ticker WHERE ticker = 'd'), '00:05:00',
    'UPDATE: a period takes the place of cron');
UPDATE pgqueue.ticker SET cron = '@daily', ticker = 'dd', priority = 3 WHERE ticker = 'd';
SELECT is((SELECT concat(period, cron, priority) FROM pgqueue.ticker WHERE ticker = 'dd'), '@daily3',
    'UPDATE: cron that of a period, and a name');
UPDATE pgqueue.ticker SET priority = NULL WHERE ticker = 'dd';
SELECT is((SELECT priority FROM pgqueue.ticker WHERE ticker = 'dd'), NULL, 'UPDATE: NULL is none');
SELECT throws_ok($$UPDATE pgqueue.ticker SET cron = '@daily', period = '1 h' WHERE ticker = 'e'$$, '22023', NULL,
    'UPDATE of both');
SELECT throws_ok($$UPDATE pgqueue.ticker SET namespace = 'app' WHERE ticker = 'e'$$, '0A000', NULL,
    'UPDATE of the namespace');
SELECT throws_ok($$UPDATE pgqueue.ticker SET role = 'x' WHERE ticker = 'e'$$, '0A000', NULL, 'UPDATE of the role');
DELETE FROM pgqueue.ticker WHERE ticker = 'dd';
SELECT is((SELECT count(*) FROM pgqueue.ticker WHERE ticker = 'dd'), 0::bigint, 'DELETE');
SELECT pgqueue.create_ticker('t', namespace => 'app') \g /dev/null
SELECT throws_ok($$SELECT pgqueue.delete_namespace('app')$$, '2BP01', 'namespace "app" is not empty',
    'a namespace with tickers (C36)');

-- Who may do what; the role is whoever last wrote the content.
CREATE ROLE tap_manage; CREATE ROLE tap_work; CREATE ROLE tap_use; CREATE ROLE tap_none; CREATE ROLE tap_other;
GRANT pgqueue_user TO tap_manage, tap_work, tap_use, tap_none, tap_other;
SELECT pgqueue.grant_namespace('default', 'manage', 'tap_manage'),
    pgqueue.grant_namespace('default', 'manage', 'tap_other'), pgqueue.grant_namespace('default', 'work', 'tap_work'),
    pgqueue.grant_namespace('default', 'use', 'tap_use') \g /dev/null
SET LOCAL ROLE tap_manage;
SELECT is((SELECT role FROM pgqueue.create_ticker('mine', 'server', period => '1 h', command => 'SELECT 1')),
    'tap_manage', 'the caller is its role');
SET LOCAL ROLE tap_other;
SELECT is((SELECT role FROM pgqueue.update_ticker('mine', period => '2 h', priority => 1)), 'tap_manage',
    'another schedule does not change the role');
SELECT is((SELECT role
    FROM pgqueue.create_ticker('mine', 'server', period => '2 h', command => 'SELECT 1', retries => 3)), 'tap_manage',
    'nor the same content again');
SELECT is((SELECT t.role FROM pgqueue.task t WHERE t.id = pgqueue.fire_ticker('mine')), NULL,
    'firing it is no way to see its tasks');
RESET ROLE;
SELECT is((SELECT string_agg(DISTINCT role, ' ') FROM pgqueue.task WHERE ticker = 'mine'), 'tap_manage',
    'whoever fires it: its task is that of its role');
SET LOCAL ROLE tap_other;
SELECT is((SELECT role FROM pgqueue.update_ticker('mine', command => 'SELECT 2')), 'tap_other', 'a new command does');
SET LOCAL ROLE tap_manage;
UPDATE pgqueue.ticker SET payload = '[2]' WHERE ticker = 'mine';
SELECT is((SELECT role FROM pgqueue.ticker WHERE ticker = 'mine'), 'tap_manage', 'a new payload too, by DML');
SET LOCAL ROLE tap_work;
SELECT lives_ok($$SELECT pgqueue.next_ticker()$$, 'work: next_ticker');
SELECT throws_ok('SELECT ' || call, '42501', NULL, 'work: not ' || call)
FROM unnest(ARRAY[$$pgqueue.create_ticker('x')$$, $$pgqueue.update_ticker('mine', priority => 1)$$,
    $$pgqueue.delete_ticker('mine')$$, $$pgqueue.fire_ticker('mine')$$]) call;
SELECT is((SELECT count(*) FROM pgqueue.get_ticker('mine')), 1::bigint, 'work: get_ticker');
SELECT is((SELECT count(*) FROM pgqueue.ticker_run), 0::bigint, 'work: no history of tasks that it does not hold');
SET LOCAL ROLE tap_use;
SELECT is((SELECT count(*) FROM pgqueue.ticker WHERE ticker = 'mine'), 1::bigint, 'use: sees the ticker');
SELECT is((SELECT count(*) FROM pgqueue.ticker_run), 0::bigint, 'use: not the history of others');
SELECT throws_ok($$SELECT pgqueue.next_ticker()$$, '42501', NULL, 'use: not next_ticker');
SELECT throws_ok($$INSERT INTO pgqueue.ticker (ticker) VALUES ('x')$$, '42501', NULL, 'use: not INSERT');
RESET ROLE;
SELECT pgqueue.grant_namespace('default', 'use', 'tap_manage'),
    pgqueue.revoke_namespace('default', 'manage', 'tap_manage') \g /dev/null
SET LOCAL ROLE tap_manage;
SELECT isnt((SELECT count(*) FROM pgqueue.ticker_run WHERE ticker = 'mine'), 0::bigint,
    'use: the history of an own one');
SET LOCAL ROLE tap_none;
SELECT is((SELECT count(*) FROM pgqueue.ticker), 0::bigint, 'no right: no ticker');
SELECT throws_ok($$SELECT pgqueue.get_ticker('mine')$$, '42501', NULL, 'no right: not get_ticker');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
