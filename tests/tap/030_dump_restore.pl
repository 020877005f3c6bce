# pg_dump and restore: tasks, queues, settings, grants and sequences survive; roles are found by name; the copy holds
# its tasks until adopted (A50).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $old = new_node('old');
$old->safe_psql('postgres', <<~'SQL');
    CREATE DATABASE source;
    CREATE ROLE alice;
    CREATE ROLE bob;
    CREATE ROLE gone;
    GRANT pgqueue_user TO alice, bob, gone;
    SQL
$old->safe_psql('source', <<~'SQL');
    CREATE EXTENSION pgqueue;
    SELECT pgqueue.create_namespace('app', weight => 7, description => 'shop', max_leases => 11, max_queues => 22);
    SELECT pgqueue.update_namespace('default', weight => 3);
    SELECT pgqueue.create_queue('mails', ttl => '3 days', priority => 50, namespace => 'app');
    SELECT pgqueue.create_queue('held', namespace => 'app');
    SELECT pgqueue.pause_queue('held', 'for the dump', namespace => 'app');
    SELECT pgqueue.grant_namespace('app', 'use, read', 'alice');
    SELECT pgqueue.grant_namespace('app', 'read', 'bob');
    SELECT pgqueue.grant_namespace('app', 'use', 'gone');
    SELECT pgqueue.grant_namespace('app', 'work', 'public');
    SELECT pgqueue.update_namespace('app', owner => 'bob');
    SET ROLE bob;
    SELECT pgqueue.update_namespace('app', max_groups => 33);
    RESET ROLE;
    SELECT pgqueue.grant_namespace('app', 'manage', 'gone'), pgqueue.grant_namespace('app', 'manage', 'alice');
    SET ROLE alice;
    SELECT pgqueue.create_ticker('hers', 'held', cron => '0 0 1 1 *', command => 'SELECT current_user',
        namespace => 'app');
    SELECT pgqueue.create_ticker('often', 'mails', period => '1 hour', misfire => 'all', namespace => 'app');
    SET ROLE gone;
    SELECT pgqueue.create_ticker('orphan', 'held', period => '1 hour', command => 'SELECT current_user',
        namespace => 'app');
    RESET ROLE;
    SELECT pgqueue.update_ticker('cleanup', period => '20 min', namespace => 'pgqueue');
    SELECT pgqueue.revoke_namespace('app', 'manage', 'gone'), pgqueue.revoke_namespace('app', 'manage', 'alice');
    SET ROLE alice;
    SELECT pgqueue.create_task('mails', '{"to": "x"}', headers => '{"h": 1}', namespace => 'app');
    SELECT pgqueue.create_task('held', command => 'SELECT current_user', namespace => 'app');
    RESET ROLE;
    SET ROLE gone;
    SELECT pgqueue.create_task('held', command => 'SELECT current_user', namespace => 'app');
    SQL
# One with a result, one with an error.
$old->safe_psql('source', q{SELECT pgqueue.create_queue('done', retries => 0, namespace => 'app')});
$old->safe_psql('source', qq{SET ROLE alice; SELECT pgqueue.create_task('done', command => '$_', namespace => 'app')})
    for 'SELECT 42 AS answer', 'SELECT 1 / 0';
ok(wait_for($old, 'source', q{SELECT count(*) FROM pgqueue.task WHERE queue = 'done' AND finished_at IS NOT NULL}, '2'),
    'two tasks have run');
ok(wait_for($old, 'source', <<~'SQL', 'alice gone postgres'), 'the dictionary knows the roles of tasks');
    SELECT string_agg(DISTINCT name, ' ' ORDER BY name) FROM pgqueue_internal.role
    SQL

ok(wait_for($old, 'source', <<~'SQL', '2'), 'two tickers have fired');
    SELECT count(*) FROM pgqueue.ticker_run WHERE ticker IN ('often', 'orphan') AND outcome = 'fired'
    SQL
my $all = <<~'SQL';
    SELECT jsonb_agg(to_jsonb(t) ORDER BY t.ticker) FROM pgqueue.ticker t;
    SELECT jsonb_agg(to_jsonb(r) ORDER BY r.ticker, r.slot) FROM pgqueue.ticker_run r WHERE namespace = 'app';
    SELECT jsonb_agg(to_jsonb(t) ORDER BY t.id) FROM pgqueue.task t;
    SELECT jsonb_agg(to_jsonb(a) - 'pid' ORDER BY a.task_id, a.attempt) FROM pgqueue.task_attempt a;
    SELECT jsonb_agg(to_jsonb(q) ORDER BY q.queue) FROM pgqueue.queue q;
    SELECT jsonb_agg(to_jsonb(n) ORDER BY n.namespace) FROM pgqueue.namespace n WHERE namespace <> 'pgqueue';
    SQL
my $before = $old->safe_psql('source', $all);
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';
$old->command_ok([ 'pg_dump', '--file' => $dump, $old->connstr('source') ], 'pg_dump');

# E10: by the owner of the database. To own it is no right to read what others have put into it: with pg_read_all_data
# he dumps all, without it all but the tasks.
$old->safe_psql('postgres', 'CREATE ROLE keeper LOGIN; ALTER DATABASE source OWNER TO keeper');
my @by_keeper = ('pg_dump', '--username' => 'keeper');
# 18 names the first sequence that it cannot read.
$old->command_fails_like([ @by_keeper, $old->connstr('source') ],
    qr/permission denied for schema pgqueue_internal|user may lack SELECT privilege on the sequence/,
    'E10: pg_dump by the owner of the database is refused');
my $without = PostgreSQL::Test::Utils::tempdir() . '/without.sql';
$old->command_ok(
    [ @by_keeper, '--exclude-schema' => 'pgqueue_internal', '--file' => $without, $old->connstr('source') ],
    'E10: but for the tables of pgqueue');
$old->safe_psql('postgres', 'GRANT pg_read_all_data TO keeper');
my $kept = PostgreSQL::Test::Utils::tempdir() . '/kept.sql';
$old->command_ok([ @by_keeper, '--file' => $kept, $old->connstr('source') ], 'E10: with pg_read_all_data he may');
sub content { my ($file) = @_; return join '', grep { !/^\\(un)?restrict / } split /^/, slurp_file($file); }
# What nobody needs any more may go between two dumps.
my $later = PostgreSQL::Test::Utils::tempdir() . '/later.sql';
$old->command_ok([ 'pg_dump', '--file' => $later, $old->connstr('source') ], 'pg_dump, once more');
ok((grep { content($kept) eq content($_) } $dump, $later), 'E10: his dump is that of a superuser');
like(content($dump), qr/COPY pgqueue_internal\.segment_0 .*setval\('pgqueue_internal\.task_id'/s,
    'E10: with tasks and sequences');
$old->safe_psql('postgres', 'CREATE DATABASE empty');
$old->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $old->connstr('empty'), '-f', $without ],
    'E10: what he dumps without it can be restored');
is($old->safe_psql('empty', <<~'SQL'), '0 1', 'E10: a pgqueue without tasks, held as any copy is');
    SELECT count(*) || ' ' || (SELECT count(*) FROM pgqueue.health WHERE problem = 'not_adopted') FROM pgqueue.task
    SQL

# Into a new database of the same cluster.
$old->safe_psql('postgres', 'CREATE DATABASE copy');
$old->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $old->connstr('copy'), '-f', $dump ],
    'restore beside the source');
is($old->safe_psql('copy', $all), $before, 'tasks, attempts, queues, namespaces are the same');
is($old->safe_psql('copy', <<~'SQL'), 'alice read, alice use, bob read, gone use, public work', 'and the grants');
    SELECT string_agg(role || ' ' || privilege, ', ' ORDER BY role, privilege) FROM pgqueue.namespace_grant
    SQL
is($old->safe_psql('copy', q{SELECT problem FROM pgqueue.health WHERE problem = 'not_adopted'}), 'not_adopted',
    'the copy says that it holds its tasks');

# Into another cluster, where one role is missing and numbers mean other roles.
my $new = new_node('new');
$new->safe_psql('postgres', <<~'SQL');
    CREATE ROLE a0;
    CREATE ROLE a1;
    CREATE ROLE a2;
    CREATE ROLE a3;
    CREATE ROLE bob;
    CREATE ROLE alice;
    CREATE DATABASE copy;
    SQL
$new->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $new->connstr('copy'), '-f', $dump ],
    'restore into another cluster, though a role is missing');
$new->safe_psql('postgres', 'GRANT pgqueue_user TO alice, bob');
is($new->safe_psql('copy', $all), $before, 'tasks, attempts, queues, namespaces are the same there');
is($new->safe_psql('copy', <<~'SQL'), 'alice read, alice use, bob read, public work',
    SELECT string_agg(role || ' ' || privilege, ', ' ORDER BY role, privilege) FROM pgqueue.namespace_grant
    SQL
    'grants by name; those of the missing role are nobody\'s');
is($new->safe_psql('copy', q{SET ROLE alice; SELECT count(*) FROM pgqueue.task}), '7', 'alice reads there');
is($new->safe_psql('copy', q{SELECT pgqueue.has_namespace_privilege('app', 'owner', 'bob')}), 't', 'bob owns there');
cmp_ok($new->safe_psql('copy', q{SET ROLE alice; SELECT pgqueue.create_task('mails', '{}', namespace => 'app')}), '>',
    7, 'ids go on after those of the dump');
is($new->safe_psql('copy', q{SELECT queue FROM pgqueue.create_queue('fresh', namespace => 'app')}), 'fresh',
    'queues can be made');

# Nothing runs before the adoption, neither what was restored nor what is new, while the database beside it works.
$new->safe_psql('copy', <<~'SQL');
    SELECT pgqueue.resume_queue('held', namespace => 'app');
    SET ROLE alice;
    SELECT pgqueue.create_task('held', command => 'SELECT current_user', namespace => 'app');
    SQL
$new->safe_psql('postgres', q{SELECT pgqueue.create_queue('q')});
$new->safe_psql('postgres', q{SELECT pgqueue.create_task('q', command => 'SELECT 1')});
ok(wait_for($new, 'postgres', 'SELECT status FROM pgqueue.task', 'released'), 'a task of another database has run');
is($new->safe_psql('copy', q{SELECT string_agg(status, ' ') FROM pgqueue.task WHERE queue = 'held'}), 'new new new new',
    'those of the copy wait');

# Adoption: what waits runs as its role, found by name; a task of the missing role fails alone.
$new->safe_psql('copy', 'SELECT pgqueue.adopt()');
ok(wait_for($new, 'copy', <<~'SQL', 'alice alice', 60), 'tasks of alice run as alice');
    SELECT string_agg(result #>> '{first,current_user}', ' ') FROM pgqueue.task
    WHERE queue = 'held' AND role = 'alice' AND status = 'released'
    SQL
is($new->safe_psql('copy', <<~'SQL'), '0', 'that of the missing role does not run as anybody');
    SELECT count(*) FROM pgqueue.task WHERE queue = 'held' AND role = 'gone' AND status = 'released'
    SQL
is($new->safe_psql('copy', q{SELECT count(*) FROM pgqueue.health WHERE problem = 'not_adopted'}), '0',
    'health is well again');
is($new->safe_psql('copy', <<~'SQL'), 'new role_missing CREATE ROLE gone;',
    SELECT DISTINCT t.status || ' ' || w.reason || ' ' || w.hint
    FROM pgqueue.task t, pgqueue.why(t.id) w
    WHERE role = 'gone' AND command IS NOT NULL
    SQL
    'L1: it is held, and why() says how to let it go');
is($new->safe_psql('copy', <<~'SQL'), 'hers alice, often alice, orphan gone', 'tickers have their roles by name');
    SELECT string_agg(ticker || ' ' || role, ', ' ORDER BY ticker) FROM pgqueue.ticker WHERE namespace = 'app'
    SQL
$new->safe_psql('copy', q{UPDATE pgqueue.ticker SET period = '1 second' WHERE ticker IN ('often', 'orphan')});
ok(wait_for($new, 'copy', q{SELECT count(*) > 2 FROM pgqueue.task WHERE ticker = 'often' AND role = 'alice'}, 't'),
    'one fires on');
ok(wait_for($new, 'copy', <<~'SQL', 'role "gone" does not exist'), 'that of the missing role makes nothing');
    SELECT DISTINCT error FROM pgqueue.ticker_run WHERE ticker = 'orphan' AND outcome = 'error'
    SQL
# A renamed role keeps its tickers.
$new->safe_psql('postgres', 'ALTER ROLE alice RENAME TO alicia');
ok(wait_for($new, 'copy', q{SELECT role_name FROM pgqueue_internal.ticker WHERE name = 'often'}, 'alicia'),
    'a renamed role is remembered by its new name');

done_testing();
