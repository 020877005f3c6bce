# Random steps of 8 sessions with kills and restarts between, checked against a model (B17, B49, C14, C19, C20, C23,
# C47, K12). Every step writes what it did into a journal in its own transaction, so the journal is the truth whoever
# dies. At quiet points nothing is lost, no task was held twice under a valid lease, each task is as its last step left
# it, the counts are those of the rows, and every waiting task can be had.
#   PGQUEUE_MODEL_SECONDS  length, default 12     PGQUEUE_MODEL_SEED  repeat a run (steps; the timing is the machine's)
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $seconds = $ENV{PGQUEUE_MODEL_SECONDS} // 12;
my $seed = $ENV{PGQUEUE_MODEL_SEED} // int(time() * 1000) % 1_000_000_000;
srand($seed);
note("PGQUEUE_MODEL_SEED=$seed PGQUEUE_MODEL_SECONDS=$seconds");

my $node = new_node('model',
    conf => "max_connections = 40\nlog_statement = none\nlog_min_messages = log\npgqueue.segment_size = 1MB\n"
    . "deadlock_timeout = 50ms");
sub sql { return $node->safe_psql('postgres', @_); }
sql(<<~'SQL');
    SELECT pgqueue.create_queue('a', ttl => '0', retry_delay => '20 ms', lease => '300 ms', retries => 20,
        on_finish => 'delete'),
        pgqueue.create_queue('b', ttl => '0', retry_delay => '20 ms', lease => '1 s', retries => 1),
        pgqueue.create_queue('m', ttl => '0', max_running => 4, lease => '200 ms', retries => 50),
        pgqueue.create_queue('g', ttl => '0', lease => '300 ms', retries => 20, retry_delay => '20 ms');
    CREATE TABLE journal (n bigserial, kind text, worker text, id bigint, receipt bigint, attempt int, queue text,
        bound boolean, until timestamptz, at timestamptz DEFAULT clock_timestamp(),
        xid xid8 DEFAULT pg_current_xact_id());
    CREATE INDEX ON journal (id);
    CREATE INDEX ON journal (worker, kind, n);
    CREATE TABLE boot (at timestamptz);
    SQL

# Enough rows for a rotation.
sql(q{SELECT pgqueue.create_queue('fill', ttl => '0', lease => '500 ms')});
sql(<<~'SQL');
    INSERT INTO journal (kind, id, queue)
    SELECT 'created', c, 'fill'
    FROM pgqueue.create_tasks('fill', array_fill(to_jsonb(repeat('-', 600)), ARRAY[3000])) c
    SQL

my @sessions = map { session($node) } 0 .. 7;
my %steps;    # how often each kind was sent
sub one_of { return $_[rand @_]; }
# Writes the first n columns of the journal.
sub record
{
    my ($n, $what) = @_;
    return 'INSERT INTO journal (' . join(', ', (qw(kind worker id receipt attempt queue bound until))[0 .. $n - 1])
        . ") $what";
}

# Takes the last few tasks of the worker that nobody knows to be over; others' too now and then.
sub held
{
    my ($w) = @_;
    my $limit = 1 + int(rand(4));
    return <<~"SQL";
        (
            SELECT array_agg(id) AS ids, array_agg(receipt) AS receipts
            FROM (SELECT id, receipt FROM journal WHERE kind = 'got' AND worker = '$w' ORDER BY n DESC LIMIT $limit) l
        ) h
        SQL
}
sub ended
{
    my ($w, $kind, $call) = @_;
    my $held = held($w);
    return record(4, <<~"SQL");
        SELECT '$kind', '$w', r.id, h.receipts[array_position(h.ids, r.id)]
        FROM $held, LATERAL pgqueue.$call r
        WHERE r.status IS NOT NULL AND h.ids IS NOT NULL
        SQL
}
sub some
{
    my $offset = int(rand(40));
    return "(SELECT id FROM journal WHERE kind = 'created' ORDER BY n DESC OFFSET $offset LIMIT 1)";
}
my %make = (
    create => sub {
        my ($w) = @_;
        my ($q, $n, $p) = (one_of(qw(a b m g)), 1 + int(rand(5)), 100 + int(rand(3)));
        my $numbers = "generate_series(1, $n) g";
        my $keys = $q eq 'g' ? ", group_keys => ARRAY(SELECT 'k' || (g * " . int(rand(7)) . ") % 4 FROM $numbers)" : '';
        my $delay = one_of("NULL", "'30 ms'");
        return record(6, <<~"SQL");
            SELECT 'created', '$w', c, NULL::bigint, NULL::int, '$q'
            FROM pgqueue.create_tasks('$q', ARRAY(SELECT to_jsonb(g || repeat('-', 500)) FROM $numbers),
                priority => $p, delay => $delay$keys) c
            SQL
    },
    retain => sub {
        my ($w) = @_;
        my $bound = rand() < 0.2 ? 'true' : 'false';
        my $queues = one_of("'{a}'", "'{a,b}'", "'{m}'", "'{g}'", 'NULL');
        my $n = 1 + int(rand(6));
        my $lease = one_of('NULL', "'100 ms'", "'2 s'");
        return record(8, <<~"SQL");
            SELECT 'got', '$w', t.id, t.receipt, t.attempt, t.queue, $bound, t.lease_until
            FROM pgqueue.next_tasks('$w', $queues, $n, $lease, $bound) t
            SQL
    },
    release => sub { return ended($_[0], 'released', 'release_tasks(h.ids, h.receipts, skip_lost => true)'); },
    fail => sub {
        my ($retry_in, $final) = (one_of('NULL', "'0'"), one_of('false', 'false', 'true'));
        return ended($_[0], 'failed',
            "fail_tasks(h.ids, h.receipts, retry_in => $retry_in, final => $final, skip_lost => true)");
    },
    snooze => sub {
        my $delay = one_of("'0'", "'30 ms'");
        return ended($_[0], 'snoozed', "snooze_tasks(h.ids, h.receipts, $delay, true)");
    },
    extend => sub {
        my ($w) = @_;
        my $held = held($w);
        return record(8, <<~"SQL");
            SELECT 'extended', '$w', r.id, h.receipts[array_position(h.ids, r.id)], NULL::int, NULL, NULL::boolean,
                r.lease_until
            FROM $held, LATERAL pgqueue.extend_tasks(h.ids, h.receipts, '500 ms', true) r
            WHERE r.lease_until IS NOT NULL AND h.ids IS NOT NULL
            SQL
    },
    cancel => sub {
        my ($why, $some) = (one_of('', ", 'why'"), some());
        return record(3, <<~"SQL");
            SELECT kind, '$_[0]', id
            FROM (SELECT i.id, pgqueue.cancel_task(i.id$why) AS kind FROM $some i OFFSET 0) c
            WHERE kind = 'cancelled'
            SQL
    },
    retry => sub {
        my $some = some();
        return record(3, <<~"SQL");
            SELECT 'revived', '$_[0]', id
            FROM (SELECT i.id, pgqueue.retry_task(i.id) FROM $some i OFFSET 0) c
            SQL
    },
);
my @weighted = (('create') x 4, ('retain') x 8, ('release') x 6, ('fail') x 3, ('snooze') x 2, ('extend') x 2, 'cancel',
    'retry');
sub step { my ($w) = @_; my $kind = one_of(@weighted); $steps{$kind}++; return $make{$kind}->($w) . ";\n"; }

# One transaction of some steps: committed, rolled back, or with a part of it rolled back.
sub block
{
    my ($w) = @_;
    my $sql = "BEGIN;\n" . step($w);
    $sql .= "SAVEPOINT s;\n" . step($w) . step($w) . one_of("ROLLBACK TO s;\n", "RELEASE s;\n") if rand() < 0.3;
    $sql .= step($w) if rand() < 0.5;
    return $sql . (rand() < 0.2 ? 'ROLLBACK' : 'COMMIT');
}

sub settle
{
    my ($i) = @_;
    my $said = eval { $sessions[$i]->query('SELECT 1') };
    $sessions[$i] = session($node) unless defined $said;
    $said //= '1';
    # What may happen: a deadlock, a task that is finished or deleted by now, a killed session.
    my $may_be = qr/deadlock\ detected|cannot\ be\ retried|task\ \d+\ does\ not\ exist
        |current\ transaction\ is\ aborted|savepoint\ "s"\ does\ not\ exist/x;
    my @bad = grep { /^(psql:\S+ )?ERROR:/ && !/$may_be/ } split /\n/, $said;
    fail("a step: $_") for @bad;
    return;
}

sub restart
{
    my ($mode) = @_;
    $_->close for @sessions;
    $node->stop($mode);
    sql_free_start();
    @sessions = map { session($node) } 0 .. 7;
    return;
}
sub sql_free_start
{
    $node->start;
    wait_up($node);
    sql('INSERT INTO boot VALUES (pg_postmaster_start_time())');
    return;
}

my %allowed = (created => 'new', got => 'retained retry failed new', released => 'released', failed => 'retry failed',
    snoozed => 'retry', cancelled => 'cancelled', revived => 'new retry');
sub check
{
    my ($when) = @_;
    my $before = Test::More->builder->is_passing;
    is(sql(<<~'SQL'), '0', "$when: nothing is lost; what is deleted with its release is gone");
        SELECT count(*) FROM journal j
        WHERE kind = 'created'
            AND EXISTS (SELECT FROM pgqueue.task t WHERE t.id = j.id) = (queue = 'a'
                AND EXISTS (SELECT FROM journal r WHERE r.id = j.id AND r.kind = 'released'))
        SQL
    is(sql(<<~'SQL'), '0', "$when: nothing came from nowhere");
        SELECT count(*) FROM pgqueue.task t
        WHERE namespace = 'default' AND NOT EXISTS (SELECT FROM journal j WHERE j.id = t.id AND kind = 'created')
        SQL
    my $cases = join(' ',
        map { my $s = join(',', map { "'$_'" } split / /, $allowed{$_}); "WHEN '$_' THEN t.status IN ($s)" }
        sort keys %allowed);
    is(sql(<<~"SQL"), '', "$when: each task is as its last step left it");
        SELECT string_agg(concat_ws(' ', t.id, l.kind, t.status), ', ')
        FROM pgqueue.task t
        JOIN (SELECT DISTINCT ON (id) id, kind FROM journal WHERE kind <> 'extended' ORDER BY id, n DESC) l USING (id)
        WHERE NOT CASE l.kind $cases END
        SQL
    is(sql(<<~'SQL'), '', "$when: none was released twice");
        SELECT string_agg(id::text, ' ')
        FROM (SELECT id FROM journal j WHERE kind = 'released' GROUP BY id HAVING count(*) > 1) d
        SQL
    # Between two retains of a task the first one's lease was ended, by its holder or a cancel, by time, with its
    # session or by a restart.
    is(sql(<<~'SQL'), '', "$when: no task was held twice under a valid lease");
        SELECT string_agg(concat_ws(' ', g.id, g.attempt, g.until, x.at), ', ')
        FROM (
            SELECT g.*, lead(n) OVER w AS next, lead(at) OVER w AS next_at
            FROM journal g
            WHERE kind = 'got'
            WINDOW w AS (PARTITION BY id ORDER BY n)
        ) g,
            LATERAL (
                SELECT g.next_at AS at,
                    (
                        SELECT e.until FROM journal e
                        WHERE e.id = g.id AND e.receipt = g.receipt AND e.until IS NOT NULL
                        ORDER BY e.n DESC LIMIT 1
                    ) AS until
            ) x
        WHERE g.next IS NOT NULL
            AND NOT g.bound
            AND x.at < x.until
            AND NOT EXISTS (
                SELECT FROM journal e
                WHERE e.id = g.id AND e.n BETWEEN g.n AND g.next
                    AND (e.receipt = g.receipt AND e.kind IN ('failed', 'snoozed') OR e.kind = 'cancelled')
            )
        SQL
    is(sql(<<~'SQL'), '0', "$when: only holders ended attempts");
        SELECT count(*) FROM journal e
        WHERE kind IN ('released', 'failed', 'snoozed', 'extended')
            AND NOT EXISTS (
                SELECT FROM journal g
                WHERE g.kind = 'got' AND g.id = e.id AND g.receipt = e.receipt AND g.worker = e.worker
            )
        SQL
    is(sql(<<~'SQL'), '', "$when: every attempt was counted");
        SELECT string_agg(concat_ws(' ', id, attempt), ', ')
        FROM (SELECT id, attempt FROM journal WHERE kind = 'got' AND NOT bound GROUP BY 1, 2 HAVING count(*) > 1) d
        SQL
    # Of a group one task is held at a time: between retains of two of them the first one's lease was ended, as above.
    is(sql(<<~'SQL'), '', "$when: of each group one task at a time");
        WITH got AS (
            SELECT g.*, t.group_key FROM journal g
            JOIN pgqueue.task t USING (id)
            WHERE g.kind = 'got' AND g.queue = 'g' AND t.group_key IS NOT NULL
        )
        SELECT string_agg(concat_ws(' ', id, attempt, next_id), ', ')
        FROM (
            SELECT *, lead(n) OVER w AS next, lead(at) OVER w AS next_at, lead(id) OVER w AS next_id
            FROM got
            WINDOW w AS (PARTITION BY group_key ORDER BY n)
        ) g
        WHERE next IS NOT NULL
            AND NOT bound
            AND next_at < (
                SELECT e.until FROM journal e
                WHERE e.id = g.id AND e.receipt = g.receipt AND e.until IS NOT NULL
                ORDER BY e.n DESC LIMIT 1
            )
            AND NOT EXISTS (
                SELECT FROM journal e
                WHERE e.id = g.id AND e.n BETWEEN g.n AND g.next
                    AND (e.receipt = g.receipt AND e.kind IN ('released', 'failed', 'snoozed') OR e.kind = 'cancelled')
            )
        SQL
    # And in order: of two that were created together the first one is taken first, or cancelled before.
    is(sql(<<~'SQL'), '', "$when: groups in strict order");
        WITH t AS (
            SELECT c.id, c.xid, t.group_key,
                (SELECT min(n) FROM journal g WHERE g.id = c.id AND g.kind = 'got') AS taken,
                (SELECT min(n) FROM journal g WHERE g.id = c.id AND g.kind IN ('got', 'cancelled')) AS begun
            FROM journal c
            JOIN pgqueue.task t USING (id)
            WHERE c.kind = 'created' AND t.group_key IS NOT NULL
        )
        SELECT string_agg(concat_ws(' ', a.id, b.id), ', ')
        FROM t a
        JOIN t b ON a.xid = b.xid AND a.group_key = b.group_key AND a.id < b.id
        WHERE b.taken IS NOT NULL AND (a.begun IS NULL OR a.begun > b.taken)
        SQL
    my $differ = <<~'SQL';
        SELECT string_agg(d::text, ' ')
        FROM (TABLE counted EXCEPT TABLE rows UNION ALL (TABLE rows EXCEPT TABLE counted)) d
        SQL
    ok(wait_for($node, 'postgres', <<~"SQL", '', 5), "$when: counts are those of the rows");
        WITH rows AS (SELECT queue, status, count(*) FROM pgqueue.task GROUP BY 1, 2),
            counted AS (SELECT queue, status, count FROM pgqueue.queue_status WHERE count <> 0) $differ
        SQL
    # All leases end by themselves, also those whose sessions are gone.
    $_->close for @sessions;
    ok(wait_for($node, 'postgres', q{SELECT count(*) FROM pgqueue.task WHERE status = 'retained'}, '0', 15),
        "$when: all leases end");
    sql(q{SELECT pgqueue.retry_task(id) FROM pgqueue.task WHERE status = 'retry'});
    wait_for($node, 'postgres', <<~'SQL', '0', 20);
        SELECT count(*) FROM pgqueue.task WHERE status IN ('new', 'retry') AND delayed_at > clock_timestamp()
        SQL
    my $waiting = q{SELECT count(*) FROM pgqueue.task WHERE queue IN ('a', 'b') AND status IN ('new', 'retry')};
    ok(wait_for($node, 'postgres', <<~"SQL", 't', 20),
        BEGIN;
        SELECT count(*) = ($waiting) FROM pgqueue.next_tasks('check', '{a,b}', 10000);
        ROLLBACK
        SQL
        "$when: all that waits is handed out, and given back by the roll back");
    # One of each group, but for those whose head waits for its time.
    my $groups = q{SELECT count(DISTINCT group_key) FROM pgqueue.task WHERE queue = 'g' AND status IN ('new', 'retry')};
    ok(wait_for($node, 'postgres', <<~"SQL", 't', 20), "$when: each group hands out its head");
        BEGIN;
        SELECT count(*) = ($groups) FROM pgqueue.next_tasks('check', '{g}', 10000);
        ROLLBACK
        SQL
    my $limited = sql(q{SELECT least(4, count(*)) FROM pgqueue.task WHERE queue = 'm' AND status IN ('new', 'retry')});
    is(sql(<<~'SQL'), $limited, "$when: max_running has its places");
        BEGIN;
        SELECT count(*) FROM pgqueue.next_tasks('check', '{m}', 100);
        ROLLBACK
        SQL
    @sessions = map { session($node) } 0 .. 7;
    return;
}

my ($began, $round, $checks) = (time(), 0, 0);
my $checked = $began;
while (time() - $began < $seconds && Test::More->builder->is_passing)
{
    $round++;
    $sessions[$_]->send(block("s$_")) for 0 .. 7;
    if (rand() < 0.05)
    {
        $steps{kill}++;
        sql(<<~'SQL');
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
            ORDER BY random() LIMIT 1
            SQL
    }
    settle($_) for 0 .. 7;
    if (time() - $checked > ($seconds < 240 ? $seconds / 4 : 60))
    {
        check('round ' . $round);
        my $mode = one_of('immediate', 'fast');
        $steps{"restart $mode"}++;
        restart($mode);
        $checked = time();
    }
}
check('the end');
note(join(', ', "$round rounds", map { "$_ $steps{$_}" } sort keys %steps));
cmp_ok(sql(q{SELECT count(DISTINCT kind) FROM journal}), '==', 8, 'every kind of step was done');
cmp_ok(sql(q{SELECT max(generation) FROM pgqueue_internal.ring}), '>', 0, 'segments were rotated meanwhile');
cmp_ok(sql(q{SELECT count(*) FROM journal}), '>', 100 * $seconds / 12, 'and a lot of them');
$_->close for @sessions;
check_invariants($node, 'postgres', 'the end');
$node->stop('immediate');
diag("PGQUEUE_MODEL_SEED=$seed") unless Test::More->builder->is_passing;
done_testing();
