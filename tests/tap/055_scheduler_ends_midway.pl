# A scheduler that ends in the middle of a step leaves nothing behind that the next one does not find (W2).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use Test::More;

my $node = new_node('midway', conf => "log_statement = none\nautovacuum = off");
my $db = 'postgres';
sub sql { return $node->safe_psql($db, @_); }

sql("SELECT pgqueue.create_queue('q', lease => '200 ms')");
my $holder = session($node, $db);
hold_point($holder, 'scheduler-ends-leases');
sql("SELECT pgqueue.create_task('q', '{}')");
sql("SELECT id FROM pgqueue.next_task('w', 'q')");

# It has collected the lease that has ended, and has not ended it.
my $scheduler = pid_at($node, $db, 'scheduler-ends-leases');
ok(terminate($node, $scheduler), 'the scheduler ends with a lease in its hands');
my $next = pid_at($node, $db, 'scheduler-ends-leases', 30);
isnt($next, undef, 'W2: the next one finds the lease, although no other lease ends');
$holder->close;
ok(wait_for($node, $db, 'SELECT status, attempt FROM pgqueue.task', 'retry|1', 30), 'and ends it');
check_invariants($node, $db, 'afterwards');
$node->stop;
done_testing();
