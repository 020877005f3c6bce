# When a failed task is tried again, by the row's own times; and turns: roles that share one worker, limits that change
# while tasks run and wait.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use Test::More;

my $node = new_node('retries', conf => "pgqueue.max_workers = 4\npgqueue.log_tasks = none\nlog_statement = none");
sub sql { return $node->safe_psql('postgres', @_); }
sub task
{
    my ($queue, $command, $more) = @_;
    $more = $more ? ", $more" : '';
    return sql("SELECT pgqueue.create_task('$queue', command => \$c\$$command\$c\$$more)");
}
sub set { my ($name, $value) = @_; sql("ALTER SYSTEM SET $name = $value"); sql('SELECT pg_reload_conf()'); return; }
sub all_done
{
    my ($what) = @_;
    return ok(wait_for($node, 'postgres', q{SELECT count(*) FROM pgqueue.task WHERE finished_at IS NULL}, '0', 60),
        "$what: all have ended");
}

# Tasks that fail until the end; they wait while the rest of this file runs.
sql(<<~'SQL');
    CREATE SEQUENCE tried;
    SELECT pgqueue.create_queue('exponential', retries => 2, retry_delay => '2 s');
    SELECT pgqueue.create_queue('capped', retries => 2, retry_delay => '1 s', max_retry_delay => '1200 milliseconds');
    SELECT pgqueue.create_queue('linear', retries => 3, retry_delay => '300 milliseconds', backoff => 'linear');
    SELECT pgqueue.create_queue('quadratic', retries => 3, retry_delay => '200 milliseconds', backoff => 'quadratic');
    SELECT pgqueue.create_queue('fixed', retries => 3, retry_delay => '400 milliseconds', backoff => 'fixed');
    SELECT pgqueue.create_queue('jitter', retries => 1, retry_delay => '1 s', retry_jitter => 0.5);
    SELECT pgqueue.create_queue('never', retries => 0);
    SQL
my $failing = task('exponential', q{SELECT nextval('tried'); SELECT 1/0});
ok(wait_for($node, 'postgres', <<~"SQL", 'retry|1|division by zero|22012|', 10),
    SELECT status, attempt, error, error_code, finished_at FROM pgqueue.task WHERE id = $failing
    SQL
    'A13: after the first failure the task waits for its retry, with its error');
is(sql(<<~"SQL"), '00:00:02', 'A13: until retry_delay after the failure');
    SELECT t.delayed_at - a.finished_at FROM pgqueue.task t
    JOIN pgqueue.task_attempt a ON a.task_id = t.id
    WHERE t.id = $failing
    SQL
task($_, 'SELECT 1/0') for 'capped', 'linear', 'quadratic', 'fixed', 'never';
sql(q{SELECT count(pgqueue.create_task('jitter', command => 'SELECT 1/0')) FROM generate_series(1, 200)});

# A run limit ends an attempt, with the normal retries.
sql(<<~'SQL');
    SELECT pgqueue.create_queue('limited', retries => 1, retry_delay => '50 milliseconds',
        run_limit => '300 milliseconds')
    SQL
my $long = task('limited', 'SELECT pg_sleep(60)');
my $short = task('limited', 'SELECT pg_sleep(0.6)', "run_limit => '1 minute'");
ok(wait_for($node, 'postgres', <<~"SQL", 'failed|2|PQ105', 20), 'run limit: the attempt fails and is retried');
    SELECT status, attempt, error_code FROM pgqueue.task WHERE id = $long
    SQL
is(sql(<<~"SQL"), '2', 'run limit: each attempt ends at it');
    SELECT count(*) FROM pgqueue.task_attempt
    WHERE task_id = $long AND outcome = 'failed' AND finished_at - started_at BETWEEN '0.3 s' AND '0.8 s'
    SQL
ok(wait_for($node, 'postgres', "SELECT status FROM pgqueue.task WHERE id = $short", 'released', 10),
    'run limit: that of the task goes before that of the queue');

# So does the end of its time, without a retry: whatever is first.
my $dies = task('limited', 'SELECT pg_sleep(60)', "ttl => '1 s', run_limit => '1 minute', priority => 1");
ok(wait_for($node, 'postgres', <<~"SQL", 'expired|1|PQ106', 20),
    SELECT status, attempt, error_code FROM pgqueue.task WHERE id = $dies
    SQL
    'C43: a task that runs at its dies_at is stopped and has expired');
is(sql(<<~"SQL"), 't', 'C43: at that moment, and its attempt says so');
    SELECT t.finished_at - t.dies_at BETWEEN '0' AND interval '5 s' AND a.outcome = 'expired' AND a.error_code = 'PQ106'
    FROM pgqueue.task t
    JOIN pgqueue.task_attempt a ON a.task_id = t.id
    WHERE t.id = $dies
    SQL
my $limited = task('limited', 'SELECT pg_sleep(60)',
    "ttl => '30 s', run_limit => '200 ms', retries => 0, priority => 1");
ok(wait_for($node, 'postgres', "SELECT status, error_code FROM pgqueue.task WHERE id = $limited", 'failed|PQ105', 20),
    'C43: a run limit within the ttl comes first');

all_done('A15');
# Each wait between two attempts: as long as the row said, and not noticeably longer.
my $waits = <<~'SQL';
    SELECT a.queue, a.task_id, b.attempt, b.started_at - a.finished_at AS waited FROM pgqueue.task_attempt a
    JOIN pgqueue.task_attempt b ON b.task_id = a.task_id AND b.attempt = a.attempt + 1
    SQL
my %expected = (
    exponential => '2 4', capped => '1 1.2', linear => '0.3 0.6 0.9', quadratic => '0.2 0.8 1.8',
    fixed => '0.4 0.4 0.4', never => '',
);
for my $queue (sort keys %expected)
{
    my @seconds = split(/ /, $expected{$queue});
    my @waited = split(/\n/,
        sql("SELECT extract(epoch FROM waited) FROM ($waits) w WHERE queue = '$queue' ORDER BY attempt"));
    is(scalar @waited, scalar @seconds, "A15: $queue: as many retries as set");
    ok($waited[$_] >= $seconds[$_] && $waited[$_] < $seconds[$_] + 0.5,
        "A14, C17: $queue: wait $waited[$_] s after failure " . ($_ + 1)) for 0 .. $#seconds;
    is(sql("SELECT status, attempt, error_code FROM pgqueue.task WHERE queue = '$queue'"),
        'failed|' . (@seconds + 1) . '|22012', "A15: $queue: then it has failed");
}
is(sql(q{SELECT last_value FROM tried}), '3', 'A15: two retries are three attempts');
cmp_ok(sql("SELECT finished_at - created_at >= interval '6 s' FROM pgqueue.task WHERE id = $failing"), 'eq', 't',
    'A14: which take their time');
is(sql(<<~"SQL"), '200|t|t|t|t', 'B14: jitter spreads the retries around the wait');
    SELECT count(*), min(waited) >= interval '0.5 s', max(waited) < interval '10 s',
        max(waited) - min(waited) > interval '0.7 s', avg(waited) BETWEEN '0.85 s' AND '1.25 s'
    FROM ($waits) w
    WHERE queue = 'jitter'
    SQL

# Roles that may not log in take turns on one worker.
set('pgqueue.max_workers', 1);
sql(<<~'SQL');
    CREATE ROLE first_role NOLOGIN;
    CREATE ROLE second_role NOLOGIN;
    GRANT pgqueue_user TO first_role, second_role;
    SELECT pgqueue.grant_namespace('default', 'use', 'public');
    CREATE TABLE ran (role text DEFAULT current_user, session text DEFAULT session_user, n serial);
    GRANT INSERT ON ran TO public;
    GRANT USAGE ON SEQUENCE ran_n_seq TO public;
    SELECT pgqueue.create_queue('turns', retries => 0);
    SELECT pgqueue.pause_queue('turns');
    SQL
sql(<<~"SQL") for 'first_role', 'second_role';
    SET ROLE $_;
    SELECT count(
        pgqueue.create_task('turns', command => 'SELECT pg_sleep(0.01); INSERT INTO public.ran DEFAULT VALUES')
    )
    FROM generate_series(1, 60)
    SQL
sql(q{SELECT pgqueue.resume_queue('turns')});
all_done('turns');
is(sql(<<~'SQL'), 'first_role 60, second_role 60', 'A47: each task ran as its role, which may not log in');
    SELECT string_agg(role || ' ' || n, ', ' ORDER BY role)
    FROM (SELECT role, count(*) AS n FROM ran WHERE role = session GROUP BY 1) r
    SQL
is(sql(<<~'SQL'), 't', 'turns: neither role waits for the end of the other');
    SELECT a.first < b.last AND b.first < a.last
    FROM (SELECT min(n) AS first, max(n) AS last FROM ran WHERE role = 'first_role') a,
        (SELECT min(n) AS first, max(n) AS last FROM ran WHERE role = 'second_role') b
    SQL

# A limit that changes while tasks run and others wait.
set('pgqueue.max_workers', 6);
sql(q{SELECT pgqueue.create_queue('lim', retries => 0, max_running => 2)});
my $gate = session($node);
$gate->query('SELECT pg_advisory_lock(4712)');
sql(<<~'SQL');
    SELECT count(pgqueue.create_task('lim', command => 'SELECT pg_advisory_xact_lock_shared(4712)'))
    FROM generate_series(1, 10)
    SQL
my $running = q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4712 AND NOT granted};
ok(wait_for($node, 'postgres', $running, '2', 20), 'C47: two run');
sql(q{SELECT pgqueue.update_queue('lim', max_running => 4)});
ok(wait_for($node, 'postgres', $running, '4', 20), 'C47: four run after the limit was raised');
sql(q{SELECT pgqueue.update_queue('lim', max_running => 1)});
# Each takes a lock that only one can have; a second one at the same time would fail.
sql(<<~'SQL');
    SELECT count(
        pgqueue.create_task('lim',
            command => 'DO $$BEGIN
                IF NOT pg_try_advisory_xact_lock(4713) THEN RAISE ''two run at once''; END IF;
                PERFORM pg_sleep(0.003);
            END$$')
    )
    FROM generate_series(1, 30)
    SQL
$gate->query('SELECT pg_advisory_unlock(4712)');
all_done('C47');
is(sql(q{SELECT status, count(*), min(error) FROM pgqueue.task WHERE queue = 'lim' GROUP BY 1}), 'released|40|',
    'C47: a smaller limit holds for what starts then');
$gate->close;

my ($out, $err) = ('', '');
$node->psql('postgres',
    q{SET client_min_messages = 'debug1'; SELECT pgqueue.create_task('never', command => 'SELECT 1')}, stdout => \$out,
    stderr => \$err);
like($out, qr/^\d+$/, 'K17: an enqueue answers with the id');
is($err, '', 'K17: and with nothing else');
all_done('K17');

counters_right($node, 'postgres', 'after all that');
$node->stop;
done_testing();
