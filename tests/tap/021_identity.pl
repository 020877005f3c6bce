# A command runs as the role that created the task, whatever it tries. All of this is tested with a role that may log in
# and with one that may not.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('identity');
sub sql { return $node->safe_psql('postgres', @_); }

# Creates a task as a role; returns its id.
sub task_of
{
    my ($role, $command) = @_;
    return sql("SET ROLE $role; SELECT pgqueue.create_task('q', command => \$cmd\$$command\$cmd\$)");
}

# Waits until a task is finished; returns its status and error code.
sub finish
{
    my ($id) = @_;
    wait_for($node, 'postgres', "SELECT finished_at IS NOT NULL FROM pgqueue.task WHERE id = $id", 't', 60);
    return sql("SELECT concat_ws(' ', status, error_code) FROM pgqueue.task WHERE id = $id");
}

sub run { my ($role, $command) = @_; return finish(task_of($role, $command)); }

# Runs a command; returns its status and the values of its first row.
sub row_of
{
    my ($role, $command) = @_;
    my $id = task_of($role, $command);
    return finish($id) . ' ' . sql(<<~"SQL");
        SELECT string_agg(e.value, ' ' ORDER BY e.key) FROM pgqueue.task t, jsonb_each_text(t.result->'first') e
        WHERE t.id = $id
        SQL
}

sql(<<~'SQL');
    SELECT pgqueue.create_queue('q', retries => 0);
    CREATE ROLE alice LOGIN;
    CREATE ROLE nolo NOLOGIN;
    CREATE ROLE club NOLOGIN;
    CREATE ROLE boss LOGIN SUPERUSER;
    GRANT club TO alice, nolo;
    GRANT pgqueue_user TO alice, nolo;
    SELECT pgqueue.grant_namespace('default', 'use,read', 'alice');
    SELECT pgqueue.grant_namespace('default', 'use,read', 'nolo');
    GRANT CREATE ON SCHEMA public TO PUBLIC;
    CREATE TABLE log (at text, session_role text, role text, super text);
    GRANT ALL ON log TO PUBLIC;
    CREATE FUNCTION note(at text) RETURNS void LANGUAGE sql AS
    $$INSERT INTO public.log VALUES ($1, session_user, current_user, current_setting('is_superuser'))$$;
    -- Notes who it is, then tries to be somebody else.
    CREATE FUNCTION climb(at text) RETURNS void LANGUAGE plpgsql AS $$BEGIN
        PERFORM public.note(at);
        BEGIN
            PERFORM set_config('role', 'boss', false);
            PERFORM public.note(at || ', set_config');
        EXCEPTION WHEN insufficient_privilege THEN
            PERFORM public.note(at || ' refused');
        END;
        BEGIN
            EXECUTE 'RESET ROLE';
            PERFORM public.note(at || ', reset role');
            EXECUTE 'RESET SESSION AUTHORIZATION';
            PERFORM public.note(at || ', reset session authorization');
            EXECUTE 'SET SESSION AUTHORIZATION boss';
            PERFORM public.note(at || ', set session authorization');
        EXCEPTION WHEN insufficient_privilege THEN
            PERFORM public.note(at || ' refused again');
        END;
    END$$;
    CREATE FUNCTION climb_in_trigger() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
        PERFORM public.climb(tg_argv[0]);
        RETURN NULL;
    END$$;
    CREATE TABLE deferred (a int);
    GRANT ALL ON deferred TO PUBLIC;
    CREATE CONSTRAINT TRIGGER late AFTER INSERT ON deferred DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION climb_in_trigger('deferred trigger');
    CREATE FUNCTION climb_as_row() RETURNS int LANGUAGE plpgsql AS $$BEGIN
        PERFORM public.climb('held cursor');
        RETURN 1;
    END$$;
    CREATE FUNCTION definer() RETURNS text LANGUAGE sql SECURITY DEFINER AS $$
        SELECT session_user || '/' || current_user
    $$;
    CREATE FUNCTION who(int) RETURNS text LANGUAGE plpgsql PARALLEL SAFE AS
    $$BEGIN RETURN session_user || '/' || current_user || '/' || current_setting('is_superuser'); END$$;
    CREATE TABLE big AS SELECT g AS a, repeat('x', 100) AS b FROM generate_series(1, 50000) g;
    GRANT SELECT ON big TO PUBLIC;
    ANALYZE big;
    CREATE FUNCTION climb_in_event() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN
        PERFORM public.climb('event trigger');
    END$$;
    CREATE EVENT TRIGGER made ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION climb_in_event();
    CREATE PROCEDURE climb_between() LANGUAGE plpgsql AS
    $$BEGIN PERFORM public.climb('procedure'); COMMIT; PERFORM public.climb('procedure after commit'); END$$;
    CREATE MATERIALIZED VIEW shared_view AS SELECT 1 AS a;
    ALTER DATABASE postgres SET work_mem = '7MB';
    ALTER ROLE alice SET statement_timeout = '61s';
    ALTER ROLE nolo SET statement_timeout = '61s';
    ALTER ROLE alice IN DATABASE postgres SET my.place = 'both';
    ALTER ROLE nolo IN DATABASE postgres SET my.place = 'both';
    ALTER ROLE postgres SET my.place = 'the superuser''s';
    ALTER ROLE postgres SET my.secret = 'x';
    SQL

my $identity = q{SELECT session_user AS a, current_user AS b, current_setting('is_superuser') AS c};

for my $role (qw(alice nolo))
{
    my $kind = $role eq 'alice' ? 'LOGIN' : 'NOLOGIN';
    my $home = "released $role $role off";
    sql('TRUNCATE log');

    is(row_of($role, $identity), $home, "A47: $kind: a task runs as the role that created it");
    is(row_of($role, q{SELECT usename FROM pg_stat_activity WHERE pid = pg_backend_pid()}), "released $role",
        "A47: $kind: and is shown as it");
    is(row_of($role, q{SELECT current_setting('role') AS a, current_setting('session_authorization') AS b}),
        "released none $role", "A47: $kind: by its session");
    is(row_of($role, <<~'SQL'), 'released 61s 7MB both -',
        SELECT current_setting('statement_timeout') AS a, current_setting('work_mem') AS b,
            current_setting('my.place') AS c, coalesce(current_setting('my.secret', true), '-') AS d
        SQL
        "$kind: with the settings of role and database, and no others");

    # What has to be refused.
    for my $command ('SET SESSION AUTHORIZATION boss', 'SET ROLE boss', 'SET LOCAL ROLE boss',
        q{SELECT set_config('role', 'boss', false)}, q{SELECT set_config('session_authorization', 'boss', true)},
        'SET SESSION AUTHORIZATION postgres', 'SET ROLE pgqueue_admin', 'ALTER ROLE ' . $role . ' SUPERUSER',
        'SELECT * FROM pg_authid')
    {
        is(run($role, $command), 'failed 42501', "$kind: refused: $command");
    }
    # What has to change nothing.
    for my $command ('RESET SESSION AUTHORIZATION', 'SET SESSION AUTHORIZATION DEFAULT', 'RESET ROLE', 'SET ROLE none',
        'SET LOCAL ROLE none', 'RESET ALL', 'SET LOCAL SESSION AUTHORIZATION DEFAULT')
    {
        is(row_of($role, "$command; $identity"), $home, "$kind: no way up: $command");
    }
    is(row_of($role, 'DISCARD ALL') , 'released ', "$kind: DISCARD ALL runs");
    is(row_of($role, $identity), $home, "$kind: and leads nowhere");
    is(row_of($role, "SET ROLE club; $identity"), "released $role club off",
        "$kind: SET ROLE to a group of its own works");
    is(row_of($role, $identity), $home, "$kind: until the end of the task");
    is(row_of($role, "RESET ALL; SELECT current_setting('statement_timeout') AS a"), 'released 61s',
        "$kind: RESET ALL brings the role's settings back");
    is(row_of($role, "SET statement_timeout = 0; SET my.place = 'x'; SELECT 1")
        . row_of($role, q{SELECT current_setting('my.place')}), 'released 1released both',
        "$kind: a SET does not last");

    # Code that runs at other moments than its statement.
    is(run($role, 'INSERT INTO deferred VALUES (1)'), 'released', "$kind: a deferred trigger");
    is(run($role, 'DECLARE c CURSOR WITH HOLD FOR SELECT climb_as_row()'), 'released',
        "$kind: a cursor that is held at commit");
    is(run($role, "CREATE TABLE made_by_$role (a int)"), 'released', "$kind: an event trigger");
    is(run($role, 'CALL climb_between()'), 'released', "$kind: a procedure that commits");
    is(run($role, <<~'SQL'), 'released', "$kind: actions on temporary tables at commit");
        CREATE TEMP TABLE tt (a int) ON COMMIT DELETE ROWS;
        INSERT INTO tt VALUES (1);
        CREATE TEMP TABLE td ON COMMIT DROP AS SELECT 1
        SQL
    is(row_of($role, 'SELECT definer()'), "released $role/postgres",
        "$kind: a SECURITY DEFINER function knows who called it");
    is(row_of($role, "SELECT definer(); $identity"), $home, "$kind: and gives nothing away");
    is(row_of($role, <<~'SQL'), "released $role/$role/off $role/$role/off 50000",
        SET parallel_setup_cost = 0;
        SET parallel_tuple_cost = 0;
        SET min_parallel_table_scan_size = 0;
        SELECT min(who(a)) AS a, max(who(a)) AS b, count(*) AS c FROM big
        SQL
        "$kind: parallel workers are the role too");
    is(run($role, 'LISTEN x'), 'failed 0A000', "$kind: LISTEN is refused");
    is(run($role, 'REFRESH MATERIALIZED VIEW shared_view'), 'failed 42501',
        "$kind: what belongs to others stays closed");
    is(run($role, 'CREATE DATABASE mine'), 'failed 42501', "$kind: also at top level");
    is(run($role, q{ALTER SYSTEM SET work_mem = '1GB'}), 'failed 42501', "$kind: ALTER SYSTEM is refused");

    is(sql("SELECT count(*) FROM log WHERE session_role <> '$role' OR role <> '$role' OR super <> 'off'"), '0',
        "$kind: nothing of this ran as anybody else");
    my $expected = join ',', sort map { ("$_ refused", "$_ refused again") }
      ('deferred trigger', 'event trigger', 'held cursor', 'procedure', 'procedure after commit');
    is(sql(<<~'SQL'), $expected, "$kind: and all of it tried");
        SELECT string_agg(at, ',' ORDER BY at COLLATE "C")
        FROM (SELECT DISTINCT at FROM log WHERE at LIKE '%refused%') a
        SQL
    is(row_of($role, $identity), $home, "$kind: the role is still itself");
}

# Roles that share a queue do not share a session.
my @ids = map { task_of($_, "SELECT note('mixed')") } qw(alice nolo boss alice nolo boss);
finish($_) for @ids;
is(sql(<<~'SQL'), 'alice alice off, boss boss on, nolo nolo off', 'A47: tasks of several roles');
    SELECT string_agg(DISTINCT role || ' ' || session_role || ' ' || super,
        ', ' ORDER BY role || ' ' || session_role || ' ' || super)
    FROM log
    WHERE at = 'mixed'
    SQL
is(row_of('boss', "SET SESSION AUTHORIZATION alice; $identity"), 'released alice alice off',
    'a superuser may become somebody else');
is(row_of('boss', $identity), 'released boss boss on', 'and is himself in the next task');

# Logging in is not what a task needs.
sql(<<~'SQL');
    REVOKE CONNECT ON DATABASE postgres FROM PUBLIC;
    CREATE ROLE late NOLOGIN;
    GRANT pgqueue_user TO late;
    SELECT pgqueue.grant_namespace('default', 'use', 'late')
    SQL
is(row_of('late', $identity), 'released late late off', 'a role that may not log in needs no CONNECT privilege');
sql('GRANT CONNECT ON DATABASE postgres TO PUBLIC');
sql(<<~'SQL');
    SELECT pgqueue.pause_queue('q');
    CREATE ROLE barred LOGIN;
    GRANT pgqueue_user TO barred;
    SELECT pgqueue.grant_namespace('default', 'use', 'barred')
    SQL
my $id = task_of('barred', $identity);
sql(q{ALTER ROLE barred NOLOGIN; SELECT pgqueue.resume_queue('q')});
is(finish($id), 'released', 'a role that lost LOGIN after it created a task');

# The tasks of a role that is gone are held, and nothing else.
sql(<<~'SQL');
    SELECT pgqueue.pause_queue('q');
    CREATE ROLE gone LOGIN;
    GRANT pgqueue_user TO gone;
    SELECT pgqueue.grant_namespace('default', 'use', 'gone')
    SQL
$id = task_of('gone', 'SELECT 1');
my $other = task_of('alice', 'SELECT 1');
sql(q{DROP OWNED BY gone; DROP ROLE gone; SELECT pgqueue.resume_queue('q')});
ok(wait_for($node, 'postgres', "SELECT status FROM pgqueue.task WHERE id = $other", 'released', 10),
    'the others go on, at once');
is(sql("SELECT t.status, w.reason FROM pgqueue.task t, pgqueue.why(t.id) w WHERE t.id = $id"), 'new|role_missing',
    'L1: the task of a dropped role is held');
is(sql("SELECT pgqueue.cancel_task($id)"), 'cancelled', 'L1: until somebody cancels it');

# Names that shadow ours in the schema of a user change nothing.
sql(<<~'SQL');
    DROP EVENT TRIGGER made;
    CREATE SCHEMA alice AUTHORIZATION alice;
    SET ROLE alice;
    CREATE TABLE alice.task (id bigint);
    CREATE TABLE alice.queue (id bigint);
    CREATE TABLE alice.segment_0 (id bigint);
    CREATE FUNCTION alice.now() RETURNS timestamptz LANGUAGE sql AS $$
        SELECT public.note('shadow');
        SELECT NULL::timestamptz
    $$;
    RESET ROLE;
    ALTER ROLE alice SET search_path = alice, pg_catalog, public;
    TRUNCATE log
    SQL
$id = task_of('alice', 'SET search_path = alice, pg_catalog, public; SELECT 1');
is(finish($id), 'released', 'K11: a task whose search_path is full of traps');
is(sql(<<~'SQL'), '0', 'K11: none of them was touched');
    SELECT (SELECT count(*) FROM log) + (SELECT count(*) FROM alice.task) + (SELECT count(*) FROM alice.queue)
    SQL

$node->stop;
done_testing();
