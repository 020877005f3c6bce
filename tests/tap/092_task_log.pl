# The log of tasks: one line for each end, whose values cannot forge a word or a line; as JSON too. And what
# pg_stat_activity says of a worker. B23.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP qw(decode_json);
use PgQueue;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('log', conf => <<~'C');
    log_statement = none
    pgqueue.log_tasks = all
    pgqueue.max_workers = 2
    logging_collector = on
    log_directory = 'log'
    log_filename = 'server.log'
    log_destination = 'stderr,jsonlog'
    C
my $db = 'postgres';
sub sql { return $node->safe_psql($db, @_); }
# The lines of the text log with an event, without what stands before it.
sub lines { return map { s/.*?(task (?:completed|failed|snoozed|cancelled): )/$1/r }
      grep { /LOG:  task \w+: task_id=/ } split(/\n/, slurp_file($node->data_dir . '/log/server.log')); }
sub run
{
    my ($command) = @_;
    my $id = sql("SELECT pgqueue.create_task('q', command => \$c\$$command\$c\$)");
    ok(wait_for($node, $db, "SELECT finished_at IS NOT NULL FROM pgqueue.task WHERE id = $id", 't'), 'done');
    my $line = '';
    ok(wait_until(sub { ($line) = grep { /task_id=$id / } lines() }), "task $id is in the log");
    return ($id, $line // '');
}

sql(q{CREATE ROLE "odd role=1" LOGIN IN ROLE pgqueue_user; SELECT pgqueue.create_queue('q', executor => 'server',
    retries => 0), pgqueue.grant_namespace('default', 'all', 'odd role=1')});
my ($id, $line) = run('SELECT 1');
my $words = "task_id=$id task_type=sql namespace=default queue=q role=postgres database=postgres priority=100"
  . ' attempts=1';
like($line, qr/^task completed: $words duration=\d+ us$/, 'B23: a success');
($id, $line) = run(<<~'SQL');
    DO $$BEGIN RAISE EXCEPTION E'one\n2026-01-01 UTC [1] LOG:  task failed: task_id=999 error="x"'; END$$
    SQL
my $error = qr/"one\\n2026.*task_id=999 error=\\"x\\""/;
like($line, qr/^task failed: task_id=$id .* duration=\d+ us error_code=P0001 error=$error$/,
    'B23: a failure; a line break and quotes are escaped');
is((grep { /task_id=999 / && !/task_id=$id / } lines()), 0, 'no line is forged');
$node->safe_psql($db, q{SELECT pgqueue.create_task('q', command => 'SELECT 1')},
    extra_params => [ '-U', 'odd role=1' ]);
ok(wait_until(sub { grep { / role="odd role=1" database=postgres / } lines() }),
    'a name that would be two words is quoted');
($id, $line) = run('SELECT 1/0');
ok(wait_until(sub {
        my ($entry) = grep { /task_id=$id / } split(/\n/, slurp_file($node->data_dir . '/log/server.json'));
        return defined $entry && decode_json($entry)->{message} eq $line;
    }), 'the log as JSON has the same line');

# What the worker does now.
my $gate = session($node);
$gate->query('SELECT pg_advisory_lock(1)');
$id = sql(q{SELECT pgqueue.create_task('q', command => 'SELECT pg_advisory_lock(1), pg_advisory_unlock(1)')});
ok(wait_for($node, $db, q{SELECT application_name FROM pg_stat_activity WHERE backend_type = 'pgqueue worker'
    AND state = 'active'}, "pgqueue default/q $id"), 'application_name says namespace, queue and task');
$gate->query('SELECT pg_advisory_unlock(1)');
$gate->close;
ok(wait_for($node, $db, q{SELECT DISTINCT application_name FROM pg_stat_activity WHERE backend_type = 'pgqueue worker'},
    'pgqueue'), 'at rest it does not');

# Only failures, or nothing.
sql(q{ALTER SYSTEM SET pgqueue.log_tasks = failed});
$node->reload;
ok(wait_until(sub {
        my $task = sql(q{SELECT pgqueue.create_task('q', command => 'SELECT 1')});
        my $bad = sql(q{SELECT pgqueue.create_task('q', command => 'SELECT 1/0')});
        wait_until(sub { grep { /task_id=$bad / } lines() });
        return !grep { /task_id=$task / } lines();
    }), 'only failures');
$node->stop;
done_testing();
