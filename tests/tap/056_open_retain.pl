# The look for what was forgotten leaves alone what a transaction that is still open has retained (W4).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use Test::More;

my $node = new_node('open', conf => "log_statement = none\nautovacuum = off");
my $db = 'postgres';
sub sql { return $node->safe_psql($db, @_); }
sql("CREATE FUNCTION forget_hints(queue text) RETURNS integer LANGUAGE C AS 'pgqueue', 'pgqueue_test_forget_hints'");
my $leases = q{SELECT count(*) FROM pgqueue_internal.places() p JOIN pgqueue_internal.queue q ON q.id = p.id
               WHERE p.kind = 'lease' AND q.name = 'open'};

sql(q{SELECT pgqueue.create_queue('open', max_running => 3), pgqueue.create_queue('marker')});
sql(q{SELECT pgqueue.create_tasks('open', '{1,2,3,4}')});
my $session = session($node, $db);
my $taken = $session->query(<<~'SQL');
    BEGIN;
    SELECT string_agg(id || ',' || receipt, ' ') FROM pgqueue.next_tasks('w', '{open}', 3)
    SQL
is(sql($leases), '3', 'an open transaction has three tasks');

# A task that is really forgotten: when it is back, a look has come to its end.
sql(q{SELECT pgqueue.create_task('marker', '1')});
is(sql(q{SELECT forget_hints('marker')}), '1', 'another task is forgotten');
ok(wait_for($node, $db, q{SELECT count(*) FROM pgqueue.next_tasks('w', '{marker}', 1)}, '1', 120), 'and found');

is(sql($leases), '3', 'W4: the leases of the open transaction are there');
is(sql(q{SELECT count(*) FROM pgqueue.next_tasks('w', '{open}', 1)}), '0',
    'W4: their places under the limit are taken');
is(sql(q{SELECT used FROM pgqueue.memory WHERE kind = 'repaired'}), '1', 'W4: only the other task was put right');
$session->query('COMMIT');
my @released = map { sql("SELECT pgqueue.release_task($_)") } $taken =~ /(\d+,-?\d+)/g;
is("@released", 'released released released', 'its tasks are released');
$session->close;
$node->stop;
done_testing();
