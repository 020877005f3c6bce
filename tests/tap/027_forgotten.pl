# The server finds a row that memory does not know, a lease without its row and a place that nobody uses. It repairs
# them while it runs, and counts the repairs. Our code does not lose them: the test does it on purpose.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('forgotten', conf => "log_statement = none\npgqueue.max_workers = 1");
sub sql { return $node->safe_psql('postgres', @_); }
my (undef, $cannot) = $node->psql('postgres', <<~'SQL');
    CREATE FUNCTION forget_hints(queue text) RETURNS integer LANGUAGE C AS 'pgqueue', 'pgqueue_test_forget_hints';
    CREATE FUNCTION forget_lease(id bigint, receipt bigint) RETURNS boolean LANGUAGE C
        AS 'pgqueue', 'pgqueue_test_forget_lease';
    CREATE FUNCTION leave_popped(queue text) RETURNS void LANGUAGE C AS 'pgqueue', 'pgqueue_test_leave_popped';
    CREATE FUNCTION miscount(queue text) RETURNS void LANGUAGE C AS 'pgqueue', 'pgqueue_test_miscount';
    CREATE FUNCTION take_place(queue text) RETURNS void LANGUAGE C AS 'pgqueue', 'pgqueue_test_take_place'
    SQL
plan skip_all => 'the library has no test points' if $node->psql('postgres', q{SELECT 'forget_hints'::regproc}) != 0;
my $repaired = q{SELECT used FROM pgqueue.memory WHERE kind = 'repaired'};

sql(<<~'SQL');
    SELECT pgqueue.create_queue(q) FROM unnest('{busy,waits,grouped,held,gone,left,miscounted}'::text[]) q;
    SELECT pgqueue.create_queue('full', max_running => 1)
    SQL
# Many tasks that are in order, to see that nobody touches them: ready, delayed, held, in groups, with a dependency.
sql(<<~'SQL');
    SELECT pgqueue.create_tasks('busy', array_fill('1'::jsonb, ARRAY[3000]));
    SELECT pgqueue.create_tasks('busy', array_fill('1'::jsonb, ARRAY[100]), delay => '1 hour');
    SELECT pgqueue.create_tasks('busy', array_fill('1'::jsonb, ARRAY[6]), group_keys => '{a,a,b,b,c,c}');
    SELECT pgqueue.create_task('busy', '2', depends_on => ARRAY[pgqueue.create_task('busy', '1', delay => '1 hour')]);
    SELECT count(*) FROM pgqueue.next_tasks('w', '{busy}', 50)
    SQL

# What is lost.
sql(<<~'SQL');
    SELECT pgqueue.create_tasks('waits', '{1,2,3}');
    SELECT pgqueue.create_tasks('grouped', '{1,2}', group_keys => '{g,g}');
    SELECT pgqueue.create_task('held', '1');
    SELECT pgqueue.create_task('gone', '1');
    SELECT pgqueue.create_task('left', '1');
    SELECT pgqueue.create_tasks('miscounted', '{1,2}', priority => 1);
    SELECT pgqueue.create_task('miscounted', '3', priority => 2)
    SQL
my $receipt = sql(q{SELECT receipt FROM pgqueue.next_task('w', 'held', '1 hour')});
sql(q{SELECT FROM pgqueue.next_task('w', 'gone', '1 hour')});
is(sql(q{SELECT forget_hints('waits')}), '3', 'the hints of three tasks are lost');
cmp_ok(sql(q{SELECT forget_hints('grouped')}), '>', 0, 'those of a group');
is(sql(qq{SELECT forget_lease(id, $receipt) FROM pgqueue.task WHERE queue = 'held'}), 't', 'a lease is lost');
sql(q{DELETE FROM pgqueue_internal.} . $_) for split /\n/, sql(<<~'SQL');
    SELECT 'segment_' || slot || ' WHERE id = ' || t.id
    FROM pgqueue_internal.segment s
    JOIN pgqueue.task t USING (id)
    WHERE t.queue = 'gone'
    SQL
sql(q{SELECT take_place('full'), pgqueue.create_task('full', '1')});
sql(q{SELECT leave_popped('left')});
is(sql(q{SELECT count(*) FROM pgqueue.next_tasks('w', '{miscounted}', 1)}), '1', 'the tasks of a list are handed out');
sql(q{SELECT miscount('miscounted')});
is(sql(q{SELECT count(*) FROM pgqueue.next_tasks('w', '{waits,grouped,held,full,left,miscounted}', 10)}), '0',
    'nothing of it is handed out');

# It comes back.
ok(wait_for($node, 'postgres', q{SELECT count(*) FROM pgqueue.next_tasks('w', '{full}', 1)}, '1', 120),
    'a place that nobody has is free again');
ok(wait_for($node, 'postgres', <<~'SQL', '2 3', 60), 'lists that said nothing is in them give the rest of their tasks');
    SELECT string_agg(payload::text, ' ' ORDER BY id) FROM pgqueue.next_tasks('w', '{miscounted}', 10)
    SQL
ok(wait_for($node, 'postgres', q{SELECT count(*) FROM pgqueue.next_tasks('w', '{left}', 1)}, '1', 60),
    'so is a task that a session had in its hands when it ended');
ok(wait_for($node, 'postgres', <<~'SQL', '1 2 3', 60), 'tasks without a hint have one');
    SELECT string_agg(payload::text, ' ' ORDER BY id) FROM pgqueue.next_tasks('w', '{waits}', 10)
    SQL
ok(wait_for($node, 'postgres', <<~'SQL', '1', 60), 'a held task has a lease again');
    SELECT count(*) FROM pgqueue_internal.places() p JOIN pgqueue.task t ON t.id = p.task_id WHERE t.queue = 'held'
    SQL
is(sql(qq{SELECT pgqueue.release_task(id, $receipt) FROM pgqueue.task WHERE queue = 'held'}), 'released',
    'and is released by whom it was given to');
my $order = '';
my $one = q{SELECT payload || pgqueue.release_task(id, receipt) FROM pgqueue.next_tasks('w', '{grouped}', 1)};
ok(wait_until(sub { $order .= sql($one); return $order eq '1released2released'; }, 60),
    'the tasks of a group, in their order');
ok(wait_for($node, 'postgres', <<~'SQL', '0', 60), 'a lease without its row is gone');
    SELECT count(*) FROM pgqueue_internal.places()
    WHERE kind = 'lease' AND id = (SELECT id FROM pgqueue_internal.queue WHERE name = 'gone')
    SQL
cmp_ok(sql($repaired), '>=', 9, 'each was counted');
like(slurp_file($node->logfile), qr/pgqueue found and put right \d+ tasks, leases, places or lists/,
    'and is in the log');
my $all = sql($repaired);
is(sql(q{SELECT count(*) FROM pgqueue.task WHERE queue = 'busy' AND status = 'retained'}), '50',
    'what was in order is as it was');
# Its row was removed behind everybody's back, so nobody has counted that.
sql(q{SELECT FROM pgqueue.purge_queue('gone', force => true)});
counters_right($node, 'postgres', 'at the end');

# While all is in order nothing is found: load, and another look.
$node->pgbench('--no-vacuum --client=4 --time=10', 0, [qr/processed/], [qr/^$/], 'load', {
    '027_load' => <<~'SQL' });
        SELECT pgqueue.create_task('busy', '1');
        SELECT count(pgqueue.release_task(id, receipt)) FROM pgqueue.next_tasks('w', '{busy}', 2);
        BEGIN;
        SELECT count(*) FROM pgqueue.next_tasks('w', '{busy}', 2);
        ROLLBACK;
        SQL
sql(q{SELECT pgqueue.create_task('busy', '1')});
ok(wait_for($node, 'postgres', q{SELECT count(*) > 0 FROM pgqueue.next_tasks('w', '{busy}', 1)}, 't', 20),
    'it goes on');
is(sql($repaired), $all, 'nothing more was forgotten');

# A look that meets a locked row is followed by another, though nothing commits meanwhile.
sql(q{SELECT pgqueue.create_queue('locked'); SELECT pgqueue.create_queue('place', max_running => 1)});
my $id = sql(q{SELECT pgqueue.create_task('locked', '1')});
my $locker = session($node);
$locker->query("BEGIN; SELECT FROM pgqueue_internal.segment_$_ WHERE id = $id FOR UPDATE")
    for sql(qq{SELECT slot FROM pgqueue_internal.segment WHERE id = $id});
sql(q{SELECT forget_hints('locked'), take_place('place')});
ok(wait_for($node, 'postgres', $repaired, $all + 1, 500), 'a look has found a place that nobody has');
is(sql(q{SELECT count(*) FROM pgqueue.next_tasks('w', '{locked}', 1)}), '0',
    'and could not have the row that a session had locked');
$locker->query('ROLLBACK');
# Looks take a small part of the time: on a machine that is busy the next one is later.
ok(wait_for($node, 'postgres', $repaired, $all + 2, 500), 'the next look has it');
is(sql(q{SELECT id FROM pgqueue.next_task('w', 'locked')}), $id, 'it is handed out');
$locker->close;
done_testing();
