# next_task in a database that no scheduler has loaded yet waits for the load. It does not wait where nothing is going
# to load the database. Fault L8.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = new_node('first', conf => "log_statement = none\nlog_min_messages = log\npgqueue.enabled = off");
sub sql { return $node->safe_psql('postgres', @_); }

sub enabled
{
    my ($value) = @_;
    $node->append_conf('postgresql.conf', "pgqueue.enabled = $value");
    $node->reload;
    my $shown = wait_for($node, 'postgres', 'SHOW pgqueue.enabled', $value, 20);
    return $shown;
}

# What a statement answers, and in how many seconds.
sub timed
{
    my ($session, $sql) = @_;
    my $start = time();
    my $answer = $session->query($sql);
    return ($answer, time() - $start);
}

sql(<<~'SQL');
    SELECT pgqueue.create_queue('q', ttl => '0'), pgqueue.create_task('q', '1'), pgqueue.create_task('q', '2'),
        pgqueue.create_task('q', '3')
    SQL
my $next = q{SELECT payload FROM pgqueue.next_task('w', 'q')};
my $worker = session($node);

# Nothing is going to load the database.
my ($answer, $seconds) = timed($worker, $next);
is($answer, '', 'L8: pgqueue.enabled = off: no task');
cmp_ok($seconds, '<', 4, 'L8: and no wait');

# The scheduler stands in the middle of its load; the session waits, sleeping, and can be cancelled.
my $gate = session($node);
hold_point($gate, 'scheduler-rebuild');
enabled('on');
pid_at($node, 'postgres', 'scheduler-rebuild', 30);
$worker->send($next);
ok(wait_for($node, 'postgres', <<~'SQL', '1', 4), 'L8: next_task waits while the database is being loaded');
    SELECT count(*) FROM pg_stat_activity
    WHERE wait_event_type = 'Extension' AND query LIKE '%next_task%' AND pid <> pg_backend_pid()
    SQL
my $impatient = session($node);
$impatient->query("SET statement_timeout = '300 ms'");
like($impatient->query($next), qr/statement timeout/, 'L8: it can be cancelled');
$gate->query('SELECT pg_advisory_unlock_all()');
is($worker->query(''), '1', 'L8: it has the task when the database is loaded');
($answer, $seconds) = timed($worker, q{SELECT count(*) FROM pgqueue.next_tasks('w', '{q}', 10)});
is($answer, '2', 'L8: the others are there');
($answer, $seconds) = timed($worker, $next);
is($answer, '', 'L8: an empty queue of a loaded database');
cmp_ok($seconds, '<', 4, 'L8: is no reason to wait');

# It waits for a bounded time.
sql(q{SELECT pgqueue.create_task('q', '4')});
$gate->query(q{SELECT pg_advisory_lock(28785, hashtext('scheduler-rebuild'))});
enabled('off');
ok(wait_for($node, 'postgres', <<~'SQL', '0', 20), 'the scheduler has left');
    SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pgqueue scheduler'
    SQL
enabled('on');
pid_at($node, 'postgres', 'scheduler-rebuild', 30);
($answer, $seconds) = timed($impatient, "RESET statement_timeout; $next");
is($answer, '', 'L8: no task before the load');
cmp_ok($seconds, '>', 4.5, 'L8: the wait is some seconds');
$gate->query('SELECT pg_advisory_unlock_all()');
is($impatient->query($next), '4', 'L8: the task is there afterwards');
$_->close for $gate, $impatient, $worker;

# The moment after CREATE EXTENSION, again and again; and a first use after a start of the server.
for my $i (1 .. 5)
{
    $node->safe_psql('postgres', "CREATE DATABASE fresh$i");
    is($node->safe_psql("fresh$i", <<~'SQL'), "q\nt\n5", "L8: right after CREATE EXTENSION ($i)");
        CREATE EXTENSION pgqueue;
        SELECT queue FROM pgqueue.create_queue('q');
        SELECT pgqueue.create_task('q', '5') > 0;
        SELECT payload FROM pgqueue.next_task('w', 'q')
        SQL
}
is($node->safe_psql('fresh1', <<~'SQL'), "q\nt\n6", 'L8: after another CREATE EXTENSION');
    DROP EXTENSION pgqueue;
    CREATE EXTENSION pgqueue;
    SELECT queue FROM pgqueue.create_queue('q');
    SELECT pgqueue.create_task('q', '6') > 0;
    SELECT payload FROM pgqueue.next_task('w', 'q')
    SQL
$node->safe_psql("fresh$_", q{SELECT pgqueue.create_task('q', '7')}) for 1 .. 5;
$node->restart;
is($node->safe_psql("fresh$_", $next), '7', "L8: right after a start of the server ($_)") for 1 .. 5;

# A copy that is not adopted, a database that is not served: no wait.
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE fresh2');
$node->append_conf('postgresql.conf', "pgqueue.databases = 'postgres'");
$node->reload;
for my $db (qw(copy fresh3))
{
    my $session = session($node, $db);
    wait_for($node, $db, q{SELECT count(*) FROM pgqueue.health WHERE problem IN ('not_adopted', 'disabled') LIMIT 1},
        $db eq 'copy' ? '2' : '1', 20);
    ($answer, $seconds) = timed($session, $next);
    cmp_ok($seconds, '<', 4, "L8: nobody waits in $db");
    $session->close;
}

$node->stop;
done_testing();
