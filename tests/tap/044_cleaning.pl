# Cleaning: finished tasks go by themselves after their retention, in every namespace and at any rate, and into the
# archive where the queue says so. The cost grows with the rows and no faster. While the collector has a task in hand, a
# session that retains skips it and a session that releases waits for it. B31, B33, C25, C26, B17.
use strict;
use warnings;
use FindBin;
use List::Util qw(min);
use lib "$FindBin::Bin/lib";
use PgQueue;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('cleaning', clock => 1, conf => "log_statement = none\nlog_min_messages = log\nmax_wal_size = 4GB");
sub sql { return $node->safe_psql('postgres', @_); }
sub is_true { my ($sql, $name) = @_; return is(sql("SELECT ($sql)"), 't', $name); }
sub counts
{
    my ($where) = @_;
    return sql(<<~"SQL");
        SELECT string_agg(concat_ws(' ', namespace, queue, status, count), ', ' ORDER BY namespace, queue, status)
        FROM (SELECT namespace, queue, status, count(*) FROM pgqueue.task WHERE $where GROUP BY 1, 2, 3) c
        SQL
}
# Tasks 1 to n of a queue, all released.
sub released
{
    my ($queue, $n, $ns) = (@_, 'default');
    sql(<<~"SQL");
        SELECT count(*)
        FROM pgqueue.create_tasks('$queue', ARRAY(SELECT to_jsonb(g) FROM generate_series(1, $n) g), namespace => '$ns')
        SQL
    sql(<<~"SQL");
        DO \$\$DECLARE
            left_over int := $n;
            ids bigint[];
            receipts bigint[];
        BEGIN
            FOR i IN 1..1000 LOOP
                EXIT WHEN left_over <= 0;
                SELECT array_agg(id), array_agg(receipt) INTO ids, receipts
                FROM pgqueue.next_tasks('w', '{$queue}', 10000, namespace => '$ns');
                IF ids IS NULL THEN
                    PERFORM pg_sleep(0.01);
                ELSE
                    PERFORM count(*) FROM pgqueue.release_tasks(ids, receipts);
                    left_over := left_over - cardinality(ids);
                END IF;
                COMMIT;
            END LOOP;
        END\$\$
        SQL
    return;
}

# What a queue does with its finished tasks.
sql(<<~'SQL');
    SELECT FROM pgqueue.create_namespace('second');
    SELECT pgqueue.create_queue('plain'), pgqueue.create_queue('plain', namespace => 'second')
    SQL
is(sql(q{SELECT retention IS NULL, ttl, on_finish FROM pgqueue.queue WHERE namespace = 'default'}), 't|01:00:00|keep',
    'B31: finished tasks are kept for the ttl, by default');
sql(<<~'SQL');
    SELECT pgqueue.create_queue('forever', retention => '0'), pgqueue.create_queue('endless', ttl => '0'),
        pgqueue.create_queue('day', retention => '1 day'),
        pgqueue.create_queue('archived', on_finish => 'archive', retries => 0),
        pgqueue.create_queue('dropped', on_finish => 'delete')
    SQL
like(($node->psql('postgres', q{SELECT pgqueue.create_queue('x', on_finish => 'shred')}))[2],
    qr/on_finish.*\n.*keep.*/s, 'B31: other strategies are refused, with the words there are');
like(($node->psql('postgres', q{SELECT pgqueue.create_queue('x', retention => '-1 s')}))[2], qr/retention/,
    'B31: so is a negative retention');

# 100,000 released tasks of two namespaces, other ones in between; no call cleans.
released('plain', 60000);
released('plain', 40000, 'second');
released($_, 50) for 'forever', 'endless', 'day', 'dropped';
sql(<<~'SQL');
    SELECT pgqueue.create_task('archived', '{"n": 1}', type => 't', headers => '{"h": 1}', dedup_key => 'k');
    SELECT pgqueue.create_task('archived', '2', ttl => '0');
    SELECT pgqueue.create_task('archived', '3', ttl => '0')
    SQL
ok(wait_for($node, 'postgres', <<~'SQL', 'released', 20), 'a task to be archived');
    SELECT pgqueue.release_task(id, receipt, '{"ok": true}') FROM pgqueue.next_task('w', 'archived')
    SQL
is(sql(q{SELECT pgqueue.fail_task(id, receipt, 'broken pipe') FROM pgqueue.next_task('w', 'archived')}), 'failed',
    'and a failed one');
my ($done, $broken, $waits) = split /\n/, sql(q{SELECT id FROM pgqueue.task WHERE queue = 'archived' ORDER BY id});
is(counts("queue = 'dropped'"), '', 'B31: on_finish delete leaves none');
sql(q{SELECT pgqueue_internal.clean(262144 * 1024, now())});
is(counts("status IN ('released', 'failed')"),
    'default archived failed 1, default archived released 1, default day released 50, default endless released 50, '
    . 'default forever released 50, default plain released 60000, second plain released 40000',
    'C25: a pass leaves what is within its retention');
set_clock($node, 7200);
released('plain', 1000);
released('plain', 1000, 'second');
# A scheduler thinks of a pass once a minute, a new one at once.
terminate($node, pid_of($node, 'pgqueue scheduler'));
ok(wait_for($node, 'postgres', q{SELECT count(*) FROM pgqueue.task WHERE queue IN ('plain', 'archived')}, '2001', 120),
    'C25: 100,000 tasks past their retention go by themselves, in every namespace');
is(counts(q{namespace <> 'pgqueue'}),
    'default archived new 1, default day released 50, default endless released 50, default forever released 50, '
    . 'default plain released 1000, second plain released 1000',
    'C25, B31: fresh ones, those with longer retention, with none and those that wait are kept');
is(sql(<<~'SQL'), qq($done archived released {"n": 1} {"h": 1} t k {"ok": true}, $broken archived failed 2 broken pipe),
    SELECT string_agg(concat_ws(' ', id, queue, status, payload, headers, type, dedup_key, result, error),
        ', ' ORDER BY id)
    FROM pgqueue.task_archive
    SQL
    'B33: on_finish archive: both are in the archive, whole');
is(sql("SELECT status, result FROM pgqueue.get_task($done)"), 'released|{"ok": true}', 'B33: get_task finds it there');
is(sql("SELECT count(*) FROM pgqueue.task WHERE id IN ($done, $broken)"), '0', 'B33: and the task is not twice');
counters_right($node, 'postgres', 'after cleaning');

# The cost of a pass in blocks of the tables and indexes it looks at, for a number of rows.
sub cost
{
    my ($queue, $n) = @_;
    my $blocks = <<~'SQL';
        SELECT sum(heap_blks_read + heap_blks_hit + coalesce(idx_blks_read + idx_blks_hit, 0)
            + coalesce(toast_blks_read + toast_blks_hit, 0))
        FROM pg_statio_all_tables
        WHERE schemaname = 'pgqueue_internal'
        SQL
    released($queue, $n);
    # The sessions that worked report at their end.
    ok(wait_for($node, 'postgres', <<~'SQL', '1', 20), 'nobody else is there');
        SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'
        SQL
    my $before = sql($blocks);
    sql(q{SELECT pgqueue_internal.clean(1000000000, now() + interval '2 h')});
    is(sql("SELECT count(*) FROM pgqueue.task WHERE queue = '$queue'"), '0',
        "$n tasks of queue $queue are gone after a pass");
    return sql($blocks) - $before;
}
sql(<<~'SQL');
    SELECT pgqueue.delete_queue(queue, force => true) FROM pgqueue.queue WHERE queue IN ('forever', 'day', 'endless')
    SQL
sql(q{SELECT pgqueue_internal.clean(1, now() + interval '2 h')}) for 1 .. 2;
for my $queue ('plain', 'archived')
{
    # The scheduler may report a look of its own meanwhile.
    my @costs = (cost($queue, 2000), min(cost($queue, 8000), cost($queue, 8000)));
    cmp_ok($costs[0], '>', 100, "C26: the blocks that a pass looks at are counted: $costs[0] for 2000 tasks");
    cmp_ok($costs[1], '<', 5 * $costs[0], "C26: $costs[1] for 8000: linear ($queue)");
}

# A task that is being moved.
my %moved;
for my $end ('commit', 'termination')
{
    sql("SELECT FROM pgqueue.create_queue('$end', ttl => '0')");
    sql("SELECT count(*) FROM pgqueue.create_tasks('$end', ARRAY['1', '2', '3']::jsonb[])");
    ok(wait_for($node, 'postgres', "SELECT count(*) FROM pgqueue.next_task('w', '$end')", '1', 20),
        'one of three tasks is held');
    my ($id, $receipt) = split /\|/,
        sql("SELECT id, receipt FROM pgqueue.task WHERE queue = '$end' AND status = 'retained'");
    my ($holder, $cleaner, $worker) = map { session($node) } 1 .. 3;
    hold_point($holder, 'housekeeper-moving');
    $cleaner->send(q{SELECT pgqueue_internal.clean(1, now())});
    my $pid = pid_at($node, 'postgres', 'housekeeper-moving', 20);
    is(sql("SELECT count(*) FROM pgqueue.next_tasks('w2', '{$end}', 10)"), '0',
        'B17: what the collector is moving is not given, and nobody waits for it');
    $worker->send("SELECT pgqueue.release_task($id, $receipt)");
    ok(wait_for($node, 'postgres', <<~'SQL', '1', 20), 'a release waits for it');
        SELECT count(*) FROM pg_stat_activity
        WHERE wait_event = 'transactionid' AND query LIKE '%release_task%' AND state = 'active'
        SQL
    terminate($node, $pid) if $end eq 'termination';
    $holder->close;
    is($worker->query('SELECT 0'), "released\n0", "and goes on after its $end");
    ok(wait_until(
            sub {
                $moved{$end} += sql("SELECT count(*) FROM pgqueue.next_tasks('w2', '{$end}', 10)");
                return $moved{$end} >= 2;
            },
            20),
        'the others are given then');
    $cleaner->query('SELECT 0');
    is(sql(<<~"SQL"), '1 released 1 w, 2 retained 1 w2, 3 retained 1 w2', 'each once');
        SELECT string_agg(concat_ws(' ', payload, status, attempt, worker), ', ' ORDER BY id)
        FROM pgqueue.task
        WHERE queue = '$end'
        SQL
    sql("SELECT FROM pgqueue.delete_queue('$end', force => true)");
}
# Large values are stored elsewhere, and go with their task: one by one, into the archive, at its end, with the ends of
# its attempts.
my $large = "(SELECT to_jsonb(string_agg(md5(random()::text), '')) FROM generate_series(1, 500) g WHERE i > 0)";
sql(<<~'SQL');
    SELECT pgqueue.create_queue('drop', ttl => '0', retention => '1 ms'),
        pgqueue.create_queue('keep', ttl => '0', retention => '1 ms', on_finish => 'archive'),
        pgqueue.create_queue('gone', ttl => '0', executor => 'server', on_finish => 'delete'),
        pgqueue.create_queue('stay', ttl => '0')
    SQL
sql(<<~"SQL");
    SELECT count(pgqueue.create_task(q, $large)) FROM generate_series(1, 20) i, unnest('{drop,keep,stay}'::text[]) q
    SQL
sql(<<~"SQL");
    SELECT count(pgqueue.release_task(t.id, t.receipt, $large))
    FROM pgqueue.next_tasks('w', '{drop,keep}', 100) WITH ORDINALITY AS t(id, receipt, attempt, namespace, queue, type,
        payload, headers, priority, group_key, created_at, dies_at, lease_until, i)
    SQL
sql(<<~"SQL");
    SELECT count(pgqueue.create_task('gone', command => 'SELECT 1', headers => $large)) FROM generate_series(1, 20) i
    SQL
sql(q{SELECT pgqueue_internal.clean(1000000000, now() + interval '1 min')});
is(sql(q{SELECT queue, count(*) FROM pgqueue.task WHERE queue IN ('drop', 'keep', 'stay') GROUP BY 1}), 'stay|20',
    'tasks with large values are removed one by one');
is(sql(q{SELECT count(*), count(payload), count(result) FROM pgqueue_internal.archive WHERE queue = 'keep'}),
    '20|20|20', 'and archived');
ok(wait_for($node, 'postgres', q{SELECT count(*) FROM pgqueue.task WHERE queue = 'gone'}, '0', 20),
    'and deleted at their end');
unlike(slurp_file($node->logfile), qr/without an active snapshot/, 'each under a snapshot');
sql("SELECT FROM pgqueue.delete_queue('$_', force => true)") for qw(drop keep gone stay);

# One that has a task in its hands and cannot move it: who found it so has skipped it.
{
    sql(q{SELECT FROM pgqueue.create_queue('taken', ttl => '0')});
    sql(q{SELECT count(*) FROM pgqueue.create_tasks('taken', ARRAY['1', '2']::jsonb[])});
    my ($holder, $cleaner) = map { session($node) } 1 .. 2;
    hold_point($holder, 'housekeeper-taking');
    $cleaner->send(q{SELECT pgqueue_internal.clean(1, now())});
    my $pid = pid_at($node, 'postgres', 'housekeeper-taking', 20);
    my $given = sql(q{SELECT count(*) FROM pgqueue.next_tasks('w2', '{taken}', 10)});
    is($given, '1', 'the collector has one of two tasks in its hands');
    terminate($node, $pid);
    $holder->close;
    ok(wait_until(
            sub {
                $given += sql(q{SELECT count(*) FROM pgqueue.next_tasks('w2', '{taken}', 10)});
                return $given == 2;
            },
            10),
        'it is given when the collector is terminated in the middle');
    $cleaner->query('SELECT 0');
    is(sql(q{SELECT used FROM pgqueue.memory WHERE kind = 'repaired'}), '0', 'and was never forgotten');
    sql(q{SELECT FROM pgqueue.delete_queue('taken', force => true)});
}
counters_right($node, 'postgres', 'at the end');
# A queue that deletes what is done leaves nothing to count: its segments are emptied all the same.
my $lean = new_node('lean', conf => "log_statement = none\npgqueue.segment_size = '1MB'");
$lean->safe_psql('postgres', q{SELECT FROM pgqueue.create_queue('lean', ttl => '0', on_finish => 'delete')});
ok(wait_for($lean, 'postgres', <<~'SQL', '1', 20), 'the scheduler runs');
    SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pgqueue scheduler'
    SQL
for my $round (1 .. 3)
{
    $lean->safe_psql('postgres',
        q{SELECT count(*) FROM pgqueue.create_tasks('lean', array_fill('{"a": 1}'::jsonb, ARRAY[5000]))});
    is($lean->safe_psql('postgres', <<~'SQL'), '5000', 'tasks come and go');
        SELECT count(*)
        FROM (
            SELECT pgqueue.release_tasks(array_agg(id), array_agg(receipt)) FROM pgqueue.next_tasks('w', '{lean}', 5000)
        ) r
        SQL
}
ok(wait_for($lean, 'postgres', <<~'SQL', 't', 90), 'with on_finish delete segments stay small, without a call');
    SELECT sum(pg_relation_size(oid)) < 1024 * 1024 FROM pg_class WHERE relname ~ '^segment_[0-9]$'
    SQL
# All segments are full of waiting tasks, the current one too. A purge gives all of it back, without a call and with
# nothing that comes or goes.
sub lean { return $lean->safe_psql('postgres', @_); }
lean(q{SELECT pgqueue.create_queue('full')});
for my $i (1 .. 6)
{
    lean(q{SELECT count(*) FROM pgqueue.create_tasks('full', array_fill(to_jsonb(repeat('-', 400)), ARRAY[2500]))});
    lean('SELECT pgqueue_internal.clean(1048576, clock_timestamp())');
}
my $size = <<~'SQL';
    SELECT sum(pg_relation_size('pgqueue_internal.segment_' || slot)) < 2 * 1024 * 1024 FROM pgqueue_internal.ring
    SQL
is(lean('SELECT count(*) FROM pgqueue_internal.ring WHERE slot < 4 AND NOT current AND filled_at IS NOT NULL'), '3',
    'all segments are in use');
is(lean($size), 'f', 'and have some megabytes');
lean(q{SELECT pgqueue.purge_queue('full')});
ok(wait_for($lean, 'postgres', $size, 't', 90), 'a purge gives all of it back');
done_testing();
