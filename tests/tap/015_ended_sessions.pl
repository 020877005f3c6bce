# A session ends or fails while it holds tasks. Others can have the tasks at once, and the places of the tasks under
# every limit are free at once. Faults W3 and W4.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use Test::More;

my $node = new_node('ended', conf => "log_statement = none\nlog_min_messages = error\nmax_prepared_transactions = 4");
sub sql { return $node->safe_psql('postgres', @_); }
sub tasks
{
    my ($queue, $n, $more) = (@_, '');
    return sql(<<~"SQL");
        SELECT count(*)
        FROM pgqueue.create_tasks('$queue', ARRAY(SELECT to_jsonb(g) FROM generate_series(1, $n) g)$more)
        SQL
}
# How many tasks of the queue one call hands out.
sub handed_out { my ($queue) = @_; return sql("SELECT count(*) FROM pgqueue.next_tasks('other', '{$queue}', 1000)"); }

# W4: the session waits for a lock while it has popped tasks.
sql(<<~'SQL');
    SELECT pgqueue.create_queue('plain'), pgqueue.create_queue('limited', max_running => 5),
        pgqueue.create_queue('grouped')
    SQL
tasks('plain', 300);
tasks('limited', 20);
tasks('grouped', 20, ", group_keys => ARRAY(SELECT 'g' || g % 4 FROM generate_series(1, 20) g)");
my %first = (plain => 300, limited => 5, grouped => 4);
for my $queue (qw(plain limited grouped))
{
    my $segment = sql('SELECT slot FROM pgqueue_internal.ring WHERE current AND slot < 4');
    my $lock = session($node);
    $lock->query("BEGIN; LOCK TABLE pgqueue_internal.segment_$segment IN ACCESS EXCLUSIVE MODE");
    my $taker = session($node);
    $taker->query("SET application_name = 'taker'");
    $taker->send("SELECT count(*) FROM pgqueue.next_tasks('w', '{$queue}', 1000)");
    my $pid = wait_until(
        sub { sql("SELECT pid FROM pg_stat_activity WHERE application_name = 'taker' AND wait_event_type = 'Lock'") });
    ok($pid, "W4: $queue: next_tasks waits with tasks in hand");
    ok(terminate($node, $pid), "W4: $queue: it is terminated");
    $lock->query('ROLLBACK');
    is(handed_out($queue), $first{$queue}, "W4: $queue: others get what it had, within the limits");
}
sql(<<~'SQL');
    SELECT pgqueue.release_task(id, receipt) FROM pgqueue.task
    WHERE status = 'retained' AND queue IN ('limited', 'grouped')
    SQL
is(handed_out($_), $first{$_}, "W4: $_: no place is taken for ever") for qw(limited grouped);
counters_right($node, 'postgres', 'W4');

# W4: an error instead of an end, in a subtransaction that goes on.
tasks('plain', 100);
my $segment = sql('SELECT slot FROM pgqueue_internal.ring WHERE current AND slot < 4');
my ($lock, $taker) = (session($node), session($node));
$lock->query("BEGIN; LOCK TABLE pgqueue_internal.segment_$segment IN ACCESS EXCLUSIVE MODE");
$taker->query("BEGIN; SET LOCAL lock_timeout = '10 ms'; SAVEPOINT s");
like($taker->query(q{SELECT count(*) FROM pgqueue.next_tasks('w', '{plain}', 1000)}), qr/lock timeout/,
    'W4: next_tasks runs into a time-out');
$taker->query('ROLLBACK TO s');
$lock->query('ROLLBACK');
is($taker->query(q{SELECT count(*) FROM pgqueue.next_tasks('w', '{plain}', 1000)}), '100',
    'W4: the same transaction gets the tasks then');
$taker->query('COMMIT');

# W3: PREPARE TRANSACTION after work of ours, rolled back or not.
sql(q{SELECT pgqueue.create_queue('free')});
tasks('free', 10);
my %work = (
    'creates' => q{SELECT count(pgqueue.create_task('plain', to_jsonb(i))) FROM generate_series(1, 5000) i},
    'takes' => q{SELECT count(*) FROM pgqueue.next_tasks('w', '{free}', 10)},
    'ends' => <<~'SQL',
        SELECT pgqueue.release_task(id, receipt) FROM pgqueue.task WHERE queue = 'plain' AND status = 'retained' LIMIT 5
        SQL
    'cancels' => q{SELECT pgqueue.cancel_task(min(id)) FROM pgqueue.task WHERE queue = 'limited' AND status = 'new'},
    'manages' => q{SELECT pgqueue.pause_queue('grouped')},
    'deletes' => q{DELETE FROM pgqueue.task WHERE queue = 'limited' AND status = 'new' AND payload = '20'},
);
for my $what (sort keys %work)
{
    my $session = session($node);
    my $pid = $session->query('SELECT pg_backend_pid()');
    for my $rolled_back (0, 1)
    {
        my $how = $rolled_back ? 'rolled back to a savepoint' : 'done';
        $session->query("BEGIN; SAVEPOINT x; $work{$what}");
        $session->query('ROLLBACK TO x') if $rolled_back;
        like($session->query("PREPARE TRANSACTION '$what'"), qr/ERROR:.*cannot PREPARE a transaction/,
            "W3: a transaction that $what, $how, is not prepared");
        $session->query('ROLLBACK');
        $session->query(<<~'SQL');
            BEGIN;
            SELECT count(pgqueue.create_task('plain', to_jsonb(i))) FROM generate_series(1, 300) i;
            ROLLBACK
            SQL
    }
    is($session->query('SELECT pg_backend_pid()'), $pid, "W3: $what: the session lives");
}
is(sql(<<~'SQL'), '1', 'W3: other transactions are prepared');
    BEGIN;
    SELECT 1;
    PREPARE TRANSACTION 'other';
    COMMIT PREPARED 'other'
    SQL
counters_right($node, 'postgres', 'W3');

done_testing();
