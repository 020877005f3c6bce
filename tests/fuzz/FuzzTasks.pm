package FuzzTasks;
# Hostile SQL for tasks. It may do anything to its own session, task and queue, but nothing that others cannot stand,
# also as a superuser.
use strict;
use warnings;
use Exporter 'import';

our @EXPORT = qw(hostile);

sub one_of { return $_[rand @_]; }

# States that a user may raise. XX000 from a user's function would hide one of ours.
my @states = qw(
    P0001 P0002 22012 22023 23505 23514 25006 25P02 40001 40P01 42501 42704 53100 53200 53300 54000 55P03 57014 57P01
    57P02 58030 PQ000 PQ001 PQ004 PQ103 0A000 02000 01000);
my $self = '(SELECT id FROM pgqueue.current_task())';

my @tasks = (
    # Nothing and nonsense.
    '', ' ', ';', '--', '/* open', 'SELECT', 'SELECT 1', 'SELECT 1; SELECT 2', 'SELEKT', 'SELECT 1/0', 'SELECT nosuch',
        "SELECT '", 'SELECT $1', 'SELECT $tag$', "SELECT E'\\u00e9'", 'TABLE fuzz.scratch', 'VALUES (1), (2)',
    # Settings.
    "SET search_path = ''", "SET search_path = fuzz, pg_catalog", "SET pgqueue.namespace = 'b'",
        "SET pgqueue.namespace = 'Bad Name'", 'SET pgqueue.nosuch = 1',
        "SET statement_timeout = '1 ms'; SELECT pg_sleep(1)", "SET lock_timeout = 1; LOCK TABLE fuzz.scratch",
    "SET client_encoding = 'LATIN1'; SELECT E'\\u00e9'", "SET datestyle = 'German, DMY'; SELECT now()",
        "SET intervalstyle = 'iso_8601'", "SET default_transaction_isolation = 'serializable'",
        'SET TRANSACTION ISOLATION LEVEL SERIALIZABLE', 'SET TRANSACTION READ ONLY',
    'SET default_transaction_read_only = on', 'SET transaction_read_only = on; SELECT 1',
        "SET idle_in_transaction_session_timeout = '1 ms'", 'SET exit_on_error = on; SELECT 1/0',
        'SET client_min_messages = debug5; SELECT 1',
        "SET work_mem = '64kB'; SELECT count(*) FROM generate_series(1, 50000)",
    'SET row_security = off', "SET timezone = 'Nowhere'", 'SET enable_seqscan = off; SELECT * FROM pgqueue.task',
        'SET LOCAL synchronous_commit = off', 'RESET ALL', 'RESET SESSION AUTHORIZATION', 'SHOW ALL',
        'SET plan_cache_mode = force_generic_plan',
    'SET ROLE fz_nobody', 'SET ROLE postgres', 'SET SESSION AUTHORIZATION postgres',
        "SELECT set_config('role', 'fz_other', false)", "SELECT set_config('pgqueue.track_costs', 'off', false)",
        "SELECT set_config('session_authorization', 'postgres', false)",
    # What stays in a session.
    'CREATE TEMP TABLE t (i int) ON COMMIT DROP', 'CREATE TEMP TABLE t AS SELECT 1 AS i',
        'CREATE TEMP VIEW task AS SELECT 1 AS id', 'CREATE TEMP SEQUENCE s; SELECT nextval($$s$$)',
        'CREATE FUNCTION pg_temp.now() RETURNS int LANGUAGE sql AS $$SELECT 1$$',
    'PREPARE p AS SELECT 1; EXECUTE p', 'EXECUTE p', 'DEALLOCATE ALL', 'DISCARD ALL', 'DISCARD TEMP',
        'DECLARE c CURSOR WITH HOLD FOR SELECT g, fuzz.id(0) FROM generate_series(1, 50) g',
        'DECLARE c CURSOR FOR SELECT 1; FETCH ALL FROM c', 'CLOSE ALL',
    'LISTEN fz', 'UNLISTEN *', "NOTIFY fz, 'x'", "SELECT pg_notify('pgqueue_a', repeat('x', 9000))",
        'SELECT pg_advisory_lock(7)', 'SELECT pg_advisory_xact_lock(7)',
        'SELECT pg_try_advisory_lock(g) FROM generate_series(1, 20) g', 'SELECT pg_advisory_unlock_all()',
    "LOAD 'pgqueue'", "SELECT setseed(0.5), random()", 'SELECT lo_create(0)',
    # Transactions.
    'BEGIN', 'COMMIT', 'ROLLBACK', 'SAVEPOINT s', 'ROLLBACK TO s', "PREPARE TRANSACTION 'fz'",
        'START TRANSACTION; SELECT 1; COMMIT', 'SELECT 1; COMMIT; SELECT 1/0',
        'DO $$BEGIN FOR i IN 1..3 LOOP INSERT INTO fuzz.scratch VALUES (i); COMMIT; END LOOP; END$$',
    'DO $$BEGIN FOR i IN 1..3 LOOP INSERT INTO fuzz.scratch VALUES (i); COMMIT; END LOOP; '
        . 'RAISE division_by_zero; END$$',
    'DO $$BEGIN ROLLBACK; END$$',
    'CALL fuzz.commits(3)',
    'SELECT 1; CALL fuzz.commits(1)',
    'DO $$BEGIN FOR i IN 1..100 LOOP BEGIN INSERT INTO fuzz.scratch VALUES (i / (i % 2)); '
        . 'EXCEPTION WHEN division_by_zero THEN NULL; END; END LOOP; END$$',
    'INSERT INTO fuzz.deferred VALUES (1)',
    'INSERT INTO fuzz.deferred VALUES (2)',
    'SET CONSTRAINTS ALL IMMEDIATE; INSERT INTO fuzz.deferred VALUES (2)',
    'VACUUM fuzz.scratch', 'VACUUM (FULL) fuzz.scratch', 'ANALYZE fuzz.scratch',
        'CREATE INDEX CONCURRENTLY ON fuzz.scratch (i)', 'REINDEX TABLE CONCURRENTLY fuzz.scratch', 'CLUSTER',
        'CHECKPOINT', 'TRUNCATE fuzz.scratch', 'COPY fuzz.scratch TO STDOUT', 'COPY fuzz.scratch FROM STDIN',
        'ALTER SYSTEM RESET work_mem', 'CREATE DATABASE template1',
    # Time, memory, depth.
    'SELECT pg_sleep(0.05)', 'SELECT pg_sleep(0.3)', 'SELECT pg_sleep(2)',
        "DO \$\$BEGIN PERFORM pg_sleep(5); EXCEPTION WHEN query_canceled THEN PERFORM pg_sleep(0.2); END\$\$",
        'SELECT count(*) FROM generate_series(1, 300000)', "SELECT repeat('x', 2000000)", 'SELECT fuzz.recurse(1)',
        'LOCK TABLE fuzz.scratch IN ACCESS EXCLUSIVE MODE', 'DO $$BEGIN FOR i IN 1..20000 LOOP NULL; END LOOP; END$$',
    'SELECT g, repeat($$y$$, 1000) FROM generate_series(1, 2000) g',
        "SELECT NULL::record, 'NaN'::float8, '{}'::jsonb, array[1, NULL], '\\x00'::bytea", 'SELECT 1 AS a, 2 AS a',
        'SELECT 1 AS "", 2 AS "x""y"', 'SELECT e FROM pgqueue.task e LIMIT 1',
        'EXPLAIN (ANALYZE, FORMAT JSON) SELECT 1',
    # Signals to itself.
    'SELECT pg_cancel_backend(pg_backend_pid())', 'SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(0.1)',
        'SELECT pg_terminate_backend(pg_backend_pid())', 'SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(0.1)',
    # The queue from inside.
    "SELECT pgqueue.create_task('q', '1')", "SELECT pgqueue.create_task('fast', command => 'SELECT 1')",
        "SELECT pgqueue.run_task(fuzz.id(1))",
        "SELECT pgqueue.run_task(pgqueue.create_task('q', command => 'SELECT pgqueue.run_task(' || fuzz.id(0) || ')'))",
        "SELECT pgqueue.run_task($self)", "SELECT pgqueue.cancel_task($self)",
    "SELECT pgqueue.cancel_task($self, force => true)", "SELECT pgqueue.retry_task($self)",
        "SELECT pgqueue.release_task($self)", "SELECT pgqueue.fail_task($self, final => true)",
        "SELECT pgqueue.snooze_task($self, delay => '10 ms')", "SELECT pgqueue.extend_task($self)",
        "DELETE FROM pgqueue.task WHERE id = $self",
    "UPDATE pgqueue.task SET priority = 1 WHERE id = $self", "UPDATE pgqueue.task SET queue = 'q' WHERE id = $self",
        "SELECT pgqueue.fail_task($self); SELECT 1/0",
        "SELECT pgqueue.create_task('q', '1', depends_on => ARRAY[$self])", "SELECT count(*) FROM pgqueue.why($self)",
        "CALL pgqueue.wait_for_result($self, '1 s')",
    "CALL pgqueue.wait_for_task(timeout => '50 ms')", "SELECT * FROM pgqueue.next_task('inside')",
        "SELECT * FROM pgqueue.next_tasks('inside', max_tasks => 5, session_bound => true)",
        "SELECT pgqueue.progress(0.5, note => repeat('n', 1000))", "SELECT pgqueue.progress('NaN', 0)",
        "SELECT pgqueue.purge_queue((SELECT queue FROM pgqueue.current_task()), force => true)",
    "SELECT pgqueue.delete_queue('v0', force => true)",
        "SELECT pgqueue.pause_queue((SELECT queue FROM pgqueue.current_task()), until => now() + '100 ms')",
        "SELECT pgqueue.create_ticker('t3', 'q', period => '300 ms', command => 'SELECT 1')",
        "SELECT * FROM pgqueue.task FOR UPDATE", "SELECT pgqueue.stop_workers(timeout => '10 ms')",
        'SELECT pgqueue.ensure_workers()',
    'DO $$BEGIN PERFORM pgqueue.create_task($q$q$q$, to_jsonb(i)) FROM generate_series(1, 20) i; '
        . 'RAISE division_by_zero; EXCEPTION WHEN division_by_zero THEN '
        . 'PERFORM pgqueue.create_task($q$q$q$, $q$1$q$); END$$',
    'DO $$DECLARE t record; BEGIN SELECT * INTO t FROM pgqueue.next_task($q$in$q$); '
        . 'PERFORM pgqueue.release_task(t.id, t.receipt); EXCEPTION WHEN OTHERS THEN NULL; END$$',
);

sub hostile
{
    if (rand() < 0.15)
    {
        my ($state, $level) = (one_of(@states), one_of(qw(EXCEPTION EXCEPTION WARNING NOTICE)));
        my $words = "MESSAGE = repeat('m', 1 + (random() * 3000)::int), DETAIL = 'd', HINT = 'h'";
        return "DO \$\$BEGIN RAISE $level USING ERRCODE = '$state', $words; END\$\$";
    }
    return one_of(@tasks);
}

1;
