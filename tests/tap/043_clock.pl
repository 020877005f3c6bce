# The wall clock is set while the server runs. A lease lasts by the monotonic clock, so no step ends it early or
# prolongs it, and no task has two holders. Due times and dies_at are times of the wall clock: a step forward makes them
# due, a step back fires nothing twice. B27, B29, C22, C39, K12.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use Test::More;
use Time::HiRes qw(time);

my $day = 86400;
my $node = new_node('clock', clock => 1, conf => "log_statement = none\npgqueue.max_workers = 2");
sub sql { return $node->safe_psql('postgres', @_); }
sub status { my ($id) = @_; return sql("SELECT status FROM pgqueue.task WHERE id = $id"); }
# Sets the clock and has the scheduler look at its leases: another one ends.
sub step
{
    my ($seconds, $name) = @_;
    set_clock($node, $seconds);
    my $n = 1 + sql(q{SELECT count(*) FROM pgqueue.task_attempt WHERE queue = 'poke' AND error_code = 'PQ101'});
    sql(q{SELECT pgqueue.create_task('poke', '1')});
    ok(wait_for($node, 'postgres', q{SELECT count(*) FROM pgqueue.next_task('p', 'poke', '100 ms')}, '1', 20),
        "$name: a task is ready at once");
    ok(wait_for($node, 'postgres', <<~'SQL', $n, 20), "$name: a lease given after it ends");
        SELECT count(*) FROM pgqueue.task_attempt WHERE queue = 'poke' AND error_code = 'PQ101'
        SQL
    return;
}
# Id and receipt of a new task of queue q, held for this long.
sub held
{
    my ($lease, $more) = @_;
    my $id = sql('SELECT pgqueue.create_task(' . "'q', '1'" . ($more // '') . ')');
    my $got = sql("SELECT id, receipt FROM pgqueue.next_task('w', 'q', '$lease')");
    my ($task, $receipt) = split /\|/, $got;
    is($task, $id, "a task is held for $lease");
    return ($id, $receipt);
}

sql(q{SELECT FROM pgqueue.create_queue('q', ttl => '0', retries => 5)});
sql(q{SELECT FROM pgqueue.create_queue('poke', ttl => '0', retries => 1000)});
sql(q{SELECT FROM pgqueue.create_queue('server', ttl => '0')});
sql('CREATE TABLE ran (what text)');
ok(wait_for($node, 'postgres', <<~'SQL', '1', 20), 'the scheduler runs');
    SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pgqueue scheduler'
    SQL

# Forward by a day.
my ($long, $long_receipt) = held('1 h');
my $before = time();
my ($short) = held('4 s');
my ($dies) = held('30 days', ", ttl => '2 h'");
my $delayed = sql(q{SELECT pgqueue.create_task('q', '"delayed"', delay => '1 h')});
sql(q{SELECT pgqueue.create_task('server', command => $$INSERT INTO ran VALUES ('an hour later')$$, delay => '1 h')});
step($day, 'a day forward');
is(status($long), 'retained', 'K12: a step forward ends no lease');
SKIP: {
    skip 'the machine is too slow', 1 if time() - $before > 4;
    is(status($short), 'retained', 'not a short one either');
}
ok(wait_for($node, 'postgres', "SELECT status FROM pgqueue.task WHERE id = $short", 'retry', 20), 'which ends');
cmp_ok(time() - $before, '>=', 4, 'after its length');
ok(wait_for($node, 'postgres', "SELECT status, error_code FROM pgqueue.task WHERE id = $dies", 'expired|PQ106', 20),
    'C22: what had to be finished by a time that has passed is expired, also when it is held');
is(sql("SELECT string_agg(id::text, ' ' ORDER BY id) FROM pgqueue.next_tasks('w2', '{q}', 10)"), "$short $delayed",
    'C39: a delayed task is due, the held one is not to be had');
is(sql("SELECT pgqueue.release_task($long, $long_receipt)"), 'released', 'its holder releases it');
ok(wait_for($node, 'postgres', 'SELECT count(*) FROM ran', '1', 20), 'a delayed command has run');
is(sql(<<~'SQL'), 'released released', 'all others are released');
    SELECT string_agg(pgqueue.release_task(id, receipt), ' ') FROM pgqueue.task
    WHERE queue = 'q' AND status = 'retained'
    SQL

# Back by a day: what was given before ends, what was given after it too; an extension counts from its moment.
my $ready = sql(q{SELECT pgqueue.create_task('q', '"ready"', delayed_at => now() + interval '1 h', priority => 200)});
my ($extended, $extended_receipt) = held('1 h');
$before = time();
my ($kept) = held('2 s');
step(0, 'a day back');
like(sql("SELECT pgqueue.extend_task($extended, $extended_receipt, '2 s') - clock_timestamp()"), qr/^00:00:01/,
    'an extension by 2 s');
ok(wait_for($node, 'postgres', "SELECT status FROM pgqueue.task WHERE id = $kept", 'retry', 20),
    'B27: a lease given before a step back ends');
cmp_ok(time() - $before, '>=', 2, 'after its length');
ok(wait_for($node, 'postgres', "SELECT status FROM pgqueue.task WHERE id = $extended", 'retry', 20),
    'and an extended one');
is(sql("SELECT string_agg(id::text, ' ' ORDER BY id) FROM pgqueue.next_tasks('w2', '{q}', 10)"), "$extended $kept",
    'both are given again');
is(sql(<<~"SQL"), '2', 'each was lost once');
    SELECT count(*) FROM pgqueue.task_attempt
    WHERE queue = 'q' AND task_id IN ($extended, $kept) AND error_code = 'PQ101'
    SQL
is(sql('SELECT count(*) FROM ran'), '1', 'no command runs twice');

# Due, then not due any more: ready before the step back, given after its time.
set_clock($node, $day + 7200);
step($day + 7200, 'forward again');
step(0, 'back again');
is(sql(q{SELECT count(*) FROM pgqueue.next_task('w', 'q')}), '0',
    'what was due before the step back is not given before its time');
step($day + 7200, 'forward once more');
ok(wait_for($node, 'postgres', q{SELECT string_agg(id::text, ' ') FROM pgqueue.next_task('w', 'q')}, $ready, 20),
    'and once when it has come');
is(sql(q{SELECT count(*) FROM pgqueue.next_task('w', 'q')}), '0', 'not twice');

# A step that nobody asks anything after: the launcher sees it, at the latest a minute later; here something else wakes
# it.
sql(q{SELECT pgqueue.create_task('server', command => $$INSERT INTO ran VALUES ('much later')$$, delay => '1 h')});
set_clock($node, 3 * $day);
kill('HUP', pid_of($node, 'pgqueue launcher'));
ok(wait_for($node, 'postgres', 'SELECT count(*) FROM ran', '2', 20),
    'C39: a step forward is noticed by an idle server');
sql(q{SELECT pgqueue.create_task('server', command => $$INSERT INTO ran VALUES ('after it')$$)});
set_clock($node, 0);
sql(q{SELECT pgqueue.create_task('server', command => $$INSERT INTO ran VALUES ('back')$$)});
ok(wait_for($node, 'postgres', 'SELECT count(*) FROM ran', '4', 20), 'after a step back commands run on');

# A restart in another time: leases last for their full length from it.
($long, $long_receipt) = held('1 h');
$before = time();
($short) = held('2 s');
set_clock($node, -$day);
$node->stop('immediate');
$node->start;
wait_up($node);
ok(wait_for($node, 'postgres', "SELECT status FROM pgqueue.task WHERE id = $short", 'retry', 20),
    'after a restart a day earlier a lease ends');
cmp_ok(time() - $before, '>=', 2, 'not before its length');
is(sql("SELECT pgqueue.release_task($long, $long_receipt)"), 'released', 'and a long one holds');
counters_right($node, 'postgres', 'after all steps');
done_testing();
