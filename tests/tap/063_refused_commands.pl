# Fault R6: commands that need a database alone end our processes only when the server would run them. Each row of the
# table is a command that the server refuses, or that others make fail; the task that runs in the database and the
# scheduler never notice.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('refused', conf => "log_statement = none\nmax_worker_processes = 24");
my $space = $node->basedir . '/space';
mkdir $space or die "$space: $!";
$node->safe_psql('postgres', $_)
    for 'CREATE ROLE creator LOGIN CREATEDB', 'CREATE ROLE owner LOGIN', 'CREATE ROLE other LOGIN',
    'CREATE DATABASE work OWNER owner', 'CREATE DATABASE taken',
    "CREATE TABLESPACE space LOCATION '$space'", 'GRANT CREATE ON TABLESPACE space TO other';
$node->safe_psql('work', 'CREATE EXTENSION pgqueue');
$node->safe_psql('work', <<~'SQL');
    SELECT pgqueue.create_queue('q', ttl => '0'), pgqueue.create_task('q', command => 'SELECT pg_sleep(3000)')
    SQL
ok(wait_for($node, 'work', 'SELECT status FROM pgqueue.task', 'retained', 30), 'a task runs');
# Who works in the database, and what came of its task.
my $state = <<~'SQL';
    SELECT (
        SELECT string_agg(pid::text, ' ' ORDER BY pid) FROM pg_stat_activity
        WHERE datname = 'work' AND backend_type ~ '^pgqueue (scheduler|worker)'
    ), (SELECT status || ' ' || attempt || ' ' || pid FROM pgqueue.task)
    SQL
my $before = $node->safe_psql('work', $state);
like($before, qr/^\d+ \d+\|retained 1 \d+$/, 'by a worker, beside the scheduler');

sub refused
{
    my ($role, $db, $command, $code, $what) = @_;
    my (undef, undef, $err) = $node->psql($db, "\\set VERBOSITY verbose\n$command", extra_params => ['-U', $role]);
    like($err, qr/ERROR:  $code:/, "R6: $what: the server says $code");
    # A process that was ended is gone by then.
    return if is($node->safe_psql('work', $state), $before, "R6: $what: nobody was ended");
    # The next row is judged by itself.
    wait_until(sub { $before = $node->safe_psql('work', $state); return $before =~ /^\d+ \d+\|retained/; }, 30);
    return;
}

my $super = $node->safe_psql('postgres', 'SELECT current_user');
refused(@$_) for
    ['creator', 'postgres', 'CREATE DATABASE x TEMPLATE work', '42501', 'a copy by a role with CREATEDB alone'],
    ['creator', 'postgres', 'DROP DATABASE work', '42501', 'DROP by another role'],
    ['creator', 'postgres', 'DROP DATABASE work WITH (FORCE)', '42501', 'DROP by another role by force'],
    ['creator', 'postgres', 'ALTER DATABASE work RENAME TO x', '42501', 'RENAME by another role'],
    ['other', 'postgres', 'ALTER DATABASE work SET TABLESPACE space', '42501', 'SET TABLESPACE by another role'],
    ['owner', 'postgres', 'CREATE DATABASE x TEMPLATE work', '42501', 'a copy by its owner without CREATEDB'],
    ['owner', 'postgres', 'ALTER DATABASE work RENAME TO x', '42501', 'RENAME by its owner without CREATEDB'],
    ['owner', 'postgres', 'ALTER DATABASE work SET TABLESPACE space', '42501',
        'SET TABLESPACE by its owner without the right on it'],
    ['owner', 'postgres', "BEGIN;\nDROP DATABASE work", '25001', 'DROP in a transaction'],
    [$super, 'postgres', "BEGIN;\nCREATE DATABASE x TEMPLATE work", '25001', 'a copy in a transaction'],
    [$super, 'postgres', "BEGIN;\nALTER DATABASE work SET TABLESPACE space", '25001',
        'SET TABLESPACE in a transaction'],
    [$super, 'postgres', "SELECT 1\\; DROP DATABASE work", '25001', 'DROP in one query with others'],
    [$super, 'postgres', q{DO $$ BEGIN EXECUTE 'DROP DATABASE work'; END $$}, '25001', 'DROP in a function'],
    [$super, 'work', 'DROP DATABASE work', '55006', 'DROP from within'],
    [$super, 'work', 'ALTER DATABASE work RENAME TO x', '0A000', 'RENAME from within'],
    [$super, 'work', 'ALTER DATABASE work SET TABLESPACE space', '55006', 'SET TABLESPACE from within'],
    [$super, 'postgres', 'CREATE DATABASE taken TEMPLATE work', '42P04', 'a copy under a name that is taken'],
    [$super, 'postgres', 'ALTER DATABASE work RENAME TO taken', '42P04', 'RENAME to a name that is taken'],
    [$super, 'postgres', 'ALTER DATABASE work SET TABLESPACE nosuch', '42704',
        'SET TABLESPACE to one that is not there'],
    [$super, 'postgres', 'ALTER DATABASE work SET TABLESPACE pg_global', '42501|22023|0A000',
        'SET TABLESPACE to the one of the cluster'],
    [$super, 'postgres', 'ALTER DATABASE work WITH TABLESPACE space CONNECTION LIMIT 9', '42601|0A000',
        'SET TABLESPACE with something else'];

# Others are there, and stay.
my $session = session($node, 'work');
my $there = $session->query('SELECT pg_backend_pid()');
refused($super, 'postgres', $_, '55006', "$_ while others are there")
    for 'ALTER DATABASE work RENAME TO x', 'CREATE DATABASE x TEMPLATE work', 'DROP DATABASE work';

# Others leave meanwhile: the server waits for them, and so do we.
my $renaming = session($node);
$renaming->send('ALTER DATABASE work RENAME TO renamed');
ok(wait_for($node, 'postgres', <<~'SQL', '1', 20), 'RENAME waits for others');
    SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'ALTER DATABASE%' AND state = 'active'
    SQL
$node->safe_psql('postgres', "SELECT pg_terminate_backend($there)");
is($renaming->query('SELECT 1'), '1', 'R6: RENAME goes on when they have left');
ok(wait_for($node, 'renamed', "SELECT status || ' ' || (attempt > 1)::text FROM pgqueue.task", 'retained true', 60),
    'R6: the task begins anew in the renamed database');

# A template may be copied by whoever has CREATEDB. The launcher leaves templates alone.
$node->safe_psql('postgres', 'ALTER DATABASE renamed IS_TEMPLATE true');
is($node->psql('postgres', 'CREATE DATABASE copy TEMPLATE renamed', extra_params => ['-U', 'creator']), 0,
    'R6: a template is copied by a role with CREATEDB');
isnt($node->psql('postgres', 'DROP DATABASE renamed', extra_params => ['-U', 'owner']), 0,
    'R6: a template is not dropped');
$node->safe_psql('postgres', 'ALTER DATABASE renamed IS_TEMPLATE false');
ok(wait_for($node, 'renamed', 'SELECT status FROM pgqueue.task', 'retained', 60), 'R6: the task goes on after it');
my $held = session($node, 'renamed');
$held->query('SELECT 1');
is($node->psql('postgres', 'DROP DATABASE renamed WITH (FORCE)'), 0, 'R6: DROP by force with others there');
$held->close;
done_testing();
