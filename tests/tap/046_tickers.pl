# Tickers on a running server: each slot fires once, whatever ends in between; changes act at once; a bad ticker stops
# no other one. B36, B42, B43, B44, B45, C30, C31, C32, C33.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use PostgreSQL::Test::Cluster;
use Test::More;

my $node = new_node('tickers', streaming => 1, conf => "log_statement = none\npgqueue.max_workers = 2");
sub sql { return $node->safe_psql('postgres', @_); }
sub error_of
{
    my ($sql) = @_;
    my $err;
    $node->psql('postgres', $sql, stderr => \$err, on_error_stop => 0);
    return $err;
}
sub fired
{
    my ($ticker) = @_;
    return sql("SELECT count(*) FROM pgqueue.ticker_run WHERE ticker = '$ticker' AND outcome = 'fired'");
}
sub wait_fired
{
    my ($ticker, $least, $name) = @_;
    my $fired = ok(wait_for($node, 'postgres', <<~"SQL", 't', 60), $name);
        SELECT count(*) >= $least FROM pgqueue.ticker_run WHERE ticker = '$ticker' AND outcome = 'fired'
        SQL
    diag(sql(<<~"SQL")) unless $fired;
        SELECT clock_timestamp(), t FROM pgqueue.ticker t WHERE ticker = '$ticker';
        SELECT r FROM pgqueue.ticker_run r WHERE ticker = '$ticker' ORDER BY slot DESC LIMIT 3;
        SELECT h FROM pgqueue.health h;
        SELECT pid, backend_type, state, wait_event FROM pg_stat_activity WHERE backend_type LIKE 'pgqueue%'
        SQL
    return $fired;
}
# What must hold at any time: the history has each slot once. While no ticker was deleted, each firing has one task and
# each task its firing.
sub once
{
    my ($what) = @_;
    return is(sql(<<~'SQL'), '0', "B42: $what: no slot twice");
        SELECT count(*)
        FROM (SELECT namespace, ticker, slot FROM pgqueue.ticker_run GROUP BY 1, 2, 3 HAVING count(*) > 1) d
        SQL
}
sub right
{
    my ($what) = @_;
    once($what);
    is(sql(<<~'SQL'), '0', "C32: $what: each firing has its task, each task its firing");
        SELECT count(*) FROM pgqueue.ticker_run r
        FULL JOIN (SELECT id, ticker FROM pgqueue.task WHERE ticker IS NOT NULL AND namespace = 'default') t
            ON t.id = r.task_id
            AND t.ticker = r.ticker
        WHERE (t.id IS NULL AND r.outcome = 'fired' AND r.namespace = 'default') OR r.ticker IS NULL
        SQL
    return;
}

sql(q{SELECT FROM pgqueue.create_queue('out', ttl => '0')});
sql(q{SELECT FROM pgqueue.create_queue('server', executor => 'server', ttl => '0', retries => 0)});
sql('CREATE TABLE ran (what text, at timestamptz DEFAULT clock_timestamp())');

# 50 tickers of one second, through ends of the scheduler and crashes of the server.
sql(<<~'SQL');
    SELECT pgqueue.create_ticker('t' || i, 'out', period => '1 second', payload => to_jsonb(i))
    FROM generate_series(1, 50) i
    SQL
ok(wait_for($node, 'postgres', <<~'SQL', '50', 60), 'C33: 50 tickers of one second all fire');
    SELECT count(*)
    FROM (SELECT ticker FROM pgqueue.ticker_run WHERE outcome = 'fired' GROUP BY 1 HAVING count(*) >= 3) t
    SQL
is(sql(<<~'SQL'), '50', 'C32: with their payloads');
    SELECT count(DISTINCT payload) FROM pgqueue.task
    WHERE queue = 'out' AND ticker LIKE 't%' AND payload = to_jsonb(substr(ticker, 2)::int)
    SQL
is(sql(<<~'SQL'), '0', 'C33: every second has its slot, without drift');
    SELECT count(*)
    FROM (
        SELECT slot - lag(slot) OVER (PARTITION BY ticker ORDER BY slot) AS step
        FROM pgqueue.ticker_run
        WHERE namespace = 'default'
    ) s
    WHERE step <> '1 second'
    SQL
right('at first');
for my $round (1 .. 3)
{
    my $before = sql("SELECT count(*) FROM pgqueue.ticker_run");
    terminate($node, pid_of($node, 'pgqueue scheduler', 'postgres'));
    ok(wait_for($node, 'postgres', "SELECT count(*) > $before + 60 FROM pgqueue.ticker_run", 't', 60),
        "the scheduler is ended, round $round: they fire on");
}
right('after ends of the scheduler');
kill9($node, pid_of($node, 'pgqueue scheduler', 'postgres'));
wait_up($node);
my $before = sql('SELECT count(*) FROM pgqueue.ticker_run');
ok(wait_for($node, 'postgres', "SELECT count(*) > $before + 60 FROM pgqueue.ticker_run", 't', 60),
    'B45: after a crash they fire on');
right('after a crash');

# A crash in the middle of a firing: neither slot nor task.
{
    my $holder = session($node);
    hold_point($holder, 'ticker-fired');
    my $pid = pid_at($node, 'postgres', 'ticker-fired', 20);
    ok($pid, 'a process stands in the middle of it') or BAIL_OUT('nobody came to the stop point');
    kill9($node, $pid);
    $holder->close;
    wait_up($node);
    $before = sql('SELECT count(*) FROM pgqueue.ticker_run');
    ok(wait_for($node, 'postgres', "SELECT count(*) > $before + 60 FROM pgqueue.ticker_run", 't', 60),
        'they fire on after a crash in the middle of a firing');
    right('after a crash in the middle');
}
$node->stop('immediate');
$node->start;
wait_up($node);
$before = sql('SELECT count(*) FROM pgqueue.ticker_run');
ok(wait_for($node, 'postgres', "SELECT count(*) > $before + 60 FROM pgqueue.ticker_run", 't', 60),
    'B45: after a restart they fire on');
right('after a restart');
counters_right($node, 'postgres', 'with tickers');

# Promotion of a standby.
$node->backup('b');
my $standby = PgQueue::Node->new('promoted');
$standby->init_from_backup($node, 'b', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
like(do { my $e; $standby->psql('postgres', q{SELECT pgqueue.fire_ticker('t1')}, stderr => \$e); $e },
    qr/cannot execute fire_ticker on a standby/, 'not on a standby');
$node->stop('immediate');
$standby->promote;
my $old = $node;
$node = $standby;
wait_up($node);
$before = sql('SELECT count(*) FROM pgqueue.ticker_run');
ok(wait_for($node, 'postgres', "SELECT count(*) > $before + 60 FROM pgqueue.ticker_run", 't', 60),
    'they fire on after a promotion');
right('after a promotion');
sql(q{DELETE FROM pgqueue.ticker WHERE ticker LIKE 't%'});
is(sql(q{SELECT count(*) FROM pgqueue.ticker WHERE namespace = 'default'}), '0', 'B44: all are deleted');
sql(q{SELECT pgqueue.purge_queue('out')});

# Changes act at once.
sql(q{SELECT pgqueue.create_ticker('slow', 'out', period => '1 hour')});
wait_fired('slow', 1, 'C31: a new ticker is due at once');
is(sql(q{SELECT next_at - last_at FROM pgqueue.ticker WHERE ticker = 'slow'}), '01:00:00',
    'B44: next and last run are shown');
sql(q{SELECT pgqueue.create_ticker('slow', 'out', period => '1 hour')});
sql(q{SELECT pgqueue.update_ticker('slow', description => 'words')});
sql(q{SELECT pgqueue.update_ticker('slow', period => '2 hours')});
wait_fired('slow', 2, 'C31: a changed one is due at once');
sql(q{SELECT pgqueue.update_ticker('slow', period => '1 second')});
wait_fired('slow', 5, 'a shorter period acts at once');
is(sql(<<~'SQL'), '0', 'C31: and registering it again made no slot');
    SELECT count(*) FROM pgqueue.ticker_run
    WHERE ticker = 'slow' AND slot < (SELECT created_at FROM pgqueue.ticker WHERE ticker = 'slow')
    SQL
sql(q{SELECT pgqueue.update_ticker('slow', period => '0')});
my $then = fired('slow');
sql(q{SELECT pgqueue.create_ticker('beat', 'out', period => '1 second')});
wait_fired('beat', 3, 'another one beats');
is(fired('slow'), $then, 'C30: a disabled ticker does not fire');
is(sql(q{SELECT period IS NULL AND cron IS NULL AND next_at IS NULL FROM pgqueue.ticker WHERE ticker = 'slow'}), 't',
    'and says so');
sql(q{SELECT pgqueue.update_ticker('beat', paused => true)});
$then = fired('beat');
sql(q{SELECT pgqueue.create_ticker('beat2', 'out', period => '1 second')});
wait_fired('beat2', 3, 'another one beats');
is(fired('beat'), $then, 'a paused ticker does not fire');
sql(q{SELECT pgqueue.delete_ticker('beat2')});
sql(q{SELECT pgqueue.update_ticker('beat', paused => false)});
wait_fired('beat', $then + 3, 'a resumed one goes on');
is(sql(q{SELECT count(*) FROM pgqueue.task WHERE ticker = 'beat2'}) >= 3 ? 'there' : 'gone', 'there',
    'tasks of a deleted ticker stay');
sql(q{SELECT pgqueue.update_ticker('beat', rename_to => 'pulse')});
wait_fired('pulse', $then + 5, 'a renamed one keeps its history and goes on');
sql(q{SELECT pgqueue.update_queue('out', rename_to => 'out2')});
$then = fired('pulse');
wait_fired('pulse', $then + 2, 'it follows its queue when that is renamed');
is(sql(q{SELECT queue FROM pgqueue.ticker WHERE ticker = 'pulse'}), 'out2', 'and shows the new name');
sql(q{DELETE FROM pgqueue.ticker WHERE namespace = 'default'});

# Bad ones beside good ones.
sql(q{CREATE ROLE gone; GRANT pgqueue_user TO gone; SELECT pgqueue.grant_namespace('default', 'manage', 'gone')});
sql(q{SET ROLE gone; SELECT pgqueue.create_ticker('orphan', 'server', period => '1 second', command => 'SELECT 1')});
sql(q{SELECT FROM pgqueue.create_queue('lost')});
sql(q{SELECT pgqueue.create_ticker('queueless', 'lost', period => '1 second')});
sql(q{SELECT FROM pgqueue.create_queue('full', max_depth => 2, ttl => '0')});
sql(q{SELECT pgqueue.create_ticker('too-many', 'full', period => '1 second')});
sql(q{SELECT pgqueue.create_ticker('wrong', 'server', period => '1 second', command => 'SELECT nonsense')});
sql(<<~'SQL');
    SELECT pgqueue.create_ticker('good', 'server', period => '1 second', command => $$INSERT INTO ran VALUES ('good')$$)
    SQL
wait_fired($_, 1, "$_ fires") for qw(orphan queueless too-many wrong good);
sql(<<~'SQL');
    SELECT pgqueue.revoke_namespace('default', 'manage', 'gone');
    DROP OWNED BY gone;
    DROP ROLE gone;
    SELECT pgqueue.delete_queue('lost', force => true)
    SQL
ok(wait_for($node, 'postgres', <<~'SQL',
    SELECT string_agg(DISTINCT ticker || ': ' || error, ', ' ORDER BY ticker || ': ' || error)
    FROM pgqueue.ticker_run
    WHERE outcome = 'error'
    SQL
        'orphan: role "gone" does not exist, queueless: queue "lost" does not exist, too-many: queue "full" is full',
        60),
    'what cannot be made is in the history with its reason');
$then = sql('SELECT count(*) FROM ran');
ok(wait_for($node, 'postgres', "SELECT count(*) > $then + 3 FROM ran", 't', 60), 'and the good one runs on');
is(sql(<<~'SQL'), '0', 'every second');
    SELECT count(*)
    FROM (SELECT slot - lag(slot) OVER (ORDER BY slot) AS step FROM pgqueue.ticker_run WHERE ticker = 'good') s
    WHERE step <> '1 second'
    SQL
sql(q{SELECT FROM pgqueue.create_queue('lost')});
$then = fired('queueless');
wait_fired('queueless', $then + 1, 'a queue that is made anew is served again');
sql(q{DELETE FROM pgqueue.ticker WHERE namespace = 'default'});

# One that somebody is changing, renaming or deleting, in an open transaction.
sql(<<~'SQL');
    SELECT pgqueue.create_ticker('held', 'out2', period => '1 second'),
        pgqueue.create_ticker('free', 'out2', period => '1 second')
    SQL
for my $change (q{SELECT FROM pgqueue.update_ticker('held', priority => 2)},
    q{SELECT FROM pgqueue.update_ticker('held', rename_to => 'other')}, q{SELECT FROM pgqueue.delete_ticker('held')})
{
    my $holder = session($node);
    $holder->query("BEGIN; $change");
    $then = fired('held');
    my $free = fired('free');
    wait_fired('free', $free + 3, "while it is held others fire: $change");
    is(sql(<<~'SQL'), '0', 'the scheduler waits for nobody');
        SELECT count(*) FROM pg_locks l
        JOIN pg_stat_activity a USING (pid)
        WHERE NOT l.granted AND a.backend_type = 'pgqueue scheduler'
        SQL
    cmp_ok(fired('held'), '<=', $then + 1, 'it does not fire');
    $holder->query('ROLLBACK');
    $holder->close;
    wait_fired('held', $then + 3, 'it goes on when it is given back');
}
sql(q{DELETE FROM pgqueue.ticker WHERE namespace = 'default'});

# A row in somebody's hands: its slots come late, no more than misfire_max of them; what does not fire is told.
sql(q{SELECT pgqueue.create_ticker('held', 'out2', period => '1 second', misfire_max => 1)});
wait_fired('held', 1, 'it fires');
my $hands = session($node);
$hands->query(<<~'SQL');
    BEGIN;
    SELECT FROM pgqueue_internal.ticker_state s
    JOIN pgqueue_internal.ticker t ON t.id = s.ticker_id
    WHERE t.name = 'held'
    FOR UPDATE OF s
    SQL
ok(wait_for($node, 'postgres', <<~'SQL', 't', 20), 'while its row is held it does not fire');
    SELECT now() > next_at + interval '3 seconds' FROM pgqueue.ticker WHERE ticker = 'held'
    SQL
$hands->query('COMMIT');
$hands->close;
wait_fired('held', 4, 'then it does');
is(sql(<<~'SQL'), '0', 'every slot is in the history');
    SELECT count(*)
    FROM (SELECT slot - lag(slot) OVER (ORDER BY slot) AS step FROM pgqueue.ticker_run WHERE ticker = 'held') s
    WHERE step <> '1 second'
    SQL
cmp_ok(sql(q{SELECT count(*) FROM pgqueue.ticker_run WHERE ticker = 'held' AND outcome = 'missed'}), '>=', 2,
    'those beyond misfire_max as missed');

# With jitter a slot is missed when nobody was there at its due time, not at the slot.
sql(<<~'SQL');
    SELECT pgqueue.create_ticker('spread' || i, 'out2', period => '1 day', jitter => '10 seconds', misfire => 'skip',
        starts_at => clock_timestamp() + interval '1 second')
    FROM generate_series(1, 20) i
    SQL
ok(wait_for($node, 'postgres', <<~'SQL', 't', 20), 'slots with jitter');
    SELECT now() > max(next_at) FROM pgqueue.ticker WHERE ticker LIKE 'spread%' AND last_at IS NULL
    SQL
sql(q{UPDATE pgqueue.ticker SET paused = true WHERE ticker LIKE 'spread%'});
sql(q{UPDATE pgqueue.ticker SET paused = false WHERE ticker LIKE 'spread%'});
ok(wait_for($node, 'postgres', q{SELECT count(*) FROM pgqueue.ticker_run WHERE ticker LIKE 'spread%'}, '20', 60),
    'are all handled');
is(sql(<<~'SQL'), '0', 'those that were due after the pause fire');
    SELECT count(*) FROM pgqueue.ticker_run r
    JOIN pgqueue_internal.ticker t ON t.name = r.ticker
    JOIN pgqueue_internal.ticker_state s ON s.ticker_id = t.id
    WHERE r.outcome = 'missed' AND pgqueue_internal.due_of_slot(t.id, r.slot, t.jitter) >= s.resumed_at
    SQL
sql(q{DELETE FROM pgqueue.ticker WHERE namespace = 'default'});

# Many late slots with large payloads are made in parts: the scheduler has other work, and nobody waits long for the
# ticker's row.
sql(<<~'SQL');
    SELECT pgqueue.create_ticker('large', 'out2', period => '1 second', misfire => 'all', misfire_max => 400,
        payload => to_jsonb(repeat('x', 65000)), starts_at => now() - interval '1 day')
    SQL
wait_fired('large', 1, 'a ticker with a large payload fires');
sql(<<~'SQL');
    BEGIN;
    UPDATE pgqueue_internal.ticker_state
    SET next_at = next_at - interval '390 seconds', due_at = due_at - interval '390 seconds'
    WHERE ticker_id = (SELECT id FROM pgqueue_internal.ticker WHERE name = 'large');
    SELECT FROM pgqueue.update_ticker('large', description => 'late');
    COMMIT
    SQL
wait_fired('large', 391, 'all its late slots fire');
cmp_ok(sql(<<~'SQL'), '>=', 5, 'not all in one transaction');
    SELECT count(DISTINCT r.xmin::text) FROM pgqueue_internal.ticker_run r
    JOIN pgqueue_internal.ticker t ON t.id = r.ticker_id
    WHERE t.name = 'large'
    SQL
sql(q{DELETE FROM pgqueue.ticker WHERE namespace = 'default'});

# One that loses its queue in the moment when it is due.
{
    sql(q{SELECT pgqueue.create_ticker('loses', 'out2', period => '1 second')});
    wait_fired('loses', 1, 'it fires');
    my $at = session($node);
    hold_point($at, 'ticker-due');
    ok(pid_at($node, 'postgres', 'ticker-due', 20), 'the scheduler stands there');
    my $started = sql('SELECT pg_postmaster_start_time()');
    my $scheduler = pid_of($node, 'pgqueue scheduler', 'postgres');
    sql(q{SELECT pgqueue.update_ticker('loses', queue => '')});
    $at->close;
    sql(q{SELECT pgqueue.create_ticker('after', 'out2', period => '1 second')});
    wait_fired('after', 2, 'others fire after that');
    is(pid_of($node, 'pgqueue scheduler', 'postgres'), $scheduler, 'nobody has crashed');
}

# Nor when its queue goes between the making of a task and its row.
{
    sql(q{SELECT FROM pgqueue.create_queue('going', ttl => '0')});
    sql(q{DELETE FROM pgqueue.ticker WHERE namespace = 'default'});
    # Both in one batch, and the queue that goes is the second one.
    sql(<<~'SQL');
        SELECT pgqueue.create_ticker(t, q, period => '1 second', starts_at => date_trunc('second', now()))
        FROM (VALUES ('with', 'out2'), ('going', 'going')) v (t, q)
        SQL
    wait_fired('going', 2, 'it fires');
    my $at = session($node);
    hold_point($at, 'ticker-writing');
    ok(pid_at($node, 'postgres', 'ticker-writing', 20), 'the scheduler stands there');
    my $scheduler = pid_of($node, 'pgqueue scheduler', 'postgres');
    sql(q{SELECT FROM pgqueue.delete_queue('going', force => true)});
    $at->close;
    $then = fired('with');
    wait_fired('with', $then + 2, 'T4: others fire when a queue went in the middle of a firing');
    is(pid_of($node, 'pgqueue scheduler', 'postgres'), $scheduler, 'T4: nobody has crashed');
}
sql(q{DELETE FROM pgqueue.ticker WHERE namespace = 'default'});

# Many of one queue in one moment: max_depth holds.
sql(q{SELECT FROM pgqueue.create_queue('narrow', max_depth => 3, ttl => '0')});
sql(q{SELECT pgqueue.create_ticker('n' || i, 'narrow', period => '1 hour') FROM generate_series(1, 20) i});
ok(wait_for($node, 'postgres', <<~'SQL', '20', 30), '20 tickers of a queue are due together');
    SELECT count(*) FROM pgqueue.ticker_run WHERE ticker LIKE 'n%' AND ticker <> 'none'
    SQL
is(sql(q{SELECT count(*) FROM pgqueue.task WHERE queue = 'narrow'}), '3', 'as many tasks as max_depth allows');
sql(q{DELETE FROM pgqueue.ticker WHERE namespace = 'default'});

# 100 tickers and 2 workers: every one runs.
sql(<<~'SQL');
    TRUNCATE ran;
    SELECT pgqueue.create_ticker('many' || i, 'server', period => '1 second', overlap => 'skip',
        command => format('INSERT INTO ran VALUES (%L)', i))
    FROM generate_series(1, 100) i
    SQL
ok(wait_for($node, 'postgres', <<~'SQL', '100', 90), 'with 2 workers and 100 tickers every one runs, again and again');
    SELECT count(*) FROM (SELECT what FROM ran GROUP BY 1 HAVING count(*) >= 3) r
    SQL
sql(q{DELETE FROM pgqueue.ticker WHERE namespace = 'default'});

# Off: none fires, none is made; on again.
sql(q{SELECT pgqueue.create_ticker('switch', 'out2', period => '1 second', misfire => 'skip')});
wait_fired('switch', 2, 'it fires');
sql('ALTER SYSTEM SET pgqueue.tickers = off');
$node->reload;
ok(wait_for($node, 'postgres', 'SHOW pgqueue.tickers', 'off', 20), 'tickers are off');
like(error_of(q{SELECT pgqueue.create_ticker('none', 'out2')}), qr/ERROR:  cron is disabled/, 'B43: cron is disabled');
my $stopped = sql(q{SELECT last_at FROM pgqueue.ticker WHERE ticker = 'switch'});
sql(q{SELECT pgqueue.create_task('server', command => $$INSERT INTO ran VALUES ('off')$$, delay => '2500 ms')});
ok(wait_for($node, 'postgres', q{SELECT count(*) FROM ran WHERE what = 'off'}, '1', 20),
    'tasks run, also after their delay');
is(sql(q{SELECT last_at FROM pgqueue.ticker WHERE ticker = 'switch'}), $stopped, 'no ticker fires');
sql('ALTER SYSTEM RESET pgqueue.tickers');
$node->reload;
$then = fired('switch');
wait_fired('switch', $then + 2, 'on again it fires');
cmp_ok(sql(q{SELECT count(*) FROM pgqueue.ticker_run WHERE ticker = 'switch' AND outcome = 'missed'}), '>=', 1,
    'what it missed is skipped');
once('after all of it');
# T3: namespaces take turns: one with more tickers than can be fired at once delays itself alone.
sql(q{SELECT pgqueue.create_namespace('many'), pgqueue.create_namespace('one')});
sql(qq{SELECT pgqueue.create_queue('q', namespace => '$_', ttl => '0')}) for qw(many one);
my $began = time();
sql(<<~'SQL');
    SELECT count(
        pgqueue.create_ticker('m' || i, 'q', period => '1 day', payload => '1', starts_at => now() + interval '1 day',
            namespace => 'many')
    )
    FROM generate_series(1, 1200) i
    SQL
sql(<<~'SQL');
    SELECT pgqueue.create_ticker('o', 'q', period => '1 day', payload => '1', starts_at => now() + interval '1 day',
        namespace => 'one')
    SQL
# All at the same moment, and the one after them: a moment that comes after the update.
my $length = int(3 * (time() - $began)) + 4;
sql(<<~"SQL");
    UPDATE pgqueue.ticker
    SET starts_at = now() + interval '$length s' + CASE namespace WHEN 'one' THEN interval '1 ms' ELSE '0' END
    WHERE namespace IN ('many', 'one')
    SQL
ok(wait_for($node, 'postgres', <<~'SQL', '1201', 60 + $length), 'T3: all tickers of two namespaces fire');
    SELECT count(*) FROM pgqueue.ticker_run WHERE namespace IN ('many', 'one') AND outcome = 'fired'
    SQL
cmp_ok(sql(<<~'SQL'), '<', 1000, 'T3: the last one, of the other namespace, does not wait for all of them');
    SELECT count(*) FROM pgqueue.ticker_run m, pgqueue.ticker_run o
    WHERE m.namespace = 'many' AND o.namespace = 'one' AND m.fired_at < o.fired_at
    SQL
$node->stop('fast');
done_testing();
