-- Namespaces: create, update, delete, get, the view with INSERT, UPDATE, DELETE (C35, C36, C37).
\set ECHO none
\set QUIET 1
BEGIN;
SELECT no_plan();

-- What is there.
SELECT results_eq('SELECT namespace, owner, weight, max_running, max_depth, paused FROM pgqueue.namespace '
    'ORDER BY namespace',
    format(
        $$VALUES ('default', 'pgqueue_admin', 1, NULL::integer, NULL::bigint, false),
            ('pgqueue', %L, 1, NULL, NULL, false)$$, current_user), 'two namespaces are there from the start');

-- create_namespace.
SELECT results_eq(
    $$SELECT namespace, owner, weight, max_running, max_depth, paused, description
        FROM pgqueue.create_namespace(' App ', 5, 3, 100, 'shop')$$,
    format($$VALUES ('app', %L, 5, 3, 100::bigint, false, 'shop')$$, current_user),
    'create_namespace makes one of the caller''s, with a normalised name');
SELECT results_eq(
    $$SELECT weight, max_running, max_depth, description FROM pgqueue.create_namespace('app', max_running => 0)$$,
    $$VALUES (5, NULL::integer, 100::bigint, 'shop')$$,
    'again: updates what is given; zero switches off');
SELECT results_eq(
    $$SELECT weight, max_depth, description
        FROM pgqueue.create_namespace('app', weight => 7, max_depth => 0, description => '')$$,
    $$VALUES (7, NULL::bigint, NULL::text)$$, 'zero and empty');
SELECT throws_ok($$SELECT pgqueue.create_namespace('pgqueue')$$, '42939',
    'namespace "pgqueue" is reserved for system use', 'pgqueue is reserved (C37)');
SELECT throws_ok($$SELECT pgqueue.create_namespace(' PGQUEUE ')$$, '42939', NULL, 'in any spelling (C37)');
SELECT throws_ok($$SELECT pgqueue.create_namespace('')$$, '42602', NULL, 'an empty name (C37)');
SELECT throws_ok($$SELECT pgqueue.create_namespace(NULL)$$, '22004', NULL, 'no name (C37)');
SELECT throws_ok($$SELECT pgqueue.create_namespace('1a')$$, '42602', NULL, 'a name that begins with a digit');
SELECT throws_ok(format('SELECT pgqueue.create_namespace(%L)', repeat('a', 65)), '42602', NULL, '65 letters');
SELECT lives_ok(format('SELECT pgqueue.create_namespace(%L)', repeat('a', 64)), '64 letters');
SELECT throws_ok($$SELECT pgqueue.create_namespace('b', weight => 0)$$, '22023', '"weight" is out of range: 0',
    'weight below its range');
SELECT throws_ok($$SELECT pgqueue.create_namespace('b', weight => 1001)$$, '22023', NULL, 'weight above its range');
SELECT throws_ok($$SELECT pgqueue.create_namespace('b', max_running => -1)$$, '22023', NULL, 'a negative limit');
SELECT throws_ok($$SELECT pgqueue.create_namespace('b', max_depth => -1)$$, '22023', NULL, 'a negative depth');
SELECT is((SELECT count(*) FROM pgqueue.namespace WHERE namespace = 'b'), 0::bigint, 'what is refused leaves nothing');

-- update_namespace.
SELECT throws_ok($$SELECT pgqueue.update_namespace('app')$$, '22023', 'no patch values', 'nothing given');
SELECT throws_ok($$SELECT pgqueue.update_namespace('nosuch', weight => 2)$$, '42704', NULL, 'an unknown namespace');
SELECT throws_ok($$SELECT pgqueue.update_namespace('pgqueue', weight => 2)$$, '42939', NULL, 'the system namespace');
SELECT results_eq($$SELECT weight, paused FROM pgqueue.update_namespace('app', paused => true)$$, 'VALUES (7, true)',
    'patches what is given');
SELECT throws_ok($$SELECT pgqueue.update_namespace('app', rename_to => 'default')$$, '42710', NULL,
    'a name that is taken');
SELECT throws_ok($$SELECT pgqueue.update_namespace('app', rename_to => 'pgqueue')$$, '42939', NULL, 'a reserved name');
SELECT throws_ok($$SELECT pgqueue.update_namespace('app', owner => 'nosuch role')$$, '42704',
    'role "nosuch role" does not exist', 'an unknown owner');
SELECT results_eq(
    $$SELECT namespace, owner, paused
        FROM pgqueue.update_namespace('app', rename_to => 'Shop', owner => 'pgqueue_admin', paused => false)$$,
    $$VALUES ('shop', 'pgqueue_admin', false)$$, 'renames and gives away');
SELECT is((SELECT namespace FROM pgqueue.update_namespace('shop', rename_to => 'shop')), 'shop',
    'the same name is no error');

-- Parts of what all share (T2 to T6).
SELECT results_eq(
    $$SELECT max_leases, max_groups, max_queues, max_priorities, max_dependencies FROM pgqueue.get_namespace('shop')$$,
    'VALUES (NULL::integer, NULL::integer, NULL::integer, NULL::integer, NULL::integer)',
    'NULL: the fair part (T3, T4)');
SELECT results_eq($$SELECT max_leases, max_groups, max_queues, max_priorities, max_dependencies
    FROM pgqueue.update_namespace('shop', max_leases => 50, max_groups => 4, max_queues => 3, max_priorities => 2,
        max_dependencies => 1)$$,
    'VALUES (50, 4, 3, 2, 1)', 'pgqueue_admin sets any number');
SELECT results_eq($$SELECT max_leases, max_groups FROM pgqueue.update_namespace('shop', max_groups => 0)$$,
    'VALUES (50, NULL::integer)',
    'zero returns to the fair part, what is not given stays');
SELECT throws_ok(format($$SELECT pgqueue.update_namespace('shop', %s => -1)$$, setting), '22023',
    format('"%s" is out of range: -1', setting), 'a negative part')
FROM unnest('{max_leases,max_groups,max_queues,max_priorities,max_dependencies}'::text[]) setting;
SELECT results_eq(
    $$SELECT max_leases, max_dependencies
        FROM pgqueue.create_namespace('parts', max_leases => 5, max_dependencies => 2147483647)$$,
    'VALUES (5, 2147483647)', 'create_namespace takes them too');
CREATE ROLE share_owner;
GRANT pgqueue_user TO share_owner;
SELECT pgqueue.update_namespace('shop', owner => 'share_owner') \g /dev/null
SET LOCAL ROLE share_owner;
SELECT throws_ok(format($$SELECT pgqueue.update_namespace('shop', max_leases => %s)$$, wished), '42501',
    'permission denied to raise max_leases of namespace "shop"',
    'the owner does not raise it, nor returns to the fair part') FROM unnest('{51,0}'::integer[]) wished;
SELECT throws_ok($$UPDATE pgqueue.namespace SET max_leases = NULL WHERE namespace = 'shop'$$, '42501', NULL,
    'nor by UPDATE');
SELECT results_eq(
    $$SELECT max_leases, max_groups FROM pgqueue.update_namespace('shop', max_leases => 50, max_groups => 0)$$,
    'VALUES (50, NULL::integer)',
    'the same is no change');
SELECT is((pgqueue.update_namespace('shop', max_leases => 20)).max_leases, 20, 'the owner lowers a number');
SELECT is((pgqueue.update_namespace('shop', max_groups => 1000)).max_groups, 1000, 'and the fair part');
SELECT throws_ok($$SELECT pgqueue.update_namespace('shop', max_groups => 1001)$$, '42501', NULL, 'but never raises it');
RESET ROLE;
SELECT results_eq($$SELECT max_leases, max_groups FROM pgqueue_internal.namespace WHERE name = 'shop'$$,
    'VALUES (20, -1000)',
    'a number of the owner''s holds beside the fair part, one below that of pgqueue_admin instead of it');
SELECT is((pgqueue.update_namespace('shop', max_groups => 1000)).max_groups, 1000, 'pgqueue_admin makes it its own');
SELECT results_eq(
    $$UPDATE pgqueue.namespace SET max_groups = 7, max_queues = NULL WHERE namespace = 'shop'
        RETURNING max_leases, max_groups, max_queues$$,
    'VALUES (20, 7, NULL::integer)', 'by UPDATE; NULL means the fair part');
SELECT results_eq(
    $$INSERT INTO pgqueue.namespace (namespace, max_priorities) VALUES ('parts2', 9)
        RETURNING max_leases, max_priorities$$, 'VALUES (NULL::integer, 9)', 'by INSERT');
SELECT pgqueue.delete_namespace(n) FROM unnest('{parts,parts2}'::text[]) n \g /dev/null
SELECT pgqueue.update_namespace('shop', owner => 'pgqueue_admin') \g /dev/null

-- get_namespace.
SELECT is((SELECT namespace FROM pgqueue.get_namespace()), 'default', 'NULL: the current one');
SET LOCAL pgqueue.namespace = 'shop';
SELECT is((SELECT namespace FROM pgqueue.get_namespace()), 'shop', 'the current one is a setting');
RESET pgqueue.namespace;
SELECT is((SELECT weight FROM pgqueue.get_namespace(' SHOP ')), 7, 'by name');
SELECT is_empty($$SELECT * FROM pgqueue.get_namespace('nosuch')$$, 'unknown: no row');
SELECT throws_ok($$SELECT * FROM pgqueue.get_namespace('a b')$$, '42602', NULL, 'not a name');

-- Namespaces isolate (C35).
SELECT pgqueue.create_namespace('a'), pgqueue.create_namespace('b') \g /dev/null
SELECT pgqueue.create_queue('q', priority => 1, namespace => 'a'),
    pgqueue.create_queue('q', priority => 2, namespace => 'b') \g /dev/null
SELECT results_eq($$SELECT namespace, priority FROM pgqueue.queue WHERE queue = 'q' ORDER BY namespace$$,
    $$VALUES ('a', 1), ('b', 2)$$, 'one queue name in two namespaces (C35)');
SELECT pgqueue.create_task('q', '1', namespace => 'a') \g /dev/null
SELECT results_eq($$SELECT namespace, count(*) FROM pgqueue.task GROUP BY namespace$$, $$VALUES ('a', 1::bigint)$$,
    'a task is in its namespace only (C35)');
SELECT pgqueue.update_queue('q', priority => 9, namespace => 'b') \g /dev/null
SELECT is((SELECT priority FROM pgqueue.get_queue('q', 'a')), 1, 'a change in one does not reach the other (C35)');
SELECT results_eq('SELECT namespace, count(*) OVER () FROM pgqueue.namespace ORDER BY namespace LIMIT 2',
    $$VALUES ('a', (SELECT count(*) FROM pgqueue.namespace)),
        (repeat('a', 64), (SELECT count(*) FROM pgqueue.namespace))$$,
    'sorted, with the total count (C36)');

-- delete_namespace.
SELECT throws_ok($$SELECT pgqueue.delete_namespace('a')$$, '2BP01', 'namespace "a" is not empty',
    'one with queues stays');
SELECT is((SELECT namespace FROM pgqueue.delete_namespace('a', force => true)), 'a',
    'unless by force; returns what it was');
SELECT is_empty($$SELECT FROM pgqueue.queue WHERE namespace = 'a'$$, 'its queues are gone');
SELECT is_empty($$SELECT FROM pgqueue.task$$, 'its tasks are gone');
SELECT throws_ok($$SELECT pgqueue.delete_namespace('a')$$, '42704', NULL, 'twice');
SELECT throws_ok($$SELECT pgqueue.delete_namespace('pgqueue')$$, '42939', NULL, 'the system namespace stays');

-- INSERT, UPDATE, DELETE.
SELECT results_eq(
    $$INSERT INTO pgqueue.namespace (namespace) VALUES (' Web ') RETURNING namespace, weight, max_running, paused$$,
    $$VALUES ('web', 1, NULL::integer, false)$$, 'INSERT, with the defaults of create_namespace');
SELECT results_eq(
    $$INSERT INTO pgqueue.namespace (namespace, owner, weight, max_running, max_depth, paused, description)
        VALUES ('w2', 'pgqueue_admin', 2, 3, 4, true, 'd')
    RETURNING owner, weight, max_running, max_depth, paused, description$$,
    $$VALUES ('pgqueue_admin', 2, 3, 4::bigint, true, 'd')$$, 'INSERT of everything');
SELECT throws_ok($$INSERT INTO pgqueue.namespace (namespace) VALUES ('web')$$, '42710',
    'namespace "web" already exists', 'INSERT of one that is there');
SELECT throws_ok($$INSERT INTO pgqueue.namespace (namespace) VALUES ('web') ON CONFLICT DO NOTHING$$, '42710', NULL,
    'ON CONFLICT DO NOTHING never fires');
SELECT throws_ok($$INSERT INTO pgqueue.namespace (namespace, created_at) VALUES ('w3', now())$$, '0A000',
    'column "created_at" of view "namespace" cannot be set', 'created_at is ours');
SELECT throws_ok($$INSERT INTO pgqueue.namespace (namespace) VALUES ('pgqueue')$$, '42939', NULL,
    'INSERT of the reserved name');
SELECT results_eq(
    $$UPDATE pgqueue.namespace SET max_running = NULL, max_depth = 9, paused = NULL, description = NULL
        WHERE namespace = 'w2' RETURNING weight, max_running, max_depth, paused, description$$,
    $$VALUES (2, NULL::integer, 9::bigint, false, NULL::text)$$, 'UPDATE; NULL means none');
SELECT results_eq($$UPDATE pgqueue.namespace SET namespace = 'W3' WHERE namespace = 'w2' RETURNING namespace$$,
    $$VALUES ('w3')$$, 'UPDATE of the name renames');
SELECT throws_ok($$UPDATE pgqueue.namespace SET weight = 5000 WHERE namespace = 'w3'$$, '22023', NULL,
    'UPDATE out of range');
SELECT throws_ok($$UPDATE pgqueue.namespace SET created_at = now() WHERE namespace = 'w3'$$, '0A000', NULL,
    'UPDATE of created_at');
SELECT throws_ok($$UPDATE pgqueue.namespace SET weight = 5 WHERE namespace = 'pgqueue'$$, '42939', NULL,
    'UPDATE of the system namespace');
SELECT throws_ok($$DELETE FROM pgqueue.namespace WHERE namespace = 'b'$$, '2BP01', NULL, 'DELETE of one with queues');
SELECT results_eq($$DELETE FROM pgqueue.namespace WHERE namespace = 'w3' RETURNING namespace, max_depth$$,
    $$VALUES ('w3', 9::bigint)$$, 'DELETE');
SELECT is_empty($$SELECT FROM pgqueue.namespace WHERE namespace = 'w3'$$, 'it is gone');
SELECT throws_ok($$SELECT pgqueue.create_queue('q', namespace => 'pgqueue')$$, '42939', NULL,
    'nobody''s queues in the system namespace (C37)');

-- Times come from the server, with time zone (K16).
SELECT is_empty($$SELECT c.oid::regclass, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE c.relnamespace IN ('pgqueue'::regnamespace, 'pgqueue_internal'::regnamespace)
        AND a.atttypid IN ('timestamp'::regtype, 'date'::regtype, 'time'::regtype)$$,
    'all times are timestamptz (K16)');
SELECT cmp_ok((SELECT created_at FROM pgqueue.get_namespace('b')), '>', transaction_timestamp(),
    'created_at is the clock, not the transaction''s start');

SELECT * FROM finish();
ROLLBACK;
