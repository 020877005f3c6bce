# Tickers and the wall clock: cron slots of a zone through both changes of daylight saving time, misfire policies after
# pauses and stops, steps of the clock forward and back, jitter, start and end dates, the overlap policies. B39, B42,
# B45, C31, C43.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use POSIX qw(mktime);
use Test::More;
use Time::HiRes qw(time);
use Time::Local qw(timegm);

my $node = new_node('ticker_clock', clock => 1,
    conf => "log_statement = none\npgqueue.max_workers = 4\ntimezone = 'UTC'");
sub sql { return $node->safe_psql('postgres', @_); }
# Sets the clock of the server to a time and has its processes look.
sub go_to
{
    my ($year, $month, $day, $hour, $minute, $second) = @_;
    set_clock($node, timegm($second // 0, $minute, $hour, $day, $month - 1, $year) - time());
    kill('HUP', pid_of($node, 'pgqueue launcher'));
    return;
}
sub history
{
    my ($ticker, $format) = @_;
    $format //= 'DD HH24:MI';
    return sql(<<~"SQL");
        SELECT string_agg(to_char(slot, '$format') || CASE outcome WHEN 'fired' THEN '' ELSE ' ' || outcome END,
            ', ' ORDER BY slot)
        FROM pgqueue.ticker_run
        WHERE ticker = '$ticker'
        SQL
}
sub wait_history
{
    my ($ticker, $expected, $name, $format) = @_;
    my $got;
    my $ok = wait_until(sub { $got = history($ticker, $format); return $got eq $expected }, 30);
    return ok($ok, $name) || diag("history of $ticker: $got, expected $expected");
}

sql(q{SELECT FROM pgqueue.create_queue('out', ttl => '0')});
sql(q{SELECT FROM pgqueue.create_queue('server', executor => 'server', ttl => '0')});
ok(wait_for($node, 'postgres', <<~'SQL', '1', 20), 'the scheduler runs');
    SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pgqueue scheduler'
    SQL

# Spring in Berlin: 02:30 does not exist on 29 March 2026; the slot is at the end of the gap, 01:00 UTC.
go_to(2026, 3, 28, 0, 0);
sql(<<~'SQL');
    SELECT pgqueue.create_ticker('berlin', 'out', cron => '30 2 * * *', time_zone => 'Europe/Berlin', misfire => 'all')
    SQL
sql(<<~'SQL');
    SELECT pgqueue.create_ticker('tokyo', 'out', cron => 'CRON_TZ=Asia/Tokyo 0 6 * * *', time_zone => 'Europe/Berlin')
    SQL
is(sql(q{SELECT next_at FROM pgqueue.ticker WHERE ticker = 'berlin'}), '2026-03-28 01:30:00+00',
    'the next slot is shown');
is(sql(q{SELECT next_at FROM pgqueue.ticker WHERE ticker = 'tokyo'}), '2026-03-28 21:00:00+00',
    'B39: the zone of the text wins');
go_to(2026, 3, 28, 1, 29, 58);
wait_history('berlin', '28 01:30', 'the day before fires at 02:30 there');
go_to(2026, 3, 29, 0, 59, 58);
wait_history('berlin', '28 01:30, 29 01:00', 'B42: a slot in the gap fires at its end');
wait_history('tokyo', '28 21:00', 'and the other zone when it is time there');
go_to(2026, 3, 30, 0, 29, 58);
wait_history('berlin', '28 01:30, 29 01:00, 30 00:30', 'then at 02:30 of summer time');
# Autumn: 02:30 comes twice on 25 October; the first one counts.
go_to(2026, 10, 24, 23, 0);
sql(q{SELECT pgqueue.create_ticker('autumn', 'out', cron => '30 2 * * *', time_zone => 'Europe/Berlin')});
sql(q{SELECT pgqueue.create_ticker('hourly', 'out', cron => '@hourly', time_zone => 'Europe/Berlin')});
go_to(2026, 10, 25, 0, 29, 58);
wait_history('autumn', '25 00:30', 'the first 02:30 fires');
go_to(2026, 10, 25, 1, 29, 58);
wait_history('hourly', '25 00:00, 25 01:00', 'an hourly one goes on through the repeated hour');
go_to(2026, 10, 25, 1, 59, 59);
wait_history('hourly', '25 00:00, 25 01:00, 25 02:00', 'each hour once');
wait_history('autumn', '25 00:30', 'B42: a slot in the repeated hour fires once');
sql(q{DELETE FROM pgqueue.ticker WHERE namespace = 'default'});

# Misfire: slots that passed while the ticker was paused.
go_to(2026, 11, 1, 10, 0);
for my $policy (qw(skip one all))
{
    sql(<<~"SQL");
        SELECT pgqueue.create_ticker('p-$policy', 'out', cron => '0 * * * *', time_zone => 'UTC', misfire => '$policy',
            misfire_max => 2, paused => true)
        SQL
}
go_to(2026, 11, 1, 14, 30);
sql(q{UPDATE pgqueue.ticker SET paused = false WHERE ticker LIKE 'p-%'});
wait_history('p-skip', '01 11:00 missed, 01 12:00 missed, 01 13:00 missed, 01 14:00 missed', 'B45: misfire skip');
wait_history('p-one', '01 11:00 missed, 01 12:00 missed, 01 13:00 missed, 01 14:00', 'B45: misfire one');
wait_history('p-all', '01 11:00 missed, 01 12:00 missed, 01 13:00, 01 14:00', 'B45: misfire all, up to misfire_max');
# And while the server was down.
$node->stop('fast');
set_clock($node, timegm(0, 30, 17, 1, 10, 2026) - time());
$node->start;
wait_history('p-skip',
    '01 11:00 missed, 01 12:00 missed, 01 13:00 missed, 01 14:00 missed, 01 15:00 missed, 01 16:00 missed, '
    . '01 17:00 missed',
    'B45: skip, after a stop');
wait_history('p-one',
    '01 11:00 missed, 01 12:00 missed, 01 13:00 missed, 01 14:00, 01 15:00 missed, 01 16:00 missed, 01 17:00',
    'one, after a stop');
wait_history('p-all', '01 11:00 missed, 01 12:00 missed, 01 13:00, 01 14:00, 01 15:00 missed, 01 16:00, 01 17:00',
    'all, after a stop');
go_to(2026, 11, 1, 17, 59, 59);
wait_history('p-skip',
    '01 11:00 missed, 01 12:00 missed, 01 13:00 missed, 01 14:00 missed, 01 15:00 missed, 01 16:00 missed, '
    . '01 17:00 missed, 01 18:00',
    'skip: the next slot fires on time');
# A step forward is a time in which nobody was there; a step back fires nothing twice.
go_to(2026, 11, 1, 20, 30);
wait_history('p-one',
    '01 11:00 missed, 01 12:00 missed, 01 13:00 missed, 01 14:00, 01 15:00 missed, 01 16:00 missed, 01 17:00, '
    . '01 18:00, 01 19:00 missed, 01 20:00',
    'a step forward: misfire one');
my $then = history('p-all');
go_to(2026, 11, 1, 17, 30);
sql(q{SELECT pgqueue.create_ticker('beat', 'out', period => '1 second')});
ok(wait_for($node, 'postgres', q{SELECT count(*) >= 2 FROM pgqueue.ticker_run WHERE ticker = 'beat'}, 't', 30),
    'after a step back new tickers fire');
is(sql(q{SELECT next_at FROM pgqueue.ticker WHERE ticker = 'p-all'}), '2026-11-01 21:00:00+00',
    'the next slot of the others is the one after the last');
go_to(2026, 11, 1, 20, 59, 59);
wait_history('p-all', "$then, 01 21:00", 'B42: a clock set back fires nothing twice');
sql(q{DELETE FROM pgqueue.ticker WHERE namespace = 'default'});

# Dates of start and end.
go_to(2026, 11, 2, 8, 0);
sql(<<~'SQL');
    SELECT pgqueue.create_ticker('bounded', 'out', period => '1 hour', starts_at => '2026-11-02 09:15+00',
        ends_at => '2026-11-02 11:15+00', misfire => 'all')
    SQL
is(sql(q{SELECT next_at FROM pgqueue.ticker WHERE ticker = 'bounded'}), '2026-11-02 09:15:00+00',
    'the first slot is at starts_at');
go_to(2026, 11, 2, 10, 14, 59);
wait_history('bounded', '02 09:15, 02 10:15', 'it begins then');
go_to(2026, 11, 2, 20, 0);
wait_history('bounded', '02 09:15, 02 10:15, 02 11:15', 'and ends');
is(sql(q{SELECT next_at IS NULL FROM pgqueue.ticker WHERE ticker = 'bounded'}), 't', 'with no next slot');
sql(q{SELECT pgqueue.update_ticker('bounded', ends_at => '2026-11-02 21:15+00')});
is(sql(q{SELECT next_at FROM pgqueue.ticker WHERE ticker = 'bounded'}), '2026-11-02 20:15:00+00',
    'a later end goes on');

# Jitter: later than the slot, not more than it allows.
sql(<<~'SQL');
    SELECT pgqueue.create_ticker('j' || i, 'out', cron => '0 * * * *', time_zone => 'UTC', jitter => '3 seconds')
    FROM generate_series(1, 20) i
    SQL
go_to(2026, 11, 2, 20, 59, 59);
ok(wait_for($node, 'postgres', <<~'SQL', '20', 30), 'all fire');
    SELECT count(*) FROM pgqueue.ticker_run WHERE ticker LIKE 'j%' AND outcome = 'fired'
    SQL
is(sql(<<~'SQL'), '20 true true', 'at their slot, spread over the jitter');
    SELECT count(*) FILTER (WHERE slot = '2026-11-02 21:00+00') || ' ' || (max(fired_at) - min(fired_at) > '1 second')
        || ' ' || (min(fired_at) >= '2026-11-02 21:00+00')
    FROM pgqueue.ticker_run
    WHERE ticker LIKE 'j%'
    SQL

# Overlap, and the run limit.
go_to(2026, 11, 3, 8, 0);
sql(q{DELETE FROM pgqueue.ticker WHERE namespace = 'default'});
sql(q{SELECT pgqueue.purge_queue('out')});
sql(<<~"SQL") for qw(allow skip queue);
    SELECT pgqueue.create_ticker('o-$_', 'out', cron => '0 * * * *', time_zone => 'UTC', overlap => '$_',
        misfire => 'all')
    SQL
go_to(2026, 11, 3, 9, 0, 1);
wait_history("o-$_", '03 09:00', "overlap $_ fires") for qw(allow skip queue);
go_to(2026, 11, 3, 10, 0, 1);
wait_history('o-allow', '03 09:00, 03 10:00', 'allow: one more while the last is unfinished');
wait_history('o-skip', '03 09:00, 03 10:00 skipped', 'skip: none');
wait_history('o-queue', '03 09:00, 03 10:00', 'queue: one waits');
is(sql(q{SELECT count(*) FROM pgqueue.next_tasks('w', '{out}', 10)}), '4', 'and is not to be had');
go_to(2026, 11, 3, 11, 0, 1);
wait_history('o-queue', '03 09:00, 03 10:00, 03 11:00 skipped', 'a second one does not wait');
is(sql(<<~'SQL'), 'failed', 'the first one fails');
    SELECT string_agg(pgqueue.fail_task(id, receipt, final => true), ' ')
    FROM pgqueue.task
    WHERE ticker = 'o-queue' AND status = 'retained'
    SQL
ok(wait_for($node, 'postgres', <<~'SQL', 'o-allow', 20) && wait_for($node, 'postgres', <<~'SQL', 'o-queue', 20),
    SELECT ticker FROM pgqueue.next_task('w', 'out') n JOIN pgqueue.task t USING (id)
    SQL
    SELECT ticker FROM pgqueue.next_task('w', 'out') n JOIN pgqueue.task t USING (id)
    SQL
    'then the one that waits is ready');
sql(<<~'SQL');
    SELECT pgqueue.create_ticker('long', 'server', period => '1 hour', run_limit => '200 ms', retries => 0,
        command => 'SELECT pg_sleep(60)')
    SQL
ok(wait_for($node, 'postgres', q{SELECT last_status FROM pgqueue.ticker WHERE ticker = 'long'}, 'failed', 30),
    'C43: a run beyond the limit fails');
is(sql(q{SELECT error_code FROM pgqueue.task WHERE ticker = 'long'}), 'PQ105', 'C43: and says why');
is(sql(<<~'SQL'), '0', 'B42: no slot twice');
    SELECT count(*) FROM (SELECT ticker, slot FROM pgqueue.ticker_run GROUP BY 1, 2 HAVING count(*) > 1) d
    SQL
$node->stop('fast');
done_testing();
