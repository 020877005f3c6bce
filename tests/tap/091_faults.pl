# Every allocation, table, look-up, row lock and interrupt point of ours fails once (src/pg/fault.hpp), in each call
# that users can make and in each process of pgqueue: with an error, a cancel, or the end of the process. The call fails
# or succeeds as a whole, the session goes on, and in the end the invariants hold.
#   PGQUEUE_FAULTS_STEP  every which point, from a random one on; 1 is all of them (make check-faults); default 97
#   PGQUEUE_FAULTS_SEED  chooses the points
#   PGQUEUE_FAULTS       only these themes, calls or processes (separated by commas), with the invariants after each
#                        point
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Faults;
use PgQueue;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $step = $ENV{PGQUEUE_FAULTS_STEP} // 97;
my $seed = $ENV{PGQUEUE_FAULTS_SEED} // int(time() * 1000) % 1_000_000_000;
my %only = map { $_ => 1 } split /,/, $ENV{PGQUEUE_FAULTS} // '';
srand($seed);
note("PGQUEUE_FAULTS_SEED=$seed PGQUEUE_FAULTS_STEP=$step");

my $node = new_node('faults',
    conf => join("\n", 'log_statement = none', 'log_min_messages = log', 'max_prepared_transactions = 2',
        'pgqueue.segment_size = 1MB', 'pgqueue.max_workers = 2', 'pgqueue.log_tasks = none', 'pgqueue.max_crashes = 0',
        'autovacuum = off', "log_line_prefix = '%m [%p] %b %e '"));
my $db = 'postgres';
sub sql { return $node->safe_psql($db, @_); }
make_ledger($node, $db);
sql(fault_setup());
sql("SELECT pgqueue.create_ticker('t', 'tick', cron => '\@daily', command => 'SELECT 1')");

my ($session, $points, $met) = (undef, 0, 0);
sub wanted { my (@names) = @_; return !%only || grep { $only{$_} } @names; }
# What the session says; undefined when it has been ended.
sub say_to
{
    my ($sql) = @_;
    $session //= session($node, $db);
    my $said = eval { $session->query($sql) };
    undef $session unless defined $said;
    return $said;
}

# Makes one call with a fault at its n-th point; returns whether it came to that point.
sub call
{
    my ($call, $kind, $n) = @_;
    my ($name, $before, $sql) = @$call;
    # A meta-command ends with its line.
    say_to("$before\n") if $before ne '';
    sql("SELECT pgqueue.update_queue('other', description => random()::text)") if $name =~ /stale/;
    say_to("SELECT fault('session', '$kind', $n)");
    my $said = say_to($sql);
    my $came = defined $said ? say_to('ROLLBACK;SELECT fault_met()') =~ /^t$/m : 1;
    $points++;
    $met++ if $came;
    # What is said is the fault, or nothing: some errors are not the caller's.
    my $may_be = qr/out\ of\ memory|canceling\ statement|0A000|cannot\ PREPARE|current\ transaction\ is\ aborted
        |no\ transaction|"p"\ does\ not\ exist|savepoint\ "\w"\ does\ not\ exist/x;
    my @wrong = grep { /ERROR|PANIC|WARNING.*(leak|referenced)/ && !/$may_be/ } split /\n/, $said // '';
    fail("$name, $kind at point $n: $_") for @wrong;
    # The session goes on, with all of the catalog.
    my $probe = say_to("SELECT pgqueue.create_task('other', '1') > 0, count(*) FROM pgqueue.queue") // 'gone';
    like($probe, qr/^t\|\d+$/, "$name, $kind at point $n: the session goes on") unless $probe =~ /^t\|\d\d$/;
    return $came;
}

sub end_session { $session->close if $session; undef $session; return; }
sub at_rest { my ($what) = @_; end_session(); return check_invariants($node, $db, $what, 30); }

sub crashed
{
    return slurp_file($node->logfile) =~ /PANIC|terminated by signal|TRAP:|could not find block|pfree called/;
}

my $calls = fault_calls();
THEME: for my $theme (sort keys %$calls)
{
    my $before = $points;
    for my $kind (qw(error cancel terminate))
    {
        my ($first, $began) = ($points, time());
        end_session();
        for my $call (@{ $calls->{$theme} })
        {
            next unless wanted($theme, $call->[0]);
            for (my $n = 1 + int(rand($step)); call($call, $kind, $n); $n += $step)
            {
                at_rest("$call->[0], $kind at point $n") if %only;
                last THEME unless Test::More->builder->is_passing;
            }
        }
        note(sprintf('%s, %s: %d calls, %.1f s', $theme, $kind, $points - $first, time() - $began)) if $points > $first;
    }
    next if $points == $before;
    at_rest($theme) or last THEME;
}
cmp_ok($met, '>', 0, 'there were faults') unless %only && !$points;

# The same in the processes of pgqueue, while they have all that they ever have to do.
my ($work, $left) = fault_places();
for my $process (qw(worker scheduler housekeeper launcher))
{
    next unless wanted($process) && Test::More->builder->is_passing;
    for my $kind (qw(error cancel terminate))
    {
        my ($n, $faults, $began) = (1 + int(rand($step)), 0, time());
        end_session();
        for (;; $n += $step)
        {
            say_to("SELECT fault('$process', '$kind', $n)");
            say_to($work);
            $node->reload if $process eq 'launcher';
            if (!wait_for($node, $db, $left, '0', 180))
            {
                fail("$process, $kind at point $n: the work is done");
                my $why = q{(SELECT string_agg(w::text, ' ') FROM pgqueue.why(t.id) w)};
                diag(sql($left =~ s/count\(\*\) FROM pgqueue.task/t, $why FROM pgqueue.task t/r));
                last;
            }
            last unless say_to('SELECT fault_met()') eq 't';
            $faults++;
            at_rest("$process, $kind at point $n") if %only;
        }
        note(sprintf('%s, %s: %d faults, up to point %d, %.1f s', $process, $kind, $faults, $n, time() - $began));
    }
    at_rest($process) or last;
}
ok(!crashed(), 'the server has not crashed');
diag("PGQUEUE_FAULTS_SEED=$seed PGQUEUE_FAULTS_STEP=$step") unless Test::More->builder->is_passing;
$node->stop('immediate');
done_testing();
