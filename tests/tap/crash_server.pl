# Scheduler, launcher, postmaster and the whole server die, at rest, at work and at named points of the scheduler.
# Afterwards no task is lost, effects are there exactly once, attempts are counted, counters equal the rows and all
# places of workers are free. A43, K13, K14, K04.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use CrashLoad;
use PgQueue;
use Test::More;

my $workers = 4;
my $node = new_loaded_node('crash_server');

sub enabled { my ($on) = @_; sql("ALTER SYSTEM SET pgqueue.enabled = $on"); $node->reload; return; }

# Waits until the load is in full swing.
sub under_way
{
    fill(240, 0.004);
    return wait_for($node, 'postgres', q{SELECT count(*) >= 20 FROM pgqueue.task WHERE status = 'released'}, 't', 30);
}

# The postmaster reports when it started the last time; a restart after a crash changes that.
my $generation = <<~'SQL';
    SELECT pg_postmaster_start_time(), (SELECT backend_start FROM pg_stat_activity WHERE backend_type = 'checkpointer')
    SQL

# SIGKILL under load.
for my $type ('pgqueue scheduler', 'pgqueue launcher', 'checkpointer')
{
    under_way();
    kill9($node, pid_of($node, $type));
    ok(wait_up($node, 30), "SIGKILL of the $type: the server is back");
    all_well("SIGKILL of the $type", 0, $workers);
}

# SIGTERM under load: nothing restarts but that process, and no attempt is lost.
my $before = sql($generation);
for my $type ('pgqueue scheduler', 'pgqueue launcher')
{
    under_way();
    my $pid = pid_of($node, $type);
    ok(terminate($node, $pid, 10), "SIGTERM of the $type: it ends");
    ok(wait_for($node, 'postgres', <<~"SQL", '1', 10), "K04: SIGTERM of the $type: there is another one");
        SELECT count(*) FROM pg_stat_activity WHERE backend_type = '$type' AND pid <> $pid
        SQL
    all_well("SIGTERM of the $type", 0, 0);
}
is(sql($generation), $before, 'K04: the server has not restarted');

# The scheduler reads the rows again while more tasks are committed, and dies in it.
for my $signal ('none', 'TERM', 'KILL')
{
    enabled('off');
    wait_for($node, 'postgres', <<~'SQL', '0', 30);
        SELECT count(*) FROM pg_stat_activity WHERE backend_type IN ('pgqueue scheduler', 'pgqueue worker')
        SQL
    my $holder = session($node);
    hold_point($holder, 'scheduler-rebuild');
    fill(120, 0);
    enabled('on');
    my $pid = pid_at($node, 'postgres', 'scheduler-rebuild', 30) or BAIL_OUT('no rebuild');
    # Committed after the snapshot of the scan was taken, and before it is over.
    fill(80, 0);
    my $late = session($node);
    $late->query('BEGIN');
    fill(40, 0, $late);
    terminate($node, $pid, 10) if $signal eq 'TERM';
    if ($signal eq 'KILL')
    {
        $late->query('COMMIT');
        kill9($node, $pid);
        ok(wait_up($node, 30), 'SIGKILL of the scheduler in its rebuild: the server is back');
    }
    $holder->close;
    $late->query('COMMIT') if $signal ne 'KILL';
    $late->close;
    all_well($signal eq 'none' ? 'commits during a rebuild' : "SIG$signal of the scheduler in its rebuild", 0, 0);
}

# The scheduler gives back what a worker held, and dies in it.
for my $signal ('TERM', 'KILL')
{
    my $holder = session($node);
    hold_point($holder, 'scheduler-recovering');
    # The worker of the one long task among many short ones.
    # Its first attempt does not end before its worker is terminated; after a crash it may be its first attempt again.
    fill(1, 'CASE WHEN (SELECT attempt FROM pgqueue.current_task()) = 1 THEN 20 ELSE 0 END');
    my $worker = wait_until(
        sub { sql(q{SELECT pid FROM pgqueue.worker WHERE command LIKE '%THEN 20%' AND state = 'running'}) }, 30)
        or die 'nobody works';
    under_way();
    terminate($node, $worker, 10);
    my $pid = pid_at($node, 'postgres', 'scheduler-recovering', 30) or BAIL_OUT('no recovery');
    $signal eq 'TERM' ? ok(terminate($node, $pid, 10), 'SIGTERM of the scheduler in a recovery: it ends')
        : kill9($node, $pid);
    ok(wait_up($node, 30), "SIG$signal of the scheduler in a recovery: the server is up");
    $holder->close;
    all_well("SIG$signal of the scheduler in a recovery", 0, 1 + $workers);
}

# The whole server.
for my $how ('kill9', 'immediate', 'fast')
{
    under_way();
    $how eq 'kill9' ? kill9_postmaster($node) : $node->stop($how);
    $node->start;
    all_well($how eq 'kill9' ? 'SIGKILL of the postmaster' : "pg_ctl stop -m $how", 0, $how eq 'fast' ? 0 : $workers);
}

# A task that crashes its server is tried three times and no more; the others are run.
sub poison
{
    my ($what, $command) = @_;
    # One commit for all, whose answer may get lost in the crash.
    my $session = session($node);
    $session->query('BEGIN');
    fill(120, 0.002, $session);
    my $id = $session->query(qq{SELECT pgqueue.create_task('q', command => \$c\$$command\$c\$, priority => 1)});
    $session->send('COMMIT');
    ok(wait_for($node, 'postgres', <<~"SQL", 'failed|3|PQ103', 60),
        SELECT status, attempt, error_code FROM pgqueue.task WHERE id = $id
        SQL
        "A43: $what: the task is quarantined after three crashes");
    like(sql(<<~"SQL"), qr/^lost (PQ102|57P01),lost (PQ102|57P01),failed PQ103$/,
        SELECT string_agg(outcome || ' ' || error_code, ',' ORDER BY attempt)
        FROM pgqueue.task_attempt
        WHERE task_id = $id
        SQL
        "A43: $what: each crash is on record");
    ok(wait_for($node, 'postgres', "SELECT count(*) FROM pgqueue.task WHERE finished_at IS NULL", '0', 60),
        "A43: $what: the others end");
    $session->close;
    sql("DELETE FROM pgqueue.task WHERE id = $id");
    all_well("$what: the others", 0, $workers);
    return;
}

poison('a task that kills its process', q{COPY (SELECT 1) TO PROGRAM 'kill -9 $PPID'});
poison('a task that terminates its process', 'SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(10)');

# The ids of create_tasks are moved on in one step, which a crash must not forget.
my $made = <<~'SQL';
    SELECT min(id), max(id), count(DISTINCT id) FROM pgqueue.create_tasks('q', array_fill('1'::jsonb, ARRAY[300])) AS id
    SQL
my (undef, $last) = split(/\|/, sql($made));
kill9($node, pid_of($node, 'checkpointer'));
ok(wait_up($node, 30), 'SIGKILL after create_tasks: the server is back');
my ($first, undef, $count) = split(/\|/, sql($made));
cmp_ok($first, '>', $last, 'SIGKILL after create_tasks: no id is given twice');
is($count, 300, 'SIGKILL after create_tasks: and further ids are');

$node->stop;
done_testing();
