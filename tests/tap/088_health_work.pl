# View health: work that stands still, and tasks that fail for good.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use Test::More;

my $node = new_node('health', conf => <<~'C');
    log_statement = none
    pgqueue.stats_flush_interval = 100ms
    pgqueue.health_wait = 1s
    pgqueue.health_failures = 5
    C
my $db = 'postgres';
sub sql { return $node->safe_psql($db, @_); }
# Waits for exactly these rows: severity, problem, namespace, queue, whether since is known.
sub health_is
{
    my ($expected, $what) = @_;
    my $query = q{SELECT concat_ws('|', severity, problem, coalesce(namespace, '-'), coalesce(queue, '-'),
        since IS NOT NULL) FROM pgqueue.health ORDER BY 1};
    ok(wait_for($node, $db, $query, $expected), $what) or diag(sql('SELECT * FROM pgqueue.health'));
    return;
}
# Runs the statements of the hints of a problem, which must be safe and find something.
sub hint_works
{
    my ($problem) = @_;
    for my $hint (split(/\n/, sql("SELECT hint FROM pgqueue.health WHERE problem = '$problem'")))
    {
        $hint =~ s/^[^:]*: (?=SELECT)//;
        my ($out, $err) = ('', '');
        my $rc = $node->psql($db, $hint, stdout => \$out, stderr => \$err);
        is("$rc$err", '0', "the hint of $problem runs: $hint");
        isnt($out, '', 'and shows something');
    }
    return;
}
sub set
{
    my ($setting) = @_;
    sql($setting);
    $node->reload;
    return;
}

sql(q{SELECT pgqueue.create_queue('q', retries => 0), pgqueue.create_queue('s', executor => 'server', retries => 0),
    pgqueue.create_queue('dead'),
    pgqueue.create_queue('doomed', retries => 1, retry_delay => '0', dead_letter => 'dead'),
    pgqueue.create_namespace('other'), pgqueue.create_queue('oq', namespace => 'other')});
health_is('', 'nothing is wrong');

# Nobody takes tasks.
sql(q{SELECT pgqueue.create_task('q', '1')});
health_is('warning|no_outside_worker|default|q|t', 'ready tasks that no outside worker takes');
is(sql(q{SELECT message FROM pgqueue.health}), '1 ready task waits, and no outside worker takes it', 'in words');
sql(q{SELECT pgqueue.create_task('q', '2')});
my ($id, $receipt) = split(/\|/, sql(q{SELECT id, receipt FROM pgqueue.next_task('w', 'q')}));
health_is('warning|late|default|q|t', 'with a worker they are late');
is(sql(q{SELECT hint FROM pgqueue.health}), sql(q{SELECT format('SELECT * FROM pgqueue.why(%s);', min(id))
    FROM pgqueue.task WHERE status = 'new'}), 'the hint names the task that has waited longest');
hint_works('late');
sql("SELECT pgqueue.release_task($id, $receipt)");
sql(q{SELECT pgqueue.release_task(id, receipt) FROM pgqueue.next_tasks('w', '{q}', 10)});
health_is('', 'all is done');
set(q{ALTER SYSTEM SET pgqueue.health_wait = -1});
sql(q{SELECT pgqueue.create_task('q', '1')});
sql('SELECT pg_sleep(1.1)');
health_is('', 'without a bound nothing is late');
set(q{ALTER SYSTEM RESET pgqueue.health_wait});
hint_works('no_outside_worker') if wait_for($node, $db, q{SELECT problem FROM pgqueue.health}, 'no_outside_worker');
sql(q{SELECT pgqueue.release_task(id, receipt) FROM pgqueue.next_tasks('w', '{q}', 10)});

# A paused namespace, no workers, no tickers.
sql(q{SELECT pgqueue.create_task('oq', '1', namespace => 'other'), pgqueue.update_namespace('other', paused => true)});
health_is('warning|namespace_paused|other|-|t', 'a paused namespace with waiting tasks');
hint_works('namespace_paused');
sql(q{SELECT pgqueue.release_task(id, receipt, namespace => 'other')
    FROM pgqueue.next_task('w', 'oq', namespace => 'other')});
health_is('', 'it goes on');
set(q{ALTER SYSTEM SET pgqueue.max_workers = 0});
ok(wait_for($node, $db, q{SELECT count(*) FROM pgqueue.worker WHERE kind = 'server'}, '0'), 'no worker is left')
  or diag(sql('SELECT * FROM pgqueue.worker'));
sql(q{SELECT pgqueue.create_task('s', command => 'SELECT 1')});
ok(wait_for($node, $db, q{SELECT severity, since IS NOT NULL, message FROM pgqueue.health WHERE problem = 'disabled'},
    'critical|t|1 ready task waits, but pgqueue.max_workers is 0'), 'SQL tasks and no workers')
  or diag(sql('SELECT * FROM pgqueue.health'));
set(q{ALTER SYSTEM RESET pgqueue.max_workers});
health_is('', 'with workers it is done');
sql(q{SELECT pgqueue.create_ticker('t', 'q', period => '1 second')});
set(q{ALTER SYSTEM SET pgqueue.tickers = off});
sql(q{SELECT pgqueue.release_task(id, receipt) FROM pgqueue.next_tasks('w', '{q}', 10)});
ok(wait_for($node, $db, q{SELECT severity, namespace, since IS NOT NULL, message, hint FROM pgqueue.health WHERE
    problem = 'disabled'}, 'warning|default|t|pgqueue.tickers is off, and one ticker is overdue|'
    . 'ALTER SYSTEM SET pgqueue.tickers = on; SELECT pg_reload_conf();'), 'tickers are off and one is overdue')
  or diag(sql('SELECT * FROM pgqueue.health'));
sql(q{SELECT pgqueue.delete_ticker('t')});
set(q{ALTER SYSTEM RESET pgqueue.tickers});
sql(q{SELECT pgqueue.release_task(id, receipt) FROM pgqueue.next_tasks('w', '{q}', 100)});
health_is('', 'without tickers none is overdue');

# Failures: a burst, a pile, a dead-letter queue that grows, and those that fail in the same way each time.
sql(q{SELECT count(*) FROM pgqueue.create_tasks('q', array_fill('1'::jsonb, ARRAY[4]))});
sql(q{SELECT pgqueue.fail_task(id, receipt, 'no') FROM pgqueue.next_tasks('w', '{q}', 4)});
sql('SELECT pg_sleep(0.5)');
health_is('', 'four failures are below the bound');
sql(q{SELECT pgqueue.create_task('q', '1')});
sql(q{SELECT pgqueue.fail_task(id, receipt, 'no') FROM pgqueue.next_task('w', 'q')});
health_is("warning|failures|default|q|t\nwarning|failures|default|q|t", 'five are a burst, and a pile');
hint_works('failures');
sub pile_since
{
    my ($compared) = @_;
    return <<~"SQL";
        SELECT h.since $compared min(t.finished_at)
        FROM pgqueue.health h, pgqueue.task t
        WHERE h.message LIKE '%kept' AND t.queue = 'q' AND t.status = 'failed'
        GROUP BY h.since
        SQL
}
is(sql(pile_since('>=')), 't', 'the pile is there since its first task failed');
$node->restart;
ok(wait_for($node, $db, pile_since('='), 't'), 'also after a restart');
sql(q{DELETE FROM pgqueue.task WHERE queue = 'q'});
health_is('warning|failures|default|q|t', 'the pile is gone, the burst is known for ten minutes');
sql(q{SELECT pgqueue.create_task('doomed', '1', type => 'mail')});
sql(q{SELECT pgqueue.fail_task(id, receipt, 'no such mailbox') FROM pgqueue.next_task('w', 'doomed')}) for 1 .. 2;
health_is("warning|dead_letter|default|dead|t\nwarning|failures|default|q|t\nwarning|same_failure|default|doomed|t",
    'a dead-letter queue grows; a task failed in the same way each time');
like(sql(q{SELECT message FROM pgqueue.health WHERE problem = 'same_failure'}),
    qr/^one task of type "mail" failed with the same error \(\w{5}\) in each attempt$/, 'in words');
unlike(sql(q{SELECT * FROM pgqueue.health}), qr/mailbox/, 'which do not say what only readers may see');
hint_works('same_failure');
hint_works('dead_letter');
sql(q{SELECT pgqueue.create_task('doomed', '1')});
sql(q{SELECT pgqueue.fail_task(id, receipt, 'this') FROM pgqueue.next_task('w', 'doomed')});
sql(q{SELECT pgqueue.fail_task(id, receipt, 'that') FROM pgqueue.next_task('w', 'doomed')});
sql('SELECT pg_sleep(0.3)');
is(sql(q{SELECT message FROM pgqueue.health WHERE problem = 'same_failure'}),
    sql(q{SELECT 'one task of type "mail" failed with the same error (' || error_code || ') in each attempt'
        FROM pgqueue.task WHERE type = 'mail'}), 'one that failed for different reasons is not counted');
sql(q{DELETE FROM pgqueue.task WHERE queue = 'dead'});
# Commands have no type.
sql(q{SELECT pgqueue.update_queue('s', retries => 1, retry_delay => '0'),
    pgqueue.create_task('s', command => 'SELECT 1/0')});
ok(wait_for($node, $db, q{SELECT message FROM pgqueue.health WHERE problem = 'same_failure'},
    'one task failed with the same error (22012) in each attempt'), 'a task without a type');
hint_works('same_failure');
sql(q{DELETE FROM pgqueue.task WHERE queue = 's'});
set(q{ALTER SYSTEM SET pgqueue.health_failures = 0});
health_is('warning|dead_letter|default|dead|t', 'without a bound no failures are told');

# Many queues of a namespace that nobody works on do not hide another one.
sql(q{SELECT pgqueue.create_namespace('crowd')});
sql(q{SELECT pgqueue.create_queue('c' || i, namespace => 'crowd') FROM generate_series(1, 30) i});
sql(q{SELECT pgqueue.create_task('c' || i, '1', namespace => 'crowd') FROM generate_series(1, 30) i});
sql(q{SELECT pgqueue.create_task('oq', '1', namespace => 'other')});
my $crowd = q{SELECT namespace, count(*), count(since), string_agg(substring(message FROM '^\d+ further'), ' ')
    FROM pgqueue.health WHERE problem = 'no_outside_worker' GROUP BY 1 ORDER BY 1};
ok(wait_for($node, $db, $crowd, "crowd|11|11|20 further\nother|1|1|"), 'one row stands for all but ten')
  or diag(sql('SELECT * FROM pgqueue.health'));
$node->restart;
ok(wait_for($node, $db, $crowd, "crowd|11|11|20 further\nother|1|1|"), 'also after a restart');
is(sql(q{SELECT bool_and(h.since = t.created_at) FROM pgqueue.health h JOIN pgqueue.task t USING (namespace, queue)
    WHERE h.problem = 'no_outside_worker' AND t.status = 'new'}), 't', 'the times are those of the tasks');
sql(q{SELECT pgqueue.release_task(id, receipt, namespace => 'crowd')
    FROM pgqueue.next_tasks('w', (SELECT array_agg('c' || i) FROM generate_series(6, 30) i), 25,
        namespace => 'crowd')});
is(sql($crowd), "crowd|5|5|\nother|1|1|", 'worked on, they are gone: empty lists are not late');
$node->stop;
done_testing();
