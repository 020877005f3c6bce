# Phase failed of handlers, and the channel of failures: what happens when a task has failed for good.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use Test::More;

my $node = new_node('failed', conf => 'log_statement = none');
my $db = 'postgres';
sub sql { return $node->safe_psql($db, @_); }
sub as { my ($role, $query) = @_; return $node->safe_psql($db, $query, extra_params => [ '-U', $role ]); }
sub calls_are
{
    my ($expected, $what) = @_;
    my $query = q{SELECT concat_ws('|', caller, payload, error) FROM ann.calls ORDER BY 1};
    ok(wait_for($node, $db, $query, $expected), $what) or diag(sql("$query; SELECT * FROM pgqueue.task"));
    sql('TRUNCATE ann.calls');
    return;
}

sql(<<~'SQL');
    CREATE ROLE ann LOGIN IN ROLE pgqueue_user; CREATE ROLE bob LOGIN IN ROLE pgqueue_user;
    SELECT pgqueue.create_queue('out', retries => 1, retry_delay => '0'),
        pgqueue.create_queue('srv', executor => 'server', retries => 0), pgqueue.create_queue('dead'),
        pgqueue.create_queue('doomed', retries => 0, dead_letter => 'dead'),
        pgqueue.grant_namespace('default', 'all', 'ann'), pgqueue.grant_namespace('default', 'use', 'bob'),
        pgqueue.grant_namespace('default', 'work', 'bob');
    CREATE SCHEMA ann AUTHORIZATION ann
    SQL
as('ann', <<~'SQL');
    CREATE TABLE ann.calls (caller text, payload jsonb, error text);
    CREATE FUNCTION ann.tell(payload jsonb, error text) RETURNS void LANGUAGE sql AS
        $$INSERT INTO ann.calls VALUES (current_user, payload, error)$$;
    CREATE FUNCTION ann.bad(payload jsonb, error text) RETURNS void LANGUAGE plpgsql AS
        $$BEGIN RAISE EXCEPTION 'bad itself'; END$$;
    SELECT pgqueue.create_handler('', 'ann.tell', 'failed');
    SQL
is(sql(q{SELECT type, phase, function, role FROM pgqueue.handler}), '|failed|ann.tell|ann', 'it is registered');

# Of an outside worker: after the last attempt only.
as('bob', q{SELECT pgqueue.create_task('out', '{"n": 1}', type => 'mail')});
as('bob', q{SELECT pgqueue.fail_task(id, receipt, 'first') FROM pgqueue.next_task('w', 'out')});
is(sql('SELECT count(*) FROM pgqueue.task'), '1', 'an attempt that is tried again calls nothing');
as('bob', q{SELECT pgqueue.fail_task(id, receipt, 'second') FROM pgqueue.next_task('w', 'out')});
calls_are('ann|{"n": 1}|second', 'after the last attempt the function runs as its role, with payload and error');
is(sql(q{SELECT status, count(*) FROM pgqueue.task GROUP BY 1 ORDER BY 1}), "failed|1\nreleased|1",
    'by a task of its own; the failed one stays failed');
is(sql(q{SELECT role, queue, type, worker LIKE 'server/%' FROM pgqueue.task WHERE status = 'released'}),
    'ann|out|mail|t', 'in the queue, by a worker of the server');
is(as('bob', q{SELECT count(*) FROM pgqueue.next_task('w', 'out')}), '0', 'no outside worker gets it');

# In a transaction that is rolled back nothing follows.
as('bob', q{SELECT pgqueue.create_task('out', '{"n": 2}', retries => 0)});
as('bob', q{BEGIN; SELECT pgqueue.fail_task(id, receipt, 'x') FROM pgqueue.next_task('w', 'out'); ROLLBACK});
as('bob', q{SELECT pgqueue.fail_task(id, receipt, E'line\nbreak ''quote''') FROM pgqueue.next_task('w', 'out')});
calls_are("ann|{\"n\": 2}|line\nbreak 'quote'", 'a task without type; what was rolled back called nothing');

# SQL tasks, and those that move to a dead-letter queue.
as('bob', q{SELECT pgqueue.create_task('srv', command => 'SELECT 1/0')});
calls_are('ann|division by zero', 'a command has no payload');
as('bob', q{SELECT pgqueue.create_task('doomed', '{"n": 3}')});
as('bob', q{SELECT pgqueue.fail_task(id, receipt, 'gone') FROM pgqueue.next_task('w', 'doomed')});
calls_are('ann|{"n": 3}|gone', 'a dead-lettered task');
is(sql(q{SELECT queue, status FROM pgqueue.task WHERE payload = '{"n": 3}' ORDER BY 1}), "dead|failed\ndoomed|released",
    'whose call runs in the queue in which it failed');

# Errors of the function leave the task failed, and call nothing again. Several functions each have their task.
as('ann', q{SELECT pgqueue.create_handler('mail', 'ann.bad', 'failed')});
as('bob', q{SELECT pgqueue.create_task('out', '{"n": 4}', type => 'mail', retries => 0)});
as('bob', q{SELECT pgqueue.fail_task(id, receipt, 'four') FROM pgqueue.next_task('w', 'out')});
calls_are('ann|{"n": 4}|four', 'one of two functions fails');
ok(wait_for($node, $db, q{SELECT status, attempt, error FROM pgqueue.task WHERE payload = '{"n": 4}' ORDER BY id},
    "failed|1|four\nreleased|1|\nfailed|2|bad itself"), 'it is retried as its queue says, and then failed itself')
  or diag(sql('SELECT * FROM pgqueue.task'));
is(sql('SELECT count(*) FROM ann.calls'), '0', 'which calls nothing');
is(sql(q{SELECT (pgqueue.delete_handler('mail', phase => 'failed')).function}), 'ann.bad', 'deleted');

# A large payload is not copied.
as('bob', q{SELECT pgqueue.create_task('out', jsonb_build_object('n', (SELECT string_agg(md5(i::text), '')
    FROM generate_series(1, 40000) i)), type => 'mail', retries => 0)});
as('bob', q{SELECT pgqueue.fail_task(id, receipt, 'five') FROM pgqueue.next_task('w', 'out')});
calls_are('ann|five', 'a function gets no payload of more than 1 MiB');

# What cannot be registered.
my $err;
for ([ q{'x', 'ann.none', 'failed'} => '42883' ], [ q{'x', 'ann.tell', 'after'} => '42883' ],
    [ q{'x', 'ann.tell', 'nix'} => '22023' ])
{
    my ($arguments, $code) = @$_;
    $node->psql($db, "\\set VERBOSITY verbose\nSELECT pgqueue.create_handler($arguments)", stderr => \$err);
    like($err, qr/ERROR:  $code: /, "create_handler($arguments) is refused with $code");
}

# Rights: the payload goes to the role that registered the function, nobody else sees more than before.
as('bob', q{SELECT pgqueue.create_task('doomed', '{"n": 5}')});
as('bob', q{SELECT pgqueue.fail_task(id, receipt, 'five') FROM pgqueue.next_task('w', 'doomed')});
calls_are('ann|{"n": 5}|five', 'and once more');
is(as('bob', q{SELECT count(*) FROM pgqueue.task WHERE role = 'ann'}), '0', 'the task of the call is its role\'s');

# A manager cannot put other words into a call that runs as another role.
sql(q{CREATE ROLE cat LOGIN IN ROLE pgqueue_user; SELECT pgqueue.grant_namespace('default', 'manage', 'cat')});
sql(q{SELECT pgqueue.create_queue('slow', retries => 0), pgqueue.pause_queue('slow')});
sql(q{SELECT pgqueue.resume_queue('slow'), pgqueue.create_task('slow', '{"n": 6}')});
sql(q{BEGIN; SELECT pgqueue.fail_task(id, receipt, 'six') FROM pgqueue.next_task('w', 'slow');
    SELECT pgqueue.pause_queue('slow'); COMMIT});
for my $change (q{payload = '{"n": 7}'}, q{headers = '{"function": "ann.tell", "error": "forged"}'})
{
    $node->psql($db, "\\set VERBOSITY verbose\nUPDATE pgqueue.task SET $change WHERE queue = 'slow' AND status = 'new'",
        stderr => \$err, extra_params => [ '-U', 'cat' ]);
    like($err, qr/ERROR:  42501: permission denied for the payload of task \d+/, "a manager cannot set $change");
}
sql(q{SELECT pgqueue.resume_queue('slow')});
calls_are('ann|{"n": 6}|six', 'it runs as it was made');

# Channel pgqueue_failed:<namespace>: the queue, once for many.
my $listener = session($node);
$listener->query('LISTEN "pgqueue_failed:default"');
as('bob', q{SELECT count(*) FROM pgqueue.create_tasks('out', array_fill('1'::jsonb, ARRAY[50]), retries => 0)});
as('bob', q{SELECT count(pgqueue.fail_task(id, receipt, 'x')) FROM pgqueue.next_tasks('w', '{out}', 50)});
ok(wait_for($node, $db, 'SELECT count(*) FROM ann.calls', '50'), 'fifty failures');
my $heard = '';
ok(wait_until(sub { $heard .= $listener->query('SELECT 1'); $heard =~ /pgqueue_failed:default/ }),
    'listeners are told') or diag($heard);
like($heard, qr/Asynchronous notification "pgqueue_failed:default" with payload "out"/, 'the payload is the queue');
cmp_ok(() = $heard =~ /pgqueue_failed/g, '<', 25, 'not once for each task');
$listener->close;
check_invariants($node, $db, 'afterwards');
$node->stop;
done_testing();
