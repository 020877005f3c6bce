# Tasks expire after the clock was set back: a pass that saw a later time leaves no bound that lies ahead.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use Test::More;

my $node = new_node('ttl', clock => 1, conf => "log_statement = none\nautovacuum = off");
my $db = 'postgres';
sub sql { return $node->safe_psql($db, @_); }

sql("SELECT pgqueue.create_queue('q')");
set_clock($node, 86400);
sql("SELECT pgqueue.create_task('q', '{}', ttl => '300 ms')");
ok(wait_for($node, $db, 'SELECT status FROM pgqueue.task', 'expired', 30), 'a task expires tomorrow');
set_clock($node, 0);
# Both are in one page, which is read when the first one has expired.
sql("SELECT pgqueue.create_task('q', '{}', ttl => ttl::interval) FROM unnest('{300 ms,2 s}'::text[]) ttl");
ok(wait_for($node, $db, "SELECT count(*) FROM pgqueue.task WHERE status = 'expired'", '2', 30), 'one expires today');
ok(wait_for($node, $db, "SELECT count(*) FROM pgqueue.task WHERE status = 'expired'", '3', 30), 'and then the other');
check_invariants($node, $db, 'afterwards');
$node->stop;
done_testing();
