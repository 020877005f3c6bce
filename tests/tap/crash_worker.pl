# Worker processes die at every point of a task's life: by SIGKILL (the server restarts) and by SIGTERM (it does not). Afterwards no task is
# lost, what ran has its effect exactly once, attempts are counted, counters equal the rows and all places of workers are free again.
# A43, K13, K14, A40.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use Test::More;

my $workers = 4;
my $node = new_node('crash_worker', conf => "pgqueue.max_workers = $workers\npgqueue.log_tasks = none\nlog_statement = none");
sub sql { return $node->safe_psql('postgres', @_); }

sql(q{
    CREATE TABLE effect (id bigint PRIMARY KEY, attempt int);
    CREATE TABLE seen (id bigint PRIMARY KEY);
    SELECT pgqueue.create_queue('q', max_running => 4, retries => 2, retry_delay => '10 milliseconds');
});

# Fills the queue: most tasks write their id, which the key allows once; some fail once, some for good.
my $n = 240;
sub fill
{
    sql(qq{
        SELECT count(pgqueue.create_task('q', command => CASE WHEN i % 40 = 7 THEN 'SELECT 1/0'
            ELSE 'INSERT INTO effect SELECT id, attempt FROM pgqueue.current_task()' END)) FROM generate_series(1, $n) i});
    return;
}

# Everything has come to its right end.
sub all_well
{
    my ($what, $least, $most) = @_;
    my $end = wait_for($node, 'postgres', q{SELECT count(*) FROM pgqueue.task WHERE finished_at IS NULL}, '0', 60);
    diag(sql(q{SELECT id, status, attempt, worker, pid, delayed_at, error FROM pgqueue.task WHERE finished_at IS NULL LIMIT 5})) unless $end;
    ok($end, "A43: $what: no task is stuck");
    is(sql(q{SELECT status, count(*) FROM pgqueue.task GROUP BY 1 ORDER BY 1}), "failed|6\nreleased|" . ($n - 6), "A43: $what: none is lost");
    is(sql(q{SELECT count(*) FROM pgqueue.task t FULL JOIN effect e USING (id)
             WHERE (t.status = 'released') IS DISTINCT FROM (e.id IS NOT NULL) OR e.attempt <> t.attempt}),
        '0', "K13: $what: released tasks, and only they, have their effect, of the attempt that the row says");
    ok(wait_for($node, 'postgres', q{
            SELECT count(*) FROM (SELECT status, count FROM pgqueue.queue_status WHERE queue = 'q' AND count <> 0) s
            FULL JOIN (SELECT status, count(*) FROM pgqueue.task GROUP BY 1) t USING (status) WHERE s.count IS DISTINCT FROM t.count}, '0', 10),
        "K14: $what: the counters equal the rows");
    attempts_right($what, $least, $most);
    places_free($what);
    sql('DELETE FROM pgqueue.task; TRUNCATE effect');
    return;
}

# As many tasks of the queue run at once as it and the cluster allow, so no place of a dead worker is taken for ever.
sub places_free
{
    my ($what) = @_;
    my $gate = session($node);
    $gate->query('SELECT pg_advisory_lock(1)');
    sql(qq{SELECT count(pgqueue.create_task('q', command => 'SELECT pg_advisory_xact_lock_shared(1)')) FROM generate_series(1, $workers)});
    ok(wait_for($node, 'postgres', q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 1 AND classid = 0 AND NOT granted}, $workers, 30),
        "K14: $what: all places are free again");
    $gate->query('SELECT pg_advisory_unlock(1)');
    ok(wait_for($node, 'postgres', q{SELECT count(*) FROM pgqueue.task WHERE finished_at IS NULL}, '0', 30), "K14: $what: and are used");
    $gate->close;
    return;
}

# The attempts that ended with their process are on record and do not count against the retries; no other attempt was counted. Only tasks
# that ran when it happened have one.
sub attempts_right
{
    my ($what, $least, $most) = @_;
    is(sql(q{SELECT count(*) FROM pgqueue.task t LEFT JOIN LATERAL (SELECT count(*) AS lost FROM pgqueue.task_attempt a
                 WHERE a.task_id = t.id AND a.outcome = 'lost' AND a.error_code = 'PQ102') a ON true
             WHERE t.attempt - a.lost <> CASE t.status WHEN 'failed' THEN 3 ELSE 1 END}), '0', "A43: $what: attempts are counted");
    my $lost = sql(q{SELECT count(*) FROM pgqueue.task_attempt WHERE outcome = 'lost'});
    cmp_ok($lost, '>=', $least, "A43: $what: what ran is charged");
    cmp_ok($lost, '<=', $most, "A43: $what: what did not run is not");
    return;
}

# Point, and whether the task runs there, so that the attempt counts.
my @points = (
    ['worker-popped', 0], ['worker-claiming', 0], ['worker-claimed', 0], ['worker-ran', 1], ['worker-releasing', 1], ['worker-failed', 1],
    ['worker-recording', 1],
);

for my $case (@points)
{
    my ($point, $runs) = @$case;
    my $holder = session($node);
    hold_point($holder, $point);
    fill();
    my $pid = pid_at($node, 'postgres', $point, 30) or BAIL_OUT("no worker at $point");
    kill9($node, $pid);
    ok(wait_up($node, 30), "$point: the server is back");
    $holder->close;
    all_well("SIGKILL at $point", $runs ? 1 : 0, $runs ? $workers : 0);
}

for my $case (@points)
{
    my ($point, $runs) = @$case;
    my $holder = session($node);
    hold_point($holder, $point);
    fill();
    my $pid = pid_at($node, 'postgres', $point, 30) or BAIL_OUT("no worker at $point");
    ok(terminate($node, $pid, 10), "A40: $point: the worker ends");
    is($holder->query('SELECT 1'), '1', "A40: $point: nobody else does");
    $holder->close;
    all_well("SIGTERM at $point", $runs, $runs);
}

$node->stop;
done_testing();
