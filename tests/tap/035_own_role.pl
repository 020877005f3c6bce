# A worker runs as the role of its tasks, whatever the setting role says (R9). More than the process number identifies a
# session (R7).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use Test::More;

my $node = new_node('own', conf => "pgqueue.worker_idle_timeout = '1min'");
# The test's own sessions are who they are.
$ENV{PGOPTIONS} = '-c role=none';
sub sql { return $node->safe_psql('postgres', @_); }
sql(q{SELECT pgqueue.create_queue('q'), pgqueue.create_queue('s', executor => 'server')});

# R9: settings of database and role that change as whom a session runs.
sql(<<~'SQL');
    CREATE ROLE app LOGIN;
    CREATE ROLE quiet NOLOGIN;
    GRANT pgqueue_user TO app, quiet;
    GRANT pg_monitor TO app, quiet;
    SELECT pgqueue.grant_namespace('default', 'manage, use', r) FROM unnest('{app,quiet}'::text[]) r;
    CREATE FUNCTION who(jsonb DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
        SELECT concat_ws(' ', current_user, session_user, current_setting('role'))
    $$;
    SET SESSION AUTHORIZATION app;
    SELECT pgqueue.create_handler('app', 'who');
    RESET SESSION AUTHORIZATION;
    SET SESSION AUTHORIZATION quiet;
    SELECT pgqueue.create_handler('quiet', 'who')
    SQL
# As whom a command and a handler of the role run, in a new worker.
sub runs_as
{
    my ($role) = @_;
    terminate($node, $_) for pids_of($node, 'pgqueue worker', 'postgres');
    my @ids = (sql("SET SESSION AUTHORIZATION $role; SELECT pgqueue.create_task('q', command => 'SELECT who()')"),
        sql("SET SESSION AUTHORIZATION $role; SELECT pgqueue.create_task('s', '{}', type => '$role')"));
    wait_for($node, 'postgres', "SELECT finished_at IS NOT NULL FROM pgqueue.task WHERE id = $_", 't', 60) for @ids;
    my $who = q{SELECT coalesce(result->'first'->>'who', result#>>'{}', error) FROM pgqueue.task};
    return join ', ', map { sql("$who WHERE id = $_") } @ids;
}
for my $where ('DATABASE postgres', 'ROLE ALL', 'ROLE app', 'ROLE quiet', 'ROLE app IN DATABASE postgres')
{
    sql("ALTER $where SET role = 'pg_monitor'");
    is(runs_as($_), "$_ $_ none, $_ $_ none", "R9: tasks of $_ with ALTER $where SET role") for qw(app quiet);
    sql("ALTER $where RESET role");
}

# R7: a session that has the process number of a former one.
sql(q{SELECT pgqueue.create_queue('held')});
my (undef, undef) = $node->psql('postgres',
    q{CREATE FUNCTION other_session() RETURNS void LANGUAGE C AS 'pgqueue', 'pgqueue_test_other_session'});
SKIP:
{
    skip 'the library has no test points', 5 if $node->psql('postgres', q{SELECT 'other_session'::regproc}) != 0;
    sql(<<~'SQL');
        CREATE ROLE works LOGIN;
        GRANT pgqueue_user TO works;
        SELECT pgqueue.grant_namespace('default', 'work', 'works');
        GRANT EXECUTE ON FUNCTION other_session() TO works;
        SELECT pgqueue.create_task('held', '"secret"'), pgqueue.create_task('held', '"secret"')
        SQL
    my $s = session($node);
    my ($held, $ended) = split /\n/,
        $s->query(q{SELECT id FROM pgqueue.next_tasks('w', '{held}', 2, lease => '1 h') ORDER BY id});
    $s->query('SET SESSION AUTHORIZATION works');
    my $sees = "SELECT count(payload) FROM pgqueue.task WHERE id = $held";
    is($s->query($sees), '1', 'R7: the session that holds a task sees it, whatever its role is by now');
    is($s->query("SELECT pgqueue.release_task($ended)"), 'released', 'R7: and needs no receipt');
    $s->query('SELECT other_session()');
    is($s->query($sees), '0', 'R7: another session of that number does not see it');
    like($s->query("SELECT pgqueue.release_task($held)"), qr/the receipt of task $held is not valid/,
        'R7: nor can it end it');
    undef $s;
    is(sql("SELECT status FROM pgqueue.task WHERE id = $held"), 'retained', 'R7: nor does its end');
}

done_testing();
