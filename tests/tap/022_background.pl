# A task runs in another process than the one that created it, after the creator's commit.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use Test::More;

my $node = new_node('background');
$node->safe_psql('postgres', q{SELECT pgqueue.create_queue('q', retries => 0); CREATE TABLE gate (open boolean)});

# The task waits for a row that its creator inserts after create_task has returned: were it run by create_task, this
# would never end.
my $id = $node->safe_psql('postgres', <<~'SQL');
    SELECT pgqueue.create_task('q', command =>
        $c$DO $d$ BEGIN LOOP EXIT WHEN EXISTS (SELECT FROM gate); PERFORM pg_sleep(0.01); END LOOP; END $d$ $c$)
    SQL
ok(wait_for($node, 'postgres', "SELECT status FROM pgqueue.task WHERE id = $id", 'retained', 10),
    'A07: create_task has returned, the task runs');
is($node->safe_psql('postgres', <<~"SQL"), 'pgqueue worker', 'A07: in a worker process');
    SELECT a.backend_type FROM pgqueue.task t JOIN pg_stat_activity a USING (pid) WHERE t.id = $id
    SQL
$node->safe_psql('postgres', 'INSERT INTO gate VALUES (true)');
ok(wait_for($node, 'postgres', "SELECT status FROM pgqueue.task WHERE id = $id", 'released', 10),
    'A07: and ends there');
$node->stop;
done_testing();
