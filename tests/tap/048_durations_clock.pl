# W7: what lasts within a life of the server is measured by the monotonic clock, so a wall clock that is set back or
# forward by a day changes nothing of it: rate limits of queues and groups, aging, run limits, tasks that were put off,
# roles whose worker could not start, idle workers, NOTIFY. The end of a task's ttl is a time of the calendar: it counts
# as the clock shows it, also for a task that runs.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

my $day = 86400;
my @conf = (
    'log_statement = none',
    'max_worker_processes = 20',
    'max_prepared_transactions = 1',
    'pgqueue.max_workers = 10',
    'pgqueue.log_tasks = all',
    # A worker that tells what its task costs looks at the clock every second.
    'pgqueue.track_costs = off',
    'pgqueue.worker_idle_timeout = 3s',
    'pgqueue.notify_interval = 3s',
);
my $node = new_node('durations', clock => 1, conf => join("\n", @conf));

sub sql { return $node->safe_psql('postgres', @_); }
sub now { return clock_gettime(CLOCK_MONOTONIC); }

sub queue
{
    my ($name, $more) = @_;
    $more = $more ? ", $more" : '';
    return sql("SELECT FROM pgqueue.create_queue('$name', ttl => '0', retries => 0$more)");
}

sub task
{
    my ($queue, $what, $more) = @_;
    $more = $more ? ", $more" : '';
    return sql("SELECT pgqueue.create_task('$queue', '\"$what\"'$more)");
}

sub command
{
    my ($queue, $command, $more, $role) = @_;
    $more = $more ? ", $more" : '';
    $role = $role ? "SET ROLE $role;" : '';
    return sql("$role SELECT pgqueue.create_task('$queue', command => \$\$$command\$\$$more)");
}

# Takes a task of the queue and releases it: its payload.
sub work
{
    my ($queue) = @_;
    return sql(<<~"SQL");
        WITH t AS MATERIALIZED (SELECT * FROM pgqueue.next_task('w', '$queue'))
        SELECT payload #>> '{}' FROM t WHERE pgqueue.release_task(id, receipt) IS NOT NULL
        SQL
}

sub work_soon
{
    my ($queue, $expected, $name) = @_;
    my $got = '';
    wait_until(sub { $got = work($queue); $got ne '' }, 25);
    return is($got, $expected, $name);
}

sub there
{
    my ($sql, $expected, $name, $time) = @_;
    return ok(wait_for($node, 'postgres', $sql, $expected, $time // 25), $name);
}

sub becomes
{
    my ($id, $expected, $name, $time) = @_;
    return there("SELECT concat_ws(' ', status, error_code) FROM pgqueue.task WHERE id = $id", $expected, $name, $time);
}

sub running
{
    my ($id, $name) = @_;
    return there("SELECT count(*) FROM pgqueue.worker WHERE task_id = $id AND state = 'running'", '1', $name);
}

sub heard { my ($s) = @_; return wait_until(sub { $s->query('SELECT 1') =~ /payload "heard"/ }, 25); }

# Has the worker of a task look at its limits now; by itself it does so once a minute.
sub poke
{
    my ($id) = @_;
    kill('USR2', sql("SELECT pid FROM pgqueue.worker WHERE task_id = $id"));
    return;
}

queue('rate', 'rate_limit => 0.2');
queue('group_rate', 'group_rate_limit => 0.2');
queue('aging', "aging => '1 minute'");
queue('aged', "aging => '100 ms'");
queue($_) for qw(held held_command heard commands);
sql(<<~'SQL');
    CREATE ROLE refused LOGIN;
    CREATE ROLE idle LOGIN;
    GRANT pgqueue_user TO refused, idle;
    SELECT pgqueue.grant_namespace('default', 'use', r) FROM unnest('{refused,idle}'::name[]) r;
    REVOKE CONNECT ON DATABASE postgres FROM PUBLIC;
    GRANT CONNECT ON DATABASE postgres TO idle;
    CREATE TABLE ran (what text)
    SQL
my $listener = session($node);
$listener->query('LISTEN pgqueue_default');
my $soon = "BETWEEN clock_timestamp() - interval '10 min' AND clock_timestamp() + interval '1 s'";
my $loop = q{FROM pgqueue.health WHERE problem = 'crash_loop' AND message ~ '"refused"'};

# What a step of the clock meets, and what becomes of it.
sub through_a_step
{
    my ($step, $name) = @_;

    # A role that may not connect: its workers end before they begin, and it waits longer and longer.
    my $refused = command('commands', 'SELECT 1', '', 'refused');
    there("SELECT count(*) $loop", '1', "$name: a role is refused");
    # Tasks whose rows are in somebody's hands, so that their groups wait and look again.
    my $held = task('held', 'h', "group_key => 'g'");
    sql(q{SELECT pgqueue.pause_queue('held_command')});
    my $held_command = command('held_command', q{INSERT INTO ran VALUES ('held')}, "group_key => 'g'");
    my $holder = session($node);
    $holder->query('BEGIN');
    $holder->query("SELECT FROM pgqueue_internal.segment_$_ WHERE id IN ($held, $held_command) FOR UPDATE") for 0 .. 5;
    sql(q{SELECT pgqueue.resume_queue('held_command')});
    is(work('held'), '', "$name: a head that is locked is not to be had");
    # Ready tasks that gain by waiting.
    task($_, 'early', 'priority => 110') for 'aging', 'aged';
    task($_, 'early group', "priority => 111, group_key => 'e'") for 'aging', 'aged';
    my $aged_at = now();
    ok(wait_until(sub { now() > $aged_at + 3 }), "$name: some seconds pass");
    # A word to those who listen.
    task('heard', 'one');
    ok(heard($listener), "$name: NOTIFY for a queue");
    my $heard_at = now();
    task('group_rate', $_, "group_key => 'g'") for 'g1', 'g2';
    task('rate', 'r1');
    my $waiting = task('rate', 'r2');
    # Commands: one after which its worker is idle, one with a run limit and a timeout of its own, two with a ttl.
    becomes(command('commands', 'SELECT 1', '', 'idle'), 'released', "$name: a worker is about to be idle");
    my $limits_at = now();
    my $limited = command('commands', q{SET statement_timeout = '2 min'; SELECT pg_sleep(3); SELECT pg_sleep(120)},
        "run_limit => '12 s'");
    my $dies = command('commands', 'SELECT pg_sleep(600)', $step > 0 ? "ttl => '1 hour'" : "ttl => '12 s'");
    my $dies_too = command('commands', 'SELECT pg_sleep(600)', "ttl => '1 hour'");
    running($_, "$name: a command with a limit runs") for $limited, $dies, $dies_too;
    # Tokens that are used up.
    work_soon('group_rate', 'g1', "$name: a task uses up the token of its group");
    my $group_at = now();
    work_soon('rate', 'r1', "$name: and one that of its queue");
    my $rate_at = now();
    is(work('rate'), '', "$name: there is no other");

    set_clock($node, $step);
    note(sprintf('%.1f s after the limits began, %.1f s after a token', now() - $limits_at, now() - $rate_at));

    my $next = sql(<<~"SQL");
        SELECT ready_at BETWEEN clock_timestamp() AND clock_timestamp() + interval '5 s'
        FROM pgqueue.why($waiting) WHERE reason = 'rate_limit'
        SQL
    like($next, qr/^t?$/, "$name: why() says when the next token comes, if it has not come");
    is(sql("SELECT count(*) FROM pgqueue.worker WHERE kind = 'server' AND NOT since $soon"), '0',
        "$name: view worker says since when, by the clock as it is now");
    is(sql("SELECT since $soon $loop"), 't', "$name: and view health still knows of the role");
    task($_, 'late group', "priority => 99, group_key => 'l'") for 'aging', 'aged';
    task($_, 'late', 'priority => 100') for 'aging', 'aged';
    is(join(', ', map { work('aging') } 1 .. 4), 'late group, late, early, early group',
        "$name: nothing gains a priority by it");
    is(join(', ', map { work('aged') } 1 .. 4), 'early, early group, late group, late',
        "$name: or loses what it has gained");
    work_soon('rate', 'r2', "$name: a queue with a rate limit goes on");
    cmp_ok(now() - $rate_at, '>=', 4.2, "$name: not before it has a token");
    work_soon('group_rate', 'g2', "$name: a group with a rate limit goes on");
    cmp_ok(now() - $group_at, '>=', 4.2, "$name: not before it has a token");
    task('heard', 'two');
    ok(heard($listener), "$name: the next NOTIFY comes");
    cmp_ok(now() - $heard_at, '>=', 2.5, "$name: not before notify_interval is over");
    $holder->query('COMMIT');
    $holder->close;
    work_soon('held', 'h', "$name: a group whose head was locked goes on");
    becomes($held_command, 'released', "$name: and one of commands");
    becomes($limited, 'failed PQ105', "$name: the run limit ends a command");
    cmp_ok(now() - $limits_at, '>=', 11.9, "$name: not before its time");
    there(q{SELECT count(*) FROM pgqueue.worker WHERE role = 'idle'}, '0', "$name: an idle worker leaves");
    sql('GRANT CONNECT ON DATABASE postgres TO refused');
    becomes($refused, 'released', "$name: a role that is not refused any more gets its worker", 60);
    sql('REVOKE CONNECT ON DATABASE postgres FROM refused');
    there(q{SELECT count(*) FROM pgqueue.worker WHERE role = 'refused'}, '0', "$name: and gives it up again");
    return ($dies, $dies_too, $limits_at);
}

# Forward: a time of the calendar that has passed ends a task that runs.
my ($dies, $dies_too, $then) = through_a_step($day, 'a day forward');
poke($dies);
becomes($dies, 'expired PQ106', 'a day forward: the ttl of a command that runs is over');
becomes($dies_too, 'expired PQ106', 'a day forward: that is seen within a minute', 75);

# Back again, by a day: it has not come yet, until the clock shows it.
($dies, $dies_too, $then) = through_a_step(0, 'a day back');
ok(wait_until(sub { now() > $then + 14 }), 'a day back: the ttl of a command would be over');
is(sql("SELECT string_agg(status, ' ') FROM pgqueue.task WHERE id IN ($dies, $dies_too)"), 'retained retained',
    'a day back: it goes on');
set_clock($node, $day);
poke($dies);
becomes($dies, 'expired PQ106', 'a day back: until the clock shows its time');
is(sql("SELECT pgqueue.cancel_task($dies_too)"), 'retained', 'a signal is still one to cancel');
becomes($dies_too, 'cancelled 57014', 'and does');
my @durations = slurp_file($node->logfile) =~ /task_id=\d+ .* duration=(-?\d+) us/g;
cmp_ok(scalar @durations, '>', 5, 'the log tells how long tasks ran');
is(scalar(grep { $_ < 0 || $_ > 600e6 } @durations), 0, 'as long as they did');

# Tickers: with a clock behind the start of the server their slots are not missed.
set_clock($node, -$day);
kill('HUP', pid_of($node, 'pgqueue launcher'));
sql(q{SELECT pgqueue.create_ticker('beat', 'heard', period => '1 second', misfire => 'skip')});
there(q{SELECT count(*) >= 2 FROM pgqueue.ticker_run WHERE ticker = 'beat' AND outcome = 'fired'}, 't',
    'a clock behind the start of the server: tickers fire');
sql(q{DELETE FROM pgqueue.ticker WHERE ticker = 'beat'});

# Suspects run one at a time: the other one looks again until it may. What they wait for survives the crash, and is no
# pg_sleep, which follows the wall clock.
set_clock($node, 0);
sql(q{CREATE TABLE gate (); BEGIN; LOCK TABLE gate; PREPARE TRANSACTION 'gate'});
command('commands', "SELECT count(*) FROM gate -- $_") for 1, 2;
there(q{SELECT count(*) FROM pgqueue.worker WHERE command LIKE '%gate%'}, '2', 'two commands run');
kill9($node, sql(q{SELECT min(pid) FROM pgqueue.worker WHERE command LIKE '%gate%'}));
wait_up($node);
my $suspects = q{SELECT string_agg(status, ' ' ORDER BY status) FROM pgqueue.task WHERE command LIKE '%gate%'};
there($suspects, 'retained retry', 'after a crash only one of the suspects runs', 30);
set_clock($node, -$day);
sql(q{COMMIT PREPARED 'gate'});
there($suspects, 'released released', 'a day back: the other one follows');

# The server brings back a launcher that has ended by the wall clock: not when the clock is set back in between.
my $launchers = q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pgqueue launcher'};
set_clock($node, $day);
sql(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'pgqueue launcher'});
there($launchers, '0', 'a launcher is terminated');
set_clock($node, 0);
there(q{SELECT hint FROM pgqueue.health WHERE problem = 'disabled'}, 'SELECT pgqueue.ensure_workers();',
    'a day back: health says that there is none');
sql('SELECT pgqueue.ensure_workers()');
there($launchers, '1', 'ensure_workers starts one');
becomes(command('commands', 'SELECT 1'), 'released', 'and tasks run');
there(q{SELECT count(*) FROM pgqueue.health WHERE problem = 'disabled'}, '0', 'health is content');
$node->append_conf('postgresql.conf', 'log_min_messages = debug1');
$node->reload;
set_clock($node, $day + 5);
ok(wait_until(sub { slurp_file($node->logfile) =~ /pgqueue launcher.*exited with exit code 0/ }, 90),
    q{the server's own leaves again});
is(sql($launchers), '1', 'there is one launcher');
set_clock($node, 0);
counters_right($node, 'postgres', 'after all steps');
$node->stop('fast');
done_testing();
