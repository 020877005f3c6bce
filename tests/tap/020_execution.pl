# How commands run: one transaction, top level, errors, retries, limits, clean sessions, results.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use PostgreSQL::Test::Utils;
use Test::More;

# A database with a known encoding; that of the node's own database follows the environment.
my $node = new_node('execution');
$node->safe_psql('postgres', q{CREATE DATABASE work ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0});
sub sql { return $node->safe_psql('work', @_); }
sql('CREATE EXTENSION pgqueue');

# Creates a task with a command and further arguments of create_task; returns its id.
sub task
{
    my ($command, $more, $queue) = @_;
    $more = $more ? ", $more" : '';
    $queue //= 'q';
    return sql("SELECT pgqueue.create_task('$queue', command => \$cmd\$$command\$cmd\$$more)");
}

# Waits until a task is finished; returns its status.
sub finish
{
    my ($id) = @_;
    wait_for($node, 'work', "SELECT finished_at IS NOT NULL FROM pgqueue.task WHERE id = $id", 't', 60);
    return sql("SELECT status FROM pgqueue.task WHERE id = $id");
}

sub of_task { my ($id, $what) = @_; return sql("SELECT $what FROM pgqueue.task WHERE id = $id"); }

# Runs a command to its end; returns what is asked of its row, after the status.
sub run
{
    my ($command, $what, $more) = @_;
    my $id = task($command, $more);
    my $status = finish($id);
    return defined $what ? "$status|" . of_task($id, $what) : $status;
}

sql(<<~'SQL');
    SELECT pgqueue.create_queue('q', retries => 0);
    SELECT pgqueue.create_queue('slow_retry', retries => 1, retry_delay => '1 hour');
    SELECT pgqueue.create_queue('retry', retries => 2, retry_delay => '1 second', backoff => 'exponential');
    CREATE TABLE t (a int);
    CREATE TABLE parent (id int PRIMARY KEY);
    CREATE TABLE child (id int REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
    CREATE SEQUENCE tries;
    SQL
my $started = sql('SELECT pg_postmaster_start_time()');

# One transaction with the release.
my $id = task('INSERT INTO t SELECT 1');
is(finish($id), 'released', 'A11: a command is run and released');
is(of_task($id, 'started_at IS NOT NULL AND finished_at >= started_at AND transactional AND attempt = 1'), 't',
    'A11: started_at and finished_at are set');
is(sql('SELECT count(*) FROM t'), '1', 'A11: its effects are there');
sql('TRUNCATE t');
is(run('INSERT INTO t SELECT 1; SELECT 1/0', 'error, error_code, finished_at IS NOT NULL'),
    'failed|division by zero|22012|t', 'A12: an error fails the task');
is(sql('SELECT count(*) FROM t'), '0', 'A12: and rolls all of its statements back');
is(sql(<<~'SQL'), 'failed|1|22012', 'A12: the attempt says so too');
    SELECT outcome, attempt, error_code FROM pgqueue.task_attempt
    WHERE task_id = (SELECT max(id) FROM pgqueue.task)
    SQL
is(run('INSERT INTO child VALUES (7)', 'error_code, transactional'), 'failed|23503|t',
    'a failure at commit is recorded');
is(sql('SELECT count(*) FROM child'), '0', 'and its effects are gone');

# Retries.
$id = task('SELECT 1/0', undef, 'slow_retry');
ok(wait_for($node, 'work', "SELECT status FROM pgqueue.task WHERE id = $id", 'retry', 60),
    'A13: a failed task is tried again');
is(of_task($id, 'attempt, error, error_code, finished_at IS NULL'), '1|division by zero|22012|t',
    'A13: the row counts the attempt and has its error');
is(sql(<<~"SQL"), 't', 'A13: and waits for the retry delay');
    SELECT t.delayed_at - a.finished_at BETWEEN interval '3599 s' AND interval '3601 s'
    FROM pgqueue.task t JOIN pgqueue.task_attempt a ON a.task_id = t.id AND a.attempt = 1 WHERE t.id = $id
    SQL
$id = task(q{SELECT nextval('tries'); SELECT 1/0}, undef, 'retry');
is(finish($id), 'failed', 'A15: after the last retry the task is failed');
is(sql('SELECT last_value FROM tries') . '|' . of_task($id, 'attempt, retries'), '3|3|2',
    'A15: 2 retries are 3 attempts');
is(of_task($id, "finished_at - created_at >= interval '3 seconds'"), 't', 'A14: the waits of 1 s and 2 s are real');
is(sql(<<~"SQL"), 't', 'A14: each counted from the failure');
    SELECT bool_and(started_at >= before + wait) FROM (SELECT started_at, lag(finished_at) OVER w AS before,
            interval '1 second' * 2 ^ (attempt - 2) AS wait
        FROM pgqueue.task_attempt WHERE task_id = $id WINDOW w AS (ORDER BY attempt)) a WHERE before IS NOT NULL
    SQL

sql('ALTER SEQUENCE tries RESTART');
is(run(<<~'SQL', 'attempt'), 'released|4', '40001 is tried again, uncounted');
    DO $$BEGIN IF nextval('tries') < 4 THEN RAISE EXCEPTION 'conflict' USING ERRCODE = '40001'; END IF; END$$
    SQL
sql('ALTER SEQUENCE tries RESTART');
is(run(<<~'SQL', 'attempt'), 'released|3', '40P01 is tried again, uncounted');
    DO $$BEGIN IF nextval('tries') < 3 THEN RAISE EXCEPTION 'deadlock' USING ERRCODE = '40P01'; END IF; END$$
    SQL
is(run(q{DO $$BEGIN RAISE EXCEPTION 'for ever' USING ERRCODE = '40001'; END$$},
        "error_code, attempt BETWEEN 10 AND 100, finished_at - created_at < interval '5 seconds'"),
    'failed|40001|t|t', 'but not for ever, and without long waits');

# Several statements.
sql('TRUNCATE t; INSERT INTO t VALUES (0)');
is(run(<<~'SQL', "result->'first'->>'a', transactional"), 'released|2|t', 'A36: each statement sees those before it');
    UPDATE t SET a = a + 1;
    UPDATE t SET a = a + 1;
    SELECT a FROM t
    SQL
is(sql('SELECT a FROM t'), '2', 'A36: and all are one transaction');
is(run(<<~'SQL', "result->'first'"), 'released|{"a": 1, "b": "x"}', 'A36: also definitions');
    CREATE TABLE made (a int);
    INSERT INTO made VALUES (1);
    ALTER TABLE made ADD b text DEFAULT 'x';
    SELECT * FROM made
    SQL
is(run(<<~'SQL', "result->'first'->>'i'"), 'released|serializable', 'SET TRANSACTION is early enough');
    SET TRANSACTION ISOLATION LEVEL SERIALIZABLE;
    SELECT current_setting('transaction_isolation') AS i
    SQL
is(run('LOCK TABLE t IN SHARE MODE', "result->>'tag'"), 'released|LOCK TABLE', 'LOCK TABLE has its transaction block');

# Transaction control.
my $refused = 'failed|0A000|transaction control is not allowed in a task';
sql('TRUNCATE t');
for my $command ('BEGIN; SELECT 1; COMMIT', 'INSERT INTO t SELECT 1; COMMIT', 'INSERT INTO t SELECT 1; SAVEPOINT a',
    'ROLLBACK', 'ROLLBACK TO a', 'ABORT', 'END', 'START TRANSACTION', 'RELEASE a', "PREPARE TRANSACTION 'x'",
    "COMMIT PREPARED 'x'")
{
    is(run($command, 'error_code, error'), $refused, "A37: refused: $command");
}
is(sql('SELECT count(*) FROM t'), '0', 'A37: nothing of such a command has run');
$id = task('SELECT 1');
ok(wait_for($node, 'work', "SELECT status FROM pgqueue.task WHERE id = $id", 'released', 20),
    'A37: the next task runs at once');
is(run(q{DO $$BEGIN EXECUTE 'COMMIT'; END$$}, 'error_code'), 'failed|0A000', 'A37: not through EXECUTE either');
like(run('SELECT 1; SELECT 1 FROM', 'error_code, error'), qr/^failed\|42601\|syntax error/,
    'a syntax error fails the task');
is(run('-- nothing', 'error_code'), 'failed|22023', 'a command without a statement fails');
is(run('COPY t FROM STDIN', 'error_code'), 'failed|0A000', 'there is no client to COPY from');
is(run('COPY t TO STDOUT', 'error_code'), 'failed|0A000', 'nor to COPY to');

# Top level.
my @workers = pids_of($node, 'pgqueue worker', 'work');
is(run('VACUUM ANALYZE t', "result->>'tag', transactional"), 'released|VACUUM|f',
    'A38: VACUUM ANALYZE runs, and the row says that it committed');
is(run('CREATE INDEX CONCURRENTLY t_a ON t (a)', 'transactional'), 'released|f', 'A38: CREATE INDEX CONCURRENTLY');
is(run('REINDEX TABLE CONCURRENTLY t'), 'released', 'A38: REINDEX CONCURRENTLY');
is(run('DROP INDEX CONCURRENTLY t_a'), 'released', 'A38: DROP INDEX CONCURRENTLY');
is(run('CREATE DATABASE other') . run('DROP DATABASE other'), 'releasedreleased', 'A38: CREATE and DROP DATABASE');
is(run("ALTER SYSTEM SET work_mem = '4MB'"), 'released', 'A38: ALTER SYSTEM');
is(run('SELECT 1; VACUUM t', 'error_code'), 'failed|25001',
    'A38: VACUUM among other statements is an error of its own');
sql(<<~'SQL');
    CREATE PROCEDURE two(fail bool) LANGUAGE plpgsql AS
    $$BEGIN INSERT INTO t VALUES (1); COMMIT; INSERT INTO t VALUES (2); IF fail THEN RAISE 'late'; END IF; END$$
    SQL
is(run('CALL two(false)', 'transactional'), 'released|f', 'a procedure may commit');
is(sql('SELECT count(*) FROM t'), '2', 'and its work is there');
is(run('CALL two(true)', 'error, transactional'), 'failed|late|f', 'one that fails after a commit is failed');
is(sql('SELECT count(*) FROM t'), '3', 'and keeps what it committed');
is(run('DO $$BEGIN INSERT INTO t VALUES (9); END$$', 'transactional'), 'released|t',
    'DO that does not commit shares the transaction of the release');
is(run('SELECT 1; CALL two(false)', 'error_code'), 'failed|2D000', 'among other statements a procedure cannot commit');
is(sql('SELECT pg_postmaster_start_time()'), $started, 'A38: the server has not restarted');
my %alive = map { $_ => 1 } pids_of($node, 'pgqueue worker', 'work');
ok(@workers && !(grep { !$alive{$_} } @workers), 'A38: nor has a worker');

# Time limits.
sql(<<~'SQL');
    CREATE ROLE hasty LOGIN;
    GRANT pgqueue_user TO hasty;
    SELECT pgqueue.grant_namespace('default', 'use,read', 'hasty');
    ALTER ROLE hasty SET statement_timeout = '300ms'
    SQL
$id = $node->safe_psql('work', q{SELECT pgqueue.create_task('q', command => 'SELECT pg_sleep(60)')},
    extra_params => ['-U', 'hasty']);
is(finish($id) . '|' . of_task($id, 'error_code, error'), 'failed|57014|canceling statement due to statement timeout',
    'A39: statement_timeout of the role applies');
$id = $node->safe_psql('work', <<~'SQL', extra_params => ['-U', 'hasty']);
    SELECT pgqueue.create_task('q', command => 'SET statement_timeout = 0; SELECT pg_sleep(0.5)')
    SQL
is(finish($id), 'released', 'A39: as it is when the statement begins');
is(run('SELECT pg_sleep(60)', 'error_code', "run_limit => '300 ms'"), 'failed|PQ105',
    'the run limit of a task ends it');
is(run('SELECT pg_sleep(0.2); SELECT pg_sleep(60)', 'error_code', "run_limit => '500 ms'"), 'failed|PQ105',
    'it is for the whole command');
is(run('SELECT 1', undef, "run_limit => '10 s'"), 'released', 'and does not reach the next one');

# The state of the session.
my $tz = sql(q{SELECT current_setting('timezone')});
is(run(<<~'SQL'), 'released', 'a task SETs');
    SET search_path = pg_catalog;
    SET timezone = 'Asia/Tokyo';
    SET client_encoding = 'latin1';
    SET my.x = '1'
    SQL
is(run(<<~'SQL', "result->'first'->>'s'"), "released|\"\$user\", public${tz}UTF8", 'A48: settings do not leak');
    SELECT current_setting('search_path') || current_setting('timezone') || current_setting('client_encoding')
        || coalesce(current_setting('my.x', true), '') AS s
    SQL
is(run(<<~'SQL'), 'released', 'a task leaves session state behind');
    CREATE TEMP TABLE tt (a int);
    INSERT INTO tt VALUES (1);
    PREPARE p AS SELECT 1;
    SELECT pg_advisory_lock(4711), nextval('tries')
    SQL
is(run(<<~'SQL', "result->'first'->>'ok'"), 'released|true',
    SELECT to_regclass('pg_temp.tt') IS NULL AND NOT EXISTS (SELECT FROM pg_prepared_statements) AS ok
    SQL
    'A48: temporary tables and prepared statements do not leak');
is(sql(q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711}), '0',
    'A48: nor do advisory locks');
is(run(q{SELECT currval('tries')}, 'error_code'), 'failed|55000', 'A48: nor does currval');
is(run('DECLARE c CURSOR WITH HOLD FOR SELECT 1') . run('FETCH c', 'error_code'), 'releasedfailed|34000',
    'A48: nor do cursors');
is(run(q{CREATE TEMP TABLE tt (a int); SELECT 1/0}, 'error_code') . run('CREATE TEMP TABLE tt (a int)'),
    'failed|22012released', 'A48: nor after a failure');
is(run('LISTEN x', 'error_code'), 'failed|0A000', 'A48: LISTEN is refused');

# Errors.
is(run(<<~'SQL',
    DO $$BEGIN RAISE EXCEPTION '%', repeat('é', 1000) USING ERRCODE = 'ZZ123', DETAIL = 'dét', HINT = 'hínt'; END$$
    SQL
        q{length(error), error = repeat('é', 1000), error_code, error_info->>'detail', error_info->>'hint', }
        . q{error_info->>'context'}),
    'failed|1000|t|ZZ123|dét|hínt|PL/pgSQL function inline_code_block line 1 at RAISE',
    'A49: the error is stored whole');

# Results.
my @results = (
    ['SELECT 1 AS a UNION ALL SELECT 2', '{"tag": "SELECT 2", "rows": 2, "first": {"a": 1}}'],
    ['SELECT 1; SELECT 2 AS b', '{"tag": "SELECT 1", "rows": 1, "first": {"b": 2}}'],
    ['SELECT 1 WHERE false', '{"tag": "SELECT 0", "rows": 0}'],
    ['INSERT INTO parent VALUES (1), (2)', '{"tag": "INSERT 0 2", "rows": 2}'],
    ['DELETE FROM parent RETURNING id, id::text AS t', '{"tag": "DELETE 2", "rows": 2, "first": {"t": "1", "id": 1}}'],
    ['CREATE TABLE of_three AS SELECT generate_series(1, 3)', '{"tag": "SELECT 3", "rows": 3}'],
    ['SET work_mem = 1000; SHOW work_mem', '{"tag": "SHOW", "rows": 0, "first": {"work_mem": "1000kB"}}'],
    ['SELECT 1 AS a, 2 AS a', '{"tag": "SELECT 1", "rows": 1, "first": {"a": 2}}'],
    [q{SELECT '{"a": "\u0000"}'::json AS j},
        '{"tag": "SELECT 1", "rows": 1, "first": {"j": "{\"a\": \"\\\\u0000\"}"}}'],
);
is(run($_->[0], 'result'), "released|$_->[1]", "result of $_->[0]") for @results;
my $all_types = <<~'SQL';
    SELECT 1::int2 AS i2, 2 AS i4, 3::int8 AS i8, 1.50 AS n, 'NaN'::numeric AS nan, 'Infinity'::float8 AS inf,
        1.5::float4 AS f4, 0.1::float8 AS f8, true AS b, 'é"' AS t, 'v'::varchar AS v, 'c'::char(3) AS c,
        NULL::int AS nul, DATE '2020-02-29' AS d, TIMESTAMP '2020-02-29 1:02:03.4' AS ts,
        TIMESTAMPTZ '2020-02-29 1:02:03+0' AS tz, '{"k": [1, null]}'::json AS j, '"s"'::jsonb AS jb,
        ARRAY[[1, 2], [3, 4]] AS arr, row(1, 'x') AS r, ARRAY[row(1, NULL)] AS ar, '\xdead'::bytea AS by,
        'n'::name AS nm, interval '1 day' AS iv, int4range(1, 5) AS rg, repeat('long', 5000) AS long
    SQL
$id = task($all_types);
is(finish($id), 'released', 'a row of many types');
is(sql("SELECT t.result->'first' = to_jsonb(x) FROM pgqueue.task t, ($all_types) x WHERE t.id = $id"), 't',
    'is what to_jsonb makes of it');

# A purge, or a delete by force, cancels the running tasks of the queue and keeps nothing of them.
for my $end (q{purge_queue('going', force => true)}, q{delete_queue('going', force => true)})
{
    sql(q{SELECT FROM pgqueue.create_queue('going')}) if $end =~ /purge/;
    task('CREATE TABLE kept (); SELECT pg_sleep(600)', undef, 'going');
    my $sleeping = <<~'SQL';
        SELECT count(*) FROM pg_stat_activity
        WHERE query LIKE '%pg_sleep(600)%' AND backend_type = 'pgqueue worker' AND state = 'active'
        SQL
    ok(wait_for($node, 'work', $sleeping, '1', 20), "a command runs before $end");
    sql("SELECT FROM pgqueue.$end");
    ok(wait_for($node, 'work', $sleeping, '0', 20), 'and is cancelled');
    is(sql(q{SELECT to_regclass('kept') IS NULL}), 't', 'without a trace');
}

# The same for tasks that begin after purge or delete has looked at the running ones, and before it commits.
my $deleter = session($node, 'work');
for my $end (q{purge_queue('going', force => true)}, q{delete_queue('going')})
{
    sql(q{SELECT FROM pgqueue.create_queue('going')}) if $end =~ /purge/;
    my $id = task('CREATE TABLE kept (); SELECT pg_sleep(601)', q{delay => '1 hour'}, 'going');
    $deleter->query("BEGIN; SELECT FROM pgqueue.$end");
    sql("SELECT pgqueue.retry_task($id)");
    my $sleeping = <<~'SQL';
        SELECT count(*) FROM pg_stat_activity
        WHERE query LIKE '%pg_sleep(601)%' AND backend_type = 'pgqueue worker' AND state = 'active'
        SQL
    ok(wait_for($node, 'work', $sleeping, '1', 20), "a command begins before $end is committed");
    $deleter->query('COMMIT');
    ok(wait_for($node, 'work', $sleeping, '0', 20), 'and is cancelled');
    is(sql(q{SELECT to_regclass('kept') IS NULL}), 't', 'without a trace');
}
# A task that waited when its queue was purged has no effect, wherever its worker is by then.
sql(q{SELECT FROM pgqueue.create_queue('going')});
for my $point (qw(worker-popped worker-claiming worker-claimed worker-ran))
{
    my $holder = session($node, 'work');
    hold_point($holder, $point);
    my $id = task('CREATE TABLE kept ()', q{delay => '1 hour'}, 'going');
    $deleter->query(q{BEGIN; SELECT FROM pgqueue.purge_queue('going')});
    sql("SELECT pgqueue.retry_task($id)");
    ok(pid_at($node, 'work', $point, 20), "a worker is at $point");
    $deleter->query('COMMIT');
    $holder->close;
    my $next = task('SELECT 1', undef, 'going');
    is(finish($next), 'released', 'the queue goes on');
    is(sql(q{SELECT to_regclass('kept') IS NULL}), 't', 'what the purged task did is undone, or not done');
    ok(wait_for($node, 'work', q{SELECT sum(taken) FROM pgqueue_internal.places() WHERE kind = 'namespace'}, '0', 20),
        'no place is left');
}
$deleter->close;

# Tasks that a worker claims at once are few when they are large; small ones before them make it claim many.
sql(<<~'SQL');
    SELECT FROM pgqueue.create_queue('large', executor => 'server', retries => 0);
    SELECT FROM pgqueue.pause_queue('large')
    SQL
sql(<<~'SQL');
    SELECT count(*)
    FROM generate_series(1, 4) i, pgqueue.create_tasks('large', array_fill(to_jsonb(i), ARRAY[1000]), type => 'nobody')
    SQL
sql(<<~'SQL');
    SELECT count(pgqueue.create_task('large', to_jsonb(i || repeat('x', 20000000)), type => 'nobody'))
    FROM generate_series(1, 16) i
    SQL
sql(q{SELECT FROM pgqueue.resume_queue('large')});
ok(wait_for($node, 'work', q{SELECT count(*) FROM pgqueue.task WHERE queue = 'large' AND finished_at IS NULL}, '0', 60),
    'large tasks are run');
# Those that were claimed at once have one receipt.
my $at_once = <<~'SQL';
    SELECT max(n)
    FROM (
        SELECT count(*) AS n FROM pgqueue_internal.outcome o
        JOIN pgqueue.task t USING (id)
        WHERE t.queue = 'large' AND %s
        GROUP BY o.receipt
    ) c
    SQL
cmp_ok(sql(sprintf($at_once, q{jsonb_typeof(t.payload) = 'number'})), '>', 8, 'many small ones at once');
is(sql(sprintf($at_once, q{jsonb_typeof(t.payload) = 'string'})), '1', 'and large ones one by one');

# Texts of an error are cut, so that the end of the attempt can be written: jsonb takes no text of 256 MiB.
for my $what (qw(detail hint message))
{
    my $other = $what eq 'message' ? 'HINT' : 'MESSAGE';
    my $length = $what eq 'detail' ? 270_000_000 : 2_000_000;
    my $id = task(qq{DO \$do\$BEGIN RAISE EXCEPTION USING $other = 'short', $what = repeat('x', $length); END\$do\$});
    is(finish($id), 'failed', "a long $what: the task fails");
    my $text = $what eq 'message' ? 'error' : "error_info->>'$what'";
    my $cut = "... (cut, $length bytes in all)";
    is(of_task($id, qq{left($text, 3) || ' ' || length($text) || ' ' || substr($text, 1048577)}),
        'xxx ' . (1_048_576 + length($cut)) . " $cut",
        'with the beginning of the text');
}

$node->stop;
done_testing();
