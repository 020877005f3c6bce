# T1: whatever a user's open transaction holds, the others go on. A session takes each lock mode on each table of ours
# (the catalog lists them), and each row lock on each kind of row of namespace "held". Meanwhile in namespace "other"
# tickers fire, delayed tasks become due, SQL tasks run, leases end and finished tasks go. Where a lock on a whole table
# makes something impossible, the table below says what. Then nothing is lost, the rest goes on, and what was owed is
# done within a second of the lock's end. docs/internals/engine.md
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = new_node('held',
    conf => "log_statement = none\nlog_min_messages = log\npgqueue.max_workers = 2\n"
    . "pgqueue.worker_idle_timeout = '10min'\nautovacuum = off");
sub sql { return $node->safe_psql('postgres', @_); }
my ($probe, $holder, $app) = map { session($node) } 1 .. 3;
sub scheduler { return pid_of($node, 'pgqueue scheduler', 'postgres'); }

# What each table keeps from going on: by a lock that stops readers, and by one that stops writers only. What is not
# named here, a new table too, stops nothing. A segment, and the ends of attempts beside it, is one that has tasks.
my %stops = (
    'segment' => { read => [qw(tasks tickers leases cleaning)], write => [qw(tasks tickers leases cleaning)] },
    'outcome' => { read => [qw(tasks leases cleaning)], write => [qw(tasks leases cleaning)] },
    'ticker' => { read => [qw(tickers)] },
    'ticker_state' => { read => [qw(tickers)], write => [qw(tickers)] },
    'ticker_run' => { read => [qw(tickers)], write => [qw(tickers)] },
    # A new process reads them before it does anything, and everybody does after a change of the configuration.
    (map { $_ => { read => [qw(tasks tickers leases cleaning pauses)] } } qw(namespace namespace_grant)),
    'queue' => { read => [qw(tasks tickers leases cleaning pauses)], write => [qw(pauses)] },
    'ring' => { read => [qw(cleaning)] },
);

sql(<<~'SQL');
    SELECT FROM pgqueue.create_namespace('other');
    SELECT FROM pgqueue.create_namespace('held');
    CREATE ROLE owner_1;
    GRANT pgqueue_user TO owner_1;
    SELECT FROM pgqueue.create_namespace('renamed');
    SELECT FROM pgqueue.update_namespace('renamed', owner => 'owner_1')
    SQL
for my $ns ('other', 'held')
{
    sql(<<~"SQL");
        SELECT pgqueue.create_queue('run', executor => 'server', on_finish => 'keep', retention => '0', ttl => '0',
            namespace => '$ns'),
            pgqueue.create_queue('out', retries => 1000, retry_delay => '0', ttl => '0', namespace => '$ns'),
            pgqueue.create_queue('gone', on_finish => 'keep', ttl => '0', retention => '1 s', namespace => '$ns'),
            pgqueue.create_queue('old', on_finish => 'archive', ttl => '0', retention => '1 s', namespace => '$ns'),
            pgqueue.create_queue('paused', executor => 'server', ttl => '0', namespace => '$ns')
        SQL
    # The shortest period is a second: four of them, a quarter apart.
    sql(<<~"SQL");
        SELECT pgqueue.create_ticker('beat_' || i, 'run', period => '1 s', command => 'SELECT 1',
            starts_at => date_trunc('second', now()) + i * interval '250 ms', namespace => '$ns')
        FROM generate_series(0, 3) i
        SQL
}
my %queue = map { split /\|/ } split /\n/, sql(<<~'SQL');
    SELECT n.name || '.' || q.name || '|' || q.id FROM pgqueue_internal.queue q
    JOIN pgqueue_internal.namespace n ON n.id = q.namespace_id
    SQL
# Rows of all kinds in namespace held: tasks of each status with outcomes, a batch and one that waits for it, a
# dependency, keys, a handler.
sql(<<~'SQL');
    SET pgqueue.namespace = 'held';
    CREATE FUNCTION noted(jsonb) RETURNS jsonb LANGUAGE sql AS 'SELECT $1';
    SELECT pgqueue.create_handler('kind', 'public.noted');
    SELECT pgqueue.grant_namespace('held', 'use', 'owner_1');
    SELECT pgqueue.create_task('out', '1', dedup_key => 'k', delay => '1 day');
    SELECT pgqueue.create_task('out', '2', batch_key => 'b', delay => '1 day');
    SELECT pgqueue.create_task('out', '3', depends_on_batch => 'b');
    SELECT pgqueue.create_task('out', '4',
        depends_on => (SELECT array_agg(id) FROM pgqueue.task WHERE queue = 'out' AND batch_key = 'b'));
    SELECT pgqueue.create_task('old', '1'), pgqueue.create_task('gone', '1')
    SQL
ok(wait_for($node, 'postgres', <<~'SQL', 'retry'), 'a task has an outcome');
    SELECT pgqueue.fail_task(id, receipt, 'no', retry_in => '1 day')
    FROM pgqueue.next_task('w', 'gone', namespace => 'held')
    SQL
ok(wait_for($node, 'postgres', <<~'SQL', 'released'), 'another one is finished');
    SELECT pgqueue.release_task(id, receipt) FROM pgqueue.next_task('w', 'old', namespace => 'held')
    SQL
sql(q{SELECT pgqueue_internal.clean(1000000000, now() + interval '1 min')});
is(sql('SELECT count(*) > 0 FROM pgqueue_internal.archive'), 't', 'and in the archive');

# Numbers of shared memory, which nobody's lock hides: tasks of a queue by status.
sub counted
{
    my ($of, @status) = @_;
    my $in = join(', ', @status);
    my $sum = 'SELECT sum(c.count) FROM pgqueue_internal.queue_counts() c';
    return "coalesce(($sum WHERE c.queue_id = $queue{$of} AND c.status IN ($in)), 0)";
}
my %new = (new => 0, retry => 1, retained => 2, released => 3);
# What has been done in a namespace, as numbers that grow: tasks that ran, and those that tickers made.
sub fired { my ($ns) = @_; return $probe->query('SELECT ' . counted("$ns.run", 0 .. 6)); }
sub done { my ($ns) = @_; return $probe->query('SELECT ' . counted("$ns.run", $new{released})); }
ok(wait_until(sub { done('other') > 3 && done('held') > 3 }, 60), 'tickers fire and their tasks run');

# Calls code until it is true, for so many seconds.
sub in_time
{
    my ($name, $seconds, $code) = @_;
    my $begin = time();
    my $ok = wait_until($code, $seconds);
    ok($ok, $name) or diag(sprintf('%.1f s', time() - $begin));
    return $ok;
}

# A lease of 50 ms that ends.
sub lease
{
    my ($ns) = @_;
    $app->query("SELECT pgqueue.create_task('out', '5', priority => 1, namespace => '$ns')");
    my $take = "SELECT count(*) FROM pgqueue.next_task('w', 'out', lease => '50 ms', namespace => '$ns')";
    return wait_until(sub { $app->query($take) eq '1' }, 5);
}
sub leases_over { my ($ns) = @_; return $probe->query('SELECT ' . counted("$ns.out", $new{retained})) eq '0'; }
# A task for the housekeeper to take away.
sub finish
{
    my ($ns) = @_;
    $app->query("SELECT pgqueue.create_task('gone', '6', priority => 1, namespace => '$ns')");
    my $release = "SELECT pgqueue.release_task(id, receipt) FROM pgqueue.next_task('w', 'gone', namespace => '$ns')";
    return wait_until(sub { $app->query($release) eq 'released' }, 5);
}
sub clean { return $probe->query(q{SELECT pgqueue_internal.clean(1000000000, now() + interval '1 min')}); }

# Begins something of each kind in a namespace that ends while the lock is held.
sub begin_all
{
    my ($ns) = @_;
    finish($ns) or diag("nothing to release in $ns");
    lease($ns) or diag("no lease in $ns");
    return;
}

my $paused = <<~'SQL';
    SELECT count(*) FROM pgqueue_internal.queue q
    JOIN pgqueue_internal.namespace n ON n.id = q.namespace_id
    WHERE q.paused AND n.name IN ('other')
    SQL
my $both_paused = $paused =~ s/'other'/'other', 'held'/r;
# Whether namespace other goes on while $lock is held, but for what the lock stops. Delayed tasks come from here where
# sessions can write.
my $phases = 0;
sub goes_on
{
    my ($what, $lock, @stopped) = @_;
    my %stopped = map { $_ => 1 } @stopped;
    $phases++;
    begin_all($_) for 'held', 'other';
    $app->query(<<~'SQL');
        SELECT pgqueue.pause_queue('paused', until => now() + interval '300 ms', namespace => n)
        FROM unnest('{held,other}'::text[]) n
        SQL
    my $delayed = $app->query(<<~'SQL');
        SELECT count(*)
        FROM (
            SELECT pgqueue.create_task('run', command => 'SELECT 2', delay => '100 ms', namespace => n)
            FROM unnest('{held,other}'::text[]) n
        ) d
        SQL
    my $error = $holder->query("BEGIN; $lock");
    is($error =~ /ERROR/ ? $error : '', '', "T1: $what: held");
    my ($before, $made) = (done('other'), fired('other'));
    subtest "T1: $what: others go on" => sub {
        in_time('tickers fire', 15, sub { fired('other') >= $made + 2 }) unless $stopped{tickers};
        in_time('delayed tasks become due, tasks run', 15,
            sub { done('other') > $before + ($stopped{tickers} ? 0 : 2) }) unless $stopped{tasks};
        in_time('leases end', 15, sub { leases_over('other') }) unless $stopped{leases};
        in_time('what is finished goes', 15,
            sub { clean(); return $probe->query('SELECT ' . counted('other.gone', $new{released})) eq '0' })
            unless $stopped{cleaning};
        in_time('pauses end', 15, sub { $probe->query($paused) eq '0' }) unless $stopped{pauses};
        pass('nothing is asked for') if @stopped > 4;
    };
    $holder->query('ROLLBACK');
    subtest "T1: $what: all is well soon after" => sub {
        my ($then, @made) = (time(), map { fired($_) } 'held', 'other');
        in_time('delayed tasks', 10, sub { done('held') >= $made[0] && done('other') >= $made[1] });
        in_time('tickers', 10, sub { fired('held') > $made[0] && fired('other') > $made[1] });
        in_time('leases', 10, sub { leases_over('held') && leases_over('other') });
        in_time('pauses', 10, sub { $probe->query($both_paused) eq '0' });
    };
    return;
}

my @tables = split /\n/, sql(<<~'SQL');
    SELECT relname FROM pg_class
    WHERE relnamespace = 'pgqueue_internal'::regnamespace AND relkind = 'r'
    ORDER BY relname
    SQL
cmp_ok(scalar(@tables), '>', 20, 'tables of ours: ' . @tables);
my @live = split /\n/, sql(<<~'SQL');
    SELECT DISTINCT slot FROM pgqueue_internal.segment
    UNION
    SELECT slot
    FROM pgqueue_internal.ring
    WHERE current AND slot < 4
    SQL
my %live = map { ("segment_$_" => 'segment', "outcome_$_" => 'outcome') } @live;
sub stopped { my ($table, $how) = @_; my $kind = $live{$table} // $table; return @{ $stops{$kind}{$how} // [] }; }
sub lock_all { my ($mode, @of) = @_; return join('; ', map { "LOCK TABLE pgqueue_internal.$_ IN $mode MODE" } @of); }
my $before = scheduler();

# Modes that stop nobody, on all tables at once: if all of them stop nothing, none does.
goes_on("$_ on every table", lock_all($_, @tables))
    for 'ACCESS SHARE', 'ROW SHARE', 'ROW EXCLUSIVE', 'SHARE UPDATE EXCLUSIVE';
# Those that stop writers, on all tables that may be stopped, then the strongest of them on each of the others; those
# that stop readers on each table.
my @quiet = grep { !stopped($_, 'write') } @tables;
goes_on("$_ on " . @quiet . ' tables', lock_all($_, @quiet)) for 'SHARE', 'SHARE ROW EXCLUSIVE', 'EXCLUSIVE';
goes_on("EXCLUSIVE on $_", lock_all('EXCLUSIVE', $_), stopped($_, 'write')) for grep { stopped($_, 'write') } @tables;
my @unread = grep { !stopped($_, 'read') } @tables;
goes_on('ACCESS EXCLUSIVE on ' . @unread . ' tables', lock_all('ACCESS EXCLUSIVE', @unread));
goes_on("ACCESS EXCLUSIVE on $_", lock_all('ACCESS EXCLUSIVE', $_), stopped($_, 'read'))
    for grep { stopped($_, 'read') } @tables;

# Rows: all of a table, and of those that the work of other needs its own ones only those of held.
my $of_held = q{IN (SELECT n.id FROM pgqueue_internal.namespace n WHERE n.name = 'held')};
my $tickers_of_held = "(SELECT t.id FROM pgqueue_internal.ticker t WHERE t.namespace_id $of_held)";
my $queues_of_held = "(SELECT q.id FROM pgqueue_internal.queue q WHERE q.namespace_id $of_held)";
my %rows = (
    queue => "namespace_id $of_held",
    (map { $_ => "ticker_id IN $tickers_of_held" } qw(ticker_state ticker_run)),
    # Of waiting tasks only such as nobody takes: who takes one whose row is held leaves it to the holder to hint it
    # again, which our functions do.
    (map { (
        "segment_$_" => "(status NOT IN (0, 1) OR delayed_at > now() + '1 h') AND queue_id IN $queues_of_held",
        "outcome_$_" => "id IN (SELECT s.id FROM pgqueue_internal.segment_$_ s WHERE s.queue_id IN $queues_of_held)",
    ) } 0 .. 5),
);
for my $strength ('KEY SHARE', 'SHARE', 'NO KEY UPDATE', 'UPDATE')
{
    $app->query(<<~'SQL');
        SELECT pgqueue.create_task('out', '7', delay => '1 day', namespace => 'held');
        UPDATE pgqueue.task SET dies_at = clock_timestamp() + interval '300 ms' WHERE payload = '7' AND status = 'new'
        SQL
    my @locks = map {
        my $which = $rows{$_} // 'true';
        "SELECT count(*) FROM (SELECT FROM pgqueue_internal.$_ WHERE $which FOR $strength) l"
    } @tables;
    goes_on("every row FOR $strength", join('; ', @locks));
    in_time("T1: FOR $strength: what dies meanwhile", 10,
        sub { sql(q{SELECT count(*) FROM pgqueue.task WHERE payload = '7' AND status <> 'expired'}) eq '0' });
}
is(scheduler(), $before, "T1: one scheduler through all $phases locks");

# The three ways of T1. A queue is paused while its row is being changed when the pause ends; the row of a paused queue
# is held; so is a namespace whose owner is renamed.
for my $hold (q{SELECT pgqueue.update_queue('paused', description => 'x', namespace => 'held')}, <<~'SQL')
    SELECT FROM pgqueue_internal.queue
    WHERE name = 'paused' AND namespace_id = (SELECT id FROM pgqueue_internal.namespace WHERE name = 'held')
    FOR UPDATE
    SQL
{
    $app->query(<<~'SQL');
        SELECT pgqueue.pause_queue('paused', until => now() + interval '500 ms', namespace => n)
        FROM unnest('{held,other}'::text[]) n
        SQL
    $holder->query("BEGIN; $hold");
    in_time('T1: a queue resumes while another one is held', 15,
        sub { sql($paused) eq '0' && sql($both_paused) eq '1' });
    my $now = done('other');
    in_time('T1: tickers and tasks go on', 15, sub { done('other') >= $now + 4 });
    if ($hold =~ /FOR UPDATE/)
    {
        my $pid = $holder->query('SELECT pg_backend_pid()');
        ok(wait_for($node, 'postgres', <<~'SQL', "held|paused|$pid", 20), 'T1: health names who holds it');
            SELECT namespace, queue, pid FROM pgqueue.health WHERE problem = 'owed'
            SQL
    }
    $holder->query('COMMIT');
    in_time('T1: it resumes within seconds', 10, sub { sql($both_paused) eq '0' });
}
$holder->query(q{BEGIN; SELECT FROM pgqueue_internal.namespace WHERE name = 'renamed' FOR UPDATE});
sql('ALTER ROLE owner_1 RENAME TO owner_2');
my $now = done('other');
in_time('T1: tickers and tasks go on while a renamed owner is owed', 15, sub { done('other') >= $now + 4 });
$holder->query('ROLLBACK');
ok(wait_for($node, 'postgres', <<~'SQL', 'owner_2', 15), 'T1: the name follows');
    SELECT owner_name FROM pgqueue_internal.namespace WHERE name = 'renamed'
    SQL

# Edges of tasks that wait for others: those of held are held when tasks of both namespaces end at the same moment.
my %awaited = map { $_ => sql("SELECT pgqueue.create_task('gone', '8', namespace => '$_')") } 'held', 'other';
for my $ns ('held', 'other')
{
    sql(<<~"SQL");
        SELECT count(pgqueue.create_task('run', command => 'SELECT 8', depends_on => '{$awaited{$ns}}',
            namespace => '$ns'))
        FROM generate_series(1, 5)
        SQL
}
my %receipt;
for my $ns ('held', 'other')
{
    my $take = "SELECT receipt FROM pgqueue.next_task('w', 'gone', namespace => '$ns')";
    ok($receipt{$ns} = wait_until(sub { sql($take) }, 10), "T1: what others wait for is taken in $ns");
}
$holder->query("BEGIN; SELECT FROM pgqueue_internal.dependency WHERE awaited = $awaited{held} FOR UPDATE");
my @releases = map { "SELECT pgqueue.release_task($awaited{$_}, $receipt{$_})" } 'held', 'other';
$app->query(join('; ', 'BEGIN', @releases, 'COMMIT'));
my $ran = q{SELECT count(*) FROM pgqueue.task WHERE command = 'SELECT 8' AND status = 'released' AND namespace = };
in_time('T1: tasks that wait for others become ready while edges of others are held', 15,
    sub { sql("$ran 'other'") eq '5' });
is(sql("$ran 'held'"), '0', 'T1: those do not');
$holder->query('ROLLBACK');
in_time('T1: until they are free', 10, sub { sql("$ran 'held'") eq '5' });

# Ends of attempts in a full segment: what is finished in it goes, though it cannot be emptied.
finish('other');
$holder->query('BEGIN; '
    . join('; ', map { "SELECT FROM pgqueue_internal.outcome_$_ WHERE $rows{qq(outcome_$_)} FOR KEY SHARE" } 0 .. 5));
cmp_ok(sql(q{SELECT count(*) FROM pgqueue.task_attempt WHERE namespace = 'held'}), '>', 0,
    'T1: ends of attempts are held');
sql(q{SELECT pgqueue_internal.clean(1, now() + interval '1 h')}) for 1 .. 2;
is(sql(q{SELECT count(*) FROM pgqueue.task WHERE namespace = 'other' AND queue = 'gone'}), '0',
    'T1: what others have finished goes all the same');
$holder->query('ROLLBACK');
unlike(slurp_file($node->logfile), qr/pgqueue housekeeper failed/, 'T1: no pass of the housekeeper failed');

# Who stops all tasks is named. The scheduler spends a part of its time on waiting.
%live = map { ("segment_$_" => 'segment', "outcome_$_" => 'outcome') } 0 .. 5;
sql(<<~'SQL');
    SELECT count(*)
    FROM pgqueue.create_tasks('out', array_fill('9'::jsonb, ARRAY[300]), ttl => '500 ms', namespace => 'held')
    SQL
$holder->query(lock_all('EXCLUSIVE', grep { $live{$_} } @tables) =~ s/^/BEGIN; /r);
my $pid = $holder->query('SELECT pg_backend_pid()');
ok(wait_until(sub { slurp_file($node->logfile) =~ /could not expire tasks/ }, 20), 'T1: it tries to expire tasks');
my ($samples, $waits) = (100, 0);
# Looks over more than a second: one wait is short.
$waits += $probe->query(<<~"SQL") for 1 .. $samples;
    SELECT (SELECT count(*) FROM pg_stat_activity WHERE pid = $before AND wait_event_type = 'Lock') FROM pg_sleep(0.015)
    SQL
cmp_ok($waits, '<', $samples / 3,
    "T1: the scheduler waits for locks for a part of the time only: $waits of $samples looks");
ok(wait_for($node, 'postgres', <<~"SQL", 't', 20), 'T1: health names who has the lock on a table');
    SELECT pid = $pid AND message LIKE '%ExclusiveLock on table pgqueue_internal.%'
    FROM pgqueue.health
    WHERE problem = 'owed' LIMIT 1
    SQL
$holder->query('ROLLBACK');
is(scheduler(), $before, 'T1: by the same scheduler');

# A scheduler that has to read the tasks and finds a table locked tries again after a pause, however often it is woken
# meanwhile.
$holder->query('BEGIN; ' . lock_all('ACCESS EXCLUSIVE', 'dependency'));
sql('SELECT pgqueue.adopt()');
ok(wait_until(sub { slurp_file($node->logfile) =~ /could not read its tasks/ }, 20),
    'T1: the scheduler cannot read the tasks');
for (my $end = time() + 8; time() < $end;) { $app->query('SELECT pg_reload_conf()') }
is(scheduler(), $before, 'T1: signals do not end it');
$holder->query('ROLLBACK');
my $release = q{SELECT pgqueue.release_task(id, receipt) FROM pgqueue.next_task('w', 'out', namespace => 'other')};
ok(wait_until(sub { $app->query($release) eq 'released' }, 10), 'T1: and then it has all of them');
$_->close for $probe, $holder, $app;
my @lines = slurp_file($node->logfile) =~ /pgqueue \w+ could not /g;
diag(scalar(@lines) . " lines in the log, $phases phases");
check_invariants($node, 'postgres', 'T1');
done_testing();
