# A revoked privilege ends at once, also for statements that were prepared before, inside an open transaction. An attack
# found that reading went on until its end.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use Test::More;

my $node = new_node('revoked', conf => 'log_statement = none');
my $db = 'postgres';
sub sql { return $node->safe_psql($db, @_); }
my %reads = (
    task => 'SELECT count(*) FROM pgqueue.task',
    attempt => 'SELECT count(*) FROM pgqueue.task_attempt',
    queue => 'SELECT count(*) FROM pgqueue.queue',
    status => q{SELECT coalesce(sum(count), 0) FROM pgqueue.queue_status},
    stat => 'SELECT count(*) FROM pgqueue.queue_stat',
    history => 'SELECT count(*) FROM pgqueue.stat_history',
    metric => q{SELECT count(*) FROM pgqueue.metric WHERE name = 'pgqueue_queue_ready'},
);
sql(q{CREATE ROLE reader IN ROLE pgqueue_user;
    SELECT pgqueue.create_queue('q'), pgqueue.create_task('q', '1'),
        pgqueue.grant_namespace('default', 'all', 'reader')});
my $id = sql(q{SELECT id FROM pgqueue.next_task('w', 'q')});
$reads{get} = "SELECT count(*) FROM pgqueue.get_task($id)";
$reads{why} = "SELECT count(*) FROM pgqueue.why($id)";

for my $level ('READ COMMITTED', 'REPEATABLE READ')
{
    sql(q{SELECT pgqueue.grant_namespace('default', 'all', 'reader')});
    my $session = session($node);
    $session->query('SET ROLE reader');
    $session->query("PREPARE $_ AS $reads{$_}") for sort keys %reads;
    $session->query("BEGIN ISOLATION LEVEL $level");
    # Twice, so that plans are kept.
    my %before;
    for my $round (1 .. 2)
    {
        $before{$_} = $session->query("EXECUTE $_") for sort keys %reads;
    }
    sql(q{SELECT pgqueue.revoke_namespace('default', 'all', 'reader')});
    for my $read (sort keys %reads)
    {
        cmp_ok($before{$read}, '>', 0, "$level: $read: before") unless $read eq 'history';
        $session->query('SAVEPOINT s');
        my $after = $session->query("EXECUTE $read");
        $session->query('ROLLBACK TO s');
        like($after, qr/^(?:0$|ERROR: )/, "$level: $read: nothing after the revoke");
    }
    $session->query('ROLLBACK');
    $session->close;
}
$node->stop;
done_testing();
