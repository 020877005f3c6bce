# When the process of a task is gone, the scheduler has to write the task's row. It does so in the end, however often
# the row is locked or the transaction fails. Faults W5 and W6.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use Test::More;

my $node = new_node('owed', conf => "log_statement = none\nlog_min_messages = error");
sub sql { return $node->safe_psql('postgres', @_); }
sub task { my ($where, $what) = @_; return sql("SELECT $what FROM pgqueue.task WHERE $where"); }
# Lets the tasks that wait in the gate end.
my $gate = session($node);
sub close_gate { return $gate->query('SELECT pg_advisory_lock(1)'); }
sub open_gate { return $gate->query('SELECT pg_advisory_unlock(1)'); }
my $gated = 'SELECT pg_advisory_lock(1), pg_advisory_unlock(1)';

# W6: rows that are locked while the server reads them after a crash: one that was executing, one that was only claimed.
sql(q{SELECT pgqueue.create_queue('crashed', max_running => 1, retries => 5)});
close_gate();
sql("SELECT pgqueue.create_task('crashed', command => '$gated')");
my $crashing = wait_until(sub { task(q{queue = 'crashed' AND status = 'retained'}, 'pid') });
ok($crashing, 'W6: a worker runs a task');
my $id = task(q{queue = 'crashed'}, 'id');
$node->append_conf('postgresql.conf', 'pgqueue.enabled = off');
$node->reload;
kill9($node, $crashing);
wait_up($node);
$gate = session($node);
my $holder = session($node);
is($holder->query("BEGIN; SELECT pgqueue.cancel_task($id)"), 'cancelled',
    'W6: a session has the row when the server starts to work');
$node->append_conf('postgresql.conf', 'pgqueue.enabled = on');
$node->reload;
sql(q{SELECT pgqueue.create_queue('other'); SELECT pgqueue.create_task('other', command => 'SELECT 2')});
ok(wait_for($node, 'postgres', q{SELECT status FROM pgqueue.task WHERE command = 'SELECT 2'}, 'released'),
    'W6: other tasks run meanwhile');
$holder->query('ROLLBACK');
ok(wait_for($node, 'postgres', "SELECT status, attempt, retries FROM pgqueue.task WHERE id = $id", 'released|2|5'),
    'W6: it is given back and runs');
is(sql(<<~"SQL"), 'lost PQ102, released ', 'W6: the attempt that the crash ended is charged');
    SELECT string_agg(outcome || ' ' || coalesce(error_code, ''), ', ' ORDER BY attempt)
    FROM pgqueue.task_attempt
    WHERE task_id = $id
    SQL
sql(q{SELECT count(*) FROM pgqueue.create_tasks('crashed', commands => ARRAY['SELECT 3', 'SELECT 3', 'SELECT 3'])});
ok(wait_for($node, 'postgres', <<~'SQL', '3'), 'W6: no place is taken for ever');
    SELECT count(*) FROM pgqueue.task WHERE command = 'SELECT 3' AND status = 'released'
    SQL
# W5: the transaction that gives back the task of an ended worker fails.
sql(q{SELECT pgqueue.create_queue('server', max_running => 1)});
close_gate();
sql("SELECT pgqueue.create_task('server', command => '$gated')");
my $pid;
ok($pid = wait_until(sub { task(q{queue = 'server' AND status = 'retained'}, 'pid') }), 'W5: a worker runs the task');
my $point = session($node);
hold_point($point, 'scheduler-recovering');
terminate($node, $pid);
sub waits_since
{
    return sql(<<~"SQL");
        SELECT waitstart FROM pg_locks WHERE locktype = 'advisory' AND classid = 28785 AND NOT granted AND pid = $_[0]
        SQL
}
for my $n (1 .. 3)
{
    my $scheduler = pid_at($node, 'postgres', 'scheduler-recovering');
    ok($scheduler, "W5: the scheduler gives it back ($n)");
    my $since = wait_until(sub { waits_since($scheduler) });
    sql("SELECT pg_cancel_backend($scheduler)");
    # It comes to the point again.
    wait_until(sub { my $now = waits_since($scheduler); return $now ne '' && $now ne $since });
}
$point->close;
open_gate();
ok(wait_for($node, 'postgres', q{SELECT status, attempt FROM pgqueue.task WHERE queue = 'server'}, 'released|2'),
    'W5: after three failures it is given back and runs');
sql(q{SELECT pgqueue.create_task('server', command => 'SELECT 1')});
ok(wait_for($node, 'postgres', <<~'SQL', '2'), 'W5: its place under max_running is free');
    SELECT count(*) FROM pgqueue.task WHERE queue = 'server' AND status = 'released'
    SQL

# W5: the worker itself cannot write a failure for a while: it tries on, and is neither ended nor is the task charged.
sql(q{SELECT pgqueue.create_queue('failing', retries => 0)});
my $lock = session($node);
$lock->query(<<~'SQL');
    BEGIN;
    LOCK TABLE pgqueue_internal.outcome_0, pgqueue_internal.outcome_1, pgqueue_internal.outcome_2,
        pgqueue_internal.outcome_3 IN ACCESS EXCLUSIVE MODE
    SQL
sql(q{SELECT pgqueue.create_task('failing', command => 'SELECT 1/0')});
my $waiting = q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'pgqueue worker' AND wait_event_type = 'Lock'};
my $failures = 0;
while ($failures < 8)
{
    my $worker = wait_until(sub { sql($waiting) }) or last;
    sql("SELECT pg_cancel_backend($worker)");
    $failures++;
}
is($failures, 8, 'W5: a worker is interrupted eight times while it records a failure');
$lock->query('ROLLBACK');
ok(wait_for($node, 'postgres', <<~'SQL', 'failed|1|division by zero'), 'W5: it records it all the same');
    SELECT status, attempt, error FROM pgqueue.task WHERE queue = 'failing'
    SQL

counters_right($node, 'postgres', 'W5, W6');

done_testing();
