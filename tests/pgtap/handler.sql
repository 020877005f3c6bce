-- Handlers: registration, rights, the view with INSERT, UPDATE, DELETE (B21), and
-- what run_task makes of them (B18 to B20).
\set ECHO none
\set QUIET 1
BEGIN;
SELECT no_plan();

CREATE SCHEMA shop;
CREATE FUNCTION shop.mail(payload jsonb) RETURNS jsonb LANGUAGE sql AS $$SELECT payload || '{"by": "mail"}'$$;
CREATE FUNCTION shop.other(payload jsonb) RETURNS int LANGUAGE sql AS 'SELECT 7';
CREATE FUNCTION shop."Odd Name"(payload jsonb) RETURNS void LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION shop.done(payload jsonb, result jsonb) RETURNS void LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION shop.of_text(payload text) RETURNS void LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION shop.many(payload jsonb) RETURNS SETOF int LANGUAGE sql AS 'SELECT 1';
CREATE PROCEDURE shop.proc(payload jsonb) LANGUAGE sql AS 'SELECT 1';
SELECT pgqueue.create_namespace('app') \g /dev/null

-- create_handler.
SELECT is((SELECT to_jsonb(h) - 'created_at' FROM pgqueue.create_handler('mail:', 'shop.mail') h),
    jsonb_build_object('namespace', 'default', 'type', 'mail:', 'phase', 'handle', 'function', 'shop.mail', 'role',
        current_user), 'create_handler returns the row');
SELECT ok((SELECT created_at BETWEEN now() AND clock_timestamp() FROM pgqueue.handler WHERE type = 'mail:'),
    'with the time of registration');
SELECT is((SELECT function FROM pgqueue.create_handler('odd', 'Shop."Odd Name"')), 'shop."Odd Name"',
    'a name is folded and quoted as in SQL');
SET LOCAL search_path = shop, public;
SELECT is((SELECT function FROM pgqueue.create_handler('path', 'other')), 'shop.other',
    'a name without schema is looked up in the caller''s search path');
SELECT is((SELECT function FROM pgqueue.create_handler('mail:', 'done', 'after')), 'shop.done',
    'a function for after has the result as second argument');
SELECT is((SELECT function FROM pgqueue.create_handler('', 'mail', 'before')), 'shop.mail',
    'one for before may be for all types');
RESET search_path;
SELECT is((SELECT namespace FROM pgqueue.create_handler('mail:', 'shop.other', namespace => 'app')), 'app',
    'the same type in another namespace');
SELECT is((SELECT phase FROM pgqueue.create_handler('null', 'shop.other', NULL)), 'handle',
    'NULL is the default phase');

-- B21: refused.
SELECT throws_ok($$SELECT pgqueue.create_handler('mail:', 'shop.mail')$$, '42710', NULL, 'the same type twice (B21)');
SELECT throws_ok($$SELECT pgqueue.create_handler('mail:', 'shop.other')$$, '42710', NULL,
    'also with another function (B21)');
SELECT throws_ok($$SELECT pgqueue.create_handler('mail:', 'shop.done', 'after')$$, '42710', NULL,
    'the same function twice after (B21)');
SELECT lives_ok($$SELECT pgqueue.create_handler('mail:', 'shop.other', 'before')$$,
    'several functions before one type');
SELECT throws_ok($$SELECT pgqueue.create_handler('', 'shop.mail')$$, '22023', NULL, 'an empty type (B21)');
SELECT throws_ok(E'SELECT pgqueue.create_handler(\' \t\', \'shop.mail\')', '22023', NULL, 'a blank type (B21)');
SELECT throws_ok($$SELECT pgqueue.create_handler(NULL, 'shop.mail')$$, '22004', NULL, 'no type (B21)');
SELECT throws_ok($$SELECT pgqueue.create_handler('x', NULL)$$, '22004', NULL, 'no function (B21)');
SELECT throws_ok($$SELECT pgqueue.create_handler('x', 'shop.nosuch')$$, '42883', NULL, 'an unknown function (B21)');
SELECT throws_ok($$SELECT pgqueue.create_handler('x', 'nosuch.mail')$$, '42883', NULL, 'an unknown schema');
SELECT throws_ok($$SELECT pgqueue.create_handler('x', 'mail')$$, '42883', NULL,
    'a function that is not in the search path');
SELECT throws_ok($$SELECT pgqueue.create_handler('x', 'shop.of_text')$$, '42883', NULL, 'a function of text');
SELECT throws_ok($$SELECT pgqueue.create_handler('x', 'shop.mail', 'after')$$, '42883', NULL,
    'a function without result for after');
SELECT throws_ok($$SELECT pgqueue.create_handler('x', 'shop.many')$$, '42809', NULL, 'a function that returns a set');
SELECT throws_ok($$SELECT pgqueue.create_handler('x', 'shop.proc')$$, '42883', NULL, 'a procedure');
SELECT throws_ok($$SELECT pgqueue.create_handler('x', 'shop.mail', 'during')$$, '22023', NULL, 'an unknown phase');
SELECT throws_ok($$SELECT pgqueue.create_handler('x', 'shop.mail', namespace => 'nosuch')$$, '42704', NULL,
    'an unknown namespace');
SELECT throws_ok($$SELECT pgqueue.create_handler('x', 'shop..mail')$$, '42602', NULL, 'not a name');
SELECT is((SELECT count(*) FROM pgqueue.handler WHERE type = 'x'), 0::bigint, 'nothing of it is registered');

-- delete_handler.
SELECT results_eq($$SELECT type, phase, function FROM pgqueue.delete_handler('mail:', phase => 'after')$$,
    $$VALUES ('mail:', 'after', 'shop.done')$$, 'delete_handler returns what was deleted');
SELECT throws_ok($$SELECT pgqueue.delete_handler('mail:', phase => 'after')$$, '42704', NULL, 'it is gone');
SELECT throws_ok($$SELECT pgqueue.delete_handler('mail')$$, '42704', NULL, 'an unknown type; a pattern is not matched');
SELECT throws_ok($$SELECT pgqueue.delete_handler('mail:', 'shop.other')$$, '42704', NULL,
    'another function than the one registered');
SELECT throws_ok($$SELECT pgqueue.delete_handler('mail:', phase => 'during')$$, '22023', NULL, 'an unknown phase');
SELECT throws_ok($$SELECT pgqueue.delete_handler(NULL)$$, '22004', NULL, 'no type');
SELECT throws_ok($$SELECT pgqueue.delete_handler('mail:', namespace => 'nosuch')$$, '42704', NULL,
    'an unknown namespace');
SELECT lives_ok($$SELECT pgqueue.create_handler('mail:', 'shop.mail', 'before')$$, 'two functions before one type');
SELECT is((SELECT string_agg(function, ' ' ORDER BY created_at) FROM pgqueue.handler
    WHERE type = 'mail:' AND phase = 'before'), 'shop.other shop.mail', 'created_at has their order');
SELECT results_eq($$SELECT function FROM pgqueue.delete_handler('mail:', 'SHOP.other', 'before')$$,
    $$VALUES ('shop.other')$$, 'one of them, named as in SQL');
DROP FUNCTION shop."Odd Name"(jsonb);
SELECT is((SELECT count(*) FROM pgqueue.delete_handler('odd', 'shop."Odd Name"')), 1::bigint,
    'also when the function is gone');
SELECT lives_ok($$SELECT pgqueue.delete_handler('mail:', phase => 'before')$$, 'the rest of a phase');

-- The view.
INSERT INTO pgqueue.handler (type, function) VALUES ('ins:', 'shop.mail');
SELECT is((SELECT phase || ' ' || function || ' ' || (role = current_user) FROM pgqueue.handler WHERE type = 'ins:'),
    'handle shop.mail true', 'INSERT registers, phase handle by default');
SELECT throws_ok($$INSERT INTO pgqueue.handler (type, function) VALUES ('ins:', 'shop.mail')$$, '42710', NULL,
    'INSERT of the same');
SELECT throws_ok($$INSERT INTO pgqueue.handler (type, function) VALUES ('', 'shop.mail')$$, '22023', NULL,
    'INSERT without a type');
SELECT throws_ok($$INSERT INTO pgqueue.handler (type) VALUES ('y')$$, '22004', NULL, 'INSERT without a function');
SELECT throws_ok($$INSERT INTO pgqueue.handler (type, function) VALUES ('y', 'shop.nosuch')$$, '42883', NULL,
    'INSERT of an unknown function');
SELECT throws_ok($$INSERT INTO pgqueue.handler (type, function, role) VALUES ('y', 'shop.mail', 'postgres')$$, '0A000',
    NULL, 'INSERT for another role');
SELECT throws_ok($$INSERT INTO pgqueue.handler (type, function, created_at) VALUES ('y', 'shop.mail', now())$$, '0A000',
    NULL, 'INSERT with a time');
SELECT is((SELECT count(*) FROM pgqueue.handler WHERE type = 'y'), 0::bigint, 'nothing of it is there');
UPDATE pgqueue.handler SET type = 'upd:', function = 'Shop.other' WHERE type = 'ins:';
SELECT is((SELECT function FROM pgqueue.handler WHERE type = 'upd:'), 'shop.other', 'UPDATE');
SELECT throws_ok($$UPDATE pgqueue.handler SET type = 'mail:' WHERE type = 'upd:'$$, '42710', NULL,
    'UPDATE to a type that is taken');
SELECT throws_ok($$UPDATE pgqueue.handler SET role = 'postgres2' WHERE type = 'upd:'$$, '0A000', NULL,
    'UPDATE of the role');
SELECT throws_ok($$UPDATE pgqueue.handler SET namespace = 'app' WHERE type = 'upd:'$$, '0A000', NULL,
    'UPDATE of the namespace');
SELECT throws_ok($$UPDATE pgqueue.handler SET function = 'shop.nosuch' WHERE type = 'upd:'$$, '42883', NULL,
    'UPDATE to an unknown function');
SELECT throws_ok($$UPDATE pgqueue.handler SET phase = 'after' WHERE type = 'upd:'$$, '42883', NULL,
    'UPDATE to a phase that the function is not for');
DELETE FROM pgqueue.handler WHERE type = 'upd:';
SELECT is((SELECT count(*) FROM pgqueue.handler WHERE type = 'upd:'), 0::bigint, 'DELETE');
SELECT lives_ok($$DELETE FROM pgqueue.handler WHERE type = 'nosuch'$$, 'DELETE of nothing');

-- Rights.
CREATE ROLE tap_manage; CREATE ROLE tap_use; CREATE ROLE tap_nothing;
GRANT pgqueue_user TO tap_manage, tap_use, tap_nothing;
SELECT pgqueue.grant_namespace('app', 'manage, use', 'tap_manage') \g /dev/null
SELECT pgqueue.grant_namespace('app', 'use', 'tap_use') \g /dev/null
REVOKE EXECUTE ON FUNCTION shop.mail(jsonb) FROM PUBLIC;
GRANT USAGE ON SCHEMA shop TO tap_manage, tap_use, tap_nothing;
SET LOCAL ROLE tap_manage;
SELECT throws_ok($$SELECT pgqueue.create_handler('a', 'shop.mail', namespace => 'app')$$, '42501', NULL,
    'a function that the caller may not execute');
SELECT is((SELECT role FROM pgqueue.create_handler('a', 'shop.other', namespace => 'app')), 'tap_manage',
    'manage may register; it runs as the caller');
SELECT throws_ok($$SELECT pgqueue.create_handler('a', 'shop.other')$$, '42501', NULL, 'not in another namespace');
UPDATE pgqueue.handler SET type = 'mails:' WHERE type = 'mail:' AND namespace = 'app';
SELECT is((SELECT role FROM pgqueue.handler WHERE type = 'mails:'), 'tap_manage',
    'whoever changes a handler becomes its role');
SELECT is((SELECT count(*) FROM pgqueue.handler WHERE namespace <> 'app'), 0::bigint,
    'handlers of other namespaces are not seen');
RESET ROLE;
UPDATE pgqueue.handler SET type = type WHERE type = 'mails:';
SELECT is((SELECT role FROM pgqueue.handler WHERE type = 'mails:'), 'tap_manage',
    'an UPDATE that changes nothing does not');
SET LOCAL ROLE tap_use;
SELECT throws_ok($$SELECT pgqueue.create_handler('b', 'shop.other', namespace => 'app')$$, '42501', NULL,
    'use may not register');
SELECT throws_ok($$SELECT pgqueue.delete_handler('a', namespace => 'app')$$, '42501', NULL, 'nor delete');
SELECT throws_ok($$INSERT INTO pgqueue.handler (namespace, type, function) VALUES ('app', 'b', 'shop.other')$$, '42501',
    NULL, 'nor INSERT');
SELECT throws_ok($$UPDATE pgqueue.handler SET type = 'b' WHERE type = 'a'$$, '42501', NULL, 'nor UPDATE');
SELECT throws_ok($$DELETE FROM pgqueue.handler WHERE type = 'a'$$, '42501', NULL, 'nor DELETE');
SELECT is((SELECT count(*) FROM pgqueue.handler), 2::bigint, 'but it sees them');
RESET ROLE;
SET LOCAL ROLE tap_nothing;
SELECT is((SELECT count(*) FROM pgqueue.handler), 0::bigint, 'without a grant nothing is seen');
RESET ROLE;
ALTER ROLE tap_manage RENAME TO tap_manager;
SELECT is((SELECT role FROM pgqueue.handler WHERE type = 'a'), 'tap_manager',
    'a handler follows the rename of its role');

-- Inside one transaction, as an application tests itself.
SELECT pgqueue.create_queue('s', executor => 'server', retries => 0) \g /dev/null
SELECT pgqueue.create_handler('mail:order', 'shop.other') \g /dev/null
SELECT pgqueue.delete_handler('', phase => 'before') \g /dev/null
CREATE TEMP TABLE made AS SELECT type, pgqueue.create_task('s', '{"n": 1}', type => type) AS id
    FROM unnest('{mail:x,mail:order,mail:orders,nosuch}'::text[]) type;
SELECT results_eq('SELECT type, pgqueue.run_task(id) FROM made',
    $$VALUES ('mail:x', 'released'), ('mail:order', 'released'), ('mail:orders', 'released'), ('nosuch', 'failed')$$,
    'run_task of typed tasks');
SELECT results_eq('SELECT t.result FROM made m JOIN pgqueue.task t USING (id) ORDER BY id',
    $$VALUES ('{"n": 1, "by": "mail"}'::jsonb), ('7'), ('7'), (NULL)$$,
    'the exact type and the longest pattern win (B18, B19)');
SELECT is((SELECT error || '/' || error_code FROM pgqueue.task WHERE type = 'nosuch'),
    'handler not found for task nosuch/PQ104', 'no handler (B20)');
SELECT throws_ok(format('SELECT pgqueue.run_task(%s)', pgqueue.create_task('outside', type => 'mail:x')), '0A000', NULL,
    'a task of outside workers is theirs')
FROM pgqueue.create_queue('outside');
SELECT lives_ok($$SELECT pgqueue.delete_namespace('app')$$, 'a namespace goes with its handlers');

-- Nobody makes others read more than a few handlers.
SELECT count(pgqueue.create_namespace('many')) \g /dev/null
SELECT count(pgqueue.create_handler('t' || i, 'shop.mail', namespace => 'many'))
FROM generate_series(1, 1000) i \g /dev/null
SELECT throws_ok($$SELECT pgqueue.create_handler('t1001', 'shop.mail', namespace => 'many')$$, '53400',
    'namespace "many" has 1000 handlers, the most that it may have', 'a thousand');
SELECT throws_ok($$INSERT INTO pgqueue.handler (namespace, type, function) VALUES ('many', 't1001', 'shop.mail')$$,
    '53400', NULL, 'and by the view');
SELECT lives_ok($$SELECT pgqueue.create_handler('t1001', 'shop.mail')$$, 'other namespaces have theirs');
-- Nor makes the scheduler write more than a few tasks for each that fails.
CREATE FUNCTION shop.sorry(payload jsonb, error text) RETURNS void LANGUAGE sql AS '';
SELECT count(pgqueue.create_namespace('few')) \g /dev/null
SELECT count(pgqueue.create_handler('t' || i, 'shop.sorry', 'failed', namespace => 'few'))
FROM generate_series(1, 16) i \g /dev/null
SELECT throws_ok($$SELECT pgqueue.create_handler('t17', 'shop.sorry', 'failed', namespace => 'few')$$, '53400',
    'namespace "few" has 16 handlers of phase failed, the most that it may have', 'sixteen of phase failed');
SELECT lives_ok($$SELECT pgqueue.create_handler('t17', 'shop.mail', namespace => 'few')$$, 'and more of other phases');
SELECT throws_ok($$UPDATE pgqueue.handler SET phase = 'failed', function = 'shop.sorry'
    WHERE namespace = 'few' AND type = 't17'$$, '53400', NULL, 'none becomes the seventeenth');

-- progress().
SELECT lives_ok($$SELECT pgqueue.progress(1, 2, 'half')$$, 'outside a task nothing happens');
SELECT throws_ok($$SELECT pgqueue.progress(NULL)$$, '22004', NULL, 'progress of nothing');
SELECT throws_ok($$SELECT pgqueue.progress(1, 0)$$, '22023', NULL, 'of a total of zero');
SELECT throws_ok($$SELECT pgqueue.progress('NaN')$$, '22023', NULL, 'of what is no number');

SELECT * FROM finish();
ROLLBACK;
