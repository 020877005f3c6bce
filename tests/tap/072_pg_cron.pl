# Jobs of the real pg_cron become tickers: import_pg_cron, who may call it, and what nobody can make it do.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('pg_cron');
sub sql { my ($statement) = @_; return $node->safe_psql('postgres', $statement); }
plan skip_all => 'pg_cron is not installed'
    unless sql(q{SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_cron'});

# A statement as a role: result and what it said.
sub said
{
    my ($role, $statement, $db) = @_;
    my ($rc, $out, $err) = $node->psql($db // 'postgres', "\\set VERBOSITY verbose\nSET ROLE $role;\n$statement");
    return ($out, $err);
}

# An import by the role admin: result and what it said.
sub import_jobs
{
    my ($arguments, $columns) = @_;
    return said('admin', 'SELECT ' . ($columns // 'ticker') . " FROM pgqueue.import_pg_cron($arguments)");
}

sub tickers { return sql(q{SELECT count(*) FROM pgqueue.ticker WHERE namespace = 'default'}); }

sql(<<~'SQL');
    CREATE ROLE admin;
    CREATE ROLE manager;
    CREATE ROLE alice LOGIN;
    CREATE ROLE bob LOGIN;
    CREATE ROLE ghost;
    CREATE ROLE mallory;
    GRANT pgqueue_admin TO admin;
    GRANT pgqueue_user TO manager;
    SELECT pgqueue.grant_namespace('default', 'manage,use,work,read', 'manager');
    SELECT pgqueue.create_queue('jobs');
    CREATE TABLE log (job text, role text DEFAULT current_user, session text DEFAULT session_user);
    GRANT INSERT ON log TO alice, bob;
    CREATE DATABASE shop;
    SQL

# Without pg_cron, and with a table that looks like its own.
my ($out, $err) = import_jobs(q{'jobs'});
like($err, qr/ERROR:\s+55000: extension "pg_cron" is not installed in this database\nDETAIL: .*\nHINT: .*create_ticker/,
    'without pg_cron: 55000');
sql(<<~'SQL');
    GRANT CREATE ON DATABASE postgres TO mallory;
    SET ROLE mallory;
    CREATE SCHEMA cron;
    CREATE TABLE cron.job (jobid bigint, schedule text, command text, nodename text, nodeport integer, database text,
        username text, active boolean, jobname text);
    INSERT INTO cron.job VALUES
        (1, '1 second', 'ALTER ROLE mallory SUPERUSER', 'localhost', NULL, 'postgres', 'postgres', true, 'evil');
    GRANT ALL ON SCHEMA cron TO public;
    GRANT ALL ON cron.job TO public;
    SQL
($out, $err) = import_jobs(q{'jobs'});
like($err, qr/ERROR:\s+55000: extension "pg_cron" is not installed/, 'a schema cron that somebody made is not pg_cron');
is(tickers(), '0', 'and its job is nobody\'s');
sql('DROP SCHEMA cron CASCADE');

$node->append_conf('postgresql.conf',
    "shared_preload_libraries = 'pgqueue,pg_cron'\ncron.database_name = 'postgres'\ncron.timezone = 'Europe/Berlin'\n");
$node->restart;
($out, $err) = import_jobs(q{'jobs'});
like($err, qr/55000.*nothing to import/s, 'preloaded, not created');
sql('CREATE EXTENSION pg_cron; GRANT USAGE ON SCHEMA cron TO alice, bob, mallory');
$node->safe_psql('shop', q{CREATE EXTENSION pgqueue; SELECT pgqueue.create_queue('jobs')});
(undef, $err) = said('admin', q{SELECT pgqueue.import_pg_cron('jobs')}, 'shop');
like($err, qr/55000: .*\nHINT:  It keeps its jobs in database "postgres" \(cron\.database_name\)/s,
    'in another database: the hint names the one that has the jobs');

# Jobs as roles make them, and some that an old release or an administrator has left there.
sql(<<~'SQL');
    SET ROLE alice;
    SELECT cron.schedule('Nightly Report!', '30 3 * * 5-7', $$INSERT INTO log VALUES ('nightly')$$);
    SELECT cron.schedule('*/5 * * * *', 'SELECT 1');
    SET ROLE bob;
    SELECT cron.schedule('nightly-report', '0 4 1 * 1', 'SELECT 2');
    SELECT cron.schedule('often', '* * * * *', $$INSERT INTO log VALUES ('often')$$);
    SELECT cron.schedule('asleep', '@hourly', 'SELECT 3');
    SELECT cron.schedule('boot', '@reboot', 'SELECT 4');
    RESET ROLE;
    SELECT cron.schedule(name, '0 0 * * *', 'SELECT 5') FROM unnest('{elsewhere,far,lost}'::text[]) name;
    UPDATE cron.job SET schedule = '2 seconds' WHERE jobname = 'often';
    UPDATE cron.job SET active = false WHERE jobname = 'asleep';
    UPDATE cron.job SET database = 'shop' WHERE jobname = 'elsewhere';
    UPDATE cron.job SET nodename = 'db2.example' WHERE jobname = 'far';
    UPDATE cron.job SET username = 'ghost' WHERE jobname = 'lost';
    DROP ROLE ghost;
    SQL
# 1.5 has brought the setting
my $zone = sql(q{SELECT coalesce((SELECT setting FROM pg_settings WHERE name = 'cron.timezone'), 'GMT')});
my $wanted = "asleep||\@hourly|t|bob
cron-2||*/5 * * * *|f|alice
nightly-report-3||0 4 1 * 1|f|bob
nightly-report||30 3 * * 0,5,6|f|alice
often|00:00:02||f|bob";

# Who may.
(undef, $err) = said('manager', q{SELECT pgqueue.import_pg_cron('jobs')});
like($err, qr/42501: permission denied for pgqueue/, 'manage is not enough');
(undef, $err) = said('alice', q{SELECT pgqueue.import_pg_cron('jobs')});
like($err, qr/42501/, 'nor are own jobs');

# A dry run.
($out, $err) = import_jobs(q{'jobs', true}, q{ticker, period, cron, paused, role});
is(join("\n", sort split(/\n/, $out)), $wanted, 'a dry run shows the tickers');
is(tickers(), '0', 'and leaves none');
like($err, qr/WARNING:\s+01000: pg_cron job 6 is left out: "\@reboot" has no time/, '@reboot is left out');
like($err, qr/WARNING:\s+01000: pg_cron job 8 is left out: it runs on another server, db2\.example/,
    'a job of another server too');
like($err, qr/WARNING:\s+01000: pg_cron job 9 is left out: role "ghost" does not exist/, 'and one whose role is gone');
like($err, qr/NOTICE:\s+00000: 1 pg_cron jobs of other databases are left out/, 'those of other databases are counted');

# The import.
($out, $err) = import_jobs(q{'jobs'}, q{ticker, period, cron, paused, role});
is(join("\n", sort split(/\n/, $out)), $wanted, 'the import makes them');
is(sql(<<~'SQL'), "jobs|$zone|0|00:00:00|skip|queue|t",
    SELECT DISTINCT queue, time_zone, retries, ttl, misfire, overlap, type IS NULL
    FROM pgqueue.ticker
    WHERE namespace = 'default'
    SQL
    'they run as in pg_cron: its time zone, no retry, no end, one after another, nothing made up for');
is(sql(q{SELECT description FROM pgqueue.ticker WHERE ticker = 'nightly-report'}), 'pg_cron job 1: Nightly Report!',
    'and say where they come from');
ok(wait_for($node, 'postgres', q{SELECT count(*) >= 2 FROM log WHERE job = 'often'}, 't'), 'a job of 2 seconds runs');
is(sql(q{SELECT DISTINCT role, session FROM log}), 'bob|bob', 'as its role, which has no right in pgqueue');
is(sql(<<~'SQL'), 'released', 'without errors');
    SELECT string_agg(DISTINCT status, ' ') FROM pgqueue.task WHERE ticker = 'often' AND finished_at IS NOT NULL
    SQL
is(sql(q{SELECT count(*) FROM cron.job}), '9', 'pg_cron keeps its jobs');

# Once more: nothing is doubled, nothing is changed.
sql(<<~'SQL');
    SELECT pgqueue.update_ticker('nightly-report', cron => '0 5 * * *', command => 'SELECT 6', description => 'mine');
    SELECT pgqueue.update_ticker('often', rename_to => 'seldom')
    SQL
my $before = sql(<<~'SQL');
    SELECT string_agg((to_jsonb(t) - '{last_at,last_task,last_status,next_at}'::text[])::text, ' ' ORDER BY ticker)
    FROM pgqueue.ticker t
    SQL
($out, $err) = import_jobs(q{'jobs'});
is($out, '', 'a second import adds nothing');
is(sql(<<~'SQL'), $before, 'and changes nothing');
    SELECT string_agg((to_jsonb(t) - '{last_at,last_task,last_status,next_at}'::text[])::text, ' ' ORDER BY ticker)
    FROM pgqueue.ticker t
    SQL
like($err, qr/NOTICE:\s+00000: pg_cron job 1 is left out: ticker "nightly-report" exists already/,
    'an edited ticker is named');
like($err, qr/pg_cron job 4 is left out: ticker "seldom" exists already/, 'a renamed one too');
sql(<<~'SQL');
    SELECT pgqueue.delete_ticker('nightly-report');
    SELECT pgqueue.create_ticker('cron-2', period => '1 hour');
    SELECT pgqueue.delete_ticker('seldom')
    SQL
($out) = import_jobs(q{'jobs'}, 'ticker, role');
is($out, "nightly-report|alice\noften|bob", 'what was deleted comes back');
sql(q{SELECT pgqueue.create_namespace('other'), pgqueue.create_queue('jobs', namespace => 'other')});
($out) = import_jobs(q{'jobs', true, 'other'});
is(scalar(my @lines = split(/\n/, $out)), 5, 'another namespace has names of its own');

# Its owner can write any role into the table, and have functions run by whoever reads it.
sql(<<~'SQL');
    ALTER TABLE cron.job OWNER TO mallory;
    GRANT CREATE ON SCHEMA public TO mallory;
    SET ROLE mallory;
    CREATE TYPE public.trap AS ENUM ('x');
    CREATE FUNCTION public.spring(trap) RETURNS json LANGUAGE plpgsql AS $$BEGIN
        RAISE EXCEPTION 'run as %', current_user;
    END$$;
    CREATE CAST (trap AS json) WITH FUNCTION public.spring(trap);
    ALTER TABLE cron.job ADD COLUMN trap trap DEFAULT 'x';
    SQL
($out, $err) = import_jobs(q{'jobs'});
like($err, qr/42501: the owner of cron\.job, "mallory", is not a superuser/,
    'a table that belongs to somebody else is not read');
sql('ALTER TABLE cron.job DROP COLUMN trap');
sql('ALTER TABLE cron.job OWNER TO postgres');

# The page about it, its blocks in one session.
my $page = "$FindBin::Bin/../../docs/from-pg_cron.md";
SKIP: {
    skip('the documentation is not beside the tests', 1) unless -e $page;
    sql(<<~'SQL');
        DELETE FROM pgqueue.ticker WHERE namespace = 'default';
        DELETE FROM cron.job WHERE jobname IN ('far', 'lost');
        SQL
    my @blocks = slurp_file($page) =~ /^```sql pg_cron\n(.*?)^```$/gms;
    my $rc = $node->psql('postgres', join('', @blocks), stdout => \$out, stderr => \$err, on_error_stop => 1);
    is($rc, 0, 'the blocks of docs/from-pg_cron.md run') or diag($err);
    is(sql(q{SELECT count(*) FROM pgqueue.ticker WHERE namespace = 'default'} . ' AND NOT paused'), '4',
        'afterwards the tickers are there');
    is(sql(q{SELECT jobname FROM cron.job WHERE database = 'postgres'}), 'boot',
        'and of the jobs only the one that was left out');
}

# What pg_cron would not run as a superuser is not imported either.
# The launcher of pg_cron 1.6.5 crashes on such a job: this one is never committed.
sql(q{DELETE FROM cron.job WHERE username = 'postgres'});
$node->append_conf('postgresql.conf', "cron.enable_superuser_jobs = off\n");
$node->restart;
($out, $err) = said('postgres', <<~'SQL');
    BEGIN;
    INSERT INTO cron.job (schedule, command, nodeport, jobname) VALUES
        ('0 0 * * *', 'SELECT 8', current_setting('port')::integer, 'super');
    SELECT ticker FROM pgqueue.import_pg_cron('jobs') WHERE role = 'postgres';
    ROLLBACK;
    SQL
is($out, '', 'with cron.enable_superuser_jobs off');
like($err, qr/pg_cron job \d+ is left out: role "postgres" is a superuser/, 'jobs of superusers are left out');

done_testing();
