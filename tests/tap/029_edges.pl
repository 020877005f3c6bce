# E1: the extension can be made in databases whose encodings know little more than ASCII. E8: a server that a test
# script starts does not keep open what its caller has open.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('edges');
for my $encoding (qw(EUC_JP EUC_KR EUC_CN LATIN1 SQL_ASCII))
{
    my $db = lc $encoding;
    $node->safe_psql('postgres', "CREATE DATABASE $db ENCODING '$encoding' LOCALE 'C' TEMPLATE template0");
    my ($rc, $out, $err) = $node->psql($db, <<~'SQL');
        SET client_min_messages = warning;
        CREATE EXTENSION pgqueue;
        CREATE EXTENSION pg_background_queue
        SQL
    is("$rc$err", '0', "E1: CREATE EXTENSION in a database of encoding $encoding");
    is($node->safe_psql($db, <<~'SQL') =~ s/.*\n//sr, 't', "E1: and texts of the library in $encoding");
        SELECT pgqueue.create_queue('q', max_running => 1);
        SELECT pgqueue.create_task('q', '1');
        SELECT hint IS NOT NULL FROM pgqueue.task t, pgqueue.why(t.id)
        SQL
}

my $script = "$FindBin::Bin/../lib/server.sh";
my $list = 'for fd in 7 8; do [ -e /proc/self/fd/$fd ] && echo $fd; done; echo none';
my $open = `exec 7</dev/null 8</dev/null; bash -c '. $script; (close_descriptors; $list)'`;
is($open, "none\n", 'E8: descriptors of the caller are closed');

done_testing();
