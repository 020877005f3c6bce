# Processes that nobody needs leave, and a process that is refused says so seldom. Faults W9 and W11.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = new_node('leave', conf => "log_statement = none\nmax_worker_processes = 24");
sub sql { return $node->safe_psql('postgres', @_); }

# W11: a session that waits ends when its client is gone, and is no waiter any more.
sql(q{SELECT pgqueue.create_queue('empty'), pgqueue.create_queue('stuck')});
my $id = sql(q{SELECT pgqueue.create_task('stuck', command => 'SELECT pg_sleep(600)')});
wait_for($node, 'postgres', "SELECT status FROM pgqueue.task WHERE id = $id", 'retained');
my $payload = sql(q{SELECT pgqueue.create_task('stuck', '{}')});
my %waiting = (
    wait_for_task => "CALL pgqueue.wait_for_task('{empty}', '10 min', NULL, NULL)",
    wait_for_result => "CALL pgqueue.wait_for_result($payload, '10 min', NULL, NULL, NULL, NULL)",
    stop_workers => "SELECT pgqueue.stop_workers(timeout => '10 min')",
);
my $waiters = q{SELECT used FROM pgqueue.memory WHERE kind = 'waiters' AND namespace IS NULL};
for my $what (sort keys %waiting)
{
    my $session = session($node);
    my $pid = $session->query('SELECT pg_backend_pid()');
    $session->send($waiting{$what});
    my $state = "SELECT state || ' ' || wait_event_type FROM pg_stat_activity WHERE pid = $pid";
    ok(wait_for($node, 'postgres', $state, 'active Extension', 20)
        || wait_for($node, 'postgres', $state, 'active Client', 1), "W11: $what waits");
    is(sql($waiters), $what eq 'wait_for_task' ? '1' : '0', "W11: $what: waiters are counted");
    $session->{run}->signal('KILL');
    ok(wait_for($node, 'postgres', "SELECT count(*) FROM pg_stat_activity WHERE pid = $pid", '0', 20),
        "W11: $what ends with its client");
    is(sql($waiters), '0', "W11: $what: it is no waiter any more");
    # A client that stays sees no difference: the call ends by itself, and the next ones are answered.
    my $patient = session($node);
    my $call = $waiting{$what} =~ s/10 min/300 ms/r;
    unlike($patient->query($call), qr/ERROR/, "W11: $what of a client that stays ends at its time-out")
        unless $what eq 'stop_workers';
    is($patient->query('SELECT 1'), '1', "W11: $what: the session goes on");
}
# It has also stopped the workers of the database.
sql('SELECT pgqueue.ensure_workers()');
sql("SELECT pgqueue.cancel_task($id, force => true)");

# W9: a database is dropped at once while its workers idle, and while they start.
my @roles = map { "r$_" } 1 .. 6;
sql(join(';', map { "CREATE ROLE $_ LOGIN IN ROLE pgqueue_user" } @roles));
sub make_database
{
    my ($name) = @_;
    sql("CREATE DATABASE $name");
    $node->safe_psql($name, q{CREATE EXTENSION pgqueue; SELECT pgqueue.create_queue('q')});
    $node->safe_psql($name, join(';', map { "SELECT pgqueue.grant_namespace('default', 'use', '$_')" } @roles));
    # Its scheduler is at work then.
    $node->safe_psql($name, q{SELECT pgqueue.create_task('q', command => 'SELECT 0')});
    wait_for($node, $name, 'SELECT status FROM pgqueue.task', 'released');
    return;
}
# Every role has a task, which a worker of its own runs.
my $work = join(';', map { <<~"SQL" } @roles);
    SET SESSION AUTHORIZATION $_;
    SELECT pgqueue.create_task('q', command => 'SELECT 1');
    RESET SESSION AUTHORIZATION
    SQL
# The median of several times, since a single one may be bad luck.
sub middle { my @sorted = sort { $a <=> $b } @_; return $sorted[@sorted / 2]; }
my (@idle, @starting);
for my $i (1 .. 3)
{
    make_database('d');
    $node->safe_psql('d', $work);
    wait_for($node, 'd', q{SELECT count(*) FROM pgqueue.worker WHERE state = 'idle'}, 1 + @roles);
    my $begin = time();
    sql('DROP DATABASE d');
    push @idle, time() - $begin;
}
# The server itself waits for 5 s.
cmp_ok(middle(@idle), '<', 4, 'W9: DROP DATABASE while its workers are idle');
for my $i (1 .. 3)
{
    make_database('d');
    my ($inside, $lock, $drop, $look) = map { session($node, $_) } qw(d postgres postgres postgres);
    $_->query('SELECT 1') for $inside, $drop, $look;
    # Where each new process reads its settings.
    $lock->query('BEGIN; LOCK TABLE pg_db_role_setting IN ACCESS EXCLUSIVE MODE');
    $inside->query($work);
    my $waiting = "SELECT count(*) FROM pg_locks WHERE relation = 'pg_db_role_setting'::regclass AND NOT granted";
    ok(wait_until(sub { $look->query($waiting) >= @roles }, 20), 'W9: workers start');
    $inside->close;
    my $clients = q{SELECT count(*) FROM pg_stat_activity WHERE datname = 'd' AND backend_type = 'client backend'};
    wait_until(sub { $look->query($clients) eq '0' });
    my $pid = $drop->query('SELECT pg_backend_pid()');
    my $begin = time();
    $drop->send('DROP DATABASE d');
    # It needs the table itself, when nobody is there any more.
    ok(wait_until(sub { $look->query("$waiting AND pid = $pid") eq '1' }, 20), 'W9: they leave');
    push @starting, time() - $begin;
    $lock->query('ROLLBACK');
    is($drop->query(q{SELECT count(*) FROM pg_database WHERE datname = 'd'}), '0', 'W9: the database is dropped');
}
cmp_ok(middle(@starting), '<', 4, 'W9: DROP DATABASE while its workers start');
note("idle: @idle, starting: @starting");
ok(wait_for($node, 'postgres', <<~'SQL', '0'), 'W9: nobody is left behind');
    SELECT count(*) FROM pg_stat_activity
    WHERE backend_type ~ '^pgqueue' AND backend_type <> 'pgqueue launcher' AND datname <> 'postgres'
    SQL
sql(q{SELECT pgqueue.create_task('empty', command => 'SELECT 2')});
ok(wait_for($node, 'postgres', q{SELECT status FROM pgqueue.task WHERE command = 'SELECT 2'}, 'released'),
    'W9: the others go on');

# W9: on a full disk a process that is refused again and again writes a line, then fewer and fewer. Here the table of
# tasks cannot grow.
sql(<<~'SQL');
    SELECT pgqueue.create_queue('many', retries => 10, retry_delay => '100 ms', backoff => 'fixed');
    SELECT pgqueue.pause_queue('many')
    SQL
my $filler = 'x' x 900;
sql(<<~"SQL");
    SELECT count(*)
    FROM pgqueue.create_tasks('many', commands => ARRAY(SELECT '/* $filler */ SELECT 3' FROM generate_series(1, 22000)))
    SQL
my $segment = sql('SELECT slot FROM pgqueue_internal.ring WHERE current AND slot < 4');
my $size = sql("SELECT pg_relation_size('pgqueue_internal.segment_$segment')");
cmp_ok($size, '>', 20_000_000, 'W9: the table is larger than any other file that the server must write');
my ($postmaster) = split(/\n/, slurp_file($node->data_dir . '/postmaster.pid'));
sub limit_files
{
    my ($limit) = @_;
    my @children = split(/\s+/, slurp_file("/proc/$postmaster/task/$postmaster/children"));
    system('prlimit', '--pid', $_, "--fsize=$limit:unlimited") for $postmaster, @children;
    return;
}
sub lines { return scalar(() = slurp_file($node->logfile, $_[0]) =~ /LOG: .*pgqueue \w+ could not/g); }
limit_files($size);
my $begin = -s $node->logfile;
sql(q{SELECT pgqueue.resume_queue('many')});
ok(wait_until(sub { lines($begin) > 0 }, 30), 'W9: what does not work is in the log');
my $until = time() + 5;
wait_until(sub { time() > $until });
my $lines = lines($begin);
cmp_ok($lines, '<', 150, 'W9: a few lines for each process');
limit_files('unlimited');
ok(wait_for($node, 'postgres', <<~'SQL', '22000', 120), 'W9: all tasks run when there is room again');
    SELECT count(*) FROM pgqueue.task WHERE queue = 'many' AND status = 'released'
    SQL
counters_right($node, 'postgres', 'W9');
note("$lines lines: " . join("\n", slurp_file($node->logfile, $begin) =~ /LOG: .*pgqueue \w+ could not.*/g));
$node->stop;

# W9: more databases than process slots: no scheduler starts or ends while there is nothing to do.
$node = new_node('slots', conf => "log_statement = none\nlog_min_messages = debug1\nmax_worker_processes = 4");
my @databases = map { "db$_" } 1 .. 5;
for my $db (@databases)
{
    sql("CREATE DATABASE $db");
    $node->safe_psql($db, <<~'SQL');
        CREATE EXTENSION pgqueue;
        SELECT pgqueue.create_queue('q');
        SELECT pgqueue.create_task('q', command => 'SELECT 1')
        SQL
}
ok(wait_for($node, $_, 'SELECT status FROM pgqueue.task', 'released', 60), "W9: $_ has its turn") for @databases;
sub starts
{
    return scalar(() = slurp_file($node->logfile, $_[0]) =~ /starting background worker process "pgqueue scheduler"/g);
}
# Workers idle out, the last schedulers find a place.
my $calm = 0;
ok(wait_until(
        sub {
            my $from = -s $node->logfile;
            my $end = time() + 6;
            wait_until(sub { time() > $end });
            $calm = starts($from) == 0;
            return $calm;
        },
        40),
    'W9: then schedulers neither start nor end');

done_testing();
