# Groups: tasks of one key in strict order, so many at a time, so many a second; what a failing, delayed or locked head
# does to the others; restarts and crashes; memory that is too small. Tasks of outside workers and commands.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = new_node('groups',
    conf => "log_statement = none\npgqueue.max_workers = 4\npgqueue.worker_idle_timeout = 1s\ndeadlock_timeout = 50ms");
sub sql { return $node->safe_psql('postgres', @_); }
sub queue
{
    my ($name, $more) = @_;
    return sql("SELECT FROM pgqueue.create_queue('$name', ttl => '0'" . ($more ? ", $more)" : ')'));
}
# Creates payload tasks of the given keys, named by their place: a1 b2 a3.
sub tasks
{
    my ($queue, $keys, $more) = @_;
    $more = $more ? ", $more" : '';
    return sql(<<~"SQL");
        SELECT count(pgqueue.create_task('$queue', to_jsonb(k || n), group_key => k$more))
        FROM string_to_table('$keys', ' ') WITH ORDINALITY t(k, n)
        SQL
}
# Retains up to n tasks and says which; waits up to a deadline for that many when `least` is given.
sub take
{
    my ($queue, $n, $lease) = @_;
    $lease = $lease ? "'$lease'" : 'NULL';
    return sql(<<~"SQL") // '';
        SELECT string_agg(payload #>> '{}', ' ' ORDER BY priority, id)
        FROM pgqueue.next_tasks('w', '{$queue}', $n, $lease)
        SQL
}
sub take_soon
{
    my ($queue, $n, $expected, $name) = @_;
    my $all = '';
    wait_until(
        sub {
            my $t = take($queue, $n);
            $all = join(' ', grep { length } $all, $t);
            return length($all) >= length($expected);
        },
        20);
    return is($all, $expected, $name);
}
sub id_of
{
    my ($queue, $name) = @_;
    return sql(<<~"SQL");
        SELECT id FROM pgqueue.task
        WHERE queue = '$queue' AND payload #>> '{}' = '$name'
        ORDER BY array_position('{retained,retry,new}', status), id DESC LIMIT 1
        SQL
}
sub release
{
    my ($queue, @names) = @_;
    for (@names)
    {
        my $id = id_of($queue, $_);
        sql("SELECT pgqueue.release_task($id, receipt) FROM pgqueue.task WHERE id = $id");
    }
    return;
}
sub fail_it
{
    my ($queue, $name, $in) = @_;
    my $id = id_of($queue, $name);
    return sql("SELECT pgqueue.fail_task($id, receipt, 'no', retry_in => '$in') FROM pgqueue.task WHERE id = $id");
}

# One in flight of each key, in order; tasks without a key are in nobody's way.
queue('one');
tasks('one', 'a a b a b c');
sql(q{SELECT pgqueue.create_task('one', '"x"')});
is(take('one', 10), 'a1 b3 c6 x', 'the first task of each group, and what is in no group');
is(take('one', 10), '', 'one in flight of each');
release('one', 'b3');
is(take('one', 10), 'b5', 'the next one follows the release');
release('one', 'a1');
is(take('one', 10), 'a2', 'in strict order');
release('one', 'a2', 'b5', 'c6', 'x');
is(take('one', 10), 'a4', 'to the last one');
release('one', 'a4');
is(sql(q{SELECT count FROM pgqueue.queue_status WHERE queue = 'one' AND status = 'released'}), '7', 'all are released');

# A retain that is rolled back, also to a savepoint; two sessions.
tasks('one', 'a a');
my $s = session($node);
is($s->query(q{BEGIN; SELECT payload FROM pgqueue.next_task('w1', 'one')}), '"a1"', 'a1 is retained');
is(take('one', 10), '', 'nothing for others while it is not committed');
$s->query('ROLLBACK');
is($s->query(<<~'SQL'), '"a1"', 'the roll back gives a1 back, not a2');
    BEGIN;
    SAVEPOINT s;
    SELECT payload FROM pgqueue.next_task('w1', 'one')
    SQL
is($s->query(q{ROLLBACK TO s; SELECT payload FROM pgqueue.next_task('w1', 'one')}), '"a1"', 'to a savepoint too');
is($s->query(q{SELECT pgqueue.release_task(id) FROM pgqueue.task WHERE payload = '"a1"' AND status = 'retained'}),
    'released', 'retained and released in one transaction');
is($s->query(q{SELECT count(*) FROM pgqueue.next_task('w1', 'one')}), '0', 'the group goes on with the commit');
$s->query('COMMIT');
is($s->query(q{SELECT payload FROM pgqueue.next_task('w1', 'one')}), '"a2"', 'with a2');
$s->query(q{SELECT pgqueue.release_task(id) FROM pgqueue.task WHERE payload = '"a2"' AND status = 'retained'});

# hold: a failing head stops its group until it is tried again; final failure, cancel and snooze.
queue('hold', "group_policy => 'hold'");
tasks('hold', 'a a a b b');
is(take('hold', 10), 'a1 b4', 'hold: the heads');
is(fail_it('hold', 'a1', '1 hour'), 'retry', 'a1 fails');
is(take('hold', 10), '', 'hold: a failing head stops its group');
sql('SELECT pgqueue.retry_task(' . id_of('hold', 'a1') . ')');
is(take('hold', 10), 'a1', 'until it is made due');
is(fail_it('hold', 'a1', '300 ms'), 'retry', 'it fails again');
take_soon('hold', 10, 'a1', 'and is the first again when it is due');
my $a1 = id_of('hold', 'a1');
sql("SELECT pgqueue.snooze_task($a1, receipt, '1 hour') FROM pgqueue.task WHERE id = $a1");
is(take('hold', 10), '', 'snoozed: it stops its group too');
sql('SELECT pgqueue.cancel_task(' . id_of('hold', 'a1') . ')');
is(take('hold', 10), 'a2', 'a cancelled head is gone, the next one follows');
is(fail_it('hold', 'b4', '0'), 'retry', 'b4 fails and is due at once');
is(take('hold', 10), 'b4', 'it is the first again');
sql('SELECT pgqueue.fail_task(id, receipt, final => true) FROM pgqueue.task WHERE id = ' . id_of('hold', 'b4'));
is(take('hold', 10), 'b5', 'after a final failure the group goes on');
release('hold', 'a2', 'b5');
is(take('hold', 10), 'a3', 'a3 is the last one');
release('hold', 'a3');

# hold: a delayed task keeps its place.
tasks('hold', 'd');
tasks('hold', 'd', "delay => '1 hour'");
sql(q{SELECT pgqueue.create_task('hold', '"d9"', group_key => 'd')});
is(take('hold', 10), 'd1', 'delayed: the one before it runs');
release('hold', 'd1');
is(take('hold', 10), '', 'a delayed head stops its group');
my $delayed = sql(q{SELECT id FROM pgqueue.task WHERE queue = 'hold' AND status = 'new' AND delayed_at IS NOT NULL});
sql("UPDATE pgqueue.task SET delayed_at = clock_timestamp() + '300 ms' WHERE id = $delayed");
take_soon('hold', 10, 'd1', 'an UPDATE makes it due');
release('hold', 'd1');
is(take('hold', 10), 'd9', 'and the last one follows');
release('hold', 'd9');
# One that is cancelled, or deleted, before it comes to the head does not stop the group there.
tasks('hold', 'e');
tasks('hold', 'e e', "delay => '1 hour'");
sql(q{SELECT pgqueue.create_task('hold', '"e9"', group_key => 'e')});
sql(<<~'SQL');
    SELECT pgqueue.cancel_task(min(id)) FROM pgqueue.task
    WHERE queue = 'hold' AND status = 'new' AND delayed_at IS NOT NULL
    SQL
sql("DELETE FROM pgqueue.task WHERE queue = 'hold' AND status = 'new' AND delayed_at IS NOT NULL");
is(take('hold', 10), 'e1', 'e1 runs');
release('hold', 'e1');
take_soon('hold', 10, 'e9', 'those that are cancelled or deleted behind the head are passed over');
release('hold', 'e9');

# A head in somebody's hands: the group waits for it.
tasks('hold', 'f f');
$s->query('BEGIN; SELECT pgqueue.cancel_task(' . id_of('hold', 'f1') . ')');
is(take('hold', 10), '', 'an uncommitted cancel of the head: nobody overtakes it');
$s->query('ROLLBACK');
take_soon('hold', 10, 'f1', 'rolled back, it is the first');
release('hold', 'f1', );
$s->query('BEGIN; SELECT pgqueue.cancel_task(' . id_of('hold', 'f2') . ')');
is(take('hold', 10), '', 'again');
$s->query('COMMIT');
tasks('hold', 'f');
take_soon('hold', 10, 'f1', 'committed, it is gone');
release('hold', 'f1');

# pass: others go on.
queue('pass', "group_policy => 'pass'");
tasks('pass', 'a a a');
is(take('pass', 10), 'a1', 'pass: the head');
is(fail_it('pass', 'a1', '200 ms'), 'retry', 'it fails');
is(take('pass', 10), 'a2', 'pass: the next one goes on');
wait_for($node, 'postgres', 'SELECT delayed_at < clock_timestamp() FROM pgqueue.task WHERE id = ' . id_of('pass', 'a1'),
    't', 10);
is(take('pass', 10), '', 'still one in flight');
release('pass', 'a2');
take_soon('pass', 10, 'a3', 'in order');
release('pass', 'a3');
take_soon('pass', 10, 'a1', 'the failed one at the end');
release('pass', 'a1');
tasks('pass', 'b', "delay => '1 hour'");
tasks('pass', 'b');
is(take('pass', 10), 'b1', 'pass: a delayed one lets the others through');
is(sql(q{SELECT delayed_at IS NULL FROM pgqueue.task WHERE queue = 'pass' AND status = 'retained'}), 't',
    'that was the one without a delay');
release('pass', 'b1');
sql(q{UPDATE pgqueue.task SET delayed_at = clock_timestamp() + '300 ms' WHERE queue = 'pass' AND status = 'new'});
take_soon('pass', 10, 'b1', 'and comes when it is due');
release('pass', 'b1');
# The policy changes under delayed tasks.
tasks('pass', 'c', "delay => '1 hour'");
tasks('pass', 'c');
sql(q{SELECT pgqueue.update_queue('pass', group_policy => 'hold')});
ok(wait_for($node, 'postgres', q{SELECT count(*) FROM pgqueue.health WHERE problem = 'memory_full'}, '0', 20),
    'the rows were read again');
is(take('pass', 10), '', 'hold now: the delayed one stands before');
sql(q{SELECT pgqueue.update_queue('pass', group_policy => 'pass')});
take_soon('pass', 10, 'c1', 'pass again: it does not');
release('pass', 'c1');

# group_max_running above one, raised and lowered.
queue('three', 'group_max_running => 3');
tasks('three', 'a a a a a b');
is(take('three', 10), 'a1 a2 a3 b6', 'three of a group at once');
fail_it('three', 'a2', '1 hour');
release('three', 'a1');
is(take('three', 10), '', 'hold: a failing one stops the group also when there is room');
sql('SELECT pgqueue.retry_task(' . id_of('three', 'a2') . ')');
is(take('three', 10), 'a2 a4', 'then it is the first');
sql(q{SELECT pgqueue.update_queue('three', group_max_running => 1)});
release('three', 'a2', 'a3');
is(take('three', 10), '', 'lowered: one still runs');
release('three', 'a4');
is(take('three', 10), 'a5', 'and the next one');
tasks('three', 'a a');
sql(q{SELECT pgqueue.update_queue('three', group_max_running => 2)});
is(take('three', 10), 'a1', 'raised: another one at once');

# Exact under races: 8 clients retain and release; never more than two of a key at once. Ten tasks can be out at a time,
# so a call gets little more than one when all clients are in one; hence so many calls.
queue('race', 'group_max_running => 2');
sql(<<~'SQL');
    SELECT count(*)
    FROM pgqueue.create_tasks('race', ARRAY(SELECT to_jsonb(g) FROM generate_series(1, 600) g),
        group_keys => ARRAY(SELECT 'k' || g % 5 FROM generate_series(1, 600) g))
    SQL
sql(<<~'SQL');
    CREATE TABLE held (id bigint, key text, n int);
    CREATE FUNCTION note_held() RETURNS void LANGUAGE sql AS $$
        INSERT INTO held
        SELECT t.id, t.group_key,
            (
                SELECT count(*) FROM pgqueue.task o
                WHERE o.queue = 'race' AND o.status = 'retained' AND o.group_key = t.group_key
            )
        FROM pgqueue.next_tasks('w', '{race}', 3) t
    $$;
    CREATE FUNCTION end_held() RETURNS void LANGUAGE sql AS $$
        SELECT count(pgqueue.release_task(id, receipt))
        FROM (
            SELECT id, receipt FROM pgqueue.task
            WHERE queue = 'race' AND status = 'retained' AND worker = 'w' AND pid = pg_backend_pid()
        ) r
    $$
    SQL
my $script = $node->basedir . '/race.sql';
append_to_file($script, "SELECT note_held();\nSELECT end_held();\n");
$node->command_ok([qw(pgbench -n -c 8 -j 2 -t 150 -f), $script, 'postgres'], '8 clients work on 5 groups');
is(sql(q{SELECT count(*) FROM pgqueue.task WHERE queue = 'race' AND status IN ('new', 'retry')}), '0',
    'all tasks were taken');
is(sql(q{SELECT max(n) <= 2 AND count(*) = count(DISTINCT id) FROM held}), 't',
    'never more than two of a group at once, none twice');
is(sql(<<~'SQL'), '0', 'in order');
    SELECT count(*)
    FROM (
        SELECT started_at, lag(started_at) OVER (PARTITION BY group_key ORDER BY id) AS before
        FROM pgqueue.task
        WHERE queue = 'race'
    ) o
    WHERE started_at < before - interval '1 s'
    SQL

# group_rate_limit: tokens by group; no worker sleeps for it.
queue('rate', 'group_rate_limit => 1, group_max_running => 10');
tasks('rate', 'a a a b b');
my $t0 = time();
is(take('rate', 10), 'a1 b4', 'rate limit: one token each');
take_soon('rate', 10, 'a2 b5 a3', 'the others as tokens come');
ok(time() - $t0 > 1.8, 'not before their time');
# An empty bucket is remembered though its group was empty meanwhile.
queue('slow', 'group_rate_limit => 0.01');
tasks('slow', 'a');
is(take('slow', 10), 'a1', 'the only token');
release('slow', 'a1');
tasks('slow', 'a b');
is(take('slow', 10), 'b2', 'a bucket is remembered though its group was empty');
sql(q{SELECT pgqueue.update_queue('slow', group_rate_limit => 1000)});
take_soon('slow', 10, 'a1', 'a higher limit acts at once');

# Priority decides between groups by their heads; moves between queues and groups.
queue('prio');
tasks('prio', 'a a', 'priority => 200');
tasks('prio', 'b', 'priority => 100');
sql(q{SELECT pgqueue.create_task('prio', '"x"', priority => 150)});
is(take('prio', 1), 'b1', 'priority between groups');
is(take('prio', 1), 'x', 'and those without');
sql("UPDATE pgqueue.task SET priority = 50 WHERE id = " . id_of('prio', 'a1'));
sql(q{SELECT pgqueue.create_task('prio', '"y"', priority => 60)});
is(take('prio', 1), 'a1', 'a changed priority of the head counts');
is(take('prio', 1), 'y', 'the next');
queue('prio2');
sql("UPDATE pgqueue.task SET queue = 'prio2' WHERE id = " . id_of('prio', 'a2'));
is(take('prio2', 1), 'a2', 'moved to another queue it is in a group there');
tasks('prio', 'c c');
sql("UPDATE pgqueue.task SET group_key = 'd' WHERE id = " . id_of('prio', 'c1'));
is(take('prio', 5), 'c1 c2', 'moved to another group it is in nobody\'s way');
is(sql(<<~'SQL'), 'd c', 'as the row says');
    SELECT string_agg(group_key, ' ' ORDER BY id) FROM pgqueue.task WHERE queue = 'prio' AND payload IN ('"c1"', '"c2"')
    SQL
# A task that moves, away from behind the head or out of no group, leaves a hint where it was: that one does not start
# it.
queue('moved');
tasks('moved', 'a a a b b');
sql(q{SELECT pgqueue.create_task('moved', '"x"')});
is(take('moved', 1), 'a1', 'a1 is held');
sql("UPDATE pgqueue.task SET group_key = 'b' WHERE id = " . id_of('moved', $_)) for 'a3', 'x';
is(take('moved', 10), 'b4', 'only one of b, also by the line of those without a key');
release('moved', 'a1');
is(take('moved', 10), 'a2', 'a goes on');
release('moved', 'a2');
is(take('moved', 10), '', 'what has left a is not taken by it');
for ('b4', 'b5', 'a3')
{
    release('moved', $_);
    is(take('moved', 10), $_ eq 'b4' ? 'b5' : $_ eq 'b5' ? 'a3' : 'x', "the next of b after $_");
}
queue('moved_cmd');
sql(q{SELECT pgqueue.pause_queue('moved_cmd'); CREATE TABLE moved (n bigserial, key text)});
sql(<<~'SQL');
    SELECT pgqueue.create_task('moved_cmd',
        command => format('WITH s AS (INSERT INTO moved (key) VALUES (%L) RETURNING 1) SELECT pg_sleep(0.3) FROM s',
            k || n), group_key => k)
    FROM string_to_table('a a b b', ' ') WITH ORDINALITY t(k, n)
    SQL
sql(q{UPDATE pgqueue.task SET group_key = 'b' WHERE queue = 'moved_cmd' AND command LIKE '%a2%'});
sql(q{SELECT pgqueue.resume_queue('moved_cmd')});
ok(wait_for($node, 'postgres', <<~'SQL', '4', 20), 'commands run');
    SELECT count(*) FROM pgqueue.task WHERE queue = 'moved_cmd' AND status = 'released'
    SQL
is(sql(q{SELECT string_agg(key, ' ' ORDER BY n) FROM moved WHERE key <> 'a1'}), 'b3 b4 a2',
    'one that moved too, in its new group');

# A transaction that has changed the head comes upon it when it takes tasks; rolled back, the head is the first again.
queue('own');
my $o = session($node);
for my $what ('SELECT pgqueue.cancel_task(%s)', 'DELETE FROM pgqueue.task WHERE id = %s',
    q{UPDATE pgqueue.task SET group_key = 'z' WHERE id = %s},
    q{UPDATE pgqueue.task SET dies_at = now() - interval '1 s' WHERE id = %s})
{
    tasks('own', 'a a');
    $o->query('BEGIN; SAVEPOINT s; ' . sprintf($what, id_of('own', 'a1')));
    $o->query(q{SELECT count(*) FROM pgqueue.next_tasks('w', '{own}', 1)});
    $o->query('ROLLBACK TO s; COMMIT');
    take_soon('own', 10, 'a1', "the head is there after the roll back: $what");
    release('own', 'a1');
    is(take('own', 10), 'a2', 'and the next one follows');
    release('own', 'a2');
}
$o->close;

# One transaction, tasks of one group for outside workers and for the server: their order is that of their creation.
queue('mixed');
sql(<<~'SQL');
    CREATE TABLE mixed (n bigserial, i int);
    BEGIN;
    SELECT CASE
            WHEN i % 2 = 1 THEN pgqueue.create_task('mixed', to_jsonb(i), group_key => 'a')
            ELSE pgqueue.create_task('mixed', command => format('INSERT INTO mixed (i) VALUES (%s)', i),
                group_key => 'a')
        END
    FROM generate_series(1, 6) i;
    COMMIT
    SQL
ok(wait_until(sub {
    sql(<<~'SQL');
        WITH t AS (SELECT * FROM pgqueue.next_task('w', 'mixed')),
            i AS (INSERT INTO mixed (i) SELECT (payload #>> '{}')::int FROM t)
        SELECT pgqueue.release_task(id)
        FROM t
        SQL
    return sql('SELECT count(*) FROM mixed') eq '6' }, 20), 'all are done');
is(sql(q{SELECT string_agg(i::text, ' ' ORDER BY n) FROM mixed}), '1 2 3 4 5 6', 'in order');

queue('age', "aging => '100 ms'");
tasks('age', 'a', 'priority => 102');
ok(wait_for($node, 'postgres', <<~'SQL', 't'), 'half a second passes');
    SELECT clock_timestamp() > created_at + interval '500 ms' FROM pgqueue.task WHERE queue = 'age'
    SQL
tasks('age', 'b', 'priority => 100');
is(take('age', 1), 'a1', 'aging: the head of a group gains by waiting');

# Expiry, in the middle of a group and at its head.
queue('ttl');
tasks('ttl', 'a a');
tasks('ttl', 'a', "ttl => '300 ms'");
sql(q{SELECT pgqueue.create_task('ttl', '"a9"', group_key => 'a')});
is(take('ttl', 5), 'a1', 'the head');
ok(wait_for($node, 'postgres', <<~'SQL', 'retained new expired new', 20),
    SELECT string_agg(status, ' ' ORDER BY id) FROM pgqueue.task WHERE queue = 'ttl'
    SQL
    'a waiting task of a group expires at its time');
fail_it('ttl', 'a1', '1 hour');
my $head = sql(q{SELECT min(id) FROM pgqueue.task WHERE queue = 'ttl'});
sql("UPDATE pgqueue.task SET dies_at = clock_timestamp() + '200 ms' WHERE id = $head");
take_soon('ttl', 5, 'a2', 'a head that expires lets its group go on');

# Commands: in the server, by role, one at a time in the order of the commits; failing, killed, cancelled.
queue('cmd', "retry_delay => '10 ms', backoff => 'fixed'");
sql(<<~'SQL');
    CREATE TABLE ran (n bigserial, key text, i int, pid int DEFAULT pg_backend_pid());
    CREATE SEQUENCE tries;
    CREATE ROLE other;
    GRANT ALL ON ran, ran_n_seq TO other;
    GRANT pgqueue_user TO other;
    SELECT pgqueue.grant_namespace('default', 'use', 'other')
    SQL
sql(q{SELECT pgqueue.pause_queue('cmd')});
sql(<<~'SQL');
    SELECT count(*)
    FROM pgqueue.create_tasks('cmd',
        commands => ARRAY(
            SELECT format('INSERT INTO ran (key, i) VALUES (%L, %s)', 'k' || i % 7, i) FROM generate_series(1, 700) i
        ), group_keys => ARRAY(SELECT 'k' || i % 7 FROM generate_series(1, 700) i))
    SQL
sql(<<~'SQL');
    SET ROLE other;
    SELECT pgqueue.create_task('cmd', command => 'INSERT INTO ran (key, i) VALUES (''k1'', 701)', group_key => 'k1')
    SQL
sql(<<~'SQL');
    SELECT pgqueue.create_task('cmd', command => 'INSERT INTO ran (key, i) VALUES (''k1'', 702)', group_key => 'k1')
    SQL
sql(q{SELECT pgqueue.create_task('cmd', command => 'SELECT 1 / (nextval(''tries'') / 3)', group_key => 'k1')});
sql(<<~'SQL');
    SELECT pgqueue.create_task('cmd', command => 'INSERT INTO ran (key, i) VALUES (''k1'', 704)', group_key => 'k1')
    SQL
sql(q{SELECT pgqueue.resume_queue('cmd')});
ok(wait_for($node, 'postgres', <<~'SQL', '0', 60),
    SELECT count(*) FROM pgqueue.task WHERE queue = 'cmd' AND status <> 'released'
    SQL
    'commands of groups run, also those of another role and one that fails twice');
is(sql(<<~'SQL'), '0', 'in strict order, by several workers, whatever the role');
    SELECT count(*) FROM (SELECT i, lag(i) OVER (PARTITION BY key ORDER BY n) AS before FROM ran) r WHERE i < before
    SQL
is(sql(q{SELECT count(*), count(DISTINCT i) FROM ran}), '703|703', 'each once');
sql(q{TRUNCATE ran});
sql(q{SELECT pgqueue.create_task('cmd', command => 'SELECT pg_sleep(60)', group_key => 'z')});
sql(q{SELECT pgqueue.create_task('cmd', command => 'INSERT INTO ran (key, i) VALUES (''z'', 1)', group_key => 'z')});
ok(wait_for($node, 'postgres', q{SELECT count(*) FROM pgqueue.worker WHERE command LIKE '%pg_sleep(60)%'}, '1', 20),
    'a long command runs');
my $pid = sql(q{SELECT pid FROM pgqueue.worker WHERE command LIKE '%pg_sleep(60)%'});
ok(terminate($node, $pid), 'its worker is terminated');
ok(wait_for($node, 'postgres', <<~'SQL', '2', 20), 'it is tried again, before the next one');
    SELECT attempt FROM pgqueue.task WHERE command LIKE '%pg_sleep(60)%' AND status = 'retained'
    SQL
is(sql('SELECT count(*) FROM ran'), '0', 'which has not run');
sql(q{SELECT pgqueue.cancel_task(id) FROM pgqueue.task WHERE command LIKE '%pg_sleep(60)%'});
ok(wait_for($node, 'postgres', 'SELECT count(*) FROM ran', '1', 20), 'cancelled, it lets the next one through');

# Restart and crash: the order and what is held are as the rows say.
queue('crash', "lease => '1 hour'");
tasks('crash', 'a a a b b');
is(take('crash', 10), 'a1 b4', 'held when the server stops');
fail_it('crash', 'b4', '1 hour');
$node->restart;
ok(wait_for($node, 'postgres', <<~'SQL', '1', 20), 'a restart keeps the lease');
    SELECT count(*) FROM pgqueue.queue_status WHERE queue = 'crash' AND status = 'retained' AND count = 1
    SQL
is(take('crash', 10), '', 'its group waits, and that of the failed one');
release('crash', 'a1');
is(take('crash', 10), 'a2', 'in order after the restart');
kill9($node, pid_of($node, 'pgqueue scheduler', 'postgres'));
wait_up($node);
ok(wait_for($node, 'postgres', <<~'SQL', '1', 20), 'a crash too');
    SELECT count(*) FROM pgqueue.queue_status WHERE queue = 'crash' AND status = 'retained' AND count = 1
    SQL
is(take('crash', 10), '', 'nothing overtakes');
sql('SELECT pgqueue.retry_task(' . id_of('crash', 'b4') . ')');
take_soon('crash', 10, 'b4', 'the failed one is the first of its group');
release('crash', 'a2', 'b4');
take_soon('crash', 10, 'a3 b5', 'and the last ones');
release('crash', 'a3', 'b5');
sql(q{SELECT pgqueue.create_task('cmd', command => 'SELECT pg_sleep(60)', group_key => 'y')});
sql(q{SELECT pgqueue.create_task('cmd', command => 'INSERT INTO ran (key, i) VALUES (''y'', 2)', group_key => 'y')});
ok(wait_for($node, 'postgres', q{SELECT count(*) FROM pgqueue.worker WHERE command LIKE '%pg_sleep(60)%'}, '1', 20),
    'a long command runs');
kill9($node, sql(q{SELECT pid FROM pgqueue.worker WHERE command LIKE '%pg_sleep(60)%'}));
wait_up($node);
ok(wait_for($node, 'postgres', <<~'SQL', '2', 30), 'after the crash it runs again, the next one has waited');
    SELECT attempt FROM pgqueue.task WHERE command LIKE '%pg_sleep(60)%' AND status = 'retained'
    SQL
is(sql(q{SELECT count(*) FROM ran WHERE i = 2}), '0', 'indeed');
sql(q{SELECT pgqueue.cancel_task(id) FROM pgqueue.task WHERE command LIKE '%pg_sleep(60)%' AND status = 'retained'});
ok(wait_for($node, 'postgres', 'SELECT count(*) FROM ran WHERE i = 2', '1', 20), 'then it runs');
$s->close;

# Dependencies, dead letter and purge.
queue('dead');
queue('dep', "dead_letter => 'dead', retries => 0");
tasks('dep', 'a a');
my $first = id_of('dep', 'a1');
sql("SELECT pgqueue.create_task('dep', '\"d\"', group_key => 'b', depends_on => ARRAY[$first]::bigint[])");
tasks('dep', 'b');
is(take('dep', 10), 'a1 b1', 'a task that waits for another one is in nobody\'s way');
release('dep', 'b1', 'a1');
take_soon('dep', 10, 'a2 d', 'and comes to its group when it is ready');
sql('SELECT pgqueue.fail_task(id, receipt) FROM pgqueue.task WHERE id = ' . id_of('dep', 'a2'));
is(sql(q{SELECT concat(queue, ' ', status) FROM pgqueue.task WHERE payload = '"a2"' AND origin_queue = 'dep'}),
    'dead failed', 'a dead letter leaves the group');
tasks('dep', 'a b b');
is(take('dep', 10), 'a1', 'which goes on');
sql(q{SELECT pgqueue.purge_queue('dep', force => true)});
tasks('dep', 'b');
take_soon('dep', 10, 'b1', 'a purged queue has new groups');
# What is held through a purge holds its place in its group, and under max_running.
queue('kept', 'max_running => 2');
tasks('kept', 'k k k');
is(take('kept', 10), 'k1', 'held when the queue is purged');
is(sql(q{SELECT pgqueue.purge_queue('kept')}), '2', 'the others are removed');
tasks('kept', 'k');
sql(q{SELECT pgqueue.create_task('kept', to_jsonb('x' || i)) FROM generate_series(1, 2) i});
take_soon('kept', 10, 'x1', 'the group is still held, and one of two places is');
release('kept', 'x1');
take_soon('kept', 10, 'x2', 'one at a time beside it');
sql(<<~'SQL');
    SELECT pgqueue.release_task(id, receipt) FROM pgqueue.task
    WHERE queue = 'kept' AND status = 'retained' AND group_key = 'k'
    SQL
take_soon('kept', 10, 'k1', 'the release frees both');
$node->stop;

# Memory that is too small for all groups: nothing is lost, the order stays.
$node->append_conf('postgresql.conf', "pgqueue.dispatch_memory = 4MB\n");
$node->start;
queue('big');
sql(<<~'SQL');
    SELECT count(*)
    FROM pgqueue.create_tasks('big', ARRAY(SELECT to_jsonb(g) FROM generate_series(1, 40000) g),
        group_keys => ARRAY(SELECT 'k' || g % 20000 FROM generate_series(1, 40000) g))
    SQL
sql(<<~'SQL');
    CREATE TABLE got (n bigserial, id bigint, key text);
    CREATE PROCEDURE take_all() LANGUAGE plpgsql AS $$DECLARE
        n bigint;
        quiet int := 0;
    BEGIN
        WHILE quiet < 400 LOOP
            WITH t AS (SELECT * FROM pgqueue.next_tasks('w', '{big}', 1000)),
                i AS (INSERT INTO got (id, key) SELECT id, group_key FROM t),
                r AS (SELECT count(pgqueue.release_task(id, receipt)) AS c FROM t)
            SELECT c INTO n
            FROM r;
            COMMIT;
            IF n = 0 THEN
                quiet := quiet + 1;
                PERFORM pg_sleep(0.01);
                COMMIT;
            ELSE
                quiet := 0;
            END IF;
            EXIT WHEN (SELECT count FROM pgqueue.queue_status WHERE queue = 'big' AND status = 'released') = 40000;
        END LOOP;
    END$$
    SQL
sql('CALL take_all()');
is(sql('SELECT count(*), count(DISTINCT id) FROM got'), '40000|40000',
    'memory for a part of the groups only: all tasks are taken, each once');
is(sql(<<~'SQL'), '0', 'in strict order');
    SELECT count(*) FROM (SELECT id, lag(id) OVER (PARTITION BY key ORDER BY n) AS before FROM got) g WHERE id < before
    SQL
$node->stop('immediate');
done_testing();
