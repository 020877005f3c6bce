# Leases of outside workers: they end at their moment, or with the session that they are bound to, and survive a restart
# and a promotion. Limits under concurrency; waiting and NOTIFY. B27, B28, B29, B49, C22, C23, C46, C47, K12, B26.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = new_node('leases', streaming => 1,
    conf => "max_connections = 40\nlog_statement = none\nlog_min_messages = log\npgqueue.max_workers = 2");
sub sql { return $node->safe_psql('postgres', @_); }
sub is_true { my ($sql, $name) = @_; return is(sql("SELECT ($sql)"), 't', $name); }
# Creates tasks 1 to n of a queue.
sub tasks
{
    my ($queue, $n, $more) = @_;
    $more = $more ? ", $more" : '';
    return sql(<<~"SQL");
        SELECT count(*)
        FROM pgqueue.create_tasks('$queue', ARRAY(SELECT to_jsonb(g) FROM generate_series(1, $n) g)$more)
        SQL
}
sub queue
{
    my ($name, $more) = @_;
    return sql("SELECT FROM pgqueue.create_queue('$name'" . ($more ? ", $more)" : ", ttl => '0')"));
}
sub status_is
{
    my ($queue, $expected, $name) = @_;
    return ok(wait_for($node, 'postgres', <<~"SQL", $expected, 20), $name);
        SELECT string_agg(status, ' ' ORDER BY id) FROM pgqueue.task WHERE queue = '$queue'
        SQL
}

# A lease ends at its moment: the row's own times say how late the scheduler was.
queue('end', "ttl => '0', retries => 1");
tasks('end', 3);
ok(wait_for($node, 'postgres', q{SELECT count(*) FROM pgqueue.next_task('w', 'end', '2 s')}, '1', 20),
    'a task is retained for 2 s');
is(sql(q{SELECT count(*) FROM pgqueue.next_tasks('w2', '{end}', 2, '3 s')}), '2', 'two for 3 s');
status_is('end', 'retry retry retry', 'B27, C23: ended leases return to retry');
is_true(<<~'SQL', 'at the moment they end');
    SELECT bool_and(finished_at - started_at - CASE worker WHEN 'w' THEN interval '2 s'
        ELSE '3 s' END BETWEEN '0' AND interval '10 s') AND count(*) = 3
    FROM pgqueue.task_attempt
    WHERE queue = 'end'
    SQL
is(sql(<<~'SQL'), "lostPQ1011w\nlostPQ1011w2", 'the history says that the lease ended, and whose it was');
    SELECT DISTINCT concat(outcome, error_code, attempt, worker)
    FROM pgqueue.task_attempt
    WHERE queue = 'end' ORDER BY 1
    SQL
my $got = sql(<<~'SQL');
    SELECT string_agg(concat(payload, '/', attempt), ' ') FROM pgqueue.next_tasks('w', '{end}', 3, '200 ms')
    SQL
is($got, '1/2 2/2 3/2', 'they are ready at once, the attempt is counted');
status_is('end', 'failed failed failed', 'B28: the last attempt fails');
is_true(<<~'SQL', 'the counts are right');
    SELECT count(*) = 3 FROM pgqueue.queue_status
    WHERE queue = 'end' AND status = 'failed' AND count = 3 OR queue = 'end' AND status IN ('retry', 'retained')
        AND count = 0
    SQL

# Extension, also by a session that does nothing else, and with a longer ttl than the lease.
queue('ext');
tasks('ext', 1);
my ($id, $receipt, $until) = split /\|/, sql(<<~'SQL');
    SELECT id, receipt FROM pgqueue.next_task('w', 'ext', '400 ms') \gset
    SELECT :id, :receipt, pgqueue.extend_task(:id, :receipt, '1500 ms')
    SQL
tasks('end', 1);    # the scheduler looks at leases again
sql(q{SELECT FROM pgqueue.next_task('w', 'end', '600 ms')});
status_is('end', 'failed failed failed retry', 'another lease ends');
is_true("SELECT status = 'retained' OR clock_timestamp() >= '$until' FROM pgqueue.task WHERE id = $id",
    'K12: an extended lease holds beyond its first end');
status_is('ext', 'retry', 'and ends');
is_true(<<~"SQL", 'at its new end');
    SELECT a.finished_at - '$until' BETWEEN '0' AND interval '10 s' FROM pgqueue.task_attempt a WHERE task_id = $id
    SQL
is(($node->psql('postgres', "\\set VERBOSITY sqlstate\nSELECT pgqueue.release_task($id, $receipt)"))[2] =~ /PQ001/
    ? 'PQ001' : 'no error', 'PQ001', 'B49: a late release is refused');

# A row in somebody's hands when its lease ends: looked at again afterwards.
tasks('ext', 1);
sql("SELECT pgqueue.cancel_task($id)");
my $s = session($node);
($id, $receipt) = split /\|/, $s->query(q{SELECT id, receipt FROM pgqueue.next_task('w', 'ext', '2 s')});
is($s->query("BEGIN; SELECT pgqueue.release_task($id, $receipt)"), 'released', 'a release that is not committed');
wait_for($node, 'postgres',
    "SELECT lease_until < clock_timestamp() - interval '100 ms' FROM pgqueue.task WHERE id = $id", 't');
is(sql("SELECT status FROM pgqueue.task WHERE id = $id"), 'retained',
    'a lease does not end under an uncommitted release');
$s->query('ROLLBACK');
ok(wait_for($node, 'postgres', "SELECT status FROM pgqueue.task WHERE id = $id", 'retry', 20), 'its roll back ends it');

# The ttl is shorter than the lease (C22).
queue('ttl', "ttl => '3 s'");
tasks('ttl', 2);
is(sql(q{SELECT count(*) FROM pgqueue.next_task('w', 'ttl', '1 h')}), '1',
    'one task is held for an hour, the other one waits');
my $b = session($node);
tasks('ttl', 1);
$b->query(q{SELECT FROM pgqueue.next_tasks('w', '{ttl}', 2, session_bound => true)});
status_is('ttl', 'expired expired expired', 'C22, C46: held, waiting or bound to a session, all expire at dies_at');
is_true(<<~'SQL', 'at that moment');
    SELECT bool_and(finished_at - dies_at BETWEEN '0' AND interval '10 s') FROM pgqueue.task WHERE queue = 'ttl'
    SQL

# Bound to the session.
queue('bound');
tasks('bound', 4);
for my $how ('exit', 'pg_terminate_backend')
{
    my $w = session($node);
    my ($task, $pid) = split /\|/,
        $w->query(q{SELECT id, pg_backend_pid() FROM pgqueue.next_task('w', 'bound', session_bound => true)});
    is(sql("SELECT status FROM pgqueue.task WHERE id = $task"), 'retained', 'a bound lease');
    my $end = sql($how eq 'exit' ? 'SELECT clock_timestamp()' : "SELECT clock_timestamp(), pg_terminate_backend($pid)");
    $end =~ s/\|.*//;
    $w->close;
    ok(wait_for($node, 'postgres', "SELECT status FROM pgqueue.task WHERE id = $task", 'retry', 10), "$how frees it");
    is_true(<<~"SQL", 'at once, and the history says why (PQ102)') if $how ne 'exit';
        SELECT finished_at - '$end' < interval '10 s' AND error_code = 'PQ102'
        FROM pgqueue.task_attempt
        WHERE task_id = $task
        SQL
    sql("SELECT pgqueue.cancel_task($task)");
}
my $w = session($node);
$id = $w->query(q{BEGIN; SELECT id FROM pgqueue.next_task('w', 'bound', session_bound => true)});
$w->close;
ok(wait_for($node, 'postgres', "SELECT concat(status, attempt) FROM pgqueue.task WHERE id = $id", 'new0', 10),
    'a session that ends in its transaction: never taken');
is(sql(q{SELECT payload::text FROM pgqueue.next_task('w', 'bound')}), '3', 'and first in line');

# Order: FIFO over queues, priorities.
queue($_) for 'o1', 'o2', 'o3';
sql(<<~'SQL');
    SELECT pgqueue.create_task('o' || 1 + g % 3, to_jsonb(g), priority => 100 + g / 30)
    FROM generate_series(59, 30, -1) g
    SQL
sql(qq{SELECT pgqueue.create_task('o' || 1 + g % 3, to_jsonb(g)) FROM generate_series(1, 29) g});
is(sql(q{SELECT string_agg(payload::text, ' ') FROM pgqueue.next_tasks('w', '{o1,o2,o3}', 100)}),
    join(' ', 1 .. 29, reverse 30 .. 59), 'C13, C14: best priority first, first in first out over three queues');

# max_running exactly, under concurrency (C47).
queue('limit', "ttl => '0', max_running => 3");
tasks('limit', 1000);
my $loop = <<~'SQL';
    DO $$DECLARE
        t pgqueue.retained_task;
        n int;
    BEGIN
        FOR i IN 1..120 LOOP
            SELECT * INTO t FROM pgqueue.next_task('w', 'limit');
            COMMIT;
            SELECT count(*) INTO n FROM pgqueue.task WHERE queue = 'limit' AND status = 'retained';
            IF n > 3 THEN
                RAISE 'too many: %', n;
            END IF;
            IF t.id IS NOT NULL THEN
                IF i % 7 = 0 THEN
                    PERFORM pgqueue.snooze_task(t.id, t.receipt);
                ELSE
                    PERFORM pgqueue.release_task(t.id, t.receipt);
                END IF;
            END IF;
            COMMIT;
            IF i % 11 = 0 THEN
                PERFORM pgqueue.next_task('w', 'limit');
                ROLLBACK;
            END IF;
        END LOOP;
    END$$
    SQL
my @workers = map { session($node) } 1 .. 5;
$_->send($loop) for @workers;
is(join('', map { $_->query('SELECT 1') } @workers), '11111', 'C47: never more than max_running, whoever rolls back');
ok(sql(q{SELECT count(*) FROM pgqueue.task WHERE queue = 'limit' AND status = 'released'}) > 100, 'and much was done');
is(sql(q{SELECT count(*) FROM pgqueue.next_tasks('w', '{limit}', 10)}), '3', 'the places are all free again');
sql(<<~'SQL');
    SELECT pgqueue.release_tasks(array_agg(id), array_agg(receipt))
    FROM pgqueue.task
    WHERE queue = 'limit' AND status = 'retained'
    SQL

# Rate limit exactly: 20 a second, a bucket of 5, over about a second.
queue('rate', "ttl => '0', rate_limit => 20, rate_burst => 5");
tasks('rate', 100);
sql('CREATE TABLE rate (taken int, lasted float)');
sql(<<~'SQL');
    DO $$DECLARE
        began timestamptz := clock_timestamp();
        n int := 0;
    BEGIN
        WHILE clock_timestamp() < began + interval '1 s' LOOP
            n := n + (SELECT count(*) FROM pgqueue.next_tasks('w', '{rate}', 10));
            COMMIT;
            PERFORM pg_sleep(0.01);
        END LOOP;
        INSERT INTO rate VALUES (n, extract(epoch FROM clock_timestamp() - began));
    END$$
    SQL
my ($taken, $lasted) = split /\|/, sql('TABLE rate');
cmp_ok($taken, '<=', 5 + 20 * $lasted + 1, "rate limit: $taken in $lasted s, not more");
cmp_ok($taken, '>=', 20 * $lasted - 1, 'and not fewer');

# Waiting: each waiter wakes one task's worth, the time-out, in a transaction.
queue('wait');
my @waiters = map { session($node) } 1 .. 3;
my @pids = map { $_->query('SELECT pg_backend_pid()') } @waiters;
$_->send(q{CALL pgqueue.wait_for_task('{wait}', '60 s')}) for @waiters;
my $in = join(',', @pids);
ok(wait_for($node, 'postgres', <<~"SQL", '3', 10), 'three wait, and hold no snapshot');
    SELECT count(*) FROM pg_stat_activity
    WHERE pid IN ($in) AND wait_event_type = 'Extension' AND state = 'active' AND backend_xid IS NULL
        AND backend_xmin IS NULL
    SQL
is(sql("SELECT count(*) FROM pg_locks WHERE pid IN ($in) AND locktype <> 'virtualxid'"), '0', 'and no lock');
tasks('wait', 1);
ok(wait_for($node, 'postgres', <<~"SQL", 't', 10), 'one task wakes somebody');
    SELECT count(*) > 0 FROM pg_stat_activity WHERE pid IN ($in) AND state = 'idle'
    SQL
tasks('wait', 2);
is(join('', map { $_->query('SELECT 0') =~ s/\n0$//r } @waiters), 'ttt', 'three tasks wake all: found');
sql(q{SELECT FROM pgqueue.next_tasks('w', '{wait}', 10)});
my $began = time();
is(sql(q{CALL pgqueue.wait_for_task('{wait}', '200 ms')}), 'f', 'nothing to do: false');
cmp_ok(time() - $began, '>=', 0.2, 'at the time-out');
is(sql(q{CALL pgqueue.wait_for_task('{wait}', '0')}), 'f', 'time-out 0 only looks');
like(($node->psql('postgres', <<~'SQL'))[2], qr/25001/, 'in a transaction block: 25001');
    \set VERBOSITY sqlstate
    BEGIN;
    SELECT 1 FROM pg_class LIMIT 1;
    CALL pgqueue.wait_for_task('{wait}', '1 s')
    SQL
# wait_for_result of a task of an outside worker, two waiters.
tasks('wait', 1);
($id, $receipt) = split /\|/, sql(q{SELECT id, receipt FROM pgqueue.next_task('w', 'wait')});
$_->send("CALL pgqueue.wait_for_result($id, '60 s')") for @waiters[0, 1];
wait_for($node, 'postgres', <<~"SQL", '2', 10);
    SELECT count(*) FROM pg_stat_activity
    WHERE pid IN ($pids[0], $pids[1]) AND wait_event_type = 'Extension' AND state = 'active'
    SQL
sql("SELECT pgqueue.release_task($id, $receipt, '{\"ok\": 1}')");
like($_->query('SELECT 0'), qr/^released\|\{"ok": 1\}\|\n/, 'wait_for_result of a task held outside')
    for @waiters[0, 1];

# NOTIFY, coalesced.
my $l = session($node);
$l->query('LISTEN pgqueue_default');
queue('heard');
tasks('heard', 50);
my $heard = '';
wait_until(sub { $heard .= $l->query('SELECT 1'); return $heard =~ /payload "heard"/; }, 10);
is(scalar(() = $heard =~ /Asynchronous notification "pgqueue_default" with payload "heard"/g), 1,
    'LISTEN: one notification for 50 tasks, with the queue as payload');

# Restart: leases by time hold for their full length from it, those bound to a session are free.
queue('boot');
tasks('boot', 4);
my $t = session($node);
is($t->query(q{SELECT string_agg(payload::text, ' ') FROM pgqueue.next_tasks('t', '{boot}', 2, '2 s')}), '1 2',
    'two leases of 2 s');
is($t->query(q{SELECT payload FROM pgqueue.next_task('b', 'boot', session_bound => true)}), '3', 'a bound one');
is($t->query(q{SELECT payload FROM pgqueue.next_task('b', 'boot', '1 h', session_bound => true)}), '4',
    'a bound one with a time');
sql(q{SELECT pgqueue.update_queue('boot', max_running => 3)});
$node->stop('immediate');
$node->start;
wait_up($node);
my $up = sql('SELECT pg_postmaster_start_time()');
ok(wait_for($node, 'postgres', <<~'SQL', 'new new', 10), 'C23: bound leases are free after a restart');
    SELECT string_agg(status, ' ' ORDER BY id) FROM pgqueue.task WHERE queue = 'boot' AND payload IN ('3', '4')
    SQL
is(sql(q{SELECT string_agg(concat(payload, '/', attempt), ' ') FROM pgqueue.next_tasks('b', '{boot}', 4)}), '3/1',
    'and never counted; max_running holds over the restart (C47)');
ok(wait_for($node, 'postgres', <<~'SQL', '2', 10), 'and end');
    SELECT count(*) FROM pgqueue.task_attempt WHERE queue = 'boot' AND worker = 't' AND outcome = 'lost'
    SQL
is_true(<<~"SQL", 'after their full length');
    SELECT bool_and(finished_at - '$up' >= interval '2 s' AND finished_at - '$up' < interval '30 s')
    FROM pgqueue.task_attempt
    WHERE queue = 'boot' AND worker = 't'
    SQL

# An end that commits while the first rebuild reads the rows leaves no place under the limits taken.
queue('ghost', "ttl => '0', max_running => 3");
tasks('ghost', 5);
my @held = map { [split /\|/] } split /\n/,
    sql(q{SELECT id, receipt FROM pgqueue.next_tasks('w', '{ghost}', 3, '1 h')});
my $holder = hold_rebuild($node, 'postgres', 'immediate');
is(sql("SELECT pgqueue.release_task($held[0][0], $held[0][1])"), 'released', 'a release during the rebuild');
is(sql("SELECT pgqueue.fail_task($held[1][0], $held[1][1], 'no', retry_in => '1 h')"), 'retry', 'and a failure');
sql("SELECT pgqueue.extend_task($held[2][0], $held[2][1], '500 ms')");
$holder->close;
my $again = 0;
ok(wait_until(
        sub { $again += sql(q{SELECT count(*) FROM pgqueue.next_tasks('w2', '{ghost}', 4)}); return $again >= 2; }, 10),
    'C47: their places under max_running are free');
ok(wait_for($node, 'postgres', "SELECT status FROM pgqueue.task WHERE id = $held[2][0]", 'retry', 30),
    'K12: a lease that got another end during the rebuild ends');
is(sql(q{SELECT string_agg(id::text, ' ') FROM pgqueue.next_tasks('w2', '{ghost}', 4)}), $held[2][0],
    'C47: and its place is the only one that is free');

# Promotion.
queue('prom');
tasks('prom', 2);
($id, $receipt) = split /\|/, sql(q{SELECT id, receipt FROM pgqueue.next_task('w', 'prom', '1 h')});
$node->backup('b');
my $standby = PgQueue::Node->new('standby');
$standby->init_from_backup($node, 'b', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
like(($standby->psql('postgres', q{SELECT * FROM pgqueue.next_task('w', 'prom')}))[2], qr/standby|recovery|read-only/i,
    'a standby gives no task');
$node->stop('immediate');
$standby->promote;
ok(wait_for($standby, 'postgres', q{SELECT payload FROM pgqueue.next_task('w2', 'prom')}, '2', 20),
    'after the promotion the waiting task is given');
is($standby->safe_psql('postgres', q{SELECT count(*) FROM pgqueue.next_task('w2', 'prom')}), '0',
    'the held one is not');
is($standby->safe_psql('postgres', "SELECT pgqueue.release_task($id, $receipt)"), 'released',
    'K12: its holder releases it there');
is($standby->safe_psql('postgres', <<~'SQL'), '0', 'counts are those of the rows');
    SELECT count(*)
    FROM (
        SELECT namespace, queue, status, count FROM pgqueue.queue_status
        WHERE count <> 0
        EXCEPT
        SELECT namespace, queue, status, count(*)
        FROM pgqueue.task GROUP BY 1, 2, 3
    ) d
    SQL
$standby->stop('immediate');
done_testing();
