# Tasks that end their own workers do not cost other roles theirs (T2): a process slot that the server gives back in a
# moment is no reason to end an idle worker.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use Test::More;

my $node = new_node('churn', conf => "log_statement = none\nlog_min_messages = panic\nautovacuum = off");
my $db = 'postgres';
sub sql { return $node->safe_psql($db, @_); }

sql(<<~'SQL');
    CREATE ROLE bad LOGIN;
    CREATE ROLE worse LOGIN;
    CREATE ROLE good LOGIN;
    GRANT pgqueue_user TO bad, worse, good;
    SELECT pgqueue.create_queue('ends', retries => 2, retry_delay => '100 ms'), pgqueue.create_queue('quiet');
    SELECT pgqueue.grant_namespace('default', 'use', 'public')
    SQL
for my $role (qw(bad worse))
{
    sql(<<~"SQL");
        SET ROLE $role;
        SELECT count(pgqueue.create_task('ends', command => 'SELECT pg_terminate_backend(pg_backend_pid())'))
        FROM generate_series(1, 3000)
        SQL
}
my $session = session($node, $db);
$session->query('SET ROLE good');
for (1 .. 30)
{
    my $id = $session->query("SELECT pgqueue.create_task('quiet', command => 'SELECT 1')");
    $session->query("CALL pgqueue.wait_for_result($id)");
    # Its worker is idle meanwhile.
    $session->query('SELECT pg_sleep(0.2)');
}
my $workers = sql(q{SELECT count(DISTINCT worker) FROM pgqueue.task_attempt WHERE queue = 'quiet'});
cmp_ok($workers, '<', 15, "T2: 30 tasks beside the ending workers need few workers: $workers");
cmp_ok(sql(q{SELECT count(*) FROM pgqueue.task WHERE queue = 'ends' AND finished_at IS NULL}), '>', 0,
    'there were ending workers all the time');
$session->close;
$node->stop('immediate');
done_testing();
