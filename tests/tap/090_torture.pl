# A random load of all kinds from several sessions and roles, and against it all that a server may go through without a
# crash: cancelled and terminated sessions and processes, time limits of milliseconds, strong locks, other settings, a
# full disk, steps of the clock. Then the invariants: nothing lost, nothing stuck, nothing done twice, all places free.
#   PGQUEUE_TORTURE_SECONDS  length, default 40, in rounds of a minute with the invariants after each
#   PGQUEUE_TORTURE_SEED     repeats the sequence of actions
#   PGQUEUE_TORTURE_HOLD     seconds that the server stays for a look when something is broken
#   PGQUEUE_TORTURE          a scenario (below), or words of load and chaos: only those
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;

use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use TortureChaos;
use TortureLoad;

# Faults that were seen, as the load and the chaos that find them at once.
my %scenarios = (
    W1 => 'create later queue_set waiting pass',
    W2 => 'create queue_set queue_make take release hurry',
    W3 => 'create prepare',
    W4 => 'create take release command waiting client lock',
    W5 => 'command create disk worker',
    W6 => 'create command take release cancel update worker waiting lock',
    W7 => 'create command take release clock',
);
my $seconds = $ENV{PGQUEUE_TORTURE_SECONDS} // 40;
my $seed = $ENV{PGQUEUE_TORTURE_SEED} // int(time() * 1000) % 1_000_000_000;
my $words = $ENV{PGQUEUE_TORTURE} // '';
my %only = map { $_ => 1 } split / /, $scenarios{$words} // $words;
my @load = grep { $only{$_} } load_steps();
my @chaos = grep { $only{$_} } chaos_kinds();
delete @only{ @load, @chaos, 'hurry', 'prepare' };
die 'unknown words: ' . join(' ', sort keys %only) . "\n" if %only;
my $all = $words eq '';
my $hurry = $all ? 0.1 : ($scenarios{$words} // $words) =~ /hurry/ ? 0.3 : 0;
my $prepare = $all || ($scenarios{$words} // $words) =~ /prepare/ ? 0.02 : 0;
srand($seed);
note("PGQUEUE_TORTURE_SEED=$seed PGQUEUE_TORTURE_SECONDS=$seconds PGQUEUE_TORTURE='$words'");

my $disk = $ENV{SMALL_DISK};
note('the disk is never full: no small file system could be mounted (tests/run does it as root)') unless $disk;
my $node = new_node('torture', extension => 0, clock => 1,
    conf => join("\n", 'log_statement = none', 'log_min_messages = log', "log_line_prefix = '%m [%p] %b %e '",
        'max_connections = 40', 'max_worker_processes = 16', 'max_prepared_transactions = 8', 'deadlock_timeout = 50ms',
        'pgqueue.segment_size = 1MB', 'pgqueue.max_workers = 4', 'pgqueue.log_tasks = none',
        'autovacuum_naptime = 1s'));
my $db = 'torture';
sub sql { return $node->safe_psql($db, @_); }
if ($disk)
{
    mkdir("$disk/tablespace") or die "$disk: $!";
    $node->safe_psql('postgres', "CREATE TABLESPACE small LOCATION '$disk/tablespace'");
}
$node->safe_psql('postgres', "CREATE DATABASE $db" . ($disk ? ' TABLESPACE small' : ''));
sql('CREATE EXTENSION pgqueue');
make_ledger($node, $db);
sql(load_setup());
my $folder = PostgreSQL::Test::Utils::tempdir();

# What the server must never say, nor a session be told. A line without a time is what a library said before it ended
# the process. With a full disk no process begins, and a worker may give up.
sub faults
{
    my $bad = qr/PANIC|terminated\ by\ signal|TRAP:|could\ not\ find\ block|pfree\ called
        |still\ referenced|refcount\ leak|\ XX\d\d\d\ |^[^\s\d]/x;
    my @said = grep { /$bad/ && !/could not write init file|gives up/ } split /\n/, slurp_file($node->logfile);
    return (@said, load_errors($folder));
}

# Load and chaos for so many seconds. Returns what went wrong on the way, and whether it did not come to its end.
sub torture
{
    my ($n, $length) = @_;
    start_load($node, $db, seed => $seed + 100_000 * $n, folder => $folder, only => \@load, hurry => $hurry,
        prepare => $prepare);
    my $chaos = TortureChaos->new(node => $node, db => $db, disk => $disk, folder => $folder);
    my $done = eval {
        $chaos->run($length, $all ? () : @chaos ? @chaos : 'nothing');
        stop_load();
        $chaos->restore;
        wait_until(\&load_stopped, 60)
            or die 'the sessions do not end: '
            . $chaos->query('SELECT pid, state, wait_event, query FROM pg_stat_activity');
        $chaos->end_prepared;
        1;
    };
    my $end = $done ? '' : $@;
    stop_load();
    my $wrong = $end . join(' ', map { "prepared: $_" } sort keys %{ $chaos->{prepared} });
    note(join(' ', map { "$_ $chaos->{did}{$_}" } sort keys %{ $chaos->{did} }));
    $chaos->{session}->close;
    return ($wrong, $end ne '');
}

sub round
{
    my ($n, $length) = @_;
    my ($wrong, $broken_off) = torture($n, $length);
    is($wrong, '', "round $n, W3: the server goes on, and nothing that did work of ours was prepared");
    is(join("\n", faults()), '', "round $n: nothing but what was to be expected was said");
    return if $broken_off;
    # A queue with few places may have thousands of commands to run.
    check_invariants($node, $db, "round $n, W1 to W7", 120);
    note(sql(<<~'SQL'));
        SELECT format('%s made, %s effects, %s rotations, %s', (SELECT count(*) FROM ledger.made),
            (SELECT count(*) FROM ledger.effect), (SELECT sum(generation) FROM pgqueue_internal.ring),
            pg_size_pretty(pg_database_size(current_database())))
        SQL
    return;
}

# Rounds keep the disk small: what was made in one is gone in the next.
my $end = time() + $seconds;
for (my $n = 1; time() < $end; $n++)
{
    my $left = $end - time();
    round($n, $left < 60 ? $left : 60);
    last unless Test::More->builder->is_passing;
    sql(<<~'SQL');
        SELECT pgqueue.purge_queue(queue, force => true, namespace => namespace)
        FROM pgqueue.queue
        WHERE namespace IN ('a', 'b');
        DELETE FROM pgqueue.task_archive;
        TRUNCATE ledger.made, ledger.effect, ledger.got, ledger.scratch
        SQL
    last if time() >= $end;
    ok(wait_for($node, $db, 'SELECT pg_database_size(current_database()) < 100 * 1024 * 1024', 't', 180),
        "round $n: the disk is small again");
}
diag("PGQUEUE_TORTURE_SEED=$seed PGQUEUE_TORTURE_SECONDS=$seconds PGQUEUE_TORTURE='$words'")
    unless Test::More->builder->is_passing;
if (!Test::More->builder->is_passing && $ENV{PGQUEUE_TORTURE_HOLD})
{
    diag('the server stays for a look: psql -d "' . $node->connstr($db) . '"');
    sleep($ENV{PGQUEUE_TORTURE_HOLD});
}
$node->stop('immediate');
done_testing();
