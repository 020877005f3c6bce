# Rights that are lost while a statement waits for a lock, or while a transaction is open: what it would do afterwards
# is refused. An attack got a namespace back, and a handler, in that way. And what the first query of a session reads.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use Test::More;

my $node = new_node('waiting', conf => 'log_statement = none');
my $db = 'postgres';
sub sql { return $node->safe_psql($db, @_); }
sub session_of { my ($role) = @_; my $s = session($node); $s->query("SET SESSION AUTHORIZATION $role"); return $s; }
sub waits
{
    my ($n) = @_;
    return wait_for($node, $db, q{SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'
        AND backend_type = 'client backend'}, $n);
}
sub owner { return sql(q{SELECT owner FROM pgqueue.namespace WHERE namespace = 'ns'}); }

sql(<<~'SQL');
    CREATE ROLE mallory LOGIN IN ROLE pgqueue_user; CREATE ROLE victim LOGIN IN ROLE pgqueue_user;
    CREATE ROLE helper LOGIN IN ROLE pgqueue_user;
    CREATE FUNCTION good(payload jsonb) RETURNS void LANGUAGE sql AS '';
    CREATE FUNCTION evil(payload jsonb) RETURNS void LANGUAGE sql AS '';
    SELECT pgqueue.create_namespace('ns')
    SQL
sub scene
{
    sql(<<~'SQL');
        SELECT pgqueue.update_namespace('ns', owner => 'postgres');
        SELECT pgqueue.delete_handler(type, namespace => 'ns') FROM pgqueue.handler;
        SELECT pgqueue.delete_ticker(ticker, namespace => 'ns') FROM pgqueue.ticker WHERE namespace = 'ns';
        SELECT pgqueue.delete_queue(queue, force => true, namespace => 'ns') FROM pgqueue.queue WHERE namespace = 'ns';
        SELECT pgqueue.create_queue('q', namespace => 'ns'), pgqueue.create_ticker('t', 'q', period => '1 h',
            namespace => 'ns'), pgqueue.create_handler('h', 'good', namespace => 'ns'),
            pgqueue.create_task('q', '1', namespace => 'ns')
        SQL
    return;
}

# A former owner who waits behind the transfer does not become owner again, nor deletes the namespace.
for my $statement (q{SELECT pgqueue.update_namespace('ns', owner => 'mallory')},
    q{SELECT pgqueue.delete_namespace('ns', force => true)}, q{SELECT pgqueue.grant_namespace('ns', 'all', 'helper')},
    q{UPDATE pgqueue.namespace SET owner = 'mallory' WHERE namespace = 'ns'})
{
    scene();
    sql(q{SELECT pgqueue.update_namespace('ns', owner => 'mallory')});
    my ($first, $admin, $late) = (session($node), session($node), session_of('mallory'));
    # Both wait for the same version of the row, so they get it in their order.
    $first->query(q{BEGIN; SELECT FROM pgqueue_internal.namespace WHERE name = 'ns' FOR UPDATE});
    $admin->send(q{SELECT pgqueue.update_namespace('ns', owner => 'victim')});
    ok(waits(1), 'the transfer waits');
    $late->send($statement);
    ok(waits(2), 'and so does the owner');
    $first->query('COMMIT');
    $admin->query('SELECT 1');
    like($late->query('SELECT 1'), qr/permission denied for namespace "ns"/, "refused after the wait: $statement");
    is(owner(), 'victim', 'the new owner has it');
    is(sql(q{SELECT count(*) FROM pgqueue.namespace_grant WHERE namespace = 'ns'}), '0', 'alone');
    $_->close for $first, $admin, $late;
}

# A transfer waits for an open grant, so none of it is hidden from who revokes afterwards.
scene();
sql(q{SELECT pgqueue.update_namespace('ns', owner => 'mallory')});
my ($open, $admin) = (session_of('mallory'), session($node));
$open->query(q{BEGIN; SELECT pgqueue.grant_namespace('ns', 'all', 'helper')});
$admin->send(q{SELECT pgqueue.update_namespace('ns', owner => 'victim')});
ok(waits(1), 'the transfer waits for the open grant');
$open->query('COMMIT');
$admin->query(q{SELECT pgqueue.revoke_namespace('ns', 'all', 'helper')});
is(owner(), 'victim', 'it is given away');
is(sql(q{SELECT count(*) FROM pgqueue.namespace_grant WHERE namespace = 'ns'}), '0', 'and no grant has come since');
$_->close for $open, $admin;

# Who makes a queue in an open transaction does not hold the owner up.
scene();
$open = session($node);
$open->query(q{BEGIN; SELECT pgqueue.create_queue('more', namespace => 'ns')});
is(sql(q{SET lock_timeout = '2 s'; SELECT weight FROM pgqueue.update_namespace('ns', weight => 2)}), '2',
    'an open transaction that makes a queue holds no change of the namespace up');
$open->query('ROLLBACK');
$open->close;

# A wait that is cancelled, terminated or timed out leaves nothing; the next call works.
my $keeper = session($node);
$keeper->query(q{BEGIN; SELECT pgqueue.update_namespace('ns', description => 'y')});
for my $how ('cancel', 'terminate', 'timeout')
{
    my $late = session($node);
    $late->query("SET statement_timeout = '1 ms'") if $how eq 'timeout';
    my $pid = $how eq 'timeout' ? 0 : $late->query('SELECT pg_backend_pid()');
    $late->send(q{SELECT pgqueue.grant_namespace('ns', 'use', 'helper')});
    ok(waits(1), "$how: it waits") if $how ne 'timeout';
    sql("SELECT pg_${how}_backend($pid)") if $how ne 'timeout';
    ok(waits(0), "$how: and no more");
    like($late->query('SELECT 1'), qr/canceling statement/, "$how: refused") if $how ne 'terminate';
    eval { $late->close; 1 };
}
$keeper->query('COMMIT');
$keeper->close;
sql(q{SELECT pgqueue.grant_namespace('ns', 'use', 'helper'), pgqueue.revoke_namespace('ns', 'use', 'helper')});
is(sql(q{SELECT description FROM pgqueue.namespace WHERE namespace = 'ns'}), 'y', 'the next calls work');

# Statements that need manage and wait for a row of the queue, the ticker or the handler.
my $locks = q{BEGIN; SELECT pgqueue.update_queue('q', description => 'x', namespace => 'ns'),
    pgqueue.update_ticker('t', description => 'x', namespace => 'ns');
    UPDATE pgqueue.handler SET type = 'h:' WHERE type = 'h' AND namespace = 'ns'};
my $state = q{SELECT (SELECT string_agg(queue || coalesce(description, '') || paused, ',') FROM pgqueue.queue
    WHERE namespace = 'ns'), (SELECT string_agg(ticker || coalesce(command, ''), ',') FROM pgqueue.ticker
    WHERE namespace = 'ns'), (SELECT string_agg(type || function, ',') FROM pgqueue.handler WHERE namespace = 'ns'),
    (SELECT count(*) FROM pgqueue.task WHERE namespace = 'ns')};
for my $statement (
    q{SELECT pgqueue.update_queue('q', rename_to => 'stolen', namespace => 'ns')},
    q{SELECT pgqueue.pause_queue('q', namespace => 'ns')},
    q{SELECT pgqueue.purge_queue('q', namespace => 'ns')},
    q{SELECT pgqueue.delete_queue('q', force => true, namespace => 'ns')},
    q{SELECT pgqueue.update_ticker('t', command => 'SELECT 1', namespace => 'ns')},
    q{SELECT pgqueue.delete_ticker('t', namespace => 'ns')},
    q{SELECT pgqueue.fire_ticker('t', namespace => 'ns')},
    q{SELECT pgqueue.delete_handler('h', namespace => 'ns')},
    q{UPDATE pgqueue.handler SET function = 'evil' WHERE type = 'h' AND namespace = 'ns'},
    q{DELETE FROM pgqueue.handler WHERE type = 'h' AND namespace = 'ns'},
    q{UPDATE pgqueue.queue SET paused = true WHERE queue = 'q' AND namespace = 'ns'},
    q{UPDATE pgqueue.ticker SET command = 'SELECT 1' WHERE ticker = 't' AND namespace = 'ns'},
    q{DELETE FROM pgqueue.ticker WHERE ticker = 't' AND namespace = 'ns'})
{
    scene();
    sql(q{SELECT pgqueue.grant_namespace('ns', 'manage', 'mallory')});
    my $before = sql($state);
    my ($holder, $mallory) = (session($node), session_of('mallory'));
    $holder->query($locks);
    $mallory->send($statement);
    ok(waits(1), 'it waits');
    sql(q{SELECT pgqueue.revoke_namespace('ns', 'manage', 'mallory')});
    $holder->query('ROLLBACK');
    like($mallory->query('SELECT 1'), qr/ERROR/, "refused after the wait: $statement");
    is(sql($state), $before, 'nothing has changed');
    $_->close for $holder, $mallory;
}

# wait_for_task does not go on after the revoke.
scene();
sql(q{SELECT pgqueue.purge_queue('q', namespace => 'ns'), pgqueue.grant_namespace('ns', 'work', 'mallory')});
my $waiter = session_of('mallory');
$waiter->send(q{CALL pgqueue.wait_for_task('{q}', '1 minute', namespace => 'ns')});
ok(wait_for($node, $db, q{SELECT count(*) FROM pgqueue.worker WHERE state = 'waiting'}, '1'), 'it waits');
sql(q{SELECT pgqueue.revoke_namespace('ns', 'work', 'mallory')});
sql(q{SELECT pgqueue.create_task('q', '1', namespace => 'ns')});
like($waiter->query('SELECT 1'), qr/permission denied for namespace "ns"/, 'wait_for_task is refused');
$waiter->close;

# Hidden rows tell nothing by what a first query of a session reads.
scene();
sql(<<~'SQL');
    SELECT pgqueue.update_namespace('ns', owner => 'victim'), pgqueue.create_task('q', command => 'SELECT secret',
        group_key => 'secret', dedup_key => 'secret', retries => 31, namespace => 'ns'),
        pgqueue.update_queue('q', description => 'secret', namespace => 'ns'),
        pgqueue.update_ticker('t', command => 'SELECT secret', namespace => 'ns');
    SELECT pgqueue.create_namespace('own');
    SELECT pgqueue.create_queue('q', namespace => 'own'), pgqueue.create_task('q', '1', namespace => 'own'),
        pgqueue.update_namespace('own', owner => 'mallory')
    SQL
sub plan_of
{
    my ($view, $column, $value) = @_;
    my $plan = $node->safe_psql($db, "EXPLAIN (ANALYZE, BUFFERS, COSTS off, TIMING off, SUMMARY off)
        SELECT FROM pgqueue.$view WHERE $column >= '$value'", extra_params => [ '-U', 'mallory' ]);
    $plan =~ s/'\Q$value\E'|\b\Q$value\E\b/?/g;
    $plan =~ s/Memory: \d+kB//g;
    return $plan;
}
for my $guess ([ task => 'command' ], [ task => 'dedup_key' ], [ task => 'group_key' ],
    [ task => 'retries', 30, 32000 ], [ task_attempt => 'worker' ], [ queue => 'description' ],
    [ ticker => 'command' ], [ handler => 'function' ], [ namespace => 'description' ], [ ticker_run => 'outcome' ])
{
    my ($view, $column, $right, $wrong) = @$guess;
    my @plans;
    # The first ones also read what is dead in the catalog.
    @plans = map { plan_of($view, $column, $_) } $right // 'SELECT s', $wrong // 'zzz' for 1 .. 3;
    is($plans[0], $plans[1], "first query of a session: $column of $view");
}
$node->stop;
done_testing();
