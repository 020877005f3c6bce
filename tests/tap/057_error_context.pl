# An error in a statement of pgqueue shows users nothing of that statement.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use Test::More;

my $node = new_node('context', conf => "log_statement = none\nautovacuum = off");
my $db = 'postgres';
$node->safe_psql($db, "SELECT pgqueue.create_queue('q')");
my $session = session($node, $db);
$session->query(q{BEGIN; SELECT pgqueue.create_task('q', '1', dedup_key => 'k')});
my ($rc, undef, $error) = $node->psql($db, <<~'SQL');
    SET lock_timeout = '100 ms';
    SELECT pgqueue.create_task('q', '1', dedup_key => 'k');
    SQL
isnt($rc, 0, 'another session has the key');
like($error, qr/ERROR:  canceling statement due to lock timeout/, 'the wait for it ends');
unlike($error, qr/CONTEXT|pgqueue_internal/, 'nothing of the statement that waited is shown');
$session->close;
check_invariants($node, $db, 'afterwards');
$node->stop;
done_testing();
