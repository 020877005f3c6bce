# A fuzzer of the SQL surface: several roles and sessions make random calls of every function, change every view and run
# hostile task SQL, with cancels and terminations (tests/fuzz). Nothing crashes, no call waits without end, each error
# says something to a user, and afterwards the invariants hold.
#   PGQUEUE_FUZZ_SECONDS  length, default 20, in rounds with the invariants after each
#   PGQUEUE_FUZZ_SEED     repeats what the sessions do
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib", "$FindBin::Bin/../fuzz";
use FuzzLoad;
use LoadSessions;
use PgQueue;

use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);
use TortureChaos;

my $seconds = $ENV{PGQUEUE_FUZZ_SECONDS} // 20;
# Without a length (make check) it is the same each time.
my $seed = $ENV{PGQUEUE_FUZZ_SEED} // (defined $ENV{PGQUEUE_FUZZ_SECONDS} ? int(time() * 1000) % 1_000_000_000 : 7);
# Every session ends a statement after 2 s. One that is at work much longer does not listen to that.
my $deadline = 30;
srand($seed);
note("PGQUEUE_FUZZ_SEED=$seed PGQUEUE_FUZZ_SECONDS=$seconds");

# Of a build with the undefined-behaviour sanitizer: what it finds ends the process.
local $ENV{UBSAN_OPTIONS} = 'halt_on_error=1:abort_on_error=1:print_stacktrace=1';
my $node = new_node('fuzz', extension => 0,
    conf => join("\n", 'log_statement = none', 'log_min_messages = warning', 'log_min_error_statement = panic',
        "log_line_prefix = '%m [%p] %b %e '", 'max_connections = 40', 'max_prepared_transactions = 4',
        'deadlock_timeout = 100ms', 'pgqueue.segment_size = 1MB', 'pgqueue.max_workers = 6', 'pgqueue.log_tasks = none',
        q(pg_background_queue.topic_config = '{"red": {"priority": 5, "max_parallel_running_tasks_count": 2}}'),
        'pgqueue.max_crashes = 3'));
my $db = 'fuzz';
sub sql { return $node->safe_psql($db, @_); }
$node->safe_psql('postgres', "CREATE DATABASE $db");
sql('CREATE EXTENSION pgqueue; CREATE SCHEMA drop_in; CREATE EXTENSION pg_background_queue SCHEMA drop_in');
sql(fuzz_setup());
my $surface = read_surface(\&sql);
cmp_ok(scalar(keys %{ $surface->{routines} }), '>', 50, 'every function and procedure is called');
cmp_ok(scalar(keys %{ $surface->{views} }), '>', 10, 'every view is read and written');

# What is at work for too long, by whom it is held up.
sub stuck
{
    my ($chaos) = @_;
    return grep { $_ ne '' } split /\n/, $chaos->query(<<~"SQL");
        SELECT format('%s %s waits for %s %s, held up by %s: %s', backend_type, pid, wait_event_type, wait_event,
            pg_blocking_pids(pid), left(replace(query, E'\\n', ' '), 300))
        FROM pg_stat_activity
        WHERE application_name = 'load' AND state = 'active'
            AND query_start < clock_timestamp() - interval '$deadline s'
        SQL
}

# The server must never say these; the processes that run no SQL of users have no errors at all.
sub server_faults
{
    my $fault =
        qr/PANIC|terminated\ by\ signal|TRAP:|runtime\ error:|Assertion|could\ not\ find\ block|pfree\ called
        |still\ referenced|refcount\ leak|[ ]XX\d\d\d[ ]
        |pgqueue\ (?:scheduler|housekeeper|launcher)\ \w{5}\ (?:ERROR|FATAL)/x;
    return grep { $_ =~ $fault } split /\n/, slurp_file($node->logfile);
}
# Errors of tasks that are ours, not of their SQL.
sub task_faults
{
    return split /\n/, sql(<<~'SQL');
        SELECT DISTINCT format('%s: %s: %s', o.error_code, o.error, t.command)
        FROM pgqueue_internal.outcome o
        JOIN pgqueue_internal.segment t USING (id)
        WHERE o.error_code LIKE 'XX%' LIMIT 20
        SQL
}

# The sessions for so many seconds; now and then some are cancelled or terminated. Returns what was stuck.
sub fuzz
{
    my ($folder, $n, $length) = @_;
    my $chaos = TortureChaos->new(node => $node, db => $db, folder => $folder);
    start_fuzz($node, $db, seed => $seed + 100_000 * $n, folder => $folder, surface => $surface);
    my ($end, @stuck) = (time() + $length);
    until (@stuck || time() > $end)
    {
        $chaos->run(0.2, qw(client worker nothing));
        $chaos->query('SELECT pgqueue.ensure_workers()') if rand() < 0.2;
        sleep(rand(1.5));
        @stuck = stuck($chaos);
    }
    stop_sessions();
    push @stuck, 'sessions do not end', stuck($chaos) unless wait_until(\&sessions_stopped, $deadline + 10);
    $chaos->{session}->close;
    note(join(' ', map { "$_ $chaos->{did}{$_}" } sort keys %{ $chaos->{did} }));
    return @stuck;
}

# Nothing is made any more, nothing is held back. What still runs in the server is cancelled: its SQL may fail and be
# tried again for ever.
sub settle
{
    my ($n) = @_;
    my $done = eval {
        sql(<<~'SQL');
            SET statement_timeout = '60 s';
            DELETE FROM pgqueue.ticker WHERE namespace <> 'pgqueue';
            SELECT pgqueue.ensure_workers();
            SELECT pgqueue.update_namespace(namespace, paused => false, max_running => 0, max_depth => 0)
            FROM pgqueue.namespace
            WHERE namespace <> 'pgqueue';
            SELECT pgqueue.resume_queue(queue, namespace => namespace) FROM pgqueue.queue WHERE paused;
            SELECT pgqueue.update_queue(queue, max_running => 0, rate_limit => 0, group_rate_limit => 0,
                namespace => namespace)
            FROM pgqueue.queue
            WHERE namespace <> 'pgqueue'
            SQL
        1;
    };
    is($done ? '' : $@, '', "round $n: whatever was made can be managed");
    my $cancel = <<~'SQL';
        SELECT count(pgqueue.cancel_task(t.id, force => t.status = 'retained'))
        FROM pgqueue.task t JOIN pgqueue.queue q USING (namespace, queue)
        WHERE t.status IN ('new', 'retry', 'retained') AND (t.command IS NOT NULL OR q.executor = 'server')
        SQL
    ok(wait_until(sub { sql($cancel) eq '0' }, $deadline), "round $n: what runs in the server can be cancelled");
    # A task of a superuser may have stopped them meanwhile.
    sql('SELECT pgqueue.ensure_workers()');
    return;
}

# Tasks of each role are done: those in the server by its workers, the others by whoever asks.
sub goes_on
{
    my ($n) = @_;
    sql(q{SELECT pgqueue.create_namespace('canary'), pgqueue.create_queue('q', namespace => 'canary')});
    for my $role (qw(postgres fz_use fz_owner fz_admin))
    {
        sql("SELECT pgqueue.grant_namespace('canary', 'use', '$role')");
        my $id = sql("SET ROLE $role; SELECT pgqueue.create_task('q', command => 'SELECT 1', namespace => 'canary')");
        my $done = wait_for($node, $db, "SELECT status FROM pgqueue.task WHERE id = $id", 'released', $deadline);
        ok($done, "round $n: a task of $role is done") || diag(sql("SELECT * FROM pgqueue.why($id)"));
    }
    return;
}

sub round
{
    my ($n, $length) = @_;
    my $folder = PostgreSQL::Test::Utils::tempdir();
    my @stuck = fuzz($folder, $n, $length);
    note(fuzz_counts($folder));
    note(sql(<<~'SQL'));
        SELECT string_agg(status || ' ' || count, ' ' ORDER BY count DESC)
        FROM (SELECT status, count(*) FROM pgqueue.task GROUP BY 1) s
        SQL
    is(join("\n", @stuck), '', "round $n: no call waits without end");
    is(join("\n", server_faults()), '', "round $n: the server says nothing that it must not");
    is(join("\n", fuzz_errors($folder)), '', "round $n: each error has a code of the contract and words for users");
    is(join("\n", task_faults()), '', "round $n: no task has failed by a fault of ours");
    return if @stuck;
    settle($n);
    goes_on($n);
    check_invariants($node, $db, "round $n", 20);
    note(sql(<<~'SQL'));
        SELECT format('%s tasks, %s queues, %s', (SELECT count(*) FROM pgqueue_internal.segment),
            (SELECT count(*) FROM pgqueue.queue), pg_size_pretty(pg_database_size(current_database())))
        SQL
    return;
}

# Rounds keep the disk small: what was made in one is gone in the next.
my $rounds = $seconds < 90 ? 1 : int($seconds / 60);
for my $n (1 .. $rounds)
{
    round($n, $seconds / $rounds);
    last unless Test::More->builder->is_passing;
    sql(<<~'SQL');
        SELECT pgqueue.delete_namespace(namespace, force => true)
        FROM pgqueue.namespace
        WHERE namespace NOT IN ('default', 'pgqueue', 'pg_background_queue');
        SELECT pgqueue.purge_queue(queue, force => true, namespace => namespace)
        FROM pgqueue.queue
        WHERE namespace = 'pg_background_queue';
        DELETE FROM pgqueue.task_archive;
        TRUNCATE fuzz.scratch, fuzz.deferred;
        INSERT INTO fuzz.deferred VALUES (2)
        SQL
}
diag("PGQUEUE_FUZZ_SEED=$seed PGQUEUE_FUZZ_SECONDS=$seconds") unless Test::More->builder->is_passing;
$node->stop('immediate');
done_testing();
