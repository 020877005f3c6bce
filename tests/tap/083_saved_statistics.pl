# Statistics outlive the server's memory: after a restart, a crash, on a standby and after its promotion they go on from
# what was saved last (K14). View stat_history.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use PostgreSQL::Test::Cluster;
use Test::More;

my $db = 'postgres';
my $node = new_node('saved', streaming => 1, clock => 1,
    conf => "log_statement = none\npgqueue.stats_flush_interval = 100ms");
sub sql { return $node->safe_psql($db, @_); }

my $totals = q{SELECT queue, created_total, retained_total, released_total, failed_total, wal_bytes_total,
    wait_seconds_p50, wait_seconds_max, run_seconds_p99, total_seconds_max, since
    FROM pgqueue.queue_stat WHERE queue IN ('out', 'in') ORDER BY 1};
# Waits until everything is saved.
sub saved
{
    my $created = 'SELECT object_id, totals[1] FROM pgqueue_internal.stat WHERE kind = 0 ORDER BY 1';
    my $now = q{SELECT q.id, s.created_total FROM pgqueue.queue_stat s
        JOIN pgqueue_internal.queue q ON q.name = s.queue WHERE created_total > 0 ORDER BY 1};
    ok(wait_until(sub { sql($created) eq sql($now) }), 'statistics are saved');
    # The number of releases is the last to change.
    my $behind = q{SELECT count(*) FROM pgqueue.queue_stat s JOIN pgqueue_internal.queue q ON q.name = s.queue
        LEFT JOIN pgqueue_internal.stat t ON t.kind = 0 AND t.object_id = q.id
        WHERE s.released_total <> coalesce(t.totals[3], 0)};
    ok(wait_for($node, $db, $behind, '0'), 'all of them');
    return;
}
sub work
{
    my ($n) = @_;
    sql("SELECT count(*) FROM pgqueue.create_tasks('out', array_fill('1'::jsonb, ARRAY[$n]))");
    sql("SELECT pgqueue.release_tasks(array_agg(id), array_agg(receipt)) FROM pgqueue.next_tasks('w', '{out}', $n)");
    sql("SELECT count(*) FROM pgqueue.create_tasks('in', commands => array_fill('SELECT 1'::text, ARRAY[$n]))");
    ok(wait_for($node, $db, "SELECT ready + retained FROM pgqueue.queue_stat WHERE queue = 'in'", '0'), 'work is done');
    return;
}

sql(q{SELECT pgqueue.create_queue('out'), pgqueue.create_queue('in', executor => 'server'),
    pgqueue.create_queue('idle')});
work(20);
saved();
my $before = sql($totals);
is(sql('SELECT count(*) FROM pgqueue_internal.stat WHERE kind = 0'), '2', 'a queue that did nothing is not saved');

# Without a scheduler, shared memory knows nothing yet: what was saved is shown.
$node->append_conf('postgresql.conf', 'pgqueue.enabled = off');
$node->restart;
is(sql($totals), $before, 'K14: after a restart, before the scheduler has read them');
sql("SELECT pgqueue.create_task('out', '1')");
is(sql(q{SELECT created_total FROM pgqueue.queue_stat WHERE queue = 'out'}), '21', 'new ones are added');
$node->append_conf('postgresql.conf', 'pgqueue.enabled = on');
$node->reload;
ok(wait_for($node, $db, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pgqueue scheduler'}, '1'),
    'the scheduler is back');
ok(wait_for($node, $db, q{SELECT created_total, ready FROM pgqueue.queue_stat WHERE queue = 'out'}, '21|1'),
    'and has added what was saved');
saved();
is(sql(q{SELECT totals[1] FROM pgqueue_internal.stat JOIN pgqueue_internal.queue q ON kind = 0 AND q.id = object_id
    WHERE q.name = 'out'}), '21', 'which is saved as a whole');
sql(q{SELECT pgqueue.release_task(id, receipt) FROM pgqueue.next_task('w', 'out')});

# Crashes: never below what was saved, never negative.
my $numbers = q{SELECT queue, created_total, released_total, wal_bytes_total FROM pgqueue.queue_stat
    WHERE queue IN ('out', 'in') ORDER BY 1};
for my $round (1 .. 3)
{
    work(5);
    saved();
    my $least = sql($numbers);
    if ($round == 1) { $node->stop('immediate') }
    elsif ($round == 2) { kill9_postmaster($node) }
    else { kill9($node, pid_of($node, 'pgqueue scheduler')) }
    $node->start if $round < 3;
    ok(wait_up($node), 'the server is up');
    my @now = map { [ split(/\|/) ] } split(/\n/, sql($numbers));
    my @then = map { [ split(/\|/) ] } split(/\n/, $least);
    for my $q (0 .. 1)
    {
        cmp_ok($now[$q][$_], '>=', $then[$q][$_], "K14: $then[$q][0], number $_ after crash $round") for 1 .. 3;
    }
}
is(sql('SELECT count(*) FROM pgqueue_internal.reconcile_statistics()'), '0', 'totals and counts agree');
# What was done since the last save is lost with the memory.
sql(q{ALTER SYSTEM SET pgqueue.stats_flush_interval = '1 h'});
$node->reload;
sql("SELECT count(*) FROM pgqueue.create_tasks('out', array_fill('1'::jsonb, ARRAY[7]))");
$node->stop('immediate');
sql_after_crash();

sub sql_after_crash
{
    $node->start;
    ok(wait_for($node, $db, q{SELECT ready FROM pgqueue.queue_stat WHERE queue = 'out'}, '7'), 'the tasks are there');
    is(sql(q{SELECT queue, unfinished, by_totals FROM pgqueue_internal.reconcile_statistics()}), 'out|7|0',
        'reconcile_statistics shows what the totals lack after a crash');
    sql('ALTER SYSTEM RESET pgqueue.stats_flush_interval');
    $node->reload;
    sql(q{SELECT pgqueue.release_task(id, receipt) FROM pgqueue.next_tasks('w', '{out}', 10)});
    return;
}

# A standby shows what was saved, and since when.
work(3);
saved();
$node->backup('base');
my $standby = PgQueue::Node->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
work(2);
saved();
$before = sql($totals);
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
is($standby->safe_psql($db, $totals), $before, 'a standby shows what was saved last');
is($standby->safe_psql($db, q{SELECT bool_and(as_of < now() AND as_of > since AND ready IS NULL AND retained IS NULL)
    FROM pgqueue.queue_stat WHERE queue IN ('out', 'in')}), 't', 'as of then, and not what is there now');
is($standby->safe_psql($db, q{SELECT count(*) FILTER (WHERE type = 'gauge' AND labels ? 'queue'),
    count(*) FILTER (WHERE name = 'pgqueue_tasks_created_total') FROM pgqueue.metric}), '0|2',
    'its metrics are counters only');
$node->stop('immediate');
$standby->promote;
ok(wait_for($standby, $db, "SELECT ready IS NOT NULL FROM pgqueue.queue_stat WHERE queue = 'out'", 't'),
    'it is promoted');
is($standby->safe_psql($db, $totals), $before, 'K14: and goes on from there');
$standby->safe_psql($db, "SELECT pgqueue.create_task('out', '1')");
ok(wait_for($standby, $db, q{SELECT s.totals[1] = v.created_total FROM pgqueue_internal.stat s
    JOIN pgqueue_internal.queue q ON s.kind = 0 AND q.id = s.object_id JOIN pgqueue.queue_stat v ON v.queue = q.name
    WHERE q.name = 'out'}, 't'), 'and saves again');
$standby->stop;

# Commits without a pause: saved once in the interval, not at each look of the scheduler.
$node->start;
sql(q{ALTER SYSTEM SET pgqueue.stats_flush_interval = '4 s'});
$node->reload;
sql(<<~'SQL');
    CREATE PROCEDURE count_saves(INOUT saves integer) LANGUAGE plpgsql AS $$
    DECLARE
        ends_at timestamptz := clock_timestamp() + '8 s';
        before timestamptz;
        last timestamptz;
    BEGIN
        saves := 0;
        WHILE clock_timestamp() < ends_at LOOP
            PERFORM pgqueue.create_task('out', '1');
            COMMIT;
            last := (SELECT max(s.saved_at) FROM pgqueue_internal.stat s WHERE s.kind = 0);
            saves := saves + coalesce(last > before, false)::integer;
            before := last;
        END LOOP;
    END
    $$
    SQL
like(sql('CALL count_saves(NULL)'), qr/^[1-4]$/, 'eight seconds of commits are saved a few times');
sql('ALTER SYSTEM RESET pgqueue.stats_flush_interval');
$node->reload;
$node->stop;

# History: a row for each minute in which a queue did something. The clock decides what a minute is.
$node->start;
$db = 'history';
sql_in_postgres('CREATE DATABASE history');
sub sql_in_postgres { return $node->safe_psql('postgres', @_); }
sql(q{CREATE EXTENSION pgqueue; SELECT pgqueue.create_queue('out'), pgqueue.create_queue('in', executor => 'server')});
my $offset = 0;
# Goes to the 20th second of a later minute.
sub next_minute
{
    my ($minutes) = @_;
    my $second = sql('SELECT extract(second FROM clock_timestamp())');
    set_clock($node, $offset += 60 * $minutes + 20 - $second);
    return;
}
my $history = q{SELECT queue, created, retained, released, failed, retried, expired, cancelled, depth, running
    FROM pgqueue.stat_history ORDER BY minute, queue};
next_minute(1);
sql(q{SELECT count(*) FROM pgqueue.create_tasks('out', array_fill('1'::jsonb, ARRAY[4]))});
sql(q{SELECT pgqueue.release_task(id, receipt) FROM pgqueue.next_tasks('w', '{out}', 2)});
sql(q{SELECT id FROM pgqueue.next_task('w', 'out')});
ok(wait_for($node, $db, $history, 'out|4|3|2|0|0|0|0|2|1'),
    'the minute that is not over is there, as far as it is saved');
next_minute(1);
sql(q{SELECT pgqueue.cancel_task(id) FROM pgqueue.task WHERE status = 'new'});
ok(wait_for($node, $db, $history, "out|4|3|2|0|0|0|0|2|1\nout|0|0|0|0|0|0|1|1|1"), 'the next one');
is(sql('SELECT count(DISTINCT minute), bool_and(extract(second FROM minute) = 0) FROM pgqueue.stat_history'), '2|t',
    'each has its minute');
is(sql(q{SELECT wait_seconds_p50 > 0 AND wait_seconds_p99 >= wait_seconds_p50 AND run_seconds_p50 > 0
    FROM pgqueue.stat_history ORDER BY minute LIMIT 1}), 't', 'with quantiles of its times');
is(sql(q{SELECT wait_seconds_p50 IS NULL FROM pgqueue.stat_history ORDER BY minute DESC LIMIT 1}), 't',
    'which are NULL without times');
next_minute(5);
sql(q{SELECT pgqueue.create_task('in', command => 'SELECT 1')});
ok(wait_for($node, $db, "$history OFFSET 2", 'in|1|1|1|0|0|0|0|0|0'), 'a minute without work has no row');

# The ring. A table whose turn comes is truncated, unless a transaction reads it: then it waits.
sql_in_postgres(q{ALTER SYSTEM SET pgqueue.stats_retention = '21 min'});
$node->reload;
my $tables = q{SELECT string_agg(CASE WHEN n THEN '1' ELSE '0' END, '') FROM (
    SELECT (xpath('/row/n/text()', query_to_xml(format(
        'SELECT count(*) > 0 AS n FROM pgqueue_internal.stat_minute_%s WHERE minute < %L', i,
        clock_timestamp() - interval '30 min'), true, true, '')))[1]::text::boolean AS n
    FROM generate_series(0, 7) i) t};
my $minute_saved = q{SELECT minute = date_trunc('minute', clock_timestamp()) FROM pgqueue_internal.stat s
    JOIN pgqueue_internal.queue q ON s.kind = 0 AND q.id = s.object_id WHERE q.name = 'out'};
for my $i (1 .. 10)
{
    next_minute(3);
    sql("SELECT pgqueue.create_task('out', '$i')");
    ok(wait_for($node, $db, $minute_saved, 't'), "minute $i is saved");
}
is(sql($tables), '00000000', 'no table keeps rows that are older than the ring');
cmp_ok(sql('SELECT count(*) FROM pgqueue.stat_history'), '>=', 7, 'the view shows the last 21 minutes');
is(sql(q{SELECT count(*) FROM pgqueue.stat_history WHERE minute < clock_timestamp() - interval '21 min'}), '0',
    'and nothing older');
my $reader = session($node, $db);
$reader->query('BEGIN; SELECT count(*) FROM pgqueue.stat_history');
for my $i (1 .. 3)
{
    next_minute(3);
    sql("SELECT pgqueue.create_task('out', '$i')");
    ok(wait_for($node, $db, $minute_saved, 't'), "saved beside a reader: $i");
}
$reader->query('COMMIT');
is(sql(q{SELECT count(*) FROM pgqueue.stat_history WHERE minute > clock_timestamp() - interval '10 min'}), '4',
    'no row was lost beside it');

# The clock is set back: a minute that comes again is one row.
for my $minutes (1, -1, 1, 5)
{
    next_minute($minutes);
    sql(q{SELECT pgqueue.create_task('out', '1')});
    ok(wait_for($node, $db, $minute_saved, 't'), "saved by a clock that is set by minutes: $minutes");
}
is(sql('SELECT count(*) FROM (SELECT minute, count(*), sum(created) FROM pgqueue.stat_history GROUP BY 1
    HAVING count(*) > 1) twice'), '0', 'no minute has two rows');

# Deleted queues leave nothing.
sql('SELECT pgqueue.delete_queue(queue, force => true) FROM pgqueue.queue');
is(sql('SELECT count(*) FROM pgqueue.stat_history'), '0', 'the history of a deleted queue is not shown');
sql('SELECT pgqueue_internal.clean(1073741824, NULL)');
is(sql('SELECT count(*) FROM pgqueue_internal.stat WHERE kind < 3'), '0', 'and what was saved of it goes');
$node->stop;
done_testing();
