# Small transactions over many lists, and groups beside them, use up the pages of dispatch memory while the scheduler
# can make no room. Pages are left to others (T2).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use Test::More;

my $node = new_node('room', conf => "log_statement = none\nautovacuum = off\npgqueue.dispatch_memory = 4MB");
my $db = 'postgres';
sub sql { return $node->safe_psql($db, @_); }
my $scheduler;
sub stop_scheduler
{
    ok(wait_for($node, $db, <<~'SQL', 't'), 'the scheduler is idle');
        SELECT wait_event_type = 'Extension' FROM pg_stat_activity WHERE backend_type = 'pgqueue scheduler'
        SQL
    $scheduler = pid_of($node, 'pgqueue scheduler', $db);
    kill 'STOP', $scheduler;
    return;
}
END { kill 'CONT', $scheduler if $scheduler; }

# 820 lists: one for outside workers and one for a role in each queue.
my %queues = (many => 200, more => 140, fewer => 70);
sql("SELECT pgqueue.create_namespace('$_')") for qw(many more fewer);
sql(<<~"SQL") for qw(many more fewer);
    SELECT count(pgqueue.create_queue('q' || i, namespace => '$_')) FROM generate_series(1, $queues{$_}) i
    SQL
sql(q{SELECT pgqueue.create_namespace('other'), pgqueue.create_queue('m', namespace => 'other')});

# Transactions with tasks for two lists of each of so many queues. A session that looks for a task files them, and one
# that ends a task with a group key comes after it.
sub flood
{
    my ($namespace, $size) = @_;
    sql(<<~"SQL");
        DO \$\$BEGIN
            PERFORM pgqueue.create_task('q1', 'null', group_key => 'g', namespace => '$namespace')
            FROM generate_series(1, 10);
            COMMIT;
            FOR i IN 1..$queues{$namespace} LOOP
                PERFORM pgqueue.create_task('q' || i, '1', namespace => '$namespace'),
                    pgqueue.create_task('q' || i, command => 'SELECT 1', namespace => '$namespace');
                CONTINUE WHEN i % $size <> 0;
                COMMIT;
                PERFORM pgqueue.release_task(id, receipt) FROM pgqueue.next_task('w', 'q1', namespace => '$namespace');
                COMMIT;
            END LOOP;
        END\$\$
        SQL
    return;
}
stop_scheduler();
flood('many', 20);
flood('more', 140);
flood('fewer', 10);
my $left = sql("SELECT (capacity - used)::float / capacity FROM pgqueue.memory WHERE kind = 'pages'");
cmp_ok($left, '>=', 1 / 32, 'T2: pages are left for others');
is(sql(<<~'SQL'), '1', 'T2: a task of another namespace is handed out, although no room can be made');
    DO $$BEGIN PERFORM pgqueue.create_task('m', '1', namespace => 'other'); END$$;
    SELECT count(pgqueue.release_task(id, receipt)) FROM pgqueue.next_task('w', 'm', namespace => 'other')
    SQL
like(sql(<<~'SQL'), qr/^not_loaded\|The dispatcher's memory has no room yet/, 'T2: why() says what a task waits for');
    SELECT w.reason, w.message
    FROM (SELECT max(id) AS id FROM pgqueue.task WHERE queue = 'q140' AND namespace = 'more') t, pgqueue.why(t.id) w
    SQL

# Queues are deleted while their tasks wait for room.
sql(<<~'SQL');
    SELECT count(pgqueue.delete_queue('q' || i, force => true, namespace => 'more')) FROM generate_series(101, 140) i
    SQL
kill 'CONT', $scheduler;
sql(q{SELECT pgqueue.create_queue('q' || i, namespace => 'more') FROM generate_series(101, 110) i});
ok(wait_for($node, $db, <<~'SQL', '0'), 'T2: the commands of the others run');
    SELECT count(*) FROM pgqueue.task WHERE command IS NOT NULL AND status <> 'released'
    SQL
is(sql("SELECT sum(used) FROM pgqueue.memory WHERE kind = 'repaired'"), '0', 'T2: none was forgotten');
check_invariants($node, $db, 'in the end', 60);
$node->stop;
done_testing();
