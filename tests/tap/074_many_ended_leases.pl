# Leases that end in great numbers do not stop the scheduler's other duties (faults T1, T8): a turn ends some of them.
# An attack made tickers and retries of others late by seconds with 40,000 leases of 1 ms.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use Test::More;

my $node = new_node('many_ended_leases', conf => 'log_statement = none');
my $db = 'postgres';
sub sql { return $node->safe_psql($db, @_); }
# Who waits at the test point: the scheduler, or a session that wants to hold it.
sub waiting
{
    my ($type) = @_;
    return <<~"SQL";
        SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
        WHERE l.locktype = 'advisory' AND l.classid = 28785 AND NOT l.granted AND a.backend_type = '$type'
        SQL
}

sql(q{SELECT pgqueue.create_queue('many', ttl => '0'), pgqueue.create_queue('ticks', ttl => '0');
    SELECT count(*) FROM pgqueue.create_tasks('many', array_fill('1'::jsonb, ARRAY[1000]))});
my ($first, $second) = (session($node), session($node));
hold_point($first, 'scheduler-ends-leases');
is(sql(q{SELECT count(*) FROM pgqueue.next_tasks('w', '{many}', 1000, lease => '1 ms')}), '1000', 'leases of 1 ms');
ok(wait_for($node, $db, waiting('pgqueue scheduler'), '1'), 'the scheduler begins to end them');
# It stops at the next part of them, too.
$second->send(q{SELECT pg_advisory_lock(28785, hashtext('scheduler-ends-leases'))});
ok(wait_for($node, $db, waiting('client backend'), '1'), 'it will stop again');
sql(q{SELECT pgqueue.create_ticker('t', queue => 'ticks', payload => '1', period => '1 second')});
ok(wait_for($node, $db,
    q{SELECT clock_timestamp() > created_at + interval '1 second' FROM pgqueue.ticker WHERE ticker = 't'}, 't'),
    'a slot of a ticker comes meanwhile');
is(sql(q{SELECT count(*) FROM pgqueue.task WHERE queue = 'ticks'}), '0', 'it is not fired');
$first->close;
ok(wait_for($node, $db, waiting('client backend') . ' UNION ALL ' . waiting('pgqueue scheduler'), "0\n1"),
    'the scheduler is at the next part');
my $left = sql(q{SELECT count FROM pgqueue.queue_status WHERE queue = 'many' AND status = 'retained'});
ok($left >= 744 && $left < 1000, "leases are left ($left)");
is(sql(q{SELECT count(*) > 0 FROM pgqueue.task WHERE queue = 'ticks'}), 't', 'the ticker was fired before it');
$second->close;
ok(wait_for($node, $db, q{SELECT count FROM pgqueue.queue_status WHERE queue = 'many' AND status = 'retry'}, '1000'),
    'all leases end');
sql(q{SELECT pgqueue.delete_ticker('t')});
check_invariants($node, $db, 'afterwards');
$node->stop;
done_testing();
