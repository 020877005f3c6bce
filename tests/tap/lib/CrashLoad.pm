package CrashLoad;
# A load for crash tests whose right end can be tested: most tasks write their id into a table whose key allows it once,
# and some fail for good.
use strict;
use warnings;
use Exporter 'import';
use PgQueue;
use Test::More;

our @EXPORT = qw(new_loaded_node fill all_well places_free sql);

my $workers = 4;
my ($node, $filled);

sub sql { return $node->safe_psql('postgres', @_); }

# A node with the queue q, whose limit is all the workers that there may be.
sub new_loaded_node
{
    my ($name, %opts) = @_;
    $opts{conf} = join("\n", "pgqueue.max_workers = $workers", 'pgqueue.log_tasks = none', 'log_statement = none',
        $opts{conf} // '');
    $node = new_node($name, %opts);
    sql(<<~"SQL");
        CREATE TABLE effect (id bigint PRIMARY KEY, attempt int);
        SELECT pgqueue.create_queue('q', max_running => $workers, retries => 2, retry_delay => '10 milliseconds');
        SQL
    $filled = 0;
    return $node;
}

# Fills the queue with tasks of which each takes at least so many seconds; every fortieth fails. Nothing is read back,
# so a session can do it too.
sub fill
{
    my ($n, $seconds, $session) = @_;
    my $statement = <<~"SQL";
        SELECT count(
            pgqueue.create_task('q',
                command => CASE
                    WHEN i % 40 = 7 THEN 'SELECT 1/0'
                    ELSE 'SELECT pg_sleep($seconds);
                        INSERT INTO effect SELECT id, attempt FROM pgqueue.current_task()'
                END)
        )
        FROM generate_series(1, $n) i
        SQL
    $session ? $session->query($statement) : sql($statement);
    $filled += $n;
    return;
}

# Everything has come to its right end. least and most: how many attempts may have been lost with their process.
sub all_well
{
    my ($what, $least, $most) = @_;
    my $end = wait_for($node, 'postgres', q{SELECT count(*) FROM pgqueue.task WHERE finished_at IS NULL}, '0', 60);
    diag(sql(<<~'SQL')) unless $end;
        SELECT id, status, attempt, worker, pid, delayed_at, error FROM pgqueue.task WHERE finished_at IS NULL LIMIT 5
        SQL
    ok($end, "A43: $what: no task is stuck");
    my $failed = sql(q{SELECT count(*) FROM pgqueue.task WHERE command = 'SELECT 1/0'});
    is(sql(q{SELECT status, count(*) FROM pgqueue.task GROUP BY 1 ORDER BY 1}),
        "failed|$failed\nreleased|" . ($filled - $failed), "A43: $what: none is lost");
    is(sql(<<~'SQL'), '0',
        SELECT count(*) FROM pgqueue.task t FULL JOIN effect e USING (id)
        WHERE (t.status = 'released') IS DISTINCT FROM (e.id IS NOT NULL) OR e.attempt <> t.attempt
        SQL
        "K13: $what: released tasks, and only they, have their effect, of the attempt that the row says");
    ok(wait_for($node, 'postgres', <<~'SQL', '0', 10), "K14: $what: the counters equal the rows");
        SELECT count(*)
        FROM (SELECT status, count FROM pgqueue.queue_status WHERE queue = 'q' AND count <> 0) s
        FULL JOIN (SELECT status, count(*) FROM pgqueue.task GROUP BY 1) t USING (status)
        WHERE s.count IS DISTINCT FROM t.count
        SQL
    attempts_right($what, $least, $most);
    places_free($what);
    sql('DELETE FROM pgqueue.task; TRUNCATE effect');
    $filled = 0;
    return;
}

# The attempts that ended with their process are on record and do not count against the retries; no other attempt was
# counted. Only tasks that ran when it happened have one.
sub attempts_right
{
    my ($what, $least, $most) = @_;
    is(sql(<<~'SQL'), '', "A43: $what: attempts are counted");
        SELECT string_agg(format('%s %s: attempt %s, %s', t.id, t.status, t.attempt, a.ends), E'\n')
        FROM pgqueue.task t LEFT JOIN (
            SELECT task_id, count(*) FILTER (WHERE outcome = 'lost' AND error_code IN ('PQ102', '57P01')) AS lost,
                string_agg(concat_ws(' ', attempt, outcome, error_code), ', ' ORDER BY attempt) AS ends
            FROM pgqueue.task_attempt GROUP BY task_id) a ON a.task_id = t.id
        -- A cleaning task may have been made at this moment.
        WHERE t.queue = 'q' AND t.attempt - coalesce(a.lost, 0) <> CASE t.status WHEN 'failed' THEN 3 ELSE 1 END
        SQL
    my $lost = sql(q{SELECT count(*) FROM pgqueue.task_attempt WHERE outcome = 'lost'});
    cmp_ok($lost, '>=', $least, "A43: $what: what ran is charged");
    cmp_ok($lost, '<=', $most, "A43: $what: what did not run is not");
    return;
}

# As many tasks of the queue run at once as it and the cluster allow, so no place of a dead worker is taken for ever.
sub places_free
{
    my ($what) = @_;
    my $gate = session($node);
    $gate->query('SELECT pg_advisory_lock(1)');
    sql(<<~"SQL");
        SELECT count(pgqueue.create_task('q', command => 'SELECT pg_advisory_xact_lock_shared(1)'))
        FROM generate_series(1, $workers)
        SQL
    ok(wait_for($node, 'postgres', <<~'SQL', $workers, 30), "K14: $what: all places are free again");
        SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 1 AND classid = 0 AND NOT granted
        SQL
    $gate->query('SELECT pg_advisory_unlock(1)');
    ok(wait_for($node, 'postgres', q{SELECT count(*) FROM pgqueue.task WHERE finished_at IS NULL}, '0', 30),
        "K14: $what: and are used");
    $gate->close;
    return;
}

1;
