# While another session with NOTIFY does not end its commit, nobody hears of anything. The scheduler goes on, a notifier
# waits in its place, and listeners hear of what came meanwhile (T1).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use Test::More;

my $node = new_node(
    'notifier',
    streaming => 1,
    conf => "synchronous_commit = local\nsynchronous_standby_names = 'nobody'");
my $db = 'postgres';
sub sql { return $node->safe_psql($db, @_); }
my $type = 'pgqueue notifier';

sql(<<~'SQL');
    CREATE DATABASE queues;
    CREATE TABLE written (n int);
    SELECT pgqueue.create_queue('q'), pgqueue.create_queue('s', executor => 'server')
    SQL
my $listener = session($node, $db);
$listener->query('LISTEN pgqueue_default');

# Returns a session whose commit with NOTIFY waits for a standby that there is not.
sub block
{
    my $blocker = session($node, $db);
    $blocker->query('SET synchronous_commit = on');
    $blocker->send('BEGIN; INSERT INTO written VALUES (1); NOTIFY other; COMMIT');
    ok(wait_for($node, $db, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'", '1', 30),
        'a commit with NOTIFY waits');
    return $blocker;
}
sub unblock
{
    my ($blocker) = @_;
    sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
    $blocker->query('SELECT 1');
    $blocker->close;
    return;
}
# The next notification, or nothing.
sub heard
{
    return wait_until(
        sub { return $listener->query('SELECT 1') =~ /notification "pgqueue_default" with payload "q"/ }, 30);
}

sql(q{SELECT pgqueue.create_task('q', '1')});
ok(heard(), 'a listener hears of a task');
is(join(',', pids_of($node, $type)), '', 'the scheduler has sent it');

my $blocker = block();
sql(q{SELECT pgqueue.create_task('q', '2')});
ok(my $notifier = pid_of($node, $type, undef, 30), 'T1: a notifier comes when the scheduler has waited in vain');
my $waits = "SELECT wait_event_type FROM pg_stat_activity WHERE pid = ";
ok(wait_for($node, $db, $waits . $notifier, 'Lock'), 'T1: it waits');
my $task = sql(q{SELECT pgqueue.create_task('s', command => 'SELECT 1')});
ok(wait_for($node, $db, "SELECT status FROM pgqueue.task WHERE id = $task", 'released'), 'T1: the scheduler does not');

# Another one comes when it has ended.
ok(terminate($node, $notifier, 30), 'T1: it can be terminated');
ok(my $second = pid_of($node, $type, undef, 30), 'T1: another one comes');
ok(wait_for($node, $db, $waits . $second, 'Lock'), 'T1: it waits, too');
unblock($blocker);
ok(heard(), 'T1: the listener hears of what came meanwhile');
sql(q{SELECT pgqueue.create_task('q', '3')});
ok(heard(), 'T1: and of what comes later');
ok(wait_until(sub { PgQueue::gone($second) }, 60), 'it leaves when nobody makes it wait');
is(sql('SELECT count(*) FROM pgqueue.health'), '0', 'T1: nothing is owed');
sql(q{SELECT pgqueue.create_task('q', '4')});
ok(heard(), 'the scheduler sends again');
is(join(',', pids_of($node, $type)), '', 'without another process');

# It leaves a database that is needed alone.
$node->safe_psql('queues', q{CREATE EXTENSION pgqueue; SELECT pgqueue.create_queue('q')});
$node->safe_psql('queues', 'LISTEN pgqueue_default');
$blocker = block();
$node->safe_psql('queues', q{SELECT pgqueue.create_task('q', '1')});
ok(my $third = pid_of($node, $type, 'queues', 30), 'a notifier of another database');
ok(wait_for($node, $db, $waits . $third, 'Lock'), 'it waits');
sql('ALTER DATABASE queues RENAME TO renamed');
ok(PgQueue::gone($third), 'it leaves a database that is renamed');
unblock($blocker);
$node->stop;
done_testing();
