package TortureLoad;
# The load of tests/tap/090_torture.pl: psql sessions that do at random everything that users can do. What a session
# does follows from its seed alone. Each task that is made and each work that is done is written into the ledger in the
# same transaction (tests/lib/ledger.sql).
use strict;
use warnings;
use Exporter 'import';
use LoadSessions;

our @EXPORT = qw(load_setup start_load stop_load load_stopped load_errors load_steps);

# Namespaces a and b have the same queues. What is made in those of @kept may neither be deleted nor vanish.
my %queues = (
    out    => "lease => '500 ms', retries => 30000",
    outdel => "lease => '500 ms', retries => 30000, on_finish => 'delete'",
    sql    => 'retries => 30000',
    sqldel => "retries => 30000, on_finish => 'delete'",
    hold   => "lease => '500 ms', retries => 30000",
    pass   => "lease => '500 ms', retries => 30000, group_policy => 'pass', group_max_running => 2, "
      . 'group_rate_limit => 300, rate_burst => 3',
    lim    => "lease => '300 ms', retries => 30000, max_running => 3",
    rate   => "lease => '500 ms', retries => 30000, rate_limit => 300, rate_burst => 5",
    aging  => "lease => '500 ms', retries => 30000, aging => '10 ms'",
    later  => "retention => '1 ms'",
    short  => "ttl => '400 ms', retention => '1 ms', lease => '200 ms', retries => 2",
    arch   => "retention => '1 ms', on_finish => 'archive', lease => '300 ms', retries => 30000",
    dl     => "retries => 1, dead_letter => 'dead', lease => '300 ms'",
    dead   => "lease => '300 ms', retries => 3",
    dep    => "lease => '500 ms', retries => 30000",
    typed  => "executor => 'server', retries => 30000, lease => '500 ms'",
    tick   => "retention => '1 ms', on_finish => 'delete'",
);
my @kept = qw(out outdel sql sqldel hold pass lim rate aging dep typed);
my @sessions = (['alice', 'a'], ['bob', 'b'], ['carol', 'a'], ['alice', 'a'], ['bob', 'b'], ['postgres', 'b']);
my $effect = 'INSERT INTO ledger.effect SELECT id, attempt FROM pgqueue.current_task()';

# What the database needs before the load.
sub load_setup
{
    my $sql = <<~'SQL';
        CREATE ROLE alice LOGIN;
        CREATE ROLE bob LOGIN;
        CREATE ROLE carol LOGIN;
        GRANT pgqueue_user TO alice, bob, carol;
        CREATE TABLE ledger.got (
            n bigserial PRIMARY KEY,
            worker text NOT NULL,
            id bigint NOT NULL,
            receipt bigint NOT NULL,
            attempt integer NOT NULL
        );
        CREATE INDEX ON ledger.got (worker, n);
        CREATE INDEX ON ledger.made (kind, id);
        CREATE TABLE ledger.scratch (i integer);
        GRANT ALL ON ledger.got, ledger.scratch, ledger.got_n_seq TO PUBLIC;
        SELECT pgqueue.create_namespace('a'), pgqueue.create_namespace('b', weight => 3);
        SELECT pgqueue.update_namespace('a', owner => 'alice'), pgqueue.update_namespace('b', owner => 'bob');
        SELECT pgqueue.grant_namespace('a', 'use,work,read', 'carol');
        CREATE FUNCTION public.work(payload jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
        BEGIN
            IF payload = '13' AND (SELECT attempt FROM pgqueue.current_task()) < 3 THEN RAISE 'not yet'; END IF;
            INSERT INTO ledger.effect SELECT id, attempt FROM pgqueue.current_task();
            RETURN payload;
        END $$;
        CREATE FUNCTION public.look(payload jsonb) RETURNS void LANGUAGE sql AS 'SELECT';
        CREATE FUNCTION public.look(payload jsonb, result jsonb) RETURNS void LANGUAGE sql AS 'SELECT';
        SQL
    for my $ns (['a', 'alice'], ['b', 'bob'])
    {
        $sql .= "SET pgqueue.namespace = $ns->[0];\n";
        for my $q (sort keys %queues)
        {
            my %settings = (ttl => "'0'", retention => "'0'", retry_delay => "'10 ms'", max_retry_delay => "'50 ms'");
            delete @settings{ $queues{$q} =~ /(\w+) =>/g };
            my $all = join(', ', $queues{$q}, map { "$_ => $settings{$_}" } sort keys %settings);
            $sql .= "SELECT pgqueue.create_queue('$q', $all);\n";
        }
        $sql .= <<~"SQL";
            SET ROLE $ns->[1];
            SELECT pgqueue.create_handler('work', 'public.work'),
                pgqueue.create_handler('work', 'public.look', phase => 'before');
            RESET ROLE;
            SQL
    }
    return $sql;
}

# ===== steps: each a statement, for the session $s =====

sub one_of { return $_[rand @_]; }
sub upto { return 1 + int(rand($_[0])); }
# Notes what is made: kind, columns of ledger.made, the call.
sub made
{
    my ($kind, $removable, $effective, $call) = @_;
    return <<~"SQL";
        INSERT INTO ledger.made (id, removable, effective, kind)
        SELECT i, $removable, $effective, '$kind'
        FROM $call i
        WHERE i IS NOT NULL
        ON CONFLICT DO NOTHING
        SQL
}
# Some task of a kind made lately.
sub some
{
    my ($kinds) = @_;
    my ($kind, $offset) = (one_of(@$kinds), int(rand(30)));
    return "(SELECT id FROM ledger.made WHERE kind = '$kind' ORDER BY id DESC OFFSET $offset LIMIT 1)";
}
# Of each task that `some` finds the function's result.
sub of_some { my ($kinds, $call) = @_; return "SELECT $call FROM " . some($kinds) . ' i'; }

sub options
{
    my ($q, $n) = @_;
    my @o;
    push @o, 'priority => ' . one_of(1, 50, 100, 101) if rand() < 0.3;
    push @o, 'delay => ' . one_of("'5 ms'", "'50 ms'", "'300 ms'") if rand() < 0.3;
    push @o, "group_keys => ARRAY(SELECT 'g' || (g * " . int(rand(9)) . ") % 4 FROM generate_series(1, $n) g)"
      if $q =~ /^(hold|pass)$/;
    push @o, "dedup_keys => ARRAY(SELECT 'd' || (g * " . upto(9) . ") % 40 FROM generate_series(1, $n) g), "
      . 'on_conflict => ' . one_of("'skip'", "'nothing'")
      if $q =~ /^(out|sql)$/ && rand() < 0.2;
    push @o, 'dedup_for => ' . one_of("'10 ms'", "'1 s'") if @o && $o[-1] =~ /dedup/ && rand() < 0.3;
    push @o, "batch_key => 'b" . int(rand(20)) . "'" if $q eq 'dep';
    push @o, "depends_on_batch => 'b" . int(rand(20)) . "', "
      . 'on_failed_dependency => ' . one_of("'cancel'", "'ignore'", "'hold'")
      if $q eq 'out' && rand() < 0.1;
    return @o ? ', ' . join(', ', @o) : '';
}

sub payloads
{
    my ($q, $most) = @_;
    my $n = upto($most);
    my $removable = $q =~ /^(short|arch|dl|v\d)$/ ? 'true' : 'false';
    my $payload = "to_jsonb(repeat('-', " . int(rand(400)) . '))';
    my $options = options($q, $n);
    return made($q, $removable, 'true',
        "pgqueue.create_tasks('$q', ARRAY(SELECT $payload FROM generate_series(1, $n) g)$options)");
}
sub commands
{
    my ($q) = @_;
    my $n = upto(8);
    my $twice_not_yet =
      q{DO 'BEGIN IF (SELECT attempt FROM pgqueue.current_task()) < 3 THEN RAISE ''not yet''; END IF; END'};
    my ($text, $effective) = @{ one_of(
        ([ $effect, 'true' ]) x 6,
        [ "SELECT pg_sleep(0.01); $effect", 'true' ],
        [ "SELECT pg_sleep(0.2); $effect", 'true' ],
        [ "$twice_not_yet; $effect", 'true' ],
        [ "SELECT pgqueue.progress(0.5); $effect", 'true' ],
        [ "SET work_mem = '1MB'; CREATE TEMPORARY TABLE t (i int); $effect", 'true' ],
        [ 'VACUUM ledger.scratch', 'false' ]) };
    $text =~ s/'/''/g;
    # One that is deleted when it is done and has no effect leaves nothing.
    my $removable = $q eq 'sqldel' && $effective eq 'false' ? 'true' : 'false';
    my $options = options($q, $n);
    return made($q, $removable, $effective,
        "pgqueue.create_tasks('$q', commands => array_fill('$text'::text, ARRAY[$n])$options)");
}

# What the session took last and may still hold.
sub held
{
    my ($s) = @_;
    my $most = upto(12);
    return <<~"SQL";
        (
            SELECT array_agg(id) AS ids, array_agg(receipt) AS receipts
            FROM (SELECT id, receipt FROM ledger.got WHERE worker = '$s->{name}' ORDER BY n DESC LIMIT $most) l
        ) h
        SQL
}
sub take
{
    my ($s) = @_;
    my $bound = rand() < 0.2 ? 'true' : 'false';
    my $lease = one_of('NULL', 'NULL', "'100 ms'", "'1 s'");
    my $q = one_of(@kept, qw(short arch dl dead later v0 v1), ('NULL') x 8);
    my $call;
    if (rand() < 0.2)
    {
        my $queue = $q eq 'NULL' ? 'NULL' : "'$q'";
        $call = "pgqueue.next_task('$s->{name}', $queue, $lease, $bound)";
    }
    else
    {
        my $queues = $q eq 'NULL' ? 'NULL' : "'{$q}'";
        my $most = one_of(1, 3, 20, 100);
        $call = "pgqueue.next_tasks('$s->{name}', $queues, $most, $lease, $bound)";
    }
    return <<~"SQL";
        INSERT INTO ledger.got (worker, id, receipt, attempt)
        SELECT '$s->{name}', t.id, t.receipt, t.attempt FROM $call t
        SQL
}
# Releases with the effect, in one statement.
sub release
{
    my ($s) = @_;
    my $held = held($s);
    return <<~"SQL";
        WITH r AS (
            SELECT r.id, h.receipts[array_position(h.ids, r.id)] AS receipt
            FROM $held, LATERAL pgqueue.release_tasks(h.ids, h.receipts, skip_lost => true) r
            WHERE r.status = 'released' AND h.ids IS NOT NULL
        )
        INSERT INTO ledger.effect SELECT DISTINCT r.id, g.attempt FROM r JOIN ledger.got g USING (id, receipt)
        SQL
}
sub end_held
{
    my ($s, $call) = @_;
    my $held = held($s);
    return "SELECT count(*) FROM $held, LATERAL pgqueue.$call r WHERE h.ids IS NOT NULL";
}

sub depending
{
    my $policy = one_of("'cancel'", "'ignore'", "'hold'");
    my $awaited = upto(3);
    return <<~"SQL";
        WITH a AS (
            SELECT array_agg(i) AS ids
            FROM pgqueue.create_tasks('dep', array_fill('1'::jsonb, ARRAY[$awaited])) i
        ), b AS (
            SELECT pgqueue.create_task('dep', '2', depends_on => a.ids, on_failed_dependency => $policy) AS i FROM a
        )
        INSERT INTO ledger.made (id, kind)
        SELECT unnest(a.ids), 'dep' FROM a UNION ALL SELECT i, 'dep' FROM b
        SQL
}

my @changes = (
    sub { 'priority = ' . upto(200) },
    sub { "delayed_at = clock_timestamp() + '" . int(rand(200)) . " ms'" },
    sub { 'delayed_at = NULL' },
    sub { "headers = '{\"h\": 1}'" },
    sub { "payload = '\"x\"'" },
    sub { "queue = '" . one_of(qw(out aging lim)) . "'" },
    sub { "status = 'retry'" },
    sub { "status = 'cancelled'" },
);
my @settings = (
    sub { 'max_running => ' . one_of(0, 2, 5) },
    sub { "description => 'd" . int(rand(9)) . "'" },
    sub { 'priority => ' . one_of(90, 100) },
    sub { 'aging => ' . one_of("'0'", "'5 ms'") },
    sub { 'retry_jitter => ' . one_of(0, 0.5) },
    sub { 'group_max_running => ' . upto(3) },
);
my $volatile = sub { return 'v' . int(rand(4)); };

# name => [weight, who may: anybody, a manager, one that works; code]. `alone`: not in a transaction block.
my %steps = (
    create  => [ 14, '', sub { payloads(one_of(qw(out outdel hold pass lim rate aging short arch dl)), 20) } ],
    command => [ 10, '', sub { commands(one_of(qw(sql sql sqldel lim rate))) } ],
    later   => [ 2, '', sub {
        my $call = "pgqueue.create_tasks('later', array_fill('1'::jsonb, ARRAY[50]), delay => '10 days')";
        return made('later', 'false', 'true', $call);
    } ],
    typed => [ 4, '', sub {
        my ($payload, $n) = (one_of(1, 1, 13), upto(8));
        my $call = "pgqueue.create_tasks('typed', array_fill('$payload'::jsonb, ARRAY[$n]), type => 'work.x')";
        return made('typed', 'false', 'true', $call);
    } ],
    insert => [ 2, '', sub {
        my $n = upto(5);
        return <<~"SQL";
            WITH t AS (
                INSERT INTO pgqueue.task (queue, payload)
                SELECT 'out', to_jsonb(g) FROM generate_series(1, $n) g
                RETURNING id
            )
            INSERT INTO ledger.made (id, kind) SELECT id, 'out' FROM t
            SQL
    } ],
    depend => [ 3, '', sub { depending() } ],
    run => [ 1, '', sub { return <<~"SQL" } ],
        WITH t AS (
            INSERT INTO ledger.made (id, kind)
            SELECT pgqueue.create_task('sql', command => '$effect'), 'sql'
            RETURNING id
        )
        SELECT pgqueue.run_task(id) FROM t
        SQL
    take    => [ 22, '', sub { take($_[0]) } ],
    release => [ 16, '', sub { release($_[0]) } ],
    fail    => [ 3, '', sub {
        my ($retry_in, $final) = (one_of('NULL', "'0'", "'20 ms'"), one_of('false', 'false', 'false', 'true'));
        return end_held($_[0],
            "fail_tasks(h.ids, h.receipts, retry_in => $retry_in, final => $final, skip_lost => true)");
    } ],
    snooze => [ 2, '', sub {
        my $delay = one_of("'0'", "'30 ms'");
        return end_held($_[0], "snooze_tasks(h.ids, h.receipts, $delay, true)");
    } ],
    extend => [ 2, '', sub { end_held($_[0], "extend_tasks(h.ids, h.receipts, '500 ms', true)") } ],
    cancel => [ 2, 'manage', sub {
        my $more = one_of('', ", 'why'", ', force => true');
        return of_some(\@kept, "pgqueue.cancel_task(i.id$more)");
    } ],
    retry => [ 2, 'manage', sub {
        my $delay = one_of("'0'", "'20 ms'");
        return of_some(\@kept, "pgqueue.retry_task(i.id, delay => $delay)");
    } ],
    update => [ 2, 'manage', sub {
        my $change = one_of(@changes)->();
        return "UPDATE pgqueue.task SET $change WHERE id = " . some([ 'out', 'aging', 'lim' ]);
    } ],
    delete     => [ 1, 'manage', sub { 'DELETE FROM pgqueue.task WHERE id = ' . some([ 'short', 'arch', 'dl' ]) } ],
    redrive    => [ 1, 'manage', sub { "SELECT pgqueue.redrive('dead', max_tasks => 20)" } ],
    clean      => [ 1, 'manage', sub { "SELECT count(*) FROM pgqueue.clean_queue('short')" } ],
    queue_make => [ 3, 'manage', sub {
        my ($q, $setting) = ($volatile->(), one_of(@settings)->());
        return "SELECT pgqueue.create_queue('$q', ttl => '0', lease => '200 ms', $setting)";
    } ],
    queue_fill => [ 2, '', sub { payloads($volatile->(), 20) } ],
    queue_drop => [ 1, 'manage', sub {
        my ($q, $force) = ($volatile->(), one_of('true', 'false'));
        return "SELECT pgqueue.delete_queue('$q', force => $force)";
    } ],
    queue_purge => [ 1, 'manage', sub {
        my ($q, $force) = ($volatile->(), one_of('true', 'false'));
        return "SELECT pgqueue.purge_queue('$q', force => $force)";
    } ],
    queue_view => [ 1, 'manage', sub {
        my $q = $volatile->();
        return one_of(
            "UPDATE pgqueue.queue SET description = 'u' WHERE queue = '$q'",
            "DELETE FROM pgqueue.queue WHERE queue = '$q'",
            "INSERT INTO pgqueue.queue (queue, ttl, lease) VALUES ('$q', NULL, '200 ms')");
    } ],
    queue_set => [ 2, 'manage', sub {
        my ($q, $setting) = (one_of(qw(out lim sql pass)), one_of(@settings)->());
        return "SELECT pgqueue.update_queue('$q', $setting)";
    } ],
    pause => [ 2, 'manage', sub {
        my ($q, $ms) = (one_of(qw(out sql hold rate)), int(rand(200)));
        return "SELECT pgqueue.pause_queue('$q', until => clock_timestamp() + '$ms ms')";
    } ],
    resume    => [ 2, 'manage', sub { "SELECT pgqueue.resume_queue('" . one_of(qw(out sql hold rate)) . "')" } ],
    namespace => [ 1, 'manage', sub {
        my ($s) = @_;
        my ($paused, $most) = (one_of('true', 'false', 'false'), one_of(0, 20));
        return one_of(
            "SELECT pgqueue.update_namespace('$s->{ns}', paused => $paused)",
            "SELECT pgqueue.update_namespace('$s->{ns}', max_running => $most)");
    } ],
    passing => [ 1, 'manage', sub {
        my ($s) = @_;
        my $n = "n$s->{name}";
        return one_of(
            "SELECT pgqueue.create_namespace('$n')",
            "SELECT pgqueue.create_queue('q', namespace => '$n'), pgqueue.create_task('q', '1', namespace => '$n')",
            "SELECT pgqueue.delete_namespace('$n', force => true)");
    } ],
    ticker => [ 1, 'manage', sub {
        my $t = 't' . int(rand(3));
        my $paused = one_of('true', 'false');
        return one_of(
            "SELECT pgqueue.create_ticker('$t', 'tick', period => '100 ms', command => 'SELECT 1')",
            "SELECT pgqueue.update_ticker('$t', paused => $paused)",
            "SELECT pgqueue.delete_ticker('$t')",
            "SELECT pgqueue.fire_ticker('$t')",
            'SELECT count(*) FROM pgqueue.next_ticker()');
    } ],
    handler => [ 1, 'manage', sub {
        return one_of(
            "SELECT pgqueue.create_handler('work', 'public.look', phase => 'after')",
            "SELECT count(*) FROM pgqueue.delete_handler('work', 'public.look', phase => 'after')");
    } ],
    wait => [ 2, 'alone', sub {
        my $ms = int(rand(40));
        return one_of("CALL pgqueue.wait_for_task(timeout => '$ms ms')", <<~'SQL');
            SELECT max(id) AS id FROM ledger.made WHERE kind = 'sql' \gset
            CALL pgqueue.wait_for_result(:id, '20 ms')
            SQL
    } ],
    read => [ 2, '', sub {
        return one_of(
            'SELECT count(*) FROM pgqueue.queue_status',
            'SELECT count(*) FROM pgqueue.health',
            'SELECT count(*) FROM pgqueue.worker',
            of_some(\@kept, '(SELECT count(*) FROM pgqueue.why(i.id))'),
            of_some(\@kept, '(SELECT count(*) FROM pgqueue.get_task(i.id))'),
            'LISTEN pgqueue_a');
    } ],
);

sub load_steps { return sort keys %steps; }

sub step
{
    my ($s, $block) = @_;
    while (1)
    {
        my $name = $s->{wheel}[rand @{ $s->{wheel} }];
        my (undef, $right, $code) = @{ $steps{$name} };
        next if $right eq 'manage' && $s->{role} eq 'carol' || $right eq 'alone' && $block;
        return $code->($s) . ";\n";
    }
}

# PREPARE is refused after any work of ours, rolled back or not; the name tells whether it was.
sub prepared
{
    my ($s) = @_;
    my $name = $s->{name} . '_' . ++$s->{prepared};
    return <<~"SQL" if rand() < 0.2;
        BEGIN;
        INSERT INTO ledger.scratch VALUES (1);
        PREPARE TRANSACTION 'plain_$name';
        COMMIT PREPARED 'plain_$name';
        SQL
    my $work = step($s, 1);
    $work = "SAVEPOINT p;\n${work}ROLLBACK TO p;\n" if rand() < 0.5;
    my $many = one_of((1, 10) x 8, 3000);
    # It is of ours only when the call came through: a cancel may be faster.
    return <<~"SQL";
        BEGIN;
        SAVEPOINT o;
        \\set made f
        SELECT count(pgqueue.create_task('out', '1')) > 0 AS made FROM generate_series(1, $many) \\gset
        ROLLBACK TO o;
        $work\\if :made
        PREPARE TRANSACTION 'ours_$name';
        \\endif
        ROLLBACK;
        SQL
}

# A transaction of some steps, whole or in part rolled back.
sub block
{
    my ($s) = @_;
    my $level = one_of('', '', '', ' ISOLATION LEVEL REPEATABLE READ', ' ISOLATION LEVEL SERIALIZABLE');
    my $sql = "BEGIN$level;\n" . step($s, 1);
    $sql .= "SAVEPOINT s;\n" . step($s, 1) . step($s, 1) . one_of("ROLLBACK TO s;\n", "RELEASE s;\n") if rand() < 0.4;
    $sql .= step($s, 1) if rand() < 0.5;
    return $sql . (rand() < 0.2 ? "ROLLBACK;\n" : "COMMIT;\n");
}

sub turn
{
    my ($s) = @_;
    return prepared($s) if rand() < $s->{prepare};
    my $sql = rand() < 0.4 ? block($s) : step($s, 0);
    return $sql if rand() >= $s->{hurry};
    my $limit = one_of('statement_timeout', 'statement_timeout', 'lock_timeout');
    return "SET $limit = '" . upto(5) . " ms';\n${sql}RESET $limit;\n";
}

# ===== processes =====

# Starts the sessions. only: names of steps, all when it is empty; hurry, prepare: how often turns have time limits and
# are prepared.
sub start_load
{
    my ($node, $db, %o) = @_;
    my %wanted = map { $_ => 1 } @{ $o{only} };
    my @wheel = map { my $name = $_; ($name) x $steps{$name}[0] } grep { !%wanted || $wanted{$_} } sort keys %steps;
    my @load;
    for my $i (0 .. $#sessions)
    {
        my ($role, $ns) = @{ $sessions[$i] };
        push @load, { name => "s$i", role => $role, ns => $ns, wheel => \@wheel, hurry => $o{hurry},
            prepare => $o{prepare}, seed => $o{seed} + 1000 * $i, begin => "SET pgqueue.namespace = '$ns';",
            turn => \&turn };
    }
    start_sessions($node, $db, $o{folder}, @load);
    return;
}

sub stop_load { stop_sessions(); return; }
sub load_stopped { return sessions_stopped(); }

# What may be said to a session that is tortured.
my @expected = (
    qr/^(57014|57P01|55P03|40P01|40001|25P02|3B001|53100|PQ00[1234]|55006|2BP01|42710): /,
    qr/^42704: (task \d+|queue "(v\d|q)"|namespace "ns\d"|ticker "t\d"|handler) /,
    qr/^42704: (.*handler|prepared transaction with identifier "plain_)/,
    qr/^55000: (task \d+ |.*ticker)/,
    qr/^0A000: cannot PREPARE a transaction that has /,
    qr/^25P01: /,
    qr/^42501: permission denied for (pgqueue|the payload of task \d+)$/,
    qr/^42601: syntax error at or near ":"/,
    qr/^55000: cron is disabled/,
    qr/^22023: ("period" is out of range|"until" is in the past)/,
    qr/could not write init file/,
);
# Other errors, each with how often it came.
sub load_errors
{
    my ($folder) = @_;
    return session_errors($folder, sub { my ($what) = @_; return scalar grep { $what =~ $_ } @expected; });
}

1;
