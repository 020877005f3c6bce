# Each list of ready tasks takes a page of dispatch memory: a namespace with thousands of short lists leaves pages for
# the others (T2).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use Test::More;

my $node = new_node('pages', conf => "log_statement = none\nautovacuum = off\npgqueue.dispatch_memory = 4MB");
my $db = 'postgres';
sub sql { return $node->safe_psql($db, @_); }
sub pages
{
    return split /\|/, sql(q{SELECT used, capacity FROM pgqueue.memory WHERE kind = 'pages' AND namespace IS NULL});
}

sql(<<~'SQL');
    SELECT pgqueue.create_namespace(n) FROM unnest('{greedy,modest}'::text[]) n;
    SELECT pgqueue.create_queue('m', executor => 'server', namespace => 'modest');
    CREATE PROCEDURE flood() LANGUAGE plpgsql AS $$BEGIN
        FOR i IN 1..512 LOOP
            PERFORM pgqueue.create_queue('q' || i, namespace => 'greedy');
            FOR p IN 1..8 LOOP
                PERFORM pgqueue.create_task('q' || i, '{}', priority => p, namespace => 'greedy');
            END LOOP;
            COMMIT;
        END LOOP;
    END$$
    SQL
# It ends when the namespace has its part of the queues or lists.
$node->psql($db, 'CALL flood()');
cmp_ok(sql(q{SELECT count(*) FROM pgqueue.queue WHERE namespace = 'greedy'}), '>', 100, 'a namespace has many queues');
sql('SELECT count(*) FROM pgqueue.queue_status');
my ($used, $capacity) = pages();
cmp_ok($used, '<', $capacity * 0.6, "T2: pages are left for others ($used of $capacity are used)");
is(sql(q{SELECT count(*) FROM pgqueue.health WHERE problem IN ('memory_full', 'memory_low')}), '0',
    'health says nothing');
my $id = sql(q{SELECT pgqueue.create_task('m', command => 'SELECT 1', delay => '100 ms', namespace => 'modest')});
ok(wait_for($node, $db, "SELECT status FROM pgqueue.task WHERE id = $id", 'released', 20),
    'a delayed task of another runs');

# The order of priorities holds although lists are shared.
is(sql(<<~'SQL'), '1,2,3,4,5,6,7,8', 'tasks come in the order of their priorities');
    SELECT string_agg(priority::text, ',' ORDER BY ordinality)
    FROM pgqueue.next_tasks('w', ARRAY['q100'], 8, namespace => 'greedy') WITH ORDINALITY
    SQL

# Lists that a namespace must have, one for each role of a queue, do not take the pages of others.
sql(<<~'SQL');
    CREATE ROLE r1;
    GRANT pgqueue_user TO r1;
    SELECT pgqueue.grant_namespace('greedy', 'use', 'r1'), pgqueue.update_namespace('greedy', paused => true);
    SET ROLE r1;
    DO $$DECLARE
        q text;
    BEGIN
        FOR q IN SELECT queue FROM pgqueue.queue WHERE namespace = 'greedy' LOOP
            PERFORM pgqueue.create_task(q, command => 'SELECT 1', namespace => 'greedy');
            COMMIT;
        END LOOP;
    END$$
    SQL
sql('SELECT count(*) FROM pgqueue.queue_status');
ok(wait_until(sub { ($used) = pages(); return $used < $capacity * 0.82; }, 20),
    "T2: pages are still left for others ($used of $capacity are used)");
$id = sql(q{SELECT pgqueue.create_task('m', command => 'SELECT 1', delay => '100 ms', namespace => 'modest')});
ok(wait_for($node, $db, "SELECT status FROM pgqueue.task WHERE id = $id", 'released', 20), 'and another goes on');
check_invariants($node, $db, 'afterwards');
$node->stop;
done_testing();
