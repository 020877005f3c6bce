# Views over shared memory: what EXPLAIN tells a role without rights does not depend on rows that it may not see,
# whatever it compares. And handlers of a role that has lost its privilege do not run any more.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('hidden', conf => "log_statement = none\npgqueue.health_wait = '1ms'\npgqueue.health_failures = 1\n"
      . 'pgqueue.stats_flush_interval = 1s');
my $db = 'postgres';
sub sql { return $node->safe_psql($db, @_); }
sub as { my ($role, $statement) = @_; return $node->safe_psql($db, $statement, extra_params => [ '-U', $role ]); }

sql(<<~'SQL');
    CREATE ROLE mallory LOGIN IN ROLE pgqueue_user;
    CREATE ROLE victim LOGIN IN ROLE pgqueue_user;
    SELECT pgqueue.create_namespace('own'), pgqueue.grant_namespace('own', 'all', 'mallory');
    SELECT pgqueue.create_queue('q', namespace => 'own'), pgqueue.create_task('q', '1', namespace => 'own');
    SELECT pgqueue.create_namespace('hidden'), pgqueue.grant_namespace('hidden', 'all', 'victim');
    SELECT pgqueue.create_queue('q', namespace => 'hidden', retries => 0),
        pgqueue.create_queue('s', executor => 'server', namespace => 'hidden', retries => 0);
    SELECT pgqueue.create_ticker('t', 's', command => 'SELECT 1', period => '1 hour', namespace => 'hidden')
    SQL
as('victim', <<~'SQL');
    SELECT pgqueue.fire_ticker('t', namespace => 'hidden');
    SELECT pgqueue.create_task('s', namespace => 'hidden', run_limit => '1 hour', ttl => '1 hour',
        command => $$SELECT pgqueue.progress(1, 2, 'secret note'), pg_sleep(1000) /* secret */$$);
    SELECT pgqueue.create_task('s', command => 'SELECT 1/0 /* secret */', namespace => 'hidden');
    SELECT pgqueue.create_task('s', command => 'SELECT pg_sleep(0.05) /* secret */', namespace => 'hidden')
    FROM generate_series(1, 30);
    SELECT pgqueue.create_task('q', '1', type => 'secret', namespace => 'hidden') FROM generate_series(1, 3);
    SELECT pgqueue.next_task('secret worker', 'q', namespace => 'hidden', lease => '1 hour')
    SQL
ok(wait_for($node, $db, q{SELECT progress_note FROM pgqueue.worker WHERE progress_note IS NOT NULL}, 'secret note'),
    'a task runs');
ok(wait_for($node, $db, q{SELECT count(*) > 30 FROM pgqueue.task WHERE queue = 's' AND status = 'released'}, 't'),
    'others have run');
ok(wait_for($node, $db, q{SELECT count(*) > 0 FROM pgqueue.health WHERE namespace = 'hidden'}, 't'),
    'there is trouble');
sql('ANALYZE');

# Each column of these views with a value that a hidden row has, and one that none has.
sql(<<~'SQL');
    CREATE TABLE guess (view text, name text, hit text, miss text);
    GRANT SELECT ON guess TO PUBLIC;
    DO $$
    DECLARE
        c record;
        hit text;
        miss text;
    BEGIN
        FOR c IN
            SELECT t.relname AS view, a.attname AS name, format_type(a.atttypid, NULL) AS type
            FROM pg_class t
            JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0
            WHERE t.relnamespace = 'pgqueue'::regnamespace AND t.relkind = 'v' AND a.attname <> 'namespace'
                AND t.relname IN ('worker', 'memory', 'health', 'queue_status', 'queue_stat', 'type_stat',
                    'worker_stat', 'ticker', 'slow_task')
        LOOP
            -- Zeros and words that other rows have too tell nothing.
            EXECUTE format('SELECT max(v.%1$I::text) FROM pgqueue.%2$I v WHERE v.namespace = ''hidden'' '
                'AND v.%1$I::text NOT IN (SELECT o.%1$I::text FROM pgqueue.%2$I o '
                'WHERE o.namespace IS DISTINCT FROM ''hidden'' AND o.%1$I IS NOT NULL)', c.name, c.view) INTO hit;
            CONTINUE WHEN hit IS NULL;
            miss := CASE
                WHEN c.type = 'text' THEN 'x' || substr(hit, 2)
                WHEN c.type IN ('integer', 'bigint', 'double precision') THEN (hit::double precision + 7777)::text
                WHEN c.type = 'timestamp with time zone' THEN (hit::timestamptz + interval '400 days')::text
                WHEN c.type = 'interval' THEN (hit::interval + interval '400 days')::text
            END;
            IF miss IS NOT NULL THEN
                INSERT INTO guess VALUES (c.view, c.name, hit, miss);
            END IF;
        END LOOP;
    END
    $$;
    CREATE FUNCTION plan_of(view text, name text, value text, ways text) RETURNS text LANGUAGE plpgsql AS $$
    DECLARE
        line text;
        plan text := '';
    BEGIN
        FOR line IN EXECUTE format('EXPLAIN (%s) SELECT FROM pgqueue.%I WHERE %I = %L', ways, view, name, value) LOOP
            CONTINUE WHEN line ~ 'Filter|Cond|Sort Key|Memory|Buckets';
            plan := plan || line || E'\n';
        END LOOP;
        RETURN plan;
    END
    $$
    SQL
cmp_ok(sql('SELECT count(*) FROM guess'), '>', 40, 'there is much to guess');
is(sql(q{SELECT count(*) FROM guess WHERE view = 'worker' AND name IN ('command', 'progress_note', 'worker')}), '3',
    'also what a running task says');
# Names may be guessed (docs/privileges.md). What lives may change between two plans, so a difference has to stay.
my $differ = <<~'SQL';
    SELECT string_agg(view || '.' || name, ' ' ORDER BY view, name)
    FROM guess g
    WHERE name NOT IN ('queue', 'ticker') AND (view, name) <> ('worker', 'kind')  -- that one prunes the plan
        AND (SELECT bool_and(i > 0 AND plan_of(view, name, hit, '%1$s') <> plan_of(view, name, miss, '%1$s'))
             FROM generate_series(1, 3) i)
    SQL
my $counted = 'ANALYZE, COSTS off, TIMING off, SUMMARY off, BUFFERS off';
like(sql(sprintf($differ, $counted)), qr/worker\.command .*worker\.progress_note/, 'a superuser sees differences');
is(as('mallory', sprintf($differ, $counted)), '', 'without rights there is none in what is counted');
is(as('mallory', sprintf($differ, 'COSTS on')), '', 'nor in what is estimated');

# A handler is for whoever may manage: it is told of all tasks.
sql(<<~'SQL');
    CREATE SCHEMA mal AUTHORIZATION mallory;
    CREATE SCHEMA vic AUTHORIZATION victim;
    SELECT pgqueue.create_namespace('sold');
    SELECT pgqueue.update_namespace('sold', owner => 'mallory')
    SQL
as('mallory', <<~'SQL');
    CREATE TABLE mal.heard (what text);
    CREATE FUNCTION mal.hear(payload jsonb) RETURNS void LANGUAGE sql AS 'INSERT INTO mal.heard VALUES (payload::text)';
    CREATE FUNCTION mal.failed(payload jsonb, error text) RETURNS void LANGUAGE sql
        AS 'INSERT INTO mal.heard VALUES (payload || error)';
    SELECT pgqueue.create_handler('', 'mal.failed', 'failed', namespace => 'sold');
    SELECT pgqueue.create_handler('mine', 'mal.hear', namespace => 'sold');
    SELECT pgqueue.create_handler('', 'mal.hear', 'before', namespace => 'sold');
    SELECT pgqueue.create_queue('s', executor => 'server', retries => 0, namespace => 'sold');
    SELECT pgqueue.create_task('s', '"before the sale"', type => 'mine', namespace => 'sold')
    SQL
ok(wait_for($node, $db, 'SELECT count(*) FROM mal.heard', '2'), 'its handlers run while it owns the namespace');
sql(q{SELECT pgqueue.update_namespace('sold', owner => 'victim')});
as('victim', <<~'SQL');
    CREATE FUNCTION vic.serve(payload jsonb) RETURNS void LANGUAGE sql AS '';
    SELECT pgqueue.create_handler('theirs', 'vic.serve', namespace => 'sold');
    SELECT pgqueue.create_task('s', '"secret"', type => 'mine', namespace => 'sold'),
        pgqueue.create_task('s', '"secret"', type => 'theirs', namespace => 'sold'),
        pgqueue.create_task('s', '"secret"', command => 'SELECT 1/0', namespace => 'sold')
    SQL
ok(wait_for($node, $db, <<~'SQL', '3'), 'the tasks of the new owner fail');
    SELECT count(*) FROM pgqueue.task WHERE namespace = 'sold' AND status = 'failed'
    SQL
is(sql(q{SELECT string_agg(DISTINCT error_code, ' ' ORDER BY error_code) FROM pgqueue.task
    WHERE namespace = 'sold' AND status = 'failed'}), '22012 42501', 'and say why');
is(sql('SELECT count(*) FROM mal.heard'), '2', 'the former owner has heard nothing of them');
is(as('victim', q{SELECT count(*) FROM pgqueue.health WHERE namespace = 'sold' AND problem = 'no_handler'
    AND message LIKE '%no privilege "manage" any more'}), '3', 'health names each of its handlers');
as('victim', <<~'SQL');
    SELECT pgqueue.delete_handler('', 'mal.hear', 'before', 'sold'),
        pgqueue.delete_handler('', 'mal.failed', 'failed', 'sold'), pgqueue.delete_handler('mine', namespace => 'sold');
    SELECT pgqueue.retry_task(id) FROM pgqueue.task WHERE namespace = 'sold' AND type = 'theirs'
    SQL
ok(wait_for($node, $db, q{SELECT status FROM pgqueue.task WHERE namespace = 'sold' AND type = 'theirs'}, 'released'),
    'without them the tasks run');
$node->stop;
done_testing();
