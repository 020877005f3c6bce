# A database is taken out of pgqueue.databases while a transaction in it has changed tasks: its entry in memory is gone
# at the commit. The rows are the truth, and the server goes on; when the database is served again, everything runs.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('leaves', conf => "log_statement = none\nlog_min_messages = warning\npgqueue.max_workers = 2");
sub sql { return $node->safe_psql('work', @_); }
sub serve
{
    my ($databases) = @_;
    $node->safe_psql('postgres', "ALTER SYSTEM SET pgqueue.databases = '$databases'");
    $node->reload;
    return;
}
# As another database sees it: the places of queues that are taken in the cluster.
my $places = q{SELECT used FROM pgqueue.memory WHERE kind = 'queues' AND namespace IS NULL};

my $others = $node->safe_psql('postgres', $places);
$node->safe_psql('postgres', 'CREATE DATABASE work');
$node->safe_psql('work', 'CREATE EXTENSION pgqueue');
sql(<<~'Q');
    CREATE TABLE did (what text);
    SELECT count(*)
    FROM (
        SELECT pgqueue.create_queue('q', ttl => '0'),
            pgqueue.create_queue('s', executor => 'server', ttl => '0')
    ) x;
    SELECT pgqueue.create_task('q', '1');
    SELECT pgqueue.create_task('s', command => $$INSERT INTO did VALUES ('after')$$,
        depends_on => ARRAY(SELECT id FROM pgqueue.task WHERE queue = 'q'), on_failed_dependency => 'ignore');
    Q
ok(wait_for($node, 'work', q{SELECT count(*) FROM pgqueue.next_task('w', 'q', '1 h')}, '1', 20), 'a task is held');

# It ends a task for which another one waits, creates one, changes a queue, a handler and a ticker.
my $open = session($node, 'work');
$open->query('BEGIN');
$open->query(q{SELECT pgqueue.release_task(id, receipt) FROM pgqueue.task WHERE status = 'retained'});
$open->query(q{SELECT pgqueue.create_task('s', command => $$INSERT INTO did VALUES ('new')$$)});
$open->query(q{SELECT pgqueue.update_queue('q', executor => 'server')});
$open->query(<<~'SQL');
    SELECT pgqueue.create_ticker('t', 's', period => '1 day', command => $$INSERT INTO did VALUES ('ticker')$$)
    SQL
$open->query(<<~'SQL');
    CREATE FUNCTION h(jsonb) RETURNS void LANGUAGE sql AS 'SELECT';
    SELECT pgqueue.create_handler('t', 'h')
    SQL
serve('postgres');
ok(wait_for($node, 'postgres', $places, $others, 60), 'the entry of the database is gone');
is($open->query('COMMIT'), '', 'the transaction commits');
is($node->safe_psql('postgres', 'SELECT 1'), '1', 'the server goes on');
is(sql('SELECT count(*) FROM did'), '0', 'nothing runs where nobody serves');
serve('');
ok(wait_for($node, 'work', q{SELECT string_agg(what, ' ' ORDER BY what) FROM did}, 'after new ticker', 60),
    'served again: all of it runs');
is(sql(q{SELECT count(*) FROM pgqueue.task WHERE finished_at IS NULL}), '0', 'and nothing is left');
ok(wait_for($node, 'work', q{SELECT count(*) FROM pgqueue.memory WHERE kind = 'repaired' AND used > 0}, '0', 20),
    'without a repair');
$open->close;
# A sanitized build says so when memory of no database is touched: SANITIZE=undefined tests/run tap 015_database_leaves.
unlike(slurp_file($node->logfile), qr/runtime error/, 'no place outside of the table of databases is written');
check_invariants($node, 'work', 'at the end', 20);
done_testing();
