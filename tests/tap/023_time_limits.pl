# A database or a role may set time limits for clients. They do not apply to the processes that work for all. At
# transaction_timeout a task fails as with any other error.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('limits');
sub sql { return $node->safe_psql('postgres', @_); }
my $has_transaction_timeout = $node->pg_version >= 17;

# The scheduler of the database waits in a transaction for a lock, longer than any of the limits. The test watches from
# another database.
sql(q{CREATE DATABASE limited});
my $holder = session($node, 'limited');
hold_point($holder, 'scheduler-rebuild');
for my $limit ('statement_timeout', 'lock_timeout', $has_transaction_timeout ? 'transaction_timeout' : ())
{
    sql("ALTER DATABASE limited SET $limit = '100ms'");
}
$holder->query('CREATE EXTENSION pgqueue');    # a session that began before there were limits
my $pid = pid_at($node, 'postgres', 'scheduler-rebuild', 30);
ok($pid, 'the scheduler of a database with time limits waits in a transaction');
ok(wait_for($node, 'postgres', <<~"SQL", '1', 10), 'and goes on to do so');
    SELECT count(*) FROM pg_locks
    WHERE pid = $pid AND NOT granted AND waitstart < clock_timestamp() - interval '500 milliseconds'
    SQL
$holder->close;
ok(wait_for($node, 'postgres', "SELECT state FROM pg_stat_activity WHERE pid = $pid", 'idle', 10),
    'until it gets the lock');

# Limits of a role apply to its tasks.
SKIP: {
    skip('the server has no transaction_timeout', 4) unless $has_transaction_timeout;
    sql(<<~'SQL');
        CREATE ROLE hasty LOGIN;
        GRANT pgqueue_user TO hasty;
        SELECT pgqueue.grant_namespace('default', 'use,read', 'hasty');
        ALTER ROLE hasty SET transaction_timeout = '500ms';
        SELECT pgqueue.create_queue('q', retries => 0);
        SELECT pgqueue.create_queue('again', retries => 1, retry_delay => '10 milliseconds')
        SQL
    my $create = sub {
        my $call = "SELECT pgqueue.create_task('$_[0]', command => '$_[1]')";
        return $node->safe_psql('postgres', $call, extra_params => [ '-U', 'hasty' ]);
    };
    my $id = $create->('q', 'SELECT pg_sleep(60)');
    ok(wait_for($node, 'postgres', <<~"SQL", 'failed|1|25P04|terminating connection due to transaction timeout', 20),
        SELECT status, attempt, error_code, error FROM pgqueue.task WHERE id = $id
        SQL
        'a task that is longer than transaction_timeout fails');
    $id = $create->('again', 'SELECT pg_sleep(60)');
    ok(wait_for($node, 'postgres', <<~"SQL", 'failed|2|25P04', 20), 'by the retry rules, not as a crash');
        SELECT status, attempt, error_code FROM pgqueue.task WHERE id = $id
        SQL
    $id = $create->('q', 'SET transaction_timeout = 0; SELECT pg_sleep(0.7)');
    ok(wait_for($node, 'postgres', "SELECT status, error FROM pgqueue.task WHERE id = $id", 'released|', 20),
        'a command may lift the limit');
    $id = $create->('q', 'SELECT 1');
    ok(wait_for($node, 'postgres', "SELECT status, error FROM pgqueue.task WHERE id = $id", 'released|', 20),
        'the next one runs as ever');
}
# A command that catches the cancel of its run limit, or of its dies_at, ends with its worker.
sql(<<~'SQL');
    SELECT pgqueue.create_queue('stubborn', retries => 0, ttl => '0');
    CREATE PROCEDURE stubborn() LANGUAGE plpgsql AS $$BEGIN
        LOOP
            BEGIN
                PERFORM pg_sleep(1000);
            EXCEPTION WHEN query_canceled THEN
                NULL;
            END;
        END LOOP;
    END$$
    SQL
my $limited = sql(q{SELECT pgqueue.create_task('stubborn', command => 'CALL stubborn()', run_limit => '100 ms')});
my $expired = sql(q{SELECT pgqueue.create_task('stubborn', command => 'CALL stubborn()', ttl => '1 s')});
ok(wait_for($node, 'postgres', <<~"SQL", 'failed|1|PQ105', 60), 'a stubborn command ends after its run limit');
    SELECT status, attempt, error_code FROM pgqueue.task WHERE id = $limited
    SQL
ok(wait_for($node, 'postgres', <<~"SQL", 'expired|1|PQ106', 60), 'and after its dies_at');
    SELECT status, attempt, error_code FROM pgqueue.task WHERE id = $expired
    SQL
is(sql(q{SELECT count(*) FROM pgqueue.health WHERE problem IN ('crash_loop', 'quarantine')}), '0', 'which is no crash');
$node->stop;
done_testing();
