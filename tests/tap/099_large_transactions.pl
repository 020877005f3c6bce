# A transaction with more tasks than dispatch memory has room for: the scheduler reads their rows. No other namespace
# notices, and nothing else is read again (T2).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use Test::More;

my $node = new_node('large', conf => "log_statement = none\nautovacuum = off\npgqueue.dispatch_memory = 4MB");
my $db = 'postgres';
sub sql { return $node->safe_psql($db, @_); }
sub used { my ($kind) = @_; return sql("SELECT used FROM pgqueue.memory WHERE kind = '$kind' AND namespace IS NULL"); }
sub waiting
{
    return sql(<<~'SQL');
        SELECT sum(count) FROM pgqueue.queue_status WHERE namespace = 'large' AND status IN ('new', 'retained')
        SQL
}

sql(<<~'SQL');
    SELECT pgqueue.create_namespace('large'), pgqueue.create_namespace('other');
    SELECT pgqueue.create_queue('s', executor => 'server', namespace => 'other');
    SELECT count(pgqueue.create_queue('q' || i, namespace => 'large')) FROM generate_series(0, 99) i;
    SQL

# Tasks of many queues and priorities, by turns; delayed ones; ones with a group key.
my $many = <<~'SQL';
    SELECT count(pgqueue.create_task('q' || i % 100, '1', priority => i / 100 % 3, namespace => 'large'))
    FROM generate_series(1, 20000) i;
    SELECT count(pgqueue.create_task('q' || i % 100, '2', delay => '1 s', namespace => 'large'))
    FROM generate_series(1, 10000) i;
    SELECT count(pgqueue.create_task('q' || i % 100, '3', group_key => (i % 500)::text, namespace => 'large'))
    FROM generate_series(1, 5000) i;
    SQL
my $rebuilds = used('rebuilds');
is(sql("BEGIN; $many ROLLBACK; SELECT count(*) FROM pgqueue.task"), "20000\n10000\n5000\n0",
    'T2: a large transaction that is rolled back');
is(sql("BEGIN; $many COMMIT"), "20000\n10000\n5000", 'T2: a large transaction that commits');
is(waiting(), '35000', 'its tasks are counted');
for my $i (1 .. 3)
{
    my $task = sql(q{SELECT pgqueue.create_task('s', command => 'SELECT 1', namespace => 'other')});
    ok(wait_for($node, $db, "SELECT status FROM pgqueue.task WHERE id = $task", 'released', 20),
        "T2: a task of another namespace runs ($i)");
}
is(used('rebuilds'), $rebuilds, 'T2: the other rows are not read again');

# The scheduler ends while it reads the rows of another one, and the next one continues.
my $holder = session($node);
hold_point($holder, 'scheduler-reads-missed');
is(sql("BEGIN; $many COMMIT"), "20000\n10000\n5000", 'T2: a second one');
ok(my $scheduler = pid_at($node, $db, 'scheduler-reads-missed', 30), 'T2: the scheduler reads its rows');
is(sql(<<~'SQL'), 'not_loaded|The dispatcher is reading the tasks of a large transaction.', 'T2: why() says so');
    SELECT w.reason, w.message
    FROM (SELECT max(id) AS id FROM pgqueue.task WHERE namespace = 'large' AND payload = '1') t, pgqueue.why(t.id) w
    WHERE w.reason = 'not_loaded'
    SQL
sql("SELECT pg_terminate_backend($scheduler)");
$holder->close;

# Sessions take all of them.
my $take = <<~'SQL';
    SELECT count(pgqueue.release_task(t.id, t.receipt))
    FROM pgqueue.next_tasks('w', NULL, 1000, namespace => 'large') t
    SQL
ok(wait_until(sub { sql($take); return waiting() eq '0' }, 120), 'T2: every task is handed out');
is(used('repaired'), '0', 'T2: none was forgotten');
check_invariants($node, $db, 'in the end', 60);
$node->stop;
done_testing();
