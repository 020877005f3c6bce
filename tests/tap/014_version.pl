# The library and the SQL objects have different versions. Every function and view refuses to work and says what helps,
# and the scheduler leaves the database alone.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('version', conf => "log_statement = none\nlog_min_messages = warning");
my $db = 'postgres';
sub sql { return $node->safe_psql($db, @_); }

my $version = sql('SELECT pgqueue.version()');
is(sql(q{SELECT default_version FROM pg_available_extensions WHERE name = 'pgqueue'}), $version,
    'the library has the version of the control file');

# They read nothing of the extension's tables.
my %pure = map { $_ => 1 } qw(version cron_next cron_valid priority_name priority_value progress);
my @calls = map { [split /\|/, $_, 3] } split /\n/, sql(<<~'Q');
    SELECT p.proname, p.prokind, format('pgqueue.%I(%s)', p.proname,
        (
            SELECT string_agg('NULL::' || format_type(t, NULL), ', ' ORDER BY n)
            FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY AS a (t, n)
        ))
    FROM pg_proc p WHERE p.pronamespace = 'pgqueue'::regnamespace AND p.prorettype <> 'trigger'::regtype
    ORDER BY 1, 3
    Q
# What only reads looks at its arguments first.
my %arguments = (get_queue => "'q'", get_task => '1', get_ticker => "'t'",
    has_namespace_privilege => "'default', 'use', 'postgres'", why => '1');
my @views = split /\n/, sql(<<~'SQL');
    SELECT oid::regclass FROM pg_class WHERE relnamespace = 'pgqueue'::regnamespace AND relkind = 'v' ORDER BY 1
    SQL
cmp_ok(scalar(@calls), '>', 50, 'functions');
cmp_ok(scalar(@views), '>', 10, 'views');

sql(<<~'SQL');
    SELECT pgqueue.create_queue('q', executor => 'server'), pgqueue.pause_queue('q'),
        pgqueue.create_task('q', command => 'SELECT 1')
    SQL
sql("UPDATE pg_extension SET extversion = '0.9' WHERE extname = 'pgqueue'");
$node->restart;
my $versions = qr/library of pgqueue has version $version, but extension pgqueue in this database has version 0\.9/;
my $refusal = qr/$versions.*ALTER EXTENSION pgqueue UPDATE TO '$version'/s;
for my $call (@calls)
{
    my ($name, $kind, $text) = @$call;
    next if $pure{$name};
    $text = "pgqueue.$name($arguments{$name})" if $arguments{$name};
    my ($rc, $out, $err) = $node->psql($db, $kind eq 'p' ? "CALL $text" : "SELECT * FROM $text");
    like($err, $refusal, "refused: $text");
}
for my $view (@views)
{
    my ($rc, $out, $err) = $node->psql($db, "SELECT * FROM $view");
    ok($err =~ $refusal || $out eq '' && $err eq '', "refused, or nothing is shown: $view");
}
my $told = qr/pgqueue scheduler could not check the version: the library of pgqueue has version/;
ok(wait_until(sub { slurp_file($node->logfile) =~ $told }, 60), 'the scheduler says so');
sql('ALTER EXTENSION pgqueue UPDATE');
is(sql("SELECT extversion FROM pg_extension WHERE extname = 'pgqueue'"), $version, 'updated');
sql(q{SELECT pgqueue.resume_queue('q')});
ok(wait_for($node, $db, q{SELECT status FROM pgqueue.task}, 'released', 60), 'the same version again: tasks run');
done_testing();
