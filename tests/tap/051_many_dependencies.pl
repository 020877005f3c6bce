# Many dependencies and many that wait for one batch: each step of the scheduler is bounded, namespaces take turns,
# nothing is lost in the middle, and a namespace has its fair part of the open edges.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('many_dependencies', conf => "log_statement = none\nlog_min_messages = warning\nautovacuum = off");
sub sql { return $node->safe_psql('postgres', @_); }
sub becomes { my ($query, $value, $what) = @_; return ok(wait_for($node, 'postgres', $query, $value, 120), $what); }
my $segments = join(' UNION ALL ',
    map { "SELECT xmin AS x, id, flags, status, queue_id FROM pgqueue_internal.segment_$_" } 0 .. 5);
# Those that wait no more, by the transaction that has made them ready: the greatest number of one, and the distance in
# transactions.
sub made_ready
{
    my ($queue, $what) = @_;
    return <<~"SQL";
        SELECT $what
        FROM (
            SELECT x::text::bigint AS x, count(*) AS n FROM ($segments) s
            WHERE flags & 1024 <> 0 AND flags & 2048 = 0
                AND queue_id = (SELECT id FROM pgqueue_internal.queue WHERE name = '$queue')
            GROUP BY 1
        ) t
        SQL
}
my $at_once = 64;  # rows in a step

sql(<<~'SQL');
    SELECT FROM pgqueue.create_namespace('b');
    SELECT pgqueue.create_queue(q) FROM unnest('{first,waits,waits2,batch}'::text[]) q;
    SELECT FROM pgqueue.create_queue('q', namespace => 'b')
    SQL

# 300 tasks that each wait for the same 300, which end in one commit; a single dependency of another namespace ends
# after them.
sql(<<~'SQL');
    WITH a AS MATERIALIZED (
        SELECT array_agg(id) AS ids
        FROM pgqueue.create_tasks('first', ARRAY(SELECT to_jsonb(i) FROM generate_series(1, 300) i)) id
    )
    SELECT count(*)
    FROM a, pgqueue.create_tasks('waits', ARRAY(SELECT to_jsonb(i) FROM generate_series(1, 300) i), depends_on => a.ids)
    SQL
my $one = sql(q{SELECT pgqueue.create_task('q', '1', namespace => 'b')});
my $after = sql(qq{SELECT pgqueue.create_task('q', '2', depends_on => '{$one}', namespace => 'b')});
is(sql('SELECT count(*) FROM pgqueue_internal.dependency'), '90001',
    'T5: 300 x 300 edges, and one of another namespace');
my $held = session($node);
hold_point($held, 'scheduler-settling');
sql(q{SELECT count(pgqueue.release_task(id, receipt)) FROM pgqueue.next_tasks('w', '{first}', 300)});
ok(scalar(pid_at($node, 'postgres', 'scheduler-settling')), 'T5: the scheduler is about to look');
sql(q{SELECT pgqueue.release_task(id, receipt) FROM pgqueue.next_task('w', 'q', namespace => 'b')});
$held->close;
becomes(made_ready('q', 'count(*)'), '1', 'T5: the dependent of the other namespace becomes ready');
cmp_ok(sql('SELECT count(*) FROM pgqueue_internal.dependency'), '>', 0, 'T5: while those of the first one are at work');
becomes('SELECT count(*) FROM pgqueue_internal.dependency', '0', 'T5: 90,000 edges are settled');
is(sql(made_ready('waits', 'sum(n)')), '300', 'T5: all tasks are ready');
cmp_ok(sql(made_ready('waits', 'max(n)')), '<=', $at_once, 'T5: a bounded number in each step');
is(sql(q{SELECT count(*) FROM pgqueue.next_tasks('w', '{waits}', 1000)}), '300', 'T5: and are handed out');

# 20,000 that wait for one batch; the scheduler ends in the middle.
my $member = sql(q{SELECT pgqueue.create_task('batch', '0', batch_key => 'b')});
sql(<<~'SQL');
    SELECT count(*)
    FROM pgqueue.create_tasks('waits2', ARRAY(SELECT to_jsonb(i) FROM generate_series(1, 20000) i),
        depends_on_batch => 'b')
    SQL
sql(qq{SELECT pgqueue.cancel_task($member)});
my $begun = sub { my $n = sql(made_ready('waits2', 'coalesce(sum(n), 0)')); return $n > 0 && $n < 20000; };
ok(wait_until($begun, 60), 'T5: the waiters of a batch become ready, some at a time');
ok(terminate($node, pid_of($node, 'pgqueue scheduler', 'postgres')), 'T5: the scheduler ends in the middle');
becomes(made_ready('waits2', 'sum(n)'), '20000',
    'T5: after the end of the scheduler in the middle the next one finds the rest');
# Those that were posted one by one may be in the same step.
cmp_ok(sql(made_ready('waits2', 'max(n)')), '<=', 2 * $at_once, 'T5: a bounded number in each step');
is(sql('SELECT count(*) FROM pgqueue_internal.batch_waiter'), '0', 'T5: nobody waits for the batch any more');

# One waiter is in somebody's hands while the batch ends: it is looked at again.
my $member2 = sql(q{SELECT pgqueue.create_task('batch', '0', batch_key => 'c')});
my $waiter = sql(q{SELECT pgqueue.create_task('waits', '1', depends_on_batch => 'c')});
my $s = session($node);
$s->query(qq{BEGIN; UPDATE pgqueue.task SET priority = 7 WHERE id = $waiter});
sql(qq{SELECT pgqueue.cancel_task($member2)});
becomes('SELECT count(*) FROM pgqueue_internal.batch_member', '0', 'T5: the batch is over while a waiter is locked');
$s->query('ROLLBACK');
becomes('SELECT count(*) FROM pgqueue_internal.batch_waiter', '0', 'T5: the waiter goes on when it is free');
is(sql(q{SELECT payload FROM pgqueue.next_task('w', 'waits')}), '1', 'T5: it is handed out');

# Too many edges are refused before a row is written; what was refused or rolled back leaves nothing.
sql(q{SELECT count(*) FROM pgqueue.create_tasks('first', ARRAY(SELECT to_jsonb(i) FROM generate_series(1, 1000) i))});
my $many = <<~'SQL';
    WITH a AS MATERIALIZED (SELECT array_agg(id) AS ids FROM pgqueue.task WHERE queue = 'first' AND status = 'new')
    SELECT count(*)
    FROM a, pgqueue.create_tasks('waits', ARRAY(SELECT to_jsonb(i) FROM generate_series(1, %d) i), depends_on => a.ids)
    SQL
my ($rc, $out, $err) = $node->psql('postgres', '\set VERBOSITY verbose' . "\n" . sprintf($many, 10000));
my $refusal = qr/ERROR:  53400: namespace "default" has its part of the dependencies of waiting tasks/;
my $detail = qr/DETAIL:  It has 0, its limit is 500000; 1000000 are free/;
like($err, qr/$refusal\n$detail.*\nHINT:.*max_dependencies/, 'T5: 10 million edges are refused');
is(sql(q{SELECT pg_relation_size('pgqueue_internal.dependency') < 16 * 1024 * 1024}), 't',
    'T5: before a row of them is written');
my $open = session($node);
$open->query('BEGIN; SAVEPOINT a');
is($open->query(sprintf($many, 400)), '400', 'T5: 400,000 edges in an open transaction');
($rc, $out, $err) = $node->psql('postgres', sprintf($many, 200));
like($err, qr/has its part of the dependencies/, 'T5: what open transactions have asked for counts');
$open->query('ROLLBACK TO a');
is(sql('BEGIN; ' . sprintf($many, 200) . '; ROLLBACK'), '200', 'T5: what was rolled back does not');
$open->close;
sql(sprintf($many, 400));
$node->restart;
ok(wait_up($node), 'T5: restart');
becomes(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pgqueue scheduler'}, '1',
    'T5: a scheduler is there');
# Until then queue_status counts the rows, and nobody knows how many edges there are.
becomes(q{SELECT sum(used) FROM pgqueue.memory WHERE kind = 'rebuilds'}, '1', 'T5: it has read the tasks');
($rc, $out, $err) = $node->psql('postgres', sprintf($many, 200));
like($err, qr/It has 400000, its limit is 500000/, 'T5: open edges count after a restart');
sql(q{SELECT FROM pgqueue.update_namespace('default', max_dependencies => 300000)});
is(sql(q{SELECT message FROM pgqueue.health WHERE problem = 'share_used_up'}),
    'the namespace has 400000 dependencies of waiting tasks, its limit is 300000',
    'T5: health tells of a limit that is lower');
sql(q{SELECT FROM pgqueue.update_namespace('default', max_dependencies => 700000)});
is(sql('BEGIN; ' . sprintf($many, 200) . '; ROLLBACK'), '200', 'T5: and a higher one is one');
sql(q{SELECT FROM pgqueue.update_namespace('default', max_dependencies => 0)});
is(sql(q{SELECT count(*) FROM pgqueue.health WHERE problem = 'share_used_up'}), '0', 'T5: health is well');
sql(q{SELECT count(pgqueue.cancel_task(id)) FROM pgqueue.task WHERE queue = 'waits' AND status = 'new'});
becomes('SELECT count(*) FROM pgqueue_internal.dependency', '0', 'T5: edges of tasks that were cancelled go');
is(sql('BEGIN; ' . sprintf($many, 200) . '; ROLLBACK'), '200', 'T5: and may be made again');

# Dependencies that are written while the rows are read count once.
my $holder = hold_rebuild($node, 'postgres', 'fast');
sql(sprintf($many, 2));
$holder->close;
becomes(<<~'SQL', '2000', 'I1: 2,000 dependencies made during a rebuild count once');
    SELECT taken FROM pgqueue_internal.places()
    WHERE kind = 'edges' AND id = (SELECT id FROM pgqueue_internal.namespace WHERE name = 'default')
    SQL
check_invariants($node, 'postgres', 'T5');
$node->stop;
done_testing();
