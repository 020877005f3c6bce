# Fault R4 with tasks that the collector archived: they belong to the role, also in a restored copy, where the name
# finds it; in a database that runs a new role of the name is another one. The small facts are in
# pgtap/archived_roles.sql.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use PostgreSQL::Test::Utils;
use Test::More;

my $conf = "log_statement = none\npgqueue.max_workers = 2";
my $old = new_node('old', conf => $conf);
my $make_roles = 'CREATE ROLE dan; CREATE ROLE eve; CREATE ROLE boss; GRANT pgqueue_user TO dan, eve, boss';
$old->safe_psql('postgres', $make_roles);
$old->safe_psql('postgres', <<~'SQL');
    CREATE EXTENSION pg_background_queue;
    SELECT pgqueue.create_queue('kept', on_finish => 'archive', retention => '1 s', ttl => '0');
    SELECT pgqueue.grant_namespace('default', 'use', 'public'),
        pgqueue.grant_namespace('pg_background_queue', 'use', 'public'),
        pgqueue.grant_namespace('pg_background_queue', 'manage', 'boss')
    SQL
for my $role (qw(dan eve))
{
    $old->safe_psql('postgres', <<~"SQL");
        SET ROLE $role;
        SELECT pgqueue.create_task('kept', '{"of": "$role"}');
        INSERT INTO pg_background_tasks (sql_statement, joined_at) VALUES
            ('SELECT current_user', now()::timestamp + interval '1 day');
        UPDATE pg_background_tasks SET state = 'failed'
        SQL
}
my $release = q{SELECT pgqueue.release_task(id, receipt) FROM pgqueue.next_task('w', 'kept')};
for (1, 2) { ok(wait_for($old, 'postgres', $release, 'released', 20), 'a task is done'); }
my $archived = wait_until(sub {
    $old->safe_psql('postgres', q{SELECT pgqueue_internal.clean(1, now() + interval '2 h')});
    return $old->safe_psql('postgres', 'SELECT count(*) FROM pgqueue.task_archive') eq '4';
}, 60);
ok($archived, 'all are archived');

my $names = q{SELECT string_agg(role || ' ' || queue, ', ' ORDER BY role, queue) FROM pgqueue.task_archive};
my $all = 'dan default, dan kept, eve default, eve kept';
# What a role sees of its own: in the archive, and in the relation of pg_background_queue.
sub seen
{
    my ($node, $db, $role) = @_;
    return $node->safe_psql($db, <<~"SQL");
        SET ROLE $role;
        SELECT (
            SELECT string_agg(concat_ws(' ', role, payload ->> 'of'), ', ' ORDER BY queue) FROM pgqueue.task_archive
        ), (SELECT count(*) FROM pg_background_tasks)
        SQL
}
is($old->safe_psql('postgres', $names), $all, 'the archive shows the roles');
is(seen($old, 'postgres', $_), "$_, $_ $_|1", "R4: $_ sees its own") for qw(dan eve);

# A restore in another cluster, where numbers are others and one role is missing: by name, and when it is made later
# too.
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';
$old->command_ok(['pg_dump', '--file' => $dump, $old->connstr('postgres')], 'pg_dump');
my $new = new_node('new', conf => $conf);
$new->safe_psql('postgres', 'CREATE ROLE a0; CREATE ROLE a1; CREATE ROLE eve; CREATE ROLE boss; CREATE DATABASE copy');
$new->command_ok(['psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $new->connstr('copy'), '-f', $dump],
    'a restore elsewhere');
$new->safe_psql('postgres', 'GRANT pgqueue_user TO eve, boss');
is($new->safe_psql('copy', $names), $all, 'R4: the copy shows the same roles');
is(seen($new, 'copy', 'eve'), 'eve, eve eve|1', 'R4: the role of the name has them there');
$new->safe_psql('copy', 'SELECT pgqueue.adopt()');
is(seen($new, 'copy', 'eve'), 'eve, eve eve|1', 'R4: after adopt() too');
$new->safe_psql('postgres', 'CREATE ROLE dan; GRANT pgqueue_user TO dan');
is(seen($new, 'copy', 'dan'), 'dan, dan dan|1',
    'R4: a role that was missing finds its own when it is made after a restore');

# In the database that runs the name counts for nothing.
$old->safe_psql('postgres', 'DROP ROLE dan');
is($old->safe_psql('postgres', $names), $all, 'R4: the name of a role that is gone is shown');
$old->safe_psql('postgres', 'CREATE ROLE dan; GRANT pgqueue_user TO dan');
is(seen($old, 'postgres', 'dan'), '|0', 'R4: a new role of its name sees nothing');
$old->safe_psql('postgres', 'ALTER ROLE dan SUPERUSER');
my $again = <<~'SQL';
    UPDATE pg_background_tasks
    SET state = 'pending'
    WHERE id = (SELECT id FROM pgqueue.task_archive WHERE namespace = 'pg_background_queue' AND role = '%s')
    SQL
my $as_boss = <<~'SQL';
    \set VERBOSITY verbose
    GRANT boss TO CURRENT_USER;
    SELECT pgqueue.grant_namespace('pg_background_queue', 'read', 'boss');
    SET ROLE boss;
    SQL
my (undef, undef, $err) = $old->psql('postgres', $as_boss . sprintf($again, 'dan'));
like(
    $err,
    qr/ERROR:  42704: role "dan" of task \d+ does not exist\n.*DETAIL:  A role that has its name now is another one/s,
    'R4: a manager does not run its command as the new one');
$old->safe_psql('postgres', 'SET ROLE boss; ' . sprintf($again, 'eve'));
ok(wait_for($old, 'postgres', <<~'SQL', 'eve released eve', 30),
    SELECT string_agg(concat_ws(' ', role, status, result #>> '{first,current_user}'), ', ')
    FROM pgqueue.task
    WHERE namespace = 'pg_background_queue'
    SQL
    'R4: the command of a role that is there runs again, as that role');
done_testing();
