# Two roles with three namespaces make as many short lists of ready tasks as they may. All of them together need more
# pages than the dispatcher has: what is not asked for goes to the spill file, and others do not notice (T2).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use Test::More;

my $node = new_node('lists', conf => "log_statement = none\nautovacuum = off\npgqueue.dispatch_memory = 4MB");
my $db = 'postgres';
sub sql { return $node->safe_psql($db, @_); }
sub used { my ($kind) = @_; return sql("SELECT used FROM pgqueue.memory WHERE kind = '$kind' AND namespace IS NULL"); }

sql(<<~'SQL');
    CREATE ROLE mallory;
    CREATE ROLE mallory2;
    GRANT pgqueue_user TO mallory, mallory2;
    SELECT pgqueue.create_namespace(n) FROM unnest('{mal,mal2,mal3,modest}'::text[]) n;
    SELECT pgqueue.update_namespace(n, owner => 'mallory', paused => true) FROM unnest('{mal,mal2}'::text[]) n;
    SELECT pgqueue.update_namespace('mal3', owner => 'mallory2', paused => true);
    SELECT pgqueue.grant_namespace(n, 'use', 'mallory2') FROM unnest('{mal,mal2}'::text[]) n;
    SELECT pgqueue.create_queue('m', namespace => 'modest'),
        pgqueue.create_queue('s', executor => 'server', namespace => 'modest');
    -- Queues of a namespace, and tasks of a role in each of them, until the parts are used up.
    CREATE PROCEDURE make_queues(ns text) LANGUAGE plpgsql AS $$BEGIN
        FOR i IN 1..512 LOOP
            PERFORM pgqueue.create_queue('q' || i, namespace => ns);
            COMMIT;
        END LOOP;
    END$$;
    CREATE PROCEDURE make_tasks(ns text) LANGUAGE plpgsql AS $$DECLARE q text; BEGIN
        FOR q IN SELECT queue FROM pgqueue.queue WHERE namespace = ns LOOP
            PERFORM pgqueue.create_task(q, command => 'SELECT 1', namespace => ns);
            COMMIT;
            PERFORM pgqueue.create_task(q, '1', namespace => ns);
            COMMIT;
            PERFORM pgqueue.create_task(q, command => 'SELECT 2', priority => 7, namespace => ns);
            COMMIT;
        END LOOP;
    END$$;
    SQL
sub as { my ($role, $statement) = @_; $node->psql($db, "SET ROLE $role;\n$statement"); return; }
as('mallory', "CALL make_queues('$_')") for 'mal', 'mal2';
as('mallory2', q{CALL make_queues('mal3')});
as(@$_)
  for ['mallory', q{CALL make_tasks('mal')}], ['mallory', q{CALL make_tasks('mal2')}],
  ['mallory2', q{CALL make_tasks('mal3')}], ['mallory2', q{CALL make_tasks('mal')}],
  ['mallory2', q{CALL make_tasks('mal2')}];

# A second and a third task in each list, when the first is in the file.
for (1, 2)
{
    as('mallory', "CALL make_tasks('$_')") for 'mal', 'mal2';
    as('mallory2', q{CALL make_tasks('mal3')});
}

# All lists together need more pages than there are.
my ($lists, $pages) = (used('priorities'), sql(q{SELECT capacity FROM pgqueue.memory WHERE kind = 'pages'}));
cmp_ok($lists, '>', 0.6 * $pages, "T2: $lists lists, $pages pages");
is(sql(q{SELECT count(*) FROM pgqueue.health WHERE problem = 'memory_full'}), '0', 'T2: the memory is not full');
my $lost = used('rebuilds');
for my $i (1 .. 5)
{
    my $task = sql(q{SELECT pgqueue.create_task('s', command => 'SELECT 1', namespace => 'modest')});
    ok(wait_for($node, $db, "SELECT status FROM pgqueue.task WHERE id = $task", 'released', 20),
        "T2: an SQL task of another namespace runs ($i)");
    is(sql(<<~'SQL'), 'released', 'T2: and one of an outside worker');
        DO $$BEGIN PERFORM pgqueue.create_task('m', '1', namespace => 'modest'); END$$;
        SELECT pgqueue.release_task(id, receipt) FROM pgqueue.next_task('w', 'm', namespace => 'modest')
        SQL
}
cmp_ok(sql(q{SELECT used FROM pgqueue.memory WHERE kind = 'spilled pages'}), '>', 100, 'T2: lists are in the file');
is(used('rebuilds'), $lost, 'T2: the rows were not read again');

# Since when the tasks of a list in the file wait is known.
ok(wait_for($node, $db, <<~'SQL', 't|t'), 'T2: view queue_stat knows since when tasks in the file wait');
    SELECT count(*) > 200, count(*) = count(oldest_ready_seconds)
    FROM pgqueue.queue_stat
    WHERE namespace = 'mal' AND blocked > 0
    SQL
is(sql(q{SELECT count(since) FROM pgqueue.health WHERE problem = 'namespace_paused'}), '3', 'T2: and so does health');

# A session that waits for a task in the file hears of it.
sql(q{SELECT pgqueue.update_namespace('mal2', paused => false)});
is(sql(<<~'SQL'), "t\nq1", 'T2: its task comes to a session that waits');
    CALL pgqueue.wait_for_task('{q1}', '30 s', 'mal2');
    SELECT queue FROM pgqueue.next_task('w', 'q1', namespace => 'mal2')
    SQL

# What is in the file comes back when somebody asks for it.
sql(q{SELECT pgqueue.update_namespace('mal', paused => false)});
ok(wait_for($node, $db, <<~'SQL', '0', 120), 'T2: when the namespace goes on, all of its commands run');
    SELECT count(*) FROM pgqueue.task WHERE namespace = 'mal' AND command IS NOT NULL AND status <> 'released'
    SQL
check_invariants($node, $db, 'in the end', 120);
$node->stop;
done_testing();
