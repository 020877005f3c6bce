# An installation of pg_background_queue 1.0 becomes ours in place; rows of a restored table are imported; ours survive
# dump and restore (A50).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use BackgroundQueue;
use Catalog;
use File::Copy qw(copy);
use PgQueue;
use PostgreSQL::Test::Utils;
use Test::More;

# A server that has a version of the shape of 1.0 to install beside ours.
my ($install, $folder) = own_server();
my $control = slurp_file("$folder/pg_background_queue.control");
my $library = "$install/lib";
rename("$library/pg_background_queue.so", "$library/ours.so") or die $!;
# Stands for the library of 1.0, whose functions the server wants to see when it makes them; none of them is called.
copy("$library/pgqueue.so", "$library/pg_background_queue.so") or die $!;
sub former_version
{
    my ($type) = @_;
    unlink "$folder/pg_background_queue.control", "$folder/pg_background_queue--1.0.sql";
    append_to_file("$folder/pg_background_queue.control",
        "default_version = '1.0'\nmodule_pathname = '\$libdir/pg_background_queue'\nrelocatable = true\n");
    append_to_file("$folder/pg_background_queue--1.0.sql", <<~"SQL");
        CREATE TYPE $type AS ENUM ('pending', 'running', 'retrying', 'failed', 'finished');
        CREATE TABLE pg_background_tasks (id bigserial PRIMARY KEY, sql_statement text NOT NULL, topic text,
            joined_at timestamp NOT NULL DEFAULT now(), started_at timestamp, closed_at timestamp,
            priority integer NOT NULL DEFAULT 0, state $type NOT NULL DEFAULT 'pending',
            retry_count integer NOT NULL DEFAULT 0, retry_delay_in_sec integer NOT NULL DEFAULT 0, errors text);
        CREATE INDEX idx_pg_background_tasks_queue ON pg_background_tasks (joined_at, id)
            WHERE state IN ('pending', 'retrying');
        CREATE INDEX idx_pg_background_tasks_state ON pg_background_tasks (state, closed_at DESC);
        CREATE INDEX idx_pg_background_tasks_topic ON pg_background_tasks (topic);
        CREATE FUNCTION pg_background_enqueue(sql text, topic text DEFAULT NULL) RETURNS int8
            AS 'MODULE_PATHNAME', 'pgqueue_version' LANGUAGE C VOLATILE;
        CREATE FUNCTION pg_background_queue_ensure_workers() RETURNS void AS 'MODULE_PATHNAME', 'pgqueue_version'
            LANGUAGE C VOLATILE;
        CREATE FUNCTION pg_background_queue_active_workers_count() RETURNS integer
            AS 'MODULE_PATHNAME', 'pgqueue_version' LANGUAGE C VOLATILE;
        CREATE FUNCTION pg_background_queue_calibrate_workers_count() RETURNS integer
            AS 'MODULE_PATHNAME', 'pgqueue_version' LANGUAGE C VOLATILE;
        SQL
    return;
}
sub our_version
{
    unlink "$folder/pg_background_queue.control", "$folder/pg_background_queue--1.0.sql";
    append_to_file("$folder/pg_background_queue.control", $control);
    rename("$library/ours.so", "$library/pg_background_queue.so") or die $!;
    return;
}
my $rows = <<~'SQL';
    INSERT INTO pg_background_tasks (id, sql_statement, topic, joined_at, started_at, closed_at, priority, state,
        retry_count, retry_delay_in_sec, errors)
    VALUES
        (3, 'SELECT ''old''', NULL, '2025-11-01 10:00', '2025-11-01 10:00:01', '2025-11-01 10:00:02', 100, 'finished',
            0, 0, NULL),
        (4, 'SELECT ''retried''', 'reports', '2025-11-01 10:00', '2025-11-01 10:00:01', '2025-11-01 10:00:03', 50,
            'finished', 2, 4, 'was busy'),
        (7, 'SELECT 1/0', 'Mixed Case', '2025-11-02 10:00', '2025-11-02 10:00:01', '2025-11-02 10:00:02', 100, 'failed',
            0, 0, 'division by zero'),
        (1000, 'INSERT INTO ran SELECT 1000, current_user', 'reports', '2025-11-03 10:00', NULL, NULL, 50, 'pending', 0,
            0, NULL),
        (1001, 'INSERT INTO ran SELECT 1001, current_user', '', '2025-11-03 10:00', '2025-11-03 10:00:01', NULL, 0,
            'retrying', 1, 2, 'lock not available'),
        (1002, 'INSERT INTO ran SELECT 1002, current_user', NULL, '2025-11-03 10:00', '2025-11-03 10:00:01', NULL, 100,
            'running', 0, 0, NULL);
    SELECT setval('pg_background_tasks_id_seq', 1002)
    SQL
my $history = <<~'SQL';
    SELECT id, sql_statement, topic, joined_at, started_at, closed_at, priority, state, retry_count, retry_delay_in_sec,
        errors
    FROM pg_background_tasks
    WHERE id < 1000 ORDER BY id
    SQL

my $node = new_node('takeover', install => $install, preload => 0);
my $db = 'postgres';
$node->safe_psql($db, 'CREATE ROLE app; CREATE ROLE other; CREATE ROLE reader');

# The databases of the old server.
former_version('pg_background_queue_task_state');
$node->safe_psql($db, "CREATE DATABASE $_") for qw(head seed several viewed);
for my $head ('head', 'several', 'viewed')
{
    $node->safe_psql($head, <<~'SQL');
        CREATE EXTENSION pg_background_queue;
        CREATE TABLE ran (id integer, who text);
        GRANT INSERT ON ran TO PUBLIC
        SQL
    $node->safe_psql($head, $rows);
}
$node->safe_psql('several', 'GRANT SELECT, INSERT, UPDATE ON pg_background_tasks TO app, other');
$node->safe_psql('viewed', 'CREATE VIEW mine AS SELECT * FROM pg_background_tasks');
former_version('pg_background_task_state');
$node->safe_psql('seed', <<~'SQL');
    CREATE SCHEMA "Own";
    CREATE EXTENSION pg_background_queue SCHEMA "Own";
    CREATE TABLE ran (id integer, who text);
    GRANT INSERT ON ran TO PUBLIC
    SQL
$node->safe_psql('seed', <<~"SQL");
    SET search_path = "Own", public;
    $rows;
    GRANT USAGE ON SCHEMA "Own" TO app, reader;
    GRANT SELECT, INSERT ON pg_background_tasks TO app;
    GRANT SELECT ON pg_background_tasks TO reader
    SQL
my $former = $node->safe_psql('head', $history);
$node->stop;
our_version();

# Ours is installed, and the preload line is forgotten.
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_background_queue'");
my $log = -s $node->logfile;
is($node->start(fail_ok => 1), 0, 'a forgotten preload line stops the server');
my $refusal = qr/FATAL:  pg_background_queue is part of pgqueue/;
my $remedy = qr/HINT:  In shared_preload_libraries write pgqueue in place of pg_background_queue/;
like(substr(slurp_file($node->logfile), $log), qr/$refusal.*$remedy/s, 'with a clear message');

# The one line.
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pgqueue'");
$node->start;
my ($out, $err);
$node->psql('head', 'SELECT pg_background_queue_ensure_workers()', stdout => \$out, stderr => \$err);
like($err, qr/ERROR:.*former version.*HINT:.*ALTER EXTENSION pg_background_queue UPDATE/s,
    'a function of 1.0 says what to run');
$node->psql('head', 'ALTER EXTENSION pg_background_queue UPDATE', stdout => \$out, stderr => \$err);
like($err, qr/required extension "pgqueue" is not installed/, 'pgqueue comes first');

# Nothing runs while we look.
$node->safe_psql($db, 'ALTER SYSTEM SET pgqueue.enabled = off; SELECT pg_reload_conf()');
$node->safe_psql('head', 'CREATE EXTENSION pgqueue; ALTER EXTENSION pg_background_queue UPDATE');
is($node->safe_psql('head', $history), $former, 'the history is the same, ids, times and errors');
is($node->safe_psql('head', <<~'SQL'),
    SELECT id, state, priority, topic, retry_count, retry_delay_in_sec, errors, joined_at
    FROM pg_background_tasks
    WHERE id >= 1000 ORDER BY id
    SQL
    "1000|pending|50|reports|0|0||2025-11-03 10:00:00\n"
    . "1001|retrying|0||1|2|lock not available|2025-11-03 10:00:00\n"
    . '1002|pending|100||0|0||2025-11-03 10:00:00',
    'unfinished rows wait, a running one too');
is($node->safe_psql('head', <<~'SQL'), '|', 'the old table is gone');
    SELECT to_regclass('pg_background_tasks_1_0'), to_regclass('pg_background_tasks_id_seq')
    SQL
is($node->safe_psql('head', 'SELECT DISTINCT role FROM pgqueue.task'), 'postgres',
    'nobody but the owner could write to the table: rows run as the owner');
$node->safe_psql($db, 'CREATE DATABASE fresh');
$node->safe_psql('fresh', <<~'SQL');
    CREATE TABLE ran (id integer, who text);
    GRANT INSERT ON ran TO PUBLIC;
    CREATE EXTENSION pg_background_queue CASCADE
    SQL
my ($updated, $fresh) =
    map { catalog($node, $_) =~ s/^SELECT pg_catalog.setval\('pgqueue_internal.task_id'.*//mr } qw(head fresh);
ok($updated eq $fresh, 'K19: the catalog is that of a fresh installation') or note(difference($fresh, $updated));
is($node->safe_psql('head', q{SELECT pg_background_enqueue('SELECT 1')}), '1003', 'ids go on where they were');

# The other name of the type, a schema of its own, and one role that could write.
$node->safe_psql('seed', 'CREATE EXTENSION pgqueue; ALTER EXTENSION pg_background_queue UPDATE');
is($node->safe_psql('seed', 'SET search_path = "Own"; ' . $history), $former,
    'the same from the revision with the other type name');
is($node->safe_psql('seed', <<~'SQL'), 't|t', 'the type has its name');
    SELECT to_regtype('"Own".pg_background_queue_task_state') IS NOT NULL,
        to_regtype('"Own".pg_background_task_state') IS NULL
    SQL
is($node->safe_psql('seed', 'SELECT DISTINCT role FROM pgqueue.task'), 'app', 'one role could write: rows run as it');
is($node->safe_psql('seed', 'SELECT DISTINCT role FROM pgqueue.task_archive'), 'app',
    'those of the history too, when they are run again');
is($node->safe_psql('seed', <<~'SQL'), 'app read, app use, reader read',
    SELECT string_agg(role || ' ' || privilege, ', ' ORDER BY role, privilege)
    FROM pgqueue.namespace_grant
    WHERE namespace = 'pg_background_queue'
    SQL
    'rights on the table became privileges of the namespace');
like($node->safe_psql('seed', <<~'SQL'), qr/^1003$/, 'so the application goes on');
    SET ROLE app;
    SELECT "Own".pg_background_enqueue('INSERT INTO ran SELECT 1003, current_user')
    SQL
is($node->safe_psql('seed', 'SET ROLE reader; SELECT count(*) FROM "Own".pg_background_tasks'), '7',
    'and who could read can');

# Nobody knows whose they are.
$node->safe_psql('several', 'CREATE EXTENSION pgqueue; ALTER EXTENSION pg_background_queue UPDATE');
is($node->safe_psql('several', <<~'SQL'), "1000|failed|t\n1001|failed|t\n1002|failed|t",
    SELECT id, state, errors ~ 'does not tell the role' FROM pg_background_tasks WHERE id >= 1000 ORDER BY id
    SQL
    'several roles could write: rows come as failed ones');
is($node->safe_psql('several', q{SELECT count(*) FROM pgqueue.task}), '0', 'nothing of them can run by itself');

# A view of the user's on the table.
is($node->psql('viewed', <<~'SQL', stdout => \$out, stderr => \$err), 3, 'a view on the table stops the update');
    CREATE EXTENSION pgqueue;
    ALTER EXTENSION pg_background_queue UPDATE
    SQL
like($err, qr/cannot drop table.*view public\.mine depends on/s, 'it is named');
is($node->safe_psql('viewed', $history), $former, 'and nothing has changed');

# They run.
$node->safe_psql($db, 'ALTER SYSTEM RESET pgqueue.enabled; SELECT pg_reload_conf()');
ok(wait_for($node, 'head', <<~'SQL', '1000 postgres, 1001 postgres, 1002 postgres', 30), 'what was unfinished runs');
    SELECT string_agg(id || ' ' || who, ', ' ORDER BY id) FROM ran
    SQL
ok(wait_for($node, 'seed', <<~'SQL', '1000 app, 1001 app, 1002 app, 1003 app', 30), 'as the application there');
    SELECT string_agg(id || ' ' || who, ', ' ORDER BY id) FROM ran
    SQL
is($node->safe_psql('several', 'SELECT count(*) FROM ran'), '0', 'but not what could be anybody\'s');
for my $id (7, 1000)
{
    $node->psql('several', "SET ROLE app; UPDATE pg_background_tasks SET state = 'pending' WHERE id = $id",
        stdout => \$out, stderr => \$err);
    like($err, qr/permission denied to run task $id again/,
        "who could write row $id cannot run it as the owner of the table, though he has manage");
}
$node->safe_psql('several', q{UPDATE pg_background_tasks SET state = 'pending' WHERE id = 1000});
ok(wait_for($node, 'several', q{SELECT string_agg(id || ' ' || who, ', ' ORDER BY id) FROM ran}, '1000 postgres', 30),
    'until a superuser says so');

# Import of a restored table, into a database that has tasks already.
my $table = <<~'SQL';
    CREATE TABLE "Old tasks" (id bigserial PRIMARY KEY, sql_statement text NOT NULL, topic text,
        joined_at timestamp NOT NULL DEFAULT now(), started_at timestamp, closed_at timestamp,
        priority integer NOT NULL DEFAULT 0, state pg_background_queue_task_state NOT NULL DEFAULT 'pending',
        retry_count integer NOT NULL DEFAULT 0, retry_delay_in_sec integer NOT NULL DEFAULT 0, errors text);
    SQL
(my $old_rows = "$table$rows") =~ s/INTO pg_background_tasks/INTO "Old tasks"/;
$old_rows =~ s/pg_background_tasks_id_seq/"Old tasks_id_seq"/;
$node->safe_psql('fresh', $old_rows);
my $mine = $node->safe_psql('fresh', q{SELECT pg_background_enqueue('SELECT 1')});
$node->safe_psql('fresh', qq{UPDATE "Old tasks" SET id = $mine WHERE id = 3});
is($node->safe_psql('fresh', q{SELECT pg_background_queue_import('"Old tasks"')}), '6', 'import takes all rows');
is($node->safe_psql('fresh', q{SELECT id > 1002 FROM pg_background_tasks WHERE sql_statement = 'SELECT ''old'''}), 't',
    'the row whose id was taken has a new one');
is($node->safe_psql('fresh', <<~'SQL'), '4 7 1000 1001 1002', 'the others keep theirs');
    SELECT string_agg(id::text, ' ' ORDER BY id) FROM pg_background_tasks
    WHERE id BETWEEN 4 AND 1002 AND sql_statement <> 'SELECT 1'
    SQL
is($node->safe_psql('fresh', q{SELECT pg_background_queue_import('"Old tasks"')}), '0', 'a repeated call adds nothing');
ok(wait_for($node, 'fresh', <<~'SQL', '1000 postgres, 1001 postgres, 1002 postgres', 30), 'imported rows run');
    SELECT string_agg(id || ' ' || who, ', ' ORDER BY id) FROM ran
    SQL
is($node->safe_psql('fresh', q{SELECT pg_background_queue_import('"Old tasks"')}), '0', 'nor when they have run');
$node->safe_psql('fresh', <<~'SQL');
    CREATE VIEW a_view AS SELECT * FROM "Old tasks";
    GRANT pgqueue_admin TO app;
    GRANT EXECUTE ON FUNCTION pg_background_queue_import TO app;
    CREATE TABLE another (id bigint);
    CREATE DOMAIN trap AS text;
    CREATE TABLE incomplete AS SELECT * FROM "Old tasks";
    INSERT INTO incomplete VALUES (77, NULL, NULL, now(), NULL, NULL, 1, 'pending', 0, 0, NULL);
    CREATE TABLE trapped AS
        SELECT id, sql_statement::trap, topic, joined_at, started_at, closed_at, priority, state, retry_count,
            retry_delay_in_sec, errors
        FROM "Old tasks"
    SQL
for my $case ([ q{SELECT pg_background_queue_import('another')}, qr/lacks these columns.*: sql_statement, topic/ ],
    [ q{SELECT pg_background_queue_import('trapped')}, qr/have other types: sql_statement\./ ],
    [ q{SELECT pg_background_queue_import('a_view')}, qr/not a table/ ],
    [ q{SELECT pg_background_queue_import('incomplete')}, qr/row 77 of "public.incomplete" is not complete/ ],
    [ q{SELECT pg_background_queue_import(NULL)}, qr/must not be NULL/ ],
    [ q{SET ROLE app; SELECT pg_background_queue_import('"Old tasks"')}, qr/permission denied/ ])
{
    $node->psql('fresh', $case->[0], stdout => \$out, stderr => \$err);
    like($err, $case->[1], "refused: $case->[0]");
}

# Who owns an enum may give it a cast.
$node->safe_psql('fresh', <<~'SQL');
    CREATE TYPE state_with_cast AS ENUM ('pending', 'finished');
    CREATE TABLE cast_ran (who text);
    CREATE FUNCTION of_state(state_with_cast) RETURNS text LANGUAGE plpgsql AS $$BEGIN
        INSERT INTO cast_ran VALUES (current_user);
        RETURN 'finished';
    END$$;
    CREATE CAST (state_with_cast AS text) WITH FUNCTION of_state(state_with_cast);
    CREATE TABLE cast_tasks (LIKE "Old tasks");
    ALTER TABLE cast_tasks ALTER state DROP DEFAULT, ALTER state TYPE state_with_cast USING NULL;
    INSERT INTO cast_tasks VALUES
        (5, 'SELECT ''cast''', NULL, '2025-11-01 10:00', NULL, now(), 1, 'finished', 0, 0, NULL)
    SQL
is($node->safe_psql('fresh', q{SELECT pg_background_queue_import('cast_tasks')}), '1',
    'a table whose state is an enum of its owner\'s');
is($node->safe_psql('fresh', q{SELECT count(*) FROM cast_ran}), '0', 'import runs no cast of that enum');

# Ids that would leave none for others, or are none.
$node->safe_psql('fresh', <<~'SQL');
    CREATE TABLE odd_ids (LIKE "Old tasks");
    INSERT INTO odd_ids VALUES
        (9223372036854775807, 'SELECT ''odd''', NULL, now(), NULL, now(), 1, 'finished', 0, 0, NULL),
        (0, 'SELECT ''odd''', NULL, now(), NULL, now(), 1, 'finished', 0, 0, NULL),
        (-1, 'SELECT ''odd''', NULL, now(), NULL, NULL, 1, 'pending', 0, 0, NULL)
    SQL
is($node->safe_psql('fresh', q{SELECT pg_background_queue_import('odd_ids')}), '3', 'rows with odd ids are taken');
is($node->safe_psql('fresh', q{SELECT pg_background_queue_import('odd_ids')}), '0', 'once');
is($node->safe_psql('fresh', <<~'SQL'), 't|t', 'under new ids');
    SELECT min(id) > 1002, max(id) < 100000 FROM pg_background_tasks WHERE sql_statement = 'SELECT ''odd'''
    SQL
is($node->psql('fresh', q{SELECT pg_background_queue_enqueue('SELECT 1')}), 0, 'and ids go on');

# Dump and restore (A50).
settings($node, 'fresh',
    topic_config => '{"kept": {"priority": 9, "max_parallel_running_tasks_count": 1}, "Other One": {"priority": 8}}');
$node->safe_psql('fresh', <<~'SQL');
    SELECT pgqueue.update_namespace('pg_background_queue', paused => true),
        pgqueue.grant_namespace('pg_background_queue', 'use', 'other')
    SQL
$node->safe_psql('fresh', <<~'SQL');
    SELECT pg_background_queue_enqueue('INSERT INTO ran SELECT 5000, current_user', topic)
    FROM unnest(ARRAY['kept', 'Other One', 'unknown', NULL]) topic
    SQL
my $all = q{SELECT * FROM pg_background_tasks ORDER BY id};
my $before = $node->safe_psql('fresh', $all);
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';
$node->command_ok([ 'pg_dump', '--file' => $dump, $node->connstr('fresh') ], 'A50: pg_dump');
$node->safe_psql($db, 'CREATE DATABASE copy');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('copy'), '-f', $dump ],
    'A50: restore');
is($node->safe_psql('copy', $all), $before, 'A50: the relation has the same rows');
my $queues = <<~'SQL';
    SELECT string_agg(queue, ' ' ORDER BY queue) FROM pgqueue.queue WHERE namespace = 'pg_background_queue'
    SQL
is($node->safe_psql('copy', $queues), $node->safe_psql('fresh', $queues), 'A50: and the same queues');
is($node->safe_psql('copy', <<~'SQL'), 'other', 'A50: and the grants');
    SELECT string_agg(role, ' ') FROM pgqueue.namespace_grant WHERE namespace = 'pg_background_queue'
    SQL
$node->safe_psql('copy', <<~'SQL');
    TRUNCATE ran;
    SELECT pgqueue.adopt();
    SELECT pgqueue.update_namespace('pg_background_queue', paused => false)
    SQL
ok(wait_for($node, 'copy', 'SELECT count(*) FROM ran', '4', 30), 'A50: adopted, the pending rows run there');
my $more = $node->safe_psql('copy',
    q{SELECT pg_background_queue_enqueue('INSERT INTO ran SELECT 6000, current_user', 'kept')});
ok(wait_state($node, 'copy', $more, 'finished', 30), 'A50: and new ones');
$node->safe_psql($db, 'DROP DATABASE copy WITH (FORCE)');
$node->stop;
done_testing();
