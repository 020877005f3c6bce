# Who looked a queue up before it was deleted or purged, and uses it afterwards, leaves no entry in shared memory for
# ever. An attack found groups that stayed after purge_queue: the scheduler was giving back tasks of a lost session.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use Test::More;

my $node = new_node('late_entries', conf => 'log_statement = none');
my $db = 'postgres';
sub sql { return $node->safe_psql($db, @_); }
my $places = q{SELECT string_agg(kind || ' ' || used, ', ' ORDER BY kind) FROM pgqueue.memory
    WHERE namespace = 'default' AND kind IN ('queues', 'groups', 'grouped tasks') AND used > 0};

sql(q{SELECT pgqueue.create_queue('other')});
for my $gone (q{purge_queue('q')}, q{delete_queue('q', force => true)})
{
    sql(q{SELECT pgqueue.create_queue('q', ttl => '0');
        SELECT count(*) FROM pgqueue.create_tasks('q', '{1,2}', group_keys => '{a,b}')});
    ok(wait_for($node, $db, $places, 'grouped tasks 2, groups 2, queues 2'), 'a queue with groups');
    my ($holder, $late) = (session($node), session($node));
    $late->query('SELECT 1');
    hold_point($holder, 'queue-found');
    $late->send(q{SELECT pgqueue.create_task('q', '3', group_key => 'c') > 0});
    ok(pid_at($node, $db, 'queue-found'), 'a session has found the queue');
    like($holder->query("SELECT pgqueue.$gone"), qr/^(2$|\(default,q,)/, "$gone meanwhile");
    $holder->close;
    is($late->query('SELECT 1'), "t\n1", 'the session goes on');
    $late->close;
    my $left = $gone =~ /^purge/ ? 'queues 2' : 'queues 1';
    ok(wait_for($node, $db, $places, $left, 30), 'what it left is gone') or diag(sql($places));
    sql(q{SELECT pgqueue.delete_queue('q', force => true)}) if $gone =~ /^purge/;
}

# The scheduler is about to make a task ready that waited for another one, and its queue is deleted. An attack ended the
# server so: the queue was looked up twice.
sql(q{SELECT pgqueue.create_queue('q', ttl => '0')});
my $awaited = sql(q{SELECT pgqueue.create_task('other', '1')});
sql("SELECT pgqueue.create_task('q', '2', depends_on => ARRAY[$awaited])");
my $scheduler = pid_of($node, 'pgqueue scheduler');
my $holder = session($node);
hold_point($holder, 'scheduler-makes-ready');
sql(q{SELECT pgqueue.release_task(id, receipt) FROM pgqueue.next_task('w', 'other')});
ok(pid_at($node, $db, 'scheduler-makes-ready'), 'the scheduler makes a task ready');
sql(q{SELECT pgqueue.delete_queue('q', force => true)});
$holder->close;
ok(wait_for($node, $db, $places, 'queues 1', 30), 'its queue is gone') or diag(sql($places));
is(pid_of($node, 'pgqueue scheduler'), $scheduler, 'and the scheduler goes on');
check_invariants($node, $db, 'afterwards');
$node->stop;
done_testing();
