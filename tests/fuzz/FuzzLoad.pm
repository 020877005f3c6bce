package FuzzLoad;
# The sessions of tests/tap/095_fuzz.pl: random calls of every function and procedure that the catalog has, and DML on
# every view, by several roles.
use strict;
use warnings;
use Exporter 'import';
use FuzzValues;
use LoadSessions;

our @EXPORT = qw(fuzz_setup read_surface start_fuzz fuzz_errors fuzz_counts);

my @rights = ([ 'a', qw(manage use work read) ], [ 'b', qw(manage use work read) ]);

# What the database needs before. Repeated before each round: roles and their namespaces may be gone.
sub fuzz_setup
{
    my $sql = join('', map { "CREATE ROLE $_ LOGIN; GRANT pgqueue_user TO $_;\n" } roles()) . <<'SQL';
GRANT pgqueue_admin TO fz_admin;
CREATE SCHEMA fuzz;
GRANT USAGE ON SCHEMA fuzz, drop_in TO PUBLIC;
-- What sessions know of each other: any task, its receipt.
CREATE FUNCTION fuzz.id(n integer) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog,
    pg_temp AS $$
BEGIN
    RETURN coalesce((SELECT id FROM (SELECT id, row_number() OVER (ORDER BY id DESC) AS place, count(*) OVER () AS all
                                     FROM pgqueue_internal.segment WHERE n % 2 = 1 OR status = 2) s
                     WHERE place = 1 + (n / 2) % s.all), 1);
END $$;
CREATE FUNCTION fuzz.receipt(n integer) RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog,
    pg_temp AS 'SELECT coalesce(max(receipt), 1) FROM pgqueue_internal.segment WHERE id = fuzz.id(n)';
CREATE FUNCTION fuzz.recurse(i integer) RETURNS integer LANGUAGE plpgsql AS 'BEGIN RETURN fuzz.recurse(i + 1); END';
CREATE TABLE fuzz.scratch (i integer);
-- A table of pg_background_queue 1.0.
CREATE TABLE fuzz.former (id bigint, sql_statement text, topic text, joined_at timestamp,
    started_at timestamp, closed_at timestamp, priority integer, state drop_in.pg_background_queue_task_state,
    retry_count integer, retry_delay_in_sec integer, errors text);
INSERT INTO fuzz.former (id, sql_statement, topic, joined_at, priority, state, retry_count, retry_delay_in_sec)
    SELECT 1000000000 + g, 'SELECT 1', 'red', now(), 1,
        CASE WHEN g % 2 = 0 THEN 'pending' ELSE 'failed' END::drop_in.pg_background_queue_task_state, 0, 0
    FROM generate_series(1, 50) g;
CREATE TABLE fuzz.deferred (i integer UNIQUE DEFERRABLE INITIALLY DEFERRED);
INSERT INTO fuzz.deferred VALUES (2);
GRANT ALL ON ALL TABLES IN SCHEMA fuzz TO PUBLIC;
CREATE PROCEDURE fuzz.commits(n integer) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1..n LOOP INSERT INTO fuzz.scratch VALUES (i); COMMIT; END LOOP;
END $$;
CREATE FUNCTION public.fz_work(payload jsonb) RETURNS jsonb LANGUAGE sql AS 'SELECT payload';
CREATE FUNCTION public.fz_look(payload jsonb) RETURNS void LANGUAGE sql AS 'SELECT';
CREATE FUNCTION public.fz_look(payload jsonb, result jsonb) RETURNS void LANGUAGE sql AS 'SELECT';
CREATE FUNCTION public.fz_look(payload jsonb, error text) RETURNS void LANGUAGE sql AS 'SELECT';
CREATE FUNCTION public.fz_fail(payload jsonb, error text) RETURNS void LANGUAGE plpgsql AS
    'BEGIN RAISE division_by_zero; END';
CREATE FUNCTION public.fz_fail(payload jsonb) RETURNS jsonb LANGUAGE plpgsql AS 'BEGIN RAISE division_by_zero; END';
SQL
    return $sql;
}

# Namespaces, grants and queues, as far as they are gone.
sub make_queues
{
    my $settings = "lease => '500 ms', retry_delay => '10 ms', max_retry_delay => '50 ms'";
    my @queues = (
        "'q', $settings", "'fast', $settings, on_finish => 'delete'", "'srv', $settings, executor => 'server'",
            "'lim', $settings, max_running => 2, rate_limit => 200", "'hold', $settings, group_max_running => 2",
        "'dl', $settings, retries => 0, dead_letter => 'dead'", "'dead', $settings",
            "'arch', $settings, on_finish => 'archive', retention => '1 ms'");
    my @sql;
    push @sql, map { "SELECT pgqueue.grant_namespace('pg_background_queue', '$_', 'fz_$_')" } qw(manage use work read);
    for my $ns (qw(a b))
    {
        my $owner = $ns eq 'a' ? 'fz_owner' : 'fz_other';
        push @sql, "SELECT pgqueue.create_namespace('$ns')",
            "SELECT pgqueue.update_namespace('$ns', owner => '$owner', paused => false, "
                . "max_running => 0, max_depth => 0)";
        push @sql, map { "SELECT pgqueue.create_queue($_, namespace => '$ns')" } "'dead', $settings", @queues;
        push @sql, map { "SELECT pgqueue.grant_namespace('$ns', '$_', 'fz_$_')" } qw(manage use work read);
    }
    return @sql;
}

# Functions, procedures and views of schema pgqueue, and of extension pg_background_queue in its own: what a new one is
# called and takes is found here, never written down. Those of schema pgqueue are known by
# their names, others with their schema.
sub read_surface
{
    my ($query) = @_;
    my %surface;
    for (split /\n/, $query->(q{
        SELECT CASE p.pronamespace WHEN 'pgqueue'::regnamespace THEN '' ELSE p.pronamespace::regnamespace || '.' END
            || p.proname, p.prokind, p.proretset, a.name, format_type(a.type, NULL),
            a.n <= p.pronargs - p.pronargdefaults
        FROM pg_proc p LEFT JOIN LATERAL (
            SELECT n, p.proargnames[n] AS name, t AS type FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY u (t,
                n)) a ON true
        WHERE p.pronamespace IN ('pgqueue'::regnamespace, 'drop_in'::regnamespace)
            AND p.prorettype <> 'trigger'::regtype
        ORDER BY p.oid, a.n}))
    {
        my ($name, $kind, $set, $argument, $type, $required) = split /\|/;
        my $routine = $surface{routines}{$name} //= { name => $name, procedure => $kind eq 'p', set => $set eq 't',
            arguments => [] };
        push @{ $routine->{arguments} }, { name => $argument, type => $type, required => $required eq 't' }
            if $argument;
    }
    for (split /\n/, $query->(q{
        SELECT CASE c.relnamespace WHEN 'pgqueue'::regnamespace THEN '' ELSE 'drop_in.' END || c.relname, a.attname,
            format_type(a.atttypid, NULL)
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
        WHERE c.relnamespace IN ('pgqueue'::regnamespace, 'drop_in'::regnamespace) AND c.relkind IN ('v', 'f')
        ORDER BY c.relname, a.attnum}))
    {
        my ($view, $column, $type) = split /\|/;
        push @{ $surface{views}{$view} }, { name => $column, type => $type };
    }
    return \%surface;
}

# ===== statements =====

# How the values of a statement are: $s->{edge} says how many of them lie at an edge.
sub begin_statement
{
    my ($s) = @_;
    $s->{edge} = one_of(0, 0, 0, 0.1, 0.5);
    $s->{n} = 2 * int(rand(12)) + (rand() < 0.3);
    $s->{length} = one_of(1, 1, 2, 5);
    return;
}

# Arguments: all that are required, some of the others; by position, by name or both.
sub arguments
{
    my ($s, $routine) = @_;
    my @all = @{ $routine->{arguments} };
    my $options = one_of(0, 0.1, 0.3, rand() < 0.1 ? 1 : 0.2);
    # Without one of them create_task has nothing to do; these exclude each other.
    my %always = map { $_ => 1 } $routine->{name} =~ /^create_tasks?$/
        ? one_of([qw(payload payloads)], [qw(command commands)], [qw(type payload payloads)])->@* : ();
    my %never = rand() < $s->{edge} ? ()
        : map { $_ => 1 } %always ? grep { !$always{$_} } qw(command commands type delayed_at) : ();
    $always{receipt} = $always{receipts} = 1 if rand() < 0.8;
    my $positional = rand() < 0.3 ? int(rand(@all + 1)) : 0;
    my @given;
    for my $i (0 .. $#all)
    {
        my $a = $all[$i];
        my $needed = $a->{required} || $i < $positional;
        next if $never{ $a->{name} } && !$needed;
        next unless $needed || $always{ $a->{name} } || rand() < ($a->{name} eq 'namespace' ? 0.3 : $options);
        push @given, ($i < $positional ? '' : "$a->{name} => ") . value($s, $a->{type}, $a->{name});
    }
    return join(', ', @given);
}

sub full_name { my ($name) = @_; return $name =~ /\./ ? $name : "pgqueue.$name"; }

sub call
{
    my ($s, $wheel) = @_;
    my $routine = $wheel->[ rand @$wheel ];
    # Those that all others live in are seldom deleted or renamed.
    local $s->{namespaces} = [qw(n0 n1)] if $routine->{name} =~ /^(update|delete)_namespace$/ && rand() < 0.95;
    my $call = full_name($routine->{name}) . '(' . arguments($s, $routine) . ')';
    return "CALL $call" if $routine->{procedure};
    return one_of("SELECT count(*) FROM $call r", "SELECT r FROM $call r", "SELECT $call") if $routine->{set};
    return one_of("SELECT $call", "SELECT $call", "SELECT r.* FROM $call r", "SELECT $call FROM generate_series(1, "
        . upto(3) . ') g');
}

sub condition
{
    my ($s, $columns) = @_;
    my @found = grep { rand() < 0.3 } @$columns;
    @found = ($columns->[0]) unless @found;
    return join(one_of(' AND ', ' AND ', ' OR '), map { "$_->{name} "
        . one_of('=', '=', '=', 'IS NOT DISTINCT FROM', '<', '<>') . ' '
        . value($s, $_->{type}, $_->{name}) } @found[ 0 .. ($#found > 1 ? 1 : $#found) ]);
}
# Rows of this session's own making, mostly: an UPDATE of everything is possible, and rare.
sub where
{
    my ($s, $view) = @_;
    my $columns = $s->{surface}{views}{$view};
    return '' if rand() < 0.02 && $s->{role} ne 'postgres';
    return " WHERE namespace = '" . one_of(qw(n0 n1)) . "'" if $view eq 'namespace' && rand() < 0.95;
    return ' WHERE id = ' . one_of("fuzz.id($s->{n})", "ANY (ARRAY[fuzz.id($s->{n}), fuzz.id($s->{n} + 2)])")
        if $columns->[0]{name} eq 'id' && rand() < 0.7;
    return ' WHERE ' . condition($s, $columns);
}

sub dml
{
    my ($s) = @_;
    my $view = one_of(qw(task task task queue ticker namespace handler task_archive drop_in.pg_background_tasks),
        one_of(sort keys %{ $s->{surface}{views} }));
    my @columns = @{ $s->{surface}{views}{$view} };
    my $name = full_name($view);
    my @some = grep { rand() < 4 / @columns } @columns;
    @some = (one_of(@columns)) unless @some;
    my $kind = one_of(qw(select select insert insert update update delete lock));
    my $returning = one_of('', '', ' RETURNING ' . one_of('*', $columns[0]{name}));
    return "DELETE FROM $name" . where($s, $view) . $returning if $kind eq 'delete';
    return "UPDATE $name SET " . join(', ', map { "$_->{name} = " . value($s, $_->{type}, $_->{name}) } @some)
        . where($s, $view) . $returning if $kind eq 'update';
    return "INSERT INTO $name (" . join(', ', map { $_->{name} } @some) . ') VALUES '
        . join(', ', map { '(' . join(', ', map { value($s, $_->{type}, $_->{name}) } @some) . ')' } 1 .. $s->{length})
      . one_of('', '', ' ON CONFLICT DO NOTHING') . $returning if $kind eq 'insert';
    return "SELECT * FROM $name" . where($s, $view) . ' LIMIT 5 '
        . one_of('FOR UPDATE', 'FOR SHARE NOWAIT', 'FOR NO KEY UPDATE SKIP LOCKED') if $kind eq 'lock';
    return "SELECT * FROM $name" . where($s, $view)
        . one_of('', ' ORDER BY 1 DESC LIMIT 3', ' LIMIT 1 OFFSET 2');
}

# One statement around a call or DML, as programs and functions have them.
sub wrapped
{
    my ($s, $sql) = @_;
    return "EXPLAIN (ANALYZE, COSTS OFF) $sql" if rand() < 0.2 && $sql !~ /^CALL/;
    return "PREPARE p AS $sql; EXECUTE p; DEALLOCATE p" if rand() < 0.3 && $sql !~ /^CALL/;
    return "DO \$fuzz\$BEGIN " . ($sql =~ /^SELECT/ ? "PERFORM * FROM ($sql) x" : $sql =~ s/ RETURNING .*$//r)
        . one_of('; ', "; PERFORM 1/0; ") . "EXCEPTION WHEN division_by_zero THEN NULL; END\$fuzz\$" if rand() < 0.5;
    # Savepoints of psql between its steps: PostgreSQL warns of a snapshot then,
    # with any SQL function that returns a set.
    return "\\set ON_ERROR_ROLLBACK off\nBEGIN; DECLARE c CURSOR FOR $sql; FETCH 1 FROM c; FETCH ALL FROM c; COMMIT"
        if $sql =~ /^SELECT/;
    return $sql;
}

sub statement
{
    my ($s) = @_;
    begin_statement($s);
    my $at_home = rand() < 0.5;
    $s->{edge} /= 4 if $at_home;
    my $sql = $at_home ? call($s, $s->{own}) : rand() < 0.6 ? call($s, $s->{wheel}) : dml($s);
    return rand() < 0.1 ? wrapped($s, $sql) : $sql;
}

my @odd = (
    sub { my ($s) = @_; 'SET pgqueue.namespace = ' . quoted(one_of(qw(a b default nosuch pgqueue), 'Bad Name', '')) },
        sub { my ($s) = @_; "SET pgqueue.namespace = '$s->{namespaces}[0]'" },
    sub { my ($s) = @_; "RESET pgqueue.namespace; SELECT * FROM pgqueue.get_namespace(); "
        . "SET pgqueue.namespace = '$s->{namespaces}[0]'" },
    sub { my ($s) = @_; "DISCARD ALL;\n$s->{begin}" }, sub { 'DISCARD PLANS' },
    sub { 'LISTEN pgqueue_a' }, sub { 'UNLISTEN *' },
        sub { "SET client_min_messages = warning" },
    sub { my ($s) = @_; "COPY (SELECT * FROM " . full_name(one_of(sort keys %{ $s->{surface}{views} }))
        . ") TO '/dev/null'" }, sub { "BEGIN; LOCK TABLE pgqueue." . one_of(qw(task queue namespace)) . " IN "
        . one_of('ACCESS SHARE', 'SHARE', 'ACCESS EXCLUSIVE') . " MODE NOWAIT; ROLLBACK" },
    sub { "SET pgqueue.track_costs = " . one_of('on', 'off') }, sub { "SET pgqueue.enabled = off" },
        sub { 'SET pgqueue.nosuch = 1' }, sub { "SET ROLE " . one_of(roles()) . '; RESET ROLE' },
        sub { "BEGIN; SET LOCAL session_replication_role = replica; SELECT 1; COMMIT" },
    sub { "SET search_path = " . one_of("''", 'pg_temp', 'fuzz, public') }, sub { 'RESET search_path' },
        sub { 'CREATE TEMP TABLE IF NOT EXISTS task (id text)' },
        sub { 'CREATE TEMP VIEW queue AS SELECT * FROM pgqueue.queue' },
);

# A transaction with its savepoints, isolation level and end.
sub block
{
    my ($s) = @_;
    # With it psql undoes what fails and goes on.
    my $sql = '\set ON_ERROR_ROLLBACK ' . one_of('on', 'on', 'on', 'off') . "\nBEGIN" . one_of('', '', '',
        ' ISOLATION LEVEL REPEATABLE READ', ' ISOLATION LEVEL SERIALIZABLE', ' READ ONLY') . ";\n";
    for (1 .. upto(3))
    {
        my $inner = statement($s) . ";\n";
        # A failed statement may be undone, so that what comes after it counts.
        $inner = "SAVEPOINT s;\n$inner" . one_of("ROLLBACK TO s;\n", "RELEASE s;\n", "ROLLBACK TO s;\n" . statement($s)
            . ";\n") if rand() < 0.6;
        $sql .= $inner;
    }
    return $sql . one_of("COMMIT;\n", "COMMIT;\n", "COMMIT;\n", "ROLLBACK;\n",
        "PREPARE TRANSACTION 'fz$s->{number}';\nROLLBACK PREPARED 'fz$s->{number}';\nROLLBACK;\n");
}

sub turn
{
    my ($s) = @_;
    my $what = rand();
    return one_of(@odd)->($s) . ";\n" if $what < 0.05;
    my $sql = $what < 0.3 ? block($s) : statement($s) . ";\n";
    # A short limit, or none of the sort; the long one bounds what may wait by contract.
    return $sql if rand() > 0.06;
    my $limit = one_of('statement_timeout', 'statement_timeout', 'lock_timeout', 'transaction_read_only');
    return $limit eq 'transaction_read_only'
        ? "SET default_transaction_read_only = on;\n${sql}RESET default_transaction_read_only;\n" : "SET $limit = '"
        . upto(5) . " ms';\n${sql}SET $limit = '2 s';\n";
}

# Makes what was deleted again: the superuser's session does it now and then.
sub superuser_turn
{
    my ($s) = @_;
    return join('', map { "$_;\n" } make_queues(), 'SELECT pgqueue.ensure_workers()') if $s->{turns}++ % 40 == 0;
    return turn($s);
}

# How often a routine is called: those that make and hand out tasks more, those that undo the work of all others less.
sub weight
{
    my ($name) = @_;
    return 24 if $name =~ /^(create_tasks?|next_tasks?)$/;
    return 8 if $name =~ /^drop_in\..*_enqueue$/;
    return 1 if $name =~ /^drop_in\./;
    return 12 if $name =~ /^(release|fail|snooze|extend)_tasks?$/;
    return 1
        if $name =~
            /^(wait_for_\w+|stop_workers|delete_namespace|delete_queue|purge_queue|pause_queue|update_namespace)$/;
    return 4;
}

# What a role is there for: half of its calls.
my %own = (
    fz_use => qr/^(create_task|cancel_task|retry_task|run_task|get_task|why|drop_in)/,
    fz_work => qr/^(next_|release_|fail_|extend_|snooze_)/,
    fz_manage => qr/_(queue|ticker|handler)$|^(redrive|retry_task|cancel_task)/,
    fz_admin => qr/^(create|update|grant|get)_namespace|_workers/,
    fz_owner => qr/_tasks?$/, fz_other => qr/_tasks?$/, postgres => qr/_tasks?$/);

sub start_fuzz
{
    my ($node, $db, %o) = @_;
    my @wheel = map { my $r = $o{surface}{routines}{$_}; ($r) x weight($_) } sort keys %{ $o{surface}{routines} };
    my @sessions;
    for my $role ('postgres', roles())
    {
        my $number = @sessions;
        my %home = (fz_owner => ['a'], fz_other => ['b']);
        my $namespaces = $home{$role} // ($number % 2 ? [qw(a a b)] : [qw(b b a)]);
        push @sessions, {
            role => $role, number => $number, seed => $o{seed} + 1000 * $number, surface => $o{surface},
            wheel => \@wheel, own => [ grep { $_->{name} =~ ($own{$role} // qr/./) } @wheel ],
            namespaces => $namespaces, keep => 1, turn => $role eq 'postgres' ? \&superuser_turn : \&turn,
            begin => "SET statement_timeout = '2 s'; SET lock_timeout = '2 s'; "
                . "SET pgqueue.namespace = '$namespaces->[0]';" };
    }
    start_sessions($node, $db, $o{folder}, @sessions);
    return;
}

# Every error of ours has one of these; those of the fuzzer's own SQL come with them (25P03: run_task
# of a session's own SET of a time-out).
my %allowed = map { $_ => 1 } qw(
    0A000 22003 22004 22007 22008 22023 22P02 23502 25001 25006 25P01 25P02 25P03 2BP01 3B001 40001 40P01 42501 42601
    42602 42704 42710 42809 42883 42939 42P07 53400 54000 54001 55000 55006 55P02 55P03 57014 57P01
    2202E PQ001 PQ002 PQ003 PQ004 22012 26000 34000 42P05);
# Words that tell a user nothing.
my $internal = qr/cache\ lookup|could\ not\ find|unrecognized|unexpected|pgqueue_internal|concurrently
    |no\ relation\ entry|SPI_
    |relation\ \d+|plan|\(null\)|invalid\ memory|out\ of\ memory/x;

# What sessions were told and must not be.
sub fuzz_errors
{
    my ($folder) = @_;
    return session_errors($folder, sub {
        my ($what) = @_;
        return 1 if $what =~ /^terminating connection due to administrator command/;
        # VACUUM and ANALYZE of somebody else's table.
        return 1 if $what =~ /^01000: skipping "\w+" --- only /;
        # What a task has raised (FuzzTasks.pm), or done to a constraint of its own, comes through run_task.
        return 1 if $what =~ /^\w{5}: m+$|"deferred_i_key"/;
        my ($state, $message) = $what =~ /^(\w{5}): (.*)/ or return 0;
        return $allowed{$state} && $message !~ $internal;
    });
}

# How much was done, and how often each code was the answer.
sub fuzz_counts
{
    my ($folder) = @_;
    my ($lines, %codes) = (0);
    for my $file (glob("$folder/load.*"))
    {
        open(my $in, '<', $file) or next;
        if ($file =~ /load\.\d+\.\d+$/) { $lines++ while <$in>; next; }
        while (<$in>) { $codes{$1}++ if /ERROR:  (\w{5}):/; }
    }
    return "$lines lines of SQL; " . join(' ', map { "$_ $codes{$_}" } sort { $codes{$b} <=> $codes{$a} } keys %codes);
}

1;
