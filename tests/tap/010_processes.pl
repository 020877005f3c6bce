# The processes: who runs, what starts and ends them, several databases, DROP and the like of databases in use,
# settings, restarts, a server without the library. B46, B47, C42, K04, K18, A01, A31, A35, A40, A46.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = new_node('processes', conf => "log_statement = none\npgqueue.max_workers = 4");
sub sql { return $node->safe_psql('postgres', @_); }
sub in_db { return $node->safe_psql(@_); }

my $make = <<~'SQL';
    CREATE EXTENSION pgqueue;
    SELECT pgqueue.create_queue('q', retries => 1, retry_delay => '10 milliseconds')
    SQL
sub task
{
    my ($db, $command, $more) = @_;
    return in_db($db, "SELECT pgqueue.create_task('q', command => \$c\$$command\$c\$" . ($more ? ", $more)" : ')'));
}
sub status
{
    my ($db, $id, $expected) = @_;
    return wait_for($node, $db, "SELECT status FROM pgqueue.task WHERE id = $id", $expected, 20);
}
sub settle
{
    my ($db) = @_;
    return wait_for($node, $db, 'SELECT count(*) FROM pgqueue.task WHERE finished_at IS NULL', '0', 20);
}

# Waits until a task runs and returns the process that runs it.
sub runner
{
    my ($db, $id) = @_;
    wait_for($node, $db, "SELECT count(*) FROM pgqueue.worker WHERE task_id = $id AND state = 'running'", '1', 20);
    return in_db($db, "SELECT pid FROM pgqueue.worker WHERE task_id = $id");
}
sub set { my (@settings) = @_; sql("ALTER SYSTEM SET $_") for @settings; $node->reload; return; }
sub count_of { my ($type) = @_; return scalar(() = pids_of($node, "pgqueue $type")); }
my $started = sql('SELECT pg_postmaster_start_time()');

# Who is there.
sql(q{SELECT pgqueue.create_queue('q', retries => 1, retry_delay => '10 milliseconds')});
status('postgres', task('postgres', 'SELECT 1'), 'released');
is(sql(<<~'SQL'), 'pgqueue launcher, pgqueue scheduler postgres, pgqueue worker postgres',
    SELECT string_agg(DISTINCT concat_ws(' ', backend_type, datname), ', ')
    FROM pg_stat_activity WHERE backend_type LIKE 'pgqueue%'
    SQL
    'K04: launcher, scheduler and worker by fixed types');
my $named = $node->pg_version >= 17;
ok(wait_for($node, 'postgres', <<~'SQL',
    SELECT string_agg(concat_ws(' ', backend_type, wait_event_type, wait_event), ', ' ORDER BY backend_type)
    FROM pg_stat_activity WHERE backend_type LIKE 'pgqueue%'
    SQL
        join(', ', map { "pgqueue $_->[0] Extension " . ($named ? $_->[1] : 'Extension') }
            ['launcher', 'PgqueueLauncher'], ['scheduler', 'PgqueueScheduler'], ['worker', 'PgqueueWorkerIdle']), 10),
    'K04: they wait under names of their own where the server has such names');
my $id = task('postgres', 'SELECT pg_sleep(600) /* seen */');
my $pid = runner('postgres', $id);
is(sql("SELECT backend_type, state, query, usename FROM pg_stat_activity WHERE pid = $pid"),
    'pgqueue worker|active|SELECT pg_sleep(600) /* seen */|postgres',
    'A35: the running SQL is the query of its worker');

# Cancel and terminate.
sql("SELECT pg_cancel_backend($pid)");
ok(wait_for($node, 'postgres', <<~"SQL", 'retained|2|57014', 20),
    SELECT status, attempt, error_code FROM pgqueue.task WHERE id = $id
    SQL
    'A40: pg_cancel_backend fails the attempt, and the task is tried again by its rules');
sql("SELECT pg_cancel_backend(" . runner('postgres', $id) . ')');
ok(status('postgres', $id, 'failed'), 'A40: until it has no retries left');
is(sql("SELECT error, attempt FROM pgqueue.task WHERE id = $id"), 'canceling statement due to user request|2',
    'A40: the row says why');

sql('CREATE TABLE gate (a int); CREATE SEQUENCE runs');
$id = task('postgres', <<~'SQL');
    SELECT nextval('runs');
    SELECT pg_sleep(CASE WHEN EXISTS (SELECT FROM gate) THEN 0 ELSE 60 END)
    SQL
$pid = runner('postgres', $id);
sql('INSERT INTO gate VALUES (1)');
ok(terminate($node, $pid, 10), 'A40: pg_terminate_backend ends the worker');
ok(status('postgres', $id, 'released'), 'A40: its task is run again and finished');
is(sql(<<~"SQL"), '2|2|lost 57P01', 'A40: the lost attempt is on record');
    SELECT attempt, (SELECT last_value FROM runs),
        (SELECT concat_ws(' ', outcome, error_code) FROM pgqueue.task_attempt WHERE task_id = id AND attempt = 1)
    FROM pgqueue.task
    WHERE id = $id
    SQL

for my $type ('launcher', 'scheduler')
{
    $id = task('postgres', 'SELECT 1', q{delay => '300 milliseconds'});
    $pid = pid_of($node, "pgqueue $type");
    terminate($node, $pid, 10);
    ok(wait_for($node, 'postgres', <<~"SQL", '1', 10), "K04: a terminated $type comes back");
        SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pgqueue $type' AND pid <> $pid
        SQL
    ok(status('postgres', $id, 'released'), "K04: and a task that became due meanwhile is run ($type)");
}
is(count_of('scheduler'), 1, 'K04: still one scheduler');
is(sql('SELECT pg_postmaster_start_time()'), $started, 'K04: the server has not restarted');

# A second start finds the places taken. Another launcher does not touch the running scheduler; another scheduler exits.
my $scheduler = pid_of($node, 'pgqueue scheduler');
terminate($node, pid_of($node, 'pgqueue launcher'), 10);
ok(wait_for($node, 'postgres', <<~'SQL', '1', 10), 'B47: another launcher');
    SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pgqueue launcher'
    SQL
sql('SELECT pgqueue.ensure_workers(), pgqueue.adopt()') for 1 .. 5;
is(join(' ', pids_of($node, 'pgqueue scheduler')), $scheduler, 'B47: the scheduler that was there is the only one');
is(count_of('launcher'), 1, 'B47: and one launcher');

# Settings by reload.
set('pgqueue.enabled = off');
ok(wait_for($node, 'postgres', <<~'SQL', '0', 20), 'pgqueue.enabled = off: scheduler and workers end');
    SELECT count(*) FROM pg_stat_activity WHERE backend_type IN ('pgqueue scheduler', 'pgqueue worker')
    SQL
$id = task('postgres', 'SELECT 1');
is(sql(q{SELECT string_agg(problem || ' ' || (since > now() - interval '1 minute'), ',') FROM pgqueue.health
    WHERE problem <> 'same_failure'}), 'disabled true',
    'pgqueue.enabled = off: health says so');
is(count_of('worker') . sql("SELECT status FROM pgqueue.task WHERE id = $id"), '0new',
    'pgqueue.enabled = off: nothing starts');
set('pgqueue.enabled = on');
ok(status('postgres', $id, 'released'), 'pgqueue.enabled = on: what waited is run, without a call');

set('pgqueue.max_workers = 0');
ok(wait_for($node, 'postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pgqueue worker'}, '0', 20),
    'pgqueue.max_workers = 0: idle workers leave');
my $gate = session($node);
$gate->query('SELECT pg_advisory_lock(1)');
task('postgres', 'SELECT pg_advisory_xact_lock_shared(1)') for 1 .. 5;
is(count_of('worker'), 0, 'pgqueue.max_workers = 0: none starts');
set('pgqueue.max_workers = 2');
my $at_gate = <<~'SQL';
    SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 0 AND objid = 1 AND NOT granted
    SQL
ok(wait_for($node, 'postgres', $at_gate, '2', 20), 'pgqueue.max_workers = 2: two tasks run');
is(count_of('worker'), 2, 'pgqueue.max_workers = 2: and no third worker is there');
set('pgqueue.max_workers = 4');
ok(wait_for($node, 'postgres', $at_gate, '4', 20), 'pgqueue.max_workers = 4: four tasks run');
set('pgqueue.max_workers = 1');
$gate->query('SELECT pg_advisory_unlock(1)');
ok(settle('postgres'), 'pgqueue.max_workers = 1: all tasks end');
ok(wait_for($node, 'postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pgqueue worker'}, '1', 20),
    'pgqueue.max_workers = 1: the others leave');
# How many there are: half of the process slots by default, never a number that means nothing.
is(sql(q{SELECT boot_val, min_val FROM pg_settings WHERE name = 'pgqueue.max_workers'}), '-1|-1',
    'C42: the number of workers is automatic by default');
$gate->query('SELECT pg_advisory_lock(1)');
my @waiting = map { task('postgres', 'SELECT pg_advisory_xact_lock_shared(1)') } 1 .. 10;
set('pgqueue.max_workers = -1');
ok(wait_for($node, 'postgres', $at_gate, '8', 20), 'C42: which is half of max_worker_processes');
is(count_of('worker'), 8, 'C42: and no more');
$gate->query('SELECT pg_advisory_unlock(1)');
ok(settle('postgres'), 'C42: all tasks end');
for my $wrong ('max_workers = -2', q{max_workers = 'many'}, 'max_workers = 257', 'max_workers_per_role = -1',
    q{worker_idle_timeout = '-1 ms'}, 'max_crashes = -1', q{notify_interval = '-2 ms'}, q{dispatch_memory = '1 kB'})
{
    like(($node->psql('postgres', "\\set VERBOSITY sqlstate\nALTER SYSTEM SET pgqueue.$wrong"))[2], qr/22023/,
        "C42: $wrong is refused");
}
like(($node->psql('postgres', q{ALTER SYSTEM SET pgqueue.max_wrokers = 1}))[2],
    qr/unrecognized configuration parameter|invalid configuration parameter name/,
    'C42: so is a setting that there is not');
like(($node->psql('postgres', "SELECT * FROM pgqueue.next_task('$_', 'q')"))[2], qr/missing worker name/,
    "C42: a worker '$_' has no name") for '', ' ';
set('pgqueue.max_workers = 4');

# stop_workers lets what runs come to its end, and it is recorded.
$gate->query('SELECT pg_advisory_lock(1)');
$id = task('postgres', 'SELECT pg_advisory_xact_lock_shared(1)');
$pid = runner('postgres', $id);
my $stopper = session($node);
$stopper->send(q{SELECT pgqueue.stop_workers(timeout => '60 s') > 0});
ok(wait_for($node, 'postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pgqueue worker'}, '1', 20),
    'B46: idle workers leave at once');
my $other = task('postgres', 'SELECT 1');
is(sql("SELECT string_agg(status, ' ' ORDER BY id) FROM pgqueue.task WHERE id IN ($id, $other)"), 'retained new',
    'B46: the running task goes on, none starts');
$gate->query('SELECT pg_advisory_unlock(1)');
is($stopper->query('SELECT 0'), "t\n0", 'B46: stop_workers has waited for it');
is(count_of('worker'), 0, 'B46: no worker is left');
is(sql(<<~"SQL"), 'released 1, new 0', 'B46: the task is finished and recorded, at its first attempt');
    SELECT string_agg(concat_ws(' ', status, attempt, error_code), ', ' ORDER BY id)
    FROM pgqueue.task
    WHERE id IN ($id, $other)
    SQL
sql('SELECT pgqueue.ensure_workers()');
ok(status('postgres', $other, 'released'), 'B46: what came meanwhile runs after the start');

# stop_workers and ensure_workers.
$id = task('postgres', 'SELECT pg_sleep(600)');
runner('postgres', $id);
cmp_ok(sql(q{SELECT pgqueue.stop_workers(timeout => '200 milliseconds')}), '>=', 1,
    'stop_workers returns how many have stopped');
is(count_of('worker'), 0, 'stop_workers: they are gone');
is(sql("SELECT status FROM pgqueue.task WHERE id = $id") =~ /^(retry|retained)$/ ? 1 : 0, 1,
    'stop_workers: the running task is not finished');
$other = task('postgres', 'SELECT 1');
is(sql(q{SELECT string_agg(problem || ' ' || (since > now() - interval '1 minute'), ',') FROM pgqueue.health
    WHERE problem <> 'same_failure'}), 'disabled true',
    'stop_workers: health says so');
is(count_of('worker') . sql("SELECT status FROM pgqueue.task WHERE id = $other"), '0new', 'stop_workers: none starts');
cmp_ok(sql('SELECT pgqueue.ensure_workers()'), '>=', 1, 'ensure_workers starts what is due');
ok(status('postgres', $other, 'released'), 'ensure_workers: the waiting task runs');
ok(wait_for($node, 'postgres', "SELECT status, error_code FROM pgqueue.task WHERE id = $id", 'retained|57P01', 20),
    'ensure_workers: the stopped one too');
sql("SELECT pgqueue.cancel_task($id)");
ok(status('postgres', $id, 'cancelled'), 'and can be cancelled');

# Several databases.
sql('CREATE DATABASE two');
sql('CREATE DATABASE three');
in_db($_, $make) for 'two', 'three';
my %ids = map { $_ => task($_, 'SELECT current_database() AS d') } 'postgres', 'two', 'three';
for my $db (sort keys %ids)
{
    ok(status($db, $ids{$db}, 'released'), "K04: a task in database $db is run");
    is(in_db($db, "SELECT result->'first'->>'d' FROM pgqueue.task WHERE id = $ids{$db}"), $db, "K04: there");
    is(scalar(() = pids_of($node, 'pgqueue scheduler', $db)), 1, "K04: $db has its scheduler");
}

set(q{pgqueue.databases = 'postgres, two'});
ok(wait_for($node, 'postgres', <<~'SQL', '0', 20), 'pgqueue.databases: our processes leave the others');
    SELECT count(*) FROM pg_stat_activity WHERE datname = 'three' AND backend_type LIKE 'pgqueue%'
    SQL
$id = task('three', 'SELECT 1');
status('two', task('two', 'SELECT 1'), 'released');
is(in_db('three', "SELECT status FROM pgqueue.task WHERE id = $id"), 'new', 'pgqueue.databases: there tasks wait');
set(q{pgqueue.databases = ''});
ok(status('three', $id, 'released'), 'pgqueue.databases: until it is served again');

# How long a statement on databases takes. It waits five seconds for processes that do not leave.
sub quick
{
    my ($what, $statement, $db) = @_;
    my $begin = time();
    my ($rc, $out, $err) = $node->psql($db // 'postgres', $statement);
    is($rc . $err, '0', $what);
    cmp_ok(time() - $begin, '<', 15, "$what: at once");
    return;
}

# Rename, move, clone, drop, with workers idle and busy.
my $busy = task('two', q{SELECT pg_sleep(CASE WHEN current_database() = 'two' THEN 600 ELSE 0 END)});
runner('two', $busy);
quick('K18: ALTER DATABASE RENAME while a task runs', 'ALTER DATABASE two RENAME TO zwei');
ok(status('zwei', $busy, 'released'), 'K18: the task is run again under the new name');
is(in_db('zwei', "SELECT attempt, error_code FROM pgqueue.task WHERE id = $busy"), '2|57P01',
    'K18: the lost attempt is on record');

my $space = $node->basedir . '/space';
mkdir $space or die "$space: $!";
sql("CREATE TABLESPACE space LOCATION '$space'");
$busy = task('zwei', <<~'SQL');
    SELECT pg_sleep(CASE WHEN EXISTS (SELECT FROM pg_database d JOIN pg_tablespace s ON s.oid = d.dattablespace
        WHERE datname = 'zwei' AND spcname = 'space') THEN 0 ELSE 600 END)
    SQL
runner('zwei', $busy);
quick('K18: ALTER DATABASE SET TABLESPACE while a task runs', 'ALTER DATABASE zwei SET TABLESPACE space');
ok(status('zwei', $busy, 'released'), 'K18: the task is run again in the new place');

my $waiting = task('zwei', 'CREATE TABLE made_by_a_task ()', q{delay => '1 hour'});
in_db('zwei', "SELECT pgqueue.pause_queue('q')");
my $paused = task('zwei', 'SELECT 2');
quick('K18: CREATE DATABASE TEMPLATE with our workers in it', 'CREATE DATABASE clone TEMPLATE zwei');
in_db('zwei', "SELECT pgqueue.resume_queue('q')");
ok(status('zwei', $paused, 'released'), 'K18: the original goes on');
ok(wait_for($node, 'clone', "SELECT string_agg(problem, ',') FROM pgqueue.health", 'not_adopted', 20),
    'the clone holds its tasks: health says so');
in_db('clone', "SELECT pgqueue.resume_queue('q'); SELECT pgqueue.retry_task($waiting)");
my $new = task('clone', 'SELECT 3');
status('postgres', task('postgres', 'SELECT 1'), 'released');
is(in_db('clone', "SELECT string_agg(id || ' ' || status, ',' ORDER BY id) FROM pgqueue.task WHERE finished_at IS NULL")
    . '|' . scalar(() = pids_of($node, 'pgqueue worker', 'clone')), "$waiting new,$paused new,$new new|0",
    'the clone holds its tasks: all of them, also new ones');
in_db('clone', 'SELECT pgqueue.adopt()');
ok(status('clone', $_, 'released'), 'adopt() starts them') for $paused, $new, $waiting;
is(in_db('zwei', "SELECT to_regclass('made_by_a_task')") . in_db('clone', "SELECT to_regclass('made_by_a_task')"),
    'made_by_a_task', 'and their work is done in the clone alone');
ok(wait_for($node, 'clone', <<~'SQL', '', 20), 'health is well');
    SELECT string_agg(problem || ': ' || message, '; ') FROM pgqueue.health
    SQL

quick('K18: CREATE DATABASE TEMPLATE from within the template', 'CREATE DATABASE second TEMPLATE clone', 'clone');
is(in_db('second', "SELECT string_agg(problem, ',') FROM pgqueue.health"), 'not_adopted',
    'the clone of a clone holds too');

$busy = task('clone', 'SELECT pg_sleep(600)');
runner('clone', $busy);
quick('K18: DROP DATABASE while a task runs', 'DROP DATABASE clone');
task('three', 'SELECT 1');
settle('three');
quick('K18: DROP DATABASE with an idle worker', 'DROP DATABASE three');
quick('K18: DROP DATABASE of one that is not adopted', 'DROP DATABASE second');

$busy = task('zwei', 'SELECT pg_sleep(600)');
runner('zwei', $busy);
my $begin = time();
my ($rc, $out, $err) = $node->psql('zwei', 'SET lock_timeout = 4000; DROP EXTENSION pgqueue CASCADE');
is($rc . $err, '0', 'K18: DROP EXTENSION while a task runs');
cmp_ok(time() - $begin, '<', 15, 'K18: DROP EXTENSION: at once');
ok(wait_for($node, 'postgres', <<~'SQL', '0', 20), 'K18: DROP EXTENSION: our processes leave the database');
    SELECT count(*) FROM pg_stat_activity WHERE datname = 'zwei' AND backend_type LIKE 'pgqueue%'
    SQL

# A database is dropped and made again at once. The second one does not inherit what memory knows of the first one.
$node->safe_psql('postgres', 'CREATE DATABASE again');
$node->safe_psql('again', 'CREATE EXTENSION pgqueue');
$node->safe_psql('again', q{SELECT pgqueue.create_queue('q' || i, ttl => '0') FROM generate_series(1, 8) i});
$node->safe_psql('again', q{SELECT pgqueue.create_task('q' || i, to_jsonb(i)) FROM generate_series(1, 8) i});
ok(wait_for($node, 'again', q{SELECT count(*) FROM pgqueue.next_tasks('w', NULL, 4)}, '4'),
    'some tasks are held, some wait');
$node->safe_psql('again', q{DROP EXTENSION pgqueue CASCADE});
$node->safe_psql('again', q{CREATE EXTENSION pgqueue});
$node->safe_psql('again', q{SELECT pgqueue.create_namespace('other'), pgqueue.create_queue('a', ttl => '0')});
$node->safe_psql('again',
    q{SELECT pgqueue.create_queue('b' || i, ttl => '0', namespace => 'other') FROM generate_series(1, 7) i});
$node->safe_psql('again', q{SELECT pgqueue.create_task('a', '"here"')});
$node->safe_psql('again',
    q{SELECT pgqueue.create_task('b' || i, '"there"', namespace => 'other') FROM generate_series(1, 7) i});
ok(wait_for($node, 'again', q{SELECT string_agg(payload #>> '{}', ' ') FROM pgqueue.next_tasks('w', NULL, 20)}, 'here'),
    'DROP and CREATE EXTENSION: a namespace hands out its own tasks only');
ok(wait_for($node, 'again', <<~'SQL', '7'), 'and the other one all of its own');
    SELECT count(*) FROM pgqueue.next_tasks('w', NULL, 20, namespace => 'other') WHERE payload = '"there"'
    SQL
is($node->safe_psql('again', q{SELECT sum(count) FROM pgqueue.queue_status}), '8', 'the counts begin anew');
in_db('zwei', $make);
$id = task('zwei', 'SELECT 1');
ok(status('zwei', $id, 'released'), 'K18: CREATE EXTENSION again: tasks run');

# After all this as many tasks run at once as there may be workers.
$gate->query('SELECT pg_advisory_lock(1)');
task('postgres', 'SELECT pg_advisory_xact_lock_shared(1)') for 1 .. 4;
ok(wait_for($node, 'postgres', $at_gate, '4', 20), 'K18: no place of a worker is lost');
$gate->query('SELECT pg_advisory_unlock(1)');
ok(settle('postgres'), 'K18: and all are used');
$gate->close;

# At rest no process wakes up: they use no CPU, and only a few context switches come from elsewhere.
sub used
{
    my ($pid) = @_;
    my ($ticks) = slurp_file("/proc/$pid/stat") =~ /^\d+ \(.*\) (.*)$/s ? (split(/ /, $1))[11] + (split(/ /, $1))[12]
        : die "no stat of $pid";
    my ($switches) = slurp_file("/proc/$pid/status") =~ /^voluntary_ctxt_switches:\s+(\d+)$/m
        or die "no status of $pid";
    return [$ticks, $switches];
}
my @ours = split(/\n/, sql("SELECT pid FROM pg_stat_activity WHERE backend_type LIKE 'pgqueue%'"));
cmp_ok(scalar @ours, '>=', 3, 'launcher, scheduler and worker are there at rest');
my $window = 2;
my @awake;
my $quiet = wait_until(
    sub {
        my %first = map { $_ => used($_) } @ours;
        my $until = time() + $window;
        Time::HiRes::sleep(0.1) while time() < $until;
        @awake = grep { used($_)->[0] > $first{$_}[0] || used($_)->[1] > $first{$_}[1] + 1 } @ours;
        return !@awake;
    },
    3 * $window);
ok($quiet, "at rest our processes do nothing for $window seconds")
    or diag(sql("SELECT pid, backend_type FROM pg_stat_activity WHERE pid IN (@{[join(', ', @awake)]})"));

# A46: tasks that wait over a restart start without any session. The task reports through a file.
my $told = $node->basedir . '/told';
set('pgqueue.max_workers = 0');
task('postgres', "COPY (SELECT 'here') TO '$told.$_'") for 1 .. 3;
sql('ALTER SYSTEM SET pgqueue.max_workers = 4');
$node->restart;
ok(wait_until(sub { -s "$told.1" && -s "$told.2" && -s "$told.3" }, 20),
    'A46: after a restart waiting tasks start without any session');
ok(settle('postgres'), 'A46: and end');
$node->stop;

# A31: fewer process slots than workers allowed.
$node = new_node('few',
    conf => "log_statement = none\nmax_worker_processes = 4\npgqueue.max_workers = 50\n"
    . "max_logical_replication_workers = 0");
sql(q{SELECT pgqueue.create_queue('q')});
$gate = session($node);
$gate->query('SELECT pg_advisory_lock(1)');
task('postgres', 'SELECT pg_advisory_xact_lock_shared(1)') for 1 .. 12;
ok(wait_for($node, 'postgres', $at_gate, '2', 20), 'A31: two workers have found a slot');
ok(wait_for($node, 'postgres', q{SELECT string_agg(problem, ',') FROM pgqueue.health}, 'no_worker_slot', 20),
    'A31: health says what is missing');
is(sql(<<~'SQL'), 'new 10,retained 2', 'A31: the other tasks wait');
    SELECT string_agg(status || ' ' || n, ',' ORDER BY status)
    FROM (SELECT status, count(*) AS n FROM pgqueue.task GROUP BY 1) s
    SQL
# The slots are taken by others for a while: a parallel query needs none of ours, a second database does.
sql('CREATE DATABASE two');
in_db('two', $make);
$gate->query('SELECT pg_advisory_unlock(1)');
ok(settle('postgres'), 'A31: all tasks end');
is(sql(q{SELECT string_agg(DISTINCT status, ',') FROM pgqueue.task}), 'released', 'A31: and well');
ok(wait_for($node, 'postgres', q{SELECT count(*) FROM pgqueue.health}, '0', 20), 'A31: health is good again');
$id = task('two', 'SELECT 1');
ok(status('two', $id, 'released'), 'A31: another database gets its turn');
is($node->psql('postgres', 'SELECT 1'), 0, 'A31: nobody has seen an error');
unlike(slurp_file($node->logfile), qr/ERROR/, 'A31: nor has the log');

# A01: the server without the library.
set('pgqueue.max_workers = 0');
$id = task('postgres', 'SELECT 1');
$gate->close;
$node->stop;
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->start;
my $asks = qr{^(psql:\S+ )?ERROR:  55000: .*\n(DETAIL: .*\n)?HINT:  .*shared_preload_libraries}m;
my @functions = split(/\n/, sql(<<~'SQL'));
    SELECT format('%s pgqueue.%I(%s)', CASE prokind WHEN 'p' THEN 'CALL' ELSE 'SELECT' END, proname,
        (SELECT string_agg('NULL::' || format_type(t, NULL), ', ') FROM unnest(proargtypes) t))
    FROM pg_proc
    WHERE pronamespace = 'pgqueue'::regnamespace
        AND proname !~ '^(get_|priority_|cron_|has_namespace_privilege$|version$|current_task$|progress$|why$)'
    ORDER BY 1
    SQL
cmp_ok(scalar @functions, '>', 20, 'A01: there are functions to try');
for my $call (@functions)
{
    $node->psql('postgres', "\\set VERBOSITY verbose\n$call", stderr => \$err);
    my ($name) = $call =~ /pgqueue\.(\w+)/;
    like($err, $asks, "A01: not preloaded: $name says what to do");
}
for my $dml ('INSERT INTO pgqueue.queue (queue) VALUES ($$r$$)', 'DELETE FROM pgqueue.queue',
    'UPDATE pgqueue.queue SET paused = true', 'DELETE FROM pgqueue.task', 'UPDATE pgqueue.task SET priority = 1',
    'INSERT INTO pgqueue.task (queue, command) VALUES ($$q$$, $$SELECT 1$$)',
    'INSERT INTO pgqueue.namespace (namespace) VALUES ($$n$$)')
{
    $node->psql('postgres', "\\set VERBOSITY verbose\n$dml", stderr => \$err);
    like($err, $asks, "A01: not preloaded: $dml says what to do");
}
for my $view (split(/\n/, sql(<<~'SQL')))
    SELECT relname FROM pg_class WHERE relnamespace = 'pgqueue'::regnamespace AND relkind = 'v' ORDER BY 1
    SQL
{
    is($node->psql('postgres', "TABLE pgqueue.$view", stdout => \$out, stderr => \$err), 0,
        "A01: not preloaded: view $view works") or diag($err);
}
is(sql(qq{SELECT string_agg(problem, ',') FROM pgqueue.health}), 'not_preloaded', 'A01: not preloaded: health says so');
is(sql(qq{SELECT status || (SELECT queue FROM pgqueue.get_queue('q')) FROM pgqueue.get_task($id)}), 'newq',
    'A01: not preloaded: get_ works from the rows');
is(sql(qq{SELECT string_agg(reason, ' ') FROM pgqueue.why($id)}), 'not_loaded',
    'A01: not preloaded: why works from the rows');
is(sql(<<~'SQL'), '1 new,12 released', 'A01: not preloaded: counts are those of the rows');
    SELECT string_agg(count || ' ' || status, ',' ORDER BY status)
    FROM pgqueue.queue_status
    WHERE queue = 'q' AND count > 0
    SQL
is(sql(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'pg%queue%'}), '0',
    'A01: not preloaded: no process is started');
sql('CREATE DATABASE bare');
is(in_db('bare', q{CREATE EXTENSION pgqueue; SELECT string_agg(problem, ',') FROM pgqueue.health}), 'not_preloaded',
    'A01: not preloaded: the extension can be made, and says what is missing');
$node->stop;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pgqueue'");
$node->start;
set('pgqueue.max_workers = 4');
ok(status('postgres', $id, 'released'), 'A01: preloaded again: nothing is lost, the task runs');
in_db('bare', q{SELECT pgqueue.create_queue('q')});
ok(status('bare', task('bare', 'SELECT 1'), 'released'), 'A01: and the extension that was made without works');
# Three databases with work, and process slots for a launcher and three more: they take turns.
for my $db ('postgres', 'two', 'bare')
{
    in_db($db, q{SELECT pgqueue.create_task('q', command => 'SELECT pg_sleep(0.01)') FROM generate_series(1, 10)});
}
ok(wait_for($node, $_, 'SELECT count(*) FROM pgqueue.task WHERE finished_at IS NULL', '0', 60),
    "A31: three databases and three slots: the tasks of $_ end")
    or diag(in_db($_, 'SELECT t FROM pgqueue.task t WHERE finished_at IS NULL')) for 'postgres', 'two', 'bare';
# The schedulers of all three stay for a while; a housekeeper needs the slot of one of them.
in_db($_, q{SELECT pgqueue.create_queue('another')}) for 'postgres', 'two', 'bare';
ok(wait_for($node, 'postgres', <<~'SQL', '3', 20), 'A31: three schedulers have all slots');
    SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pgqueue scheduler'
    SQL
in_db($_, q{SELECT pgqueue.fire_ticker('cleanup', namespace => 'pgqueue')}) for 'postgres', 'two', 'bare';
ok(wait_for($node, $_, 'SELECT count(*) FROM pgqueue.task WHERE finished_at IS NULL', '0', 30),
    "A31: three databases and three slots: the housekeeper of $_ gets its turn")
    or diag(in_db($_, 'SELECT t FROM pgqueue.task t WHERE finished_at IS NULL')) for 'postgres', 'two', 'bare';
# A task that comes while a scheduler is about to leave, because another database needs its slot, is not forgotten.
my $holder = session($node, 'bare');
hold_point($holder, 'scheduler-parks');
in_db($_, q{SELECT pgqueue.create_queue('third')}) for 'postgres', 'two', 'bare';
# Each task needs a worker, so one scheduler or the other leaves; in the end it is that of the third database.
my $leaves = wait_until(
    sub {
        task($_, 'SELECT 1') for 'postgres', 'two';
        return in_db('bare', <<~'SQL') eq '1';
            SELECT count(*) FROM pg_locks
            WHERE locktype = 'advisory' AND NOT granted
                AND database = (SELECT oid FROM pg_database WHERE datname = 'bare')
            SQL
    },
    60);
ok($leaves, 'A31: a scheduler leaves for another one');
$id = task('bare', 'SELECT 1');
$holder->close;
ok(status('bare', $id, 'released'), 'A31: a task that comes at that moment runs');
$node->stop;
done_testing();
