# A commit decides how to hand over its counts, and is then kept from the processor for as long as a rebuild takes: its
# rows are counted once (I1). The fuzzer found it on a busy machine.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('counted_once', conf => "log_statement = none\nlog_min_messages = warning");
sub sql { return $node->safe_psql('postgres', @_); }
sql(<<~'SQL');
    CREATE FUNCTION spin(boolean) RETURNS integer LANGUAGE C AS 'pgqueue', 'pgqueue_test_spin';
    SELECT pgqueue.create_queue('q', ttl => '0');
    SELECT pgqueue.create_task('q', '1')
    SQL
my $rebuilds = q{SELECT used FROM pgqueue.memory WHERE kind = 'rebuilds'};
my $before = sql($rebuilds);
my $s = session($node);
my ($id, $receipt) = split /\|/, $s->query(q{SELECT id, receipt FROM pgqueue.next_task('w', 'q')});
# A scheduler that ends in the middle of a turn has the next one read all rows again.
my $holder = session($node);
hold_point($holder, 'scheduler-settling');
sql(q{SELECT pgqueue.create_task('q', '2', depends_on => ARRAY[pgqueue.create_task('q', '3')])});
my $scheduler = pid_at($node, 'postgres', 'scheduler-settling');
ok($scheduler, 'I1: the scheduler is in the middle of a turn');
sql('SELECT spin(true)');
$s->send("SELECT pgqueue.release_task($id, $receipt)");
ok(wait_for($node, 'postgres', 'SELECT spin(true)', '1', 30), 'I1: a commit is about to hand over its counts');
ok(terminate($node, $scheduler), 'I1: the scheduler ends');
ok(wait_until(sub { sql($rebuilds) > $before }, 60), 'I1: the next one reads all rows');
sql('SELECT spin(false)');
$_->close for $s, $holder;
ok(check_invariants($node, 'postgres', 'I1: counts are those of the rows', 20), 'I1: the row was counted once');
$node->stop;
done_testing();
