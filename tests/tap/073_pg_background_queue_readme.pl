# The statements that users of the original know, in the order of its two descriptions, and pg_cron beside pgqueue (rows
# A44, A45).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use BackgroundQueue;
use PgQueue;
use Test::More;

my $db = 'postgres';
my $node = new_node('readme', start => 0, preload => 0);
# Settings of the original's descriptions. The server takes no newline in a value of its file, so the JSON becomes one
# line.
my $topics = <<~'JSON' =~ s/\s+/ /gr;
    {
        "critical": { "max_parallel_running_tasks_count": 10, "retry_count": 5, "delay_in_sec": 0, "priority": 1 },
        "maintenance": { "max_parallel_running_tasks_count": 2, "retry_count": 1, "delay_in_sec": 5, "priority": 100 },
        "reporting": { "max_parallel_running_tasks_count": 3, "retry_count": 2, "delay_in_sec": 2, "priority": 50 }
    }
    JSON
$node->append_conf('postgresql.conf',
    qq{
shared_preload_libraries = 'pgqueue,pg_cron'
max_worker_processes = 16
pg_background_queue.max_parallel_running_tasks_count = 4
pg_background_queue.retry_count = 3
pg_background_queue.delay_in_sec = 1
pg_background_queue.topic_config = '$topics'
cron.use_background_workers = on
cron.database_name = 'postgres'
});
$node->start;

# Runs a statement and compares what it gives, when that is given.
sub statement
{
    my ($sql, $expected) = @_;
    my ($out, $err);
    my $rc = $node->psql($db, $sql, stdout => \$out, stderr => \$err);
    (my $short = $sql) =~ s/\s+/ /g;
    is("$rc$err", '0', $short);
    is($out, $expected, "gives that: $short") if defined $expected;
    return $out;
}

$node->safe_psql($db, 'CREATE TABLE logs (message text); CREATE TABLE users (id integer)');
$node->safe_psql($db, "CREATE FUNCTION $_() RETURNS void LANGUAGE sql AS 'INSERT INTO logs VALUES (''$_'')'")
    for qw(critical_operation cleanup_old_data);

for my $variant ('pg_background_queue_enqueue', 'pg_background_enqueue')
{
    $node->safe_psql($db, 'TRUNCATE logs');
    # Enable.
    is($node->psql($db, 'CREATE EXTENSION pg_background_queue CASCADE'), 0,
        'CREATE EXTENSION pg_background_queue CASCADE');
    like(statement('SHOW config_file'), qr/postgresql\.conf$/, 'the place of the configuration');
    statement(q{SELECT extname FROM pg_extension WHERE extname = 'pg_background_queue'}, 'pg_background_queue');
    # Basic use. Both tasks wait until they were looked at, however long that takes.
    $node->safe_psql($db, q{SELECT pgqueue.update_namespace('pg_background_queue', paused => true)});
    my $sleep = statement("SELECT $variant('SELECT pg_sleep(10)')");
    my $logging = statement(<<~"SQL");
        SELECT $variant(
            'INSERT INTO logs (message) VALUES (''Background task completed'')',
            'logging'
        )
        SQL
    like(statement(<<~'SQL'), qr/^$logging\|pending\|INSERT INTO logs.*\n$sleep\|pending\|SELECT pg_sleep\(10\)\|/,
        SELECT id, state, sql_statement, joined_at, started_at, closed_at, errors
        FROM pg_background_tasks
        ORDER BY id DESC
        LIMIT 10
        SQL
        'both wait');
    statement(q{SELECT COUNT(*) FROM pg_background_tasks WHERE state = 'pending'}, '2');
    $node->safe_psql($db, q{SELECT pgqueue.update_namespace('pg_background_queue', paused => false)});
    ok(wait_state($node, $db, $sleep, 'running', 10), 'the first one runs');
    statement(q{SELECT COUNT(*) FROM pg_background_tasks WHERE state = 'running'}, '1');
    # Priorities.
    my $critical = statement("SELECT $variant('SELECT critical_operation()', 'critical')");
    my $maintenance = statement("SELECT $variant('SELECT cleanup_old_data()', 'maintenance')");
    is(task_row($node, $db, $critical, 'priority'), '1', 'critical comes first');
    # Workers.
    like(statement('SELECT pg_background_queue_active_workers_count()'), qr/^[1-4]$/, 'some work');
    statement('SELECT pg_background_queue_ensure_workers()', '');
    like(statement('SELECT pg_background_queue_calibrate_workers_count()'), qr/^[1-4]$/, 'as many or more are there');
    # Settings.
    statement('SELECT pg_reload_conf()', 't');
    # Maintenance.
    my $vacuum = statement("SELECT $variant('VACUUM ANALYZE users', 'maintenance')");
    my $retried = statement("SELECT $variant('SELECT 1/0', 'maintenance')");
    ok(wait_for($node, $db, <<~"SQL", '5', 60), 'all of them end');
        SELECT count(*) FROM pg_background_tasks
        WHERE id IN ($sleep, $logging, $critical, $maintenance, $vacuum) AND state = 'finished'
        SQL
    is($node->safe_psql($db, q{SELECT string_agg(message, ', ' ORDER BY message) FROM logs}),
        'Background task completed, cleanup_old_data, critical_operation', 'and did what they should');
    ok(wait_state($node, $db, $retried, 'failed', 60), 'a failing one fails');
    is(task_row($node, $db, $retried, 'retry_count, errors'), '1|division by zero', 'after its retries');
    # Statistics.
    statement(<<~'SQL', "failed|1\nfinished|5");
        SELECT state, COUNT(*) as count
        FROM pg_background_tasks
        GROUP BY state ORDER BY state
        SQL
    like(statement(<<~'SQL'), qr/^$retried\|SELECT 1\/0\|division by zero\|/, 'A45: recent failures');
        SELECT id, sql_statement, errors, closed_at
        FROM pg_background_tasks
        WHERE state = 'failed'
        ORDER BY closed_at DESC
        LIMIT 10
        SQL
    my $statistics = <<~'SQL';
        SELECT
            topic,
            COUNT(*) as total_tasks,
            AVG(EXTRACT(EPOCH FROM (closed_at - started_at))) as avg_duration_seconds
        FROM pg_background_tasks
        WHERE state = 'finished' AND started_at IS NOT NULL
        GROUP BY topic
        SQL
    statement($statistics);
    is($node->safe_psql($db, <<~"SQL"), 'critical 1 t, logging 1 t, maintenance 2 t, 1 f',
        SELECT string_agg(concat_ws(' ', topic, total_tasks, avg_duration_seconds < 1), ', ' ORDER BY topic)
        FROM ($statistics) s
        SQL
        'A45: the average leaves out the delay before the start');

    # pg_cron.
    statement('CREATE EXTENSION IF NOT EXISTS pg_cron') if $variant eq 'pg_background_queue_enqueue';
    like(statement(<<~'SQL'), qr/^\d+$/, 'A44: scheduled');
        SELECT cron.schedule(
            'pg_background_queue_ensure_workers',
            '* * * * *',
            'SELECT pg_background_queue_ensure_workers();'
        )
        SQL
    statement(<<~'SQL');
        SELECT cron.schedule(
            'pg_background_queue_calibrate',
            '*/5 * * * *',
            'SELECT pg_background_queue_calibrate_workers_count();'
        )
        SQL
    if ($variant eq 'pg_background_enqueue')
    {
        # Every minute, so that one of each is seen to run.
        statement(<<~'SQL');
            SELECT cron.schedule('pg_background_queue_calibrate', '* * * * *',
                'SELECT pg_background_queue_calibrate_workers_count();')
            SQL
        ok(wait_for($node, $db, <<~'SQL',
            SELECT string_agg(DISTINCT j.jobname || ' ' || d.status, ', ')
            FROM cron.job j
            JOIN cron.job_run_details d USING (jobid)
            WHERE d.status <> 'running' AND d.status <> 'starting'
            SQL
                'pg_background_queue_calibrate succeeded, pg_background_queue_ensure_workers succeeded', 130),
            'A44: pg_cron has run both');
    }
    is($node->safe_psql($db, q{SELECT count(*) FROM cron.job WHERE jobname LIKE 'pg_background_queue%'}), '2',
        'A44: both are listed');
    statement(q{SELECT * FROM cron.job WHERE jobname LIKE 'pg_background_queue%'});
    statement(q{SELECT cron.unschedule('pg_background_queue_ensure_workers')}, 't');
    statement(q{SELECT cron.unschedule('pg_background_queue_calibrate')}, 't');
    statement('DELETE FROM pg_background_tasks');
    statement('DROP EXTENSION pg_background_queue');
}
$node->stop;
done_testing();
