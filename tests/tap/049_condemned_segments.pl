# T8: a segment of nothing but garbage costs readers nothing, from its condemning on, and its truncation is tried again
# soon, whoever held it back: a snapshot, which sees its rows to the end, or a reader who comes back again and again.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use Test::More;
use Time::HiRes qw(time);

my $node = new_node('condemned', conf => "log_statement = none\nlog_min_messages = log\nautovacuum = off");
sub sql { return $node->safe_psql('postgres', @_); }
my $count = 'SELECT count(*) FROM pgqueue.task';
# Pages of segments that are condemned.
my $condemned_pages = <<~'SQL';
    SELECT coalesce(sum(pg_relation_size(format('pgqueue_internal.segment_%s', slot)::regclass)) / 8192, 0)
    FROM pgqueue_internal.ring
    WHERE condemned
    SQL
my ($tasks, $live) = (20000, 100);

# Tasks of a queue that is purged, and some that live on; a pass condemns their segment.
sub purge
{
    sql(<<~"SQL");
        SELECT pgqueue.create_queue('big', ttl => '0'), pgqueue.create_queue('small', ttl => '0');
        SELECT count(*) FROM pgqueue.create_tasks('big', array_fill('{"a": 1}'::jsonb, ARRAY[$tasks]))
        SQL
    sql(qq{SELECT count(*) FROM pgqueue.create_tasks('small', array_fill('1'::jsonb, ARRAY[$live]), batch_key => 'b')});
    return;
}
sub pass { sql(q{SELECT pgqueue.purge_queue('big', force => true); SELECT pgqueue_internal.clean(1, now())}); return; }

# A snapshot from before the purge.
purge();
my $old = session($node);
$old->query('BEGIN ISOLATION LEVEL REPEATABLE READ');
is($old->query($count), $tasks + $live, 'a snapshot sees all tasks');
my $first = $old->query('SELECT min(id) FROM pgqueue.task');
pass();
my $pages = sql($condemned_pages);
cmp_ok($pages, '>', 500, "T8: a condemned segment waits for its truncation: $pages pages");
is(sql($count), $live, 'T8: its rows are gone for others');
for my $q ($count, "SELECT payload FROM pgqueue.task WHERE id = $first", 'SELECT count(*) FROM pgqueue.task_attempt',
    q{SELECT count(*) FROM pgqueue.task WHERE batch_key = 'b'})
{
    my $plan = sql("EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF) $q");
    my $filter = qr/One-Time Filter: \(\d <> ALL \([^\n]*\)\)/;
    my $no_scan = qr/Scan (?:using segment_\d_pkey )?on segment_\d \w+ \(never executed\)/;
    like($plan, qr/$filter\n.*?$no_scan/s, "T8: its scan is never begun: $q") or diag($plan);
    # The topmost node counts all of them.
    my ($buffers) = $plan =~ /^\s*Buffers: shared ([^\n]*)/m;
    my $blocks = 0;
    $blocks += $1 while ($buffers // '') =~ /(?:hit|read)=(\d+)/g;
    cmp_ok($blocks, '<', $pages / 2, "T8: it reads $blocks blocks");
    cmp_ok($blocks, '>', 0, 'which are counted');
}
is($old->query($count), $tasks + $live, 'T8: the old snapshot sees all of its tasks still');
is($old->query("SELECT status FROM pgqueue.task WHERE id = $first"), 'new', 'T8: by their id as well');
$old->query('COMMIT');
my $begin = time();
ok(wait_for($node, 'postgres', $condemned_pages, '0', 15),
    'T8: without a further pass it is truncated soon after the snapshot has gone');
cmp_ok(time() - $begin, '<', 12, sprintf('T8: after %.1f s', time() - $begin));

# Readers who are there nearly always.
my @readers = map { session($node) } 1, 2;
purge();
$_->send(<<~"SQL") for @readers;
    DO \$\$BEGIN LOOP PERFORM count(*) FROM pgqueue.task; COMMIT; PERFORM pg_sleep(0.001); COMMIT; END LOOP; END\$\$
    SQL
ok(wait_for($node, 'postgres', <<~'SQL', '2', 20), 'two readers');
    SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'DO %' AND state = 'active'
    SQL
pass();
ok(wait_for($node, 'postgres', $condemned_pages, '0', 25),
    'T8: readers who come again and again do not keep a segment');
is(sql(q{SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'DO %' AND state = 'active'}), '2',
    'they are there still');
$_->close for @readers;
ok(wait_for($node, 'postgres', q{SELECT count(*) FROM pgqueue.health WHERE problem = 'cleaning_held_back'}, '0', 15),
    'T8: health says nothing');
is(sql($count), 2 * $live, 'what lives is there');
counters_right($node, 'postgres', 'at the end');
done_testing();
