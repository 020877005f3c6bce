# A namespace has its part of the memory for groups. Its further tasks with a key wait in the table and come in their
# order when there is room; nobody else notices. Restarts and ends of the scheduler in the middle.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('group_shares',
    conf => "log_statement = none\nlog_min_messages = warning\nautovacuum = off\npgqueue.dispatch_memory = 4MB");
sub sql { return $node->safe_psql('postgres', @_); }
sub becomes { my ($query, $value, $what) = @_; return ok(wait_for($node, 'postgres', $query, $value, 60), $what); }
# Creates n tasks in so many groups, one after the other.
sub tasks
{
    my ($ns, $n, $groups, $more) = @_;
    $more = $more ? ", $more" : '';
    return sql(<<~"SQL");
        SELECT count(*) FROM pgqueue.create_tasks('q', ARRAY(SELECT to_jsonb(g) FROM generate_series(1, $n) g),
            group_keys => ARRAY(SELECT 'k' || g % $groups FROM generate_series(1, $n) g), namespace => '$ns'$more)
        SQL
}
# Takes and releases tasks until so many were, or nobody has any for a while.
sub take_all { my ($ns, $n) = @_; return sql("CALL take_all('$ns', $n)"); }
sub short
{
    my ($ns) = @_;
    return sql("SELECT count(*) FROM pgqueue.health WHERE problem = 'share_used_up' AND namespace = '$ns'");
}
my $in_order = <<~'SQL';
    SELECT count(*)
    FROM (SELECT id, lag(id) OVER (PARTITION BY ns, key ORDER BY n) AS before FROM got) g
    WHERE id < before
    SQL

sql(<<~'SQL');
    SELECT FROM pgqueue.create_namespace('carol');
    SELECT FROM pgqueue.create_namespace('bob');
    SELECT FROM pgqueue.create_namespace('dave', max_groups => 5);
    SELECT pgqueue.create_queue('q', namespace => n, ttl => '0') FROM unnest('{carol,bob,dave}'::text[]) n;
    CREATE TABLE got (n bigserial, ns text, id bigint, key text);
    CREATE PROCEDURE take_all(space text, most int) LANGUAGE plpgsql AS $$DECLARE
        n bigint;
        total bigint := 0;
        quiet int := 0;
    BEGIN
        WHILE quiet < 1000 AND total < most LOOP
            WITH t AS (SELECT * FROM pgqueue.next_tasks('w', '{q}', 500, namespace => space)),
                i AS (INSERT INTO got (ns, id, key) SELECT space, id, group_key FROM t),
                r AS (SELECT count(pgqueue.release_task(id, receipt)) AS c FROM t)
            SELECT c INTO n
            FROM r;
            COMMIT;
            total := total + n;
            IF n = 0 THEN
                quiet := quiet + 1;
                PERFORM pg_sleep(0.01);
                COMMIT;
            ELSE
                quiet := 0;
            END IF;
        END LOOP;
    END$$
    SQL

# Carol has more groups than her part.
tasks('carol', 40000, 20000);
my $last = sql('SELECT max(id) FROM pgqueue.task');
becomes(<<~'SQL', '1', 'T6: health names the namespace that has its part of the groups');
    SELECT count(*) FROM pgqueue.health
    WHERE problem = 'share_used_up' AND namespace = 'carol' AND hint LIKE '%max_groups%'
    SQL
is(sql("SELECT reason FROM pgqueue.why($last) LIMIT 1"), 'share_used_up',
    'T6: why tells it of a task that waits in the table');
is(sql(q{SELECT count(*) FROM pgqueue.health WHERE problem = 'memory_full'}), '0',
    'T6: the memory is not full for all');
my $dying = sql(q{SELECT pgqueue.create_task('q', '0', group_key => 'dies', ttl => '500 ms', namespace => 'carol')});

# Bob does not notice.
is(tasks('bob', 300, 100), '300', 'T6: another namespace creates tasks with keys');
take_all('bob', 300);
is(sql(q{SELECT count(*) FROM got WHERE ns = 'bob'}), '300', 'T6: which are all handed out');
is(sql($in_order), '0', 'T6: in the order of each group');
is(short('bob'), '0', 'T6: health has nothing to tell of it');
is(short('carol'), '1', 'T6: while the first one waits');
becomes("SELECT status FROM pgqueue.task WHERE id = $dying", 'expired',
    'T6: a task that waits in the table expires in time');

# Her tasks come in their order, over the end of the scheduler and of the server.
take_all('carol', 5000);
is(tasks('carol', 2000, 1000), '2000', 'T6: further tasks of the same groups');
ok(terminate($node, pid_of($node, 'pgqueue scheduler', 'postgres')), 'T6: the scheduler ends in the middle');
take_all('carol', 5000);
$node->restart;
ok(wait_up($node), 'T6: a restart in the middle');
take_all('carol', 3000);
kill9($node, pid_of($node, 'pgqueue scheduler', 'postgres'));
ok(wait_up($node), 'T6: a crash in the middle');
take_all('carol', 29000);
is(sql(q{SELECT count(*), count(DISTINCT id) FROM got WHERE ns = 'carol'}), '42000|42000',
    'T6: all tasks are handed out in the end, each once');
is(sql($in_order), '0', 'T6: in the order of each group');
becomes(q{SELECT count(*) FROM pgqueue.health WHERE problem = 'share_used_up'}, '0', 'T6: health is well again');

# A number of groups.
tasks('dave', 100, 20);
becomes(q{SELECT message FROM pgqueue.health WHERE problem = 'share_used_up' AND namespace = 'dave'},
    'the namespace has its part of the memory for groups, with 5 groups; '
    . 'further tasks with a group key wait in the table',
    'T6: a limit of 5 groups is kept');
is(sql(<<~'SQL'), '5', 'T6: tasks of 5 groups are to be had');
    SELECT count(DISTINCT group_key) FROM pgqueue.next_tasks('w', '{q}', 100, namespace => 'dave', lease => '1 h')
    SQL
sql(<<~'SQL');
    SELECT count(pgqueue.release_task(id, receipt)) FROM pgqueue.task WHERE namespace = 'dave' AND status = 'retained'
    SQL
take_all('dave', 95);
is(sql(q{SELECT count(*) FROM got WHERE ns = 'dave'}), '95', 'T6: the others follow when groups end');
is(sql($in_order), '0', 'T6: in the order of each group');
tasks('dave', 100, 20);
becomes(q{SELECT count(*) FROM pgqueue.health WHERE namespace = 'dave'}, '1', 'T6: the limit is kept again');
sql(q{SELECT FROM pgqueue.update_namespace('dave', max_groups => 0)});
becomes(q{SELECT count(*) FROM pgqueue.health WHERE namespace = 'dave'}, '0',
    'T6: without a limit of its own all have room');
is(sql(q{SELECT count(DISTINCT group_key) FROM pgqueue.next_tasks('w', '{q}', 100, namespace => 'dave')}), '20',
    'T6: tasks of all groups are to be had');
sql(<<~'SQL');
    SELECT count(pgqueue.release_task(id, receipt)) FROM pgqueue.task WHERE namespace = 'dave' AND status = 'retained'
    SQL
is(sql(q{SELECT coalesce(sum(used), 0) FROM pgqueue.memory WHERE kind = 'repaired'}), '0',
    'T6: nothing had to be repaired');
check_invariants($node, 'postgres', 'T6');
$node->stop;
done_testing();
