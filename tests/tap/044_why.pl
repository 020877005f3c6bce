# why(): reasons that need other processes, settings or servers, and the number of tasks before one in long lists, also
# when they are in the spill file. The others: pgtap/why.sql.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('why', streaming => 1,
    conf => "log_statement = none\nlog_min_messages = log\npgqueue.max_workers = 2");
sub sql { return $node->safe_psql('postgres', @_); }
sub soon { my ($sql, $expected, $name) = @_; return ok(wait_for($node, 'postgres', $sql, $expected, 30), $name); }
sub why
{
    my ($id, $columns) = @_;
    $columns //= 'reason';
    return <<~"SQL";
        SELECT string_agg(concat_ws('|', $columns), '; ') FROM pgqueue.why($id)
        SQL
}
sub set { my ($line) = @_; $node->append_conf('postgresql.conf', $line); return $node->reload; }
my $me = getpwuid($<);

# Busy workers.
sql(q{SELECT pgqueue.create_queue('s', executor => 'server', ttl => '0'), pgqueue.create_queue('a', ttl => '0')});
my ($one, $two, $three) = split /\n/,
    sql(q{SELECT pgqueue.create_task('s', command => 'SELECT pg_sleep(600)') FROM generate_series(1, 3)});
my $pid = wait_until(sub { sql("SELECT pid FROM pgqueue.task WHERE id = $one AND status = 'retained'") });
soon(why($one, 'status, reason, ready_at, ahead, message'),
    "retained|running|Process $pid of the server runs it since "
    . sql("SELECT started_at FROM pgqueue.task WHERE id = $one") . '.', 'running: which process');
soon(why($three, 'reason, ahead, message'), 'no_worker_slot|0|All 2 workers of the cluster are busy.',
    'no_worker_slot');
is(sql(why($three, 'hint')), 'ALTER SYSTEM SET pgqueue.max_workers = 4; SELECT pg_reload_conf();',
    'E5: the hint is a statement');
set('pgqueue.max_workers_per_role = 2');
soon(why($three, 'reason, ahead, message'),
    qq{role_limit|0|All 2 workers of role "$me" are busy, pgqueue.max_workers_per_role is 2.}, 'role_limit');
my $raise = 'ALTER SYSTEM SET pgqueue.max_workers_per_role = 4; SELECT pg_reload_conf();';
is(sql(why($three, 'hint')), $raise, 'E5: the hint is a statement');
is(sql(q{SELECT hint FROM pgqueue.health WHERE problem = 'limit'}), $raise, 'E5: health gives the same');
is(sql(<<~"SQL"), 't', 'E5: since when the task waits');
    SELECT since = (SELECT created_at FROM pgqueue.task WHERE id = $three) FROM pgqueue.health WHERE problem = 'limit'
    SQL
set('pgqueue.max_workers_per_role = 0');
sql(<<~'SQL');
    CREATE ROLE stranger LOGIN;
    GRANT pgqueue_user TO stranger;
    SELECT pgqueue.grant_namespace('default', 'use', 'stranger');
    REVOKE CONNECT ON DATABASE postgres FROM PUBLIC
    SQL
my $theirs = sql(q{SET ROLE stranger; SELECT pgqueue.create_task('s', command => 'SELECT 1')});
set('pgqueue.max_workers = 4');
soon(why($three), 'running', 'more workers');
soon(why($theirs, 'reason, message, hint'),
    'no_worker_slot|Role "stranger" may not connect to this database.|GRANT CONNECT ON DATABASE postgres TO stranger;',
    'E5: no_worker_slot: a role that may not connect');
soon(q{SELECT message, hint FROM pgqueue.health WHERE message LIKE '%may not connect%'},
    '1 ready task waits: role "stranger" may not connect to this database|'
    . 'GRANT CONNECT ON DATABASE postgres TO stranger;',
    'E5: health says the same');
is(sql(<<~"SQL"), 't', 'E5: since when the task waits');
    SELECT since = (SELECT created_at FROM pgqueue.task WHERE id = $theirs)
    FROM pgqueue.health
    WHERE message LIKE '%may not connect%'
    SQL
sql(q{GRANT CONNECT ON DATABASE postgres TO PUBLIC});
soon(why($theirs), 'finished', 'and now it may');
sql(q{ALTER ROLE stranger SET local_preload_libraries = 'no_such_library'});
# Those workers that it has go on.
soon(q{SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'stranger'}, 0,
    'it has no worker');
my $unborn = sql(q{SET ROLE stranger; SELECT pgqueue.create_task('s', command => 'SELECT 1')});
soon(why($unborn, 'reason, message'), 'no_worker_slot|Workers of role "stranger" end before they begin.',
    'no_worker_slot: the workers of a role do not start');
is(sql(q{SELECT DISTINCT message FROM pgqueue.health WHERE problem = 'no_worker_slot'}),
    '1 ready task waits: workers of role "stranger" end before they begin', 'health names the role, and says no more');
sql('ALTER ROLE stranger RESET local_preload_libraries');
soon(why($unborn), 'finished', 'they start again');
sql("SELECT pgqueue.cancel_task(id) FROM unnest(ARRAY[$one, $two, $three]) id");
soon(q{SELECT count(*) FROM pgqueue.task WHERE status = 'retained'}, 0, 'none runs');
sql(q{SELECT pgqueue.create_queue('both', ttl => '0')});
my $asleep = sql(q{SELECT pgqueue.create_task('both', command => 'SELECT pg_sleep(600)')});
soon(why($asleep), 'running', 'a command of a queue of outside workers runs in the server');
my $payload = sql(q{SELECT pgqueue.create_task('both', '1')});
soon(why($payload), 'no_outside_worker', 'E6: who runs in the server is no outside worker');
sql("SELECT pgqueue.cancel_task(id) FROM unnest(ARRAY[$asleep, $payload]) id");
soon(q{SELECT count(*) FROM pgqueue.task WHERE status = 'retained'}, 0, 'it is over');
my $waiter = session($node);
$waiter->send(q{CALL pgqueue.wait_for_task('{a}', '5 min')});
soon(q{SELECT count(*) FROM pgqueue.worker WHERE state = 'waiting'}, 1, 'a session waits');
sql(q{SELECT pgqueue.pause_queue('a')});
my $waits = sql(q{SELECT pgqueue.create_task('a', '1')});
is(sql(why($waits)), 'paused', 'somebody waits for the queue: no word of a missing worker');
sql(q{SELECT pg_terminate_backend(pid) FROM pgqueue.worker WHERE state = 'waiting'});
soon(why($waits), 'paused; no_outside_worker', 'the session is gone');

# Taken by a transaction that is open.
sql(q{SELECT pgqueue.create_queue('t', ttl => '0')});
my $taken = sql(q{SELECT pgqueue.create_task('t', '1')});
my $taker = session($node);
is($taker->query(q{BEGIN; SELECT id FROM pgqueue.next_task('w', 't')}), $taken, 'a retain that is not committed');
is(sql(why($taken, q{reason, coalesce(ahead, -1), message})),
    'ready|-1|An outside worker has taken it in a transaction that has not committed yet.', 'is told');
$taker->query('COMMIT');
is(sql(why($taken)), 'running', 'committed');
$taker->close;

# Switched off.
my $c = sql(q{SELECT pgqueue.create_task('s', command => 'SELECT 1', delay => '1 h')});
set('pgqueue.enabled = off');
soon(why($c), 'disabled; delayed', 'disabled');
set("pgqueue.enabled = on\npgqueue.databases = 'other'");
soon(why($c, 'reason, message'),
    'disabled|pgqueue.databases leaves this database out.; delayed|' . 'It is not due before '
    . sql("SELECT delayed_at FROM pgqueue.task WHERE id = $c") . '.', 'not among the databases');
is(sql(<<~"SQL"),
    SELECT string_agg(DISTINCT hint, '; ')
    FROM (
        SELECT hint FROM pgqueue.health WHERE problem = 'disabled'
        UNION ALL
        SELECT hint FROM pgqueue.why($c) WHERE reason = 'disabled'
    ) h
    SQL
    q{ALTER SYSTEM SET pgqueue.databases = 'other, postgres'; SELECT pg_reload_conf();}, 'E5: the hint is a statement');
set("pgqueue.databases = ''\npgqueue.max_workers = 0");
soon(why($c), 'disabled; delayed', 'no workers at all');
set('pgqueue.max_workers = 2');
soon(why($c), 'delayed', 'all on again');

# Long lists: 80,000 tasks of one list in memory. Behind the first 65,000 only the page of the task is looked into.
sql(q{SELECT pgqueue.create_queue('long', ttl => '0')});
sql(q{SELECT count(*) FROM pgqueue.create_tasks('long', array_fill('1'::jsonb, ARRAY[10000]))}) for 1 .. 8;
my $ahead = <<~'SQL';
    SELECT string_agg(ahead::text, ' ')
    FROM (
        SELECT (SELECT w.ahead FROM pgqueue.why(t.id) w)
        FROM (SELECT id, row_number() OVER (ORDER BY id) n FROM pgqueue.task WHERE queue = 'long' AND status = 'new') t
        WHERE n IN (1, 171, 20000, 79990) ORDER BY n
    ) x
    SQL
is(sql($ahead), '0 170 19999 79989', 'ahead is exact in a long list');
is(sql(q{SELECT count(*) FROM pgqueue.next_tasks('w', '{long}', 1000)}), '1000', 'a thousand taken');
is(sql($ahead =~ s/79990/78990/r), '0 170 19999 78989', 'and still is');

# Not ours, not loaded.
$node->backup('copy');
my $standby = PgQueue::Node->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
is($standby->safe_psql('postgres', why($c, 'reason, message')),
    'not_loaded|This server is a standby; tasks run on its primary server.; delayed|It is not due before '
    . sql("SELECT delayed_at FROM pgqueue.task WHERE id = $c") . '.', 'not_loaded: a standby');
$standby->stop('immediate');
sql(<<~'SQL');
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = 'postgres' AND pid <> pg_backend_pid() AND backend_type = 'client backend'
    SQL
$node->safe_psql('template1', 'CREATE DATABASE clone TEMPLATE postgres');
soon_in('clone', why($c), 'not_adopted; delayed', 'not_adopted: a copy');
sub soon_in { my ($db, $sql, $expected, $name) = @_; return ok(wait_for($node, $db, $sql, $expected, 30), $name); }
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->restart;
is(sql(why($c, 'reason, hint')),
    'not_loaded|Add pgqueue to shared_preload_libraries in postgresql.conf and restart the server.; '
    . "delayed|To run it at once: SELECT pgqueue.retry_task($c);",
    'not_loaded: not preloaded');
is(sql(why($waits)), 'not_loaded; paused', 'what the rows say is there');
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pgqueue'\npgqueue.dispatch_memory = '4MB'");
$node->restart;

# A list that does not fit into memory: what is in the file has at least so many before it; the ends are exact.
soon(q{SELECT count(*) FROM pgqueue.queue_status WHERE queue = 'long' AND status = 'new' AND count = 79000}, '1',
    'started again with little memory');
sql(q{SELECT count(*) FROM pgqueue.create_tasks('long', array_fill('1'::jsonb, ARRAY[10000]))}) for 1 .. 20;
soon(q{SELECT count(*) > 0 FROM pg_ls_dir('pg_stat_tmp') f WHERE f LIKE 'pgqueue.spill.%'}, 't',
    'the list is in the spill file');
sql(q{SELECT FROM pgqueue.next_tasks('w', '{long}', 1)});
my $long = q{SELECT id FROM pgqueue.task WHERE queue = 'long' AND status = 'new' ORDER BY id};
my $nth = sub { return "($long OFFSET $_[0] LIMIT 1)" };
soon(why($nth->(50000), q{reason, ahead BETWEEN 1 AND 50000}), 'spilled|t', 'spilled');
soon(why($nth->(10), 'reason, ahead'), 'ready|10', 'the front is exact');
soon(why($nth->(278990), 'reason, ahead'), 'ready|278990', 'and so is the end');

# Parallel queries of any role may have all process slots. A scheduler that has to be started then waits.
set('pgqueue.enabled = off');
soon(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pgqueue scheduler'}, '0', 'no scheduler');
# A row on each page, so that every parallel worker has one.
sql(<<~'SQL');
    CREATE TABLE wide (a text) WITH (parallel_workers = 100);
    ALTER TABLE wide ALTER a SET STORAGE PLAIN;
    INSERT INTO wide SELECT repeat('x', 7000) FROM generate_series(1, 200)
    SQL
my $wide = session($node);
$wide->query(<<~'SQL');
    SET max_parallel_workers = 1024;
    SET max_parallel_workers_per_gather = 100;
    SET parallel_setup_cost = 0;
    SET parallel_tuple_cost = 0;
    SET min_parallel_table_scan_size = 0;
    SET parallel_leader_participation = off
    SQL
$wide->send('SELECT count(*) FROM wide WHERE pg_sleep(600) IS NULL');
my $parallel = q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'parallel worker'};
ok(wait_until(sub { sql($parallel) > 4 }, 30), 'parallel workers run');
set('pgqueue.enabled = on');
soon(q{SELECT severity, message FROM pgqueue.health WHERE problem = 'no_worker_slot'},
    'critical|the scheduler cannot be started, other processes have all of max_worker_processes',
    'health: the scheduler cannot be started');
soon(why($waits, q{reason, message}),
    'no_worker_slot|The scheduler cannot be started: other processes have all of max_worker_processes.; '
    . 'not_loaded|No scheduler serves this database yet.; paused|Queue "a" is paused.',
    'why: the scheduler cannot be started');
is(sql(sql(q{SELECT regexp_replace(hint, 'SELECT .* FROM', 'SELECT count(*) > 4 FROM') FROM pgqueue.health
    WHERE problem = 'no_worker_slot'})), 't', 'the hint shows who has the slots');
sql(q{SELECT pg_cancel_backend(leader_pid) FROM pg_stat_activity WHERE backend_type = 'parallel worker' LIMIT 1});
soon(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pgqueue scheduler'}, '1', 'it starts');

done_testing();
