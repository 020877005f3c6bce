# What a BI tool does: reads every view through ODBC, with a role that may only read, and takes all of them as CSV. K03.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IPC::Run ();
use PgQueue;
use Test::More;

needs_programs('isql');
my $node = new_node('bi', conf => "log_statement = none\nlisten_addresses = '127.0.0.1'");
my $db = 'postgres';
sub sql { return $node->safe_psql($db, @_); }
sql(<<~'SQL');
    CREATE ROLE analyst LOGIN IN ROLE pgqueue_user, pg_monitor;
    SELECT pgqueue.create_queue('q', retries => 0, on_finish => 'archive', retention => '1 ms'),
        pgqueue.create_queue('s', executor => 'server'), pgqueue.create_ticker('t', 'q', period => '1 hour'),
        pgqueue.grant_namespace('default', 'read', 'analyst');
    CREATE FUNCTION f(payload jsonb) RETURNS void LANGUAGE sql AS '';
    SELECT pgqueue.create_handler('x', 'f');
    SELECT pgqueue.create_task('q', '{"odd": "a \" , ; \n"}', type => 'x'),
        pgqueue.create_task('s', command => 'SELECT 1');
    SELECT pgqueue.release_task(id, receipt) FROM pgqueue.next_task('w', 'q');
    SELECT pgqueue.create_task('q', '2')
    SQL
ok(wait_for($node, $db, q{SELECT released_total FROM pgqueue.queue_stat WHERE queue = 's'}, '1'), 'there was work');
sql(q{SELECT pgqueue_internal.clean(1, now() + interval '1 hour'), pgqueue.fire_ticker('t')});

# Rows that a query returns through ODBC.
my $connection = "DRIVER={PostgreSQL Unicode};SERVER=127.0.0.1;PORT=@{[ $node->port ]};DATABASE=$db;UID=analyst";
sub odbc
{
    my ($query) = @_;
    my ($out, $err) = ('', '');
    my $ok = IPC::Run::run([ 'isql', '-b', '-k', $connection, '-d\x1f' ], '<', \"$query\n", '>', \$out, '2>', \$err);
    return ($ok && "$out$err" !~ /\[ISQL\]ERROR/, [ split(/\n/, $out) ], "$out$err");
}
for my $view (split(/\n/, sql(q{SELECT relname FROM pg_class WHERE relnamespace = 'pgqueue'::regnamespace
    AND relkind = 'v' ORDER BY 1})))
{
    my ($ok, $rows, $said) = odbc("SELECT * FROM pgqueue.$view");
    ok($ok, "K03: ODBC reads $view") or diag($said);
    my ($out, $err) = ('', '');
    my $rc = $node->psql($db, "COPY (SELECT * FROM pgqueue.$view) TO STDOUT (FORMAT csv, HEADER)", stdout => \$out,
        stderr => \$err, extra_params => [ '-U', 'analyst' ]);
    is($rc, 0, "K03: $view as CSV") or diag($err);
    unlike($out, qr/^$/, 'with a header');
}
my ($ok, $rows) = odbc('SELECT queue, status, count FROM pgqueue.queue_status ORDER BY 1, 2');
is(scalar(grep { /released/ } @$rows), 2, 'rows arrive');
($ok, $rows) = odbc(q{SELECT minute, queue, created, released FROM pgqueue.stat_history ORDER BY 1});
ok($ok, 'a time and numbers');
($ok) = odbc('SELECT * FROM pgqueue.no_such_view');
ok(!$ok, 'an error is seen as one');
for my $change (
    q{DELETE FROM pgqueue.task},
    q{SELECT pgqueue.create_task('q', '1')},
    q{UPDATE pgqueue.queue SET paused = true})
{
    my $err;
    isnt($node->psql($db, $change, stderr => \$err, extra_params => [ '-U', 'analyst' ]), 0, "refused: $change");
    like($err, qr/permission denied|42501|no privilege|may not/i, 'for lack of a right') or diag($err);
}
$node->stop;
done_testing();
