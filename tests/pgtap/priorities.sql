-- max_priorities of a namespace, and what memory and health say of its priorities (T2). Every statement commits.
\set ECHO none
\set QUIET 1
SELECT no_plan();
CREATE ROLE t2_owner IN ROLE pgqueue_user;
SELECT pgqueue.create_namespace('p'), pgqueue.update_namespace('p', owner => 't2_owner') \g /dev/null
SET ROLE t2_owner;
SELECT pgqueue.create_queue('q', namespace => 'p'), pgqueue.create_queue('other', namespace => 'p') \g /dev/null
SET pgqueue.namespace = 'p';
CREATE FUNCTION pg_temp.lists() RETURNS SETOF pgqueue.memory
    LANGUAGE sql AS $$SELECT * FROM pgqueue.memory WHERE kind = 'priorities' AND namespace = 'p'$$;
CREATE FUNCTION pg_temp.problem() RETURNS SETOF text
    LANGUAGE sql AS $$SELECT message FROM pgqueue.health WHERE problem = 'share_used_up' AND namespace = 'p'$$;

-- Without a number nothing is refused, and lists stay few.
SELECT lives_ok($$SELECT pgqueue.create_task('q', '1', priority => i) FROM generate_series(1, 5000) i$$,
    'T2: 5,000 priorities');
SELECT cmp_ok((SELECT used FROM pg_temp.lists()), '<=', 320::bigint, 'T2: share lists');
SELECT is((SELECT count(*) FROM (SELECT priority, row_number() OVER () AS n FROM pgqueue.next_tasks('w', '{q}', 5000)) t
    WHERE priority <> n), 0::bigint, 'T2: and come in order');
SELECT is_empty('SELECT * FROM pg_temp.problem()', 'T2: which is no problem');
SELECT pgqueue.purge_queue('q') \g /dev/null

-- With one, a task of a further priority is refused.
SELECT pgqueue.update_namespace('p', max_priorities => 3) \g /dev/null
SELECT is((SELECT capacity FROM pg_temp.lists()), 3::bigint, 'T2: view memory shows max_priorities');
SELECT lives_ok($$SELECT pgqueue.create_task('q', '1', priority => i % 3) FROM generate_series(1, 30) i$$,
    'T2: as many priorities as that');
SELECT throws_ok($$SELECT pgqueue.create_task('q', '1', priority => 3)$$, '53400', NULL, 'T2: not one more');
SELECT throws_ok($$SELECT pgqueue.create_tasks('other', '{1,2}', priority => 0)$$, '53400', NULL,
    'T2: each queue has its own');
SELECT throws_like($$SELECT pgqueue.create_task('q', '1', priority => 3)$$,
    '%namespace "p" has its part of the priorities%', 'T2: the error names the namespace');
SELECT lives_ok($$SELECT pgqueue.create_task('q', '1', priority => 1)$$, 'T2: those that are there are open');
SELECT lives_ok(
    $$SELECT pgqueue.create_task('q', '1', priority => 77, delay => '1 hour'),
        pgqueue.create_task('q', '1', priority => 78, group_key => 'g')$$, 'T2: what needs no list too');
SELECT is((SELECT count(*) FROM pg_temp.problem()), 1::bigint, 'T2: health tells of it');
SELECT pgqueue.release_task(id, receipt) FROM pgqueue.next_tasks('w', '{q}', 11) \g /dev/null
SELECT lives_ok($$SELECT pgqueue.create_task('q', '1', priority => 3)$$, 'T2: when one is empty there is room');
SELECT is((SELECT string_agg(DISTINCT priority::text, ' ') FROM pgqueue.next_tasks('w', '{q}', 100)), '1 2 3 78',
    'T2: all of them come');
BEGIN;
SELECT lives_ok($$SELECT pgqueue.create_task('q', '1', priority => i) FROM generate_series(11, 13) i$$,
    'T2: a transaction');
SELECT throws_ok($$SELECT pgqueue.create_task('q', '1', priority => 14)$$, '53400', NULL, 'T2: counts its own');
ROLLBACK;
SELECT lives_ok($$SELECT pgqueue.create_task('q', '1', priority => i) FROM generate_series(21, 23) i$$,
    'T2: the next one begins anew');

-- The owner lowers, pgqueue_admin raises.
SELECT throws_ok($$SELECT pgqueue.update_namespace('p', max_priorities => 4)$$, '42501', NULL,
    'T2: its owner cannot raise it');
RESET ROLE;
SELECT lives_ok($$SELECT pgqueue.update_namespace('p', max_priorities => 4)$$, 'T2: a member of pgqueue_admin can');
SELECT lives_ok($$SELECT pgqueue.create_task('q', '1', priority => 24)$$, 'T2: then there is room for one more');
SELECT throws_ok($$SELECT pgqueue.create_task('q', '1', priority => 25)$$, '53400', NULL, 'T2: and no second one');
SELECT pgqueue.update_namespace('p', max_priorities => 0) \g /dev/null
SELECT lives_ok($$SELECT pgqueue.create_task('q', '1', priority => 25)$$, 'T2: 0 gives the fair part back');
RESET pgqueue.namespace;
SELECT pgqueue.delete_namespace('p', force => true) \g /dev/null
DROP OWNED BY t2_owner;
DROP ROLE t2_owner;
SELECT * FROM finish();
\ir ../lib/clean.sql
