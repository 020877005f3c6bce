# A namespace in which thousands of tasks of batches end at one moment does not keep the batch of another one waiting,
# not even if there are more ends than places for posts (T5).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('post_shares', conf => "log_statement = none\nlog_min_messages = warning\nautovacuum = off");
sub sql { return $node->safe_psql('postgres', @_); }
my $segments = join(' UNION ALL ',
    map { "SELECT xmin AS x, flags, queue_id FROM pgqueue_internal.segment_$_" } 0 .. 5);
# About the waiting tasks that have become ready, s.x: by which transaction.
sub made_ready
{
    my ($what) = @_;
    return <<~"SQL";
        SELECT $what
        FROM ($segments) s
        JOIN pgqueue_internal.queue q ON q.id = s.queue_id
        WHERE s.flags & 1024 <> 0 AND s.flags & 2048 = 0
        SQL
}

sql(<<~'SQL');
    SELECT FROM pgqueue.create_namespace('many');
    SELECT FROM pgqueue.create_namespace('few');
    SELECT pgqueue.create_queue(q, ttl => '0', namespace => n) FROM unnest('{many,few}'::text[]) n,
        unnest('{member,waiter}'::text[]) q
    SQL
my ($batches, $size) = (300, 60);
sql(<<~"SQL");
    SELECT count(*)
    FROM generate_series(1, $batches) b, pgqueue.create_tasks('member', array_fill('1'::jsonb, ARRAY[$size]),
        batch_key => b::text, namespace => 'many');
    SELECT count(pgqueue.create_task('waiter', '1', depends_on_batch => b::text, namespace => 'many'))
    FROM generate_series(1, $batches) b
    SQL
my $member = sql(q{SELECT pgqueue.create_task('member', '1', batch_key => '1', namespace => 'few')});
my $waiter = sql(q{SELECT pgqueue.create_task('waiter', '1', depends_on_batch => '1', namespace => 'few')});
is(sql('SELECT count(*) FROM pgqueue_internal.batch_member'), $batches * $size + 1,
    "T5: $batches batches of $size tasks, and one of one task");

my $held = session($node);
hold_point($held, 'scheduler-settling');
# Few tasks in each of the first commits: one that ends many does not post them one by one.
my $cancel = "SELECT count(pgqueue.cancel_task(id)) FROM pgqueue.task WHERE namespace = 'many' AND queue = 'member'";
sql("$cancel AND batch_key = '$_'") for 1 .. 30;
sql("$cancel AND status = 'new'");
ok(scalar(pid_at($node, 'postgres', 'scheduler-settling')), 'T5: the scheduler is about to look');
sql(qq{SELECT pgqueue.cancel_task($member)});
$held->close;
ok(wait_for($node, 'postgres', made_ready('count(*)'), $batches + 1, 120), 'T5: all that wait become ready');
# Numbers of transactions do not wrap around here.
my $of_few = sql(made_ready('s.x::text::bigint') . "AND q.name = 'waiter' AND q.namespace_id = "
      . "(SELECT id FROM pgqueue_internal.namespace WHERE name = 'few')");
my $first = sql(made_ready('min(s.x::text::bigint)'));
cmp_ok($of_few - $first, '<', 10, 'T5: the one of the other namespace is among the first');
# A look at all tasks of batches gives none of them a second hint.
sql(<<~'SQL');
    SELECT pgqueue.create_queue('later', ttl => '0', namespace => 'many'),
        pgqueue.create_queue('other', namespace => 'many');
    SELECT count(*)
    FROM pgqueue.create_tasks('later', array_fill('1'::jsonb, ARRAY[1000]), batch_key => 'l', delay => '1 day',
        namespace => 'many')
    SQL
my $hints = <<~'SQL';
    SELECT p.taken
    FROM pgqueue_internal.places() p
    JOIN pgqueue_internal.queue q ON q.id = p.id AND q.name = 'later'
    WHERE p.kind = 'hints'
    SQL
ok(wait_for($node, 'postgres', $hints, '1000', 60), 'T5: 1,000 delayed tasks of a batch have their hints');
for (1 .. 3)
{
    # A member without a task, which the look removes last.
    sql(<<~'SQL');
        INSERT INTO pgqueue_internal.batch_member (namespace_id, task_id, batch_key)
        SELECT id, 9e18, 'none' FROM pgqueue_internal.namespace WHERE name = 'many';
        SELECT pgqueue.purge_queue('other', namespace => 'many')
        SQL
    ok(wait_for($node, 'postgres', q{SELECT count(*) FROM pgqueue_internal.batch_member WHERE task_id = 9e18}, '0', 60),
        'T5: a purged queue has the scheduler look at all');
}
is(sql($hints), '1000', 'T5: no task has a second hint');
$node->stop;
done_testing();
