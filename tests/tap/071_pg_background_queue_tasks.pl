# Extension pg_background_queue: how tasks run, as whom, and what ends them (rows A07, A11, A12, A32-A43, A47-A49).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use BackgroundQueue;
use PgQueue;
use PostgreSQL::Test::Utils;
use Test::More;

my $db = 'work';
my $node = new_node('tasks', extension => 0, conf => 'pg_background_queue.max_parallel_running_tasks_count = 4');
$node->safe_psql('postgres', "CREATE DATABASE work ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0");
$node->safe_psql($db, <<~'SQL');
    CREATE EXTENSION pg_background_queue CASCADE;
    CREATE TABLE t (a integer);
    CREATE TABLE gate (name text);
    CREATE TABLE ran (what text, pid integer DEFAULT pg_backend_pid(), at timestamptz DEFAULT clock_timestamp());
    CREATE ROLE alice;
    CREATE ROLE bob NOLOGIN;
    GRANT pgqueue_user TO alice, bob;
    SELECT pgqueue.grant_namespace('pg_background_queue', 'use, read', 'alice'),
        pgqueue.grant_namespace('pg_background_queue', 'use', 'bob');
    GRANT INSERT ON ran TO PUBLIC;
    SQL

# In another process, at once.
my $at_once = $node->safe_psql($db, <<~'SQL');
    CREATE TEMP TABLE before AS SELECT clock_timestamp() AS at;
    SELECT pg_background_queue_enqueue('SELECT pg_sleep(60)', 'long') \g /dev/null
    SELECT clock_timestamp() - at < interval '10 s' FROM before
    SQL
is($at_once, 't', 'A07: enqueue returns at once, long before the task ends');
ok(wait_for($node, $db, "SELECT count(*) FROM pg_background_tasks WHERE topic = 'long' AND state = 'running'", '1', 10),
    'A07: the task runs');
is($node->safe_psql($db, <<~'SQL'), 'pgqueue worker|SELECT pg_sleep(60)|active',
    SELECT backend_type, query, state FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(60)%'
    SQL
    'A35: pg_stat_activity has the worker and the SQL that it runs');
is($node->safe_psql($db, 'SELECT pg_background_queue_active_workers_count()'), '1', 'A32: one worker is active');
$node->safe_psql($db, "UPDATE pg_background_tasks SET state = 'failed', errors = 'too long' WHERE topic = 'long'");
ok(wait_for($node, $db, <<~'SQL', 'failed too long', 10), 'a running task is cancelled by a change of its state');
    SELECT state || ' ' || errors FROM pg_background_tasks WHERE topic = 'long'
    SQL

# Effects and their absence.
my $id = enqueue($node, $db, 'INSERT INTO t SELECT 1');
ok(wait_state($node, $db, $id, 'finished', 2), 'A11: finished within two seconds');
is(task_row($node, $db, $id, '(SELECT count(*) FROM t), closed_at >= started_at AND started_at >= joined_at'), '1|t',
    'A11: its effect is there, times are in order');
$id = enqueue($node, $db, 'INSERT INTO t SELECT 2; SELECT 1/0');
ok(wait_state($node, $db, $id, 'failed', 10), 'A12: failed');
is(task_row($node, $db, $id, 'errors, closed_at IS NOT NULL, (SELECT count(*) FROM t)'), 'division by zero|t|1',
    'A12: with the message, nothing of it is there');
$id = enqueue($node, $db, 'UPDATE t SET a = a + 1; UPDATE t SET a = a + 1');
ok(wait_state($node, $db, $id, 'finished', 10), 'A36: several statements');
is($node->safe_psql($db, 'SELECT a FROM t'), '3', 'A36: each sees the ones before');
$id = enqueue($node, $db, 'BEGIN; SELECT 1; COMMIT');
my $next = enqueue($node, $db, 'SELECT 1');
ok(wait_state($node, $db, $id, 'failed', 10), 'A37: transaction control fails');
like(task_row($node, $db, $id, 'errors'), qr/transaction control/i, 'A37: and says why');
is($node->safe_psql($db, "SELECT error_code FROM pgqueue.task WHERE id = $id"), '0A000', 'A37: 0A000');
ok(wait_state($node, $db, $next, 'finished', 2), 'A37: the next task runs');

# "VACUUM ANALYZE as a task".
my $before = $node->safe_psql($db, <<~'SQL');
    SELECT pg_postmaster_start_time(),
        (SELECT string_agg(pid::text, ' ' ORDER BY pid) FROM pg_stat_activity WHERE backend_type = 'pgqueue worker')
    SQL
$id = enqueue($node, $db, 'VACUUM ANALYZE t', 'maintenance');
ok(wait_state($node, $db, $id, 'finished', 10), 'A38: VACUUM ANALYZE is finished');
is($node->safe_psql($db, q{SELECT count(*) FROM pg_stat_all_tables WHERE relname = 't' AND vacuum_count > 0}), '1',
    'A38: and was done');
is($node->safe_psql($db, <<~'SQL'), $before, 'A38: server and workers are the same');
    SELECT pg_postmaster_start_time(),
        (SELECT string_agg(pid::text, ' ' ORDER BY pid) FROM pg_stat_activity WHERE backend_type = 'pgqueue worker')
    SQL

# Time limits, cancel, terminate.
$node->safe_psql($db, q{ALTER ROLE alice SET statement_timeout = '500ms'});
$id = $node->safe_psql($db, q{SET ROLE alice; SELECT pg_background_queue_enqueue('SELECT pg_sleep(5)', 'limit')});
ok(wait_state($node, $db, $id, 'failed', 10), 'A39: the role has a statement_timeout');
is(task_row($node, $db, $id, 'errors'), 'canceling statement due to statement timeout', 'A39: it ended the task');
$node->safe_psql($db, 'ALTER ROLE alice RESET statement_timeout');
$id = enqueue($node, $db, 'SELECT pg_sleep(60)', 'cancel');
ok(wait_state($node, $db, $id, 'running', 10), 'A40: a task runs');
$node->safe_psql($db, "SELECT pg_cancel_backend(pid) FROM pgqueue.worker WHERE task_id = $id");
ok(wait_state($node, $db, $id, 'failed', 10), 'A40: pg_cancel_backend fails it');
$id = enqueue($node, $db, <<~'SQL', 'terminate');
    INSERT INTO ran VALUES ('again');
    SELECT pg_sleep(CASE WHEN EXISTS (SELECT FROM t WHERE a = 0) THEN 0 ELSE 60 END)
    SQL
ok(wait_state($node, $db, $id, 'running', 10), 'A40: another one runs');
my $pid = $node->safe_psql($db, "SELECT pid FROM pgqueue.worker WHERE task_id = $id");
$node->safe_psql($db, 'INSERT INTO t VALUES (0)');
ok(terminate($node, $pid, 2), 'A40: pg_terminate_backend ends the worker at once');
ok(wait_state($node, $db, $id, 'finished', 10), 'A40: the task runs again and is finished');
is(task_row($node, $db, $id, 'retry_count') . $node->safe_psql($db, q{SELECT count(*) FROM ran WHERE what = 'again'}),
    '01', 'A40: uncharged, its first run left nothing');

# A killed worker.
$node->safe_psql($db, 'DELETE FROM t WHERE a = 0');
$id = enqueue($node, $db, <<~'SQL', 'kill');
    SELECT pg_sleep(CASE WHEN EXISTS (SELECT FROM t WHERE a = 0) THEN 0 ELSE 60 END);
    INSERT INTO ran VALUES ('killed')
    SQL
ok(wait_state($node, $db, $id, 'running', 10), 'A43: a task runs');
$pid = $node->safe_psql($db, "SELECT pid FROM pgqueue.worker WHERE task_id = $id");
$node->safe_psql($db, 'INSERT INTO t VALUES (0)');
kill9($node, $pid);
ok(wait_up($node, 60), 'A43: the server is back');
is($node->safe_psql($db, 'SELECT pg_background_queue_active_workers_count() BETWEEN 0 AND 4'), 't',
    'A32: the count is right after a kill');
ok(wait_state($node, $db, $id, 'finished', 30), 'A43: the task completes');
is($node->safe_psql($db, q{SELECT count(*) FROM ran WHERE what = 'killed'}), '1', 'A43: once');
ok(wait_for($node, $db, 'SELECT pg_background_queue_active_workers_count()', '0', 10), 'A32: idle is 0');

# "Commit five seconds after enqueue"; nothing of a transaction that is rolled back.
my $s = session($node, $db);
$s->query('BEGIN');
$id = $s->query(q{SELECT pg_background_queue_enqueue('INSERT INTO ran VALUES (''committed'')', 'late')});
$s->query('SELECT pg_sleep(5)');
is($node->safe_psql($db, q{SELECT count(*) FROM ran WHERE what = 'committed'}), '0', 'A41: not before the commit');
$s->query('COMMIT');
ok(wait_state($node, $db, $id, 'finished', 2), 'A41: within two seconds after it');
$s->query('BEGIN');
$s->query(q{SELECT pg_background_queue_enqueue('INSERT INTO ran VALUES (''rolled back'')')});
$s->query('ROLLBACK');
$id = enqueue($node, $db, 'SELECT 1');
ok(wait_state($node, $db, $id, 'finished', 10), 'A41: a task enqueued after a rollback runs');
is($node->safe_psql($db, q{SELECT count(*) FROM ran WHERE what = 'rolled back'}), '0',
    'A41: the one that was rolled back never does');

# "30 tasks enqueued by a trigger": four run, 26 wait; then all are finished.
my $gated = gated('thirty');
$node->safe_psql($db, <<~"SQL");
    CREATE TABLE thirty AS SELECT g AS id, 0 AS touched FROM generate_series(1, 30) g;
    CREATE FUNCTION on_thirty() RETURNS trigger LANGUAGE plpgsql AS \$\$BEGIN
        PERFORM pg_background_queue_enqueue(\$task\$$gated; UPDATE done SET n = n + 1 WHERE id = \$task\$ || NEW.id,
            'thirty');
        RETURN NULL;
    END\$\$;
    CREATE TABLE done AS SELECT g AS id, 0 AS n FROM generate_series(1, 30) g;
    CREATE TRIGGER on_thirty AFTER UPDATE ON thirty FOR EACH ROW EXECUTE FUNCTION on_thirty();
    UPDATE thirty SET touched = 1;
    SQL
ok(wait_for($node, $db, q{SELECT pg_background_queue_active_workers_count()}, '4', 20), 'A32, A42: four run');
is($node->safe_psql($db, <<~'SQL'), 'pending 26, running 4', 'A42: the others wait');
    SELECT string_agg(state || ' ' || n, ', ' ORDER BY state)
    FROM (SELECT state, count(*) AS n FROM pg_background_tasks WHERE topic = 'thirty' GROUP BY state) c
    SQL
$node->safe_psql($db, 'SELECT pg_background_queue_ensure_workers() FROM generate_series(1, 100)');
is($node->safe_psql($db, q{SELECT count(*) <= 8 FROM pg_stat_activity WHERE backend_type = 'pgqueue worker'}), 't',
    'A33: ensure_workers a hundred times starts none beyond the limit');
is($node->safe_psql($db, <<~'SQL'), '0', 'A34: calibrate says how many workers there are');
    SELECT pg_background_queue_calibrate_workers_count() - (
        SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pgqueue worker'
    )
    SQL
$node->safe_psql($db, q{INSERT INTO gate VALUES ('thirty')});
ok(wait_for($node, $db, <<~'SQL', '30', 60), 'A42: all thirty are finished');
    SELECT count(*) FROM pg_background_tasks WHERE topic = 'thirty' AND state = 'finished'
    SQL
is($node->safe_psql($db, 'SELECT min(n), max(n) FROM done'), '1|1', 'A42: each ran once');

# As whom.
for my $role ('alice', 'bob')
{
    $node->safe_psql($db, <<~"SQL");
        SET ROLE $role;
        SELECT pg_background_queue_enqueue('INSERT INTO ran VALUES (current_user || '' '' || session_user)', 'who');
        INSERT INTO pg_background_tasks (sql_statement, topic) VALUES
            ('INSERT INTO ran VALUES (''inserted '' || current_user)', 'who')
        SQL
}
$node->safe_psql($db, 'SELECT pg_background_queue_ensure_workers()');
ok(wait_for($node, $db, <<~'SQL', '4', 20), 'A47: tasks of two roles, one that may not log in');
    SELECT count(*) FROM pg_background_tasks WHERE topic = 'who' AND state = 'finished'
    SQL
is($node->safe_psql($db, q{SELECT string_agg(what, ', ' ORDER BY what) FROM ran WHERE what ~ 'alice|bob'}),
    'alice alice, bob bob, inserted alice, inserted bob',
    'A47: each ran as the role that enqueued or inserted it, though a superuser called for workers');
# A plain role's SQL never becomes somebody else's.
$id = $node->safe_psql($db, <<~'SQL');
    SET ROLE alice;
    SELECT pg_background_queue_enqueue('RESET ROLE; RESET SESSION AUTHORIZATION; ALTER ROLE alice SUPERUSER', 'climb')
    SQL
ok(wait_state($node, $db, $id, 'failed', 10), 'A47: no way up from inside a task');
$id = $node->safe_psql($db, <<~'SQL');
    SET ROLE alice;
    SELECT pg_background_queue_enqueue('SET SESSION AUTHORIZATION postgres; ALTER ROLE alice SUPERUSER', 'climb')
    SQL
ok(wait_state($node, $db, $id, 'failed', 10), 'A47: nor by name');
$node->safe_psql($db, qq{UPDATE pg_background_tasks SET state = 'pending' WHERE id = $id});
ok(wait_for($node, $db, <<~"SQL", 'failed 2', 10), 'A47: nor when a superuser runs it again');
    SELECT state || ' ' || (SELECT count(*) FROM pgqueue.task_attempt a WHERE a.task_id = t.id)
    FROM pg_background_tasks t
    WHERE id = $id
    SQL
is($node->safe_psql($db, q{SELECT rolsuper FROM pg_roles WHERE rolname = 'alice'}), 'f', 'A47: alice is what she was');
# Tables of the same name in a search_path of the caller's do not matter.
$node->safe_psql($db, <<~'SQL');
    CREATE SCHEMA trap;
    GRANT ALL ON SCHEMA trap TO alice;
    CREATE TABLE trap.pg_background_tasks (id bigint, sql_statement text);
    SET search_path = trap, public;
    SELECT public.pg_background_queue_enqueue('SELECT 1', 'trap')
    SQL
is($node->safe_psql($db, q{SELECT count(*) FROM trap.pg_background_tasks}), '0',
    'a table of that name in the search_path gets nothing');

# Sessions begin clean.
$node->safe_psql($db, 'ALTER SYSTEM SET pgqueue.max_workers = 1; SELECT pg_reload_conf()');
ok(wait_for($node, $db, q{SELECT count(*) <= 1 FROM pg_stat_activity WHERE backend_type = 'pgqueue worker'}, 't', 20),
    'A48: one worker');
enqueue($node, $db, <<~'SQL', 'state');
    SET search_path = pg_catalog;
    CREATE TEMP TABLE leaked (x integer);
    PREPARE leaked AS SELECT 1;
    SELECT pg_advisory_lock(4711);
    SET ROLE alice;
    INSERT INTO public.ran VALUES ('dirty')
    SQL
$id = enqueue($node, $db, <<~'SQL', 'state');
    INSERT INTO ran
    SELECT concat_ws(' ', 'clean', current_setting('search_path'), to_regclass('pg_temp.leaked'),
        (SELECT count(*) FROM pg_prepared_statements),
        (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711), current_user)
    SQL
ok(wait_state($node, $db, $id, 'finished', 10), 'A48: two tasks, one after the other');
is($node->safe_psql($db, q{SELECT what FROM ran WHERE what LIKE 'clean%'}), 'clean "$user", public 0 0 postgres',
    'A48: nothing of the first is left for the second');
is($node->safe_psql($db, q{SELECT count(DISTINCT pid) FROM ran WHERE what ~ 'dirty|clean'}), '1',
    'A48: in the same worker');

# Errors, whole.
$id = enqueue($node, $db, <<~'SQL');
    DO $$BEGIN
        RAISE EXCEPTION USING MESSAGE = repeat('é', 1000), DETAIL = 'a detail', HINT = 'a hint', ERRCODE = 'AB123';
    END$$
    SQL
ok(wait_state($node, $db, $id, 'failed', 10), 'A49: a long message');
is(task_row($node, $db, $id, q{length(errors), errors = repeat('é', 1000)}), '1000|t', 'A49: whole and valid');
is($node->safe_psql($db, <<~"SQL"), 'AB123|a detail|a hint|t', 'A49: with SQLSTATE, detail, hint and context');
    SELECT error_code, error_info ->> 'detail', error_info ->> 'hint', error_info ->> 'context' <> ''
    FROM pgqueue.task
    WHERE id = $id
    SQL
counters_right($node, $db, 'after all of this');

# The collector moves what is finished into the archive; the relation shows it all the same.
my $shown = $node->safe_psql($db, 'SELECT md5(string_agg(t::text, E\'\n\' ORDER BY id)) FROM pg_background_tasks t');
my $archived = wait_until(sub {
    $node->safe_psql($db, q{SELECT pgqueue_internal.clean(1024, now() + interval '1 hour')});
    return $node->safe_psql($db,
        q{SELECT count(*) FROM pgqueue.task_archive WHERE namespace = 'pg_background_queue'}) > 0;
}, 30);
ok($archived, 'A51: finished tasks go to the archive');
is($node->safe_psql($db, 'SELECT md5(string_agg(t::text, E\'\n\' ORDER BY id)) FROM pg_background_tasks t'), $shown,
    'A04: the relation shows the same as before');
my $count = $node->safe_psql($db, 'SELECT count(*) FROM pg_background_tasks');
is($node->safe_psql($db, q{SELECT pg_background_queue_purge('0')}), $count, 'A51: purge removes them all');
$node->stop;
done_testing();
