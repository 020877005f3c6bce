# Calls in places where they cannot work: on a standby, in a read-only transaction, and waiting inside a transaction.
# Every function that changes something has a row here, so that nobody forgets a new one. None of them changes anything.
# Without preload: 010_processes.pl.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('wrong', streaming => 1, conf => "log_statement = none\npgqueue.max_workers = 2");
sub sql { return $node->safe_psql('postgres', @_); }
# The SQLSTATE, message and the rest that a statement raises.
sub raised
{
    my ($server, $statement) = @_;
    my (undef, undef, $err) = $server->psql('postgres', "\\set VERBOSITY verbose\n$statement");
    return $err =~ /ERROR:  (\w{5}): (.*)/s ? "$1: $2" : "no error: $err";
}

sql(<<~'SQL');
    SELECT FROM pgqueue.create_queue('q', ttl => '0');
    CREATE FUNCTION h(jsonb) RETURNS void LANGUAGE sql AS 'SELECT';
    SELECT FROM pgqueue.create_namespace('other');
    SELECT FROM pgqueue.create_ticker('t', 'q', cron => '0 0 1 1 *');
    SELECT FROM pgqueue.create_ticker('tick', period => '1 h');
    SELECT count(pgqueue.create_task('q', to_jsonb(g))) FROM generate_series(1, 3) g
    SQL
ok(wait_for($node, 'postgres', q{SELECT payload FROM pgqueue.next_task('w', 'q', '1 h')}, '1', 20), 'a task is held');
my ($id, $receipt) = split /\|/, sql(q{SELECT id, receipt FROM pgqueue.task WHERE status = 'retained'});
my $done = sql(q{SELECT pgqueue.create_task('q', '4')});
sql("SELECT pgqueue.cancel_task($done)");

# A good call of everything that writes.
my %writes = (
    create_namespace => "'x'", update_namespace => "'other', weight => 3", delete_namespace => "'other'",
    grant_namespace => "'other', 'use', 'pgqueue_user'", revoke_namespace => "'other', 'use', 'pgqueue_user'",
    create_queue => "'x'", update_queue => "'q', retries => 7", delete_queue => "'q', force => true",
    pause_queue => "'q'", resume_queue => "'q'", clean_queue => "'q'", purge_queue => "'q', force => true",
    redrive => "'q'", reset_stats => "'q'",
    create_task => "'q', '1'", create_tasks => q{'q', '{"1"}'}, next_task => "'w', 'q'", next_tasks => "'w', '{q}'",
    release_task => "$id, $receipt", release_tasks => "'{$id}', '{$receipt}'",
    fail_task => "$id, $receipt", fail_tasks => "'{$id}', '{$receipt}'", extend_task => "$id, $receipt",
    extend_tasks => "'{$id}', '{$receipt}'", snooze_task => "$id, $receipt", snooze_tasks => "'{$id}', '{$receipt}'",
    cancel_task => $id, retry_task => $done, run_task => $id, create_handler => "'t', 'h'", delete_handler => "'t'",
    create_ticker => "'u', 'q'", update_ticker => "'t', priority => 3", delete_ticker => "'t'", fire_ticker => "'t'",
    next_ticker => '', import_pg_cron => "'q'", adopt => '', ensure_workers => '', stop_workers => '',
);
# What only reads, or has nothing to change.
my %reads = (get_ticker => "'t'", cron_next => q{'@daily'}, cron_valid => q{'@daily'}, get_namespace => "'other'",
    get_queue => "'q'", get_task => $id, has_namespace_privilege => "'other', 'use'", current_task => '',
    progress => '0.5', priority_value => "'high'", priority_name => '10', version => '');
my %calls = ((map { $_ => "SELECT * FROM pgqueue.$_($writes{$_})" } keys %writes),
    wait_for_task => q{CALL pgqueue.wait_for_task('{q}', '1 s')});
my %readers = ((map { $_ => "SELECT * FROM pgqueue.$_($reads{$_})" } keys %reads),
    wait_for_result => "CALL pgqueue.wait_for_result($id, '0')");
is(sql(<<~'SQL'), join(' ', sort keys %calls, grep { !/^(get_|cron_|has_namespace|version)/ } keys %readers),
    SELECT string_agg(DISTINCT proname, ' ' ORDER BY proname) FROM pg_proc
    WHERE pronamespace = 'pgqueue'::regnamespace AND prorettype <> 'trigger'::regtype AND provolatile = 'v'
    SQL
    'every function that may write has a call here');
my %dml = (
    'INSERT INTO queue' => q{INSERT INTO pgqueue.queue (queue) VALUES ('y')},
    'UPDATE queue' => 'UPDATE pgqueue.queue SET retries = 1', 'DELETE queue' => 'DELETE FROM pgqueue.queue',
    'INSERT INTO namespace' => q{INSERT INTO pgqueue.namespace (namespace) VALUES ('y')},
    'UPDATE namespace' => q{UPDATE pgqueue.namespace SET weight = 2 WHERE namespace = 'other'},
    'DELETE namespace' => q{DELETE FROM pgqueue.namespace WHERE namespace = 'other'},
    'INSERT INTO task' => q{INSERT INTO pgqueue.task (queue, payload) VALUES ('q', '1')},
    'UPDATE task' => q{UPDATE pgqueue.task SET priority = 1 WHERE status = 'new'},
    'DELETE task' => q{DELETE FROM pgqueue.task WHERE status = 'new'},
    'INSERT INTO ticker' => q{INSERT INTO pgqueue.ticker (ticker) VALUES ('u')},
    'UPDATE ticker' => 'UPDATE pgqueue.ticker SET priority = 4', 'DELETE ticker' => 'DELETE FROM pgqueue.ticker',
    'INSERT INTO handler' => q{INSERT INTO pgqueue.handler (type, function) VALUES ('u', 'h')},
);
# Namespace pgqueue is left out: its housekeeping goes on at any time.
my $content = <<~'SQL';
    SELECT md5(
        concat((SELECT string_agg(t::text, ' ' ORDER BY id) FROM pgqueue.task t WHERE namespace <> 'pgqueue'),
            (SELECT string_agg(q::text, ' ' ORDER BY queue) FROM pgqueue.queue q WHERE namespace <> 'pgqueue'),
            (SELECT string_agg(n::text, ' ' ORDER BY namespace) FROM pgqueue.namespace n WHERE namespace <> 'pgqueue'),
            (SELECT string_agg(h::text, ' ') FROM pgqueue.handler h),
            (SELECT string_agg(t::text, ' ' ORDER BY ticker) FROM pgqueue.ticker t WHERE namespace <> 'pgqueue'))
    )
    SQL
my $before = sql($content);

# Read-only transactions. A retain there is refused before a task is taken.
for my $name (sort keys %calls)
{
    next if $name eq 'wait_for_task';
    like(raised($node, "BEGIN READ ONLY;\n$calls{$name}"), qr/^25006: /, "read-only transaction: $name is refused");
}
like(raised($node, "BEGIN READ ONLY;\n$dml{$_}"), qr/^25006: /, "read-only transaction: $_ is refused")
    for sort keys %dml;
like(raised($node, <<~"SQL"), qr/^25006: /, 'read-only session: wait_for_task is refused');
    SET default_transaction_read_only = on;
    CALL pgqueue.wait_for_task('{q}', '1 s')
    SQL
is(raised($node, "BEGIN READ ONLY;\n$readers{$_}"), 'no error: ', "read-only transaction: $_ works")
    for grep { $_ ne 'wait_for_result' } sort keys %readers;
is(sql($content), $before, 'nothing is changed');

# Procedures that wait: at top level only.
for my $call (q{CALL pgqueue.wait_for_task('{q}', '1 s')}, "CALL pgqueue.wait_for_result($id, '1 s')")
{
    my ($name) = $call =~ /pgqueue\.(\w+)/;
    like(raised($node, "BEGIN;\n$call"), qr/^25001: .*\n.*DETAIL: .*\n.*HINT: /s,
        "$name in a transaction block: 25001, with a hint");
    like(raised($node, "SET default_transaction_isolation = '$_';\n$call"), qr/^25001: /, "$name at $_: 25001")
        for 'repeatable read', 'serializable';
    like(raised($node, $call =~ s/'1 s'\)/'1 s', namespace => 'nosuch')/r), qr/^42704: /,
        "$name: an unknown namespace");
    like(raised($node, $call =~ s/'1 s'\)/'1 s', namespace => 'a b')/r), qr/^(42602|42704): /, "$name: not a name");
}
like(raised($node, "CALL pgqueue.wait_for_task('$$_[0]', '0')"), qr/^$$_[1]: /, "wait_for_task('$$_[0]'): $$_[1]")
    for ['{nosuch}', '42704'], ['{q,NULL}', '22004'], ['{a b}', '42602'], ['{{q},{q}}', '2202E'];
like(raised($node, "CALL pgqueue.wait_for_result($$_[0], '0')"), qr/^$$_[1]: /, "wait_for_result($$_[0]): $$_[1]")
    for ['NULL', '22004'], ['987654321', '42704'];
like(raised($node, "CALL pgqueue.wait_for_result($id, '0', namespace => 'other')"), qr/^42704: /,
    'wait_for_result: a task of another namespace');

# PREPARE TRANSACTION and savepoints are in isolation/specs. A standby:
$node->backup('b');
my $standby = PgQueue::Node->new('standby');
$standby->init_from_backup($node, 'b', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
like(raised($standby, $calls{$_}), qr/^25006: .*(standby|recovery|read-only)/i, "standby: $_ is refused")
    for sort keys %calls;
like(raised($standby, $dml{$_}), qr/^25006: /, "standby: $_ is refused") for sort keys %dml;
is(raised($standby, $readers{$_}), 'no error: ', "standby: $_ works") for sort keys %readers;
is($standby->safe_psql('postgres', $content), $before, 'standby: it shows what the primary has');
$standby->stop('immediate');

is(sql($content), $before, 'nothing is changed at the end');
is(sql("SELECT pgqueue.release_task($id, $receipt)"), 'released', 'the task that was held all the time is released');
done_testing();
