# The catalog of the extension: an updated one is that of a fresh install (K19), and everything in it has a test (K07).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Catalog;
use PgQueue;
use PostgreSQL::Test::Utils;
use Test::More;

# A server of its own, to which versions can be added.
my ($install, $folder) = own_server();
my $node = new_node('catalog', install => $install);

# What keeps the versions of an extension from becoming the default one by ALTER EXTENSION … UPDATE.
sub faults
{
    my ($extension) = @_;
    my @faults;
    my $versions = $node->safe_psql('postgres', <<~"SQL");
        SELECT v.version, p.path FROM pg_available_extensions e JOIN pg_available_extension_versions v USING (name)
        LEFT JOIN pg_extension_update_paths(e.name) p ON p.source = v.version AND p.target = e.default_version
        WHERE e.name = '$extension' AND v.version <> e.default_version ORDER BY v.version
        SQL
    $node->safe_psql('postgres', 'CREATE DATABASE fresh');
    $node->safe_psql('fresh', "CREATE EXTENSION $extension CASCADE");
    my $fresh = catalog($node, 'fresh');
    for (split(/\n/, $versions))
    {
        my ($version, $path) = split(/\|/);
        if (!$path) { push @faults, "$version has no update path"; next; }
        $node->safe_psql('postgres', 'CREATE DATABASE updated');
        $node->safe_psql('updated', "CREATE EXTENSION $extension VERSION '$version' CASCADE");
        $node->safe_psql('updated', "ALTER EXTENSION $extension UPDATE");
        my $updated = catalog($node, 'updated');
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
my $available = 'SELECT count(*) FROM pg_available_extensions WHERE name =';
for my $extension (grep { $node->safe_psql('postgres', "$available '$_'") } qw(pgqueue pg_background_queue))
{
    is_deeply(faults($extension), [], "K19: every version of $extension updates to the catalog of a fresh install");
}

# The test itself: made-up versions, of which one updates well, three lack something and one has no way.
my $default = $node->safe_psql('postgres',
    q{SELECT default_version FROM pg_available_extensions WHERE name = 'pgqueue'});
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
    append_to_file("$folder/pgqueue--$version.sql",
        "$script\nCREATE FUNCTION pgqueue.former() RETURNS int LANGUAGE sql AS 'SELECT 1';\n");
    append_to_file("$folder/pgqueue--$version--$default.sql", "$update{$version}\n") if defined $update{$version};
}
is_deeply(faults('pgqueue'),
    [ '0.1 has no update path', map { "$_ becomes something else" } '0.2', '0.3', '0.4' ],
    'K19: a version that does not update to that is found');

# Every function, procedure and view that users see is named by a test of one of the SQL suites.
my $tests = "$FindBin::Bin/..";
my $text = join('',
    map { slurp_file($_) } glob("$tests/regress/sql/*.sql $tests/pgtap/*.sql $tests/isolation/specs/*.spec"));
my $untested = join("\n", grep { $text !~ /\bpgqueue\.$_\b/ } split(/\n/, $node->safe_psql('postgres', <<~'SQL')));
    SELECT proname FROM pg_proc
    WHERE pronamespace = 'pgqueue'::regnamespace
    UNION
    SELECT relname
    FROM pg_class
    WHERE relnamespace = 'pgqueue'::regnamespace AND relkind IN ('r', 'v', 'm', 'f')
    ORDER BY 1
    SQL
is($untested, '', 'K07: every function, procedure and view of schema pgqueue is in a regress, pgTAP or isolation test');

done_testing();
