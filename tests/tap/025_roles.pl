# Roles and their tasks in every order of enqueue, restore, clone, adopt, rename and drop. A task runs as the role that
# made it, or it is held visibly and runs or is cancelled later. It never fails because of its role, and never runs as
# another one. Faults L1 and L2.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $conf = "log_statement = none\nlog_min_messages = log\npgqueue.max_workers = 4";
my $who = q{command => 'SELECT current_user AS who'};

# What became of the tasks of a queue: id by id, its role, status and as whom it ran.
sub ran
{
    my ($node, $db, $queue) = @_;
    return $node->safe_psql($db, <<~"SQL");
        SELECT string_agg(concat_ws(' ', role, status, result #>> '{first,who}'), ', ' ORDER BY id)
        FROM pgqueue.task
        WHERE queue = '$queue'
        SQL
}

sub ran_in_time
{
    my ($node, $db, $queue, $expected, $name) = @_;
    my $got;
    wait_until(sub { $got = ran($node, $db, $queue); return $got eq $expected; }, 30);
    return is($got, $expected, $name);
}

# The task of a role that is not there: held, and both why() and health say so; hint: what they advise.
sub held
{
    my ($node, $db, $id, $role, $hint, $name) = @_;
    my $why = <<~"SQL";
        SELECT string_agg(reason || ' ' || message || ' ' || coalesce(hint, ''), '; ')
        FROM pgqueue.why($id)
        WHERE reason = 'role_missing'
        SQL
    is($node->safe_psql($db, $why), qq{role_missing Role "$role", as which it would run, does not exist. $hint},
        "$name: why says it");
    my $health = <<~"SQL";
        SELECT count(*) FROM pgqueue.health
        WHERE problem = 'role_missing' AND message LIKE '%ready task% role "$role", which does not exist'
        SQL
    ok(wait_for($node, $db, $health, '1', 30), "$name: health says it");
    return is($node->safe_psql($db, "SELECT status FROM pgqueue.get_task($id)"), 'new', "$name: and it waits");
}

sub as
{
    my ($node, $db, $role, $sql) = @_;
    return $node->safe_psql($db, "SET ROLE $role; $sql");
}

sub enqueue
{
    my ($node, $db, $role, $queue) = @_;
    return as($node, $db, $role, "SELECT pgqueue.create_task('$queue', $who)");
}

sub roles
{
    my ($node, @names) = @_;
    $node->safe_psql('postgres', join('; ', map { "CREATE ROLE $_ IN ROLE pgqueue_user" } @names));
    return;
}

sub number { my ($node, $role) = @_; return $node->safe_psql('postgres', "SELECT '$role'::regrole::oid"); }

# A database with the extension in which everybody may create tasks of a queue.
sub make_database
{
    my ($node, $db) = @_;
    $node->safe_psql('postgres', "CREATE DATABASE $db");
    $node->safe_psql($db, <<~'SQL');
        CREATE EXTENSION pgqueue;
        SELECT pgqueue.create_queue('q', ttl => '0'), pgqueue.grant_namespace('default', 'use', 'public')
        SQL
    return;
}

sub dump_of
{
    my ($node, $db) = @_;
    my $file = PostgreSQL::Test::Utils::tempdir() . "/$db.sql";
    $node->command_ok([ 'pg_dump', '-d', $node->connstr($db), '-f', $file ], "pg_dump of $db");
    return $file;
}

sub restore
{
    my ($node, $db, $file) = @_;
    $node->safe_psql('postgres', "CREATE DATABASE $db");
    $node->command_ok(
        [ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-d', $node->connstr($db), '-f', $file ],
        "$db is restored");
    return;
}

# Two clusters that give the same numbers to other roles.
my $old = new_node('old', conf => $conf, extension => 0);
my $new = new_node('new', conf => $conf, extension => 0);
$_->safe_psql('postgres', 'CREATE ROLE pgqueue_user') for $old, $new;
roles($old, qw(alice bob gone late));
roles($new, qw(carol dave erin alice bob));
is(number($old, 'alice') . number($old, 'bob'), number($new, 'carol') . number($new, 'dave'),
    'numbers mean other roles in the other cluster');

# Another cluster: some roles are there, one is made before adopt(), one after it; roles of that cluster enqueue before
# and after.
make_database($old, 'source');
$old->safe_psql('source', q{SELECT pgqueue.pause_queue('q')});
$old->safe_psql('source', q{SELECT pgqueue.create_namespace('his'), pgqueue.update_namespace('his', owner => 'gone')});
my ($by_alice, $by_bob, $by_gone, $by_late) = map { enqueue($old, 'source', $_, 'q') } qw(alice bob gone late);
as($old, 'source', 'alice', q{SELECT pgqueue.create_task('q', '{"a": 1}')});
my $dump = dump_of($old, 'source');
restore($new, 'copy', $dump);
as($new, 'copy', 'carol', "SELECT pgqueue.create_task('q', $who)");
is(as($new, 'copy', 'carol', q{SELECT string_agg(role || ' ' || command, ', ') FROM pgqueue.task}),
    'carol SELECT current_user AS who',
    'L1: who has the number of a restored role has a key of its own, and sees its own task only');
is(as($new, 'copy', 'alice', q{SELECT count(*) FROM pgqueue.task}), '2',
    'L1: the restored role sees the tasks that it made elsewhere');
as($new, 'copy', 'erin', "SELECT pgqueue.create_task('q', $who)");
$new->safe_psql('postgres', 'ALTER ROLE erin RENAME TO erica; CREATE ROLE gone IN ROLE pgqueue_user');
$new->safe_psql('copy', q{SELECT pgqueue.resume_queue('q'); SELECT pgqueue.adopt()});
ran_in_time($new, 'copy', 'q',
    'alice released alice, bob released bob, gone released gone, late new, alice new, carol released carol, '
    . 'erica released erica',
    'L1: restore: every task runs as its role, found by name, or made here');
held($new, 'copy', $by_late, 'late', 'CREATE ROLE late;', 'L1: restore, role missing');
is($new->safe_psql('copy', q{SELECT pgqueue.has_namespace_privilege('his', 'owner', 'gone')}), 't',
    'L1: a role that was made before adopt() owns its namespace');
enqueue($new, 'copy', 'dave', 'q');
ran_in_time($new, 'copy', 'q',
    'alice released alice, bob released bob, gone released gone, late new, alice new, carol released carol, '
    . 'erica released erica, dave released dave',
    'L2: the first task of a role that has the number of a restored one');
is($new->safe_psql('copy', q{SELECT count(*) FROM pgqueue.task_attempt WHERE outcome <> 'released'}), '0',
    'L2: in its first attempt');
$new->safe_psql('postgres', 'BEGIN; CREATE ROLE late; ROLLBACK');
is($new->safe_psql('copy', "SELECT status FROM pgqueue.get_task($by_late)"), 'new',
    'L1: a CREATE ROLE that is rolled back lets nothing go');
$new->safe_psql('postgres', 'CREATE ROLE x; ALTER ROLE x RENAME TO late');
ran_in_time($new, 'copy', 'q',
    'alice released alice, bob released bob, gone released gone, late released late, alice new, '
    . 'carol released carol, erica released erica, dave released dave',
    'L1: restore, role made after adopt(): it runs');
ok(wait_for($new, 'copy', q{SELECT count(*) FROM pgqueue.health}, '0', 10), 'L1: and health is well');

# A namespace, a handler, a ticker and a grant of a role that the restore does not find.
make_database($old, 'owned');
$old->safe_psql('owned', <<~'SQL' =~ s/owner_role/gone/r);
    CREATE FUNCTION whoami(jsonb) RETURNS text LANGUAGE sql AS 'SELECT current_user::text';
    SELECT pgqueue.create_namespace('theirs'),
        pgqueue.create_queue('s', executor => 'server', namespace => 'theirs', ttl => '0'),
        pgqueue.grant_namespace('theirs', 'all', 'owner_role')
    SQL
as($old, 'owned', 'gone', <<~'SQL');
    SELECT pgqueue.create_handler('who', 'public.whoami', namespace => 'theirs');
    SELECT pgqueue.create_ticker('t', 's', period => '1 hour', type => 'who', misfire => 'skip', namespace => 'theirs')
    SQL
$old->safe_psql('owned', <<~'SQL')
    SELECT pgqueue.update_namespace('theirs', owner => 'gone');
    SELECT pgqueue.create_task('s', '{}', type => 'who', namespace => 'theirs')
    SQL
    if $old->safe_psql('owned', q{SELECT pgqueue.pause_queue('s', namespace => 'theirs')});
my $owned = dump_of($old, 'owned');
$new->safe_psql('copy', q{SELECT pgqueue.update_namespace('his', owner => 'bob')});
$new->safe_psql('postgres', 'DROP ROLE gone');
restore($new, 'owned', $owned);
$new->safe_psql('owned', q{SELECT pgqueue.resume_queue('s', namespace => 'theirs'); SELECT pgqueue.adopt()});
ok(wait_for($new, 'owned', <<~'SQL',
    SELECT string_agg(message || ' ' || hint, E'\n' ORDER BY message COLLATE "C") FROM pgqueue.health
    SQL
        join("\n", '1 ready task waits for role "gone", which does not exist CREATE ROLE gone;',
        'role "gone" of function public.whoami does not exist, tasks of type "who" wait for it CREATE ROLE gone;',
        'role "gone" of ticker "t" does not exist, it makes no tasks CREATE ROLE gone;',
        'role "gone", which owns the namespace, does not exist CREATE ROLE gone;'), 30),
    'L1: health names what belongs to a role that is not there');
roles($new, 'gone');
my $results = <<~'SQL';
    SELECT string_agg(status || ' ' || coalesce(result #>> '{}', ''), ', ')
    FROM pgqueue.task
    WHERE type = 'who' AND ticker IS NULL
    SQL
ok(wait_for($new, 'owned', $results, 'released gone', 30),
    'L1: a typed task runs when the role of its handler is made');
ok(wait_for($new, 'owned', q{SELECT count(*) FROM pgqueue.health}, '0', 10), 'L1: nothing is missing any more');
is($new->safe_psql('owned', <<~'SQL'), 't|manage read use work|gone', 'L1: namespace, grants and handler are its own');
    SELECT pgqueue.has_namespace_privilege('theirs', 'owner', 'gone'),
        (
            SELECT string_agg(privilege, ' ' ORDER BY privilege)
            FROM pgqueue.namespace_grant
            WHERE namespace = 'theirs' AND role = 'gone'
        ), (SELECT role FROM pgqueue.handler)
    SQL
is(as($new, 'owned', 'gone', q{SELECT pgqueue.fire_ticker('t', namespace => 'theirs') > 0}), 't', 'L1: and the ticker');
ok(wait_for($new, 'owned', <<~'SQL', 'gone', 30), 'L1: whose tasks run');
    SELECT string_agg(DISTINCT result #>> '{}', ', ') FROM pgqueue.task WHERE ticker = 't' AND status = 'released'
    SQL

# Without a scheduler: pgqueue.enabled, pgqueue.databases. Then dumped, or cloned.
make_database($old, 'quiet');
$old->append_conf('postgresql.conf', 'pgqueue.enabled = off');
$old->reload;
ok(wait_for($old, 'quiet', q{SELECT count(*) FROM pgqueue.health WHERE problem = 'disabled'}, '1', 20),
    'nothing starts');
enqueue($old, 'quiet', 'bob', 'q');
as($old, 'quiet', 'bob', q{SELECT pgqueue.create_task('q', '{}')});
is(as($old, 'quiet', 'bob', 'SELECT count(*) FROM pgqueue.task'), '2', 'L1: without a scheduler a role sees its tasks');
restore($new, 'quiet', dump_of($old, 'quiet'));
$old->append_conf('postgresql.conf', "pgqueue.enabled = on\npgqueue.databases = 'postgres'");
$old->reload;
make_database($old, 'unserved');
enqueue($old, 'unserved', 'bob', 'q');
restore($new, 'unserved', dump_of($old, 'unserved'));
$old->safe_psql('postgres', "CREATE DATABASE clone TEMPLATE unserved");
$old->append_conf('postgresql.conf', "pgqueue.databases = ''");
$old->reload;
ran_in_time($old, 'quiet', 'q', 'bob released bob, bob new', 'L1: enabled = off: the task runs when it is on again');
ran_in_time($old, 'unserved', 'q', 'bob released bob', 'L1: databases: it runs when the database is among them');
for my $db (qw(quiet unserved))
{
    $new->safe_psql($db, 'SELECT pgqueue.adopt()');
    ran_in_time($new, $db, 'q', 'bob released bob' . ($db eq 'quiet' ? ', bob new' : ''),
        "L1: $db, dumped without a scheduler: it runs in the other cluster");
    is(as($new, $db, 'bob', 'SELECT count(*) FROM pgqueue.task'), $db eq 'quiet' ? '2' : '1',
        "L1: $db: and belongs to its role");
}
$old->safe_psql('clone', 'SELECT pgqueue.adopt()');
ran_in_time($old, 'clone', 'q', 'bob released bob', 'L1: a clone of a database that nobody served');

# A clone: its roles are those of the cluster, also renamed ones; one that was dropped is looked for by its name.
$old->stop;
my $node = $new;
make_database($node, 'model');
roles($node, qw(kept renamed remade));
$node->safe_psql('model', q{SELECT pgqueue.pause_queue('q')});
enqueue($node, 'model', $_, 'q') for qw(kept renamed remade);
$node->safe_psql('postgres', 'CREATE DATABASE clone TEMPLATE model');
$node->safe_psql('postgres', 'DROP DATABASE model; ALTER ROLE renamed RENAME TO other; DROP ROLE remade');
roles($node, 'remade');
$node->safe_psql('clone', q{SELECT pgqueue.resume_queue('q'); SELECT pgqueue.adopt()});
ran_in_time($node, 'clone', 'q', 'kept released kept, other released other, remade released remade',
    'L1: clone, then rename, then drop and create, then adopt');

# A running database: the number decides.
make_database($node, 'app');
roles($node, qw(frank greta));
$node->safe_psql('app', q{SELECT pgqueue.create_queue('warm', ttl => '0')});
enqueue($node, 'app', 'frank', 'warm');
ran_in_time($node, 'app', 'warm', 'frank released frank', 'a worker of the role is there');
$node->safe_psql('app', q{SELECT pgqueue.pause_queue('q')});
my $held = enqueue($node, 'app', 'frank', 'q');
enqueue($node, 'app', 'greta', 'q');
$node->safe_psql('app', 'DROP OWNED BY frank');
$node->safe_psql('postgres', 'ALTER ROLE greta RENAME TO grete; DROP ROLE frank');
$node->safe_psql('app', q{SELECT pgqueue.resume_queue('q')});
ran_in_time($node, 'app', 'q', 'frank new, grete released grete',
    'L1: rename: runs as the renamed role; drop: is held, also while a worker of the role lives');
held($node, 'app', $held, 'frank', "SELECT pgqueue.cancel_task($held);", 'L1: role dropped');
roles($node, 'frank');
my $other = enqueue($node, 'app', 'frank', 'q');
ran_in_time($node, 'app', 'q', 'frank new, grete released grete, frank released frank',
    'L1: dropped and made again: the new role is another one');
held($node, 'app', $held, 'frank', "SELECT pgqueue.cancel_task($held);", 'L1: role dropped and made again');
is(as($node, 'app', 'frank', 'SELECT count(*) FROM pgqueue.task'), '1', 'L1: it sees its own task only');
$node->psql('app', "SET ROLE frank; SELECT pgqueue.run_task($held)", stderr => \my $err);
like($err, qr/does not exist/, 'L1: and may not run the other one');
$node->restart;
held($node, 'app', $held, 'frank', "SELECT pgqueue.cancel_task($held);", 'L1: after a restart');
$node->safe_psql('app', q{SELECT pgqueue.pause_queue('q')});
my $mine = enqueue($node, 'app', 'frank', 'q');
$node->safe_psql('app', $node->safe_psql('app', q{SELECT hint FROM pgqueue.health WHERE problem = 'role_missing'}));
is(ran($node, 'app', 'q'), 'frank cancelled, grete released grete, frank released frank, frank new',
    'L1: the hint of health cancels it, and nothing of the new role');
$node->safe_psql('app', q{SELECT pgqueue.resume_queue('q')});
ran_in_time($node, 'app', 'q', 'frank cancelled, grete released grete, frank released frank, frank released frank',
    'L1: whose tasks run on');
ok(wait_for($node, 'app', <<~'SQL', '', 20), 'L1: health is well');
    SELECT string_agg(problem || ': ' || message, '; ') FROM pgqueue.health
    SQL

# A role is dropped while a task of it runs: a failure of this attempt does not count. It is dropped while an outside
# worker holds its task: nothing happens to the task.
roles($node, qw(henry));
my $lock = session($node, 'app');
$lock->query('SELECT pg_advisory_lock(7)');
$node->safe_psql('app', <<~'SQL');
    SELECT pgqueue.create_queue('run', ttl => '0', retries => 0), pgqueue.create_queue('out', ttl => '0'),
        pgqueue.grant_namespace('default', 'work', 'henry')
    SQL
my $running = as($node, 'app', 'henry', <<~'SQL');
    SELECT pgqueue.create_task('run', command => 'SELECT pg_advisory_lock(7); SELECT 1/0')
    SQL
as($node, 'app', 'henry', q{SELECT pgqueue.create_task('out', '1')});
my $taken = as($node, 'app', 'henry', q{SELECT id, receipt FROM pgqueue.next_task('w', 'out')}) =~ s/\|/, /r;
ok(wait_for($node, 'app', "SELECT status FROM pgqueue.get_task($running)", 'retained', 20), 'it runs');
$node->safe_psql('app', 'DROP OWNED BY henry');
$node->safe_psql('postgres', 'DROP ROLE henry');
$lock->query('SELECT pg_advisory_unlock(7)');
ok(wait_for($node, 'app', <<~"SQL", 'retry 1', 20), 'L1: dropped while it ran: the failed attempt does not count');
    SELECT t.status || ' ' || s.uncounted
    FROM pgqueue_internal.segment s, pgqueue.get_task(s.id) t
    WHERE s.id = $running
    SQL
is($node->safe_psql('app', "SELECT reason FROM pgqueue.why($running)"), 'role_missing', 'L1: and it is held');
$node->safe_psql('app', "SELECT pgqueue.cancel_task($running)");
is($node->safe_psql('app', "SELECT pgqueue.release_task($taken)"), 'released',
    'L1: a task that an outside worker of the role holds can be released');
$lock->close;

# The first tasks of a role: nobody waits for anybody, whatever is rolled back.
roles($node, qw(ida));
my ($s1, $s2) = (session($node, 'app'), session($node, 'app'));
$_->query("SET ROLE ida; SET statement_timeout = '10 s'; BEGIN ISOLATION LEVEL SERIALIZABLE") for $s1, $s2;
$node->safe_psql('app', q{SELECT pgqueue.create_queue('first', ttl => '0')});
like($_->query("SELECT pgqueue.create_task('first', $who)"), qr/^\d+$/, 'L1: a first task') for $s1, $s2;
is($_->query('COMMIT'), '', 'L1: its commit') for $s1, $s2;
ran_in_time($node, 'app', 'first', 'ida released ida, ida released ida', 'L1: two first tasks at the same time');
roles($node, qw(jane));
$s1->query("RESET ROLE; SET ROLE jane; BEGIN; SAVEPOINT a; SELECT pgqueue.create_task('first', $who); ROLLBACK TO a");
$s1->query("SELECT pgqueue.create_task('first', $who)");
$s1->query('ROLLBACK');
$s1->query("SELECT pgqueue.create_task('first', $who)");
ran_in_time($node, 'app', 'first', 'ida released ida, ida released ida, jane released jane',
    'L1: after a first one that was rolled back');
is($node->safe_psql('app', q{SELECT count(*) FROM pgqueue_internal.role WHERE name = 'jane'}), '1', 'L1: with its row');
roles($node, 'kate');
ok(wait_for($node, 'app', <<~'SQL', '1|1', 10), 'L1: of two rows that say the same one stays');
    SELECT count(*), count(DISTINCT id) FROM pgqueue_internal.role WHERE name = 'ida'
    SQL

# A group keeps its order: behind a task that is held the others wait.
$node->safe_psql('app', q{SELECT pgqueue.create_queue('grouped', ttl => '0'), pgqueue.pause_queue('grouped')});
as($node, 'app', $_, "SELECT pgqueue.create_task('grouped', $who, group_key => 'g')") for qw(kate jane);
as($node, 'app', 'jane', "SELECT pgqueue.create_task('grouped', $who, group_key => 'h')");
$node->safe_psql('app', q{SELECT pgqueue.revoke_namespace('default', 'all', 'kate')});
$node->safe_psql('postgres', 'DROP ROLE kate');
$node->safe_psql('app', q{SELECT pgqueue.resume_queue('grouped')});
ran_in_time($node, 'app', 'grouped', 'kate new, jane new, jane released jane',
    'L1: a held head stops its group, no other one');
my ($head, $next) = split(/\n/,
    $node->safe_psql('app', q{SELECT id FROM pgqueue.task WHERE queue = 'grouped' ORDER BY id LIMIT 2}));
held($node, 'app', $head, 'kate', "SELECT pgqueue.cancel_task($head);", 'L1: the head');
$node->safe_psql('app', "SELECT pgqueue.cancel_task($head)");
ran_in_time($node, 'app', 'grouped', 'kate cancelled, jane released jane, jane released jane',
    'L1: the group goes on without it');
counters_right($node, 'app', 'L1');

# A session of a role that is gone gets an error that says so.
roles($node, 'leo');
my $leo = session($node, 'app');
$leo->query('SET ROLE leo');
$node->safe_psql('postgres', 'DROP ROLE leo');
unlike($leo->query("SELECT pgqueue.create_task('q', $who)"), qr/^\d+$/,
    'L1: a session whose role is gone creates nothing');
$_->close for $s1, $s2, $leo;

$node->stop;
done_testing();
