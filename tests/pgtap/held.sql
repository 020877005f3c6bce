-- What outside workers show: view worker has a row for each task held (B01, K03), and privilege work sees the rows of
-- tasks that it holds, and only those. Every statement commits: a task is ready when its transaction has ended.
\set ECHO none
\set QUIET 1
SELECT no_plan();
CREATE ROLE held_use; CREATE ROLE held_work; CREATE ROLE held_other; CREATE ROLE held_group; CREATE ROLE held_member;
    CREATE ROLE held_read; CREATE ROLE held_nothing; CREATE ROLE held_monitor; CREATE ROLE held_manage;
GRANT pgqueue_user TO held_use, held_work, held_other, held_group, held_member, held_read, held_nothing,
    held_monitor, held_manage;
GRANT held_group TO held_member;
GRANT pg_monitor TO held_monitor;
SELECT pgqueue.create_namespace('h'), pgqueue.create_queue('q', ttl => '0', namespace => 'h'),
    pgqueue.grant_namespace('h', 'use', 'held_use'), pgqueue.grant_namespace('h', 'work', 'held_work'),
    pgqueue.grant_namespace('h', 'work', 'held_other'), pgqueue.grant_namespace('h', 'work', 'held_group'),
    pgqueue.grant_namespace('h', 'read', 'held_read'),
    pgqueue.grant_namespace('h', 'manage', 'held_manage') \g /dev/null
SET pgqueue.namespace = h;
SET ROLE held_use;
SELECT pgqueue.create_task('q', jsonb_build_object('n', g), type => 'mail:send', headers => '{"trace": 7}')
FROM generate_series(1, 4) g \g /dev/null
RESET ROLE;
DO $$BEGIN FOR i IN 1..1500 LOOP EXIT WHEN NOT EXISTS (SELECT FROM pgqueue.task t, pgqueue.why(t.id) w
    WHERE w.reason = 'not_loaded'); COMMIT; PERFORM pg_sleep(0.02); END LOOP; END$$;
CREATE FUNCTION pg_temp.seen_by(role text, query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    EXECUTE format('SET ROLE %I', role);
    EXECUTE query INTO result;
    RESET ROLE;
    RETURN coalesce(result, '');
END
$$;

SELECT is((SELECT count(*) FROM pgqueue.worker WHERE kind = 'outside'), 0::bigint, 'nobody holds a task');
SET ROLE held_work;
SELECT id AS one, receipt AS receipt FROM pgqueue.next_task('w1', 'q', '1 h') \gset
RESET ROLE;
SET ROLE held_group;
SELECT id AS two, receipt AS receipt2 FROM pgqueue.next_task('w2', 'q', session_bound => true) \gset
RESET ROLE;

-- What the error about a receipt says of a task of others: nothing to those who may only work.
CREATE FUNCTION pg_temp.refused(role text, task bigint, receipt bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text;
    hint text;
BEGIN
    EXECUTE format('SET ROLE %I', role);
    PERFORM pgqueue.release_task(task, receipt);
    RETURN 'released';
EXCEPTION WHEN SQLSTATE 'PQ001' THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN coalesce(substring(detail FROM '\(.*\)') || ' ', '') || hint;
END
$$;
SELECT is(pg_temp.refused('held_other', :one, 1), 'Retain it again with next_task.', 'not that it is retained');
SELECT is(pg_temp.refused('held_other', (SELECT max(id) FROM pgqueue.task WHERE status = 'new'), 1),
    'Retain it again with next_task.', 'nor that it is new');
SELECT is(pg_temp.refused(session_user::text, :one, 1), '(status retained) Retain it again with next_task.',
    'the owner may know');

-- The view worker.
SELECT results_eq('SELECT worker, kind, pid, role, namespace, queue, task_id, type, command, attempt, state, '
    'cpu_seconds, progress FROM pgqueue.worker WHERE kind = ''outside'' ORDER BY worker',
    format(
        $$VALUES ('w1', 'outside', pg_backend_pid(), 'held_work', 'h', 'q', %s::bigint, 'mail:send', NULL, 1, 'running',
            NULL::float8, NULL::float8),
        ('w2', 'outside', pg_backend_pid(), 'held_group', 'h', 'q', %s, 'mail:send', NULL, 1, 'running', NULL, NULL)$$,
    :one, :two),
    'K03: an outside worker has a row for each task that it holds');
SELECT results_eq('SELECT w.worker, w.since = t.started_at, w.lease_until IS NOT DISTINCT FROM t.lease_until, '
    'w.lease_until IS NULL FROM pgqueue.worker w JOIN pgqueue.task t ON t.id = w.task_id '
    'WHERE kind = ''outside'' ORDER BY 1',
    $$VALUES ('w1', true, true, false), ('w2', true, true, true)$$,
    'since when, and until when: one bound to its session has no end');
SELECT is(pg_temp.seen_by('held_' || who,
    'SELECT string_agg(worker, '' '' ORDER BY worker) FROM pgqueue.worker WHERE kind = ''outside'''), sees,
    'outside workers for ' || who)
FROM (VALUES ('read', 'w1 w2'), ('manage', 'w1 w2'), ('monitor', 'w1 w2'), ('use', ''), ('work', ''),
    ('nothing', '')) v (who, sees);
SELECT pgqueue.extend_task(:one, :receipt, '2 h') AS until \gset
SELECT is((SELECT lease_until FROM pgqueue.worker WHERE task_id = :one), :'until', 'an extended lease');
BEGIN;
SELECT pgqueue.release_task(:one, :receipt) \g /dev/null
SELECT is((SELECT count(*) FROM pgqueue.worker WHERE task_id = :one), 0::bigint,
    'a task released here is held no more');
ROLLBACK;
BEGIN;
SELECT id AS three FROM pgqueue.next_task('w3', 'q') \gset
SELECT is((SELECT count(*) FROM pgqueue.worker WHERE task_id = :three), 1::bigint,
    'a task retained here shows to this session');
ROLLBACK;
SELECT is((SELECT count(*) FROM pgqueue.worker WHERE task_id = :three), 0::bigint, 'and not after ROLLBACK');

-- Tasks that one holds (rights table: rows of task and task_attempt for work).
SELECT is(pg_temp.seen_by('held_' || who,
    $$SELECT string_agg(concat_ws(' ', worker, payload ->> 'n', headers ->> 'trace', receipt), ', ' ORDER BY id)
        FROM pgqueue.task WHERE status = 'retained'$$),
    sees, 'held tasks with payload, headers and receipt for ' || who)
FROM (VALUES ('use', 'w1 1 7, w2 2 7'), ('read', 'w1 1 7, w2 2 7'),
    ('manage', format('w1 1 7 %s, w2 2 7 %s', :receipt, :receipt2)), ('monitor', 'w1, w2'),
    ('nothing', '')) v (who, sees);
SELECT is(pg_temp.seen_by('held_work', 'SELECT string_agg(status, '' '') FROM pgqueue.task'), 'retained retained',
    'tasks that nobody holds are not seen by work');
SELECT is(pg_temp.seen_by('held_work', 'SELECT count(*) FROM pgqueue.task_attempt'), '2',
    'attempts of what this session holds');
SELECT is(pg_temp.seen_by('held_work', format('SELECT count(*) FROM pgqueue.get_task(%s)', :one)), '1',
    'get_task of a held task');

-- Another session: only the role counts. A background worker is the other session.
SELECT pgqueue.create_queue('look', executor => 'server', namespace => 'default') \g /dev/null
CREATE TABLE seen (who text, task bigint, payload jsonb, receipt bigint, attempts bigint);
GRANT INSERT ON seen TO PUBLIC;
GRANT CREATE ON SCHEMA public TO PUBLIC;
SELECT pgqueue.grant_namespace('default', 'use', 'public') \g /dev/null
CREATE FUNCTION pg_temp.look_as(who text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('SET ROLE %I', who);
    PERFORM pgqueue.create_task('look',
        command =>
            format(
                $c$INSERT INTO seen SELECT %L, t.id, t.payload, t.receipt,
                    (SELECT count(*) FROM pgqueue.task_attempt a WHERE a.task_id = t.id)
        FROM (SELECT) x LEFT JOIN pgqueue.task t ON t.namespace = 'h'$c$, who), namespace => 'default');
    RESET ROLE;
END
$$;
SELECT pg_temp.look_as('held_' || r) FROM unnest('{work,other,group,member,nothing}'::text[]) r \g /dev/null
DO $$BEGIN FOR i IN 1..1500 LOOP EXIT WHEN (SELECT count(*) FROM pgqueue.task
    WHERE queue = 'look' AND status IN ('released', 'failed')) = 5; PERFORM pg_sleep(0.02); COMMIT; END LOOP; END$$;
SELECT results_eq('SELECT who, task, payload, receipt, attempts FROM seen ORDER BY who, task',
    format(
        $$VALUES ('held_group', %2$s::bigint, '{"n": 2}'::jsonb, %4$s::bigint, 1::bigint),
            ('held_member', %2$s, '{"n": 2}'::jsonb, %4$s::bigint, 1), ('held_nothing', NULL, NULL, NULL, 0),
        ('held_other', NULL, NULL, NULL, 0), ('held_work', %1$s, '{"n": 1}', %3$s, 1)$$, :one, :two,
    :receipt, :receipt2),
    'another session sees what its roles hold: a member of the group too, another worker nothing');

-- Speed: the id reaches the keys, whoever asks.
SET ROLE held_work;
CREATE TEMP TABLE plan (line text);
DO $$DECLARE l text; BEGIN FOR l IN EXECUTE 'EXPLAIN SELECT * FROM pgqueue.task WHERE id = 1' LOOP INSERT INTO plan
    VALUES (l); END LOOP; END$$;
SELECT ok((SELECT count(*) FILTER (WHERE line LIKE '%Index%Scan%segment_%') = 6
    AND bool_and(line NOT LIKE '%Seq Scan on segment_%') FROM plan), 'WHERE id = … uses the primary keys');
RESET ROLE;

-- What ended is not seen any more, and an UPDATE needs manage.
SELECT throws_ok(format('SET ROLE held_work; UPDATE pgqueue.task SET priority = 1 WHERE id = %s', :one), '42501', NULL,
    'who holds a task may not change its row');
RESET ROLE;
SELECT pgqueue.release_tasks(ARRAY[:one, :two]::bigint[], ARRAY[:receipt, :receipt2]::bigint[]) \g /dev/null
SELECT is(pg_temp.seen_by('held_work', 'SELECT count(*) FROM pgqueue.task WHERE namespace = ''h'''), '0',
    'a released task is not seen by work');
SELECT is((SELECT count(*) FROM pgqueue.worker WHERE kind = 'outside'), 0::bigint, 'nobody holds a task any more');
SELECT pgqueue.revoke_namespace('default', 'use', 'public') \g /dev/null
DROP TABLE seen;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
SET client_min_messages = warning;
DROP OWNED BY held_use, held_work, held_other, held_group, held_member, held_read, held_nothing,
    held_monitor, held_manage;
DROP ROLE held_use, held_work, held_other, held_group, held_member, held_read, held_nothing, held_monitor, held_manage;
SELECT * FROM finish();
\ir ../lib/clean.sql
