# A handler runs only while its function is whose it was when it was registered (R5).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('whose', conf => "pgqueue.worker_idle_timeout = '1min'");
sub sql { return $node->safe_psql('postgres', @_); }
my $id;
sql(q{SELECT pgqueue.create_queue('q'), pgqueue.create_queue('s', executor => 'server')});

sql(q{
    CREATE ROLE bob LOGIN; CREATE ROLE mallory LOGIN; CREATE ROLE team; GRANT team TO bob;
    GRANT pgqueue_user TO bob;
    SELECT pgqueue.grant_namespace('default', 'manage, use', 'bob');
    CREATE SCHEMA app; GRANT USAGE, CREATE ON SCHEMA app TO bob, mallory, team;
    CREATE TABLE ran (who name); GRANT INSERT ON ran TO PUBLIC;
    SET ROLE team;
    CREATE FUNCTION app.send(jsonb) RETURNS name LANGUAGE sql AS 'SELECT current_user';
    CREATE FUNCTION app.late(jsonb, jsonb) RETURNS name LANGUAGE sql AS 'SELECT current_user';
    RESET ROLE; SET SESSION AUTHORIZATION bob;
    SELECT pgqueue.create_handler('send', 'app.send')});
sub send_one
{
    my $id = sql(q{SET SESSION AUTHORIZATION bob; SELECT pgqueue.create_task('s', '{}', type => 'send', retries => 0)});
    wait_for($node, 'postgres', "SELECT finished_at IS NOT NULL FROM pgqueue.task WHERE id = $id", 't', 60);
    return sql("SELECT concat_ws(' ', status, error_code, result) FROM pgqueue.task WHERE id = $id");
}
sub health { return sql(q{SELECT string_agg(message, '; ') FROM pgqueue.health WHERE problem = 'no_handler'}); }
# The function as this role makes it.
sub made_by { my ($role) = @_; return sql(qq{DROP FUNCTION IF EXISTS app.send(jsonb); SET ROLE $role; CREATE FUNCTION app.send(jsonb) RETURNS name LANGUAGE sql AS 'SELECT current_user'}); }
is(send_one(), 'released "bob"', 'R5: a handler runs as the role that registered it, whoever owns its function');
is(health(), '', 'R5: all is well');
sql('DROP FUNCTION app.send(jsonb)');
is(send_one(), 'failed 42883', 'R5: without its function it fails');
is(health(), 'handler of type "send" cannot run: function app.send(jsonb) does not exist', 'R5: and health says so');
sql(q{SET ROLE mallory; CREATE FUNCTION app.send(jsonb) RETURNS name LANGUAGE sql AS 'INSERT INTO public.ran VALUES (current_user); SELECT current_user'});
is(send_one(), 'failed 42501', 'R5: a function that another role has put there is not run');
is(sql('SELECT count(*) FROM ran'), '0', 'R5: at all');
like(health(), qr/^handler of type "send" cannot run: function app\.send\(jsonb\) belongs to role "mallory", which did not have it/, 'R5: health says so');
sql(q{SELECT pgqueue.pause_queue('s')});
$id = sql(q{SET SESSION AUTHORIZATION bob; SELECT pgqueue.create_task('s', '{}', type => 'send')});
like(sql("SELECT string_agg(message, '; ') FROM pgqueue.why($id) WHERE reason = 'no_handler'"), qr/^An attempt fails: function app\.send\(jsonb\) belongs to role "mallory"/, 'R5: and why');
is(sql("SELECT pgqueue.run_task($id)"), 'retry', 'R5: nor does run_task run it');
sql("SELECT pgqueue.cancel_task($id), pgqueue.resume_queue('s')");
for my $role (qw(team bob postgres))
{
    made_by($role);
    is(send_one(), 'released "bob"', "R5: one that $role has put there is");
}
sql('ALTER FUNCTION app.send(jsonb) OWNER TO mallory');
is(send_one(), 'failed 42501', 'R5: a function that was given away is not');
sql(q{SET SESSION AUTHORIZATION bob; SELECT pgqueue.delete_handler('send'); SELECT pgqueue.create_handler('send', 'app.send')});
is(send_one(), 'released "bob"', 'R5: unless it is registered again');
is(health(), '', 'R5: all is well again');
# Functions around a handler are of the same kind.
sql(q{SET SESSION AUTHORIZATION bob; SELECT pgqueue.create_handler('send', 'app.late', 'after')});
sql(q{ALTER FUNCTION app.late(jsonb, jsonb) OWNER TO mallory});
is(send_one(), 'failed 42501', 'R5: nor is one that runs after it');
sql(q{SET SESSION AUTHORIZATION bob; SELECT pgqueue.delete_handler('send', phase => 'after')});

# A dump knows whose functions they were, by name; a restored copy has roles of other numbers.
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';
made_by('team');
sql(q{SET SESSION AUTHORIZATION bob; SELECT pgqueue.delete_handler('send'); SELECT pgqueue.create_handler('send', 'app.send')});
$node->command_ok(['pg_dump', '--file' => $dump, $node->connstr('postgres')], 'R5: pg_dump');
my $other = new_node('other');
$other->safe_psql('postgres', q{CREATE ROLE filler; CREATE ROLE mallory LOGIN; CREATE ROLE team; CREATE ROLE bob LOGIN; GRANT team TO bob});
$other->safe_psql('postgres', 'CREATE DATABASE copy');
$other->command_ok(['psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $other->connstr('copy'), '-f', $dump], 'R5: a restore in another cluster');
$other->safe_psql('copy', 'GRANT pgqueue_user TO bob; SELECT pgqueue.adopt()');
my $sent = $other->safe_psql('copy', q{SET SESSION AUTHORIZATION bob; SELECT pgqueue.create_task('s', '{}', type => 'send', retries => 0)});
ok(wait_for($other, 'copy', "SELECT status FROM pgqueue.task WHERE id = $sent", 'released', 60), 'R5: the handler runs there');
is($other->safe_psql('copy', q{SELECT o.rolname FROM pgqueue_internal.handler h JOIN pg_roles o ON o.oid = h.owner WHERE type = 'send'}), 'team', 'R5: its function is whose it was');
$other->safe_psql('copy', 'ALTER FUNCTION app.send(jsonb) OWNER TO mallory');
$sent = $other->safe_psql('copy', q{SET SESSION AUTHORIZATION bob; SELECT pgqueue.create_task('s', '{}', type => 'send', retries => 0)});
ok(wait_for($other, 'copy', "SELECT status, error_code FROM pgqueue.task WHERE id = $sent", 'failed|42501', 60), 'R5: and only while it is');

done_testing();
