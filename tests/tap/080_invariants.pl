# The check of the invariants finds what it is for: each is broken by hand, behind the engine's back.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use IPC::Run ();
use PgQueue;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('invariants', conf => 'pgqueue.max_workers = 2');
sub sql { return $node->safe_psql('postgres', @_); }
make_ledger($node, 'postgres');

# What the check says now; each of the lines is expected once.
sub found
{
    my $run = IPC::Run::run(
        [ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f',
            "$FindBin::Bin/../lib/invariants.sql" ], '>', \my $out, '2>',
        \my $err);
    return $run ? $out : $err;
}
# A step by hand is seen by the invariants given, and soon by no other: the check may meet a housekeeper that just ends.
sub breaks
{
    my ($what, $by_hand, $expected) = @_;
    sql($by_hand);
    my ($out, $seen);
    wait_until(sub {
        $out = found();
        $seen = join(' ', sort keys %{ { map { /^(I\d)/ ? ($1 => 1) : () } split /\n/, $out } });
        return $seen eq $expected;
    }, 20);
    is($seen, $expected, $what);
    note($out);
    return;
}

sql(<<~'SQL');
    SELECT pgqueue.create_queue('q', ttl => '0', retention => '0'), pgqueue.create_queue('paused', ttl => '0'),
        pgqueue.pause_queue('paused');
    INSERT INTO ledger.made
    SELECT pgqueue.create_tasks('q', array_fill('1'::jsonb, ARRAY[20]),
        group_keys => ARRAY(SELECT (i % 3)::text FROM generate_series(1, 20) i));
    INSERT INTO ledger.made
    SELECT pgqueue.create_task('q',
        command => 'INSERT INTO ledger.effect SELECT id, attempt FROM pgqueue.current_task()')
    FROM generate_series(1, 20);
    INSERT INTO ledger.made SELECT pgqueue.create_task('q', '1', delay => '1 day', dedup_key => 'k', batch_key => 'b');
    INSERT INTO ledger.made SELECT pgqueue.create_task('q', '1', depends_on_batch => 'b');
    INSERT INTO ledger.made SELECT pgqueue.create_task('paused', '1');
    SQL
check_invariants($node, 'postgres', 'a load of all kinds');
is(sql('SELECT count(*) FROM ledger.effect'), '40', 'what waits for nothing has had its effect');

my ($delayed, $done) = split / /, sql(<<~'SQL');
    SELECT min(id) FILTER (WHERE delayed_at > now()) || ' ' || min(id) FILTER (WHERE status = 'released')
    FROM pgqueue.task
    SQL
my $session = session($node);
$session->query('SELECT 1');
like(found(), qr/^I6: session \d+ .* is still there/, 'a session that stays');
$session->close;
ok(wait_for($node, 'postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'}, '1'),
    'it is gone');
breaks('a dedup key that is gone', <<~'SQL', 'I7');
    CREATE TABLE kept AS TABLE pgqueue_internal.dedup;
    DELETE FROM pgqueue_internal.dedup
    SQL
sql('INSERT INTO pgqueue_internal.dedup TABLE kept');
breaks('an effect that is missing', <<~"SQL", 'I5');
    CREATE TABLE e AS SELECT * FROM ledger.effect WHERE id = $done;
    DELETE FROM ledger.effect WHERE id = $done
    SQL
breaks('an effect of another attempt', "INSERT INTO ledger.effect SELECT id, attempt + 1 FROM e", 'I5');
sql("UPDATE ledger.effect SET attempt = attempt - 1 WHERE id = $done");
ok(wait_until(sub { found() eq '' }, 20), 'all is well again');
breaks('a row that is retained by nobody',
    "UPDATE pgqueue_internal.segment_0 SET status = 2, pid = 1, epoch = 1 WHERE id = $delayed", 'I1 I3 I4 I6');
breaks('a waiting task that memory takes for a later one', <<~"SQL", 'I2');
    UPDATE pgqueue_internal.segment_0 SET status = 0, pid = 0, epoch = 0, delayed_at = NULL WHERE id = $delayed
    SQL
breaks('a task that does not expire', <<~"SQL", 'I2');
    UPDATE pgqueue_internal.segment_0
    SET delayed_at = now() + interval '1 day', dies_at = now() - interval '1 minute'
    WHERE id = $delayed
    SQL
my $held = sql(q{SELECT id FROM pgqueue.create_task('paused', '1') id});
sql("SELECT pgqueue.resume_queue('paused'); SELECT * FROM pgqueue.next_tasks('w', '{paused}', 2)");
breaks('a lease whose row is over', "UPDATE pgqueue_internal.segment_0 SET status = 3 WHERE id = $held", 'I1 I2 I3 I4');
breaks('a row that is lost', "DELETE FROM pgqueue_internal.segment_0 WHERE id = $delayed", 'I1 I2 I3 I4 I5');
$node->stop;
done_testing();
