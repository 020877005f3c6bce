# Many priorities: memory grows with tasks, not with priorities; nobody else waits for them; the order holds; a purge
# gives everything back. Fault T2.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use Test::More;

my $node;
sub sql { return $node->safe_psql('postgres', @_); }
sub used { my ($kind) = @_; return sql("SELECT used FROM pgqueue.memory WHERE kind = '$kind' AND namespace IS NULL"); }

# Each part whose order matters has a node of its own: whose row is in the hands of the housekeeper, which moves tasks
# out of segments that are mostly done, comes a moment later. Some 800 pages.
sub begin
{
    my ($name) = @_;
    $node->stop if $node;
    $node = new_node($name,
        conf => join("\n", 'pgqueue.dispatch_memory = 4MB', 'pgqueue.max_workers = 1', 'log_statement = none',
            'log_min_messages = info'));
    sql(<<~'SQL');
        CREATE TABLE got (n bigint GENERATED ALWAYS AS IDENTITY, id bigint, priority int);
        -- Takes and releases all tasks of a queue; returns how many come in the wrong order.
        CREATE PROCEDURE take_all(queue text, expected int, batch int, INOUT wrong int DEFAULT NULL) LANGUAGE plpgsql AS
        $$DECLARE
            taken int := 0;
            here int;
            until timestamptz := clock_timestamp() + '120 s';
        BEGIN
            TRUNCATE got RESTART IDENTITY;
            WHILE taken < expected LOOP
                INSERT INTO got (id, priority)
                SELECT t.id, t.priority
                FROM pgqueue.next_tasks('w', ARRAY[queue], batch) t, pgqueue.release_task(t.id, t.receipt);
                GET DIAGNOSTICS here = ROW_COUNT;
                COMMIT;
                taken := taken + here;
                IF clock_timestamp() > until THEN
                    RAISE 'only % of % tasks came', taken, expected;
                END IF;
                IF here = 0 THEN
                    PERFORM pg_sleep(0.01);
                END IF;
            END LOOP;
            SELECT count(*) INTO wrong
            FROM (SELECT n, row_number() OVER (ORDER BY priority, id) AS should FROM got) g
            WHERE n <> should;
        END$$;
        SELECT pgqueue.create_namespace('carol'), pgqueue.create_namespace('bob');
        SELECT pgqueue.create_queue('many', namespace => 'carol'), pgqueue.create_queue('q', namespace => 'bob');
        SET pgqueue.namespace = 'carol';
        -- Tasks with priorities at random.
        CREATE PROCEDURE flood(n int) LANGUAGE plpgsql AS $$BEGIN
            FOR i IN 1..n LOOP
                PERFORM pgqueue.create_task('many', '1', priority => (random() * 1000000)::int)
                FROM generate_series(1, 5000);
                COMMIT;
            END LOOP;
        END$$;
        SQL
    return;
}
sub take_all
{
    my ($queue, $expected, $batch) = @_;
    return sql("SET pgqueue.namespace = 'carol'; CALL take_all('$queue', $expected, $batch)");
}
sub in_carol { my ($statement) = @_; return sql("SET pgqueue.namespace = 'carol'; $statement"); }

begin('priorities');

# SQL tasks; there is one worker.
sql(<<~'SQL');
    SELECT pgqueue.create_queue('sql', namespace => 'carol');
    SELECT pgqueue.pause_queue('sql', namespace => 'carol')
    SQL
sql(<<~'SQL');
    SELECT count(pgqueue.create_task('sql', command => 'SELECT 1', priority => (i * 7919) % 1000, namespace => 'carol'))
    FROM generate_series(1, 3000) i
    SQL
sql(q{SELECT pgqueue.resume_queue('sql', namespace => 'carol')});
ok(wait_for($node, 'postgres', <<~'SQL', '0', 120), 'T2: 3,000 SQL tasks have run');
    SELECT count(*) FROM pgqueue.task WHERE queue = 'sql' AND status <> 'released'
    SQL
is(sql(<<~'SQL'), '0', 'T2: in the order of their priorities');
    SELECT count(*)
    FROM (
        SELECT started_at < lag(started_at) OVER (ORDER BY priority, id) AS wrong FROM pgqueue.task WHERE queue = 'sql'
    ) t
    WHERE wrong
    SQL

my $rebuilds = used('rebuilds');
my $pages = used('pages');
my $lists_of_carol = q{SELECT used FROM pgqueue.memory WHERE kind = 'priorities' AND namespace = 'carol'};
my $lists = sql($lists_of_carol);

# One transaction with 40,000 priorities, in the worst order.
in_carol(q{SELECT count(pgqueue.create_task('many', '1', priority => i)) FROM generate_series(40000, 1, -1) i});
sql(q{SELECT count(pgqueue.create_task('q', command => 'SELECT 1', namespace => 'bob')) FROM generate_series(1, 200)});
ok(wait_for($node, 'postgres', <<~'SQL', '200', 60), 'T2: beside 40,000 priorities the tasks of another namespace run');
    SELECT sum(count) FROM pgqueue.queue_status WHERE namespace = 'bob' AND status = 'released'
    SQL
is(used('rebuilds'), $rebuilds, 'T2: no rebuild');
cmp_ok(used('priorities'), '<', 400, 'T2: lists of priorities are few');
cmp_ok(used('pages'), '<', $pages + 500, 'T2: and so are their pages');
is(sql(<<~'SQL'), 't', 'T2: view memory tells whose they are');
    SELECT used < 400 AND capacity > used FROM pgqueue.memory WHERE kind = 'priorities' AND namespace = 'carol'
    SQL
is(take_all('many', 40000, 500), '0', 'T2: 40,000 priorities come in their order');

# At random, several of each priority, in many transactions, at both ends of the range; from its middle on while others
# come.
in_carol(<<~'SQL');
    CREATE PROCEDURE more(n int) LANGUAGE plpgsql AS $$BEGIN
        FOR i IN 1..n LOOP
            PERFORM pgqueue.create_task('many', '1',
                priority => (CASE i % 5 WHEN 0 THEN 1 WHEN 1 THEN -2147483648 WHEN 2 THEN 2147483647
                    ELSE 0 END + (CASE i % 5 WHEN 2 THEN -1 ELSE 1 END) * (random() * 3000)::int))
            FROM generate_series(1, 20);
            COMMIT;
            -- Each commit hands a page over. A pool that is full of them would have the rows read again, which is not
            -- what is tested here.
            WHILE (SELECT used > capacity / 2 FROM pgqueue.memory WHERE kind = 'pages') LOOP
                COMMIT;
                PERFORM pg_sleep(0.01);
            END LOOP;
        END LOOP;
    END$$;
    SQL
in_carol(q{CALL more(1000)});
is(take_all('many', 20000, 300), '0', 'T2: 20,000 tasks at random, of some 9,000 priorities');
cmp_ok(used('priorities'), '<', 400, 'T2: still few lists');

# What is given back comes before the others of its priority.
in_carol(q{SELECT count(pgqueue.create_task('many', '1', priority => i % 300)) FROM generate_series(1, 3000) i});
sql(q{BEGIN; SELECT count(*) FROM pgqueue.next_tasks('w', '{many}', 1000, namespace => 'carol'); ROLLBACK});
is(take_all('many', 3000, 100), '0', 'T2: tasks that a session took and gave back come at their place');

# A purge gives all back at once.
in_carol(q{CALL flood(20)});
cmp_ok(used('pages'), '>', $pages + 300, 'T2: another 100,000 fill the pool');
sql(q{SELECT pgqueue.purge_queue('many', namespace => 'carol')});
ok(wait_for($node, 'postgres', <<~"SQL", 't', 10), 'T2: after a purge its pages are free');
    SELECT used < $pages + 50 FROM pgqueue.memory WHERE kind = 'pages' AND namespace IS NULL
    SQL
is(sql($lists_of_carol), $lists, 'T2: and its lists');
is(used('rebuilds'), $rebuilds, 'T2: no rebuild for a purge');

# A file that cannot be written: those that fit run; rows are read again less and less often; a purge ends it.
my $file = $node->data_dir . '/pg_stat_tmp/pgqueue.spill.'
    . sql(q{SELECT oid FROM pg_database WHERE datname = 'postgres'});
ok(wait_until(sub { return !-e $file }, 20), 'T2: the file is gone when nothing is in it');
mkdir $file or die "$file: $!";
in_carol(q{CALL flood(30)});
sql(q{SELECT count(pgqueue.create_task('q', command => 'SELECT 1', namespace => 'bob')) FROM generate_series(1, 200)});
ok(wait_for($node, 'postgres', <<~'SQL', '400', 120),
    SELECT sum(count) FROM pgqueue.queue_status WHERE namespace = 'bob' AND status = 'released'
    SQL
    'T2: beside 150,000 priorities that fit neither in memory nor in the file they run');
ok(wait_until(sub { my $then = used('rebuilds'); sleep 5; return used('rebuilds') == $then; }, 90),
    'T2: the rows are not read again and again');
sql(q{SELECT pgqueue.purge_queue('many', namespace => 'carol')});
ok(wait_for($node, 'postgres', <<~"SQL", 't', 10), 'T2: a purge frees its pages');
    SELECT used < $pages + 50 FROM pgqueue.memory WHERE kind = 'pages' AND namespace IS NULL
    SQL
ok(wait_for($node, 'postgres', q{SELECT count(*) FROM pgqueue.health WHERE problem = 'memory_full'}, '0', 20),
    'T2: and memory is right again');
rmdir $file or die "$file: $!";

# Aging looks at all lists; nothing stays.
sql(q{SELECT pgqueue.update_queue('many', aging => '1 s', namespace => 'carol')});
in_carol(q{CALL more(500)});
in_carol(q{CALL take_all('many', 10000, 300)});
is(sql(q{SELECT count(*) FROM got}), '10000', 'T2: with aging all of them come');

is(sql(q{SELECT used FROM pgqueue.memory WHERE kind = 'repaired'}), '0', 'nothing was repaired');

# More than memory holds: long lists of many priorities go to the file and come back.
begin('flooded');
$rebuilds = used('rebuilds');
in_carol(q{CALL flood(40)});
sql(q{SELECT count(pgqueue.create_task('q', command => 'SELECT 1', namespace => 'bob')) FROM generate_series(1, 200)});
ok(wait_for($node, 'postgres', <<~'SQL', '200', 60),
    SELECT sum(count) FROM pgqueue.queue_status WHERE namespace = 'bob' AND status = 'released'
    SQL
    'T2: beside 200,000 priorities, which do not fit in memory, they run too');
is(used('rebuilds'), $rebuilds, 'T2: no rebuild for 200,000');
cmp_ok(used('spilled pages'), '>', 0, 'T2: some are in the file');
is(take_all('many', 200000, 1000), '0', 'T2: 200,000 tasks come in their order');
counters_right($node, 'postgres', 'T2');

# A rebuild with many priorities ends, and what it read is in order.
begin('restarted');
in_carol(q{CALL flood(20)});
$node->restart;
ok(wait_for($node, 'postgres', q{SELECT used FROM pgqueue.memory WHERE kind = 'rebuilds'}, '1'),
    'T2: one rebuild after a restart');
is(take_all('many', 100000, 1000), '0', 'T2: after it they come in their order');
is(used('rebuilds'), '1', 'T2: and it was the only one');
# With aging the first call gives a task, however many priorities there are.
sql(<<~'SQL');
    SELECT pgqueue.create_queue('aged', aging => '1 minute', ttl => '0');
    DO $$ BEGIN
        FOR i IN 1..2000 LOOP PERFORM pgqueue.create_task('aged', '1', priority => (i * 7919) % 100003); END LOOP;
    END $$
    SQL
is(sql(q{SELECT count(*) FROM pgqueue.next_tasks('w', '{aged}', 3)}), '3', 'T7: aging and 2,000 priorities');

$node->stop;
done_testing();
