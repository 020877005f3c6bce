# Tasks that wait change hands: the executor of their queue changes, or their role is there by now. Only their queue is
# filed anew, for a pass over all rows by the scheduler would stop tickers, retries and groups of everybody (T1).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('refile',
    conf => "log_statement = none\nlog_min_messages = warning\nautovacuum = off\npgqueue.max_workers = 2");
my $db = 'postgres';
sub sql { return $node->safe_psql($db, @_); }
sub becomes { my ($query, $value, $what) = @_; return ok(wait_for($node, $db, $query, $value, 180), $what); }
sub of_memory { my ($kind) = @_; return sql("SELECT sum(used) FROM pgqueue.memory WHERE kind = '$kind'"); }

sql(<<~'Q');
    CREATE TABLE got (n bigserial, id bigint, who text);
    CREATE FUNCTION handled(payload jsonb) RETURNS void LANGUAGE sql AS $$
        INSERT INTO got (id, who) VALUES ((SELECT id FROM pgqueue.current_task()), current_user)
    $$;
    SELECT pgqueue.create_handler('a', 'handled');
    SELECT pgqueue.create_queue('turn', retries => 0), pgqueue.create_queue('quiet');
    SELECT pgqueue.create_task('quiet', '{}');
    -- They are read before all others.
    SELECT pgqueue.create_queue('evil');
    SELECT count(*) FROM generate_series(1, 60) i,
        pgqueue.create_tasks('evil', array_fill('{}'::jsonb, ARRAY[1000]), priority => i % 3);
    Q
becomes('SELECT count(*) FROM pgqueue.memory WHERE used > 0', sql('SELECT count(*) FROM pgqueue.memory WHERE used > 0'),
    'the scheduler is there');
my $rebuilds = of_memory('rebuilds');

# Ready tasks of three priorities, delayed ones and those of groups.
sub make_tasks
{
    sql(<<~'Q');
        SELECT count(*) FROM generate_series(1, 3) p,
            pgqueue.create_tasks('turn', array_fill('{}'::jsonb, ARRAY[1000]), type => 'a', priority => p);
        SELECT count(*)
        FROM pgqueue.create_tasks('turn', array_fill('{}'::jsonb, ARRAY[30]), type => 'a', delay => '1 s');
        SELECT count(*) FROM pgqueue.create_tasks('turn', array_fill('{}'::jsonb, ARRAY[60]), type => 'a',
            group_keys => ARRAY(SELECT 'g' || i % 3 FROM generate_series(1, 60) i));
        Q
    return;
}
my $unfinished = q{SELECT count(*) FROM pgqueue.task WHERE queue = 'turn' AND finished_at IS NULL};

make_tasks();
sql(q{SELECT pgqueue.update_queue('turn', executor => 'server')});
becomes($unfinished, '0', 'to the server: all waiting tasks are run by handlers');
is(sql('SELECT count(*), count(DISTINCT id) FROM got'), '3090|3090', 'each once');
is(sql(<<~'SQL'), '0', 'groups in their order');
    SELECT count(*)
    FROM (
        SELECT g.n, lag(g.n) OVER (PARTITION BY t.group_key ORDER BY t.id) AS before
        FROM got g
        JOIN pgqueue.task t USING (id)
        WHERE t.group_key IS NOT NULL
    ) s
    WHERE n < before
    SQL

sql(q{SELECT pgqueue.pause_queue('turn')});
make_tasks();
my $command = sql(q{SELECT pgqueue.create_task('turn', command => 'SELECT 1')});
sql(q{SELECT pgqueue.update_queue('turn', executor => 'outside'); SELECT pgqueue.resume_queue('turn')});
take_tasks($node, $db, 'turn', 3090);
becomes($unfinished, '0', 'to outside workers: they get all of them');
is(sql('SELECT count(*) FROM got'), '3090', 'handlers none');
is(sql("SELECT status FROM pgqueue.task WHERE id = $command"), 'released', 'the server its command');

# A transaction that began before the change commits after it.
my $late = session($node);
$late->query(q{BEGIN; SELECT count(pgqueue.create_task('turn', '{}', type => 'a')) FROM generate_series(1, 5)});
sql(q{SELECT pgqueue.create_task('turn', '{}', type => 'a')});
sql(q{SELECT pgqueue.update_queue('turn', executor => 'server')});
becomes($unfinished, '0', 'the task of before runs');
$late->query('COMMIT');
$late->close;
becomes('SELECT count(*) FROM got', '3096', 'and those that are committed after the change');
becomes($unfinished, '0', 'all are done');

# Somebody changes his queue again and again, faster than a pass over the table is: the pass for another queue comes to
# its end all the same (T1).
sql(q{SELECT pgqueue.update_queue('turn', executor => 'outside')});
make_tasks();
my $stop = session($node);
$stop->query('SELECT pg_advisory_lock(4711)');
my $evil = session($node);
$evil->query('SET synchronous_commit = off');
$evil->send(<<~'SQL');
    DO $$BEGIN
        WHILE NOT pg_try_advisory_xact_lock(4711) LOOP
            PERFORM pgqueue.update_queue('evil', executor => 'server');
            COMMIT;
            PERFORM pgqueue.update_queue('evil', executor => 'outside');
            COMMIT;
        END LOOP;
    END$$;
    SQL
my $changing = q{SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'DO $$BEGIN%WHILE NOT%' AND state = 'active'};
becomes($changing, '1', 'a queue is changed again and again');
sql(q{SELECT pgqueue.update_queue('turn', executor => 'server')});
becomes($unfinished, '0', 'T1: tasks of another queue change hands meanwhile');
is(sql($changing), '1', 'which goes on');
$stop->close;
becomes($changing, '0', 'until it ends');
$evil->close;
sql(q{SELECT pgqueue.purge_queue('evil')});

# The scheduler ends in the middle.
sql(q{SELECT pgqueue.update_queue('turn', executor => 'outside')});
make_tasks();
my $holder = session($node);
hold_point($holder, 'scheduler-refiles');
sql(q{SELECT pgqueue.update_queue('turn', executor => 'server')});
my $scheduler = pid_at($node, $db, 'scheduler-refiles', 30);
terminate($node, $scheduler);
$holder->close;
becomes($unfinished, '0', 'the scheduler ends in the middle: all waiting tasks are run');
$rebuilds = of_memory('rebuilds') if of_memory('rebuilds') > $rebuilds;  # its end may want one

# Tasks of a handler whose role does not exist are held until another one is registered.
sql(<<~'Q');
    CREATE ROLE gone LOGIN IN ROLE pgqueue_user;
    SELECT pgqueue.grant_namespace('default', 'manage', 'gone');
    GRANT INSERT ON got TO gone; GRANT USAGE ON SEQUENCE got_n_seq TO gone;
    SELECT pgqueue.delete_handler('a');
    SET ROLE gone; SELECT pgqueue.create_handler('a', 'handled'); RESET ROLE;
    DROP OWNED BY gone; DROP ROLE gone;
    SELECT count(pgqueue.create_task('turn', '{}', type => 'a')) FROM generate_series(1, 50);
    Q
becomes(<<~'SQL', 't', 'held: the role does not exist');
    SELECT count(*) > 0 FROM pgqueue.health WHERE problem = 'role_missing' AND message LIKE '50 ready tasks %'
    SQL
sql(q{SELECT pgqueue.delete_handler('a'); SELECT pgqueue.create_handler('a', 'handled')});
becomes($unfinished, '0', 'held tasks run when there is another handler');
is(of_memory('rebuilds'), $rebuilds, 'T1: all that without a pass over all rows that stops the others');
is(of_memory('repaired'), '0', 'and nothing was forgotten');
check_invariants($node, $db, 'in the end', 30);
$node->stop;
done_testing();
