# A handler runs only while its function has the owner that it had at its registration (R5).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('whose', conf => "pgqueue.worker_idle_timeout = '1min'");
sub sql { return $node->safe_psql('postgres', @_); }
my $id;
sql(q{SELECT pgqueue.create_queue('q'), pgqueue.create_queue('s', executor => 'server')});

sql(<<~'SQL');
    CREATE ROLE bob LOGIN;
    CREATE ROLE mallory LOGIN;
    CREATE ROLE team;
    GRANT team TO bob;
    GRANT pgqueue_user TO bob;
    SELECT pgqueue.grant_namespace('default', 'manage, use', 'bob');
    CREATE SCHEMA app;
    GRANT USAGE, CREATE ON SCHEMA app TO bob, mallory, team;
    CREATE TABLE ran (who name);
    GRANT INSERT ON ran TO PUBLIC;
    SET ROLE team;
    CREATE FUNCTION app.send(jsonb) RETURNS name LANGUAGE sql AS 'SELECT current_user';
    CREATE FUNCTION app.late(jsonb, jsonb) RETURNS name LANGUAGE sql AS 'SELECT current_user';
    RESET ROLE;
    SET SESSION AUTHORIZATION bob;
    SELECT pgqueue.create_handler('send', 'app.send')
    SQL
sub send_one
{
    my $id = sql(q{SET SESSION AUTHORIZATION bob; SELECT pgqueue.create_task('s', '{}', type => 'send', retries => 0)});
    wait_for($node, 'postgres', "SELECT finished_at IS NOT NULL FROM pgqueue.task WHERE id = $id", 't', 60);
    return sql("SELECT concat_ws(' ', status, error_code, result) FROM pgqueue.task WHERE id = $id");
}
sub health { return sql(q{SELECT string_agg(message, '; ') FROM pgqueue.health WHERE problem = 'no_handler'}); }
# The function as this role makes it.
sub made_by
{
    my ($role) = @_;
    return sql(<<~"SQL");
        DROP FUNCTION IF EXISTS app.send(jsonb);
        SET ROLE $role;
        CREATE FUNCTION app.send(jsonb) RETURNS name LANGUAGE sql AS 'SELECT current_user'
        SQL
}
is(send_one(), 'released "bob"', 'R5: a handler runs as the role that registered it, whoever owns its function');
is(health(), '', 'R5: all is well');
sql('DROP FUNCTION app.send(jsonb)');
is(send_one(), 'failed 42883', 'R5: without its function it fails');
is(health(), 'handler of type "send" cannot run: function app.send(jsonb) does not exist', 'R5: and health says so');
sql(<<~'SQL');
    SET ROLE mallory;
    CREATE FUNCTION app.send(jsonb) RETURNS name LANGUAGE sql
        AS 'INSERT INTO public.ran VALUES (current_user); SELECT current_user'
    SQL
is(send_one(), 'failed 42501', 'R5: a function that another role has put there is not run');
is(sql('SELECT count(*) FROM ran'), '0', 'R5: at all');
my $belongs = qr/function app\.send\(jsonb\) belongs to role "mallory", which did not have it/;
like(health(), qr/^handler of type "send" cannot run: $belongs/, 'R5: health says so');
sql(q{SELECT pgqueue.pause_queue('s')});
$id = sql(q{SET SESSION AUTHORIZATION bob; SELECT pgqueue.create_task('s', '{}', type => 'send')});
like(sql(<<~"SQL"), qr/^An attempt fails: function app\.send\(jsonb\) belongs to role "mallory"/, 'R5: and why');
    SELECT string_agg(message, '; ') FROM pgqueue.why($id) WHERE reason = 'no_handler'
    SQL
is(sql("SELECT pgqueue.run_task($id)"), 'retry', 'R5: nor does run_task run it');
sql("SELECT pgqueue.cancel_task($id), pgqueue.resume_queue('s')");
for my $role (qw(team bob postgres))
{
    made_by($role);
    is(send_one(), 'released "bob"', "R5: one that $role has put there is");
}
sql('ALTER FUNCTION app.send(jsonb) OWNER TO mallory');
is(send_one(), 'failed 42501', 'R5: a function that was given away is not');
sql(<<~'SQL');
    SET SESSION AUTHORIZATION bob;
    SELECT pgqueue.delete_handler('send');
    SELECT pgqueue.create_handler('send', 'app.send')
    SQL
is(send_one(), 'released "bob"', 'R5: unless it is registered again');
is(health(), '', 'R5: all is well again');
# Functions around a handler are of the same kind.
sql(q{SET SESSION AUTHORIZATION bob; SELECT pgqueue.create_handler('send', 'app.late', 'after')});
sql(q{ALTER FUNCTION app.late(jsonb, jsonb) OWNER TO mallory});
is(send_one(), 'failed 42501', 'R5: nor is one that runs after it');
sql(q{SET SESSION AUTHORIZATION bob; SELECT pgqueue.delete_handler('send', phase => 'after')});

# R5: the statement in the hint keeps the role of the handler, whoever runs it: a superuser would have run code of
# mallory.
sql('CREATE ROLE alice LOGIN; ALTER FUNCTION app.send(jsonb) OWNER TO alice');
my $hint = sql(q{SELECT hint FROM pgqueue.health WHERE problem = 'no_handler'});
like($hint, qr/^If it is meant: SET ROLE bob; SELECT .*; RESET ROLE;$/, 'R5: the hint names the role');
sql($hint =~ s/^If it is meant: //r);
is(send_one(), 'released "bob"', 'R5: registered again by a superuser it runs as before');
my (undef, undef, $warned) = $node->psql('postgres', q{SELECT pgqueue.create_handler('other', 'app.send')});
my $warning = qr/WARNING:  the handler runs as role "postgres", and its function belongs to role "alice"/;
like($warned, qr/$warning\n.*\nHINT:  ALTER FUNCTION app\.send\(jsonb\) OWNER TO postgres;/,
    'R5: whoever registers a function of somebody else is warned');
sql(q{SELECT pgqueue.delete_handler('other')});

# R1: what a function around a handler leaves open in the session is closed. It cannot reach what it finds open there.
# alice has secrets.
sql(<<~'SQL');
    GRANT pgqueue_user TO alice;
    SELECT pgqueue.grant_namespace('default', 'manage, use', 'alice');
    GRANT USAGE, CREATE ON SCHEMA app TO alice;
    CREATE TABLE app.secret (s text);
    INSERT INTO app.secret VALUES ('topsecret');
    ALTER TABLE app.secret OWNER TO alice;
    CREATE TABLE app.log (step text, who name, what text);
    GRANT ALL ON app.log TO PUBLIC
    SQL
sub as_role { my ($role, $sql) = @_; return sql("SET SESSION AUTHORIZATION $role; $sql"); }
as_role('alice', <<~'SQL');
    CREATE FUNCTION app.open_all() RETURNS void LANGUAGE plpgsql AS $$DECLARE
        c refcursor := 'c';
        r record;
    BEGIN
        OPEN c FOR SELECT s FROM app.secret;
        FETCH c INTO r;
        PERFORM pg_advisory_lock(4242);
    EXCEPTION WHEN insufficient_privilege THEN
        OPEN c FOR SELECT s FROM app.secret;
        FETCH c INTO r;
    END$$;
    CREATE FUNCTION app.alice_before(jsonb) RETURNS void LANGUAGE plpgsql AS 'BEGIN PERFORM app.open_all(); END';
    CREATE FUNCTION app.alice_handle(jsonb) RETURNS text LANGUAGE plpgsql AS $$BEGIN
        PERFORM app.open_all();
        RETURN 'done';
    END$$;
    CREATE FUNCTION app.alice_after(jsonb, jsonb) RETURNS void LANGUAGE plpgsql AS $$DECLARE
        c refcursor := 'c';
        r record;
    BEGIN
        FETCH c INTO r;
    END$$
    SQL
as_role('bob', <<~'SQL');
    CREATE FUNCTION app.grab(step text) RETURNS void LANGUAGE plpgsql AS $$DECLARE
        c refcursor := 'c';
        r record;
    BEGIN
    BEGIN
        MOVE ABSOLUTE 0 FROM c;
        FETCH c INTO r;
        INSERT INTO app.log VALUES (step, current_user, r::text);
    EXCEPTION WHEN OTHERS THEN
        INSERT INTO app.log VALUES (step, current_user, SQLSTATE);
    END;
    BEGIN
        INSERT INTO app.log VALUES (step, current_user, 'unlocked ' || pg_advisory_unlock(4242));
    EXCEPTION WHEN insufficient_privilege THEN
        NULL;
    END;
    END$$;
    CREATE FUNCTION app.pwn() RETURNS text LANGUAGE plpgsql AS $$BEGIN
        INSERT INTO app.log VALUES ('pwn', current_user, '');
        RETURN '';
    END$$;
    CREATE FUNCTION app.bob_after(jsonb, jsonb) RETURNS void LANGUAGE plpgsql AS $$BEGIN
        PERFORM app.grab('after');
    END$$;
    CREATE FUNCTION app.bob_handle(jsonb) RETURNS text LANGUAGE plpgsql AS $$DECLARE
        c refcursor := 'c';
    BEGIN
        PERFORM app.grab('handle');
    BEGIN
        CLOSE c;
    EXCEPTION WHEN OTHERS THEN
        NULL;
    END;
    OPEN c FOR SELECT app.pwn();
    RETURN 'done';
    END$$
    SQL
# Runs a task of a type; returns what it became and what was logged.
sub typed
{
    my ($role, $type) = @_;
    sql('TRUNCATE app.log');
    my $id = as_role($role, "SELECT pgqueue.create_task('s', '{}', type => '$type', retries => 0)");
    wait_for($node, 'postgres', "SELECT finished_at IS NOT NULL FROM pgqueue.task WHERE id = $id", 't', 60);
    return sql("SELECT concat_ws(' ', status, error_code) FROM pgqueue.task WHERE id = $id") . ' '
        . sql(q{SELECT coalesce(string_agg(concat_ws(' ', step, who, what), ', '), '') FROM app.log});
}
as_role('alice', q{SELECT pgqueue.create_handler('mine', 'app.alice_handle')});
as_role('bob', q{SELECT pgqueue.create_handler('mine', 'app.bob_after', 'after')});
is(typed('alice', 'mine'), 'released after bob 55000',
    'R1: a function after a handler reaches neither its cursors nor its locks');
as_role('bob', q{SELECT pgqueue.create_handler('his', 'app.bob_handle')});
as_role('alice', <<~'SQL');
    SELECT pgqueue.create_handler('his', 'app.alice_before', 'before'),
        pgqueue.create_handler('his', 'app.alice_after', 'after')
    SQL
like(typed('bob', 'his'), qr/^failed \w+ $/,
    'R1: a function before a handler leaves no cursor, and one after it runs none of the handler');
as_role('alice', q{SELECT pgqueue.delete_handler('his', phase => 'after')});
is(typed('bob', 'his'), 'released handle bob 34000, handle bob unlocked false',
    'R1: without that the handler finds nothing open');

# What one role has deferred, set or prepared does not run with the rights of the other one, nor can that one read it.
as_role('bob', <<~'SQL');
    SELECT pgqueue.delete_handler(type, phase => phase) FROM pgqueue.handler
    WHERE role = 'bob' AND type IN ('mine', 'his')
    SQL
as_role('alice', q{SELECT pgqueue.delete_handler(type, phase => phase) FROM pgqueue.handler WHERE role = 'alice'});
as_role('bob', <<~'SQL');
    CREATE TABLE app.deferred (i int);
    GRANT INSERT ON app.deferred TO alice;
    CREATE FUNCTION app.fires() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
        INSERT INTO app.log VALUES ('trigger', current_user, NULL);
        RETURN NULL;
    END$$;
    CREATE CONSTRAINT TRIGGER t AFTER INSERT ON app.deferred DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION app.fires();
    CREATE FUNCTION app.traps(jsonb) RETURNS text LANGUAGE plpgsql AS $$BEGIN
        INSERT INTO app.deferred VALUES (1);
        SET standard_conforming_strings = off;
        SET backslash_quote = on;
        EXECUTE 'PREPARE p AS SELECT app.pwn()';
        RETURN 'done';
    END$$
    SQL
as_role('alice', <<~'SQL');
    CREATE FUNCTION app.careless(jsonb, jsonb) RETURNS void LANGUAGE plpgsql AS $$BEGIN
        SET CONSTRAINTS ALL IMMEDIATE;
        INSERT INTO app.log VALUES
            ('settings', current_user,
                current_setting('standard_conforming_strings') || ' ' || current_setting('backslash_quote'));
        BEGIN
            EXECUTE 'EXECUTE p';
        EXCEPTION WHEN insufficient_privilege THEN
            NULL;
        END;
    END$$
    SQL
as_role('bob', q{SELECT pgqueue.create_handler('trap', 'app.traps')});
as_role('alice', q{SELECT pgqueue.create_handler('trap', 'app.careless', 'after')});
is(typed('bob', 'trap'), 'released trigger bob, settings alice on safe_encoding',
    'R1: triggers that wait fire as their role first, texts are read as usual, EXECUTE is refused');
(undef, undef, $warned) = $node->psql('postgres',
    q{INSERT INTO pgqueue.handler (type, function) VALUES ('view', 'app.send')});
like($warned, qr/WARNING:  the handler runs as role "postgres", and its function belongs to role "\w+"/,
    'R5: INSERT into the view warns, too');
sql(q{DELETE FROM pgqueue.handler WHERE type = 'view'});

# A command of another role does not run what the session has prepared, in any form.
my $executes = join('', map { sql(<<~"SQL") . "\n" }
    BEGIN;
    SET SESSION AUTHORIZATION bob;
    SELECT pgqueue.create_task('q', command => '$_', retries => 0) AS id \\gset
    RESET SESSION AUTHORIZATION;
    PREPARE p AS SELECT 1;
    SELECT pgqueue.run_task(:id) AS status \\gset
    SELECT :'status' || ' ' || error_code FROM pgqueue.task WHERE id = :id;
    COMMIT
    SQL
    'EXECUTE p', 'EXPLAIN EXECUTE p', 'EXPLAIN ANALYZE EXECUTE p', 'CREATE TABLE app.taken AS EXECUTE p',
    'EXPLAIN ANALYZE CREATE TABLE app.taken AS EXECUTE p');
is($executes, "failed 42501\n" x 5, 'R1: EXECUTE inside of EXPLAIN and of CREATE TABLE AS is refused, too');

# A dump knows whose functions they were, by name; a restored copy has roles of other numbers.
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';
made_by('team');
sql(<<~'SQL');
    SET SESSION AUTHORIZATION bob;
    SELECT pgqueue.delete_handler('send');
    SELECT pgqueue.create_handler('send', 'app.send')
    SQL
$node->command_ok(['pg_dump', '--file' => $dump, $node->connstr('postgres')], 'R5: pg_dump');
my $other = new_node('other');
$other->safe_psql('postgres', <<~'SQL');
    CREATE ROLE filler;
    CREATE ROLE mallory LOGIN;
    CREATE ROLE alice;
    CREATE ROLE team;
    CREATE ROLE bob LOGIN;
    GRANT team TO bob
    SQL
$other->safe_psql('postgres', 'CREATE DATABASE copy');
$other->command_ok(['psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $other->connstr('copy'), '-f', $dump],
    'R5: a restore in another cluster');
$other->safe_psql('copy', 'GRANT pgqueue_user TO bob; SELECT pgqueue.adopt()');
my $sent = $other->safe_psql('copy', <<~'SQL');
    SET SESSION AUTHORIZATION bob;
    SELECT pgqueue.create_task('s', '{}', type => 'send', retries => 0)
    SQL
ok(wait_for($other, 'copy', "SELECT status FROM pgqueue.task WHERE id = $sent", 'released', 60),
    'R5: the handler runs there');
is($other->safe_psql('copy', <<~'SQL'), 'team', 'R5: its function is whose it was');
    SELECT o.rolname FROM pgqueue_internal.handler h JOIN pg_roles o ON o.oid = h.owner WHERE type = 'send'
    SQL
$other->safe_psql('copy', 'ALTER FUNCTION app.send(jsonb) OWNER TO mallory');
$sent = $other->safe_psql('copy', <<~'SQL');
    SET SESSION AUTHORIZATION bob;
    SELECT pgqueue.create_task('s', '{}', type => 'send', retries => 0)
    SQL
ok(wait_for($other, 'copy', "SELECT status, error_code FROM pgqueue.task WHERE id = $sent", 'failed|42501', 60),
    'R5: and only while it is');

done_testing();
