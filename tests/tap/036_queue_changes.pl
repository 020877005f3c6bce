# When somebody makes and drops queues one after the other, each queue costs the others a few rows, however many queues
# there are (T4). The test counts work and measures no times: make attack does that. What a process knows of a queue is
# right at once.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use Test::More;

my $node = new_node('queue_changes',
    conf => "log_statement = none\nlog_min_messages = error\npgqueue.max_workers = 2\nautovacuum = off");
sub sql { return $node->safe_psql('postgres', @_); }

my ($standing, $rounds) = (400, 60);
sql(q{SELECT pgqueue.create_namespace(n) FROM unnest('{attacker,victim}'::text[]) n});
sql(<<~"SQL");
    SELECT count(pgqueue.create_queue('standing' || i, namespace => 'attacker')) FROM generate_series(1, $standing) i
    SQL
sql(<<~'SQL');
    SELECT pgqueue.create_queue('server', executor => 'server', namespace => 'victim'),
        pgqueue.create_queue('outside', namespace => 'victim')
    SQL
sql('ANALYZE pgqueue_internal.queue');
my ($attacker, $victim) = (session($node), session($node));
my $work = <<~'SQL';
    SELECT pgqueue.create_task('server', command => 'SELECT 1', namespace => 'victim'),
        pgqueue.create_task('outside', '1', namespace => 'victim');
    SELECT pgqueue.release_task(id, receipt) FROM pgqueue.next_task('w', 'outside', namespace => 'victim')
    SQL
my $unfinished = q{SELECT count(*) FROM pgqueue.task WHERE namespace = 'victim' AND status <> 'released'};
sub rows_read
{
    ok(wait_for($node, 'postgres', $unfinished, '0'), 'the tasks of the other namespace are done');
    $_->query('SELECT pg_stat_force_next_flush()') for $attacker, $victim;
    return sql(<<~'SQL');
        SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_all_tables WHERE relid = 'pgqueue_internal.queue'::regclass
        SQL
}
sub round
{
    $attacker->query(q{SELECT pgqueue.create_queue('q', namespace => 'attacker')});
    $victim->query($work);
    $attacker->query(q{SELECT pgqueue.delete_queue('q', namespace => 'attacker')});
    $victim->query($work);
    return;
}
round();
my $before = rows_read();
round() for 1 .. $rounds;
my $read = (rows_read() - $before) / $rounds;
note("rows of queues read for each queue made and dropped: $read");
cmp_ok($read, '<', 60,
    'T4: a queue made and dropped beside the work of others: less than 60 rows are read by all together');
cmp_ok($victim->query(<<~'SQL'), '<', 65536, 'T4: a session keeps the queues that it has asked for');
    SELECT sum(total_bytes) FROM pg_backend_memory_contexts WHERE name IN ('pgqueue queues', 'pgqueue catalog')
    SQL

# Each dropped queue has the scheduler look at all rows of its namespace about tasks that wait for others. After a look
# at a table it has a rest three times as long. The first one is made to last two seconds.
my ($members, $drops) = (200, 20);
$attacker->query(<<~"SQL");
    SELECT pgqueue.create_queue('batches', ttl => '0', namespace => 'attacker');
    SELECT count(*)
    FROM pgqueue.create_tasks('batches', array_fill('1'::jsonb, ARRAY[$members]), batch_key => 'b', delay => '1 day',
        namespace => 'attacker')
    SQL
sub looks
{
    my $sql = <<~'SQL';
        SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_all_tables
        WHERE relid = 'pgqueue_internal.batch_member'::regclass
        SQL
    my ($read, $since) = (-1, 0);
    wait_until(sub {
        my $now = sql($sql);
        ($read, $since) = ($now, time()) if $now != $read;
        return time() > $since + 3; });
    return $read;
}
my $first = looks();
sub make_and_drop
{
    $attacker->query(q{SELECT pgqueue.create_queue('q', namespace => 'attacker')});
    return $attacker->query(q{SELECT pgqueue.delete_queue('q', namespace => 'attacker')});
}
make_and_drop();
my $second = looks();
my $one_look = $second - $first;
cmp_ok($one_look, '>=', $members, 'a dropped queue has the scheduler look at what waits for others');
my $holder = session($node);
hold_point($holder, 'scheduler-settling');
make_and_drop();
ok(pid_at($node, 'postgres', 'scheduler-settling'), 'it looks');
$victim->query('SELECT pg_sleep(2)');
$holder->close;
make_and_drop() for 1 .. $drops;
my $all_looks = (looks() - $second) / $one_look;
note("looks at all members of batches, for $drops queues dropped: $all_looks");
cmp_ok($all_looks, '<', 5, 'T4: many dropped queues have it look a few times');
$attacker->query(q{SELECT count(pgqueue.cancel_task(id)) FROM pgqueue.task WHERE queue = 'batches'});
ok(wait_for($node, 'postgres', 'SELECT count(*) FROM pgqueue_internal.batch_member', '0'),
    'the tasks of the batch are not forgotten');

# What a session knows is right: of others' changes, of its own, of what it has rolled back.
sub refused
{
    my ($name) = @_;
    return like($victim->query("SELECT pgqueue.create_task('$name', '1', namespace => 'victim')"),
        qr/queue "$name" does not exist/, "queue $name is not there");
}
sub taken
{
    my ($name) = @_;
    return like($victim->query("SELECT pgqueue.create_task('$name', '1', namespace => 'victim')"), qr/^\d+$/,
        "queue $name takes a task");
}
taken('outside');
sql(q{SELECT pgqueue.update_queue('outside', rename_to => 'renamed', namespace => 'victim')});
refused('outside');
taken('renamed');
sql(<<~'SQL');
    SELECT pgqueue.delete_queue('renamed', namespace => 'victim'),
        pgqueue.create_queue('renamed', priority => 7, namespace => 'victim')
    SQL
taken('renamed');
is(sql(q{SELECT priority FROM pgqueue.task WHERE queue = 'renamed'}), '7',
    'a queue that was made again is another one');
$victim->query(<<~'SQL');
    BEGIN;
    SELECT pgqueue.create_queue('mine', namespace => 'victim');
    SAVEPOINT s;
    SELECT pgqueue.delete_queue('mine', namespace => 'victim')
    SQL
$victim->query('ROLLBACK TO s');
taken('mine');
$victim->query(<<~'SQL');
    SAVEPOINT s;
    SELECT pgqueue.update_queue('mine', priority => 9, namespace => 'victim');
    ROLLBACK TO s
    SQL
taken('mine');
is($victim->query(q{SELECT DISTINCT priority FROM pgqueue.task WHERE queue = 'mine'}), '100',
    'what was rolled back is not seen');
$victim->query('ROLLBACK');
refused('mine');
sql('VACUUM FULL pgqueue_internal.queue');
taken('renamed');
sql(q{SELECT pgqueue.update_queue('renamed', priority => 8, namespace => 'victim')});
taken('renamed');
is(sql(q{SELECT priority FROM pgqueue.task WHERE queue = 'renamed' ORDER BY id DESC LIMIT 1}), '8',
    'a table that was written anew is read anew');

# A queue whose transaction ends while the scheduler finds that the tables do not have it, which they have a moment
# later. The scheduler goes from one such find to the next one: whoever holds it hands it over.
my ($stop, $next) = (session($node), session($node));
my $point = 'scheduler-found-stray';
my $at_point = q{FROM pg_locks WHERE locktype = 'advisory' AND classid = 28785 AND NOT granted};
sub to_next_find
{
    $next->send("SELECT pg_advisory_lock(28785, hashtext('$point'))");
    wait_for($node, 'postgres', "SELECT count(*) $at_point", '2');
    $stop->query("SELECT pg_advisory_unlock(28785, hashtext('$point'))");
    $next->query('SELECT 1');
    ($stop, $next) = ($next, $stop);
    return ok(pid_at($node, 'postgres', $point), 'the scheduler finds an entry that the tables do not have');
}
hold_point($stop, $point);
$attacker->query(q{BEGIN; SELECT pgqueue.create_queue('never', namespace => 'attacker'); ROLLBACK});
ok(pid_at($node, 'postgres', $point), 'a queue that was rolled back has an entry');
to_next_find();
$victim->query(<<~'SQL');
    BEGIN;
    SELECT pgqueue.create_queue('late', namespace => 'victim'), pgqueue.create_task('late', '1', namespace => 'victim')
    SQL
to_next_find() for 1, 2;
$victim->query('COMMIT');
$_->close for $stop, $next;
ok(wait_for($node, 'postgres', "SELECT count(*) $at_point", '0'), 'it goes on');
is(sql(q{SELECT count(*) FROM pgqueue.next_task('w', 'late', namespace => 'victim')}), '1',
    'W2: a queue that is committed meanwhile keeps its tasks');
$_->close for $attacker, $victim;
check_invariants($node, 'postgres', 'at the end');

done_testing();
