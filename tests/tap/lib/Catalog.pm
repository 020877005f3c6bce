package Catalog;
# Versions of extensions: a server to which they can be added, and what two databases have in their catalogs.
use strict;
use warnings;
use Exporter 'import';
use File::Find qw(find);
use PostgreSQL::Test::Utils;

our @EXPORT = qw(own_server catalog difference);

# Copies the server of the tests; returns the folder above its bin and the folder of its extensions.
sub own_server
{
    my $server = PostgreSQL::Test::Utils::tempdir() . '/server';
    system('cp', '-a', $ENV{SERVER_COPY}, $server) == 0 or die 'cannot copy the server';
    my ($bin) = split(/:/, $ENV{PATH});
    $bin =~ s{^\Q$ENV{SERVER_COPY}\E(.*)/bin$}{$server$1} or die "$bin is not in $ENV{SERVER_COPY}";
    my $control;
    find(sub { $control = $File::Find::name if $_ eq 'pgqueue.control' }, $server);
    (my $folder = $control) =~ s{/[^/]+$}{};
    return ($bin, $folder);
}

# All of a database's schema as text, its objects sorted, without what two equal databases number differently.
sub catalog
{
    my ($node, $db) = @_;
    my ($dump, $err) = ('', '');
    IPC::Run::run([ 'pg_dump', '--binary-upgrade', '--schema-only', '-d', $node->connstr($db) ], '>', \$dump, '2>',
        \$err) or die $err;
    $dump =~ s/^(\\(un)?restrict |.*binary_upgrade_(set_next|create_empty)|SET relfrozenxid|WHERE oid = '\d+').*\n//gm;
    return join('', sort split(/^--\n(?=-- Name: )/m, $dump)) . $node->safe_psql($db, <<~'SQL');
        SELECT e.extname, e.extversion, c.oid::regclass, c.condition
        FROM pg_extension e
        LEFT JOIN LATERAL unnest(e.extconfig, e.extcondition) c (oid, condition) ON true
        ORDER BY e.extname, c.oid::regclass::text
        SQL
}

# Two texts as diff shows them.
sub difference
{
    my @files = map { PostgreSQL::Test::Utils::tempdir() . '/catalog' } @_;
    append_to_file($files[$_], $_[$_]) for 0, 1;
    return (run_command([ 'diff', '-U', '2', @files ]))[0];
}

1;
