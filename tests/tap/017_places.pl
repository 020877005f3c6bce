# The server gives places in shared memory back while it runs: those of namespaces, of queues and of what belongs to
# them. It does so also when a creation is rolled back, when a queue is purged again and again, and when its tasks are
# far in the future. Views memory and health tell how full the memory is. Faults W8 and T4.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use Test::More;

# 64 namespaces, 512 queues.
my $node = new_node('places', conf => "log_statement = none\nlog_min_messages = error\npgqueue.dispatch_memory = 4MB");
sub sql { return $node->safe_psql('postgres', @_); }
# This test fills the tables: no part of them is kept for others.
sql(q{SELECT pgqueue.update_namespace('default', max_queues => 512)});
sub used { my ($kind) = @_; return sql("SELECT used FROM pgqueue.memory WHERE kind = '$kind' AND namespace IS NULL"); }
is(sql(<<~'SQL'), 'namespaces 64, queues 512', 'the node is small');
    SELECT string_agg(kind || ' ' || capacity, ', ' ORDER BY kind)
    FROM pgqueue.memory
    WHERE kind IN ('namespaces', 'queues')
    SQL
# The queue of the housekeeper has had a task, so that its lane is there.
sql(q{SELECT pgqueue.fire_ticker('cleanup', namespace => 'pgqueue')});
ok(wait_for($node, 'postgres', q{SELECT count(*) FROM pgqueue.task}, '0'), 'housekeeping is over');
my ($namespaces, $queues, $lanes) = map { used($_) } qw(namespaces queues lanes);

# Runs a statement n times, each in a transaction of its own, all by one session.
sub times_over { my ($n, $statement) = @_; return sql(join("\n", ($statement) x $n)); }
sub places_are_free
{
    my ($what) = @_;
    # The housekeeper's lane may be there or not.
    ok(wait_for($node, 'postgres', <<~"SQL", "$lanes $namespaces $queues"), "$what: all places are free again");
        SELECT string_agg(CASE kind WHEN 'lanes' THEN greatest(used, $lanes) ELSE used END::text, ' ' ORDER BY kind)
        FROM pgqueue.memory
        WHERE kind IN ('lanes', 'namespaces', 'queues') AND namespace IS NULL
        SQL
    return;
}

times_over(100, <<~'SQL');
    SELECT pgqueue.create_namespace('n');
    SELECT pgqueue.create_queue('q', namespace => 'n');
    SELECT pgqueue.delete_namespace('n', force => true);
    SQL
places_are_free('W8: 100 namespaces, made and deleted');
times_over(600, q{SELECT pgqueue.create_queue('q'); SELECT pgqueue.delete_queue('q');});
places_are_free('T4: 600 queues, made and deleted');
times_over(600, q{BEGIN; SELECT pgqueue.create_queue('never'); SELECT pgqueue.create_task('never', '1'); ROLLBACK;});
places_are_free('T4: 600 queues whose creation is rolled back');

# Purges, with tasks that are ready, delayed, in groups and held.
sql(q{SELECT pgqueue.create_queue('kept')});
sql(q{SELECT pgqueue.create_task('kept', '0') FROM generate_series(1, 3)});
is(sql(q{SELECT count(*) FROM pgqueue.next_tasks('w', '{kept}', 3)}), '3', 'some tasks are held');
times_over(550, <<~'SQL');
    SELECT pgqueue.create_task('kept', '1'), pgqueue.create_task('kept', '2', delay => '1 year'),
        pgqueue.create_task('kept', '3', group_key => 'g');
    SELECT pgqueue.purge_queue('kept');
    SQL
is(sql(q{SELECT count(*) FROM pgqueue.task WHERE namespace <> 'pgqueue'}), '3',
    'T4: after 550 purges the held tasks are there');
is(sql(<<~'SQL'), 'released released released', 'T4: and are released');
    SELECT string_agg(pgqueue.release_task(id, receipt), ' ') FROM pgqueue.task WHERE namespace <> 'pgqueue'
    SQL
sql(q{SELECT pgqueue.delete_queue('kept')});
places_are_free('T4: 550 purges of a queue with tasks of all kinds');
counters_right($node, 'postgres', 'T4');

# A transaction that has used the numbers holds them back, and nothing else.
my $open = session($node);
sql(q{SELECT pgqueue.create_queue('used')});
$open->query(q{BEGIN; SELECT pgqueue.create_task('used', '1')});
times_over(100, q{SELECT pgqueue.create_queue('q'); SELECT pgqueue.delete_queue('q');});
cmp_ok(used('queues'), '>', $queues + 100,
    'T4: an open transaction that has made a task keeps the places of what is deleted');
sql(q{SELECT pgqueue.create_task('used', '2')});
is(sql(q{SELECT payload FROM pgqueue.next_task('w', 'used')}), '2', 'T4: others work meanwhile');
my $pid = $open->query('SELECT pg_backend_pid()');
my (undef, undef, $full) = $node->psql('postgres', join("\n", (<<~'SQL') x 512), on_error_stop => 1);
    SELECT pgqueue.create_queue('q');
    SELECT pgqueue.delete_queue('q');
    SQL
my $detail = qr/DETAIL:  .* Places that became free wait for the end of the transaction of process $pid\./;
like($full, qr/no place is free for another queue .*\n$detail/,
    'T4: and when that fills the table the error says whom it waits for');
$open->query('COMMIT');
is(sql(q{SELECT payload FROM pgqueue.next_task('w', 'used')}), '1', 'T4: its task is there');
sql(q{SELECT pgqueue.delete_queue('used', force => true)});
places_are_free('T4: after its end');

# The extension again and again. A session of its own for each time: PL/pgSQL keeps the plans of dropped functions, and
# every change of the catalogs looks through them.
sql(<<~'SQL') for 1 .. 40;
    DROP EXTENSION pgqueue;
    CREATE EXTENSION pgqueue;
    SELECT pgqueue.create_queue('q');
    SELECT pgqueue.create_task('q', '1');
    SQL
sql(q{SELECT pgqueue.delete_queue('q')});
places_are_free('T4: 40 times DROP and CREATE EXTENSION');

# A waiter is told when its queue is purged, and when it is deleted.
sql(q{SELECT pgqueue.create_queue('waited')});
my $waiter = session($node);
$waiter->send(q{CALL pgqueue.wait_for_task('{waited}', '100 s')});
my $waits = q{SELECT count(*) FROM pgqueue.worker WHERE state = 'waiting' AND queue = 'waited'};
ok(wait_for($node, 'postgres', $waits, '1'), 'a session waits for a queue');
sql(q{SELECT pgqueue.purge_queue('waited')});
sql(q{SELECT pgqueue.create_task('waited', '1')});
is($waiter->query('SELECT 1'), "t\n1", 'T4: it hears of the first task after a purge');
sql(q{SELECT pgqueue.purge_queue('waited')});
$waiter->send(q{CALL pgqueue.wait_for_task('{waited}', '100 s')});
ok(wait_for($node, 'postgres', $waits, '1'), 'it waits again');
sql(q{SELECT pgqueue.delete_queue('waited')});
like($waiter->query('SELECT 1'), qr/ERROR:  queue "waited" does not exist/, 'T4: and of the end of the queue');
$waiter->close;

# When the tables are full the error says which, and health has said so before.
is(sql(q{SELECT count(*) FROM pgqueue.health WHERE problem = 'memory_low'}), '0', 'W8: nothing is low');
sql(q{SELECT pgqueue.create_namespace('n' || i) FROM generate_series(1, 60) i});
is(sql(q{SELECT message FROM pgqueue.health WHERE problem = 'memory_low'}), '62 of 64 places for namespaces are taken',
    'W8: health says what runs short');
my ($rc, $out, $err) = $node->psql('postgres', <<~'SQL');
    \set VERBOSITY verbose
    SELECT pgqueue.create_namespace('m' || i) FROM generate_series(1, 10) i
    SQL
$detail = qr/DETAIL:  All 64 places are taken. View pgqueue.memory shows by whom./s;
like($err, qr/ERROR:  53200: no place is free for another namespace.*\n$detail\nHINT:  Raise pgqueue.dispatch_memory/s,
    'W8: and the error which table is full');
sql(q{SELECT pgqueue.delete_namespace('n' || i) FROM generate_series(1, 60) i});
places_are_free('W8: then');
is(sql(q{SELECT used FROM pgqueue.memory WHERE kind = 'repaired'}), '0', 'nothing had to be repaired');

# Who sees it.
sql(<<~'SQL');
    CREATE ROLE seer LOGIN;
    CREATE ROLE reader LOGIN;
    CREATE ROLE monitor LOGIN;
    GRANT pgqueue_user TO seer, reader, monitor;
    GRANT pg_monitor TO monitor;
    SELECT pgqueue.create_namespace('his');
    SELECT pgqueue.grant_namespace('his', 'manage', 'seer'), pgqueue.grant_namespace('his', 'read', 'reader')
    SQL
my %sees = (seer => '5 his', reader => '0 ', monitor => '15 default, his, pgqueue');
is(sql(<<~"SQL"), $sees{$_}, "view memory: $_ sees what is for them") for sort keys %sees;
    SET ROLE $_;
    SELECT count(*) FILTER (WHERE namespace IS NOT NULL) || ' '
        || coalesce(string_agg(DISTINCT namespace, ', ' ORDER BY namespace), '')
    FROM pgqueue.memory
    SQL

# Roles come, have tasks in several queues and namespaces, and go. There are more of them than places for roles (128),
# for their lists in queues (1024) and for those in namespaces (512). Without a clean-up all of these would stay.
sql(<<~'SQL');
    SELECT pgqueue.create_queue('q' || q, namespace => nullif('t' || n, 't0'))
    FROM (SELECT pgqueue.create_namespace('t' || n) AS made, n FROM generate_series(1, 4) n) s, generate_series(1, 2) q
    SQL
for my $round (0 .. 7)
{
    sql(join("\n", map {
        my $role = 'tenant' . (20 * $round + $_);
        <<~"SQL";
            CREATE ROLE $role LOGIN;
            GRANT pgqueue_user TO $role;
            SELECT pgqueue.grant_namespace('t' || n, 'use', '$role') FROM generate_series(1, 4) n;
            SET ROLE $role;
            SELECT pgqueue.create_task('q' || q, command => 'SELECT 1', namespace => 't' || n)
            FROM generate_series(1, 4) n, generate_series(1, 2) q;
            RESET ROLE;
            SQL
    } 1 .. 20));
    ok(wait_for($node, 'postgres', <<~'SQL', 160 * ($round + 1), 60), "W8: the tasks of 20 more roles are done");
        SELECT count(*) FROM pgqueue.task WHERE status = 'released'
        SQL
}
cmp_ok(used('roles'), '<', 128, 'W8: the places of idle roles are used again');
cmp_ok(used('lanes'), '<', 1024, 'W8: and those of their lists of ready tasks');
is(sql(<<~'SQL'), '', 'W8: health warns of nothing that becomes free by itself');
    SELECT string_agg(message, ', ') FROM pgqueue.health WHERE problem = 'memory_low' AND message LIKE '%roles%'
    SQL
counters_right($node, 'postgres', 'W8');

done_testing();
