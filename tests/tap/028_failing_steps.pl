# A step of the scheduler that failed is done as soon as it can be. Here a table that all changes of tasks need is
# locked while tasks expire, become due and finish, so that each attempt ends by lock_timeout. View health says what is
# owed. The issue: a scheduler whose step failed looks again.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('steps', conf => "log_statement = none\nlog_min_messages = log\npgqueue.max_workers = 1");
sub sql { return $node->safe_psql('postgres', @_); }
sub scheduler { return pid_of($node, 'pgqueue scheduler', 'postgres'); }

sql(q{SELECT pgqueue.create_queue(q) FROM unnest('{dies,groups,late}'::text[]) q});
# What is due later than it dies.
sql(q{SELECT pgqueue.create_task('late', '1', ttl => '5 s')});
ok(wait_for($node, 'postgres', <<~'SQL', 'retry'), 'a task dies before it is due');
    SELECT pgqueue.fail_task(id, receipt, retry_in => '1 day') FROM pgqueue.next_task('w', 'late')
    SQL
sql(<<~'SQL');
    SELECT pgqueue.create_tasks('dies', array_fill('1'::jsonb, ARRAY[300]), ttl => '1500 ms');
    SELECT pgqueue.create_tasks('groups', '{1,2,3}', group_keys => '{g,g,h}', ttl => '1500 ms');
    SELECT pgqueue.create_tasks('groups', '{4,5}', group_keys => '{i,j}', delay => '1500 ms')
    SQL
ok(wait_for($node, 'postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pgqueue scheduler'}, '1'),
    'there is a scheduler');
my $pid = scheduler();
my $holder = session($node);
# Rows can be read and not written.
$holder->query('BEGIN; LOCK TABLE ' . join(', ', map { "pgqueue_internal.segment_$_" } 0 .. 5) . ' IN SHARE MODE');
my ($look_fails, $expiry_fails) = ('look at tasks whose time has come', 'could not expire tasks');
my $both_fail = qr/pgqueue scheduler could not $look_fails.*$expiry_fails|$expiry_fails.*$look_fails/s;
ok(wait_until(sub { slurp_file($node->logfile) =~ $both_fail }, 60), 'steps fail while tables are locked');
my $health = <<~'SQL';
    SELECT count(*) > 0 FROM pgqueue.health WHERE problem = 'owed' AND message LIKE 'the scheduler could not %'
    SQL
ok(wait_for($node, 'postgres', $health, 't', 60), 'health says so');
$holder->query('ROLLBACK');
ok(wait_for($node, 'postgres', <<~'SQL', 'dies expired 300, groups expired 3, groups new 2, late expired 1', 60),
    SELECT string_agg(queue || ' ' || status || ' ' || count, ', ' ORDER BY queue, status) FROM pgqueue.queue_status
    WHERE count > 0 AND namespace = 'default'
    SQL
    'all is done when they are free');
ok(wait_for($node, 'postgres', q{SELECT count(*) FROM pgqueue.next_tasks('w', '{groups}', 10)}, '2', 60),
    'what was due meanwhile is handed out');
ok(wait_for($node, 'postgres', $health, 'f', 60), 'health is content again');
is(scheduler(), $pid, 'by the same scheduler');
counters_right($node, 'postgres', 'at the end');
my @lines = slurp_file($node->logfile) =~ /pgqueue scheduler could not /g;
cmp_ok(scalar(@lines), '<', 60, 'the log is not flooded: ' . @lines . ' lines');
done_testing();
