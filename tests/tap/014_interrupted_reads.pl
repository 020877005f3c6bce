# A process is interrupted while it reads the catalog tables of pgqueue. It loses nothing and works on. Faults W1 and
# W2.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('interrupted',
    conf => "log_statement = none\nlog_min_messages = error\nmax_prepared_transactions = 4");
sub sql { return $node->safe_psql('postgres', @_); }

# A session that holds a strong lock on the table of queues, as VACUUM FULL does.
my $lock = session($node);
sub lock_queues { return $lock->query('BEGIN; LOCK TABLE pgqueue_internal.queue IN ACCESS EXCLUSIVE MODE'); }
sub unlock_queues { return $lock->query('ROLLBACK'); }

# Waits until a process of the type waits for that lock, and returns its pid.
sub pid_waiting
{
    my ($type) = @_;
    my $waiting = qq(SELECT pid FROM pg_stat_activity WHERE backend_type = '$type' AND wait_event_type = 'Lock');
    return wait_until(sub { return sql($waiting); }, 60);
}

# W1: the housekeeper.
sql(q{SELECT pgqueue.create_queue('later')});
sub later
{
    my ($n) = @_;
    my $payloads = "ARRAY(SELECT to_jsonb(g) FROM generate_series(1, $n) g)";
    sql("SELECT count(*) FROM pgqueue.create_tasks('later', $payloads, delay => '1 day')");
    return;
}
later(2000);
sql('SELECT pgqueue_internal.clean(1000000, now())');
later(500);
is(sql(q{SELECT count(*) FROM pgqueue_internal.ring WHERE filled_at IS NOT NULL}), '1',
    'W1: a filled segment and a current one');
lock_queues();
# It does not wait for the table of queues: the steps that read it are interrupted by their own limit.
sql('SELECT pgqueue_internal.clean(1000000, now())');
unlock_queues();
is(sql('SELECT count(*) FROM pgqueue.task WHERE namespace <> \'pgqueue\''), '2500',
    'W1: the interrupted pass removes no task');
sql('SELECT pgqueue_internal.clean(1000000, now())');
is(sql('SELECT count(*) FROM pgqueue.task WHERE namespace <> \'pgqueue\''), '2500', 'W1: nor does the next one');
counters_right($node, 'postgres', 'W1');

# W2: a session that works on tasks.
sql(q{SELECT pgqueue.create_queue('outside')});
sql(q{SELECT count(*) FROM pgqueue.create_tasks('outside', ARRAY(SELECT to_jsonb(g) FROM generate_series(1, 10) g))});
my $worker = session($node);
$worker->query("SET statement_timeout = '300 ms'");
for my $call (q{next_task('w', 'outside')}, q{next_tasks('w', NULL, 100)})
{
    lock_queues();
    like($worker->query("SELECT count(*) FROM pgqueue.$call"), qr/statement timeout/,
        "W2: $call runs into the time-out");
    unlock_queues();
}
$worker->query('RESET statement_timeout');
is($worker->query(q{SELECT payload FROM pgqueue.next_task('w', 'outside')}), '1', 'W2: the session knows the queue');
is($worker->query(q{SELECT count(*) FROM pgqueue.next_tasks('w', NULL, 100)}), '9',
    'W2: and gets every task of the namespace');

# W2: a worker of the server. Its catalog is not fresh when it takes the task, and it is interrupted while it reads.
sql(<<~'SQL');
    SELECT pgqueue.create_queue('graveyard'), pgqueue.create_queue('server', retries => 0, dead_letter => 'graveyard')
    SQL
sql(q{SELECT pgqueue.create_task('server', command => 'SELECT 1')});
my $released = q{SELECT count(*) FROM pgqueue.task WHERE queue = 'server' AND status = 'released'};
ok(wait_for($node, 'postgres', $released, '1'), 'W2: a worker is there');
sql(q{SELECT pgqueue.create_task('server', command => 'SELECT 1/0', delay => '2 seconds')});
sql(q{SELECT pgqueue.update_queue('server', description => 'changed')});
lock_queues();
my $process = pid_waiting('pgqueue worker');
ok($process, 'W2: the worker waits for the table of queues');
sql("SELECT pg_cancel_backend($process)");
unlock_queues();
ok(wait_for($node, 'postgres', <<~'SQL', 'graveyard|failed'), 'W2: its task fails by the rules of its queue');
    SELECT queue, status FROM pgqueue.task WHERE command = 'SELECT 1/0'
    SQL
counters_right($node, 'postgres', 'W2');

done_testing();
