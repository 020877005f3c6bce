# A waiting task whose end comes before its next attempt expires at its end, and its dedup key is free then. Fault L4.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('dies', conf => "log_statement = none\nlog_min_messages = log");
sub sql { return $node->safe_psql('postgres', @_); }
sub id_of { my ($sql) = @_; return (split(/\n/, sql($sql)))[-1]; }

# The task is expired within a moment after its dies_at, which lies before its delayed_at, and the key makes another
# task.
sub expires
{
    my ($name, $queue, $id) = @_;
    my $times = "SELECT status, dies_at < delayed_at FROM pgqueue.get_task($id)";
    ok(wait_for($node, 'postgres', $times, 'expired|t', 30), "L4: $name: it expires before it is due") or return;
    is(sql("SELECT finished_at - dies_at < '1 s' AND finished_at >= dies_at FROM pgqueue.get_task($id)"), 't',
        "L4: $name: at dies_at");
    cmp_ok(id_of("SELECT pgqueue.create_task('$queue', '{}', dedup_key => 'k', delay => '1 day')"), '>', $id,
        "L4: $name: its dedup key is free");
    return;
}

# Fails or snoozes the task that is ready in a queue.
sub end_attempt
{
    my ($queue, $end) = @_;
    sql('CALL pgqueue.wait_for_task(ARRAY[' . "'$queue'" . "], '30 s')");
    return sql("SELECT pgqueue.$end FROM pgqueue.next_task('w', '$queue')");
}

sql(q{SELECT pgqueue.create_queue('told', ttl => '1 hour', retry_delay => '2 hours')});
my $told = id_of(q{SELECT pgqueue.create_task('told', '{}')});
end_attempt('told', 'fail_task(id, receipt)');
like(sql("SELECT reason, message FROM pgqueue.why($told)"), qr/^retry_wait\|It expires at .*, before it is due at /,
    'L4: why says so');
sql(q{SELECT pgqueue.create_queue('failed', ttl => '6 s', retry_delay => '3 s', retries => 5, retention => '1 hour')});
my $failed = id_of(q{SELECT pgqueue.create_task('failed', '{}', dedup_key => 'k')});
end_attempt('failed', 'fail_task(id, receipt)') for 1, 2;
expires('a retry', 'failed', $failed);

sql(q{SELECT pgqueue.create_queue('snoozed', ttl => '2 s', retention => '1 hour')});
my $snoozed = id_of(q{SELECT pgqueue.create_task('snoozed', '{}', dedup_key => 'k')});
end_attempt('snoozed', q{snooze_task(id, receipt, '1 hour')});
expires('a snooze', 'snoozed', $snoozed);

sql(<<~'SQL');
    SELECT pgqueue.create_queue('delayed', ttl => '1 hour'),
        pgqueue.create_queue('held', ttl => '4 s', retry_delay => '1 hour', retention => '1 hour'),
        pgqueue.create_queue('passed', ttl => '4 s', retry_delay => '1 hour', retention => '1 hour',
            group_policy => 'pass'),
        pgqueue.create_queue('server', ttl => '2 s', retry_delay => '1 hour', retention => '1 hour')
    SQL
my $delayed = id_of(q{SELECT pgqueue.create_task('delayed', '{}', dedup_key => 'k', delay => '1 hour')});
sql("UPDATE pgqueue.task SET dies_at = clock_timestamp() + interval '1 s' WHERE id = $delayed");
expires('an earlier dies_at by UPDATE', 'delayed', $delayed);

my $retried = id_of(q{SELECT pgqueue.create_task('delayed', '{}')});
sql(<<~"SQL");
    UPDATE pgqueue.task SET dies_at = clock_timestamp() + interval '1 s' WHERE id = $retried;
    SELECT pgqueue.retry_task($retried, '1 hour')
    SQL
ok(wait_for($node, 'postgres', "SELECT status FROM pgqueue.get_task($retried)", 'expired', 30),
    'L4: retry_task with a delay');

for my $queue (qw(held passed))
{
    my $first = id_of("SELECT pgqueue.create_task('$queue', '{}', dedup_key => 'k', group_key => 'g')");
    my $second = id_of("SELECT pgqueue.create_task('$queue', '{}', group_key => 'g', ttl => '1 hour')");
    end_attempt($queue, 'fail_task(id, receipt)');
    expires("a retry in a group, group_policy of queue $queue", $queue, $first);
    sql("CALL pgqueue.wait_for_task(ARRAY['$queue'], '30 s')");
    is(sql("SELECT id FROM pgqueue.next_task('w', '$queue')"), $second, "L4: its group goes on ($queue)");
}

my $command = id_of(q{SELECT pgqueue.create_task('server', command => 'SELECT 1/0', dedup_key => 'k')});
expires('a command', 'server', $command);

# Somebody has the row in hands when the time comes.
my $locked = id_of(q{SELECT pgqueue.create_task('delayed', '{}', dedup_key => 'l', delay => '1 hour')});
my $holder = session($node);
sql("UPDATE pgqueue.task SET dies_at = clock_timestamp() + interval '1 s' WHERE id = $locked");
$holder->query("BEGIN; SELECT pgqueue.cancel_task($locked)");
ok(wait_for($node, 'postgres', <<~"SQL", 't', 30), 'its end goes by while it is locked');
    SELECT clock_timestamp() > dies_at + interval '1 s' FROM pgqueue.get_task($locked)
    SQL
$holder->query('ROLLBACK');
ok(wait_for($node, 'postgres', "SELECT status FROM pgqueue.get_task($locked)", 'expired', 10),
    'L4: it expires when the row is free');
# One that was given a later end lives on.
my $saved = id_of(q{SELECT pgqueue.create_task('delayed', '{}', delay => '1 hour')});
# In one session: the first end must not come before the second one is given.
sql(<<~"SQL");
    UPDATE pgqueue.task SET dies_at = clock_timestamp() + interval '1 s' WHERE id = $saved;
    UPDATE pgqueue.task SET dies_at = clock_timestamp() + interval '1 day' WHERE id = $saved
    SQL
my $after = id_of(q{SELECT pgqueue.create_task('delayed', '{}', delay => '1 hour')});
sql("UPDATE pgqueue.task SET dies_at = clock_timestamp() + interval '2 s' WHERE id = $after");
ok(wait_for($node, 'postgres', "SELECT status FROM pgqueue.get_task($after)", 'expired', 30),
    'another one has expired');
is(sql("SELECT status FROM pgqueue.get_task($saved)"), 'new', 'L4: an end that was put off is not the end');

# After a restart.
my $over = id_of(q{SELECT pgqueue.create_task('delayed', '{}', delay => '1 hour')});
sql("UPDATE pgqueue.task SET dies_at = clock_timestamp() + interval '3 s' WHERE id = $over");
$node->restart;
ok(wait_for($node, 'postgres', <<~"SQL", 'expired|t', 30), 'L4: after a restart');
    SELECT status, finished_at - dies_at < '3 s' FROM pgqueue.get_task($over)
    SQL
counters_right($node, 'postgres', 'L4');
ok(wait_for($node, 'postgres', <<~'SQL', '', 20), 'health is well');
    SELECT string_agg(problem || ': ' || message, '; ') FROM pgqueue.health
    SQL
$holder->close;

$node->stop;
done_testing();
