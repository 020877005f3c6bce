# A call that fails while it locks the row of a task leaves the task to be taken: a worker that met the lock has skipped
# it (W1).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('locked', conf => "log_statement = none\nautovacuum = off");
my $db = 'postgres';
sub sql { return $node->safe_psql($db, @_); }
my $waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%cancel_task%'";

sql("SELECT pgqueue.create_queue('q')");
for my $how ('whole transaction', 'savepoint')
{
    my $id = sql("SELECT pgqueue.create_task('q', '{}')");
    my ($worker, $point, $caller) = map { session($node, $db) } 1 .. 3;
    $worker->query("SELECT id FROM pgqueue.next_task('w', 'q'); BEGIN");
    $worker->query("SELECT pgqueue.fail_task($id, retry_in => '0')");
    hold_point($point, 'task-locked');
    # It is retained when the call looks at it first, and waits for a worker when the call has its lock.
    $caller->query('BEGIN; SAVEPOINT s');
    $caller->send("SELECT pgqueue.cancel_task($id)");
    ok(wait_for($node, $db, $waits, '1'), "$how: a call waits for the row");
    $worker->query('COMMIT');
    my $pid = pid_at($node, $db, 'task-locked');
    ok($pid, 'and gets it');
    is(sql("SELECT id FROM pgqueue.next_task('w', 'q')"), '', 'a worker meets the lock');
    sql("SELECT pg_cancel_backend($pid)");
    $caller->query($how eq 'savepoint' ? 'ROLLBACK TO s' : 'ROLLBACK');
    $point->close;
    ok(wait_for($node, $db, "SELECT id FROM pgqueue.next_task('w', 'q')", $id, 15), 'W1: the task is not lost');
    $caller->query('ROLLBACK');
    $_->close for $worker, $caller;
    sql('SELECT pgqueue.cancel_task(' . $id . ')');
}
# The scheduler cannot read the row at that moment, and ends before it can.
{
    my $id = sql("SELECT pgqueue.create_task('q', '{}')");
    my ($worker, $point, $caller, $table) = map { session($node, $db) } 1 .. 4;
    my $tasks = join(', ', map { "pgqueue_internal.segment_$_" } 0 .. 5);
    $worker->query("SELECT id FROM pgqueue.next_task('w', 'q'); BEGIN");
    $worker->query("SELECT pgqueue.fail_task($id, retry_in => '0')");
    hold_point($point, 'task-locked');
    $caller->send("SELECT pgqueue.cancel_task($id)");
    ok(wait_for($node, $db, $waits, '1'), 'scheduler ends: a call waits for the row');
    $worker->query('COMMIT');
    my $pid = pid_at($node, $db, 'task-locked');
    is(sql("SELECT id FROM pgqueue.next_task('w', 'q')"), '', 'a worker meets the lock');
    $table->send("BEGIN; LOCK TABLE $tasks IN ACCESS EXCLUSIVE MODE; SELECT 1");
    ok(wait_for($node, $db, <<~'SQL', 't'), 'a session is about to lock the tables of tasks');
        SELECT count(*) > 0 FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation IS NOT NULL
        SQL
    sql("SELECT pg_cancel_backend($pid)");
    $point->close;
    my $failure = qr/scheduler could not look at tasks that wait for others: canceling statement due to lock timeout/;
    ok(wait_until(sub { slurp_file($node->logfile) =~ $failure }, 30), 'the scheduler cannot look at the task');
    ok(terminate($node, pid_of($node, 'pgqueue scheduler', $db)), 'and ends');
    $table->query('ROLLBACK');
    ok(wait_for($node, $db, "SELECT id FROM pgqueue.next_task('w', 'q')", $id, 15), 'W1: the task is not lost');
    $_->close for $worker, $caller, $table;
    sql("SELECT pgqueue.cancel_task($id)");
}
check_invariants($node, $db, 'afterwards');
$node->stop;
done_testing();
