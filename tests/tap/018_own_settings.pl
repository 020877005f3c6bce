# Our processes use their own settings, whatever configuration, database and role say. What they do shows in the
# server's statistics. Faults W10, L3 and L6, and R9.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('own',
    conf => "log_statement = none\nlog_min_messages = log\npgqueue.worker_idle_timeout = '1min'");
# This setting has another name since PostgreSQL 16.
my $parallel = $node->pg_version >= 16 ? 'debug_parallel_query' : 'force_parallel_mode';
# What would break our processes or change what their statements mean; beside it what this test's own sessions use.
my %settings = (
    default_transaction_read_only => ['on', 'off'],
    default_transaction_isolation => ['serializable', 'read\ committed'],
    default_transaction_deferrable => ['on', 'off'],
    exit_on_error => ['on', 'off'],
    row_security => ['off', 'on'],
    session_replication_role => ['replica', 'origin'],
    lock_timeout => ['1', '0'],
    idle_in_transaction_session_timeout => ['1', '0'],
    search_path => ['evil', 'public'],
    datestyle => ["'SQL, DMY'", 'ISO'],
    intervalstyle => ['sql_standard', 'postgres'],
    transform_null_equals => ['on', 'off'],
    standard_conforming_strings => ['off', 'on'],
    plan_cache_mode => ['force_generic_plan', 'auto'],
    $parallel => ['on', 'off'],
    enable_seqscan => ['off', 'on'],
    enable_indexscan => ['off', 'on'],
    enable_nestloop => ['off', 'on'],
);
local $ENV{PGOPTIONS} = join(' ', '-c role=none', map { "-c $_=$settings{$_}[1]" } sort keys %settings);

sub sql { return $node->safe_psql('postgres', @_); }
# Changes the settings for everybody: each with the text before and behind it.
sub change
{
    my ($before, $reset, @names) = @_;
    my @all = map { $reset ? "$before RESET $_" : "$before SET $_ = $settings{$_}[0]" } @names;
    $node->safe_psql('postgres', join(";\n", @all));
    return;
}
sub scheduler { return pid_of($node, 'pgqueue scheduler', 'postgres'); }
# Lets new processes come, which start under what is set now.
sub renew { terminate($node, $_) for pids_of($node, 'pgqueue worker', 'postgres'), scheduler(); return; }

sql(<<~'SQL');
    CREATE SCHEMA evil;
    GRANT USAGE ON SCHEMA evil TO public;
    CREATE FUNCTION evil.no(integer, integer) RETURNS boolean LANGUAGE sql AS 'SELECT false';
    CREATE OPERATOR evil.= (LEFTARG = integer, RIGHTARG = integer, FUNCTION = evil.no);
    CREATE ROLE app LOGIN;
    CREATE ROLE nobody;
    GRANT pgqueue_user, nobody TO app;
    SELECT pgqueue.grant_namespace('default', 'all', 'app');
    CREATE TABLE done (what text);
    GRANT ALL ON done TO app;
    SELECT pgqueue.create_queue(q) FROM unnest('{ticked,paused,leased,delayed,chain,archived,commands}'::text[]) q;
    SELECT pgqueue.update_queue('archived', on_finish => 'archive', retention => '1 ms');
    SELECT pgqueue.create_ticker('every', queue => 'ticked', period => '1 s', payload => '{}')
    SQL

# Tests that everything that our processes do goes on.
my $round = 0;
sub serves
{
    my ($how) = @_;
    $round++;
    my $ticks = sql(q{SELECT count(*) FROM pgqueue.task WHERE queue = 'ticked'});
    sql(<<~"SQL");
        SELECT pgqueue.pause_queue('paused', until => now() + '300 ms');
        SELECT pgqueue.create_task('paused', '$round');
        SELECT pgqueue.create_task('delayed', '$round', delay => '300 ms');
        SELECT pgqueue.create_task('leased', '$round');
        SELECT count(*) FROM pgqueue.next_tasks('w', '{leased}', 1, lease => '300 ms');
        SELECT pgqueue.create_task('chain', '2',
            depends_on => ARRAY[pgqueue.create_task('chain', command => 'SELECT 1')])
        SQL
    for my $queue (qw(paused delayed leased chain))
    {
        my $taken = wait_until(sub { sql("SELECT count(*) FROM pgqueue.next_tasks('w', '{$queue}', 10)") ne '0' }, 20);
        ok($taken, "L6: $how: $queue tasks come");
    }
    ok(wait_for($node, 'postgres', "SELECT count(*) >= $ticks + 2 FROM pgqueue.task WHERE queue = 'ticked'", 't', 20),
        "L6: $how: tickers fire");
    sql(q{SELECT pgqueue.release_task(id, receipt) FROM pgqueue.task WHERE status = 'retained'});
    # The housekeeper, through the archive, which it fills by SQL.
    my $archived = sql(q{SELECT count(*) FROM pgqueue.task_archive});
    sql(<<~'SQL');
        SELECT pgqueue.create_task('archived', '{}');
        SELECT pgqueue.release_task(id, receipt) FROM pgqueue.next_task('w', 'archived');
        SELECT pgqueue.fire_ticker('cleanup', namespace => 'pgqueue')
        SQL
    ok(wait_for($node, 'postgres', "SELECT count(*) > $archived FROM pgqueue.task_archive", 't', 20),
        "L6: $how: the housekeeper archives");
    is(sql(<<~'SQL'), '', "L6: $how: all is well");
        SELECT string_agg(problem || ': ' || message, E'\n') FROM pgqueue.health WHERE problem <> 'crash_loop'
        SQL
    return;
}

serves('no settings');
my @all = sort keys %settings;
for my $where ('DATABASE postgres', 'ROLE postgres IN DATABASE postgres', 'ROLE ALL')
{
    change("ALTER $where", 0, @all);
    renew();
    serves("ALTER $where");
    change("ALTER $where", 1, @all);
}
my $before = scheduler();
change('ALTER SYSTEM', 0, @all);
$node->reload;
serves('ALTER SYSTEM while they run');
is(scheduler(), $before, 'L6: it is the same scheduler');
$node->restart;
serves('ALTER SYSTEM before they start');
change('ALTER SYSTEM', 1, @all);
$node->restart;
my $log = slurp_file($node->logfile);
is(join("\n", $log =~ /.*pgqueue \w+ could not .*/g), '', 'L6: nothing failed meanwhile');

# What is set for a role is for the SQL of its tasks: not for what the worker does beside it.
change('ALTER ROLE app', 0, @all);
sql('ALTER ROLE app SET role = nobody');
sub as_app { return sql("SET SESSION AUTHORIZATION app; @_"); }
# The end of a task with this command.
sub end_of
{
    my ($command, $what) = @_;
    my $id = as_app("SELECT pgqueue.create_task('commands', command => \$c\$$command\$c\$, retries => 0)");
    wait_for($node, 'postgres', "SELECT status IN ('released', 'failed') FROM pgqueue.task WHERE id = $id", 't', 20);
    return sql(<<~"SQL");
        SELECT concat_ws(' ', t.status, a.outcome, a.error_code, a.error, t.result->'first') FROM pgqueue.task t
        LEFT JOIN pgqueue.task_attempt a ON a.task_id = t.id WHERE t.id = $id
        SQL
}
is(end_of(<<~'SQL'), 'released released {"?column?": "serializableevilreplica"}',
    SELECT current_setting('transaction_isolation') || current_setting('search_path')
        || current_setting('session_replication_role')
    SQL
    'L6: a task has the settings of its role');
like(end_of('INSERT INTO public.done VALUES (1)'), qr/^failed failed 25006/, 'L6: read-only ones among them');
is(end_of("SET transaction_read_only = off; INSERT INTO public.done SELECT 'written'"), 'released released',
    'L6: it may write when it says so');
my $worker = pid_of($node, 'pgqueue worker', 'postgres');
like(end_of('SELECT 1/0'), qr/^failed failed 22012 division by zero/,
    'L6: an error fails the task, whatever exit_on_error says');
like(end_of('SET exit_on_error = on; SELECT 1/0'), qr/^failed failed 22012/,
    'L6: and whatever the task has made of it');
like(end_of(<<~'SQL'), qr/^failed failed 42501/, 'L6: a refused SET is a failure as others are');
    SET lock_timeout = '1 ms';
    SET session_replication_role = origin
    SQL
is(end_of('SELECT current_user'), 'released released {"current_user": "app"}',
    'R9: a task runs as its role, whatever the setting role says');
is(pid_of($node, 'pgqueue worker', 'postgres'), $worker, 'L6: one worker ran them all');

# Its own statements wait for whoever holds the row, with the lock_timeout of the role and of the task.
my $gate = session($node);
for my $set ('', "SET lock_timeout = '1 ms'; SET transaction_read_only = on; ")
{
    $gate->query('SELECT pg_advisory_lock(1)');
    my $id = as_app(<<~"SQL");
        SELECT pgqueue.create_task('commands',
            command => \$c\$SET lock_timeout = 0; SELECT pg_advisory_lock(1); SET lock_timeout = '1 ms';
        ${set}SELECT 1\$c\$)
        SQL
    wait_for($node, 'postgres', "SELECT status FROM pgqueue.task WHERE id = $id", 'retained');
    my $segment = sql('SELECT slot FROM pgqueue_internal.ring WHERE current AND slot < 4');
    my $lock = session($node);
    $lock->query("BEGIN; LOCK TABLE pgqueue_internal.segment_$segment IN SHARE MODE");
    $gate->query('SELECT pg_advisory_unlock(1)');
    ok(wait_for($node, 'postgres', <<~"SQL", '1'), 'L6: a worker waits to write the end of a task');
        SELECT count(*) FROM pg_locks
        WHERE pid = $worker AND relation = 'pgqueue_internal.segment_$segment'::regclass AND NOT granted
        SQL
    # Longer than the time-out.
    sql('SELECT pg_sleep(0.05)');
    $lock->query('ROLLBACK');
    ok(wait_for($node, 'postgres', "SELECT status, attempt FROM pgqueue.task WHERE id = $id", 'released|1'),
        'L6: and writes it');
}
sql('ALTER ROLE app RESET ALL');
renew();

# L3: in a session with session_replication_role replica changes of our tables are told to everybody.
my ($replica, $app) = (session($node), session($node));
$replica->query('SET session_replication_role = replica');
$app->query('SET SESSION AUTHORIZATION app');
sql(q{SELECT pgqueue.create_queue('q'); SELECT pgqueue.create_tasks('q', '{1,2,3}')});
is($app->query(q{SELECT count(*) FROM pgqueue.next_tasks('w', '{q}', 1)}), '1', 'L3: work goes on');
$replica->query(q{SELECT pgqueue.pause_queue('q')});
is($app->query(q{SELECT count(*) FROM pgqueue.next_tasks('w', '{q}', 1)}), '0', 'L3: pause_queue stops it');
$replica->query(q{SELECT pgqueue.resume_queue('q')});
is($app->query(q{SELECT count(*) FROM pgqueue.next_tasks('w', '{q}', 1)}), '1', 'L3: resume_queue lets it go on');
$replica->query(q{SELECT pgqueue.revoke_namespace('default', 'all', 'app')});
like($app->query(q{SELECT count(*) FROM pgqueue.next_tasks('w', '{q}', 1)}), qr/permission denied/,
    'L3: revoke_namespace reaches open sessions');
$replica->query(<<~'SQL');
    SELECT pgqueue.create_queue('t'), pgqueue.create_ticker('new', queue => 't', period => '1 s', payload => '{}')
    SQL
ok(wait_for($node, 'postgres', q{SELECT count(*) > 1 FROM pgqueue.task WHERE queue = 't'}, 't', 20),
    'L3: a new ticker fires');
my $ticker = sql(q{SELECT id FROM pgqueue_internal.ticker WHERE name = 'new'});
$replica->query(q{SELECT pgqueue.delete_ticker('new')});
is(sql("SELECT count(*) FROM pgqueue_internal.ticker_state WHERE ticker_id = $ticker"), '0',
    'L3: its state goes with it');
is($replica->query(q{SELECT count(pgqueue.create_task('q', '{}'))}), '1', 'L3: create_task makes a task');
is($replica->query(q{SELECT count(*) FROM pgqueue.purge_queue('q')}), '1', 'L3: purge_queue');
is($app->query(q{SELECT count(*) FROM pgqueue.task WHERE queue = 'q'}), '0', 'L3: removes them for others');

# Foreign keys hold.
my $count = <<~'SQL';
    SELECT (SELECT count(*) FROM pgqueue_internal.queue) + (SELECT count(*) FROM pgqueue_internal.namespace_grant)
        + (SELECT count(*) FROM pgqueue_internal.ticker) + (SELECT count(*) FROM pgqueue_internal.ticker_state)
    SQL
my $rows = sql($count);
$replica->query(<<~'SQL');
    SELECT pgqueue.create_namespace('n'), pgqueue.create_queue('x', namespace => 'n'),
        pgqueue.grant_namespace('n', 'use', 'app')
    SQL
$replica->query(q{SELECT pgqueue.create_ticker('x', namespace => 'n', queue => 'x', period => '1 s', payload => '{}')});
$replica->query(q{SELECT pgqueue.delete_namespace('n', force => true)});
is(sql($count), $rows, 'L3: nothing is left of a deleted namespace');
is($replica->query('SHOW session_replication_role'), 'replica', 'L3: the session keeps its setting');
like($replica->query(q{SELECT pgqueue.delete_namespace('nosuch')}), qr/does not exist/, 'L3: after an error');
is($replica->query('SHOW session_replication_role'), 'replica', 'L3: as well');

# A dump that is restored under it.
$node->safe_psql('postgres', 'CREATE DATABASE copy');
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';
$node->command_ok(['pg_dump', '--file' => $dump, $node->connstr('postgres')], 'L3: pg_dump');
{
    local $ENV{PGOPTIONS} = '-c session_replication_role=replica';
    $node->command_ok(['psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('copy'), '-f', $dump],
        'L3: a restore in a session with replica');
}
is($node->safe_psql('copy', q{SELECT count(*) FROM pgqueue.health WHERE problem = 'not_adopted'}), '1',
    'L3: it holds its tasks');
$node->safe_psql('copy', <<~'SQL');
    SELECT pgqueue.adopt();
    SELECT pgqueue.create_queue('fresh');
    SELECT pgqueue.create_task('fresh', command => 'SELECT 1')
    SQL
ok(wait_for($node, 'copy', q{SELECT status FROM pgqueue.task WHERE queue = 'fresh'}, 'released'),
    'L3: after adopt() it works');

# W10: statistics come while the processes live.
sql(q{ALTER TABLE done SET (autovacuum_enabled = off)});
sub stat_of { my ($column) = @_; return "SELECT $column FROM pg_stat_user_tables WHERE relname = 'done'"; }
my $inserted = sql(stat_of('n_tup_ins'));
sql(q{SELECT pgqueue.create_task('commands', command => 'INSERT INTO done SELECT g FROM generate_series(1, 1000) g')});
ok(wait_for($node, 'postgres', stat_of("n_tup_ins - $inserted"), '1000', 10),
    'W10: a worker that idles reports what its task has inserted');
ok(pid_of($node, 'pgqueue worker', 'postgres'), 'W10: it lives');

# One that never idles.
sql(<<~'SQL');
    SELECT count(*)
    FROM pgqueue.create_tasks('commands',
        commands => ARRAY(SELECT 'INSERT INTO done SELECT 1; SELECT pg_sleep(0.05)' FROM generate_series(1, 400)))
    SQL
my $some = wait_for($node, 'postgres', stat_of("n_tup_ins > $inserted + 1000"), 't', 15);
ok($some && sql(q{SELECT count(*) FROM pgqueue.task WHERE queue = 'commands' AND status = 'new'}) > 0,
    'W10: so does one that never idles');
sql(q{SELECT pgqueue.purge_queue('commands', force => true)});

# The scheduler makes the tasks of tickers and writes where they stand.
my $own = <<~'SQL';
    SELECT sum(n_tup_ins) + sum(n_tup_upd) FROM pg_stat_all_tables
    WHERE schemaname = 'pgqueue_internal' AND relname ~ '^(segment_|ticker_state)'
    SQL
$before = scheduler();
my $changes = sql($own);
ok(wait_for($node, 'postgres', "SELECT ($own) > $changes", 't', 10), 'W10: the scheduler reports what it writes');
is(scheduler(), $before, 'W10: it lives');

done_testing();
