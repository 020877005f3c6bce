# Who is started when: order, priorities, limits, fair shares, due times, memory that is too small, cancelling, waiting.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IPC::Run ();
use PgQueue;
use PostgreSQL::Test::Utils;
use Test::More;

# Statements are not logged: there are hundreds of thousands of them.
my $node = new_node('dispatch',
    conf => "log_statement = none\nlog_min_messages = info\nmax_worker_processes = 24\nmax_prepared_transactions = 2\n"
    . "pgqueue.dispatch_memory = '1MB'\npgqueue.max_workers = 1\nfull_page_writes = off");
sub sql { return $node->safe_psql('postgres', @_); }

# Sets a parameter and waits until the processes may have seen it.
sub setting
{
    my ($name, $value) = @_;
    sql("ALTER SYSTEM SET $name = '$value'");
    $node->reload;
    wait_for($node, 'postgres', "SHOW $name", $value);
    return;
}

sub wait_sql
{
    my ($sql, $expected, $timeout) = @_;
    return wait_for($node, 'postgres', $sql, $expected, $timeout // 60);
}

# Waits until no task of the queues (a LIKE pattern) is unfinished.
sub drained
{
    my ($queues, $timeout) = @_;
    return wait_sql(<<~"SQL", '0', $timeout);
        SELECT coalesce(sum(count), 0) FROM pgqueue.queue_status
        WHERE queue LIKE '$queues' AND status IN ('new', 'retry', 'retained')
        SQL
}

# Runs statements as a role that may do everything in the namespaces it made.
sub sql_as { my ($role, $sql) = @_; return $node->safe_psql('postgres', $sql, extra_params => ['-U', $role]); }

sub counts
{
    my ($queue) = @_;
    return sql(<<~"SQL");
        SELECT string_agg(status || ' ' || count, ', ' ORDER BY status)
        FROM pgqueue.queue_status
        WHERE queue = '$queue' AND count > 0
        SQL
}

sql(<<~'SQL');
    CREATE UNLOGGED TABLE ran (queue text, n int, at bigint GENERATED ALWAYS AS IDENTITY, UNIQUE (queue, n));
    GRANT ALL ON ran TO PUBLIC;
    CREATE UNLOGGED TABLE slots (what text, slot int);
    GRANT ALL ON slots TO PUBLIC;
    -- Runs for a moment in one of the places of a limit; without a free one the limit is broken.
    -- The places are given back before the transaction ends, so nothing that starts after its end can find them taken.
    CREATE FUNCTION inside(what text, places int, seconds float8) RETURNS void LANGUAGE plpgsql AS $$BEGIN
        FOR i IN 1..places LOOP
            IF pg_try_advisory_lock(hashtext(what), i) THEN
                INSERT INTO slots VALUES (what, i);
                PERFORM pg_sleep(seconds);
                PERFORM pg_advisory_unlock(hashtext(what), i);
                RETURN;
            END IF;
        END LOOP;
        RAISE 'more than % run in %', places, what;
    END$$;
    -- Ends when nobody holds the gate.
    CREATE FUNCTION gate() RETURNS void LANGUAGE sql AS 'SELECT pg_advisory_xact_lock_shared(4711)';
    SQL

# A gate that a session holds shut: the task that waits at it keeps its worker busy.
my $keeper = session($node);
sub shut { $keeper->query('SELECT pg_advisory_lock(4711)'); return; }
sub open_gate { $keeper->query('SELECT pg_advisory_unlock(4711)'); return; }

sub at_gate
{
    my ($workers) = @_;
    return wait_sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND NOT granted",
        $workers // 1);
}

# More tasks than the memory has room for.
my $many = 100_000;
sql("SELECT pgqueue.create_queue('many', retries => 0), pgqueue.create_queue('first')");
sql("SELECT pgqueue.create_task('first', command => 'SELECT 1')");
ok(drained('first'), 'the database is served');
setting('pgqueue.max_workers', '0');
wait_sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pgqueue worker'", '0');
my $began = time();
for my $part (0 .. 4)
{
    sql(<<~"SQL");
        SELECT count(*)
        FROM pgqueue.create_tasks('many',
            commands => (
                SELECT array_agg('INSERT INTO ran VALUES (''many'', ' || n || ')' ORDER BY n)
                FROM generate_series($part * $many / 5 + 1, ($part + 1) * $many / 5) n
            ))
        SQL
}
note('created after ' . (time() - $began) . ' s');
is(counts('many'), "new $many", 'more tasks than the memory holds are counted');
is(sql('SELECT count(*) FROM ran'), '0', 'with max_workers 0 none runs');
my $oid = sql("SELECT oid FROM pg_database WHERE datname = 'postgres'");
ok(-s $node->data_dir . "/pg_stat_tmp/pgqueue.spill.$oid", 'what finds no room is in the spill file');
setting('pgqueue.max_workers', '1');
ok(drained('many', 120), 'they run to the end');
note('done after ' . (time() - $began) . ' s');
is(counts('many'), "released $many", 'all are released');
is(sql("SELECT count(*), min(n), max(n) FROM ran WHERE queue = 'many'"), "$many|1|$many",
    'B17: each has run exactly once');
# A worker that is held up gives back what it has claimed but not begun, 32 tasks at most; they take their places again
# while it goes on.
is(sql(<<~'SQL'), '0', 'A28: effects are in the order of creation');
    SELECT count(*)
    FROM (SELECT n, row_number() OVER (ORDER BY at) AS place FROM ran WHERE queue = 'many') r
    WHERE abs(n - place) > 32
    SQL
is(sql(<<~'SQL'), '0', 'A28: starts are in the order of creation');
    SELECT count(*)
    FROM (
        SELECT row_number() OVER (ORDER BY started_at, id) AS place, row_number() OVER (ORDER BY id) AS n
        FROM pgqueue.task
        WHERE queue = 'many'
    ) t
    WHERE abs(n - place) > 32
    SQL
sql("SELECT pgqueue.delete_queue('many')");

# Priorities, with the one worker.
sql("SELECT pgqueue.create_queue('order', retries => 0), pgqueue.create_queue('order2', retries => 0, priority => 50)");
shut();
sql("SELECT pgqueue.create_task('order', command => 'SELECT gate()', priority => 0)");
at_gate();
sql(<<~'SQL');
    SELECT pgqueue.create_task('order', command => format('INSERT INTO ran VALUES (''order'', %s)', n), priority => p)
    FROM (VALUES (1, 100), (2, 1), (3, 1000), (4, 1), (5, NULL), (6, 2147483647), (7, -5)) v(n, p) ORDER BY n;
    SELECT pgqueue.create_task('order2', command => 'INSERT INTO ran VALUES (''order'', 8)');
    SELECT pgqueue.create_task('order2', command => 'INSERT INTO ran VALUES (''order'', 9)', priority => 100);
    SQL
open_gate();
ok(drained('order%'), 'A28: all have run');
is(sql("SELECT string_agg(n::text, ' ' ORDER BY at) FROM ran WHERE queue = 'order'"), '7 2 4 8 1 5 9 3 6',
    'A28, B05: smaller priority first, then the older, also between queues');

# Fairness between namespaces, with the one worker.
sql(<<~'SQL');
    SELECT pgqueue.create_namespace('light', weight => 1), pgqueue.create_namespace('heavy', weight => 3),
        pgqueue.create_namespace('crowd');
    SELECT pgqueue.create_queue('shares', namespace => n, retries => 0) FROM unnest('{light,heavy,crowd}'::text[]) n;
    SQL
shut();
sql("SELECT pgqueue.create_task('order', command => 'SELECT gate()')");
at_gate();
sql(<<~'SQL');
    SELECT count(*)
    FROM pgqueue.create_tasks('shares',
        commands => (
            SELECT array_agg(format('INSERT INTO ran VALUES (''light'', %s)', n)) FROM generate_series(1, 1200) n
        ), namespace => 'light');
    SELECT count(*)
    FROM pgqueue.create_tasks('shares',
        commands => (
            SELECT array_agg(format('INSERT INTO ran VALUES (''heavy'', %s)', n)) FROM generate_series(1, 1200) n
        ), namespace => 'heavy');
    SQL
open_gate();
ok(drained('shares'), 'K05: both namespaces are served');
my $heavy = sql(<<~'SQL');
    SELECT count(*) FILTER (WHERE queue = 'heavy')
    FROM (SELECT queue FROM ran WHERE queue IN ('light', 'heavy') ORDER BY at LIMIT 1200) r
    SQL
ok($heavy >= 800 && $heavy <= 1000,
    "K05: weights 1 to 3 share the worker ($heavy of the first 1200 are of the heavy one)");
shut();
sql("SELECT pgqueue.create_task('order', command => 'SELECT gate()')");
at_gate();
sql(<<~'SQL');
    SELECT count(*)
    FROM pgqueue.create_tasks('shares', commands => array_fill('SELECT 1'::text, ARRAY[10000]), namespace => 'crowd')
    SQL
my $late = sql("SELECT pgqueue.create_task('shares', command => 'SELECT 1', namespace => 'light')");
open_gate();
ok(wait_sql("SELECT status FROM pgqueue.task WHERE id = $late", 'released'),
    'K05: the task of the other namespace runs');
my $before = sql(<<~"SQL");
    SELECT count(*) FROM pgqueue.task
    WHERE namespace = 'crowd' AND started_at < (SELECT started_at FROM pgqueue.task WHERE id = $late)
    SQL
cmp_ok($before, '<=', 100, 'K05: after 100 tasks of the crowd at most');

# Roles take turns: one worker, a process for each role.
sql(<<~'SQL');
    CREATE ROLE alice LOGIN;
    CREATE ROLE bob LOGIN;
    GRANT pgqueue_user TO alice, bob;
    SELECT pgqueue.grant_namespace('default', 'use,read', 'alice'),
        pgqueue.grant_namespace('default', 'use,read', 'bob');
    SELECT pgqueue.create_queue('turns', retries => 0)
    SQL
ok(drained('shares', 60), 'K05: the crowd is served too');
sql_as('alice', <<~'SQL');
    SELECT count(*)
    FROM pgqueue.create_tasks('turns', commands => array_fill('SELECT pg_sleep(0.01)'::text, ARRAY[400]))
    SQL
my $turn = sql_as('bob', q{SELECT pgqueue.create_task('turns', command => 'SELECT 1')});
ok(wait_sql("SELECT status FROM pgqueue.task WHERE id = $turn", 'released'), 'a role with one task gets its turn');
cmp_ok(sql(<<~"SQL"), '>', 0, 'before the other role has run out of tasks');
    SELECT count(*) FROM pgqueue.task t
    WHERE queue = 'turns'
        AND (started_at IS NULL OR started_at > (SELECT finished_at FROM pgqueue.task WHERE id = $turn))
    SQL
is(sql(<<~'SQL'), '0', 'and never do two run at once with max_workers 1');
    SELECT max(overlap)
    FROM (
        SELECT (
            SELECT count(*) FROM pgqueue.task b
            WHERE b.queue = 'turns' AND b.id <> a.id AND b.started_at > a.started_at AND b.started_at < a.finished_at
        ) AS overlap
        FROM pgqueue.task a
        WHERE a.queue = 'turns' AND a.finished_at IS NOT NULL
    ) o
    SQL
sql("SELECT count(pgqueue.cancel_task(id)) FROM pgqueue.task WHERE queue = 'turns' AND status = 'new'");

# Limits of a queue, a namespace, a role and the cluster, with several who enqueue at once.
setting('pgqueue.max_workers', '10');
sql(<<~'SQL');
    SELECT pgqueue.create_queue('three', retries => 0, max_running => 3);
    SELECT pgqueue.create_namespace('two', max_running => 2);
    SELECT pgqueue.create_queue('two_a', retries => 0, namespace => 'two'),
        pgqueue.create_queue('two_b', retries => 0, namespace => 'two')
    SQL
my @many = map { session($node) } 1 .. 4;
for my $s (@many)
{
    $s->send(<<~'SQL') for 1 .. 15;
        SELECT pgqueue.create_task('three', command => 'SELECT inside(''three'', 3, 0.002)') FROM generate_series(1, 5)
        SQL
    $s->send(<<~'SQL') for 1 .. 40;
        SELECT pgqueue.create_task('two_a', command => 'SELECT inside(''two'', 2, 0.002)', namespace => 'two'),
            pgqueue.create_task('two_b', command => 'SELECT inside(''two'', 2, 0.002)', namespace => 'two')
        SQL
}
$_->query('SELECT 1') for @many;
ok(drained('three') && drained('two\_%'), 'A29: tasks of limited queues all run');
is(counts('three'), 'released 300', 'A29, C47: never more than max_running of the queue at once');
is(counts('two_a') . ' ' . counts('two_b'), 'released 160 released 160',
    'A29, C47: never more than max_running of the namespace at once');
is(sql(<<~'SQL'), 'three 3, two 2', 'A26: and the limits are used up');
    SELECT string_agg(what || ' ' || m, ', ' ORDER BY what)
    FROM (SELECT what, max(slot) AS m FROM slots GROUP BY what) s
    SQL
sql(<<~'SQL');
    SELECT pgqueue.create_queue('one', max_running => 1), pgqueue.create_task('one', '1'),
        pgqueue.create_task('one', '2')
    SQL
is($many[0]->query("BEGIN; SELECT payload FROM pgqueue.next_task('w', 'one')"), '1',
    'C47: the first transaction gets a task');
is($many[1]->query("BEGIN; SELECT payload FROM pgqueue.next_task('w', 'one')"), '', 'C47: the second gets none');
is($many[0]->query("ROLLBACK"), '', 'C47: the first gives it back');
is($many[1]->query("SELECT payload FROM pgqueue.next_task('w', 'one')"), '1', 'C47: and the second has it');
$_->query('COMMIT') for @many[0, 1];

sql("TRUNCATE slots; SELECT pgqueue.create_queue('free', retries => 0)");
setting('pgqueue.max_workers_per_role', '2');
setting('pgqueue.max_workers', '5');
# Workers beyond the new limits end first.
wait_sql("SELECT count(*) <= 5 FROM pg_stat_activity WHERE backend_type = 'pgqueue worker'", 't');
sql_as('alice', <<~'SQL');
    SELECT count(*)
    FROM pgqueue.create_tasks('free', commands => array_fill('SELECT inside(''alice'', 2, 0.03)'::text, ARRAY[100]))
    SQL
sql_as('bob', <<~'SQL');
    SELECT count(*)
    FROM pgqueue.create_tasks('free', commands => array_fill('SELECT inside(''bob'', 2, 0.03)'::text, ARRAY[100]))
    SQL
ok(drained('free'), 'max_workers_per_role: all run');
is(counts('free'), 'released 200', 'max_workers_per_role: never more than 2 of a role');
is(sql(<<~'SQL'), 'alice 2, bob 2', 'max_workers_per_role: and 2 there are');
    SELECT string_agg(what || ' ' || m, ', ' ORDER BY what)
    FROM (SELECT what, max(slot) AS m FROM slots GROUP BY what) s
    SQL
setting('pgqueue.max_workers_per_role', '0');
setting('pgqueue.max_workers', '3');
sql('TRUNCATE slots');
wait_sql("SELECT count(*) <= 3 FROM pg_stat_activity WHERE backend_type = 'pgqueue worker'", 't');
sql(<<~'SQL');
    SELECT count(*)
    FROM pgqueue.create_tasks('free', commands => array_fill('SELECT inside(''all'', 3, 0.03)'::text, ARRAY[60]))
    SQL
sql_as('alice', <<~'SQL');
    SELECT count(*)
    FROM pgqueue.create_tasks('free', commands => array_fill('SELECT inside(''all'', 3, 0.03)'::text, ARRAY[60]))
    SQL
ok(drained('free'), 'A29: max_workers: all run');
is(counts('free'), 'released 320', 'A29: max_workers: never more than 3 in the cluster');
is(sql('SELECT max(slot) FROM slots'), '3', 'A29: max_workers: and 3 there are');

# Due times.
setting('pgqueue.max_workers', '10');
sql(<<~'SQL');
    SELECT pgqueue.create_queue(q, retries => 0) FROM unnest('{due,soon,hours,held}'::text[]) q;
    SELECT pgqueue.create_queue('immortal', ttl => '0')
    SQL
my $due = sql("SELECT pgqueue.create_task('due', command => 'SELECT 1', delay => '1 second', ttl => '1 hour')");
my $soon = sql("SELECT pgqueue.create_task('soon', '1', delay => '1 second')");
my $hours = sql("SELECT pgqueue.create_task('hours', '1', delay => '1 hour')");
is(sql(<<~'SQL'), "t\n2", 'C10: what is due can be claimed');
    SELECT pgqueue.create_task('held', '2', ttl => '700 milliseconds') IS NOT NULL;
    SELECT payload FROM pgqueue.next_task('w', 'held')
    SQL
my $dying = sql("SELECT id FROM pgqueue.task WHERE queue = 'held'");
my $dying_later =
    sql("SELECT pgqueue.create_task('held', '3', delay => '300 milliseconds', ttl => '700 milliseconds')");
sql("SELECT pgqueue.pause_queue('order')");
my $dying_paused = sql("SELECT pgqueue.create_task('order', command => 'SELECT 1', ttl => '500 milliseconds')");
my $immortal = sql("SELECT pgqueue.create_task('immortal', '4')");
is(sql(<<~"SQL"), '01:00:00|t', 'C11: ttl counts from the due time');
    SELECT dies_at - delayed_at, delayed_at - created_at BETWEEN interval '0.9 s' AND interval '1.1 s'
    FROM pgqueue.task
    WHERE id = $due
    SQL
is(sql("SELECT dies_at IS NULL FROM pgqueue.task WHERE id = $immortal"), 't', 'C12: without ttl a task never dies');
is(sql("SELECT payload FROM pgqueue.next_task('w', 'immortal')"), '4', 'C12: and it can be claimed');
like(($node->psql('postgres', "SELECT pgqueue.create_task('due', '1', delayed_at => now() - interval '1 minute')"))[2]
    // '', qr/delayed_at is in the past/, 'C10: a due time in the past is refused');
is(sql("SELECT count(*) FROM pgqueue.next_task('w', 'hours')"), '0', 'C10: what is not due cannot be claimed');
is(sql("SELECT status FROM pgqueue.task WHERE id = $hours"), 'new', 'C21: until then it is new');
ok(wait_sql("SELECT status FROM pgqueue.task WHERE id = $due", 'released', 10), 'C39: a delayed task runs by itself');
is(sql(<<~"SQL"), 't', 'C39: at its time, not at a poll');
    SELECT started_at - delayed_at BETWEEN interval '0' AND interval '5 s' FROM pgqueue.task WHERE id = $due
    SQL
ok(wait_sql("SELECT id FROM pgqueue.next_task('w', 'soon')", $soon, 10),
    'C10: a delayed task can be claimed when it is due');
is(sql("SELECT started_at >= delayed_at FROM pgqueue.task WHERE id = $soon"), 't', 'C10: not before');
ok(wait_sql(<<~"SQL", '3', 10), 'C22: held, waiting and paused tasks expire');
    SELECT count(*) FROM pgqueue.task WHERE status = 'expired' AND id IN ($dying, $dying_later, $dying_paused)
    SQL
is(sql(<<~"SQL"), 't', 'C22: at their time');
    SELECT bool_and(finished_at BETWEEN dies_at AND dies_at + interval '1.5 s')
    FROM pgqueue.task
    WHERE id IN ($dying, $dying_later, $dying_paused)
    SQL
$due = sql("SELECT pgqueue.create_task('due', command => 'SELECT pg_sleep(60)', ttl => '500 milliseconds')");
ok(wait_sql("SELECT status, error_code FROM pgqueue.task WHERE id = $due", 'expired|PQ106', 10),
    'C22: a running task is stopped when it expires');
$due = sql("SELECT pgqueue.create_task('due', command => 'SELECT 1/0', ttl => '1 second')");
my $good = sql("SELECT pgqueue.create_task('due', command => 'SELECT 1', ttl => '1 second')");
wait_sql("SELECT min(dies_at) < now() - interval '0.2 s' FROM pgqueue.task WHERE id IN ($due, $good)", 't', 10);
is(sql("SELECT string_agg(status, ' ' ORDER BY id) FROM pgqueue.task WHERE id IN ($due, $good)"), 'failed released',
    'C22: finished tasks never expire');

# A pause that ends by itself.
(my $state, my $until, $due) = split /\n/, sql(<<~'SQL');
    SELECT pgqueue.pause_queue('due', reason => 'lunch', until => now() + interval '2 seconds') \g /dev/null
    SELECT paused, paused_reason FROM pgqueue.queue WHERE queue = 'due';
    SELECT paused_until FROM pgqueue.queue WHERE queue = 'due';
    SELECT pgqueue.create_task('due', command => 'SELECT 1')
    SQL
is($state, 't|lunch', 'a queue is paused for a time');
ok(wait_sql("SELECT status FROM pgqueue.task WHERE id = $due", 'released', 10), 'it resumes by itself');
is(sql(<<~"SQL"), 't', 'at its time');
    SELECT started_at BETWEEN '$until' AND '$until'::timestamptz + interval '0.5 s' FROM pgqueue.task WHERE id = $due
    SQL
is(sql("SELECT paused, paused_until IS NULL FROM pgqueue.queue WHERE queue = 'due'"), 'f|t', 'and says so');

# Cancelling and retrying.
sql("SELECT pgqueue.create_queue('work', retries => 3, retry_delay => '1 hour')");
sub create { my ($command) = @_; return sql("SELECT pgqueue.create_task('work', command => \$c\$$command\$c\$)"); }
my $running = create('SELECT pg_sleep(600)');
wait_sql("SELECT status, pid IS NOT NULL FROM pgqueue.task WHERE id = $running", 'retained|t');
my $worker = sql("SELECT pid FROM pgqueue.task WHERE id = $running");
is(sql("SELECT pgqueue.cancel_task($running)"), 'retained', 'cancelling a running task says that it runs');
ok(wait_sql("SELECT status, error_code FROM pgqueue.task WHERE id = $running", 'cancelled|57014', 10),
    'and soon it is cancelled, not retried');
is(sql("SELECT count(*) FROM pg_stat_activity WHERE pid = $worker"), '1', 'its worker lives');
is(sql("SELECT pgqueue.cancel_task($running)"), 'cancelled', 'cancelling a finished task changes nothing');
$running = create(<<~'SQL');
    DO $$BEGIN LOOP BEGIN PERFORM pg_sleep(600); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END$$
    SQL
wait_sql("SELECT status, pid IS NOT NULL FROM pgqueue.task WHERE id = $running", 'retained|t');
$worker = sql("SELECT pid FROM pgqueue.task WHERE id = $running");
wait_sql("SELECT wait_event FROM pg_stat_activity WHERE pid = $worker", 'PgSleep');
is(sql("SELECT pgqueue.cancel_task($running)"), 'retained', 'a task that ignores cancelling');
is(sql("SELECT pgqueue.cancel_task($running, force => true)"), 'retained', 'is cancelled by force');
ok(wait_sql("SELECT status FROM pgqueue.task WHERE id = $running", 'cancelled', 10), 'and ends');
ok(wait_sql("SELECT count(*) FROM pg_stat_activity WHERE pid = $worker", '0', 10), 'with its process');
my $waiting = sql("SELECT pgqueue.create_task('work', command => 'SELECT 1', delay => '1 hour')");
is(sql("SELECT pgqueue.cancel_task($waiting, 'not needed')"), 'cancelled', 'a waiting task is cancelled at once');
is(sql("SELECT status, error, finished_at IS NOT NULL FROM pgqueue.task WHERE id = $waiting"), 'cancelled|not needed|t',
    'with the reason');
like(sql("SELECT pgqueue.retry_task($waiting)"), qr/^(new|retry)$/, 'retry_task gives it a fresh run');
ok(wait_sql("SELECT status FROM pgqueue.task WHERE id = $waiting", 'released', 10), 'at once');
sql('CREATE TABLE luck (a int)');
$waiting = create('SELECT 1/count(*) FROM luck');
ok(wait_sql("SELECT status, attempt FROM pgqueue.task WHERE id = $waiting", 'retry|1', 10),
    'a failed task waits for its retry');
sql('INSERT INTO luck VALUES (1)');
is(sql("SELECT pgqueue.retry_task($waiting)"), 'retry', 'retry_task makes it due now');
ok(wait_sql("SELECT status, attempt FROM pgqueue.task WHERE id = $waiting", 'released|2', 10), 'and it runs');
like(($node->psql('postgres', "SELECT pgqueue.retry_task($waiting)"))[2] // '', qr/released and cannot be retried/,
    'what is released is not run again');

# Waiting for a result in several sessions.
shut();
my $result = create('SELECT gate(); SELECT 42 AS answer');
at_gate();
$_->send("CALL pgqueue.wait_for_result($result, '1 minute')") for @many;
wait_sql(<<~'SQL', '4');
    SELECT count(*) FROM pg_stat_activity
    WHERE query LIKE 'CALL pgqueue.wait_for_result%' AND state = 'active' AND wait_event IS NOT NULL
    SQL
open_gate();
my @answers = map { $_->query("SELECT 'next'") } @many;
is(scalar(grep { /^released\|.*42.*\|\nnext$/ } @answers), 4, 'wait_for_result: each session has the result')
    or diag(join("\n", @answers));
is($many[0]->query("CALL pgqueue.wait_for_result(" . create('SELECT pg_sleep(600)') . ", '100 milliseconds')"), '||',
    'wait_for_result: nothing at the timeout');
sql("SELECT pgqueue.cancel_task(id) FROM pgqueue.task WHERE queue = 'work' AND finished_at IS NULL");

# Latency: one task at a time, the server is idle before each. The machine may be busy with other things, so the best of
# three rounds counts.
my $best;
for my $round (1 .. 3)
{
    my $queue = "latency$round";
    sql("SELECT pgqueue.create_queue('$queue')");
    $many[0]->query(<<~"SQL") for 1 .. 100;
        SELECT pgqueue.create_task('$queue', command => 'SELECT 1') AS id \\gset
        CALL pgqueue.wait_for_result(:id)
        SQL
    my $p99 = sql(<<~"SQL");
        SELECT percentile_disc(0.99) WITHIN GROUP (ORDER BY extract(epoch FROM started_at - created_at) * 1000)
        FROM pgqueue.task
        WHERE queue = '$queue' AND status = 'released'
        HAVING count(*) = 100
        SQL
    note("99th percentile of round $round: $p99 ms");
    $best = $p99 if !defined $best || $p99 < $best;
    last if $best < 50;
}
cmp_ok($best, '<', 50, 'K21: a task starts within 50 ms');

# A trigger that enqueues for each row.
sql(<<~'SQL');
    SELECT pgqueue.create_queue('trigger', retries => 0, max_running => 4);
    CREATE TABLE orders (n int);
    CREATE FUNCTION enqueue() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
        PERFORM pgqueue.create_task('trigger',
            command => format('SELECT gate(); INSERT INTO ran VALUES (''trigger'', %s)', NEW.n));
        RETURN NEW;
    END$$;
    CREATE TRIGGER enqueue AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION enqueue();
    SQL
shut();
sql('INSERT INTO orders SELECT generate_series(1, 30)');
at_gate(4);
is(counts('trigger'), 'new 26, retained 4', 'A42: 30 tasks of a trigger, 4 running');
open_gate();
ok(drained('trigger'), 'A42: then all are finished');
is(sql("SELECT count(*) FROM ran WHERE queue = 'trigger'"), '30', 'A42: each once');

# Many enqueue, many claim.
sub pgbench
{
    my ($clients, $times, $script) = @_;
    my $file = PostgreSQL::Test::Utils::tempdir() . '/script.sql';
    PostgreSQL::Test::Utils::append_to_file($file, $script);
    my @command = ('pgbench', '-n', '-c', $clients, '-j', '1', '-t', $times, '-f', $file, '-d',
        $node->connstr('postgres'));
    my $ok = IPC::Run::run(\@command, '>', \my $out, '2>', \my $err);
    diag($err) unless $ok;
    return $ok;
}
sql(<<~'SQL');
    SELECT pgqueue.create_queue('race', retries => 0);
    CREATE SEQUENCE numbers;
    CREATE TABLE claimed (id bigint PRIMARY KEY)
    SQL
ok(pgbench(16, 60, <<~'SQL'), 'B17: 16 sessions enqueue at once');
    SELECT pgqueue.create_task('race', command => format('INSERT INTO ran VALUES (''race'', %s)', nextval('numbers'))),
        pgqueue.create_task('race', '{}');
    SQL
ok(pgbench(16, 25, <<~'SQL'), 'B17: 16 sessions claim at once');
    WITH n AS MATERIALIZED (SELECT id, receipt FROM pgqueue.next_tasks('w' || :client_id, '{race}', 3)),
        c AS (INSERT INTO claimed SELECT id FROM n)
    SELECT pgqueue.release_task(id, receipt)
    FROM n;
    SQL
ok(drained('race'), 'B17: all are done');
is(sql("SELECT count(*) FROM claimed") . ' ' . sql("SELECT count(*) FROM ran WHERE queue = 'race'"), '960 960',
    'B17: none is claimed or run twice, none forgotten');

# PREPARE TRANSACTION.
my $refused =
    $many[0]->query(
    "\\set VERBOSITY sqlstate\nBEGIN; SELECT count(pgqueue.create_task('due', '1')); PREPARE TRANSACTION 'x'");
like($refused, qr/ERROR:\s+0A000/, 'PREPARE TRANSACTION with tasks is refused');

# What is counted is what is there. Counters and rows are read one after the other, and housekeeping may work in
# between.
ok(wait_for($node, 'postgres', <<~'SQL', '0', 30), 'the counters equal the rows');
    SELECT count(*)
    FROM (SELECT namespace, queue, status, count FROM pgqueue.queue_status WHERE count > 0) s
    FULL JOIN (
        SELECT namespace, queue, status, count(*) FROM pgqueue.task GROUP BY 1, 2, 3
    ) t USING (namespace, queue, status, count)
    WHERE s.* IS NULL OR t.* IS NULL
    SQL
$_->close for $keeper, @many;
unlike(slurp_file($node->logfile), qr/PANIC|TRAP|was terminated by signal/, 'nothing has crashed');
$node->stop;
done_testing();
