# A namespace has its part of what all share: leases (T3), places for queues (T4), workers (T2). A namespace that has
# used its part gets fewer tasks or a clear error, and others notice nothing. What ends, however it ends, can be had
# again.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use Test::More;

# 4,096 leases, of which 256 are the scheduler's own, and 512 queues.
my $node = new_node('shares',
    conf => "log_statement = none\nlog_min_messages = log\npgqueue.dispatch_memory = 4MB\npgqueue.max_workers = 2");
sub sql { return $node->safe_psql('postgres', @_); }
sub leases { return sql("SELECT used FROM pgqueue.memory WHERE kind = 'leases' AND namespace = 'greedy'"); }
sub take
{
    my ($ns, $more) = @_;
    $more //= '';
    return sql("SELECT count(*) FROM pgqueue.next_tasks('w', '{q}', 10000, namespace => '$ns'$more)");
}
sub refusal
{
    my ($sql) = @_;
    return ($node->psql('postgres', "\\set VERBOSITY verbose\n$sql", on_error_stop => 1))[2];
}
my $half = 1910;

sql(<<~'SQL');
    SELECT pgqueue.create_namespace(n), pgqueue.create_queue('q', ttl => '0', retries => 100, namespace => n)
    FROM unnest('{greedy,modest}'::text[]) n
    SQL
sub fill
{
    my ($ns, $n) = @_;
    return sql(<<~"SQL");
        SELECT count(*) FROM pgqueue.create_tasks('q', array_fill('1'::jsonb, ARRAY[$n]), namespace => '$ns')
        SQL
}
fill('greedy', 5000);
fill('modest', 25);

# Leases. 20 are of somebody else, so half of what is not is 1,910.
is(sql(q{SELECT count(*) FROM pgqueue.next_tasks('w', '{q}', 20, namespace => 'modest')}), '20',
    'a namespace has some leases');
is(take('greedy', q{, lease => '900 years'}), $half, 'T3: a namespace has half of the leases and no more');
is(take('greedy'), 0, 'T3: then next_tasks gives no row');
is(leases(), $half, 'T3: they are counted');
my $waiter = session($node);
is($waiter->query(q{CALL pgqueue.wait_for_task('{q}', '100 ms', namespace => 'greedy')}), 'f',
    'T3: wait_for_task does not say that there is a task');
is(sql(q{CALL pgqueue.wait_for_task('{q}', '100 s', namespace => 'modest')}), 't',
    'T3: another namespace hears of its tasks');
is(sql(<<~'SQL'), '5', 'T3: and has them');
    SELECT count(pgqueue.release_task(id, receipt)) FROM pgqueue.next_tasks('w', '{q}', 5, namespace => 'modest')
    SQL
is(sql(<<~'SQL'), "lease_limit: Namespace \"greedy\" has $half leases, its part of those of the server is $half.",
    SELECT DISTINCT reason || ': ' || message FROM pgqueue.task t, pgqueue.why(t.id)
    WHERE t.namespace = 'greedy' AND t.status = 'new' AND t.id % 100 = 0
    SQL
    'T3: why says lease_limit');
like(sql(q{SELECT namespace || ': ' || message FROM pgqueue.health WHERE problem = 'share_used_up'}),
    qr/^greedy: namespace "greedy" has its part of the leases: $half of $half; 3090 ready tasks wait$/,
    'T3: health names the tenant');
my ($help) = sql(q{SELECT hint FROM pgqueue.health WHERE problem = 'share_used_up'})
    =~ /(SELECT pgqueue\.update_namespace.*)$/;
like($help, qr/^SELECT pgqueue.update_namespace\('greedy', max_leases => 3821\);$/, 'T3: and a statement that helps');

# Who waits is told when there is room: a lease of its own ends, or one of others', or the part is raised.
sub waits_until
{
    my ($what, $statement) = @_;
    $waiter->send(q{CALL pgqueue.wait_for_task('{q}', '100 s', namespace => 'greedy')});
    ok(wait_for($node, 'postgres', <<~'SQL', '1'), 'a session waits');
        SELECT count(*) FROM pgqueue.worker WHERE state = 'waiting' AND namespace = 'greedy'
        SQL
    sql($statement);
    is($waiter->query('SELECT 1'), "t\n1", "T3: it hears of a task when $what");
    is($waiter->query(q{SELECT count(*) FROM pgqueue.next_task('w2', 'q', namespace => 'greedy')}), '1',
        'T3: and has it');
    return;
}
sub end_one
{
    my ($ns) = @_;
    return <<~"SQL";
        SELECT pgqueue.release_task(id, receipt) FROM pgqueue.task
        WHERE namespace = '$ns' AND status = 'retained' LIMIT 1
        SQL
}
waits_until('a lease of its namespace ends', end_one('greedy'));
waits_until('leases of others end', <<~'SQL');
    SELECT pgqueue.release_task(id, receipt) FROM pgqueue.task WHERE namespace = 'modest' AND status = 'retained'
    SQL
take('greedy');
waits_until('its part is raised', $help);
$waiter->close;
is(leases(), sql(q{SELECT count(*) FROM pgqueue.task WHERE namespace = 'greedy' AND status = 'retained'}),
    'T3: the count is that of the rows');
cmp_ok(take('greedy'), '>', 1000, 'T3: a number of pgqueue_admin holds instead of the fair part');

# However a lease ends its place is free again.
sub none_left
{
    my ($what) = @_;
    return ok(wait_for($node, 'postgres', <<~'SQL', '0', 60), "T3: $what: no place is left");
        SELECT used FROM pgqueue.memory WHERE kind = 'leases' AND namespace = 'greedy'
        SQL
}
sql(q{SELECT pgqueue.purge_queue('q', force => true, namespace => 'greedy')});
none_left('a purge of held tasks');
sql(q{SELECT pgqueue.update_namespace('greedy', max_leases => 0)});
fill('greedy', 600);
sub held
{
    my ($n, $more) = @_;
    $more //= '';
    return is(sql("SELECT count(*) FROM pgqueue.next_tasks('w', '{q}', $n, namespace => 'greedy'$more)"), $n,
        "$n tasks are held");
}
held(30, q{, lease => '100 ms'});
none_left('the end of their time');
held(30, q{, session_bound => true});
none_left('the end of the session');
held(30);
sql(q{SELECT pgqueue.cancel_task(id) FROM pgqueue.task WHERE namespace = 'greedy' AND status = 'retained'});
none_left('a cancel');
held(30);
sql(<<~'SQL');
    SELECT pgqueue.fail_tasks(array_agg(id), array_agg(receipt)) FROM pgqueue.task
    WHERE namespace = 'greedy' AND status = 'retained'
    SQL
none_left('a failure');
sql(q{BEGIN; SELECT count(*) FROM pgqueue.next_tasks('w', '{q}', 30, namespace => 'greedy'); ROLLBACK});
none_left('a rollback');
held(30);
sql(q{SELECT pgqueue.delete_queue('q', force => true, namespace => 'greedy')});
none_left('the end of the queue');

# The count after a restart, and after a crash.
sql(q{SELECT pgqueue.create_queue('q', ttl => '0', namespace => 'greedy')});
fill('greedy', 100);
held(40, q{, lease => '1 hour'});
$node->restart;
sub as_before
{
    my ($what) = @_;
    return ok(wait_for($node, 'postgres', <<~'SQL', '40', 60), "T3: after $what the count is right");
        SELECT used FROM pgqueue.memory WHERE kind = 'leases' AND namespace = 'greedy'
            AND EXISTS (SELECT FROM pgqueue.memory WHERE kind = 'rebuilds' AND used > 0)
        SQL
}
as_before('a restart');
kill9($node, pid_of($node, 'pgqueue scheduler'));
ok(wait_up($node), 'the server is up again');
as_before('a crash');
sql(q{SELECT pgqueue.update_namespace('greedy', max_leases => 50)});
is(take('greedy'), 10, 'T3: and limits');
sql(q{SELECT pgqueue.update_namespace('greedy', max_leases => 20)});
is(take('greedy'), 0, 'T3: a number below what is held gives nothing');

# Places for queues.
my $refusal = join(
    '\n',
    'ERROR:  53400: namespace "greedy" has its part of the queues',
    'DETAIL:  It has \d+, its limit is \d+; \d+ are free for all namespaces\.',
    'HINT:  Delete queues\. Or have a member of pgqueue_admin raise the limit: '
    . q{SELECT pgqueue\.update_namespace\('greedy', max_queues => \.\.\.\);});
like(refusal(q{SELECT pgqueue.create_queue('g' || i, namespace => 'greedy') FROM generate_series(1, 512) i}),
    qr/$refusal/, 'T4: a namespace has its part of the queues');
is(sql(q{SELECT count(*) FROM pgqueue.create_queue('another', namespace => 'modest')}), '1',
    'T4: another one makes its own');
sql(q{SELECT pgqueue.update_namespace('modest', max_queues => 3)});
is(sql(q{SELECT count(*) FROM pgqueue.create_queue('third', namespace => 'modest')}), '1', 'T4: up to a number');
like(refusal(q{SELECT pgqueue.create_queue('fourth', namespace => 'modest')}),
    qr/ERROR:  53400: .*\nDETAIL:  It has 3, its limit is 3;/, 'T4: that is set');
like(refusal(q{INSERT INTO pgqueue.queue (namespace, queue) VALUES ('modest', 'fourth')}), qr/ERROR:  53400: /,
    'T4: by INSERT too');
is(sql(q{SELECT count(*) FROM pgqueue.create_queue('third', priority => 5, namespace => 'modest')}), '1',
    'T4: what is there is changed');
sql(q{SELECT pgqueue.purge_queue('third', namespace => 'modest') FROM generate_series(1, 3)});
my $no_places = qr/ERROR:  53400: namespace "modest" has its part of the places for queues that are purged/;
like(refusal(q{SELECT pgqueue.purge_queue('third', namespace => 'modest') FROM generate_series(1, 512)}),
    qr/$no_places\nDETAIL:  It has 3, its limit is 3;/,
    'T4: one transaction with many purges');
sql(q{SELECT pgqueue.delete_queue('third', namespace => 'modest')});
is(sql(q{SELECT count(*) FROM pgqueue.create_queue('fourth', namespace => 'modest')}), '1',
    'T4: one that was deleted makes room');

# Many queues one after the other, in a table of 512, beside somebody's work.
my $others = session($node);
$others->query(<<~'SQL');
    CREATE PROCEDURE work() LANGUAGE plpgsql AS $$DECLARE
        done integer := 0;
    BEGIN
        WHILE NOT EXISTS (SELECT FROM pgqueue.get_queue('stop')) LOOP
            PERFORM pgqueue.create_task('q', '1', namespace => 'modest');
            COMMIT;
            PERFORM pgqueue.release_task(t.id, t.receipt) FROM pgqueue.next_task('w', 'q', namespace => 'modest') t;
            IF NOT FOUND THEN
                RAISE 'no task';
            END IF;
            COMMIT;
            done := done + 1;
        END LOOP;
        RAISE NOTICE 'done %', done > 100;
    END$$
    SQL
$others->send('CALL work()');
my $script = join("\n", (<<~'SQL') x 2000);
    SELECT pgqueue.create_queue('j', namespace => 'greedy');
    SELECT pgqueue.create_task('j', '1', namespace => 'greedy');
    SELECT pgqueue.purge_queue('j', namespace => 'greedy');
    SELECT pgqueue.delete_queue('j', namespace => 'greedy');
    SQL
my (undef, undef, $error) = $node->psql('postgres', $script, on_error_stop => 1);
is($error, '', 'T4: 4,000 queues are made and dropped, and their tasks');
sql(q{SELECT pgqueue.create_queue('stop')});
like($others->query('SELECT 1'), qr/done t/, 'T4: somebody else works meanwhile');
$others->close;
ok(wait_for($node, 'postgres', <<~'SQL', 't', 60), 'T4: all places are free again');
    SELECT (
        SELECT used FROM pgqueue.memory WHERE kind = 'queues' AND namespace IS NULL
    ) = (SELECT count(*) FROM pgqueue_internal.queue)
    SQL

# Workers. A role that makes a task now and then keeps its worker beside one that has many.
sql(<<~'SQL');
    CREATE ROLE busy LOGIN;
    CREATE ROLE quiet LOGIN;
    GRANT pgqueue_user TO busy, quiet;
    CREATE TABLE pids (pid int);
    GRANT INSERT ON pids TO quiet;
    SELECT pgqueue.create_namespace(n), pgqueue.create_queue('s', namespace => n) FROM unnest('{many,few}'::text[]) n;
    SELECT pgqueue.grant_namespace('many', 'use,read', 'busy'), pgqueue.grant_namespace('few', 'use,read', 'quiet');
    SET ROLE busy;
    SELECT count(*)
    FROM pgqueue.create_tasks('s', commands => array_fill('SELECT pg_sleep(0.005)'::text, ARRAY[60000]),
        namespace => 'many')
    SQL
my $quiet = session($node);
$quiet->query('SET ROLE quiet');
for (1 .. 10)
{
    my $id = $quiet->query(<<~'SQL');
        SELECT pgqueue.create_task('s', command => 'INSERT INTO pids VALUES (pg_backend_pid())', namespace => 'few')
        SQL
    like($quiet->query("CALL pgqueue.wait_for_result($id, '60 s')"), qr/^released/, 'T2: the quiet role gets a worker');
    $quiet->query('SELECT pg_sleep(0.25)');
}
cmp_ok(sql('SELECT count(DISTINCT pid) FROM pids'), '<', 9, 'T2: and mostly an old one');
cmp_ok(sql(q{SELECT count FROM pgqueue.queue_status WHERE queue = 's' AND namespace = 'many' AND status = 'new'}), '>',
    0, 'T2: while the other one has tasks');
$quiet->close;

# One worker has been asked to leave and has a long command; the other one has nothing to do.
sql(<<~'SQL');
    SELECT pgqueue.purge_queue('s', force => true, namespace => 'many');
    ALTER SYSTEM SET pgqueue.worker_idle_timeout = '1 h';
    SELECT pg_reload_conf();
    CREATE ROLE third LOGIN;
    GRANT pgqueue_user TO third;
    SELECT pgqueue.grant_namespace('few', 'use,read', 'third')
    SQL
my %gates = (busy => 1, quiet => 2);
my $gate = session($node);
$gate->query("SELECT pg_advisory_lock($_)") for values %gates;
for my $role (sort keys %gates)
{
    my $ns = $role eq 'busy' ? 'many' : 'few';
    sql(<<~"SQL");
        SET ROLE $role;
        SELECT pgqueue.create_task('s', command => 'SELECT pg_advisory_xact_lock_shared($gates{$role})',
            namespace => '$ns')
        SQL
    ok(wait_for($node, 'postgres', <<~"SQL", '1'), "the command of $role goes on");
        SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = $gates{$role} AND NOT granted
        SQL
}
my $third = sql(q{SET ROLE third; SELECT pgqueue.create_task('s', command => 'SELECT 1', namespace => 'few')});
ok(wait_for($node, 'postgres', q{SELECT count(*) > 0 FROM pgqueue.worker WHERE state = 'stopping'}, 't'),
    'a worker is asked to leave for a third role');
my $other = sql(q{SELECT role FROM pgqueue.worker WHERE role IN ('busy', 'quiet') ORDER BY state = 'stopping' LIMIT 1});
$gate->query("SELECT pg_advisory_unlock($gates{$other})");
like(sql("CALL pgqueue.wait_for_result($third, '60 s')"), qr/^released/,
    'T2: a worker with nothing to do leaves, though another one has been asked before');
is(sql(q{SELECT count(*) FROM pgqueue.task WHERE status = 'retained' AND command LIKE '%advisory%'}), '1',
    'T2: who was asked before has its command still');
$gate->close;
ok(wait_for($node, 'postgres', <<~'SQL', '0'), 'all commands end');
    SELECT count(*) FROM pgqueue.task WHERE command IS NOT NULL AND finished_at IS NULL
    SQL

is(sql(q{SELECT used FROM pgqueue.memory WHERE kind = 'repaired'}), '0', 'nothing had to be repaired');

done_testing();
