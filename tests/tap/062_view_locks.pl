# Faults R2 and R3: through the views, by all tricks, nobody takes a lock on what is under them beyond what reading
# takes, and nobody waits for such a lock on a view itself. The views are those of the catalog, so a new one is tested
# by itself.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use PostgreSQL::Test::Utils;
use IPC::Run ();
use Test::More;

my $node = new_node('locks', conf => "log_statement = none\npgqueue.max_workers = 2");
sub sql { return $node->safe_psql('postgres', @_); }

# mallory has no grant, carol all of them.
sql(<<~'SQL');
    CREATE EXTENSION pg_background_queue;
    CREATE ROLE mallory LOGIN IN ROLE pgqueue_user;
    CREATE ROLE carol LOGIN IN ROLE pgqueue_user;
    GRANT CREATE ON DATABASE postgres TO mallory, carol;
    CREATE SCHEMA mallory AUTHORIZATION mallory;
    CREATE SCHEMA carol AUTHORIZATION carol;
    SELECT pgqueue.create_queue('q', ttl => '0');
    SELECT pgqueue.create_task('q', '1');
    SELECT pgqueue.create_ticker('t', 'q', cron => '0 0 1 1 *');
    SELECT pgqueue.grant_namespace('default', 'all', 'carol');
    SELECT pgqueue.grant_namespace('pg_background_queue', 'all', 'carol');
    SQL
my @views = split /\n/, sql(<<~'SQL');
    SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'v'
        AND (
            c.relnamespace = 'pgqueue'::regnamespace OR EXISTS (
                SELECT FROM pg_depend d
                JOIN pg_extension e ON e.oid = d.refobjid
                WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
                    AND e.extname IN ('pgqueue', 'pg_background_queue')
            ) AND c.relnamespace <> 'pgqueue_internal'::regnamespace
        )
    ORDER BY 1
    SQL
cmp_ok(scalar @views, '>=', 13, 'there are views');

# How it holds. The owner of the views is nobody, and may read.
for my $view (@views)
{
    is(sql("SELECT relowner::regrole FROM pg_class WHERE oid = '$view'::regclass"), 'pgqueue_views',
        "R2: $view belongs to pgqueue_views");
}
is(sql(<<~'SQL'), 'f', 'R2: it has no attributes');
    SELECT rolcanlogin OR rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls
    FROM pg_roles
    WHERE rolname = 'pgqueue_views'
    SQL
is(sql(q{SELECT count(*) FROM pg_auth_members WHERE 'pgqueue_views'::regrole IN (roleid, member)}), '0',
    'R2: it has no members and is none');
is(sql(<<~'SQL'), '', 'R2: it may change nothing');
    SELECT string_agg(c.oid::regclass::text, ' ') FROM pg_class c
    WHERE c.relkind IN ('r', 'v', 'm', 'p')
        AND c.relowner <> 'pgqueue_views'::regrole
        AND (c.relnamespace = 'pgqueue_internal'::regnamespace
            OR c.relname IN ('pg_authid', 'pg_roles', 'pg_auth_members'))
        AND has_table_privilege('pgqueue_views', c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
    SQL
is(sql(<<~'SQL'), 'f', 'R2: it can name nothing, and read no passwords');
    SELECT has_schema_privilege('pgqueue_views', 'pgqueue_internal', 'USAGE, CREATE')
        OR has_table_privilege('pgqueue_views', 'pg_authid', 'SELECT')
    SQL

# What the server must refuse. v: the view.
my @modes = ('ROW SHARE', 'ROW EXCLUSIVE', 'SHARE UPDATE EXCLUSIVE', 'SHARE', 'SHARE ROW EXCLUSIVE', 'EXCLUSIVE',
    'ACCESS EXCLUSIVE');
my @strengths = ('UPDATE', 'NO KEY UPDATE', 'SHARE', 'KEY SHARE');
my %through = (
    view => 'CREATE VIEW mine AS SELECT * FROM v',
    'view with a check' => 'CREATE VIEW mine WITH (security_barrier) AS SELECT * FROM v',
    'view of a view' => 'CREATE VIEW own AS SELECT 1 AS one FROM v; CREATE VIEW mine AS SELECT * FROM own',
    'view with a subquery' => 'CREATE VIEW mine AS SELECT 1 AS one WHERE EXISTS (SELECT FROM v)',
    'view with a CTE' => 'CREATE VIEW mine AS WITH w AS (SELECT 1 AS one FROM v) SELECT * FROM w',
    'view of the role that reads' => 'CREATE VIEW mine WITH (security_invoker) AS SELECT * FROM v',
);
my %refused = (
    (map { ("LOCK TABLE $_" => "LOCK TABLE v IN $_ MODE",
            "LOCK TABLE $_ NOWAIT" => "LOCK TABLE v IN $_ MODE NOWAIT") } @modes),
    'LOCK TABLE' => 'LOCK TABLE v',
    'LOCK of two' => <<~'SQL',
        CREATE TABLE mine (a int);
        LOCK TABLE mine, v IN ACCESS EXCLUSIVE MODE
        SQL
    'LOCK by the path' => 'SET LOCAL search_path = pgqueue, public; LOCK TABLE u',
    'LOCK in DO' => q{DO $$ BEGIN LOCK TABLE v IN ACCESS EXCLUSIVE MODE; END $$},
    'LOCK in EXECUTE' => q{DO $$ BEGIN EXECUTE 'LOCK TABLE v IN ACCESS EXCLUSIVE MODE'; END $$},
    'LOCK in a function' => <<~'SQL',
        CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS 'BEGIN LOCK TABLE v; END';
        SELECT f()
        SQL
    'LOCK in a function of SQL' => q{CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'LOCK TABLE v'; SELECT f()},
    'LOCK in a function of the definer' => <<~'SQL',
        CREATE FUNCTION f() RETURNS void LANGUAGE sql SECURITY DEFINER AS 'LOCK TABLE v';
        SELECT f()
        SQL
    (map { ("LOCK through a $_" => "$through{$_}; LOCK TABLE mine IN ACCESS EXCLUSIVE MODE",
            "LOCK through a $_ NOWAIT" => "$through{$_}; LOCK TABLE mine IN EXCLUSIVE MODE NOWAIT") } keys %through),
    (map { ("FOR $_" => "SELECT 1 FROM v FOR $_",
            "FOR $_ SKIP LOCKED" => "SELECT 1 FROM v LIMIT 1 FOR $_ SKIP LOCKED") } @strengths),
    'FOR UPDATE OF' => 'SELECT 1 FROM v x, (VALUES (1)) y FOR UPDATE OF x',
    'FOR UPDATE in a subquery' => 'SELECT 1 FROM (SELECT 1 FROM v FOR UPDATE) s',
    'FOR UPDATE of a subquery' => 'SELECT 1 FROM (SELECT * FROM v) s FOR UPDATE',
    'FOR UPDATE in a CTE' => 'WITH w AS MATERIALIZED (SELECT 1 FROM v FOR UPDATE) SELECT * FROM w',
    'FOR UPDATE in a sublink' => 'SELECT EXISTS (SELECT 1 FROM v FOR SHARE)',
    'FOR UPDATE in COPY' => 'COPY (SELECT 1 FROM v FOR UPDATE) TO STDOUT',
    'FOR UPDATE in EXPLAIN' => 'EXPLAIN ANALYZE SELECT 1 FROM v FOR UPDATE',
    'FOR UPDATE in CREATE TABLE AS' => 'CREATE TABLE mine AS SELECT 1 FROM v FOR UPDATE',
    'FOR UPDATE in PREPARE' => 'PREPARE p AS SELECT 1 FROM v FOR UPDATE; EXECUTE p',
    'FOR UPDATE in a cursor' => 'DECLARE c CURSOR FOR SELECT 1 FROM v FOR UPDATE; FETCH c',
    'FOR UPDATE in DO' => q{DO $$ BEGIN PERFORM 1 FROM v FOR UPDATE; END $$},
    'FOR UPDATE in a function' => <<~'SQL',
        CREATE FUNCTION f() RETURNS SETOF int LANGUAGE sql AS 'SELECT 1 FROM v FOR UPDATE';
        SELECT f()
        SQL
    'FOR UPDATE in DELETE' => 'CREATE TABLE mine (a int); DELETE FROM mine USING (SELECT 1 FROM v FOR UPDATE) s',
    (map { ("FOR UPDATE through a $_" => "$through{$_}; SELECT 1 FROM mine FOR UPDATE") }
          grep { !/subquery|CTE/ } keys %through),
    'CURRENT OF' => 'DECLARE c CURSOR FOR SELECT 1 FROM v; FETCH c; DELETE FROM v WHERE CURRENT OF c',
    TRUNCATE => 'TRUNCATE v', 'ALTER VIEW OWNER' => 'ALTER VIEW v OWNER TO CURRENT_USER',
    'ALTER VIEW RENAME' => 'ALTER VIEW v RENAME TO w', 'ALTER VIEW SET SCHEMA' => 'ALTER VIEW v SET SCHEMA public',
    'ALTER VIEW SET' => 'ALTER VIEW v SET (security_barrier = off)', 'ALTER TABLE' => 'ALTER TABLE v ADD COLUMN x int',
    'ALTER COLUMN' => 'ALTER VIEW v ALTER COLUMN namespace SET DEFAULT 1',
    'DROP VIEW' => 'DROP VIEW v', 'DROP TABLE' => 'DROP TABLE v',
    'CREATE OR REPLACE VIEW' => 'CREATE OR REPLACE VIEW v AS SELECT 1',
    'CREATE RULE' => 'CREATE RULE r AS ON UPDATE TO v DO INSTEAD NOTHING',
    'CREATE OR REPLACE RULE' => 'CREATE OR REPLACE RULE "_RETURN" AS ON SELECT TO v DO INSTEAD SELECT 1',
    'DROP RULE' => 'DROP RULE "_RETURN" ON v', 'ALTER RULE' => 'ALTER RULE "_RETURN" ON v RENAME TO r',
    'CREATE TRIGGER' => <<~'SQL',
        CREATE TRIGGER t INSTEAD OF UPDATE ON v FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()
        SQL
    'DROP TRIGGER' => 'DROP TRIGGER dml_update ON v',
    'ALTER TRIGGER' => 'ALTER TRIGGER dml_update ON v RENAME TO x',
    'TRIGGER DEPENDS' => 'ALTER TRIGGER dml_update ON v DEPENDS ON EXTENSION plpgsql',
    'MATERIALIZED VIEW DEPENDS' => 'ALTER MATERIALIZED VIEW v DEPENDS ON EXTENSION plpgsql',
    'INDEX DEPENDS' => 'ALTER INDEX v DEPENDS ON EXTENSION plpgsql',
    'CREATE INDEX' => 'CREATE INDEX ON v (namespace)', 'CREATE POLICY' => 'CREATE POLICY p ON v',
    'DROP POLICY' => 'DROP POLICY p ON v', 'ROW SECURITY' => 'ALTER TABLE v ENABLE ROW LEVEL SECURITY',
    'CREATE STATISTICS' => 'CREATE STATISTICS s ON namespace, queue FROM v',
    'COMMENT' => q{COMMENT ON VIEW v IS 'x'}, 'COMMENT on a table' => q{COMMENT ON TABLE v IS 'x'},
    'REINDEX' => 'REINDEX TABLE v', 'CLUSTER' => 'CLUSTER v USING x', 'REFRESH' => 'REFRESH MATERIALIZED VIEW v',
    'SECURITY LABEL' => q{SECURITY LABEL ON VIEW v IS 'x'},
    'foreign key' => 'CREATE TABLE mine (id bigint REFERENCES v)',
    'foreign key of a table' => 'CREATE TABLE mine (id bigint, FOREIGN KEY (id) REFERENCES v (id))',
    'foreign key by ALTER' => <<~'SQL',
        CREATE TABLE mine (id bigint);
        ALTER TABLE mine ADD FOREIGN KEY (id) REFERENCES v
        SQL
    'foreign key of a new column' => <<~'SQL',
        CREATE TABLE mine (id bigint);
        ALTER TABLE mine ADD COLUMN x bigint REFERENCES v
        SQL
    'foreign key in CREATE SCHEMA' => 'CREATE SCHEMA own CREATE TABLE mine (id bigint REFERENCES v)',
    INHERITS => 'CREATE TABLE mine () INHERITS (v)',
    'ALTER INHERIT' => 'CREATE TABLE mine (id int); ALTER TABLE mine INHERIT v',
    'PARTITION OF' => 'CREATE TABLE mine PARTITION OF v FOR VALUES IN (1)',
    'ATTACH PARTITION' => <<~'SQL',
        CREATE TABLE mine (id bigint) PARTITION BY LIST (id);
        ALTER TABLE mine ATTACH PARTITION v FOR VALUES IN (1)
        SQL
    'CREATE PUBLICATION' => 'CREATE PUBLICATION p FOR TABLE v',
    'ALTER SEQUENCE' => 'CREATE SEQUENCE s; ALTER SEQUENCE s OWNED BY v.namespace',
    'ALTER EXTENSION' => 'ALTER EXTENSION pgqueue DROP VIEW v',
    'COPY TO' => 'COPY v TO STDOUT',
    'reset of statistics' => q{SELECT pg_stat_reset_single_table_counters('v'::regclass)},
    'to the owner' => 'SET ROLE pgqueue_views', 'GRANT of the owner' => 'GRANT pgqueue_views TO CURRENT_USER',
    'reach of the tables' => 'LOCK TABLE pgqueue_internal.queue IN ROW SHARE MODE',
    'rows of the tables' => 'SELECT 1 FROM pgqueue_internal.segment_0 FOR UPDATE',
);
# What they may do: no lock on a table below the views, and on catalogs, beyond ACCESS SHARE.
my %allowed = (
    SELECT => 'SELECT count(*) FROM v', 'LOCK IN ACCESS SHARE MODE' => 'LOCK TABLE v IN ACCESS SHARE MODE',
    'LOCK of a view of mine' => <<~'SQL',
        CREATE VIEW mine AS SELECT * FROM v;
        LOCK TABLE mine IN ACCESS SHARE MODE
        SQL
    LIKE => 'CREATE TEMP TABLE mine (LIKE v)', 'COPY of a query' => q{COPY (SELECT * FROM v) TO STDOUT},
    'a cursor' => 'DECLARE c CURSOR WITH HOLD FOR SELECT * FROM v; FETCH c',
    'GRANT of nothing' => 'GRANT SELECT ON v TO PUBLIC',
    EXPLAIN => 'EXPLAIN SELECT * FROM v', ANALYZE => 'ANALYZE v',
    (map { ("FOR UPDATE of a $_" => "$through{$_}; SELECT 1 FROM mine FOR UPDATE") }
          grep { /subquery|CTE/ } keys %through),
    'a materialized view' => 'CREATE MATERIALIZED VIEW mine AS SELECT * FROM v WITH NO DATA',
    'LOCK of a table' => <<~'SQL',
        CREATE TABLE mine (a int);
        LOCK TABLE mine IN ACCESS EXCLUSIVE MODE
        SQL
    'LOCK of a view of a table' => <<~'SQL',
        CREATE TABLE own (a int);
        CREATE VIEW mine AS SELECT * FROM own;
        LOCK TABLE mine
        SQL
);

# Runs tricks as a role, each with each view in a transaction of its own, and returns by trick and view what came of it:
# the SQLSTATE of the first error, else the locks beyond reading that the transaction has on our relations and on
# catalogs. ROW SHARE of a view is none: the server takes it where FOR UPDATE ends.
sub outcomes
{
    my ($role, $tricks) = @_;
    my $held = <<~'SQL' =~ s/\s+/ /gr;
        SELECT '=' || coalesce(string_agg(DISTINCT c.relname || ' ' || l.mode, ', '), 'reads')
        FROM pg_locks l
        JOIN pg_class c ON c.oid = l.relation
        WHERE l.pid = pg_backend_pid()
            AND l.mode <> 'AccessShareLock'
            AND NOT (l.mode = 'RowShareLock' AND c.relkind = 'v')
            AND (c.relnamespace = 'pgqueue_internal'::regnamespace OR c.relowner = 'pgqueue_views'::regrole
                OR c.relnamespace = 'pg_catalog'::regnamespace AND l.mode <> 'RowExclusiveLock')
        SQL
    my $script = "SET client_min_messages = error; SET lock_timeout = '2s'; SET search_path = $role, pg_catalog;\n";
    for my $view (@views)
    {
        my $bare = $view =~ s/.*\.//r;
        for my $trick (sort keys %$tricks)
        {
            my $statement = $tricks->{$trick} =~ s/\bv\b/$view/gr =~ s/\bu\b/$bare/gr;
            $script .= <<~"SQL";
                \\echo \@$view|$trick
                \\warn \@$view|$trick
                BEGIN;
                $statement;
                $held;
                ROLLBACK;
                DEALLOCATE ALL;
                SQL
        }
    }
    my ($out, $err) = ('', '');
    IPC::Run::run(
        ['psql', '-XqAt', '-v', 'VERBOSITY=sqlstate', '-U', $role, '-d', $node->connstr('postgres'), '-f', '-'], '<',
        \$script, '>', \$out, '2>', \$err);
    my %outcome;
    for ([$out, qr/^=(.*)$/m], [$err, qr/(?:ERROR|FATAL):  (\w{5})/])
    {
        my ($text, $pattern) = @$_;
        while ($text =~ /^\@(.*)\|(.*)\n((?:(?!\@).*\n)*)/mg)
        {
            my ($view, $trick, $part) = ($1, $2, $3);
            $outcome{$trick}{$view} = $1 if $part =~ $pattern;
        }
    }
    return \%outcome;
}

# Tests one trick: what came of it with every view matches.
sub came
{
    my ($outcome, $trick, $pattern, $what) = @_;
    my @wrong = grep {
        my $came = $outcome->{$trick}{$_} // 'nothing';
        $came !~ $pattern && !($trick =~ /^FOR / && /pg_background_tasks/ && $came eq 'reads')
    } @views;
    ok(!@wrong, "$what: $trick");
    diag("$_: " . ($outcome->{$trick}{$_} // 'nothing')) for @wrong;
    return;
}

sub all_refused
{
    my ($role, $what) = @_;
    my $outcome = outcomes($role, \%refused);
    # Whoever waits gets 55P03. FOR UPDATE of what cannot have it at all is 0A000, and it does not go into a UNION. Of
    # the others those count that are errors in earnest.
    came($outcome, $_,
        /^LOCK/ ? qr/^42501$/ : /^FOR / ? qr/^(42501|0A000)$/
        : qr/^(42501|0A000|42809|42704|42P01|42P16|42703|42830|42P10|22023|55000|42P17)$/, "$what: $role is refused")
        for sort keys %refused;
    return;
}

# Others read and change through the views all the time: no trick waits for them.
my $others = session($node);
$others->query('BEGIN');
$others->query("SELECT count(*) FROM $_") for @views;
$others->query("DELETE FROM $_ WHERE false") for split /\n/, sql(<<~'SQL');
    SELECT c.oid::regclass FROM pg_class c
    WHERE c.relowner = 'pgqueue_views'::regrole AND has_table_privilege('pgqueue_user', c.oid, 'DELETE')
    SQL
for my $role (qw(mallory carol))
{
    all_refused($role, 'R2, R3');
    my $outcome = outcomes($role, \%allowed);
    came($outcome, $_, qr/^(reads|42501)$/, "R2, R3: $role may read and no more") for sort keys %allowed;
    is($outcome->{$_}{'pgqueue.task'}, 'reads', "R2, R3: $role may $_")
        for 'SELECT', 'LOCK IN ACCESS SHARE MODE', 'LOCK of a view of mine', 'LOCK of a table',
        'LOCK of a view of a table';
}
$others->query('ROLLBACK');
$others->close;

# The rows can be changed by the functions meanwhile and afterwards.
is(sql(q{SELECT queue FROM pgqueue.pause_queue('q')}), 'q', 'R3: a queue is paused');

# A superuser may lock what he likes; what is under the views he reaches by its name.
is($node->psql('postgres', <<~'SQL'), 0, 'R2: a superuser locks a table of ours');
    BEGIN;
    LOCK TABLE pgqueue_internal.queue IN ROW EXCLUSIVE MODE;
    ROLLBACK
    SQL

# The text of it.
my (undef, undef, $err) = $node->psql('postgres', <<~'SQL');
    SET ROLE mallory;
    CREATE VIEW mallory.mine AS SELECT * FROM pgqueue.task;
    LOCK TABLE mallory.mine
    SQL
my $hint = qr/HINT:  LOCK TABLE is possible IN ACCESS SHARE MODE/;
like($err, qr/ERROR:  permission denied to lock view "task"\nDETAIL:  LOCK TABLE "mine" would lock it too.*\n$hint/,
    'R2: detail and hint');

sql('DROP VIEW mallory.mine');

# Two sessions that lock the same view one after the other do not stand in each other's way.
sql('CREATE TABLE base (a int); CREATE VIEW seen AS SELECT * FROM base; GRANT ALL ON base, seen TO mallory');
my @both = map { session($node) } 1, 2;
for my $s (@both) { $s->query('SET ROLE mallory'); $s->query('BEGIN'); }
$both[0]->query('LOCK TABLE seen');
$both[1]->send('LOCK TABLE seen');
ok(wait_for($node, 'postgres', <<~'SQL', '1', 20), 'the second one waits');
    SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'seen'::regclass
    SQL
is($both[0]->query('COMMIT'), '', 'the first one commits');
is($both[1]->query('COMMIT'), '', 'the second one has its lock then');

# Whoever could become the owner of the views could do as the extension does: a role of its name that is somebody's is
# not taken.
sql('CREATE DATABASE fresh');
for (['LOGIN', 'NOLOGIN', 'may log in'], ['CREATEROLE', 'NOCREATEROLE', 'has an attribute'])
{
    sql("ALTER ROLE pgqueue_views $$_[0]");
    my (undef, undef, $refusal) = $node->psql('fresh', "\\set VERBOSITY verbose\nCREATE EXTENSION pgqueue");
    like($refusal, qr/ERROR:  55000: role "pgqueue_views" cannot own the views of pgqueue\n.*HINT:  Drop the role/s,
        "R2: no extension when the role $$_[2]");
    sql("ALTER ROLE pgqueue_views $$_[1]");
}
for my $grant ('pgqueue_views TO mallory', 'pgqueue_admin TO pgqueue_views')
{
    sql("GRANT $grant");
    isnt($node->psql('fresh', 'CREATE EXTENSION pgqueue'), 0, "R2: no extension after GRANT $grant");
    sql('REVOKE ' . $grant =~ s/ TO / FROM /r);
}
is($node->psql('fresh', 'CREATE EXTENSION pgqueue'), 0, 'R2: the same role serves all databases');
isnt($node->psql('postgres', "DROP ROLE $_"), 0, "R4: $_ cannot be dropped and made anew while the extension is there")
    for qw(pgqueue_views pgqueue_user pgqueue_admin);
# What a dump says of the extension is that it is there: no owner, no grant.
my ($dump, undef) = run_command(['pg_dump', '-d', $node->connstr('postgres')]);
unlike($dump, qr/^(ALTER VIEW|ALTER TABLE|GRANT|REVOKE) .*pgqueue_views/m,
    'R2: a dump leaves owner and grants to the extension');
like($dump, qr/^CREATE EXTENSION IF NOT EXISTS pgqueue /m, 'R2: which it makes');
unlike($dump, qr/^(GRANT|REVOKE) .*(pgqueue\.|pgqueue_internal\.|pg_background_tasks)/m,
    'R2: grants are those of the extension');

# Without the library nothing works, but the server's own rules hold.
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->restart;
all_refused('mallory', 'R2, R3: not preloaded');
done_testing();
