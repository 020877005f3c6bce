# What views and functions say of what goes on: outside workers in view worker, reasons of cancel_task, words of view health, why(). K03, C23, B46.
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
soon(q{SELECT concat_ws('|', coalesce(worker, '-'), kind, pid, role, namespace, queue, coalesce(task_id, 0), state, now() - since < interval '1 min', lease_until) FROM pgqueue.worker},
    join('|', '-', 'outside', $pid, scalar getpwuid($<), qw(default a 0 waiting t)), 'K03: a session that waits for one queue');
my $both = session($node);
$pid = $both->query('SELECT pg_backend_pid()');
$both->send(q{CALL pgqueue.wait_for_task('{a,b}', '5 min')});
soon("SELECT concat_ws('|', namespace, coalesce(queue, '-'), state) FROM pgqueue.worker WHERE pid = $pid", 'default|-|waiting', 'one that waits for several');
sql(q{SELECT pgqueue.create_task('a', '1') FROM generate_series(1, 3)});
$_->query('SELECT 1') for $waiter, $both;
is(sql('SELECT count(*) FROM pgqueue.worker'), '0', 'who found something waits no more');
my ($id, $receipt) = split /\|/, $waiter->query(q{SELECT id, receipt FROM pgqueue.next_task('w', 'a', '1 h')});
$pid = $waiter->query('SELECT pg_backend_pid()');
is(sql('SELECT concat(worker, pid) FROM pgqueue.worker'), "w$pid", 'a task that another session holds');
$waiter->close;
soon('SELECT concat_ws(\'|\', worker, coalesce(pid, 0), role, state) FROM pgqueue.worker', join('|', 'w', 0, scalar getpwuid($<), 'running'), 'its session is gone, its lease holds: no pid');
$both->close;
$node->restart;
soon(q{SELECT concat_ws('|', worker, coalesce(pid, 0), coalesce(role, '-'), task_id, state, lease_until > now() + interval '50 min') FROM pgqueue.worker}, "w|0|-|$id|running|t",
    'after a restart: who holds it is not known, but the lease');
my $again = session($node);
$pid = $again->query('SELECT pg_backend_pid()');
$again->query("SELECT pgqueue.extend_task($id, $receipt, '2 h')");
is(sql('SELECT concat_ws(\'|\', worker, pid, role) FROM pgqueue.worker'), join('|', 'w', $pid, scalar getpwuid($<)), 'until somebody extends it');
$again->query("SELECT pgqueue.release_task($id)");
is(sql('SELECT count(*) FROM pgqueue.worker WHERE kind = \'outside\''), '0', 'released without receipt: the lease is its own again');

# The reason of a cancel is what the row says: of a statement that is cancelled, of a process that is terminated, cut at 255 bytes and no character in two.
sql(q{SELECT pgqueue.create_queue('c', executor => 'server', retries => 0)});
sub run_and_cancel
{
    my ($more, $before) = @_;
    my $task = sql(q{SELECT pgqueue.create_task('c', command => 'SELECT pg_sleep(300)')});
    wait_for($node, 'postgres', "SELECT state FROM pgqueue.worker WHERE task_id = $task", 'running', 30);
    sql("BEGIN; SELECT pgqueue.cancel_task($task, reason => 'never happened'); ROLLBACK");
    sql("SELECT pgqueue.cancel_task($task$more)");
    return wait_until(sub { my $e = sql("SELECT concat_ws('|', status, error_code, error, length(error), octet_length(error)) FROM pgqueue.task WHERE id = $task AND status <> 'retained'"); return $e }, 30);
}
is(run_and_cancel(", 'wrong customer'"), 'cancelled|57014|wrong customer|14|14', 'cancel_task of a task that runs: its reason is the error');
is(run_and_cancel(", force => true, reason => 'stuck'"), 'cancelled|57014|stuck|5|5', 'with force too');
like(run_and_cancel(''), qr/^cancelled\|57014\|canceling statement/, 'without a reason: the message of the server');
is(run_and_cancel(", repeat('\x{c3}\x{a4}', 300)") =~ s/(.*\|).*(\|\d+\|\d+)$/$1$2/r, 'cancelled|57014||127|254', 'a long reason is cut, between two characters');

done_testing();
