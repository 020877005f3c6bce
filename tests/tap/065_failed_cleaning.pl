# A pass of the housekeeper that fails is tried again within a minute, however often it has failed: until then no other
# pass begins, and the disk fills. The torture found a disk that stayed full for three minutes.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use Test::More;

my $node = new_node('failed_cleaning', clock => 1, conf => "log_statement = none\nautovacuum = off");
my $db = 'postgres';
sub sql { return $node->safe_psql($db, @_); }
my $task = "SELECT %s FROM pgqueue.task WHERE namespace = 'pgqueue'";

sql(<<~'SQL');
    CREATE FUNCTION fault(process text, kind text, at integer) RETURNS void LANGUAGE C
        AS 'pgqueue', 'pgqueue_test_fault';
    SELECT pgqueue.create_queue('q')
    SQL
ok(wait_for($node, $db, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pgqueue scheduler'}, '1'),
    'the scheduler runs');
# A point in the middle of the pass.
sql(q{SELECT fault('housekeeper', 'error', 100)});
sql(q{SELECT pgqueue.fire_ticker('cleanup', namespace => 'pgqueue')});
for my $attempt (1 .. 3)
{
    my $status = sprintf($task, "status || ' ' || attempt");
    ok(wait_for($node, $db, $status, "retry $attempt", 30), "attempt $attempt fails");
    is(sql(sprintf($task, "delayed_at - clock_timestamp() <= interval '1 minute'")), 't',
        'the next one is at most a minute away');
    sql(q{SELECT fault('housekeeper', 'error', 100)}) if $attempt < 3;
    set_clock($node, 61 * $attempt);
}
ok(wait_for($node, $db, sprintf($task, 'count(*)'), '0', 30), 'the last one does its work');
check_invariants($node, $db, 'afterwards');
$node->stop;
done_testing();
