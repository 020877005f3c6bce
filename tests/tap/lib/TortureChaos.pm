package TortureChaos;
# What tests/tap/090_torture.pl does to the server under load. It crashes nothing: a restart would repair memory and
# hide what is wrong. Every action ends by itself; `restore` puts back what is left. The seed decides what happens; the
# moment decides to whom it happens.
use strict;
use warnings;
use Exporter 'import';
use Fcntl;
use PgQueue;
use POSIX ();
use Time::HiRes qw(sleep time);

our @EXPORT = qw(chaos_kinds);

sub chaos_kinds { return sort keys %{ actions() }; }

# node, db, disk (a folder on a small file system or undef), say (a function for notes).
sub new
{
    my ($class, %o) = @_;
    my $self = bless { %o, background => {}, did => {}, prepared => {} }, $class;
    $self->{session} = session($o{node}, $o{db});
    $self->{session}->query("SET application_name = 'chaos'; SET lock_timeout = '3 s'; SET statement_timeout = '60 s'");
    return $self;
}

sub query { my ($self, $sql) = @_; return $self->{session}->query($sql); }
sub one_of { return $_[rand @_]; }

# A psql of its own for what takes a while; not too many at a time.
sub later
{
    my ($self, @sql) = @_;
    $self->reap(3);
    my $pid = fork() // die "fork: $!";
    if ($pid == 0)
    {
        open(STDOUT, '>', '/dev/null');
        open(STDERR, '>>', "$self->{folder}/chaos");
        my @settings = ("SET application_name = 'chaos'", "SET lock_timeout = '3 s'");
        no warnings 'exec';
        exec('psql', '-Xq', '-d', $self->{node}->connstr($self->{db}), map { ('-c', $_) } @settings, @sql);
        POSIX::_exit(1);
    }
    $self->{background}{$pid} = join('; ', @sql);
    return;
}

# Waits until at most so many are at work.
sub reap
{
    my ($self, $most) = @_;
    wait_until(sub {
        for my $pid (keys %{ $self->{background} })
        {
            delete $self->{background}{$pid} if waitpid($pid, POSIX::WNOHANG()) != 0;
        }
        return scalar(keys %{ $self->{background} }) <= $most;
    }) or die 'what the torture began does not end: ' . join('; ', values %{ $self->{background} });
    return;
}

# ===== who it happens to =====

my %types = (
    client => 'client backend',
    worker => 'pgqueue worker',
    scheduler => 'pgqueue scheduler',
    housekeeper => 'pgqueue housekeeper',
    launcher => 'pgqueue launcher',
);

sub where
{
    my ($kind) = @_;
    return "backend_type = '$types{$kind}'" . ($kind eq 'client' ? " AND application_name = 'load'" : '');
}
# Ends what one process does, or the process.
sub signal
{
    my ($self, $call, $condition) = @_;
    my $place = int(rand(64));
    my $condition_of_b = $condition =~ s/\ba\./b./gr;
    $self->query(<<~"SQL");
        SELECT $call(pid)
        FROM (
            SELECT pid FROM pg_stat_activity a
            WHERE $condition
            ORDER BY pid
            OFFSET $place % greatest(1, (SELECT count(*) FROM pg_stat_activity b WHERE $condition_of_b))
            LIMIT 1
        ) v
        SQL
    return;
}
sub interrupt { return one_of('pg_cancel_backend', 'pg_terminate_backend'); }

# A pass of the housekeeper that has begun.
sub housekeep
{
    my ($self) = @_;
    $self->later(
        one_of(
            'SELECT pgqueue_internal.clean(1048576, clock_timestamp())',
            "SELECT pgqueue.fire_ticker('cleanup', namespace => 'pgqueue')"));
    return;
}
# Waits a moment until somebody is there.
sub soon
{
    my ($self, $condition) = @_;
    my $end = time() + 0.5;
    while (time() < $end)
    {
        return 1 if $self->query("SELECT EXISTS (SELECT FROM pg_stat_activity a WHERE $condition)") eq 't';
    }
    return 0;
}

my @tables = (
    qw(queue queue queue namespace namespace_grant role ring dedup dependency batch_member handler ticker ticker_state),
    'archive', (map { ("segment_$_") x 2 } 0 .. 5), map { "outcome_$_" } 0 .. 3);
# A strong lock for a while, or what takes one.
sub lock_table
{
    my ($self, $table, $ms) = @_;
    my $how = one_of(('LOCK') x 5, 'VACUUM', 'CLUSTER', 'ALTER', 'REINDEX');
    $table = "pgqueue_internal.$table";
    # The client sleeps: pg_sleep lasts by the wall clock, which the torture sets back by more than that.
    my $wait = '\\! sleep ' . $ms / 1000;
    return $self->later("VACUUM FULL $table") if $how eq 'VACUUM';
    my $target = one_of(2032, 2040);
    my $what = {
        LOCK => "LOCK TABLE $table IN ACCESS EXCLUSIVE MODE",
        CLUSTER => "LOCK TABLE $table IN SHARE ROW EXCLUSIVE MODE",
        ALTER => "ALTER TABLE $table SET (toast_tuple_target = $target)",
        REINDEX => "REINDEX TABLE $table",
    }->{$how};
    return $self->later('BEGIN', $what, $wait, 'COMMIT');
}

sub fill_disk
{
    my ($self, $code) = @_;
    return unless $self->{disk};
    sysopen(my $out, "$self->{disk}/filler", O_WRONLY | O_CREAT | O_APPEND) or die "$self->{disk}: $!";
    my $room = 1 << 20;
    while ($room >= 1 << 12) { my $n = syswrite($out, "\0" x $room); $room >>= 1 unless defined $n && $n == $room; }
    $code->();
    close($out);
    unlink("$self->{disk}/filler") or die "filler: $!";
    return;
}

# pg_sleep lasts by the wall clock. One that looked at it while it was a day behind would sleep for a day: a signal
# wakes it, and it looks again. One that began while it was a day ahead has its end there: it is cancelled.
sub end_long_sleeps
{
    my ($self) = @_;
    $self->query(<<~'SQL');
        SELECT pg_cancel_backend(pid) FROM pg_stat_activity
        WHERE query LIKE '%pg_sleep%' AND query_start > clock_timestamp() AND pid <> pg_backend_pid()
        SQL
    kill('USR1', split /\n/, $self->query(q{SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'}));
    return;
}

# ===== what happens =====

sub setting { my ($self, $name, $value) = @_; $self->query("ALTER SYSTEM SET $name = '$value'"); return; }
sub reload { my ($self) = @_; $self->query('SELECT pg_reload_conf()'); return; }

my @settings = (
    sub { ('pgqueue.max_workers', one_of(0, 1, 3, 6)) },
    sub { ('pgqueue.max_workers_per_role', one_of(0, 1, 2)) },
    sub { ('pgqueue.tickers', one_of('on', 'off')) },
    sub { ('pgqueue.notify_interval', one_of(-1, 0, 10)) },
    sub { ('pgqueue.attempt_history', one_of(0, 1, 10)) },
    sub { ('pgqueue.worker_idle_timeout', one_of('0', '50 ms', '1 min')) },
    sub { ('pgqueue.segment_size', one_of('1MB', '2MB', '16MB')) },
    sub { ('pgqueue.enabled', one_of('off', 'on', 'on')) },
    sub { ('pgqueue.log_tasks', one_of('none', 'all')) },
);

# kind => [weight, code].
sub actions
{
    return {
        client      => [ 10, sub { my ($c) = @_; $c->signal(interrupt(), where('client')) for 0 .. rand(4); } ],
        worker      => [ 6, sub { my ($c) = @_; $c->signal(interrupt(), where('worker')) for 0 .. rand(3); } ],
        scheduler   => [ 2, sub { my ($c) = @_; $c->signal(interrupt(), where('scheduler')); } ],
        housekeeper => [ 3, sub { my ($c) = @_;
            $c->housekeep;
            $c->signal(interrupt(), where('housekeeper')) if $c->soon(where('housekeeper'));
        } ],
        launcher    => [ 1, sub { my ($c) = @_; $c->signal(interrupt(), where('launcher')); } ],
        pass        => [ 4, sub { my ($c) = @_; $c->housekeep; } ],
        lock        => [ 6, sub { my ($c) = @_; $c->lock_table(one_of(@tables), 5 + int(rand(300))); } ],
        # Somebody is interrupted while he waits for a lock.
        waiting     => [ 8, sub { my ($c) = @_;
            my $kind = one_of(qw(client client client worker scheduler housekeeper housekeeper));
            my $table = one_of(@tables);
            $table = one_of('queue', 'namespace', $table) if $kind eq 'housekeeper';
            $c->lock_table($table, 400);
            $c->housekeep if $kind eq 'housekeeper';
            my $condition = where($kind) . " AND a.wait_event_type = 'Lock'";
            return unless $c->soon($condition);
            $c->signal(interrupt(), $condition) for 0 .. rand(3);
        } ],
        # A worker ends while somebody has the row of its task. Only a retained row is taken:
        # whoever pops a waiting one that is locked without our knowledge drops its hint.
        row         => [ 3, sub { my ($c) = @_;
            my $of_worker = 'a.' . where('worker');
            my $held = <<~"SQL";
                FROM pgqueue.task t
                JOIN pg_stat_activity a USING (pid)
                WHERE t.status = 'retained' AND $of_worker
                SQL
            my $id = $c->query("SELECT t.id $held ORDER BY random() LIMIT 1");
            return unless $id =~ /^\d+$/;
            my $lock = "WHERE id = $id AND status = 2 FOR UPDATE SKIP LOCKED";
            $c->query(join('; ', 'BEGIN', map { "SELECT FROM pgqueue_internal.segment_$_ $lock" } 0 .. 5));
            $c->query("SELECT pg_terminate_backend(a.pid) $held AND t.id = $id");
            sleep(rand(0.4));
            $c->query('ROLLBACK');
        } ],
        setting     => [ 5, sub { my ($c) = @_; $c->setting(one_of(@settings)->()); $c->reload; } ],
        stop        => [ 1, sub { my ($c) = @_;
            my $call = one_of("stop_workers(timeout => '10 ms')", 'ensure_workers()', 'ensure_workers()');
            $c->query("SELECT pgqueue.$call");
        } ],
        disk        => [ 2, sub { my ($c) = @_;
            $c->fill_disk(
                sub {
                    for (0 .. 2 + rand(6))
                    {
                        $c->signal('pg_terminate_backend', where(one_of(qw(worker worker client))));
                        sleep(rand(0.1));
                    }
                });
        } ],
        clock       => [ 2, sub { my ($c) = @_;
            set_clock($c->{node}, one_of(86400, 86400, -86400, 5, -5, 0.2));
            sleep(rand(0.3));
            set_clock($c->{node}, 0);
            $c->end_long_sleeps;
        } ],
        nothing     => [ 1, sub { } ],
        checkpoint  => [ 1, sub { my ($c) = @_; $c->query('CHECKPOINT'); } ],
    };
}

# The disk is to be full now and then, not for good: a round ends when the load has made so much.
my $most_bytes = 150 * 1024 * 1024;
sub has_room
{
    my ($self) = @_;
    return !$self->{disk} || $self->query("SELECT pg_database_size(current_database()) < $most_bytes") eq 't';
}

# Runs for so many seconds, or until the load has made too much. only: kinds of actions, all but `row` when it is empty.
sub run
{
    my ($self, $seconds, @only) = @_;
    my $actions = actions();
    my @wheel = map { ($_) x $actions->{$_}[0] } @only ? @only : grep { $_ ne 'row' } sort keys %$actions;
    my $end = time() + $seconds;
    while (time() < $end && $self->has_room)
    {
        my $kind = one_of(@wheel);
        $self->{did}{$kind}++;
        $actions->{$kind}[1]->($self);
        $self->refuse_prepared;
        sleep(rand(0.15));
    }
    return;
}

# W3: nothing that did work of ours may be prepared. It is rolled back, or it would hold all others up.
sub refuse_prepared
{
    my ($self) = @_;
    for my $gid (split /\n/, $self->query("SELECT gid FROM pg_prepared_xacts WHERE gid LIKE 'ours%'"))
    {
        $self->{prepared}{$gid} = 1;
        $self->query("ROLLBACK PREPARED '$gid'");
    }
    return;
}

# What is not of ours may be prepared, and its session may have ended before it could commit it. Only when the load has
# stopped.
sub end_prepared
{
    my ($self) = @_;
    $self->refuse_prepared;
    $self->query("ROLLBACK PREPARED '$_'") for split /\n/, $self->query('SELECT gid FROM pg_prepared_xacts');
    return;
}

# As if nothing had happened, but for what the server remembers.
sub restore
{
    my ($self) = @_;
    $self->reap(0);
    set_clock($self->{node}, 0);
    $self->end_long_sleeps;
    $self->query('ALTER SYSTEM RESET ALL');
    $self->reload;
    $self->query('SELECT pgqueue.ensure_workers()');
    $self->query(<<~'SQL');
        SELECT pgqueue.update_namespace(namespace, paused => false, max_running => 0)
        FROM pgqueue.namespace
        WHERE namespace IN ('a', 'b')
        SQL
    $self->query('SELECT pgqueue.resume_queue(queue, namespace => namespace) FROM pgqueue.queue WHERE paused');
    $self->query("DELETE FROM pgqueue.ticker WHERE namespace <> 'pgqueue'");
    return;
}

1;
