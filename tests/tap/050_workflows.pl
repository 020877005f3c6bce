# Workflows: chains, fan-in, batches, failing dependencies with each policy, expiry, retry, restart and crash in the
# middle.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('workflows');
sub sql { return $node->safe_psql('postgres', @_); }
sub status { my ($id) = @_; return sql("SELECT status FROM pgqueue.task WHERE id = $id"); }
sub becomes
{
    my ($id, $status, $what) = @_;
    return ok(wait_for($node, 'postgres', "SELECT status FROM pgqueue.task WHERE id = $id", $status, 60), $what);
}

# Creates a task with a command; returns its id.
sub task
{
    my ($command, $more) = @_;
    return sql("SELECT pgqueue.create_task('q', command => \$c\$$command\$c\$" . ($more ? ", $more" : '') . ')');
}
sub outside { my ($more) = @_; return sql("SELECT pgqueue.create_task('out', '{}'" . ($more ? ", $more" : '') . ')'); }

# Takes the task of the queue out and ends it so.
sub work
{
    my ($how) = @_;
    return wait_until(sub { sql("SELECT $how FROM pgqueue.next_task('w', 'out') t") }, 60);
}

# Nobody waits any more, and no row of the tables is left.
sub tables_empty
{
    my ($what) = @_;
    return ok(wait_for($node, 'postgres', <<~'SQL', '0', 60), $what);
        SELECT (SELECT count(*) FROM pgqueue_internal.dependency) + (SELECT count(*) FROM pgqueue_internal.batch_member)
            + (SELECT count(*) FROM pgqueue_internal.batch_waiter)
        SQL
}

sql(<<~'SQL');
    SELECT pgqueue.create_queue('q', retries => 0), pgqueue.create_queue('out', retries => 0),
        pgqueue.create_queue('gone', retries => 0, on_finish => 'delete');
    CREATE TABLE log (n serial, what text);
    CREATE TABLE gate (open boolean);
    SQL

# A chain, each task made in a transaction of its own.
my $last = task(q{INSERT INTO log (what) VALUES ('1')});
$last = task("INSERT INTO log (what) VALUES ('$_')", "depends_on => ARRAY[$last]") for 2 .. 20;
becomes($last, 'released', 'a chain of 20 comes to its end');
is(sql(q{SELECT string_agg(what, ',' ORDER BY n) FROM log}), join(',', 1 .. 20), 'in its order');
is(status(task('SELECT 1', "depends_on => ARRAY[$last]")) =~ /new|retained|released/ ? 1 : 0, 1,
    'a task that is finished counts at once');
tables_empty('nothing is left of it');

# The same in one transaction, the whole chain before its first task.
is(sql(<<~'SQL'), '20', 'a chain in one transaction');
    DO $$DECLARE
        id bigint;
    BEGIN
        id := pgqueue.create_task('q', command => 'SELECT 1');
        FOR i IN 1..20 LOOP
            id := pgqueue.create_task('q', command => 'SELECT 1', depends_on => ARRAY[id], type => NULL,
                headers => jsonb_build_object('i', i));
        END LOOP;
    END$$;
    SELECT count(*) FROM pgqueue.task WHERE headers ? 'i'
    SQL
ok(wait_for($node, 'postgres', <<~'SQL', '20', 60), 'is worked off');
    SELECT count(*) FROM pgqueue.task WHERE headers ? 'i' AND status = 'released'
    SQL

# Fan-in of 100, and a fan-out of 100 from it.
sql('TRUNCATE log');
my $fan = sql(<<~'SQL');
    WITH many AS MATERIALIZED (
        SELECT array_agg(id) AS ids
        FROM pgqueue.create_tasks('q',
            commands => (
                SELECT array_agg('INSERT INTO log (what) VALUES (''part'')'::text) FROM generate_series(1, 100)
            )) id
    )
    SELECT pgqueue.create_task('q', command => 'INSERT INTO log (what) SELECT ''parts ''||count(*) FROM log',
        depends_on => ids)
    FROM many
    SQL
sql(<<~"SQL");
    SELECT count(*)
    FROM pgqueue.create_tasks('q',
        commands => (SELECT array_agg('INSERT INTO log (what) VALUES (''out'')'::text) FROM generate_series(1, 100)),
        depends_on => ARRAY[$fan])
    SQL
ok(wait_for($node, 'postgres', q{SELECT count(*) FROM log}, '201', 60), 'fan-in of 100 and fan-out of 100');
is(sql(q{SELECT what FROM log WHERE what LIKE 'parts%'}), 'parts 100', 'the fan-in saw all parts');
is(sql(q{SELECT count(*) FROM log WHERE what = 'out' AND n < (SELECT n FROM log WHERE what LIKE 'parts%')}), '0',
    'the fan-out came after it');
tables_empty('nothing is left of them');

# Batches: all ends count.
my $early = task('SELECT 1', q{depends_on_batch => 'nobody'});
becomes($early, 'released', 'an empty batch is over');
sql(<<~'SQL');
    SELECT count(*) FROM pgqueue.create_tasks('q', commands => '{"SELECT 1","SELECT 1/0","SELECT 3"}', batch_key => 'b')
    SQL
my $held = outside(q{batch_key => 'b'});
my $after = task(q{INSERT INTO log (what) VALUES ('after')}, q{depends_on_batch => 'b'});
ok(wait_for($node, 'postgres', <<~'SQL', '3', 60), 'members end, well and badly');
    SELECT count(*) FROM pgqueue.task WHERE batch_key = 'b' AND status IN ('released', 'failed')
    SQL
ok(wait_for($node, 'postgres', q{SELECT count(*) FROM pgqueue_internal.batch_member}, '1', 60), 'one member is left');
is(status($after), 'new', 'so who waits for the batch waits');
my $late = outside(q{batch_key => 'b'});
is(sql("SELECT pgqueue.cancel_task($held)"), 'cancelled', 'it is cancelled, but another one has joined');
ok(wait_for($node, 'postgres', q{SELECT count(*) FROM pgqueue_internal.batch_member}, '1', 60), 'again one is left');
is(status($after), 'new', 'so it goes on waiting');
is(work('pgqueue.release_task(t.id, t.receipt)'), 'released', 'the last member is released');
becomes($after, 'released', 'then the task after the batch runs');
tables_empty('nothing is left of the batch');

# A failing dependency with each policy.
my $failing = outside();
my %by = map { $_ => task('SELECT 1', "depends_on => ARRAY[$failing], on_failed_dependency => '$_'") }
    qw(cancel hold ignore);
my $second = task('SELECT 1', "depends_on => ARRAY[$by{cancel}]");
is(work(q{pgqueue.fail_task(t.id, t.receipt, 'no', final => true)}), 'failed', 'the dependency fails');
becomes($by{cancel}, 'cancelled', 'cancel: cancelled');
is(sql("SELECT error_code, error FROM pgqueue.task WHERE id = $by{cancel}"),
    "PQ107|task $failing, which it depends on, did not succeed", 'with PQ107 and a message');
becomes($second, 'cancelled', 'and so is what depends on that');
becomes($by{ignore}, 'released', 'ignore: runs');
is(status($by{hold}), 'new', 'hold: goes on waiting');
is(status(task('SELECT 1', "depends_on => ARRAY[$failing], on_failed_dependency => 'ignore'"))
    =~ /new|retained|released/ ? 1 : 0, 1, 'ignore, created after the failure');
becomes(task('SELECT 1', "depends_on => ARRAY[$failing]"), 'cancelled', 'cancel, created after the failure');

# Retry of the predecessor and of the cancelled dependent.
is(sql("SELECT pgqueue.retry_task($failing)"), 'retry', 'the dependency is retried');
is(sql("SELECT pgqueue.retry_task($by{cancel})"), 'retry', 'the cancelled dependent too');
is(status($by{cancel}), 'retry', 'which waits again');
is(work('pgqueue.release_task(t.id, t.receipt)'), 'released', 'now the dependency succeeds');
becomes($by{hold}, 'released', 'the held dependent runs');
becomes($by{cancel}, 'released', 'the retried one too');
is(sql("SELECT pgqueue.retry_task($second)"), 'retry', 'a dependent of a finished task is retried');
becomes($second, 'released', 'and runs at once');
my $bad = outside();
my $own_way = task('SELECT 1', "depends_on => ARRAY[$bad], on_failed_dependency => 'hold'");
is(work(q{pgqueue.fail_task(t.id, t.receipt, 'no', final => true)}), 'failed', 'a dependency fails');
is(sql("SELECT pgqueue.retry_task($own_way)"), 'new', 'retry_task of the held dependent');
becomes($own_way, 'released', 'has it run without the failed one');
tables_empty('nothing is left');

# Expiry of a dependency, of a dependent; deletes; a queue that goes.
my $expiring = outside(q{ttl => '200 ms'});
my $dependent = task('SELECT 1', "depends_on => ARRAY[$expiring]");
becomes($dependent, 'cancelled', 'a dependency that expires has failed');
is(status($expiring), 'expired', 'it has expired');
my $never = outside(q{delay => '1 h'});
becomes(task('SELECT 1', "depends_on => ARRAY[$never], ttl => '200 ms'"), 'expired', 'a task expires while it waits');
$dependent = task('SELECT 1', "depends_on => ARRAY[$never]");
sql("DELETE FROM pgqueue.task WHERE id = $never");
becomes($dependent, 'cancelled', 'a dependency that is deleted has failed');
sql(q{SELECT pgqueue.create_queue('doomed')});
my $doomed = sql(q{SELECT pgqueue.create_task('doomed', '{}', delay => '1 h', batch_key => 'doomed')});
$dependent = task('SELECT 1', "depends_on => ARRAY[$doomed]");
$after = task('SELECT 1', q{depends_on_batch => 'doomed'});
sql(q{SELECT pgqueue.delete_queue('doomed')});
becomes($dependent, 'cancelled', 'a dependency in a deleted queue too');
becomes($after, 'released', 'and its batch is over');
my $vanishing = sql(<<~'SQL');
    WITH a AS MATERIALIZED (SELECT pgqueue.create_task('gone', command => 'SELECT 1') AS id)
    SELECT pgqueue.create_task('q', command => 'SELECT 1', depends_on => ARRAY[id])
    FROM a
    SQL
becomes($vanishing, 'released', 'a dependency of a queue with on_finish delete has succeeded');
tables_empty('nothing is left');

# run_task does not wait.
$never = outside(q{delay => '1 h'});
$dependent = task('SELECT 1', "depends_on => ARRAY[$never]");
is(sql("SELECT pgqueue.run_task($dependent)"), 'released', 'run_task runs a waiting task');
tables_empty('which waits for nothing any more');

# A restart and a crash while tasks wait; then the end of the dependency.
for my $how ('restart', 'crash')
{
    sql('TRUNCATE gate; INSERT INTO gate VALUES (false)');
    my $slow = task(<<~'SQL', q{retries => 0});
        DO $$ BEGIN IF NOT (SELECT open FROM gate) THEN RAISE 'closed'; END IF; END $$
        SQL
    becomes($slow, 'failed', "$how: a dependency has failed");
    my $waiting = task('SELECT 1', "depends_on => ARRAY[$slow], on_failed_dependency => 'hold'");
    my $first = outside();
    my $chained = task(q{SELECT 1}, "depends_on => ARRAY[$first, $waiting]");
    my $batch = outside(qq{batch_key => '$how'});
    my $batched = task('SELECT 1', qq{depends_on_batch => '$how'});
    if ($how eq 'restart') { $node->restart; }
    else { kill9($node, pid_of($node, 'pgqueue scheduler', 'postgres')); wait_up($node); }
    my $schedulers = q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pgqueue scheduler'};
    wait_for($node, 'postgres', $schedulers, '1', 60);
    is(sql("SELECT string_agg(status, ',') FROM pgqueue.task WHERE id IN ($waiting, $chained, $batched)"),
        'new,new,new', "$how: they wait after it");
    sql('UPDATE gate SET open = true');
    sql("SELECT pgqueue.retry_task($slow)");
    becomes($waiting, 'released', "$how: the held one runs after the retry");
    is(status($chained), 'new', "$how: the chain waits for its second dependency");
    is(work('pgqueue.release_task(t.id, t.receipt)'), 'released', "$how: an outside task is released") for 1 .. 2;
    becomes($chained, 'released', "$how: the chain is worked off");
    becomes($batched, 'released', "$how: and the batch");
}
tables_empty('nothing is left after restart and crash');

# Between the end of the dependency and the scheduler's look at it the server crashes.
my $session = session($node);
hold_point($session, 'scheduler-settling');
my $next = sql(<<~'SQL');
    WITH a AS MATERIALIZED (SELECT pgqueue.create_task('q', command => 'SELECT 1') AS id)
    SELECT pgqueue.create_task('q', command => 'SELECT 1', depends_on => ARRAY[id])
    FROM a
    SQL
ok(scalar(pid_at($node, 'postgres', 'scheduler-settling')), 'the scheduler is about to look at dependents');
kill9($node, pid_of($node, 'pgqueue scheduler', 'postgres'));
$session->close;
wait_up($node);
becomes($next, 'released', 'after the crash the dependent is found by its rows');
tables_empty('and nothing is left');

$node->stop;
done_testing();
