# A task that runs in a worker ends itself (E7): it fails for good, puts itself off or cancels itself, when it commits.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use Test::More;

my $node = new_node('own', conf => "pgqueue.worker_idle_timeout = '1min'");
sub sql { return $node->safe_psql('postgres', @_); }
sub status_of { my ($id) = @_; return sql("SELECT status FROM pgqueue.task WHERE id = $id"); }

sql(<<~'SQL');
    SELECT pgqueue.create_queue('q'), pgqueue.create_queue('s', executor => 'server');
    CREATE TABLE done (what text);
    CREATE FUNCTION me() RETURNS bigint LANGUAGE sql AS 'SELECT id FROM pgqueue.current_task()';
    CREATE FUNCTION h(payload jsonb) RETURNS void LANGUAGE plpgsql AS $$BEGIN EXECUTE payload->>'do'; END$$;
    SELECT pgqueue.create_handler('do', 'h');
    CREATE PROCEDURE commits() LANGUAGE plpgsql AS $$BEGIN
        INSERT INTO done VALUES ('first');
        PERFORM pgqueue.fail_task(me(), error => 'bad', final => true);
        COMMIT;
        INSERT INTO done VALUES ('second');
    END$$;
    CREATE PROCEDURE rolls_back() LANGUAGE plpgsql AS $$BEGIN
        PERFORM pgqueue.fail_task(me(), final => true);
        ROLLBACK;
        INSERT INTO done VALUES ('x');
    END$$;
    CREATE PROCEDURE snoozes() LANGUAGE plpgsql AS $$BEGIN
        PERFORM pgqueue.snooze_task(me(), delay => '1 h');
        COMMIT;
        PERFORM pg_sleep(0.1);
        INSERT INTO done SELECT status FROM pgqueue.task WHERE id = me();
    END$$
    SQL

# How a task has ended, its attempt, and what is left of its work; it runs once.
sub end_of
{
    my ($id) = @_;
    wait_for($node, 'postgres',
        "SELECT count(*) > 0 FROM pgqueue.task_attempt WHERE task_id = $id AND outcome IS NOT NULL", 't', 60);
    my $end = sql(<<~"SQL");
        SELECT concat_ws(' ', t.status, t.attempt, a.outcome, a.error_code, a.error,
            CASE WHEN t.delayed_at > now() THEN 'later' END)
        FROM pgqueue.task t
        JOIN pgqueue.task_attempt a ON a.task_id = t.id
        WHERE t.id = $id ORDER BY a.attempt LIMIT 1
        SQL
    my $left = sql(q{WITH gone AS (DELETE FROM done RETURNING what) SELECT string_agg(what, ' ') FROM gone});
    return $left eq '' ? $end : "$end: $left";
}
sub run
{
    my ($command) = @_;
    return end_of(sql("SELECT pgqueue.create_task('q', command => \$c\$$command\$c\$, retries => 3)"));
}
sub handle
{
    my ($do) = @_;
    return end_of(sql(<<~"SQL"));
        SELECT pgqueue.create_task('s', jsonb_build_object('do', \$c\$$do\$c\$::text), type => 'do', retries => 3)
        SQL
}

for my $way (['an SQL task', \&run], ['a handler', \&handle])
{
    my ($who, $does) = @$way;
    my $work = q{INSERT INTO done VALUES ('x')};
    is($does->("$work; SELECT pgqueue.fail_task(me(), error => 'bad', final => true)"), 'failed 1 failed P0001 bad',
        "E7: $who fails for good, its work is undone");
    is($does->("$work; SELECT pgqueue.fail_task(me(), error => 'bad', retry_in => '1 h')"),
        'retry 1 failed P0001 bad later', "E7: $who fails, to be tried again");
    is($does->("$work; SELECT pgqueue.snooze_task(me(), delay => '1 h')"), 'retry 1 snoozed later: x',
        "E7: $who puts itself off, its work stays");
    is($does->("$work; SELECT pgqueue.cancel_task(me(), 'enough')"), 'cancelled 1 cancelled 57014 enough: x',
        "E7: $who cancels itself, its work stays");
}
is(sql(<<~'SQL'), '1', 'E7: what is put off does not count as an attempt');
    SELECT string_agg(DISTINCT t.uncounted::text, ' ')
    FROM pgqueue_internal.segment t
    JOIN pgqueue.task_attempt a ON a.task_id = t.id
    WHERE a.outcome = 'snoozed'
    SQL

# Put off by nothing it runs again at once.
sql(<<~'SQL');
    CREATE FUNCTION second_time() RETURNS void LANGUAGE plpgsql AS $$BEGIN
        IF (SELECT attempt FROM pgqueue.current_task()) = 1 THEN
            PERFORM pgqueue.snooze_task(me());
        END IF;
        INSERT INTO done VALUES ('ran');
    END$$
    SQL
my $id = sql(q{SELECT pgqueue.create_task('q', command => 'SELECT second_time()', retries => 0)});
ok(wait_for($node, 'postgres', "SELECT status, attempt FROM pgqueue.task WHERE id = $id", 'released|2', 30),
    'E7: put off by nothing it runs again');
is(sql(q{WITH gone AS (DELETE FROM done RETURNING what) SELECT count(*) FROM gone}), '2',
    'E7: and what it did the first time stays');
# A task that puts itself off again and again waits longer each time, so that it keeps no worker busy for ever.
$id = sql(q{SELECT pgqueue.create_task('q', command => 'SELECT pgqueue.snooze_task(me())')});
ok(wait_for($node, 'postgres', <<~"SQL", 't', 30), 'E7: put off by nothing many times it waits');
    SELECT attempt > 5 AND delayed_at > now() FROM pgqueue.task WHERE id = $id
    SQL
sql("SELECT pgqueue.cancel_task($id)");

# Commands that commit by themselves: the task is not over before they are.
is(run('CALL commits()'), 'failed 1 failed P0001 bad: first',
    'E7: what a procedure has asked for before a COMMIT holds; what it has committed stays');
is(run('CALL rolls_back()'), 'released 1 released: x', 'E7: a ROLLBACK takes back what was asked for');
is(run('CALL snoozes()'), 'retry 1 snoozed later: retained', 'E7: it is retained until the procedure ends');

# An error at the commit is an error.
sql(q{CREATE TABLE checked (i integer UNIQUE DEFERRABLE INITIALLY DEFERRED)});
is(run(<<~'SQL') =~ s/duplicate key.*constraint.*?(?= later|$)/duplicate/r, 'retry 1 failed 23505 duplicate later',
    INSERT INTO checked VALUES (1), (1);
    SELECT pgqueue.snooze_task(me())
    SQL
    'E7: a task that cannot commit was not put off');
# Somebody else's cancel comes first.
sql(q{CREATE TABLE gate ()});
my $gate = session($node);
$gate->query('BEGIN; LOCK TABLE gate');
$id = sql(<<~'SQL');
    SELECT pgqueue.create_task('q',
        command => 'SELECT pgqueue.snooze_task(me(), delay => ''1 h''); SELECT count(*) FROM gate')
    SQL
wait_for($node, 'postgres', q{SELECT count(*) FROM pg_locks WHERE relation = 'gate'::regclass AND NOT granted}, '1',
    30);
is(status_of($id), 'retained', 'E7: until its commit it is retained');
sql("SELECT pgqueue.cancel_task($id)");
ok(wait_for($node, 'postgres', "SELECT status FROM pgqueue.task WHERE id = $id", 'cancelled', 30),
    'E7: cancelled by another session before it commits');
$gate->query('ROLLBACK');
undef $gate;


# A cancel that comes when the attempt has just ended, and would be tried again.
sql(q{UPDATE pgqueue.queue SET retry_delay = '1 h', retries = 100 WHERE queue = 's'});
for my $how (['an error', 'SELECT 1/0', 'worker-failed'],
    ['a snooze', q{SELECT pgqueue.snooze_task(me(), delay => '1 h')}, 'worker-releasing'])
{
    my ($what, $command, $point) = @$how;
    my $holder = session($node);
    hold_point($holder, $point);
    my $late = sql("SELECT pgqueue.create_task('s', command => \$c\$$command\$c\$)");
    ok(pid_at($node, 'postgres', $point, 30), "$what: the command is over");
    is(sql("SELECT pgqueue.cancel_task($late, 'too late?')"), 'retained', "$what: the task is cancelled meanwhile");
    $holder->close;
    my $end = "SELECT status, error FROM pgqueue.task WHERE id = $late";
    ok(wait_for($node, 'postgres', $end, 'cancelled|too late?', 30), "$what: the task ends");
}
# It has begun again in another worker, which gets the request.
sql(q{CREATE SEQUENCE turns});
sql(q{UPDATE pgqueue.queue SET retry_delay = '1 ms' WHERE queue = 's'});
my $holder = session($node);
hold_point($holder, 'worker-failed');
my $again = sql(<<~'SQL');
    SELECT pgqueue.create_task('s', command => $$SELECT 1 / (nextval('turns') - 1), pg_sleep(100)$$)
    SQL
ok(pid_at($node, 'postgres', 'worker-failed', 30), 'a first attempt fails');
my $canceller = session($node);
$canceller->query("BEGIN; SELECT pgqueue.cancel_task($again, 'later')");
$holder->close;
ok(wait_for($node, 'postgres', "SELECT status, attempt FROM pgqueue.task WHERE id = $again", 'retained|2', 30),
    'it has begun again before the cancel is committed');
$canceller->query('COMMIT');
ok(wait_for($node, 'postgres', "SELECT status, error FROM pgqueue.task WHERE id = $again", 'cancelled|later', 30),
    'and is cancelled there');

# An idle session has locked the row: no worker waits for it, and the task is cancelled when the row is free.
sql(q{UPDATE pgqueue.queue SET retry_delay = '1 h' WHERE queue = 's'});
$holder = session($node);
hold_point($holder, 'worker-failed');
my $locked = sql(q{SELECT pgqueue.create_task('s', command => 'SELECT 1/0')});
ok(pid_at($node, 'postgres', 'worker-failed', 30), 'the command is over');
$canceller->query("BEGIN; SELECT pgqueue.cancel_task($locked, 'locked')");
$holder->close;
ok(wait_for($node, 'postgres', "SELECT status FROM pgqueue.task WHERE id = $locked", 'retry', 30), 'it is tried again');
my $locker = session($node);
$locker->query("BEGIN; UPDATE pgqueue.task SET priority = 7 WHERE id = $locked");
$canceller->query('COMMIT');
for my $i (1 .. 3)
{
    my $other = sql(q{SELECT pgqueue.create_task('s', command => 'SELECT 1')});
    ok(wait_for($node, 'postgres', "SELECT status FROM pgqueue.task WHERE id = $other", 'released', 30),
        'other tasks run meanwhile');
}
is(sql('SELECT count(*) FROM pg_locks WHERE NOT granted'), '0', 'no worker waits for the row');
is(status_of($locked), 'retry', 'it waits');
$locker->query('ROLLBACK');
ok(wait_for($node, 'postgres', "SELECT status, error FROM pgqueue.task WHERE id = $locked", 'cancelled|locked', 30),
    'it is cancelled when the row is free');
$_->close for $locker, $canceller;
done_testing();
