# The catalog of the extension: an updated one is that of a fresh install (K19), and everything in it has a test (K07).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Find qw(find);
use PgQueue;
use PostgreSQL::Test::Utils;
use Test::More;

# A server of its own, to which versions can be added.
my $server = PostgreSQL::Test::Utils::tempdir() . '/server';
system('cp', '-a', $ENV{SERVER_COPY}, $server) == 0 or die 'cannot copy the server';
my ($bin) = split(/:/, $ENV{PATH});
$bin =~ s{^\Q$ENV{SERVER_COPY}\E(.*)/bin$}{$server$1} or die "$bin is not in $ENV{SERVER_COPY}";
my $node = new_node('catalog', install => $bin);

# All of a database's schema as text, its objects sorted, without what two equal databases number differently.
sub catalog
{
    my ($db) = @_;
    my ($dump, $err) = ('', '');
    IPC::Run::run([ 'pg_dump', '--binary-upgrade', '--schema-only', '-d', $node->connstr($db) ], '>', \$dump, '2>', \$err) or die $err;
    $dump =~ s/^(\\(un)?restrict |.*binary_upgrade_(set_next|create_empty)|SET relfrozenxid|WHERE oid = '\d+').*\n//gm;
    return join('', sort split(/^--\n(?=-- Name: )/m, $dump)) . $node->safe_psql($db, q{
        SELECT e.extname, e.extversion, c.oid::regclass, c.condition FROM pg_extension e
        LEFT JOIN LATERAL unnest(e.extconfig, e.extcondition) c (oid, condition) ON true ORDER BY e.extname, c.oid::regclass::text});
}

# Two texts as diff shows them.
sub difference
{
    my @files = map { PostgreSQL::Test::Utils::tempdir() . '/catalog' } @_;
    append_to_file($files[$_], $_[$_]) for 0, 1;
    return (run_command([ 'diff', '-U', '2', @files ]))[0];
}

# What keeps the versions of an extension from becoming the default one by ALTER EXTENSION … UPDATE.
sub faults
{
    my ($extension) = @_;
    my @faults;
    my $versions = $node->safe_psql('postgres', qq{
        SELECT v.version, p.path FROM pg_available_extensions e JOIN pg_available_extension_versions v USING (name)
        LEFT JOIN pg_extension_update_paths(e.name) p ON p.source = v.version AND p.target = e.default_version
        WHERE e.name = '$extension' AND v.version <> e.default_version ORDER BY v.version});
    $node->safe_psql('postgres', 'CREATE DATABASE fresh');
    $node->safe_psql('fresh', "CREATE EXTENSION $extension CASCADE");
    my $fresh = catalog('fresh');
    for (split(/\n/, $versions))
    {
        my ($version, $path) = split(/\|/);
        if (!$path) { push @faults, "$version has no update path"; next; }
        $node->safe_psql('postgres', 'CREATE DATABASE updated');
        $node->safe_psql('updated', "CREATE EXTENSION $extension VERSION '$version' CASCADE");
        $node->safe_psql('updated', "ALTER EXTENSION $extension UPDATE");
        my $updated = catalog('updated');
        if ($updated ne $fresh)
        {
            push @faults, "$version becomes something else";
            note("$version: ", difference($fresh, $updated));
        }
        $node->safe_psql('postgres', 'DROP DATABASE updated WITH (FORCE)');
    }
    $node->safe_psql('postgres', 'DROP DATABASE fresh WITH (FORCE)');
    return \@faults;
}

# There is one version so far; every later one keeps the install scripts of those before it, and this test finds them.
for my $extension (grep { $node->safe_psql('postgres', "SELECT count(*) FROM pg_available_extensions WHERE name = '$_'") } qw(pgqueue pg_background_queue))
{
    is_deeply(faults($extension), [], "K19: every version of $extension updates to the catalog of a fresh install");
}

# The test itself: made-up versions, of which one updates well, three lack something and one has no way.
my $default = $node->safe_psql('postgres', q{SELECT default_version FROM pg_available_extensions WHERE name = 'pgqueue'});
my $control;
find(sub { $control = $File::Find::name if $_ eq 'pgqueue.control' }, $server);
(my $folder = $control) =~ s{/[^/]+$}{};
my $script = slurp_file("$folder/pgqueue--$default.sql");
my %update = (
    '0.5' => 'DROP FUNCTION pgqueue.former();',
    '0.4' => '',
    '0.3' => 'DROP FUNCTION pgqueue.former(); REVOKE SELECT ON pgqueue.queue FROM pgqueue_user;',
    '0.2' => 'DROP FUNCTION pgqueue.former(); COMMENT ON VIEW pgqueue.queue IS NULL;',
    '0.1' => undef,
);
for my $version (sort keys %update)
{
    append_to_file("$folder/pgqueue--$version.sql", "$script\nCREATE FUNCTION pgqueue.former() RETURNS int LANGUAGE sql AS 'SELECT 1';\n");
    append_to_file("$folder/pgqueue--$version--$default.sql", "$update{$version}\n") if defined $update{$version};
}
is_deeply(faults('pgqueue'),
    [ '0.1 has no update path', map { "$_ becomes something else" } '0.2', '0.3', '0.4' ],
    'K19: a version that does not update to that is found');

# Every function, procedure and view that users see is named by a test of one of the SQL suites.
my $tests = "$FindBin::Bin/..";
my $text = join('', map { slurp_file($_) } glob("$tests/regress/sql/*.sql $tests/pgtap/*.sql $tests/isolation/specs/*.spec"));
my $untested = join("\n", grep { $text !~ /\bpgqueue\.$_\b/ } split(/\n/, $node->safe_psql('postgres', q{
    SELECT proname FROM pg_proc WHERE pronamespace = 'pgqueue'::regnamespace
    UNION SELECT relname FROM pg_class WHERE relnamespace = 'pgqueue'::regnamespace AND relkind IN ('r', 'v', 'm', 'f') ORDER BY 1})));
is($untested, '', 'K07: every function, procedure and view of schema pgqueue is in a regress, pgTAP or isolation test');

done_testing();
