# What views and functions say of what goes on: outside workers in view worker, reasons of cancel_task, words of view
# health. K03, C23, B46.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('watching', conf => "log_statement = none\nlog_min_messages = log\npgqueue.max_workers = 3");
sub sql { return $node->safe_psql('postgres', @_); }
sub soon { my ($sql, $expected, $name) = @_; return ok(wait_for($node, 'postgres', $sql, $expected, 30), $name); }

# Outside workers: sessions that wait, sessions that end, a restart of the server.
sql(q{SELECT pgqueue.create_queue('a', ttl => '0'), pgqueue.create_queue('b', ttl => '0')});
my $waiter = session($node);
my $pid = $waiter->query('SELECT pg_backend_pid()');
$waiter->send(q{CALL pgqueue.wait_for_task('{a}', '5 min')});
soon(<<~'SQL', join('|', '-', 'outside', $pid, scalar getpwuid($<), qw(default a 0 waiting t)),
    SELECT concat_ws('|', coalesce(worker, '-'), kind, pid, role, namespace, queue, coalesce(task_id, 0), state,
        now() - since < interval '1 min', lease_until)
    FROM pgqueue.worker
    SQL
    'K03: a session that waits for one queue');
my $both = session($node);
$pid = $both->query('SELECT pg_backend_pid()');
$both->send(q{CALL pgqueue.wait_for_task('{a,b}', '5 min')});
soon("SELECT concat_ws('|', namespace, coalesce(queue, '-'), state) FROM pgqueue.worker WHERE pid = $pid",
    'default|-|waiting', 'one that waits for several');
sql(q{SELECT pgqueue.create_task('a', '1') FROM generate_series(1, 3)});
$_->query('SELECT 1') for $waiter, $both;
is(sql('SELECT count(*) FROM pgqueue.worker'), '0', 'who found something waits no more');
my ($id, $receipt) = split /\|/, $waiter->query(q{SELECT id, receipt FROM pgqueue.next_task('w', 'a', '1 h')});
$pid = $waiter->query('SELECT pg_backend_pid()');
is(sql('SELECT concat(worker, pid) FROM pgqueue.worker'), "w$pid", 'a task that another session holds');
$waiter->close;
soon('SELECT concat_ws(\'|\', worker, coalesce(pid, 0), role, state) FROM pgqueue.worker',
    join('|', 'w', 0, scalar getpwuid($<), 'running'), 'its session is gone, its lease holds: no pid');
$both->close;
$node->restart;
soon(<<~'SQL', "w|0|-|$id|running|t", 'after a restart: who holds it is not known, but the lease');
    SELECT concat_ws('|', worker, coalesce(pid, 0), coalesce(role, '-'), task_id, state,
        lease_until > now() + interval '50 min')
    FROM pgqueue.worker
    SQL
my $again = session($node);
$pid = $again->query('SELECT pg_backend_pid()');
$again->query("SELECT pgqueue.extend_task($id, $receipt, '2 h')");
is(sql('SELECT concat_ws(\'|\', worker, pid, role) FROM pgqueue.worker'), join('|', 'w', $pid, scalar getpwuid($<)),
    'until somebody extends it');
$again->query("SELECT pgqueue.release_task($id)");
is(sql('SELECT count(*) FROM pgqueue.worker WHERE kind = \'outside\''), '0',
    'released without receipt: the lease is its own again');

# The reason of a cancel is what the row says: of a statement that is cancelled, of a process that is terminated, cut at
# 255 bytes and no character in two.
sql(q{SELECT pgqueue.create_queue('c', executor => 'server', retries => 0)});
sub run_and_cancel
{
    my ($more, $before) = @_;
    my $task = sql(q{SELECT pgqueue.create_task('c', command => 'SELECT pg_sleep(300)')});
    wait_for($node, 'postgres', "SELECT state FROM pgqueue.worker WHERE task_id = $task", 'running', 30);
    sql("BEGIN; SELECT pgqueue.cancel_task($task, reason => 'never happened'); ROLLBACK");
    sql("SELECT pgqueue.cancel_task($task$more)");
    my $end = <<~"SQL";
        SELECT concat_ws('|', status, error_code, error, length(error), octet_length(error))
        FROM pgqueue.task
        WHERE id = $task AND status <> 'retained'
        SQL
    return wait_until(sub { sql($end) }, 30);
}
is(run_and_cancel(", 'wrong customer'"), 'cancelled|57014|wrong customer|14|14',
    'cancel_task of a task that runs: its reason is the error');
is(run_and_cancel(", force => true, reason => 'stuck'"), 'cancelled|57014|stuck|5|5', 'with force too');
like(run_and_cancel(''), qr/^cancelled\|57014\|canceling statement/, 'without a reason: the message of the server');
is(run_and_cancel(", repeat('\x{c3}\x{a4}', 300)") =~ s/(.*\|).*(\|\d+\|\d+)$/$1$2/r,
    sql('SHOW server_encoding') eq 'UTF8' ? 'cancelled|57014||127|254' : 'cancelled|57014||255|255',
    'a long reason is cut, between two characters');

# View health, word by word: each comes with its cause and goes with it.
sub problem
{
    my ($word, $where) = @_;
    $where //= 'true';
    return <<~"SQL";
        SELECT coalesce(string_agg(concat_ws('|', severity, namespace, queue, message), '; ' ORDER BY message), '-')
        FROM pgqueue.health
        WHERE problem = '$word' AND $where
        SQL
}
sub hint { my ($word) = @_; return sql("SELECT hint FROM pgqueue.health WHERE problem = '$word'"); }
sub is_problem { my ($word, $expected, $name) = @_; return soon(problem($word), $expected, "health $word: $name"); }
sub hold
{
    my ($queue, $n) = @_;
    return soon("SELECT count(*) FROM pgqueue.next_tasks('w', '{$queue}', $n)", $n, "$n of queue $queue held");
}
my $me = getpwuid($<);
sql(q{SELECT pgqueue.cancel_task(id) FROM pgqueue.task WHERE status IN ('new', 'retry', 'retained')});
is_problem($_, '-', 'not before') for qw(quarantine crash_loop queue_full limit no_handler cleaning_held_back);

sql(<<~'SQL');
    SELECT pgqueue.create_queue('full', max_depth => 2), pgqueue.create_queue('one', max_running => 1),
        pgqueue.create_queue('slow', rate_limit => 0.001),
        pgqueue.create_queue('nohandler', executor => 'server', retry_delay => '1 h', retries => 0)
    SQL
sql(<<~'SQL');
    SELECT pgqueue.create_namespace('small', max_running => 1, max_depth => 2),
        pgqueue.create_queue('q', namespace => 'small')
    SQL
sql(q{SELECT pgqueue.create_task('full', '1') FROM generate_series(1, 2)});
is_problem('queue_full', 'warning|default|full|the queue has 2 unfinished tasks, max_depth is 2', 'a queue');
is(hint('queue_full'), q{SELECT pgqueue.update_queue('full', max_depth => 4, namespace => 'default');},
    'E5: the hint is a statement');
sql(q{SELECT pgqueue.cancel_task(min(id)) FROM pgqueue.task WHERE queue = 'full'});
is_problem('queue_full', '-', 'one less');
sql(q{SELECT pgqueue.create_task('one', '1') FROM generate_series(1, 3)});
hold('one', 1);
is_problem('limit', 'warning|default|one|2 ready tasks wait: 1 of the queue is held, max_running is 1', 'max_running');
is(hint('limit'), q{SELECT pgqueue.update_queue('one', max_running => 2, namespace => 'default');},
    'E5: the hint is a statement');
sql(hint('limit'));
soon(q{SELECT max_running FROM pgqueue.queue WHERE queue = 'one'}, 2, 'E5: which works');
sql(q{SELECT pgqueue.update_queue('one', max_running => 0)});
is_problem('limit', '-', 'limit removed');
sql(q{SELECT pgqueue.create_task('slow', '1') FROM generate_series(1, 3)});
hold('slow', 1);
is_problem('limit', 'warning|default|slow|2 ready tasks wait for the queue\'s rate_limit', 'rate_limit');
is(hint('limit'), q{SELECT pgqueue.update_queue('slow', rate_limit => 0.002, namespace => 'default');},
    'E5: the hint is a statement');
sql(q{SELECT pgqueue.update_queue('slow', rate_limit => 0)});
sql(q{SET pgqueue.namespace = small; SELECT pgqueue.create_task('q', '1') FROM generate_series(1, 2)});
is_problem('queue_full', 'warning|small|the namespace has 2 unfinished tasks, max_depth is 2', 'a namespace');
soon(q{SET pgqueue.namespace = small; SELECT count(*) FROM pgqueue.next_task('w', 'q')}, 1,
    'one of the namespace held');
is_problem('limit', 'warning|small|1 ready task waits: 1 of the namespace is held, max_running is 1',
    'max_running of a namespace');
sql(q{CREATE ROLE reader; GRANT pgqueue_user TO reader; SELECT pgqueue.grant_namespace('default', 'read', 'reader')});
is(sql(q{SET ROLE reader; SELECT count(*) FROM pgqueue.health WHERE namespace = 'small'}), '0',
    'problems of a namespace are not for others');
sql(q{SELECT pgqueue.grant_namespace('small', 'read', 'reader')});
is(sql(q{SET ROLE reader; SELECT count(*) FROM pgqueue.health WHERE namespace = 'small'}), '2',
    'but for those who may read it');
sql(q{SELECT pgqueue.delete_namespace('small', force => true)});
is_problem($_, '-', 'gone with its namespace') for qw(limit queue_full);
$node->append_conf('postgresql.conf', 'pgqueue.max_workers_per_role = 1');
$node->reload;
sql(q{SELECT pgqueue.create_task('c', command => 'SELECT pg_sleep(300)') FROM generate_series(1, 2)});
is_problem('limit', qq{warning|1 ready task waits: 1 worker of role "$me" is busy, pgqueue.max_workers_per_role is 1},
    'workers of a role');
$node->append_conf('postgresql.conf', 'pgqueue.max_workers_per_role = 0');
$node->reload;
is_problem('limit', '-', 'more workers');
sql(q{SELECT pgqueue.cancel_task(id) FROM pgqueue.task WHERE queue = 'c' AND status IN ('new', 'retained')});

sql(q{SELECT pgqueue.create_task('nohandler', '{}', type => 'mail:' || g / 2) FROM generate_series(1, 3) g});
is_problem('no_handler',
    'warning|default|nohandler|no handler for type "mail:0": one task; '
    . 'warning|default|nohandler|no handler for type "mail:1": 2 tasks',
    'types without');
is(sql(q{SELECT hint FROM pgqueue.health WHERE problem = 'no_handler' ORDER BY message LIMIT 1}),
    q{SELECT pgqueue.create_handler('mail:0', 'function', namespace => 'default');}, 'the hint is a statement');
sql(q{SELECT pgqueue.create_handler('mail:', 'jsonb_pretty')});
is_problem('no_handler', '-', 'one for both');

# A task that ends its own worker, again and again.
$id = sql(q{SELECT pgqueue.create_task('c', command => 'SELECT pg_terminate_backend(pg_backend_pid())')});
is_problem('quarantine', 'warning|default|c|quarantined after crashes: one task', 'a task');
is_problem('crash_loop', qq{warning|workers of role "$me" ended by themselves 3 times}, 'workers of a role');
is(sql(<<~'SQL'), '2', 'since when');
    SELECT count(*) FROM pgqueue.health
    WHERE problem IN ('quarantine', 'crash_loop') AND now() - since < interval '1 min'
    SQL
is(hint('quarantine'),
    'SELECT id, type, command, error, error_info FROM pgqueue.task '
    . q{WHERE namespace = 'default' AND queue = 'c' AND status = 'failed' AND error_code = 'PQ103';},
    'E5: the hint is to look at them, not to run them again');
$node->restart;
is_problem('quarantine', 'warning|default|c|quarantined after crashes: one task', 'after a restart too');
sql(q{SELECT pgqueue.pause_queue('c')});
like(sql(hint('quarantine')), qr/^$id\|\|SELECT pg_terminate_backend/, 'the statement of the hint');
is(sql("SELECT pgqueue.retry_task($id)"), 'retry', 'and retried by hand');
is_problem('quarantine', '-', 'retried');
is_problem('crash_loop', '-', 'forgotten with the restart');
sql("SELECT pgqueue.cancel_task($id)");
my $scheduler = 0;
for (1 .. 3)
{
    my $before = $scheduler;
    wait_until(
        sub {
            $scheduler = (pids_of($node, 'pgqueue scheduler', 'postgres'))[0] // $before;
            return $scheduler != $before;
        });
    terminate($node, $scheduler);
}
is_problem('crash_loop', 'critical|the scheduler of this database ended 3 times', 'the scheduler');

# A snapshot that keeps segments.
my $old = session($node);
sql(q{SELECT pgqueue.create_queue('clean', retention => '1 s')});
sql(q{SELECT pgqueue.create_tasks('clean', array_fill('"old"'::jsonb, ARRAY[1000]))});
hold('clean', 1000);
sql(<<~'SQL');
    SELECT count(*)
    FROM (SELECT array_agg(id) AS ids, array_agg(receipt) AS receipts FROM pgqueue.task WHERE queue = 'clean') x,
        pgqueue.release_tasks(x.ids, x.receipts)
    SQL
$pid = $old->query("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT pg_backend_pid()");
sql(q{SELECT pgqueue_internal.clean(1, now() + interval '1 day')}) for 1, 2;
is(sql(<<~'SQL'),
    SELECT concat_ws('|', severity, message, hint, pid, now() - since < interval '1 min')
    FROM pgqueue.health
    WHERE problem = 'cleaning_held_back'
    SQL
    'warning|an old snapshot keeps finished segments from being truncated|'
    . "End it: SELECT pg_terminate_backend($pid);|$pid|t",
    'health cleaning_held_back: who, since when, and how to end it');
sql("SELECT pg_terminate_backend($pid)");
is_problem('cleaning_held_back', '-', 'its holder is gone');
$old->close;

done_testing();
