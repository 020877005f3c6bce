# Delayed tasks of a queue that is purged or deleted go from memory and from the spill file, not when their time would
# come (T6): pages and file are everybody's.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('purged',
    conf => "log_statement = none\nlog_min_messages = warning\nautovacuum = off\npgqueue.dispatch_memory = 4MB");
my $db = 'postgres';
sub sql { return $node->safe_psql($db, @_); }
sub becomes { my ($query, $value, $what) = @_; return ok(wait_for($node, $db, $query, $value, 60), $what); }
my $spilled = q{SELECT used FROM pgqueue.memory WHERE kind = 'spilled pages'};
sub make_tasks
{
    my ($queue, $n) = @_;
    return sql(<<~"SQL");
        SELECT count(*)
        FROM generate_series(1, $n) i,
            pgqueue.create_tasks('$queue', array_fill('{}'::jsonb, ARRAY[100]),
                delay => make_interval(days => 1 + i % 700, secs => i), ttl => '1000 days')
        SQL
}

sql(q{SELECT pgqueue.create_queue('evil'), pgqueue.create_queue('good'), pgqueue.create_queue('gone')});
# Slowly enough for the spill file: what finds no memory would be read again from the rows.
for my $queue (map { ($_) x 3 } qw(evil good evil gone))
{
    make_tasks($queue, 200);
    wait_until(sub { return sql(q{SELECT used < 0.8 * capacity FROM pgqueue.memory WHERE kind = 'pages'}) eq 't'; },
        60);
}
ok(wait_until(sub { return sql($spilled) > 1000; }, 60), 'most are in the file');
my $rebuilds = sql(q{SELECT sum(used) FROM pgqueue.memory WHERE kind = 'rebuilds'});
my $before = sql($spilled);
is(sql(q{SELECT pgqueue.purge_queue('evil')}), '120000', 'one queue is purged');
ok(wait_until(sub { return sql($spilled) < 0.7 * $before; }, 60), 'T6: its pages in the file are free')
    or diag("$before, " . sql($spilled));
sql(q{SELECT pgqueue.delete_queue('gone', force => true)});
becomes(q{SELECT sum(used) FROM pgqueue.memory WHERE kind = 'queues' AND namespace IS NULL},
    sql(q{SELECT count(*) FROM pgqueue_internal.queue}), 'T6: no place of a dropped queue is left');
check_invariants($node, $db, 'after the purge', 60);
is(sql(q{SELECT sum(used) FROM pgqueue.memory WHERE kind = 'rebuilds'}), $rebuilds, 'no rebuild was needed');
# What is left is there.
is(sql(q{SELECT count(*) FROM pgqueue.task WHERE queue = 'good' AND status = 'new'}), '60000',
    'the tasks of the other queue are there');
sql(q{UPDATE pgqueue.task SET delayed_at = now() WHERE queue = 'good' AND id % 100 = 0});
take_tasks($node, $db, 'good', 600);
is(sql(q{SELECT count(*) FROM pgqueue.task WHERE queue = 'good' AND status = 'released' AND id % 100 = 0}), '600',
    'and are handed out');
sql(q{SELECT pgqueue.delete_queue('good', force => true)});
becomes($spilled, '0', 'T6: nothing is in the file in the end');

# Pages in memory, of a queue alone and shared with another one.
sql(q{SELECT pgqueue.create_queue('evil'), pgqueue.create_queue('good')});
my $pages = q{SELECT used FROM pgqueue.memory WHERE kind = 'pages' AND namespace IS NULL};
$before = sql($pages);
for my $round (1 .. 20)
{
    make_tasks('evil', 10);
    sql(q{SELECT pgqueue.create_task('good', '{}', delay => '100 days', ttl => '1000 days')});
}
ok(wait_until(sub { return sql($pages) > $before + 150; }, 60), 'delayed tasks have pages');
is(sql(q{SELECT pgqueue.purge_queue('evil')}), '20000', 'most of them are purged');
# A page for each length of the wait stays.
ok(wait_until(sub { return sql($pages) < $before + 60; }, 60), 'T6: and their pages are free')
    or diag("$before, " . sql($pages));
sql(q{UPDATE pgqueue.task SET delayed_at = now() WHERE queue = 'good'});
take_tasks($node, $db, 'good', 20);
is(sql(q{SELECT count(*) FROM pgqueue.task WHERE queue = 'good' AND status = 'released'}), '20',
    'the others are handed out');
check_invariants($node, $db, 'after the second purge', 60);
$node->stop;
done_testing();
