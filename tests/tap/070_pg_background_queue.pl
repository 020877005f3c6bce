# Extension pg_background_queue: settings, topics, limits, retries, order (rows A01, A07, A13-A31, A46).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use BackgroundQueue;
use PgQueue;
use PostgreSQL::Test::Utils;
use Test::More;

my $db = 'postgres';
# How many tasks ran at once at most, from their own times.
my $most_at_once = <<~'SQL';
    SELECT max(
        (
            SELECT count(*) FROM pg_background_tasks o
            WHERE o.topic IS NOT DISTINCT FROM t.topic AND o.started_at <= t.started_at AND o.closed_at > t.started_at
        )
    )
    FROM pg_background_tasks t
    WHERE
    SQL

# Not preloaded: the extension is there, each way in says what is missing, nothing starts, nothing is lost.
my $bare = new_node('bare', preload => 0);
$bare->safe_psql($db, 'CREATE EXTENSION pg_background_queue CASCADE');
for my $sql ("SELECT pg_background_queue_enqueue('SELECT 1')", "SELECT pg_background_enqueue('SELECT 1')",
    'SELECT pg_background_queue_ensure_workers()', 'SELECT pg_background_queue_active_workers_count()',
    'SELECT pg_background_queue_calibrate_workers_count()', "SELECT pg_background_queue_purge('0')",
    "INSERT INTO pg_background_tasks (sql_statement) VALUES ('SELECT 1')")
{
    my ($out, $err);
    $bare->psql($db, $sql, stdout => \$out, stderr => \$err);
    like($err, qr/ERROR:.*not preloaded.*HINT:.*shared_preload_libraries/s, "A01: not preloaded: $sql");
}
is($bare->safe_psql($db, "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'pg%queue%'"), '0',
    'A01: no process of ours');
is($bare->safe_psql($db, 'SELECT count(*) FROM pg_background_tasks'), '0', 'A01: the relation can be read');
$bare->append_conf('postgresql.conf', "shared_preload_libraries = 'pgqueue'");
$bare->restart;
is($bare->safe_psql($db, <<~'SQL'), '8', 'A16: half of max_worker_processes');
    SELECT boot_val FROM pg_settings WHERE name = 'pg_background_queue.max_parallel_running_tasks_count'
    SQL
my $first = enqueue($bare, $db, 'SELECT 1');
ok(wait_state($bare, $db, $first, 'finished', 20), 'A01: preloaded it works');
$bare->stop;

my $node = new_node('topics', conf => "pg_background_queue.max_parallel_running_tasks_count = 4");
$node->safe_psql($db, <<~'SQL');
    CREATE EXTENSION pg_background_queue;
    CREATE TABLE t (a integer);
    CREATE SEQUENCE tries;
    CREATE TABLE gate (name text)
    SQL

# A broken topic_config is refused when it is set.
my %broken = (
    '{"x": }' => 'not valid JSON', '[]' => 'must be a JSON object', '{"x": 1}' => 'Topic "x" must be a JSON object',
    '{"x": {"priority": 5.5}}' => 'must be an integer',
    '{"x": {"priority": true}}' => 'must be an integer', '{"x": {"priority": "high"}}' => 'must be an integer',
    '{"x": {"retry_count": -2}}' => 'must not be negative',
    '{"x": {"retry_count": 99999999999}}' => 'out of range', '{"x": {"retries": 1}}' => 'unknown key "retries"',
    '{"x": {}, "x": {}}' => 'is there twice',
    '{"y": {"priority": 1}, "x": {"priority": 1, "retry_count": 1, "priority": 2}}' =>
      '"priority" of topic "x" is there twice',
    '{"x": {"priority": "5\\u0000"}}' => 'must be an integer',
    '{"x": {}} {}' => 'not valid JSON', '{"x": {"priority": [1]}}' => 'must be an integer',
    '{"x": {"priority": {}}}' => 'must be an integer', '"x"' => 'must be a JSON object',
    '{"x": {"priority": 1}' => 'not valid JSON');
for my $json (sort keys %broken)
{
    my ($out, $err);
    $node->psql($db, "\\set VERBOSITY verbose\nALTER SYSTEM SET pg_background_queue.topic_config = '$json'",
        stdout => \$out, stderr => \$err);
    like($err, qr/ERROR:  22023:.*DETAIL:.*\Q$broken{$json}\E.*HINT:/s, "A20: refused: $json");
}
for my $json ('', '  ', '{}', '{"x": {}}', '{"x": {"priority": "7", "retry_count": null, "delay_in_sec": -1}}',
    '{"späte \"Berichte\"": {"priority": -5}}', '{"a\u0000b": {"priority": 1}}')
{
    is($node->psql($db, "ALTER SYSTEM SET pg_background_queue.topic_config = '$json'"), 0, "A20: taken: $json");
}

# Topics override settings, what they leave out is the global one.
settings($node, $db, retry_count => 1,
    topic_config =>
      '{"hi": {"priority": 10, "retry_count": 0}, "p": {"priority": 50}, "Grüße an alle": {"priority": 7}}');
my %ids = map { $_ => enqueue($node, $db, 'SELECT 1/0', $_) } ('hi', 'p', 'nosuch', 'Grüße an alle');
is(task_row($node, $db, $ids{hi}, 'priority'), '10', 'A21: priority of the topic');
is(task_row($node, $db, $ids{$_->[0]}, 'priority'), $_->[1], "A22, A23: priority of $_->[0]")
    for [ p => 50 ], [ nosuch => 100 ], [ 'Grüße an alle' => 7 ];
ok(wait_state($node, $db, $ids{$_}, 'failed', 30), "A22: a task of $_ fails in the end") for sort keys %ids;
is(task_row($node, $db, $ids{$_->[0]}, 'retry_count'), $_->[1], "A22, A24: retries of $_->[0]")
    for [ hi => 0 ], [ p => 1 ], [ nosuch => 1 ], [ 'Grüße an alle' => 1 ];
is(task_row($node, $db, $ids{'Grüße an alle'}, 'topic'), 'Grüße an alle', 'A23: a topic is free text');

# "Retry really waits": 2 and 4 seconds, three attempts.
settings($node, $db, retry_count => 2, topic_config => undef);
my $failing = enqueue($node, $db, q{SELECT nextval('tries'); SELECT 1/0});
ok(wait_state($node, $db, $failing, 'retrying', 10), 'A13: after the first failure');
is(task_row($node, $db, $failing, 'retry_count, retry_delay_in_sec, errors, closed_at IS NULL'),
    '1|2|division by zero|t', 'A13: retrying, 1, 2 seconds, errors set, not closed');
ok(wait_for($node, $db, "SELECT retry_count FROM pg_background_tasks WHERE id = $failing", '2', 10),
    'A13: after the second');
is(task_row($node, $db, $failing, 'state, retry_delay_in_sec'), 'retrying|4', 'A13: it waits 4 seconds');
ok(wait_state($node, $db, $failing, 'failed', 10), 'A15: then it has failed');
is(task_row($node, $db, $failing,
        q{retry_count, closed_at - joined_at BETWEEN interval '6 s' AND interval '60 s', errors}),
    '2|t|division by zero', 'A14: it really waited 2 + 4 seconds');
is($node->safe_psql($db, 'SELECT last_value FROM tries'), '3', 'A15: two retries are three attempts');

# Delay: before each task, and between starts.
settings($node, $db, retry_count => 0, topic_config => '{"slow": {"delay_in_sec": 2}}');
my @slow = map { enqueue($node, $db, 'SELECT 1', 'slow') } 1 .. 2;
my $fast = enqueue($node, $db, 'SELECT 1', 'other');
ok(wait_state($node, $db, $slow[1], 'finished', 20), 'A25: both tasks of the topic end');
is(task_row($node, $db, $fast, "closed_at < (SELECT min(started_at) FROM pg_background_tasks WHERE topic = 'slow')"),
    't', 'A25: other topics do not wait');
is($node->safe_psql($db, <<~'SQL'), 't|t', 'A25: each starts 2 s after it was enqueued at the earliest, and 2 s apart');
    SELECT min(started_at - joined_at) >= '2 s', max(started_at) - min(started_at) >= '1.99 s'
    FROM pg_background_tasks
    WHERE topic = 'slow'
    SQL
settings($node, $db, delay_in_sec => 1, topic_config => undef);
my $delayed = enqueue($node, $db, 'SELECT 1');
ok(wait_state($node, $db, $delayed, 'finished', 20), 'A18: the global delay');
is(task_row($node, $db, $delayed, q{started_at - joined_at >= '1 s'}), 't', 'A18: holds for all others');
settings($node, $db, delay_in_sec => 0);

# "Topic limit": one of the topic at a time, though four may run.
settings($node, $db, topic_config => '{"one": {"max_parallel_running_tasks_count": 1}}');
my @one = map { enqueue($node, $db, 'SELECT pg_sleep(1)', 'one') } 1 .. 3;
my @free = map { enqueue($node, $db, gated('free'), 'free') } 1 .. 3;
my $in_state = q{SELECT count(*) FROM pg_background_tasks WHERE topic IN ('one', 'free') AND state = };
ok(wait_for($node, $db, $in_state . q{'running' AND topic = 'free'}, '3', 30), 'A26: others are not held back by it');
$node->safe_psql($db, q{INSERT INTO gate VALUES ('free')});
ok(wait_for($node, $db, $in_state . q{'finished'}, '6', 30), 'A26: all end');
is($node->safe_psql($db, $most_at_once . "topic = 'one'"), '1', 'A26: never more than one of the topic');
is($node->safe_psql($db, <<~'SQL'), 't', 'A26: so three take three seconds');
    SELECT max(closed_at) - min(joined_at) >= '3 s' FROM pg_background_tasks WHERE topic = 'one'
    SQL

# Settings act on reload, in workers that run and on tasks that wait.
settings($node, $db, max_parallel_running_tasks_count => 1, retry_count => 0, topic_config => undef);
my $long = enqueue($node, $db, gated('long'));
ok(wait_state($node, $db, $long, 'running', 10), 'A27: a long task runs');
my $after = enqueue($node, $db, q{SELECT 1/0}, 'changing');
my @waiting = map { enqueue($node, $db, 'SELECT pg_sleep(0.3)', 'new') } 1 .. 3;
$node->safe_psql($db, <<~'SQL');
    INSERT INTO pg_background_tasks (sql_statement, topic, joined_at)
    SELECT 'SELECT 1', 'many', now() + interval '1 day'
    FROM generate_series(1, 4500)
    SQL
settings($node, $db, retry_count => 1, topic_config => '{"new": {"max_parallel_running_tasks_count": 1}, "many": {}}');
is($node->safe_psql($db, "SELECT count(*) FROM pgqueue.task WHERE queue = 'new'"), '3',
    'A27: tasks that wait follow their topic into its queue');
ok(wait_for($node, $db, "SELECT count(*) FROM pgqueue.task WHERE queue = 'many'", '4500', 30),
    'A27: all of them, also when they are more than the scheduler moves in one turn');
$node->safe_psql($db, q{DELETE FROM pg_background_tasks WHERE topic = 'many'});
settings($node, $db, max_parallel_running_tasks_count => 4);
$node->safe_psql($db, q{INSERT INTO gate VALUES ('long')});
ok(wait_state($node, $db, $after, 'retrying', 10), 'A27: a task enqueued before has the new number of retries');
ok(wait_for($node, $db, "SELECT count(*) FROM pg_background_tasks WHERE topic = 'new' AND state = 'finished'", '3', 20),
    'A27: the ones that moved end');
is($node->safe_psql($db, $most_at_once . "topic = 'new'"), '1', 'A27: under their new limit');
$node->safe_psql($db, 'ALTER SYSTEM SET pgqueue.max_workers = 1; SELECT pg_reload_conf()');
ok(wait_for($node, $db, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pgqueue worker'}, '1', 20),
    'A27: one worker is left');
settings($node, $db, retry_count => 0, topic_config => undef);
$long = enqueue($node, $db, gated('busy'));
ok(wait_state($node, $db, $long, 'running', 10), 'A27: one worker is busy');
my $same = enqueue($node, $db, q{DO $$BEGIN PERFORM dblink FROM missing; END$$}, 'same');
my $pid = $node->safe_psql($db, "SELECT pid FROM pgqueue.worker WHERE task_id = $long");
settings($node, $db, retry_count => 3);
$node->safe_psql($db, q{INSERT INTO gate VALUES ('busy')});
ok(wait_state($node, $db, $same, 'retrying', 10), 'A27: the next failing task obeys the change');
is($node->safe_psql($db, "SELECT pid FROM pgqueue.task_attempt WHERE task_id = $same AND attempt = 1"), $pid,
    'A27: in the same worker');
$node->safe_psql($db, "UPDATE pg_background_tasks SET state = 'failed' WHERE state = 'retrying'");
is(task_row($node, $db, $same, 'state'), 'failed', 'A27: a retrying task can be cancelled');

# A row that a session has locked is left for later: the scheduler waits for nobody.
my $holder = session($node, $db);
$holder->query('BEGIN');
$holder->query(q{SELECT pgqueue.update_queue('default', description => 'mine', namespace => 'pg_background_queue')});
$node->safe_psql($db, q{ALTER SYSTEM SET pg_background_queue.retry_count = 7});
$node->safe_psql($db, q{ALTER SYSTEM SET pg_background_queue.topic_config = '{"free now": {"retry_count": 6}}'});
$node->safe_psql($db, 'SELECT pg_reload_conf()');
my $retries = <<~'SQL';
    SELECT string_agg(retries::text, ' ' ORDER BY queue) FROM pgqueue.queue
    WHERE namespace = 'pg_background_queue' AND (queue = 'default' OR description LIKE '%free now%')
    SQL
ok(wait_for($node, $db, $retries, '3 6', 10), 'A27: what nobody holds follows, what a session holds does not');
my $meanwhile = enqueue($node, $db, 'SELECT 1');
ok(wait_state($node, $db, $meanwhile, 'finished', 10), 'A27: meanwhile tasks run');
$holder->query('ROLLBACK');
ok(wait_for($node, $db, $retries, '7 6', 10), 'A27: it follows when it is free');
$holder->close;

# Order: priority, then age.
settings($node, $db, retry_count => 0, max_parallel_running_tasks_count => 1,
    topic_config => '{"urgent": {"priority": 1}, "late": {"priority": 200}}');
$long = enqueue($node, $db, gated('order'));
ok(wait_state($node, $db, $long, 'running', 10), 'A28: the one worker is busy');
my @order = map { enqueue($node, $db, 'SELECT 1', $_) } qw(late common1 common2 urgent);
$node->safe_psql($db, q{INSERT INTO gate VALUES ('order')});
my $of_order = 'FROM pg_background_tasks WHERE id IN (' . join(',', @order) . ')';
ok(wait_for($node, $db, "SELECT count(*) $of_order AND state = 'finished'", '4', 20), 'A28: all end');
is($node->safe_psql($db, "SELECT string_agg(topic, ' ' ORDER BY started_at) $of_order"), 'urgent common1 common2 late',
    'A28: smaller priority first, then the older one');

$node->safe_psql($db, 'ALTER SYSTEM RESET pgqueue.max_workers; SELECT pg_reload_conf()');

# The limit is exact, also with many sessions that enqueue.
settings($node, $db, max_parallel_running_tasks_count => 3, topic_config => undef);
my $script = PostgreSQL::Test::Utils::tempdir() . '/enqueue.sql';
append_to_file($script, "SELECT pg_background_queue_enqueue('SELECT pg_sleep(0.2)', 'bench');\n");
my $sampler = session($node, $db);
$sampler->send(q{CREATE TABLE sampled AS WITH RECURSIVE s AS (SELECT 0 AS n, 0::bigint AS running) SELECT * FROM s});
$sampler->send(<<~'SQL');
    DO $$DECLARE
        running integer;
    BEGIN
        FOR i IN 1..100000 LOOP
            SELECT count(*) INTO running FROM pg_background_tasks WHERE state = 'running';
            INSERT INTO sampled VALUES (i, running);
            COMMIT;
            EXIT WHEN i > 10 AND running = 0
                AND (SELECT count(*) FROM pg_background_tasks WHERE topic = 'bench' AND state = 'finished') = 40;
        END LOOP;
    END$$
    SQL
$node->command_ok([ 'pgbench', '-n', '-c', '8', '-t', '5', '-f', $script, $node->connstr($db) ],
    'A29: 8 clients enqueue 40 tasks');
ok(wait_for($node, $db, <<~'SQL', '40', 60), 'A29: all end');
    SELECT count(*) FROM pg_background_tasks WHERE topic = 'bench' AND state = 'finished'
    SQL
is($sampler->query('SELECT max(running) FROM sampled'), '3',
    'A29: never more than the limit was seen running, and the limit was used');
is($node->safe_psql($db, $most_at_once . "topic = 'bench'"), '3', 'A29: nor do their times tell of more');
$sampler->close;

# Any number can wait.
settings($node, $db, max_parallel_running_tasks_count => 4);
$node->safe_psql($db, q{SELECT count(pg_background_queue_enqueue('SELECT 1', 'many')) FROM generate_series(1, 10000)});
ok(wait_for($node, $db, <<~'SQL', '10000', 60), 'A30: ten thousand are all finished');
    SELECT count(*) FROM pg_background_tasks WHERE topic = 'many' AND state = 'finished'
    SQL

# A restart starts what waits, without a session.
$node->safe_psql($db, 'ALTER SYSTEM SET pgqueue.enabled = off; SELECT pg_reload_conf()');
my $sign = PostgreSQL::Test::Utils::tempdir() . '/sign';
ok(wait_for($node, $db, <<~'SQL', '0', 30), 'A46: nothing runs');
    SELECT count(*) FROM pg_stat_activity WHERE backend_type IN ('pgqueue worker', 'pgqueue scheduler')
    SQL
enqueue($node, $db, "COPY (SELECT 'here') TO '$sign'");
$node->safe_psql($db, 'ALTER SYSTEM RESET pgqueue.enabled');
$node->restart;
ok(wait_until(sub { -s $sign }, 30), 'A46: after the restart the task ran before anybody connected');
# Two producers of a topic that has no queue yet: the second one waits for the first and then has the queue.
settings($node, $db, topic_config => '{"new one": {"priority": 3}, "made-late": {"priority": 4}}');
ok(wait_for($node, $db, q{SELECT count(*) FROM pgqueue.queue WHERE queue = 'made-late'}, '1', 10),
    'a topic has its queue');
$node->safe_psql($db, q{SELECT pgqueue.delete_queue('made-late', namespace => 'pg_background_queue', force => true)});
my @producers = map { session($node, $db) } 1, 2;
$producers[1]->query(<<~'SQL');
    SELECT pg_background_queue_enqueue('SELECT 1', topic) FROM unnest(ARRAY['new one', 'other', 'new one']) topic
    SQL
$producers[0]->query('BEGIN');
$producers[0]->query(q{SELECT pg_background_queue_enqueue('SELECT 1', 'made-late')});
$producers[1]->send(q{SELECT pg_background_queue_enqueue('SELECT ''second''', 'made-late');});
ok(wait_for($node, $db, <<~'SQL', '1', 10), 'the second producer waits');
    SELECT count(*) FROM pg_stat_activity
    WHERE wait_event_type = 'Lock' AND query LIKE '%second%' AND pid <> pg_backend_pid()
    SQL
$producers[0]->query('COMMIT');
ok(wait_for($node, $db, q{SELECT count(*) FROM pg_background_tasks WHERE sql_statement LIKE '%second%'}, '1', 10),
    'and has enqueued then');
$_->close for @producers;

$node->stop;

# "Worker slots exhausted": the limit is far above what the server has.
my $small = new_node('small',
    conf => "max_worker_processes = 8\nmax_connections = 30\n"
    . 'pg_background_queue.max_parallel_running_tasks_count = 50');
$small->safe_psql($db, 'CREATE EXTENSION pg_background_queue');
my $log = -s $small->logfile;
my ($out, $err);
$small->psql($db, q{SELECT count(pg_background_queue_enqueue('SELECT pg_sleep(0.5)')) FROM generate_series(1, 12)},
    stdout => \$out, stderr => \$err);
is("$out$err", '12', 'A31: twelve are enqueued, and nobody is told of anything');
ok(wait_for($small, $db, "SELECT count(*) FROM pg_background_tasks WHERE state = 'finished'", '12', 60),
    'A31: all end, without help');
is($small->safe_psql($db, $most_at_once . 'true') > 4, 1, 'A31: the limit above half of the processes was used');
unlike(substr(slurp_file($small->logfile), $log), qr/(?:WARNING|ERROR|FATAL):/, 'A31: nothing in the log');
$small->stop;
done_testing();
