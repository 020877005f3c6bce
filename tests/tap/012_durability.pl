# Tasks outlive their server: dump and restore into the same and into another cluster, a standby that is read and then
# promoted, roles that are renamed and dropped. A50, A43, K13, K16.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('primary', streaming => 1, conf => "log_statement = none\npgqueue.max_workers = 4");
sub sql { return $node->safe_psql('postgres', @_); }
my ($out, $err);
sub as { my ($role, $sql) = @_; return $node->safe_psql('postgres', $sql, extra_params => ['-U', $role]); }
sub settled
{
    my ($on, $db) = @_;
    return wait_for($on, $db, 'SELECT count(*) FROM pgqueue.task WHERE finished_at IS NULL', '0', 30);
}

my $roles = <<~'SQL';
    CREATE ROLE anna LOGIN IN ROLE pgqueue_user;
    CREATE ROLE berta LOGIN IN ROLE pgqueue_user;
    CREATE ROLE carla NOLOGIN IN ROLE pgqueue_user
    SQL
sql("$roles; GRANT carla TO berta");
sql(<<~'SQL');
    SELECT pgqueue.create_namespace('shop', weight => 7, description => 'of anna'),
        pgqueue.update_namespace('shop', owner => 'anna'), pgqueue.grant_namespace('default', 'use,read', 'anna'),
        pgqueue.grant_namespace('default', 'use,read', 'berta'),
        pgqueue.grant_namespace('default', 'use,read', 'carla'), pgqueue.grant_namespace('shop', 'manage', 'berta'),
        pgqueue.create_queue('done', retries => 0), pgqueue.create_queue('mail', priority => 7, retention => '3 days'),
        pgqueue.create_queue('held', retries => 5, retry_delay => '1 hour'),
        pgqueue.create_queue('stock', namespace => 'shop', max_running => 3)
    SQL

# A role is renamed: its tasks follow. A role is dropped: its tasks are held, the others run, and the processes live on.
my $scheduler = pid_of($node, 'pgqueue scheduler');
sql("SELECT pgqueue.pause_queue('held')");
my $whose = q{SELECT pgqueue.create_task('held', command => 'SELECT current_user AS who')};
my ($by_anna, $by_berta, $by_carla) = (as('anna', $whose), as('berta', $whose), as('berta', "SET ROLE carla; $whose"));
sql('ALTER ROLE anna RENAME TO anna2');
sql('DROP OWNED BY carla');
sql('DROP ROLE carla');
sql("SELECT pgqueue.resume_queue('held')");
ok(wait_for($node, 'postgres', 'SELECT count(*) FROM pgqueue.task WHERE finished_at IS NULL', '1', 30),
    'roles: all tasks end but one');
is(sql(<<~"SQL"), 'released anna2 anna2, released berta berta', 'ALTER ROLE RENAME: tasks run as the renamed role');
    SELECT string_agg(status || ' ' || role || ' ' || (result->'first'->>'who'), ', ' ORDER BY id)
    FROM pgqueue.task
    WHERE id IN ($by_anna, $by_berta)
    SQL
is(sql(<<~'SQL'), "$by_carla|new|carla|role_missing", 'L1: DROP ROLE: its tasks are held and say why');
    SELECT t.id, t.status, t.role, w.reason FROM pgqueue.task t, pgqueue.why(t.id) w WHERE finished_at IS NULL
    SQL
like(sql("SELECT message FROM pgqueue.health WHERE problem = 'role_missing'"),
    qr/^1 ready task waits for role "carla", which does not exist/, 'L1: health says so');
sql(sql("SELECT hint FROM pgqueue.health WHERE problem = 'role_missing'"));
is(sql("SELECT status FROM pgqueue.task WHERE id = $by_carla"), 'cancelled', 'L1: and its hint cancels them');
is(pid_of($node, 'pgqueue scheduler'), $scheduler, 'DROP ROLE: the scheduler lives on');
is(sql(q{SELECT owner FROM pgqueue.namespace WHERE namespace = 'shop'})
    . sql(q{SELECT string_agg(role, ',' ORDER BY role) FROM pgqueue.namespace_grant}),
    'anna2anna2,anna2,berta,berta,berta', 'roles: names and grants follow');
my $late = as('berta', $whose);
wait_for($node, 'postgres', "SELECT status FROM pgqueue.task WHERE id = $late", 'released', 30);
is(as('anna2', $whose) > $late, 1, 'roles: and create further tasks');
ok(settled($node, 'postgres'), 'roles: which end');
ok(wait_for($node, 'postgres', <<~'SQL', 'anna2,berta', 20), 'roles: the dictionary knows the new name at once');
    SELECT string_agg(name, ',' ORDER BY name) FROM pgqueue_internal.role
    WHERE oid IN (SELECT oid FROM pg_roles WHERE rolname <> 'postgres')
    SQL
sql('ALTER ROLE anna2 RENAME TO anna');
ok(wait_for($node, 'postgres', <<~'SQL', 'anna,berta', 20), 'roles: and the old one again');
    SELECT string_agg(name, ',' ORDER BY name) FROM pgqueue_internal.role
    WHERE oid IN (SELECT oid FROM pg_roles WHERE rolname <> 'postgres')
    SQL

# Dump and restore: finished, failed, delayed, retrying and paused tasks of two roles.
sql(<<~'SQL');
    SELECT pgqueue.create_task('done', command => 'SELECT 42 AS a', payload => '{"b": [1, null]}',
        headers => '{"trace": "x"}', priority => 3)
    SQL
sql(q{SELECT pgqueue.create_task('done', command => 'SELECT 1/0')});
sql(<<~'SQL');
    SELECT pgqueue.create_task('held',
        command => $$SELECT current_user AS who, 1/(CASE current_database() WHEN 'postgres' THEN 0 ELSE 1 END)$$)
    SQL
wait_for($node, 'postgres', q{SELECT count(*) FROM pgqueue.task WHERE status = 'retry'}, '1', 30);
wait_for($node, 'postgres', q{SELECT count(*) FROM pgqueue.task WHERE queue = 'done' AND finished_at IS NOT NULL}, '2',
    30);
sql("SELECT pgqueue.pause_queue('held')");
as('anna', <<~'SQL');
    SELECT pgqueue.create_task('held', command => 'SELECT current_user AS who, ' || i) FROM generate_series(1, 200) i
    SQL
as('berta', <<~'SQL');
    SELECT pgqueue.create_task('held', command => 'SELECT current_user AS who, ' || i, delay => '1 hour')
    FROM generate_series(1, 20) i
    SQL
sql(q{SELECT pgqueue.create_task('mail', payload => '{"to": "x"}', type => 'mail')});
my $dump = $node->basedir . '/dump.sql';
ok(run_log(['pg_dump', '-d', $node->connstr('postgres'), '-f', $dump]), 'A50: pg_dump works');

# Everything that a user sees of tasks, attempts and configuration.
# Without the tasks of the housekeeper, which come and go.
my @content = (
    q{SELECT t FROM pgqueue.task t WHERE namespace <> 'pgqueue' ORDER BY id},
    q{SELECT a FROM pgqueue.task_attempt a WHERE namespace <> 'pgqueue' ORDER BY task_id, attempt},
    'SELECT q FROM pgqueue.queue q ORDER BY namespace, queue',
    'SELECT n FROM pgqueue.namespace n ORDER BY namespace',
    'SELECT namespace, role, privilege FROM pgqueue.namespace_grant ORDER BY 1, 2, 3',
    'SELECT s FROM pgqueue.queue_status s ORDER BY namespace, queue, status',
);
my @before = map { sql($_) } @content;

# Restores the dump into a database of a node. Returns after it has tested that the copy is whole, that it rests, and
# that it runs after its adoption.
sub restored
{
    my ($to, $db, $where) = @_;
    $to->safe_psql('postgres', "CREATE DATABASE $db TEMPLATE template0");
    ok(run_log(['psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-d', $to->connstr($db), '-f', $dump]),
        "A50: $where: the dump is restored without an error");
    ok(wait_for($to, $db, <<~'SQL', 'not_adopted', 20), "A50: $where: health says that it rests");
        SELECT string_agg(problem, ',') FROM pgqueue.health WHERE problem <> 'queue_paused'
        SQL
    is($to->safe_psql($db, $content[$_]), $before[$_], "A50: $where: the same: $content[$_]") for 0 .. $#content;
    is($to->safe_psql($db, <<~'SQL'), 'annatrue,bertatrue,postgrestrue', "A50: $where: roles are found by name");
        SELECT string_agg(DISTINCT r.name || (a.rolname = r.name)::text, ',')
        FROM pgqueue_internal.role r
        JOIN pg_authid a USING (oid)
        SQL
    $to->safe_psql($db, q{SELECT pgqueue.resume_queue('held')});
    my $new = $to->safe_psql($db, q{SELECT pgqueue.create_task('held', command => 'SELECT current_user AS who')});
    cmp_ok($new, '>', $to->safe_psql($db, "SELECT max(id) FROM pgqueue.task WHERE id <> $new"),
        "A50: $where: ids go on");
    is($to->safe_psql($db, q{SELECT count(*) FROM pgqueue.task WHERE status = 'new' AND queue = 'held'}) . '|'
        . scalar(() = pids_of($to, 'pgqueue worker', $db)), '221|0', "A50: $where: nothing runs");
    $to->safe_psql($db, 'SELECT pgqueue.adopt()');
    ok(wait_for($to, $db, <<~'SQL', '0', 30), "A50: $where: adopt() starts what is due");
        SELECT count(*) FROM pgqueue.task
        WHERE queue = 'held' AND finished_at IS NULL AND (delayed_at IS NULL OR delayed_at < now())
        SQL
    $to->safe_psql($db,
        q{SELECT pgqueue.retry_task(id) FROM pgqueue.task WHERE queue = 'held' AND finished_at IS NULL});
    ok(wait_for($to, $db, q{SELECT count(*) FROM pgqueue.task WHERE queue = 'held' AND finished_at IS NULL}, '0', 30),
        "A50: $where: and what is called for");
    is($to->safe_psql($db, <<~'SQL'),
        SELECT string_agg(concat_ws(' ', role, status, who, n), ', ' ORDER BY role, status)
        FROM (
            SELECT role, status, result->'first'->>'who' AS who, count(*) AS n
            FROM pgqueue.task
            WHERE queue = 'held'
            GROUP BY 1, 2, 3
        ) s
        WHERE status = 'released'
        SQL
        'anna released anna 200, anna released anna2 2, berta released berta 22, postgres released postgres 2',
        "A50: $where: each as its creator");
    # What the last turn of the scheduler saw is in health until its next turn, 0.1 s later.
    ok(wait_for($to, $db, <<~'SQL', '', 20), "A50: $where: health is good");
        SELECT string_agg(problem || ': ' || message, '; ') FROM pgqueue.health
        SQL
    return;
}

restored($node, 'again', 'same cluster');
my $other = new_node('other', extension => 0, conf => "log_statement = none\npgqueue.max_workers = 4");
$other->safe_psql('postgres', <<~'SQL');
    CREATE ROLE x1;
    CREATE ROLE x2;
    CREATE ROLE berta LOGIN;
    CREATE ROLE x3;
    CREATE ROLE anna LOGIN;
    CREATE ROLE pgqueue_user;
    GRANT pgqueue_user TO anna, berta
    SQL
restored($other, 'there', 'another cluster');
is(join("\n", map { sql($_) } @content), join("\n", @before), 'A50: the original has not changed');
$other->stop;

# A standby: what it shows, what it refuses.
sql("SELECT pgqueue.resume_queue('held')");
ok(wait_for($node, 'postgres', <<~'SQL', '0', 30), 'the original runs its tasks');
    SELECT count(*) FROM pgqueue.task WHERE queue = 'held' AND status = 'new' AND delayed_at IS NULL
    SQL
$node->backup('base');
my $standby = PgQueue::Node->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
sql(q{CREATE TABLE effect (id bigint PRIMARY KEY); SELECT pgqueue.create_queue('load', retries => 0)});
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
my @now = map { sql($_) } @content;
is($standby->safe_psql('postgres', $content[$_]), $now[$_], "standby: the same: $content[$_]") for 0 .. $#content;
for my $view (split(/\n/, sql(<<~'SQL')))
    SELECT relname FROM pg_class WHERE relnamespace = 'pgqueue'::regnamespace AND relkind = 'v' ORDER BY 1
    SQL
{
    is($standby->psql('postgres', "TABLE pgqueue.$view", stdout => \$out, stderr => \$err), 0,
        "standby: view $view works") or diag($err);
}
is($standby->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'pgqueue%'}), '0',
    'standby: none of our processes is there');
for my $call (
    q{SELECT pgqueue.create_task('q', command => 'SELECT 1')},
    q{SELECT pgqueue.create_tasks('load', commands => '{SELECT 1}')},
    q{SELECT pgqueue.create_queue('x')}, q{SELECT pgqueue.update_queue('load', priority => 1)},
    q{SELECT pgqueue.delete_queue('load')},
    q{SELECT pgqueue.pause_queue('load')}, q{SELECT pgqueue.create_namespace('x')},
    q{SELECT pgqueue.grant_namespace('shop', 'use', 'berta')},
    q{SELECT pgqueue.cancel_task(1)}, q{SELECT pgqueue.retry_task(1)}, q{SELECT pgqueue.run_task(1)},
    q{SELECT pgqueue.adopt()},
    q{SELECT * FROM pgqueue.next_task('w')}, q{SELECT pgqueue.release_task(1)}, q{SELECT pgqueue.fail_task(1)},
    q{SELECT pgqueue.extend_task(1)},
    q{SELECT pgqueue.ensure_workers()}, q{SELECT pgqueue.stop_workers()},
    q{INSERT INTO pgqueue.task (queue, command) VALUES ('load', 'SELECT 1')}, q{UPDATE pgqueue.task SET priority = 1},
        q{DELETE FROM pgqueue.queue})
{
    $standby->psql('postgres', "\\set VERBOSITY verbose\n$call", stderr => \$err);
    like($err, qr/ERROR:  25006: /, "standby: refused with 25006: $call");
}
is($standby->safe_psql('postgres', q{SELECT count(*) FROM pgqueue.get_queue('load')})
    . $standby->safe_psql('postgres', "SELECT status FROM pgqueue.get_task($late)"), '1released',
    'standby: get_ works');

# The primary dies in the middle of its work; the standby goes on.
sql(<<~'SQL');
    SELECT count(
        pgqueue.create_task('load',
            command => 'SELECT pg_sleep(0.01); INSERT INTO effect SELECT id FROM pgqueue.current_task()')
    )
    FROM generate_series(1, 300)
    SQL
ok(wait_for($node, 'postgres', <<~'SQL', 't', 30), 'promotion: the load is under way');
    SELECT count(*) >= 30 FROM pgqueue.task WHERE queue = 'load' AND status = 'released'
    SQL
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
$node->stop('immediate');
cmp_ok($standby->safe_psql('postgres', <<~'SQL'), '>', 0, 'promotion: the primary has left work behind');
    SELECT count(*) FROM pgqueue.task WHERE queue = 'load' AND finished_at IS NULL
    SQL
$standby->promote;
ok(wait_for($standby, 'postgres', <<~'SQL', '0', 30), 'promotion: all tasks end');
    SELECT count(*) FROM pgqueue.task WHERE queue = 'load' AND finished_at IS NULL
    SQL
is($standby->safe_psql('postgres', q{SELECT status, count(*) FROM pgqueue.task WHERE queue = 'load' GROUP BY 1}),
    'released|300', 'promotion: none is lost');
is($standby->safe_psql('postgres', <<~'SQL'), '0', 'promotion: each has its effect once');
    SELECT count(*) FROM pgqueue.task t
    FULL JOIN effect e USING (id)
    WHERE t.queue = 'load' AND e.id IS NULL OR t.id IS NULL
    SQL
# Until the scheduler's next look, health may still report that workers were short.
ok(wait_for($standby, 'postgres', q{SELECT string_agg(problem || ': ' || message, '; ') FROM pgqueue.health}, '', 10),
    'promotion: health is good, nothing has to be adopted');
ok(wait_for($standby, 'postgres', <<~'SQL', '0', 10), 'promotion: the counters equal the rows');
    SELECT count(*)
    FROM (SELECT status, count FROM pgqueue.queue_status WHERE queue = 'load' AND count <> 0) s
    FULL JOIN (SELECT status, count(*) FROM pgqueue.task WHERE queue = 'load' GROUP BY 1) t USING (status)
    WHERE s.count IS DISTINCT FROM t.count
    SQL
$standby->stop;
done_testing();
