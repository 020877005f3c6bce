# View queue_stat: what each change of a task's state adds, and what adds nothing (B35).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use Test::More;

my $node = new_node('statistics', conf => 'log_statement = none');
my $db = 'postgres';
sub sql { return $node->safe_psql($db, @_); }
# Columns of a queue, separated by |.
sub stat_is
{
    my ($queue, $columns, $expected, $what) = @_;
    my $query = "SELECT $columns FROM pgqueue.queue_stat WHERE queue = '$queue'";
    ok(wait_for($node, $db, $query, $expected), $what) or diag("$columns: " . sql($query));
    return;
}
my $totals = 'created_total, retained_total, released_total, failed_total, retried_total, expired_total, '
  . 'cancelled_total, rescued_total, dead_lettered_total';

sql(<<~'SQL');
    SELECT pgqueue.create_queue('q', retries => 1, retry_delay => '0'), pgqueue.create_queue('empty'),
        pgqueue.create_queue('dead'), pgqueue.create_queue('doomed', retries => 0, dead_letter => 'dead'),
        pgqueue.create_queue('gone', on_finish => 'delete'),
        pgqueue.create_queue('work', executor => 'server'), pgqueue.create_queue('lost', lease => '1 second'),
        pgqueue.create_queue('one', max_running => 1)
    SQL
stat_is('empty', $totals, '0|0|0|0|0|0|0|0|0', 'a queue without tasks has a row of zeros');
is(sql(q{SELECT wait_seconds_p50 IS NULL AND run_seconds_max IS NULL AND oldest_ready_seconds IS NULL AND bytes = 0
    FROM pgqueue.queue_stat WHERE queue = 'empty'}), 't', 'and no times');

# Each of these ends in its own transaction.
sql(q{SELECT pgqueue.create_tasks('q', array_fill('1'::jsonb, ARRAY[6]))});
stat_is('q', "$totals, ready, delayed, blocked, retained", '6|0|0|0|0|0|0|0|0|6|0|0|0', 'tasks are created');
is(sql(q{SELECT oldest_ready_seconds BETWEEN 0 AND 60 AND bytes BETWEEN 600 AND 6000
    FROM pgqueue.queue_stat WHERE queue = 'q'}), 't', 'they have an age and a size');
sql(q{SELECT pgqueue.release_task(id, receipt) FROM pgqueue.next_tasks('w', '{q}', 2)});
sql(q{SELECT pgqueue.fail_task(id, receipt, 'no') FROM pgqueue.next_tasks('w', '{q}', 2)});
sql(q{SELECT pgqueue.cancel_task(min(id)) FROM pgqueue.task WHERE queue = 'q' AND status = 'new'});
sql(q{SELECT pgqueue.snooze_task(id, receipt, '1 day') FROM pgqueue.next_task('w', 'q')});
stat_is('q', "$totals, ready, delayed, retained", '6|5|2|0|2|0|1|0|0|2|1|0',
    'released, retried, cancelled; what was snoozed is no retry');
is(sql(q{SELECT count(*) FROM (VALUES (1)) v, pgqueue.queue_stat
    WHERE queue = 'q' AND wait_seconds_p50 <= wait_seconds_p99 AND wait_seconds_p99 <= wait_seconds_max
        AND run_seconds_p50 <= run_seconds_p99 AND run_seconds_p99 <= run_seconds_max AND run_seconds_max < 60
        AND total_seconds_p50 <= total_seconds_max AND total_seconds_max >= run_seconds_p50}), '1',
    'times are in order');

# What is rolled back adds nothing, also to a savepoint.
sql(<<~'SQL');
    BEGIN; SELECT pgqueue.create_task('empty', '1'); ROLLBACK;
    BEGIN; SELECT pgqueue.create_task('empty', '1'); SAVEPOINT s; SELECT pgqueue.create_task('empty', '2');
    ROLLBACK TO s; RELEASE s; SAVEPOINT t; SELECT pgqueue.create_task('empty', '3'); RELEASE t; COMMIT
    SQL
stat_is('empty', 'created_total, ready', '2|2', 'what is rolled back adds nothing');

# Moves are no births and no ends, nor is a deletion.
sql(q{UPDATE pgqueue.task SET queue = 'dead' WHERE payload = '3'});
sql(q{DELETE FROM pgqueue.task WHERE queue = 'empty'});
stat_is('empty', $totals, '2|0|0|0|0|0|0|0|0', 'moved and deleted');
stat_is('dead', "$totals, ready", '0|0|0|0|0|0|0|0|0|1', 'arrived');

sql(q{SELECT pgqueue.create_task('doomed', '1')});
sql(q{SELECT pgqueue.fail_task(id, receipt, 'no') FROM pgqueue.next_task('w', 'doomed')});
stat_is('doomed', $totals, '1|1|0|1|0|0|0|0|1', 'the failure counts where it was, not in the dead-letter queue');
stat_is('dead', $totals, '0|0|0|0|0|0|0|0|0', 'which counts nothing');
sql(q{SELECT pgqueue.retry_task(id) FROM pgqueue.task WHERE status = 'failed'});
stat_is('dead', "$totals, ready", '0|0|0|0|0|0|0|0|0|2', 'nor is a retry of what has ended a birth');

sql(q{SELECT pgqueue.create_task('gone', '1', ttl => '1 ms')});
stat_is('gone', 'expired_total', '1', 'a task expires');
sql(q{SELECT pgqueue.create_task('gone', '1')});
sql(q{SELECT pgqueue.release_task(id, receipt) FROM pgqueue.next_task('w', 'gone')});
stat_is('gone', 'released_total, expired_total, created_total', '1|1|2', 'a task that is deleted with its end counts');

sql(q{SELECT pgqueue.create_task('lost', '1')});
sql(q{SELECT id FROM pgqueue.next_task('w', 'lost')});
stat_is('lost', 'retained_total, rescued_total, retried_total', '1|1|0', 'a lost lease is a rescue');

# The limit of a queue.
sql(q{SELECT pgqueue.create_tasks('one', array_fill('1'::jsonb, ARRAY[3]))});
sql(q{SELECT id FROM pgqueue.next_task('w', 'one')});
is(sql(q{SELECT count(*) FROM pgqueue.next_task('w', 'one')}), '0', 'a limit puts the second start off');
stat_is('one', 'ready, blocked, retained, limited_total > 0, oldest_ready_seconds IS NOT NULL', '0|2|1|t|t',
    'tasks behind a limit are blocked, and still have an age');
sql(q{SELECT pgqueue.pause_queue('empty'), pgqueue.create_task('empty', '1')});
stat_is('empty', 'ready, blocked', '0|1', 'so are those of a paused queue');

# Entries that stay in memory after a task was cancelled, moved or retried hide no ready task. An attack found that they
# did: what was ready was shown as delayed, without an age.
sql(q{SELECT pgqueue.create_queue('stale')});
sql(q{SELECT pgqueue.create_tasks('stale', array_fill('1'::jsonb, ARRAY[5]))});
my $waiting = 'ready, delayed, blocked, oldest_ready_seconds IS NOT NULL';
sql(q{SELECT count(pgqueue.cancel_task(id)) FROM pgqueue.create_tasks('stale', array_fill('2'::jsonb, ARRAY[20]),
    delay => '1 day', ttl => '0') id});
stat_is('stale', $waiting, '5|0|0|t', 'delayed tasks that were cancelled');
sql(q{SELECT count(*) FROM pgqueue.create_tasks('stale', array_fill('3'::jsonb, ARRAY[20]), delay => '1 day')});
stat_is('stale', $waiting, '5|20|0|t', 'others that wait');
sql(q{SELECT count(pgqueue.retry_task(id)) FROM (
    SELECT id FROM pgqueue.task WHERE queue = 'stale' AND payload = '3' LIMIT 10) t});
stat_is('stale', $waiting, '15|10|0|t', 'delayed tasks that are retried at once');
sql(q{DELETE FROM pgqueue.task WHERE queue = 'stale' AND delayed_at > now()});
stat_is('stale', $waiting, '15|0|0|t', 'delayed tasks that were deleted');
my $first = sql(q{SELECT pgqueue.create_task('empty', '1', delay => '1 hour')});
sql("SELECT count(*) FROM pgqueue.create_tasks('stale', array_fill('4'::jsonb, ARRAY[10]), depends_on => ARRAY[$first],
    ttl => '1 hour')");
stat_is('stale', $waiting, '15|0|10|t', 'tasks with a ttl that wait for another one are blocked');
sql("SELECT pgqueue.cancel_task($first)");
sql(q{SELECT pgqueue.resume_queue('empty')});
$first = sql(q{SELECT pgqueue.create_task('gone', '1')});
sql("SELECT count(*) FROM pgqueue.create_tasks('stale', array_fill('5'::jsonb, ARRAY[10]), depends_on => ARRAY[$first],
    ttl => '1 hour')");
sql(q{SELECT pgqueue.release_task(id, receipt) FROM pgqueue.next_task('w', 'gone')});
stat_is('stale', "$waiting", '25|0|0|t', 'and ready after its end; those of the other were cancelled');
sql(q{SELECT pgqueue.delete_queue('stale', force => true)});

# The bill of runs in the server.
sql(q{CREATE TABLE made AS SELECT 1 AS i});
sql(q{SELECT pgqueue.create_task('work', command => 'INSERT INTO made SELECT generate_series(1, 50000)')});
stat_is('work', "released_total, wal_bytes_total > 1000000, blocks_hit_total > 50000, cpu_seconds_total > 0",
    '1|t|t|t', 'a run has CPU time, WAL and blocks');
is(sql(q{SELECT cpu_seconds_total = (SELECT cpu_seconds FROM pgqueue.task_attempt a WHERE a.queue = 'work')
    FROM pgqueue.queue_stat WHERE queue = 'work'}), 't', 'the sum of one run is that run');

# A worker claims several short tasks at once. When the first one is long, the others are given back before they begin:
# such a claim is no retain.
sql(q{SELECT pgqueue.create_queue('mixed', executor => 'server')});
sql(q{SELECT count(*) FROM pgqueue.create_tasks('mixed', commands => array_fill('SELECT 1'::text, ARRAY[100]))});
stat_is('mixed', 'released_total', '100', 'short tasks are done');
sql(q{SELECT count(*) FROM pgqueue.create_tasks('mixed',
    commands => '{SELECT pg_sleep(1)}' || array_fill('SELECT 1'::text, ARRAY[20]))});
stat_is('mixed', 'released_total, retained_total, retained', '121|121|0', 'claims that were given back do not count');

# A rebuild changes no total.
my $all = "SELECT queue, $totals FROM pgqueue.queue_stat WHERE queue <> 'work' ORDER BY 1";
my $before = sql($all);
ok(terminate($node, pid_of($node, 'pgqueue scheduler')), 'the scheduler is terminated');
sql(q{SELECT pgqueue.create_task('work', command => 'SELECT 1')});
stat_is('work', 'created_total, released_total', '2|2', 'work goes on');
is(sql($all), $before, 'a rebuild changes no total');

# Rights: see the table of privileges.
sql(q{CREATE ROLE reads IN ROLE pgqueue_user; SELECT pgqueue.grant_namespace('default', 'read', 'reads');
    CREATE ROLE uses IN ROLE pgqueue_user; SELECT pgqueue.grant_namespace('default', 'use', 'uses');
    CREATE ROLE monitors IN ROLE pgqueue_user, pg_monitor});
for ([ reads => 9 ], [ uses => 0 ], [ monitors => 9 ])
{
    my ($role, $rows) = @$_;
    is(sql("SET ROLE $role; SELECT count(*) FROM pgqueue.queue_stat"), $rows, "B35: what a role that $role sees");
}
sql('SELECT pgqueue.delete_queue(queue, force => true) FROM pgqueue.queue');
check_invariants($node, $db, 'afterwards');
$node->stop;

# Histograms have a part of the memory, and each namespace a part of that. Without one, work goes on.
$node = new_node('few_histograms', conf => "pgqueue.dispatch_memory = 4MB\nlog_statement = none");
my $histograms = q{SELECT used FROM pgqueue.memory WHERE kind = 'histograms'};
my $most = sql(q{SELECT capacity FROM pgqueue.memory WHERE kind = 'histograms'});
sql(<<~'SQL');
    SELECT pgqueue.create_namespace('many'), pgqueue.create_queue('q');
    SELECT count(pgqueue.create_queue('q' || i, namespace => 'many')) FROM generate_series(1, 100) i
    SQL
my $work = q{SELECT count(pgqueue.release_task(t.id, t.receipt))
    FROM generate_series(1, 100) i, LATERAL pgqueue.next_task('w', 'q' || i, namespace => 'many') t};
sql(q{SELECT count(pgqueue.create_task('q' || i, '1', namespace => 'many')) FROM generate_series(1, 100) i});
is(sql($work), '100', 'tasks of many queues are done');
cmp_ok(sql($histograms), '<=', $most / 2 + 1, 'a namespace has half of the histograms');
cmp_ok(sql(q{SELECT count(*) FROM pgqueue.queue_stat WHERE namespace = 'many' AND run_seconds_p50 IS NOT NULL}),
    '<', 100, 'some of its queues have no times');
is(sql(q{SELECT sum(released_total) FROM pgqueue.queue_stat WHERE namespace = 'many'}), '100', 'but all have totals');
sql(q{SELECT pgqueue.create_task('q', '1')});
sql(q{SELECT pgqueue.release_task(t.id, t.receipt) FROM pgqueue.next_task('w', 'q') t});
is(sql(q{SELECT run_seconds_p50 IS NOT NULL FROM pgqueue.queue_stat WHERE namespace = 'default'}), 't',
    'another namespace has its times');
sql(q{SELECT pgqueue.delete_namespace('many', force => true)});
ok(wait_for($node, $db, $histograms, '3'), 'queues that are deleted give their histograms back');
$node->stop;
done_testing();
