# Lists of ready tasks, one for each role of a queue, are shared by all namespaces: one namespace has at most as many as
# are free for the others (T2).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use Test::More;

# 1,024 lists and 512 queues.
my $node = new_node('lanes', conf => "log_statement = none\nautovacuum = off\npgqueue.dispatch_memory = 4MB");
my $db = 'postgres';
sub sql { return $node->safe_psql($db, @_); }

sql(<<~'SQL');
    SELECT pgqueue.create_namespace(n) FROM unnest('{greedy,modest}'::text[]) n;
    SELECT pgqueue.create_queue('q' || i, namespace => 'greedy') FROM generate_series(1, 240) i;
    DO $$ BEGIN
        FOR i IN 1..4 LOOP
            EXECUTE format('CREATE ROLE r%s; GRANT pgqueue_user TO r%1$s', i);
            PERFORM pgqueue.grant_namespace('greedy', 'use', 'r' || i);
        END LOOP;
    END $$
    SQL

# Each role has a command in each queue.
my $error = '';
for my $i (1 .. 4)
{
    my ($rc, undef, $err) = $node->psql($db, <<~"SQL");
        SET ROLE r$i;
        DO \$\$ BEGIN
            FOR n IN 1..240 LOOP
                PERFORM pgqueue.create_task('q' || n, command => 'SELECT 1', delay => '1 day', namespace => 'greedy');
                COMMIT;
            END LOOP;
        END \$\$
        SQL
    $error .= $err;
}
like($error, qr/ERROR:  namespace "greedy" has its part of the lists of ready tasks/, 'T2: a namespace has its part');
my ($used, $capacity) = split /\|/, sql(q{SELECT used, capacity FROM pgqueue.memory WHERE kind = 'lanes'});
cmp_ok($used, '<', $capacity * 0.55, 'T2: half of them are left');

# Another namespace does not notice.
sql(<<~'SQL');
    SELECT pgqueue.create_queue('m' || i, namespace => 'modest') FROM generate_series(1, 60) i;
    SELECT pgqueue.create_task('m' || i, command => 'SELECT 1', delay => '1 day', namespace => 'modest')
    FROM generate_series(1, 60) i
    SQL
is(sql(q{SELECT count(*) FROM pgqueue.task WHERE namespace = 'modest'}), '60', 'T2: others have theirs');

# What is there goes on, and what ends makes room.
is(sql(<<~'SQL'), '1', 'T2: a queue that has the list takes tasks');
    SET ROLE r1;
    SELECT count(pgqueue.create_task('q1', command => 'SELECT 1', delay => '1 day', namespace => 'greedy'))
    SQL
sql(<<~'SQL');
    SELECT count(pgqueue.delete_queue('q' || i, force => true, namespace => 'greedy')) FROM generate_series(1, 200) i
    SQL
ok(wait_for($node, $db, q{SELECT used < 300 FROM pgqueue.memory WHERE kind = 'lanes'}, 't', 60), 'queues go');
is(sql(<<~'SQL'), '1', 'T2: and there is room again');
    SET ROLE r4;
    SELECT count(pgqueue.create_task('q240', command => 'SELECT 1', delay => '1 day', namespace => 'greedy'))
    SQL

# A list whose tasks have ended makes room, although workers of its role are left.
sql(q{SELECT count(pgqueue.delete_queue(queue, force => true, namespace => namespace)) FROM pgqueue.queue});
ok(wait_for($node, $db, q{SELECT used < 20 FROM pgqueue.memory WHERE kind = 'lanes'}, 't', 60), 'all queues go');
sql(<<~'SQL');
    SELECT count(pgqueue.create_queue('t' || i, namespace => 'greedy')) FROM generate_series(1, 200) i;
    ALTER SYSTEM SET pgqueue.worker_idle_timeout = '10 min';
    SELECT pg_reload_conf()
    SQL
for my $i (1 .. 4)
{
    is(sql(<<~"SQL"), '', "T2: commands of role $i in each queue");
        SET ROLE r$i;
        DO \$\$ BEGIN
            FOR n IN 1..200 LOOP
                PERFORM pgqueue.create_task('t' || n, command => 'SELECT 1', namespace => 'greedy');
                COMMIT;
            END LOOP;
        END \$\$
        SQL
    ok(wait_for($node, $db, q{SELECT count(*) FROM pgqueue.task WHERE status <> 'released'}, '0', 60), 'they run');
}
check_invariants($node, $db, 'in the end', 60);
$node->stop;
done_testing();
