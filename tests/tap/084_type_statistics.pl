# Views type_stat and worker_stat, and reset_stats: what they count, their limits, and that they outlive a restart.
use strict;
use warnings;
use File::Basename;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use PostgreSQL::Test::Utils;
use Test::More;

my $db = 'postgres';
my $node = new_node('types',
    conf => "log_statement = none\npgqueue.max_types = 8\npgqueue.stats_flush_interval = 100ms");
sub sql { return $node->safe_psql($db, @_); }
my $types = q{SELECT queue, coalesce(type, '-'), retained_total, released_total, failed_total, retried_total
    FROM pgqueue.type_stat ORDER BY 1, 2};
my $roles = q{SELECT role, namespace, retained_total, released_total, failed_total, retried_total
    FROM pgqueue.worker_stat ORDER BY 1, 2};

sql(q{CREATE ROLE ann LOGIN IN ROLE pgqueue_user; CREATE ROLE ben LOGIN IN ROLE pgqueue_user;
    SELECT pgqueue.create_queue('q', retries => 1, retry_delay => '0'),
        pgqueue.create_queue('work', executor => 'server');
    SELECT pgqueue.grant_namespace('default', 'all', 'ann'), pgqueue.grant_namespace('default', 'work', 'ben')});

# An outside worker: two types, and a task without one.
sql(q{SELECT pgqueue.create_task('q', '1', type => 'mail'), pgqueue.create_task('q', '2', type => 'bill'),
    pgqueue.create_task('q', '3')});
is(sql($types), '', 'a type that no worker has retained has no row');
sub as { my ($role, $query) = @_; return $node->safe_psql($db, $query, extra_params => [ '-U', $role ]); }
as('ann', q{SELECT pgqueue.release_task(id, receipt) FROM pgqueue.next_tasks('w', '{q}', 3)
    WHERE type IS DISTINCT FROM 'bill'});
my $bill = sql(q{SELECT id, receipt FROM pgqueue.task WHERE status = 'retained'}) =~ s/\|/, /r;
as('ben', "SELECT pgqueue.fail_task($bill, 'no')");
is(sql($types), "q|bill|1|0|0|1\nq|mail|1|1|0|0", 'each type has its row, a task without type none');
is(sql($roles), "ann|default|3|2|0|0\nben|default|0|0|0|1", 'each role has what it has done');
as('ben', q{SELECT pgqueue.fail_task(id, receipt, 'no') FROM pgqueue.next_task('w', 'q')});
is(sql($types), "q|bill|2|0|1|1\nq|mail|1|1|0|0", 'a failure for good');
is(sql($roles), "ann|default|3|2|0|0\nben|default|1|0|1|1", 'and by whom');
is(sql(q{SELECT count(*) FROM pgqueue.type_stat WHERE wait_seconds_p50 > 0 AND run_seconds_p99 > 0
    AND run_seconds_max >= run_seconds_p50}), '2', 'with times');
cmp_ok(sql(q{SELECT run_seconds_total FROM pgqueue.worker_stat WHERE role = 'ann'}), '>', 0, 'and time of runs');

# A worker of the server, with what its runs cost. The handler's type is the task's.
sql(q{CREATE SCHEMA ann AUTHORIZATION ann});
as('ann', q{CREATE FUNCTION ann.f(payload jsonb) RETURNS void LANGUAGE sql AS 'SELECT count(*) FROM pg_class'});
as('ann', q{SELECT pgqueue.create_handler('scan', 'ann.f')});
as('ann', q{SELECT pgqueue.create_task('work', '1', type => 'scan') FROM generate_series(1, 3)});
ok(wait_for($node, $db, q{SELECT released_total, blocks_hit_total > 0, cpu_seconds_total >= 0 FROM pgqueue.type_stat
    WHERE type = 'scan'}, '3|t|t'), 'a handler: what its runs cost');
ok(wait_for($node, $db, q{SELECT released_total, blocks_hit_total > 0 FROM pgqueue.worker_stat WHERE role = 'ann'},
    '5|t'), 'by role too');
is(sql(q{SELECT sum(t.released_total) = min(q.released_total) FROM pgqueue.type_stat t
    JOIN pgqueue.queue_stat q USING (queue) WHERE queue = 'work'}), 't', 'the queue has the sum');

# Odd names, and more types than there is room for. A namespace takes half of what is free.
sql(q{SELECT pgqueue.create_task('q', '1', type => E'we"ird\\\\\n ü')});
sql(q{SELECT pgqueue.create_task('q', '1', type => repeat('x', 300))});
sql(q{SELECT pgqueue.create_task('q', '1', type => 't' || i) FROM generate_series(1, 20) i});
sql(q{SELECT pgqueue.release_task(id, receipt) FROM pgqueue.next_tasks('w', '{q}', 100)});
is(sql(q{SELECT count(*) FROM pgqueue.type_stat WHERE type = E'we"ird\\\\\n ü' AND released_total = 1}), '1',
    'a type may have any characters');
cmp_ok(sql('SELECT count(*) FROM pgqueue.type_stat WHERE type IS NOT NULL'), '<=', 8,
    'there are no more than max_types');
is(sql(q{SELECT sum(released_total) FROM pgqueue.type_stat WHERE queue = 'q'}), '23',
    'the others are the row with type NULL');
cmp_ok(sql(q{SELECT released_total FROM pgqueue.type_stat WHERE queue = 'q' AND type IS NULL}), '>=', 15,
    'which has most');
sql(q{SELECT pgqueue.create_namespace('other'); SELECT pgqueue.create_queue('o', namespace => 'other');
    SELECT pgqueue.create_task('o', '1', type => 'mine', namespace => 'other')});
sql(q{SELECT pgqueue.release_task(id, receipt, namespace => 'other')
    FROM pgqueue.next_task('w', 'o', namespace => 'other')});
is(sql(q{SELECT count(*) FROM pgqueue.type_stat WHERE namespace = 'other' AND type = 'mine'}), '1',
    'another namespace still has room');

# After a restart they go on, also while the scheduler has not read them.
# What is saved of a pass may be older for queues than for their types: each of the three must be complete.
for ([ 'queues', 'kind = 0', 'queue_stat' ], [ 'types', 'kind IN (1, 2)', 'type_stat' ],
    [ 'roles', 'kind = 3', 'worker_stat' ])
{
    my ($name, $kind, $view) = @$_;
    ok(wait_for($node, $db, "SELECT (SELECT sum(totals[3]) FROM pgqueue_internal.stat WHERE $kind)
        = (SELECT sum(released_total) FROM pgqueue.$view)", 't'), "$name are saved");
}
my @before = (sql($types), sql($roles));
$node->append_conf('postgresql.conf', 'pgqueue.enabled = off');
$node->restart;
is(sql($types), $before[0], 'types after a restart, from the table');
is(sql($roles), $before[1], 'and roles');
$node->append_conf('postgresql.conf', 'pgqueue.enabled = on');
$node->reload;
ok(wait_for($node, $db, q{SELECT ready IS NOT NULL FROM pgqueue.queue_stat WHERE queue = 'q'}, 't'), 'served again');
sql(q{SELECT pgqueue.create_task('q', '1', type => 'mail')});
sql(q{SELECT pgqueue.release_task(id, receipt) FROM pgqueue.next_task('w', 'q')});
is(sql(q{SELECT released_total FROM pgqueue.type_stat WHERE type = 'mail'}), '2', 'and counted further');
is(sql(q{SELECT sum(released_total) FROM pgqueue.type_stat WHERE queue = 'q'}), '24', 'none is counted twice');

# Reset: at commit, and only what was named.
my $totals = q{SELECT (SELECT released_total FROM pgqueue.queue_stat WHERE queue = 'q'),
    (SELECT coalesce(sum(released_total), 0) FROM pgqueue.type_stat WHERE queue = 'q' AND type = 'mail'),
    (SELECT released_total FROM pgqueue.queue_stat WHERE queue = 'work'),
    (SELECT released_total FROM pgqueue.worker_stat WHERE role = 'ann')};
my $since = sql(q{SELECT since FROM pgqueue.queue_stat WHERE queue = 'q'});
is(sql($totals), '25|2|3|5', 'before');
sql(q{BEGIN; SELECT pgqueue.reset_stats('q'); ROLLBACK});
is(sql($totals), '25|2|3|5', 'a reset that is rolled back resets nothing');
sql(q{SELECT pgqueue.reset_stats(type => 'mail')});
is(sql($totals), '25|0|3|5', 'a type');
sql(q{SELECT pgqueue.create_task('q', '1'); SELECT pgqueue.reset_stats('q')});
is(sql($totals), '0|0|3|5', 'a queue');
is(sql("SELECT since > '$since', created_total, wait_seconds_p50 IS NULL FROM pgqueue.queue_stat WHERE queue = 'q'"),
    't|0|t', 'begins anew');
is(sql('SELECT count(*) FROM pgqueue_internal.reconcile_statistics()'), '0', 'and still accounts for its tasks');
sql('SELECT pgqueue.reset_stats()');
is(sql($totals), '0|0|0|0', 'all of the namespace');
is(sql(q{SELECT released_total FROM pgqueue.queue_stat WHERE queue = 'o'}), '1', 'but not of others');
ok(wait_for($node, $db, q{SELECT sum(totals[3]) FROM pgqueue_internal.stat s
    WHERE kind = 0 AND object_id = (SELECT id FROM pgqueue_internal.queue WHERE name = 'q')}, '0'), 'which is saved');
for ([ "'nix'" => '42704' ], [ q{type => 'nix'} => '42704' ], [ q{namespace => 'nix'} => '42704' ], [ "''" => '42602' ])
{
    my ($arguments, $code) = @$_;
    my ($out, $err);
    $node->psql($db, "\\set VERBOSITY verbose\nSELECT pgqueue.reset_stats($arguments)", stderr => \$err);
    like($err, qr/ERROR:  $code: /, "reset_stats($arguments) is refused with $code");
}
my $err;
$node->psql($db, "\\set VERBOSITY verbose\nSELECT pgqueue.reset_stats('q')", stderr => \$err,
    extra_params => [ '-U', 'ben' ]);
like($err, qr/ERROR:  42501: /, 'a reset needs manage');

# Near the largest number a counter stays there.
$node->append_conf('postgresql.conf', 'pgqueue.enabled = off');
sql(q{SELECT pgqueue.create_task('q', '1')});
ok(wait_for($node, $db, 'SELECT count(*) > 0 FROM pgqueue_internal.stat', 't'), 'something is saved');
$node->stop;
$node->start;
sql(q{UPDATE pgqueue_internal.stat SET totals[1] = 9223372036854775806, totals[3] = 9223372036854775807
    WHERE kind = 0 AND object_id = (SELECT id FROM pgqueue_internal.queue WHERE name = 'q')});
$node->append_conf('postgresql.conf', 'pgqueue.enabled = on');
$node->restart;
sql(q{SELECT pgqueue.create_tasks('q', '{1,2,3}')});
sql(q{SELECT pgqueue.release_task(id, receipt) FROM pgqueue.next_task('w', 'q')});
ok(wait_for($node, $db, q{SELECT created_total, released_total FROM pgqueue.queue_stat WHERE queue = 'q'},
    '9223372036854775807|9223372036854775807'), 'a counter stops at its largest value');
like(sql(q{SELECT pgqueue.prometheus()}), qr/pgqueue_tasks_created_total\{[^}]*queue="q"\} 9\.2233720368547\d*e\+18/,
    'and Prometheus reads it');

# The shortcuts for psql.
my $shortcuts = dirname(__FILE__) . '/../../docs/monitoring/psqlrc';
for my $name (slurp_file($shortcuts) =~ /^\\set (\w+)/mg)
{
    my $rc = $node->psql($db, "\\i $shortcuts\n:$name;", stderr => \$err);
    is($rc, 0, "psqlrc: :$name works") or diag($err);
}

# Entries of deleted queues and namespaces are used again.
sql(q{SELECT pgqueue.delete_queue(queue, force => true) FROM pgqueue.queue WHERE namespace = 'default'});
sql(q{SELECT pgqueue.delete_namespace('other', force => true)});
is(sql('SELECT count(*) FROM pgqueue.type_stat'), '0', 'types of deleted queues are not shown');
sql(q{SELECT pgqueue.create_queue('again')});
ok(wait_until(sub {
    sql(q{SELECT pgqueue.create_task('again', '1', type => 'new' || txid_current())});
    sql(q{SELECT pgqueue.release_task(id, receipt) FROM pgqueue.next_task('w', 'again')});
    return sql(q{SELECT count(*) >= 4 FROM pgqueue.type_stat WHERE type LIKE 'new%'}) eq 't';
}), 'there is room again');
$node->stop;
done_testing();
