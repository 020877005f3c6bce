# What a task says (NOTICE, WARNING): it is kept with the attempt, it names the task in the log, and it is hidden where
# payload is.
use strict;
use warnings;
use utf8;
use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP qw(decode_json);
use PgQueue;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('messages', conf => <<~'C');
    log_min_messages = notice
    pgqueue.max_workers = 4
    C
# The template is SQL_ASCII.
my $db = 'unicode';
$node->safe_psql('postgres', "CREATE DATABASE $db ENCODING 'UTF8' TEMPLATE template0");
$node->safe_psql($db, 'CREATE EXTENSION pgqueue');
sub sql { return $node->safe_psql($db, @_); }
sub create
{
    my ($command, @more) = @_;
    my $options = join(', ', "command => \$c\$$command\$c\$", @more);
    return sql("SELECT pgqueue.create_task('q', $options)");
}
sub done
{
    my ($id) = @_;
    return wait_for($node, $db, "SELECT finished_at IS NOT NULL FROM pgqueue.task WHERE id = $id", 't');
}
# The messages of an attempt.
sub messages
{
    my ($id, $attempt) = @_;
    $attempt //= 1;
    my $json = sql("SELECT to_json(messages) FROM pgqueue.task_attempt WHERE task_id = $id AND attempt = $attempt");
    return $json eq '' ? undef : decode_json($json);
}
sub run
{
    my ($command, @more) = @_;
    my $id = create($command, @more);
    ok(done($id), "task $id is done");
    return $id;
}
sub raise { my ($what) = @_; return "DO \$\$BEGIN RAISE $what; END\$\$"; }

sql(q{CREATE ROLE tenant LOGIN IN ROLE pgqueue_user; CREATE ROLE other LOGIN IN ROLE pgqueue_user;
    CREATE ROLE watcher LOGIN; GRANT pg_monitor TO watcher;
    SELECT pgqueue.create_queue('q', executor => 'server', retries => 0, retry_delay => '1 ms'),
    pgqueue.grant_namespace('default', 'use', 'tenant'), pgqueue.grant_namespace('default', 'use', 'other')});

# A run that succeeds, one that fails, and the tasks around them.
my $silent = run('SELECT 1');
my $id = run(raise(q{NOTICE 'half of it'}) . '; '
      . raise(q{WARNING 'odd' USING DETAIL = 'the detail', HINT = 'the hint'}));
is_deeply(messages($id), [ 'NOTICE: half of it', "WARNING: odd\nDETAIL: the detail\nHINT: the hint" ], 'both are kept');
is(sql("SELECT status, result->>'tag' FROM pgqueue.task WHERE id = $id"), 'released|DO', 'the result is there too');
is(messages($silent), undef, 'none of a silent one');
$id = run(raise(q{NOTICE 'before'}) . '; SELECT 1/0; ' . raise(q{NOTICE 'after'}));
is_deeply(messages($id), ['NOTICE: before'], 'what a failed run has said');
is(sql("SELECT error_code FROM pgqueue.task_attempt WHERE task_id = $id"), '22012', 'and its error');
is(messages(run('SELECT 2')), undef, 'the next run of this worker begins with none');
$id = run(q{CREATE TABLE vacuumed (); VACUUM vacuumed});
is(messages($id), undef, 'an error is no message');
$id = run('VACUUM VERBOSE pg_class');
like(messages($id)->[0], qr/^INFO: vacuuming/, 'a command at top level');

# Bounds and encodings.
$id = run(q{DO $$BEGIN FOR i IN 1..57 LOOP RAISE NOTICE 'line %', i; END LOOP; END$$});
is_deeply(messages($id), [ '(37 earlier messages are left out)', map { "NOTICE: line $_" } 38 .. 57 ],
    'the last twenty');
$id = run(q{DO $$BEGIN RAISE NOTICE '%', repeat(U&'\00e4\20ac\+01F600', 1000); END$$});
is(sql("SELECT octet_length(messages[1]) BETWEEN 997 AND 1000, messages[1] ~ U&'^NOTICE: (\\00e4|\\20ac|\\+01F600)+\$'
    FROM pgqueue.task_attempt WHERE task_id = $id"), 't|t', 'a long one is cut between two characters');
$id = run(q{SET client_encoding = latin1; } . raise(q{NOTICE '%', U&'caf\00e9'}));
is_deeply(messages($id), ['NOTICE: caf?'], 'another client_encoding');
$id = run(q{SET client_min_messages = warning; } . raise(q{NOTICE 'no'}) . '; ' . raise(q{WARNING 'yes'}));
is_deeply(messages($id), ['WARNING: yes'], 'client_min_messages says what is kept');
is_deeply(messages(run(raise(q{NOTICE 'a new task'}))), ['NOTICE: a new task'], 'both are reset with the session');

# Of each attempt; of handlers.
$id = create(raise(q{NOTICE 'again'}) . '; SELECT 1/0', 'retries => 1');
ok(done($id), 'two attempts');
is_deeply([ messages($id, 1), messages($id, 2) ], [ ['NOTICE: again'], ['NOTICE: again'] ], 'each attempt has its own');
sql(q{CREATE FUNCTION talk(payload jsonb) RETURNS jsonb LANGUAGE plpgsql AS
    $$BEGIN RAISE WARNING 'of a handler: %', payload; RETURN payload; END$$;
    SELECT pgqueue.create_handler('talk', 'talk')});
$id = sql(q{SELECT pgqueue.create_task('q', '{"a": 1}', 'talk')});
ok(done($id), 'a handler');
is_deeply(messages($id), ['WARNING: of a handler: {"a": 1}'], 'what a handler has said');

# The log names the task.
my $log = slurp_file($node->logfile);
my $named = qr/task $id of queue "q" in namespace "default", attempt 1/;
like($log, qr/WARNING:  of a handler.*\n(?:.*\n)?.*CONTEXT:  .*(?:\n\t.*)?$named/,
    'the CONTEXT names task, queue, namespace and attempt');
unlike($log, qr/^(?!.*(?:NOTICE|WARNING|INFO|CONTEXT|\t)).*task \d+ of queue/m, 'of no other line');

# Who may read them.
$node->safe_psql($db, q{SELECT pgqueue.create_task('q', command => 'DO $$BEGIN RAISE NOTICE ''secret''; END$$')},
    extra_params => [ '-U', 'tenant' ]);
ok(wait_for($node, $db, q{SELECT count(*) FROM pgqueue.task_attempt WHERE messages = '{NOTICE: secret}'}, '1'),
    'an administrator reads all');
my $seen = q{SELECT count(*), count(*) FILTER (WHERE messages IS NOT NULL) FROM pgqueue.task_attempt};
is($node->safe_psql($db, $seen, extra_params => [ '-U', 'tenant' ]), '1|1', 'the role of the task reads its own');
is($node->safe_psql($db, $seen, extra_params => [ '-U', 'other' ]), '0|0', 'another one sees nothing');
sql(q{SELECT pgqueue.grant_namespace('default', 'read', 'other')});
is($node->safe_psql($db, $seen, extra_params => [ '-U', 'other' ]), sql($seen), 'with read it reads all');
is($node->safe_psql($db, q{SELECT has_table_privilege('pgqueue.task_attempt', 'SELECT')},
        extra_params => [ '-U', 'watcher' ]), 'f', 'pg_monitor does not');
$node->stop;
done_testing();
