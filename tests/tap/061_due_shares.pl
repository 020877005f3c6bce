# Tasks of many namespaces whose time has come: those of one namespace do not hold up the others (T1).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use Test::More;

my $node = new_node('due', conf => "log_statement = none\nautovacuum = off\npgqueue.max_workers = 2");
my $db = 'postgres';
my $many = 40000;
sub sql { return $node->safe_psql($db, @_); }

sql(<<~'SQL');
    SELECT pgqueue.create_namespace('many'), pgqueue.create_namespace('few');
    SELECT pgqueue.create_queue('dying', namespace => 'many');
    SELECT pgqueue.create_queue('q', executor => 'server', namespace => 'few');
    SQL

# All tasks are due while the scheduler does not run; those of `many` have expired by then, so that each row is read.
my $at;
my $count = 'SELECT count(*) FROM pgqueue.task';
for my $margin (4, 12, 40)
{
    my ($rc, $out) = $node->psql($db, <<~"SQL");
        SELECT date_trunc('second', clock_timestamp()) + '$margin s' AS at \\gset
        SELECT count(*)
        FROM pgqueue.create_tasks('dying', array_fill('{}'::jsonb, ARRAY[$many]), delayed_at => :'at', ttl => '1 ms',
                                  namespace => 'many');
        SELECT pgqueue.create_task('q', command => 'SELECT 1', delayed_at => :'at'::timestamptz + interval '10 ms',
                                   namespace => 'few');
        SELECT pgqueue.create_task('q', command => 'SELECT 1', delayed_at => :'at'::timestamptz + interval '10 ms',
                                   group_key => 'g', namespace => 'few');
        SELECT :'at';
        SQL
    $at = (split /\n/, $out)[-1];
    last if sql("SELECT '$at'::timestamptz - interval '1 s' > clock_timestamp()") eq 't' && sql($count) == $many + 2;
    sql("SELECT pgqueue.purge_queue('dying', namespace => 'many'), pgqueue.purge_queue('q', namespace => 'few')");
}
my $scheduler = pid_of($node, 'pgqueue scheduler', $db);
kill 'STOP', $scheduler;
ok(wait_for($node, $db, "SELECT clock_timestamp() > '$at'::timestamptz + interval '100 ms'", 't'), 'all of them are due');
kill 'CONT', $scheduler;
my $ended = "SELECT count(*) FROM pgqueue.task WHERE queue = 'q' AND status = 'released'";
ok(wait_for($node, $db, $ended, '2'), 'two tasks of another namespace run');
ok(wait_for($node, $db, "SELECT count(*) FROM pgqueue.task WHERE queue = 'dying' AND status = 'expired'", $many),
    'all others expire');
my $before = sql(<<~'SQL');
    SELECT max(n)
    FROM pgqueue.task t,
         LATERAL (SELECT count(*) AS n FROM pgqueue.task d WHERE d.queue = 'dying' AND d.finished_at < t.started_at) b
    WHERE t.queue = 'q'
    SQL
cmp_ok($before, '<', $many / 4, "T1: the two do not wait until the others have expired ($before of $many have)");
check_invariants($node, $db, 'afterwards');
$node->stop;
done_testing();
