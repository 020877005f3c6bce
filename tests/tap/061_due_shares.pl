# Tasks whose time has come, to start or to expire: those of one namespace do not hold up the others (T1). Expired tasks
# leave the lists.
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
my $pid = pid_of($node, 'pgqueue scheduler', $db);
kill 'STOP', $pid;
ok(wait_for($node, $db, "SELECT clock_timestamp() > '$at'::timestamptz + interval '100 ms'", 't'), 'all are due');
kill 'CONT', $pid;
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
sql("SELECT pgqueue.purge_queue('dying', namespace => 'many'), pgqueue.purge_queue('q', namespace => 'few')");

# Ready tasks expire, while others between them do not.
my $pages = "SELECT used FROM pgqueue.memory WHERE kind = 'pages' AND namespace IS NULL";
sql("SELECT pgqueue.create_queue('short', namespace => 'few')");
my $empty = sql($pages);
$pid = pid_of($node, 'pgqueue scheduler', $db);
# Nothing expires before all are there.
kill 'STOP', $pid;
sql(<<~"SQL");
    SELECT pgqueue.create_task('dying', to_jsonb(n), namespace => 'many',
                               ttl => CASE WHEN n % 100 = 0 THEN '1 hour'::interval ELSE '1 s' END)
    FROM generate_series(1, $many) n;
    SELECT count(*)
    FROM pgqueue.create_tasks('short', array_fill('{}'::jsonb, ARRAY[500]), ttl => '1 s', namespace => 'few');
    SQL
ok(wait_for($node, $db, "SELECT max(dies_at) < clock_timestamp() FROM pgqueue.task WHERE queue = 'short'", 't'),
    'they have expired');
kill 'CONT', $pid;
my $expired = "SELECT count(*) FROM pgqueue.task WHERE status = 'expired' AND queue =";
ok(wait_for($node, $db, "$expired 'short'", 500), 'those of one namespace end');
ok(wait_for($node, $db, "$expired 'dying'", $many * 99 / 100), 'those of the other end');
$before = sql(<<~'SQL');
    SELECT count(*)
    FROM pgqueue.task
    WHERE queue = 'dying' AND finished_at < (SELECT max(finished_at) FROM pgqueue.task WHERE queue = 'short')
    SQL
cmp_ok($before, '<', $many / 2, "they did not wait for these ($before of $many had ended)");
ok(wait_until(sub { sql($pages) - $empty < 20 }, 30), 'expired tasks leave the lists')
    or diag(sql($pages) . " and $empty");
is(sql(<<~'SQL'), '400|t', 'the tasks between them stay, in their order');
    SELECT count(*), array_agg(payload::int ORDER BY ordinality) = array_agg(payload::int ORDER BY payload::int)
    FROM pgqueue.next_tasks('w', ARRAY['dying'], 1000, namespace => 'many') WITH ORDINALITY
    SQL
check_invariants($node, $db, 'afterwards');
$node->stop;
done_testing();
