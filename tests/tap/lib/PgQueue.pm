package PgQueue;
# Nodes with pgqueue preloaded, waiting by condition, kills and a clock that tests can move.
use strict;
use warnings;
use Exporter 'import';
use File::Basename qw(basename dirname);
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use SqlScript ();
use Test::More;
use Time::HiRes qw(sleep time);

our @EXPORT = qw(new_node wait_for wait_until wait_up pid_of pids_of kill9 kill9_postmaster terminate set_clock
  session needs_programs hold_point hold_rebuild pid_at counters_right make_ledger check_invariants take_tasks);

# Makes, starts and returns a node whose database postgres has the extension.
#   conf       further lines of postgresql.conf
#   preload    0: without the library (then without the extension too)
#   extension  0: do not create the extension
#   start      0: only initialise
#   streaming  1: may have standbys
#   clock      1: its wall clock can be moved with set_clock
#   install    folder of another server: the one above its bin
sub new_node
{
    my ($name, %opts) = @_;
    my $node = PgQueue::Node->new($name, $opts{install} ? (install_path => $opts{install}) : ());
    init($node, allows_streaming => $opts{streaming} ? 1 : 0);
    $node->append_conf('postgresql.conf', join("\n", configuration(), $opts{conf} // '', ''));
    $node->append_conf('postgresql.conf', "shared_preload_libraries = 'pgqueue'\n") if $opts{preload} // 1;
    with_clock($node) if $opts{clock};
    return $node unless $opts{start} // 1;
    $node->start;
    $node->safe_psql('postgres', 'CREATE EXTENSION pgqueue') if ($opts{extension} // 1) && ($opts{preload} // 1);
    return $node;
}

# Leaves a test out where programs that it runs are missing: in the chroots of other majors. Elsewhere tests/run has
# installed them, or it fails.
sub needs_programs
{
    my @missing = grep { my $name = $_; !grep { -x "$_/$name" } split(/:/, $ENV{PATH}) } @_;
    plan(skip_all => "not installed: @missing") if @missing && $ENV{PGQUEUE_NO_SETUP};
    return;
}

# Copies the data folder that tests/run has made once; to make it takes initdb more than a second. PostgreSQL 17 does so
# by itself.
sub init
{
    my ($node, @params) = @_;
    my $template = $ENV{INITDB_TEMPLATE};
    return $node->init(@params) if !defined $template || $node->pg_version >= 17;
    my $run = \&PostgreSQL::Test::Utils::system_or_bail;
    no warnings 'redefine';
    local *PostgreSQL::Test::Utils::system_or_bail = sub {
        my ($command, @args) = @_;
        return "@args[0, 2 .. $#args]" eq '-D -A trust -N' && $command eq 'initdb'
            ? $run->('cp', '-a', $template, $args[1]) : $run->(@_);
    };
    return $node->init(@params);
}

# The settings of every node. PostgreSQL::Test::Cluster switches restart_after_crash off; recovery is what we test.
sub configuration
{
    return (
        'fsync = off',
        'max_worker_processes = 16',
        'jit = off',  # it took a third of the tests' time
        'restart_after_crash = on',
        'log_min_messages = debug1',
        'log_statement = all',
        "log_line_prefix = '%m [%p] %b %d: '",
    );
}

sub default_timeout { return $PostgreSQL::Test::Utils::timeout_default // 180; }

# Calls code until it returns true; returns that value, or nothing at the timeout (in seconds).
sub wait_until
{
    my ($code, $timeout) = @_;
    my $end = time() + ($timeout // default_timeout());
    while (1)
    {
        my $value = $code->();
        return $value if $value;
        return if time() > $end;
        sleep 0.05;
    }
}

# Asks until code accepts the answer; returns its last answer and error, and whether it was accepted. One session asks;
# after an error it is another one, as the server may restart.
sub ask_until
{
    my ($node, $db, $sql, $accepts, $timeout) = @_;
    my @statements = SqlScript::statements($sql) or die "only psql can run this: $sql";
    my $limit = default_timeout();
    my $options = join(' ', $ENV{PGOPTIONS} // (), "-c statement_timeout=${limit}s");
    my ($session, $out, $err);
    my $accepted = wait_until(
        sub {
            my $answered = eval {
                $session //= SqlScript->new($node, $db, undef, connect_timeout => $limit, options => $options);
                $out = $session->run(@statements);
                1;
            };
            $err = $answered ? '' : $@;
            return $accepts->($out) if $answered;
            undef $session;
            return;
        },
        $timeout);
    return ($out // '', $err, $accepted);
}

# Waits until a query gives the expected text; an error counts as another value.
sub wait_for
{
    my ($node, $db, $sql, $expected, $timeout) = @_;
    my ($out, $err, $reached) = ask_until($node, $db, $sql, sub { $_[0] eq $expected }, $timeout);
    diag("waited in vain for: $sql\nexpected: $expected\nlast:     $out" . ($err ? "\nerror:    $err" : ''))
      unless $reached;
    return $reached ? 1 : 0;
}

# Waits until the server takes connections.
sub wait_up { my ($node, $timeout) = @_; return wait_for($node, 'postgres', 'SELECT 1', '1', $timeout); }

# Takes and releases so many tasks of a queue, as an outside worker; gives up after a minute.
sub take_tasks
{
    my ($node, $db, $queue, $wanted) = @_;
    return $node->safe_psql($db, <<~"Q");
        DO \$\$DECLARE
            total int := 0;
            n int;
            until timestamptz := clock_timestamp() + interval '60 s';
        BEGIN
            WHILE total < $wanted AND clock_timestamp() < until LOOP
                SELECT count(pgqueue.release_task(t.id, t.receipt)) INTO n
                FROM pgqueue.next_tasks('w', '{$queue}', 500) t;
                total := total + n;
                COMMIT;
                IF n = 0 THEN PERFORM pg_sleep(0.02); END IF;
            END LOOP;
        END\$\$
        Q
}

sub processes_sql
{
    my ($type, $db) = @_;
    my $where = defined $db ? " AND datname = '$db'" : '';
    return "SELECT pid FROM pg_catalog.pg_stat_activity WHERE backend_type = '$type'$where ORDER BY backend_start";
}

# The processes of a backend type, oldest first; of one database when it is given.
sub pids_of
{
    my ($node, $type, $db) = @_;
    return split(/\n/, $node->safe_psql('postgres', processes_sql($type, $db)));
}

# Waits for a process of the type and returns its pid.
sub pid_of
{
    my ($node, $type, $db, $timeout) = @_;
    my ($pids) = ask_until($node, 'postgres', processes_sql($type, $db), sub { $_[0] ne '' }, $timeout);
    my ($pid) = split(/\n/, $pids);
    diag("no process '$type' came") unless $pid;
    return $pid;
}

# A process is gone when it left the process table; a zombie still holds its place there.
sub gone { my ($pid) = @_; return !-e "/proc/$pid"; }

# Sends SIGKILL and waits for the end. The server restarts all processes: call wait_up before the next query.
sub kill9
{
    my ($node, $pid) = @_;
    die "no process to kill" unless $pid;
    kill('KILL', $pid) or die "cannot kill $pid: $!";
    wait_until(sub { gone($pid) }) or die "process $pid survived SIGKILL";
    return;
}

# Ends one server process as pg_terminate_backend does and waits for its end.
sub terminate
{
    my ($node, $pid, $timeout) = @_;
    $node->safe_psql('postgres', "SELECT pg_catalog.pg_terminate_backend($pid)");
    return wait_until(sub { gone($pid) }, $timeout);
}

# Kills the postmaster and waits until it and its children are gone, so that the node can be started again.
sub kill9_postmaster
{
    my ($node) = @_;
    my ($postmaster) = split(/\n/, slurp_file($node->data_dir . '/postmaster.pid'));
    my @children = split(/\s+/, slurp_file("/proc/$postmaster/task/$postmaster/children"));
    $node->kill9;
    for my $pid ($postmaster, @children)
    {
        wait_until(sub { gone($pid) }) or die "process $pid outlives the postmaster";
    }
    return;
}

# Moves the wall clock of a node made with clock => 1: seconds ahead of the real time, negative ones behind it.
sub set_clock
{
    my ($node, $seconds) = @_;
    my $file = $node->{pgqueue_clock} or die 'the node was made without clock => 1';
    # Written in place: the processes have it mapped.
    open(my $out, '+<:raw', $file) or die "$file: $!";
    syswrite($out, pack('q', int($seconds * 1_000_000))) == 8 or die "$file: $!";
    close($out);
    return;
}

# Tests that queue_status says for every queue and status what the rows say, and has a row for each of them.
sub counters_right
{
    my ($node, $db, $what) = @_;
    my $right = wait_for($node, $db, <<~'SQL', '0', 20);
        SELECT count(*)
        FROM (SELECT namespace, queue, status, count FROM pgqueue.queue_status WHERE count <> 0) s
        FULL JOIN (
            SELECT namespace, queue, status, count(*) FROM pgqueue.task GROUP BY 1, 2, 3
        ) t USING (namespace, queue, status)
        WHERE s.count IS DISTINCT FROM t.count
        SQL
    ok($right, "C40: $what: queue_status equals the rows");
    diag($node->safe_psql($db, <<~'SQL')) unless $right;
        SELECT namespace, queue, status, s.count AS counted, t.count AS rows
        FROM pgqueue.queue_status s
        FULL JOIN (
            SELECT namespace, queue, status, count(*) FROM pgqueue.task GROUP BY 1, 2, 3
        ) t USING (namespace, queue, status)
        WHERE s.count <> coalesce(t.count, 0) OR s.count IS NULL
        SQL
    is($node->safe_psql($db, <<~'SQL'), 't', "C40: $what: every queue with every status");
        SELECT (SELECT count(*) FROM pgqueue.queue_status) = 7 * (SELECT count(*) FROM pgqueue.queue)
        SQL
    return;
}

# Makes the tables in which tests prove what their tasks did: tests/lib/ledger.sql.
sub make_ledger
{
    my ($node, $db) = @_;
    $node->safe_psql($db, slurp_file(dirname(__FILE__) . '/../../lib/ledger.sql'));
    return;
}

# Tests the invariants of tests/lib/invariants.sql, which also works off what waits: for the end of a test, when its own
# sessions are closed. What has not come to rest has $timeout seconds after the last change of what is broken, and five
# times that altogether.
sub check_invariants
{
    my ($node, $db, $what, $timeout) = @_;
    $timeout //= 60;
    my $script = slurp_file(dirname(__FILE__) . '/../../lib/invariants.sql');
    my @statements = SqlScript::statements($script =~ s/^\\set QUIET on$//mr);
    my ($broken, $before, $quiet_since) = ('', '', time());
    wait_until(
        sub {
            $broken = eval { SqlScript->new($node, $db)->run(@statements) } // "no answer: $@";
            $quiet_since = time() if $broken ne $before;
            $before = $broken;
            return $broken eq '' || time() > $quiet_since + $timeout;
        },
        5 * $timeout);
    ok($broken eq '', "$what: the invariants hold");
    diag($broken, "\n", server_state($node, $db)) if $broken ne '';
    return $broken eq '';
}

# What a person would ask first when something is stuck: what ails it, its processes, the places of workers.
sub server_state
{
    my ($node, $db) = @_;
    my (undef, $out, $err) = $node->psql($db, <<~'SQL');
        SELECT 'health', h FROM pgqueue.health h;
        SELECT 'process', pid, backend_type, usename, state, wait_event_type, wait_event, backend_start, left(query, 80)
        FROM pg_stat_activity WHERE backend_type LIKE 'pgqueue%' OR datname = current_database();
        SELECT 'worker', w FROM pgqueue.worker w
        SQL
    return "$out\n$err";
}

# A psql that stays connected: $s->query($sql) returns the unaligned output, $s->send($sql) does not wait, $s->close
# ends it.
sub session { my ($node, $db) = @_; return PgQueue::Session->new($node, $db // 'postgres'); }

# Lets every process of ours stop at a test point until the session ends or unlocks.
sub hold_point
{
    my ($session, $point) = @_;
    $session->query("SELECT pg_advisory_lock(28785, hashtext('$point'))");
    return;
}

# Stops the server in this mode and starts it; its scheduler then has the snapshot of its first rebuild and waits until
# the session that is returned ends.
sub hold_rebuild
{
    my ($node, $db, $mode) = @_;
    $node->append_conf('postgresql.conf', 'pgqueue.enabled = off');
    $node->stop($mode);
    $node->start;
    my $holder = session($node, $db);
    hold_point($holder, 'scheduler-rebuild');
    $node->append_conf('postgresql.conf', 'pgqueue.enabled = on');
    $node->reload;
    ok(pid_at($node, $db, 'scheduler-rebuild', 30), 'a rebuild has its snapshot');
    return $holder;
}

# Waits until a process stands at a test point and returns its pid (in scalar context: the first one's).
sub pid_at
{
    my ($node, $db, $point, $timeout) = @_;
    my $sql = <<~"SQL";
        SELECT pid FROM pg_catalog.pg_locks
        WHERE locktype = 'advisory' AND classid = 28785 AND objsubid = 2 AND NOT granted
            AND objid = (hashtext('$point')::int8 & 4294967295)::oid
        ORDER BY pid
        SQL
    my @pids = split(/\n/, (ask_until($node, $db, $sql, sub { $_[0] ne '' }, $timeout))[0]);
    diag("nobody came to $point") unless @pids;
    return wantarray ? @pids : $pids[0];
}

# Lets every start of the node preload the clock shim.
sub with_clock
{
    my ($node) = @_;
    my $file = $node->basedir . '/clock';
    open(my $out, '>:raw', $file) or die "$file: $!";
    print $out pack('q', 0);
    close($out);
    $node->{pgqueue_clock} = $file;
    $ENV{CLOCK_SHIM} or die 'CLOCK_SHIM must name the library; tests/run builds it';
    bless $node, 'PgQueue::ClockNode';
    return;
}

package PgQueue::Session;
use Time::HiRes ();

sub new
{
    my ($class, $node, $db) = @_;
    my $self = bless {in => '', out => '', err => '', marks => 0}, $class;
    my @psql = ('psql', '-XqAt', '-v', 'ON_ERROR_STOP=0', '-d', $node->connstr($db), '-f', '-');
    $self->{run} = IPC::Run::start(\@psql, '<', \$self->{in}, '>', \$self->{out}, '2>', \$self->{err},
        IPC::Run::timer(PgQueue::default_timeout()));
    return $self;
}

sub send
{
    my ($self, $sql) = @_;
    $self->{in} .= "$sql;\n";
    $self->{run}->pump_nb;
    return;
}

# What the session printed up to now, after everything that was sent is done: output, and errors and notices.
sub answer
{
    my ($self, $sql) = @_;
    my $mark = 'mark-' . ++$self->{marks};
    $self->{in} .= "$sql;\n\\echo $mark\n\\warn $mark\n";
    my $end = Time::HiRes::time() + PgQueue::default_timeout();
    until ($self->{out} =~ /^$mark\n/m && $self->{err} =~ /^$mark\n/m)
    {
        die "the session is gone: $self->{err}" unless $self->{run}->pumpable;
        die "no answer to: $sql" if Time::HiRes::time() > $end;
        $self->{run}->pump;
    }
    my ($out, $err) = ($self->{out}, $self->{err});
    $self->{out} = $self->{err} = '';
    s/^$mark\n//m for $out, $err;
    chomp $out;
    return ($out, $err);
}

# The same in one text; errors begin with ERROR.
sub query
{
    my ($self, $sql) = @_;
    my ($out, $err) = $self->answer($sql);
    $err =~ s/^.*?ERROR:/ERROR:/ms;
    chomp(my $text = $out ne '' && $err ne '' ? "$out\n$err" : $out . $err);
    return $text;
}

# Ends the session in the usual way.
sub quit
{
    my ($self) = @_;
    $self->{in} .= "\\q\n";
    eval { $self->{run}->finish; 1 } or return;
    return;
}

# Ends the session, also one whose server is gone.
sub close
{
    my ($self) = @_;
    eval { $self->{run}->kill_kill(grace => 1); 1 } or return;
    return;
}

sub DESTROY { my ($self) = @_; local ($@, $?); $self->close; return; }

package PgQueue::Node;
use Carp ();
our @ISA = ('PostgreSQL::Test::Cluster');

# Runs the script in a new session of this process, or in psql where only psql can.
sub safe_psql
{
    my ($self, $db, $sql, %params) = @_;
    my ($option, $role, @more) = @{ $params{extra_params} // [] };
    my $known = !(grep { $_ ne 'extra_params' } keys %params) && (!defined $option || ($option eq '-U' && !@more));
    my @statements = $known ? SqlScript::statements($sql) : ();
    return $self->SUPER::safe_psql($db, $sql, %params) unless @statements;
    return eval { SqlScript->new($self, $db, $role)->run(@statements) }
      // Carp::croak("error running SQL: '$@'\nwith sql '$sql'");
}

package PgQueue::ClockNode;
our @ISA = ('PgQueue::Node');

for my $method (qw(start restart))
{
    no strict 'refs';
    *$method = sub {
        my ($self, @args) = @_;
        local $ENV{LD_PRELOAD} = $ENV{CLOCK_SHIM};
        local $ENV{CLOCK_SHIM_FILE} = $self->{pgqueue_clock};
        my $super = "SUPER::$method";
        return $self->$super(@args);
    };
}

1;
