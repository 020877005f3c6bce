# More tasks than memory holds, in few transactions: the middle of the lists goes to a file and comes back, nothing is
# lost, none runs twice and the order of creation is kept. And fewer process slots than workers wanted.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use PostgreSQL::Test::Utils;
use Test::More;

# 1 MB of shared memory has room for some 40,000 hints.
my $node = new_node('many_tasks',
    conf => join("\n", 'pgqueue.dispatch_memory = 1MB', 'pgqueue.max_workers = 1', 'max_worker_processes = 8',
        'pgqueue.log_tasks = none', 'log_statement = none', 'log_min_messages = info', 'max_wal_size = 2GB'));
sub sql { return $node->safe_psql('postgres', @_); }
sub set { my ($name, $value) = @_; sql("ALTER SYSTEM SET $name = $value"); sql('SELECT pg_reload_conf()'); return; }

my $spill_file = $node->data_dir . '/pg_stat_tmp/pgqueue.spill.'
    . sql(q{SELECT oid FROM pg_database WHERE datname = 'postgres'});
my $n = 150_000;

sql(q{SELECT pgqueue.create_queue('big'); SELECT pgqueue.create_queue('later'); SELECT pgqueue.pause_queue('big')});
# Two transactions, one of them of 100,000; a third one is rolled back.
is(sql(<<~'SQL'), '100000', '100,000 tasks in one transaction');
    SELECT count(*) FROM pgqueue.create_tasks('big', commands => array_fill('SELECT 1'::text, ARRAY[100000]))
    SQL
sql(<<~'SQL');
    BEGIN;
    SELECT count(*) FROM pgqueue.create_tasks('big', commands => array_fill('SELECT 1/0'::text, ARRAY[30000]));
    ROLLBACK
    SQL
sql(<<~"SQL");
    SELECT count(*) FROM pgqueue.create_tasks('big', commands => array_fill('SELECT 1'::text, ARRAY[@{[$n - 100_000]}]))
    SQL
counters_right($node, 'postgres', 'waiting');
ok(wait_until(sub { return -s $spill_file }, 30), 'A30: what memory does not hold is in a file');

# Tasks that wait for their time do not fit either.
sql(<<~'SQL');
    SELECT count(*)
    FROM pgqueue.create_tasks('later', commands => array_fill('SELECT 1'::text, ARRAY[30000]), delay => '3 s')
    SQL

# Short memory delays nobody else's task.
sql(q{SELECT pgqueue.create_queue('small'); SELECT pgqueue.create_task('small', command => 'SELECT 1')});
ok(wait_for($node, 'postgres', q{SELECT status FROM pgqueue.task WHERE queue = 'small'}, 'released', 20),
    'a task of another queue runs');

sql(q{SELECT pgqueue.resume_queue('big')});
ok(wait_for($node, 'postgres', <<~'SQL', '0', 240), 'A30: all of them have run');
    SELECT sum(count) FROM pgqueue.queue_status WHERE status IN ('new', 'retry', 'retained')
    SQL
is(sql(q{SELECT queue, status, count(*), max(attempt) FROM pgqueue.task GROUP BY 1, 2 ORDER BY 1}),
    "big|released|$n|1\nlater|released|30000|1\nsmall|released|1|1", 'A30: each exactly once');
is(sql(<<~'SQL'), '0', 'C14: in the order of creation');
    SELECT count(*)
    FROM (SELECT started_at < lag(started_at) OVER (ORDER BY id) AS wrong FROM pgqueue.task WHERE queue = 'big') t
    WHERE wrong
    SQL
is(sql(q{SELECT count(*) FROM pgqueue.task WHERE started_at < delayed_at}), '0', 'C10: none before its time');
counters_right($node, 'postgres', 'done');

# More workers wanted than the server has slots for.
set('pgqueue.max_workers', 50);
sql(q{SELECT count(pgqueue.create_task('small', command => 'SELECT pg_sleep(0.3)')) FROM generate_series(1, 12)});
ok(wait_for($node, 'postgres', <<~'SQL', 'released|13', 30), 'A31: twelve tasks run in the slots that there are');
    SELECT status, count(*) FROM pgqueue.task WHERE queue = 'small' GROUP BY 1
    SQL
cmp_ok(sql(q{SELECT count(DISTINCT pid) FROM pgqueue.task_attempt WHERE queue = 'small'}), '>', 1, 'A31: side by side');

unlike(slurp_file($node->logfile), qr/spill file|PANIC|terminated by signal/, 'no trouble in the log');
$node->stop;
done_testing();
