# What a run costs: live in view worker, in task_attempt with and without an outcome row, and the dearest in slow_task.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use Test::More;

my $node = new_node('costs', conf => "log_statement = none\npgqueue.stats_flush_interval = 100ms");
my $db = 'postgres';
sub sql { return $node->safe_psql($db, @_); }
sub as { my ($role, $query) = @_; return $node->safe_psql($db, $query, extra_params => [ '-U', $role ]); }
sub run
{
    my ($command) = @_;
    my $id = sql("SELECT pgqueue.create_task('s', command => \$c\$$command\$c\$)");
    ok(wait_for($node, $db, "SELECT finished_at IS NOT NULL FROM pgqueue.task WHERE id = $id", 't'), "done: $command");
    return $id;
}
my $attempts = q{SELECT attempt, outcome, role, cpu_seconds > 0, wal_bytes >= 0, blocks_hit >= 0, blocks_read >= 0,
    blocks_dirtied >= 0, temp_bytes >= 0, row_count FROM pgqueue.task_attempt};
my $outcomes = 'SELECT count(*) FROM pgqueue_internal.outcome WHERE id';

sql(q{CREATE ROLE ann LOGIN IN ROLE pgqueue_user; CREATE ROLE mon LOGIN IN ROLE pg_monitor;
    SELECT pgqueue.create_queue('s', executor => 'server', retries => 0), pgqueue.create_queue('o');
    SELECT pgqueue.grant_namespace('default', 'all', 'ann'); CREATE TABLE t (i integer, s text);
    GRANT ALL ON t TO public});

# A short run that succeeds is in the row of its task: costs, and a small result.
my $id = run('SELECT 42 AS answer');
is(sql("$outcomes = $id"), '0', 'a short run has no outcome row');
is(sql("$attempts WHERE task_id = $id"), '1|released|postgres|t|t|t|t|t|t|1', 'its costs are there');
is(sql("SELECT result FROM pgqueue.task WHERE id = $id"), '{"tag": "SELECT 1", "rows": 1, "first": {"answer": 42}}',
    'and its result');
$id = run(q{SELECT repeat('x', 1000)});
is(sql("SELECT length(result -> 'first' ->> 'repeat'), ($outcomes = $id) FROM pgqueue.task WHERE id = $id"), '1000|1',
    'a large result has an outcome row');
$id = run(q{INSERT INTO t SELECT i, 'x' FROM generate_series(1, 1000) i});
is(sql("SELECT wal_bytes > 10000, blocks_hit > 0, row_count FROM pgqueue.task_attempt WHERE task_id = $id"), 't|t|1000',
    'what was written');
$id = run(q{SELECT count(*) FROM (SELECT i FROM generate_series(1, 500000) i ORDER BY i OFFSET 1) x});
is(sql("SELECT temp_bytes > 1000000, blocks_read >= 0 FROM pgqueue.task_attempt WHERE task_id = $id"), 't|t',
    'temporary files');
$id = run('SELECT 1/0');
is(sql("$attempts WHERE task_id = $id"), '1|failed|postgres|t|t|t|t|t|t|', 'a failure has its costs in its outcome');
$id = run('SELECT pg_sleep(0.2)');
is(sql("$outcomes = $id"), '1', 'so has a long run');

# An archived task has its result, too. The task of another role has that role.
sql(q{SELECT pgqueue.create_queue('a', executor => 'server', on_finish => 'archive', retention => '1 ms')});
$id = as('ann', q{SELECT pgqueue.create_task('a', command => 'SELECT 7 AS n')});
ok(wait_for($node, $db, "SELECT status FROM pgqueue.get_task($id)", 'released'), 'done as ann');
sql(q{SELECT pgqueue_internal.clean(1, now() + interval '1 hour')});
is(sql("SELECT result #>> '{first,n}' FROM pgqueue.get_task($id)"), '7', 'the result is kept');

# Without costs.
sql(q{ALTER SYSTEM SET pgqueue.track_costs = off});
$node->reload;
ok(wait_until(sub {
        $id = sql(q{SELECT pgqueue.create_task('s', command => 'SELECT 1')});
        wait_for($node, $db, "SELECT status FROM pgqueue.task WHERE id = $id", 'released');
        sql("SELECT cpu_seconds IS NULL AND wal_bytes IS NULL AND blocks_hit IS NULL AND temp_bytes IS NULL
            AND row_count = 1 FROM pgqueue.task_attempt WHERE task_id = $id") eq 't';
    }), 'without track_costs only the rows are known');
sql(q{ALTER SYSTEM RESET pgqueue.track_costs});
$node->reload;

# An outside worker has no costs; a small result needs no outcome row.
$id = sql(q{SELECT pgqueue.create_task('o', '1')});
sql(q{SELECT pgqueue.release_task(id, receipt, '{"a": 1}') FROM pgqueue.next_task('w', 'o')});
is(sql("$attempts WHERE task_id = $id"), '1|released||||||||', 'an outside worker has no costs');
is(sql("SELECT result, worker, ($outcomes = $id) FROM pgqueue.task WHERE id = $id"), '{"a": 1}|w|0', 'but its result');

# Live: once a second.
my $gate = session($node);
$gate->query('SELECT pg_advisory_lock(1)');
$id = sql(q{SELECT pgqueue.create_task('s', command => $$INSERT INTO t SELECT i, 'y' FROM generate_series(1, 20000) i;
    SELECT pg_advisory_lock(1); SELECT pg_advisory_unlock(1)$$)});
ok(wait_for($node, $db, "SELECT cpu_seconds > 0, wal_bytes > 1000000, blocks_hit > 0, blocks_read >= 0,
    blocks_dirtied >= 0, temp_bytes FROM pgqueue.worker WHERE task_id = $id", 't|t|t|t|t|0'),
    'costs of a running task');
is(as('mon', "SELECT cpu_seconds > 0, command IS NULL FROM pgqueue.worker WHERE task_id = $id"), 't|f',
    'pg_monitor sees them');
$gate->query('SELECT pg_advisory_unlock(1)');
$gate->close;
ok(wait_for($node, $db, "SELECT status FROM pgqueue.task WHERE id = $id", 'released'), 'it ends');
is(sql('SELECT count(*) FROM pgqueue.worker WHERE cpu_seconds IS NOT NULL'), '0', 'a worker at rest has none');

# slow_task: the slowest and those with most CPU time.
is(sql(q{SELECT count(*) > 0, count(*) FILTER (WHERE command = 'SELECT pg_sleep(0.2)' AND run_seconds > 0.2)
    FROM pgqueue.slow_task}), 't|1', 'a slow run is there');
is(as('mon', q{SELECT count(*) > 0 FROM pgqueue.slow_task}), 't', 'pg_monitor sees it');
as('ann', q{SELECT count(*) FROM pgqueue.create_tasks('s',
    commands => array_fill('SELECT pg_sleep(0.01)'::text, ARRAY[300]))});
ok(wait_for($node, $db, q{SELECT count(*) FROM pgqueue.task WHERE role = 'ann' AND queue = 's' AND status = 'released'},
    '300'), 'many runs');
sql(q{SELECT pgqueue.create_task('s', command => 'SELECT pg_sleep(0.5)')});
ok(wait_for($node, $db, q{SELECT count(*) FROM pgqueue.slow_task WHERE command = 'SELECT pg_sleep(0.5)'}, '1'),
    'the slowest one is found among many');
ok(wait_for($node, $db, q{SELECT count(*) <= 200 FROM pgqueue_internal.slow_run}, 't'), 'the table stays small');
is(sql(q{SELECT count(*) <= 200, count(*) FILTER (WHERE command = 'SELECT pg_sleep(0.2)') FROM pgqueue.slow_task}),
    't|1', 'the slow ones stay');
# Each namespace has its own: others do not displace them.
sql(q{SELECT pgqueue.create_namespace('quick'); SELECT pgqueue.create_queue('q', namespace => 'quick')});
sql(q{SELECT pgqueue.create_task('q', '1', type => 'quick', namespace => 'quick')});
sql(<<~'SQL');
    DO $$DECLARE
        mine pgqueue.retained_task;
    BEGIN
        SELECT * INTO mine FROM pgqueue.next_task('w', 'q', namespace => 'quick');
        PERFORM pg_sleep(0.01);
        PERFORM pgqueue.release_task(mine.id, mine.receipt, namespace => 'quick');
    END$$
    SQL
is(sql(q{SELECT count(*) FROM pgqueue.slow_task WHERE namespace = 'quick'}), '1',
    'a run that is slow in its namespace');
sql(q{SELECT count(*) FROM pgqueue.create_tasks('o', array_fill('1'::jsonb, ARRAY[250]))});
sql(q{SELECT count(*) FROM pgqueue.next_tasks('w', '{o}', 250)});
sql('SELECT pg_sleep(0.6)');
sql(q{SELECT pgqueue.release_task(id, receipt) FROM pgqueue.task WHERE queue = 'o' AND status = 'retained'});
ok(wait_for($node, $db, q{SELECT count(*) <= 400 FROM pgqueue_internal.slow_run}, 't'), 'many slower ones of another');
is(sql(q{SELECT count(*) FROM pgqueue.slow_task WHERE namespace = 'quick'}), '1', 'do not displace it');
my $before = sql('SELECT count(*) FROM pgqueue.slow_task');
$node->restart;
is(sql('SELECT count(*) FROM pgqueue.slow_task'), $before, 'also after a restart');
sql(q{BEGIN; SELECT pgqueue.reset_stats('s'); ROLLBACK});
is(sql('SELECT count(*) FROM pgqueue.slow_task'), $before, 'a reset that is rolled back');
sql(q{SELECT pgqueue.reset_stats('s')});
is(sql(q{SELECT count(*) FROM pgqueue.slow_task WHERE queue = 's'}), '0', 'a reset forgets them');
my $err;
$node->psql($db, 'SELECT * FROM pgqueue.slow_task', stderr => \$err, extra_params => [ '-U', 'ann' ]);
is($err, '', 'a user may look');
sql(q{SELECT pgqueue.delete_queue('o', force => true), pgqueue.delete_queue('a', force => true)});
check_invariants($node, $db, 'afterwards');
$node->stop;
done_testing();
