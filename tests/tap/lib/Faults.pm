package Faults;
# The calls that tests/tap/091_faults.pl makes with a fault at each of their points: all that users can call or write. A
# call is [what, what it needs before, statements]; `stale`: with the session's copy of the catalog out of date.
use strict;
use warnings;
use Exporter 'import';

our @EXPORT = qw(fault_setup fault_calls fault_places);

sub fault_setup
{
    return <<~'SQL';
        CREATE FUNCTION fault(process text, kind text, at integer) RETURNS void LANGUAGE C
            AS 'pgqueue', 'pgqueue_test_fault';
        CREATE FUNCTION fault_met() RETURNS boolean LANGUAGE C AS 'pgqueue', 'pgqueue_test_fault_met';
        CREATE ROLE r LOGIN;
        GRANT pgqueue_user TO r;
        SELECT pgqueue.create_queue(q, ttl => '0', retention => '0', retries => 30000, retry_delay => '10 ms',
            max_retry_delay => '10 ms')
        FROM unnest('{q,g,s}'::text[]) q;
        SELECT pgqueue.create_queue('h', ttl => '0', retention => '0', retries => 30000, retry_delay => '10 ms',
            executor => 'server');
        SELECT pgqueue.create_queue('short', ttl => '30 ms', retention => '1 ms', lease => '20 ms', retries => 1);
        SELECT pgqueue.create_queue('arch', ttl => '0', retention => '1 ms', on_finish => 'archive');
        SELECT pgqueue.create_queue('dead', ttl => '0');
        SELECT pgqueue.create_queue('dl', ttl => '0', retries => 0, dead_letter => 'dead');
        SELECT pgqueue.create_queue('other');
        SELECT pgqueue.create_queue('tick', ttl => '0', retries => 30000, retry_delay => '10 ms',
            max_retry_delay => '10 ms', on_finish => 'delete', retention => '1 ms');
        -- A pass of the housekeeper that failed is tried again at once, as often as it fails.
        UPDATE pgqueue_internal.queue
        SET retry_delay = '10 ms', max_retry_delay = '10 ms', retries = 30000
        WHERE id = 1;
        CREATE FUNCTION work(payload jsonb) RETURNS jsonb LANGUAGE sql AS
            'INSERT INTO ledger.effect SELECT id, attempt FROM pgqueue.current_task(); SELECT payload';
        SELECT pgqueue.create_handler('work', 'public.work');
        CREATE FUNCTION told(payload jsonb, error text) RETURNS void LANGUAGE sql AS '';
        SELECT pgqueue.create_handler('told', 'public.told', 'failed');
        CREATE FUNCTION make(n integer) RETURNS bigint LANGUAGE sql AS $$
            INSERT INTO ledger.made (id)
            SELECT i FROM pgqueue.create_tasks('q', array_fill('1'::jsonb, ARRAY[n])) i
            RETURNING id
        $$;
        CREATE FUNCTION done(id bigint, attempt integer) RETURNS void LANGUAGE sql AS
            'INSERT INTO ledger.effect VALUES (id, attempt)';
        SQL
}

my $made = 'SELECT make(1) AS id \gset';
my $held = "$made\nSELECT id, receipt, attempt FROM pgqueue.next_task('w', 'q') \\gset";
my $held3 = <<~'SQL';
    SELECT make(3) \g /dev/null
    SELECT array_agg(id) AS ids, array_agg(receipt) AS receipts FROM pgqueue.next_tasks('w', '{q}', 3) \gset
    SQL
my $failed = <<~'SQL';
    SELECT pgqueue.create_task('dl', '1') AS id \gset
    SELECT receipt FROM pgqueue.next_task('w', 'dl') \gset
    SELECT pgqueue.fail_task(:id, :receipt, final => true) \g /dev/null
    SQL
my $effect = 'INSERT INTO ledger.effect SELECT id, attempt FROM pgqueue.current_task()';
my $with_effect = "'$effect'";
my $ledger = 'INSERT INTO ledger.made (id) SELECT';

# theme => calls
my %calls = (
    make => [
        [ 'create_task', '', "$ledger pgqueue.create_task('q', '1')" ],
        [ 'create_task stale', '', "$ledger pgqueue.create_task('q', '1')" ],
        [ 'create_task all', '', <<~"SQL" ],
            $ledger pgqueue.create_task('q', '{"a": 1}', type => 't', priority => 3, delay => '1 day',
                dedup_key => 'k' || random(), batch_key => 'b', headers => '{}')
            SQL
        [ 'create_task command', '', "$ledger pgqueue.create_task('s', command => $with_effect)" ],
        [ 'create_tasks', '', "$ledger pgqueue.create_tasks('q', array_fill('1'::jsonb, ARRAY[300]))" ],
        [ 'create_tasks groups', '', <<~"SQL" ],
            $ledger pgqueue.create_tasks('g', array_fill('1'::jsonb, ARRAY[5]), group_keys => '{a,b,a,b,c}')
            SQL
        [ 'create_tasks dedup', '', <<~"SQL" ],
            $ledger i
            FROM pgqueue.create_tasks('q', array_fill('1'::jsonb, ARRAY[3]), dedup_keys => '{x,y,x}') i
            ON CONFLICT DO NOTHING
            SQL
        [ 'create_task replace', '', <<~"SQL" ],
            $ledger pgqueue.create_task('q', '2', dedup_key => 'z', on_conflict => 'replace', delay => '1 day')
            ON CONFLICT DO NOTHING
            SQL
        [ 'depends_on', $made, "$ledger pgqueue.create_task('q', '2', depends_on => ARRAY[:id])" ],
        [ 'depends_on_batch', '', <<~"SQL" ],
            $ledger pgqueue.create_task('q', '2', depends_on_batch => 'b', on_failed_dependency => 'ignore')
            SQL
        [ 'typed', '', "$ledger pgqueue.create_task('h', '1', type => 'work')" ],
        [ 'insert', '', <<~"SQL" ],
            WITH t AS (INSERT INTO pgqueue.task (queue, payload) VALUES ('q', '1') RETURNING id) $ledger id FROM t
            SQL
        [ 'block', '', <<~'SQL' ],
            BEGIN;
            SELECT make(2);
            SAVEPOINT a;
            SELECT make(3);
            ROLLBACK TO a;
            SAVEPOINT b;
            SELECT make(1);
            RELEASE b;
            COMMIT
            SQL
        [ 'prepare', '', <<~'SQL' ],
            BEGIN;
            SAVEPOINT a;
            SELECT pgqueue.create_task('q', '1');
            ROLLBACK TO a;
            PREPARE TRANSACTION 'p';
            ROLLBACK;
            ROLLBACK PREPARED 'p'
            SQL
    ],
    take => [
        [ 'next_task', $made, "SELECT id FROM pgqueue.next_task('w', 'q')" ],
        [ 'next_task stale', $made, "SELECT id FROM pgqueue.next_task('w', 'q')" ],
        [ 'next_tasks', 'SELECT make(5)', "SELECT count(*) FROM pgqueue.next_tasks('w', '{q,g}', 4, '1 min')" ],
        [ 'next_tasks any stale', 'SELECT make(5)', "SELECT count(*) FROM pgqueue.next_tasks('w', NULL, 100)" ],
        [ 'bound', $made, "SELECT id FROM pgqueue.next_task('w', 'q', session_bound => true)" ],
        [ 'rolled back', 'SELECT make(3)', <<~'SQL' ],
            BEGIN;
            SAVEPOINT a;
            SELECT count(*) FROM pgqueue.next_tasks('w', '{q}', 2);
            ROLLBACK TO a;
            SELECT count(*) FROM pgqueue.next_tasks('w', '{q,g}', 2);
            ROLLBACK
            SQL
        [ 'wait_for_task', '', "CALL pgqueue.wait_for_task('{other}', '1 ms')" ],
        [ 'wait_for_result', $made, "CALL pgqueue.wait_for_result(:id, '1 ms')" ],
    ],
    end => [
        [ 'release_task', $held, <<~'SQL' ],
            BEGIN;
            SELECT pgqueue.release_task(:id, :receipt, '{}'), done(:id, :attempt);
            COMMIT
            SQL
        [ 'release_task stale', $held, <<~'SQL' ],
            BEGIN;
            SELECT pgqueue.release_task(:id, :receipt), done(:id, :attempt);
            COMMIT
            SQL
        [ 'release_tasks', $held3, <<~'SQL' ],
            BEGIN;
            SELECT done(r.id, t.attempt)
            FROM pgqueue.release_tasks(:'ids', :'receipts', skip_lost => true) r
            JOIN pgqueue.task t USING (id)
            WHERE r.status = 'released';
            COMMIT
            SQL
        [ 'release and take', $held, <<~'SQL' ],
            BEGIN;
            SELECT pgqueue.release_task(:id, :receipt), done(:id, :attempt);
            SELECT id FROM pgqueue.next_task('w', 'q');
            COMMIT
            SQL
        [ 'fail_task', $held, "SELECT pgqueue.fail_task(:id, :receipt, 'why')" ],
        [ 'fail_tasks', $held3, <<~'SQL' ],
            SELECT count(*) FROM pgqueue.fail_tasks(:'ids', :'receipts', retry_in => '5 ms', skip_lost => true)
            SQL
        [ 'fail_task dead letter', <<~'SQL', 'SELECT pgqueue.fail_task(:id, :receipt)' ],
            SELECT pgqueue.create_task('dl', '1') AS id \gset
            SELECT id, receipt FROM pgqueue.next_task('w', 'dl') \gset
            SQL
        [ 'fail_task told', <<~'SQL', 'SELECT pgqueue.fail_task(:id, :receipt)' ],
            SELECT pgqueue.create_task('dl', '1', type => 'told') AS id \gset
            SELECT id, receipt FROM pgqueue.next_task('w', 'dl') \gset
            SQL
        [ 'extend_task', $held, "SELECT pgqueue.extend_task(:id, :receipt, '1 min')" ],
        [ 'extend_tasks', $held3, "SELECT count(*) FROM pgqueue.extend_tasks(:'ids', :'receipts', '1 min', true)" ],
        [ 'snooze_task', $held, "SELECT pgqueue.snooze_task(:id, :receipt, '5 ms')" ],
        [ 'snooze_tasks', $held3, "SELECT count(*) FROM pgqueue.snooze_tasks(:'ids', :'receipts', '0', true)" ],
        [ 'late release', "$held\nSELECT pgqueue.snooze_task(:id, :receipt) \\g /dev/null",
            'SELECT count(*) FROM pgqueue.release_tasks(ARRAY[:id], ARRAY[:receipt], skip_lost => true)' ],
    ],
    change => [
        [ 'cancel_task', $made, "SELECT pgqueue.cancel_task(:id, 'why')" ],
        [ 'cancel_task held', $held, 'SELECT pgqueue.cancel_task(:id)' ],
        [ 'retry_task', "$made\nSELECT pgqueue.cancel_task(:id) \\g /dev/null", 'SELECT pgqueue.retry_task(:id)' ],
        [ 'update', $made, <<~'SQL' ],
            UPDATE pgqueue.task
            SET priority = 7, payload = '[]', headers = '{}', delayed_at = now() + interval '5 ms'
            WHERE id = :id
            SQL
        [ 'update queue', $made, "UPDATE pgqueue.task SET queue = 'g', group_key = 'a' WHERE id = :id" ],
        [ 'update status', $made, "UPDATE pgqueue.task SET status = 'cancelled' WHERE id = :id" ],
        [ 'delete', "SELECT pgqueue.create_task('short', '1') AS id \\gset",
            'DELETE FROM pgqueue.task WHERE id = :id' ],
        [ 'run_task', '', <<~"SQL" ],
            BEGIN;
            WITH t AS ($ledger pgqueue.create_task('s', command => $with_effect) RETURNING id)
            SELECT pgqueue.run_task(id) FROM t;
            COMMIT
            SQL
        [ 'run_task typed', '', <<~"SQL" ],
            BEGIN;
            WITH t AS ($ledger pgqueue.create_task('h', '1', type => 'work') RETURNING id)
            SELECT pgqueue.run_task(id) FROM t;
            COMMIT
            SQL
        [ 'progress', '', 'SELECT pgqueue.progress(0.5)' ],
        [ 'redrive', $failed, "SELECT pgqueue.redrive('dead', max_tasks => 2)" ],
    ],
    manage => [
        [ 'create_queue', "SELECT pgqueue.delete_queue('n') \\g /dev/null", "SELECT pgqueue.create_queue('n')" ],
        [ 'update_queue', '', "SELECT pgqueue.update_queue('other', max_running => 1000, rate_limit => 1000)" ],
        [ 'pause_queue', '', "SELECT pgqueue.pause_queue('other', until => now() + interval '1 second')" ],
        [ 'resume_queue', "SELECT pgqueue.pause_queue('other')", "SELECT pgqueue.resume_queue('other')" ],
        [ 'purge_queue', "SELECT pgqueue.create_task('other', '1') FROM generate_series(1, 3)",
            "SELECT pgqueue.purge_queue('other')" ],
        [ 'purge_queue held', <<~'SQL', "SELECT pgqueue.purge_queue('other', force => false)" ],
            SELECT pgqueue.create_task('other', '1', ttl => '0') AS id \gset
            SELECT receipt FROM pgqueue.next_task('w', 'other', '50 ms') \gset
            SQL
        [ 'delete_queue', "SELECT pgqueue.create_queue('n')\\;SELECT pgqueue.create_task('n', '1')",
            "SELECT pgqueue.delete_queue('n', force => true)" ],
        [ 'clean_queue', '', "SELECT count(*) FROM pgqueue.clean_queue('short', max_tasks => 3)" ],
        [ 'queue view', "SELECT pgqueue.delete_queue('n')", <<~'SQL' ],
            INSERT INTO pgqueue.queue (queue, ttl) VALUES ('n', NULL);
            UPDATE pgqueue.queue SET priority = 4 WHERE queue = 'n';
            DELETE FROM pgqueue.queue WHERE queue = 'n'
            SQL
        [ 'create_namespace', "SELECT pgqueue.delete_namespace('n', force => true)",
            "SELECT pgqueue.create_namespace('n')" ],
        [ 'update_namespace', '', "SELECT pgqueue.update_namespace('default', weight => 2)" ],
        [ 'grant_namespace', '', "SELECT pgqueue.grant_namespace('default', 'use', 'r')" ],
        [ 'revoke_namespace', '', "SELECT pgqueue.revoke_namespace('default', 'use', 'r')" ],
        [ 'delete_namespace',
            "SELECT pgqueue.create_namespace('n')\\;SELECT pgqueue.create_queue('n', namespace => 'n')",
            "SELECT pgqueue.delete_namespace('n', force => true)" ],
        [ 'namespace view', "SELECT pgqueue.delete_namespace('m', force => true)", <<~'SQL' ],
            INSERT INTO pgqueue.namespace (namespace) VALUES ('m');
            UPDATE pgqueue.namespace SET weight = 4 WHERE namespace = 'm';
            DELETE FROM pgqueue.namespace WHERE namespace = 'm'
            SQL
        [ 'create_handler', "SELECT count(*) FROM pgqueue.delete_handler('x')",
            "SELECT pgqueue.create_handler('x', 'public.work')" ],
        [ 'delete_handler', "SELECT pgqueue.create_handler('x', 'public.work')",
            "SELECT count(*) FROM pgqueue.delete_handler('x')" ],
        [ 'create_ticker', '', "SELECT pgqueue.create_ticker('t', 'tick', cron => '\@daily', command => 'SELECT 1')" ],
        [ 'update_ticker', '', "SELECT pgqueue.update_ticker('t', paused => false, description => 'd')" ],
        [ 'fire_ticker', '', "SELECT pgqueue.fire_ticker('t')" ],
        [ 'next_ticker', "SELECT pgqueue.create_ticker('d', period => '1 ms')",
            'SELECT count(*) FROM pgqueue.next_ticker()' ],
        [ 'delete_ticker', "SELECT pgqueue.create_ticker('d', period => '1 day')",
            "SELECT pgqueue.delete_ticker('d')" ],
        [ 'ticker view', "DELETE FROM pgqueue.ticker WHERE ticker = 'v'", <<~'SQL' ],
            INSERT INTO pgqueue.ticker (ticker, queue, cron) VALUES ('v', 'tick', '@daily');
            UPDATE pgqueue.ticker SET paused = true WHERE ticker = 'v';
            DELETE FROM pgqueue.ticker WHERE ticker = 'v'
            SQL
        [ 'ensure_workers', '', 'SELECT pgqueue.ensure_workers() >= 0' ],
        [ 'adopt', '', 'SELECT pgqueue.adopt()' ],
        [ 'register', '', 'SELECT pgqueue_internal.register_database()' ],
    ],
    read => [
        [ 'task', $made, 'SELECT count(*) FROM pgqueue.task WHERE id = :id' ],
        [ 'queue_status stale', '', 'SELECT count(*) FROM pgqueue.queue_status' ],
        [ 'queue stale', '', 'SELECT count(*) FROM pgqueue.queue' ],
        [ 'health', '', 'SELECT count(*) FROM pgqueue.health' ],
        [ 'worker', $held, 'SELECT count(*) FROM pgqueue.worker' ],
        [ 'why', $made, 'SELECT count(*) FROM pgqueue.why(:id)' ],
        [ 'why stale', $made, 'SELECT count(*) FROM pgqueue.why(:id)' ],
        [ 'get_task', $made, 'SELECT count(*) FROM pgqueue.get_task(:id)' ],
        [ 'task_attempt', $made, 'SELECT count(*) FROM pgqueue.task_attempt WHERE task_id = :id' ],
        [ 'ticker', '', 'SELECT count(*) FROM pgqueue.ticker' ],
        [ 'ticker_run', '', 'SELECT count(*) FROM pgqueue.ticker_run' ],
        [ 'handler', '', 'SELECT count(*) FROM pgqueue.handler' ],
        [ 'cron', '', "SELECT count(*) FROM pgqueue.cron_next('*/5 * * * *', max_slots => 3)" ],
        [ 'has_namespace_privilege', '', "SELECT pgqueue.has_namespace_privilege('default', 'use', 'r')" ],
        [ 'get_queue', '', <<~'SQL' ],
            SELECT count(*) FROM pgqueue.get_queue('q'), pgqueue.get_namespace('default'), pgqueue.get_ticker('t')
            SQL
    ],
);

sub fault_calls { return \%calls; }

# What all the processes of pgqueue have to do; done when the query says so.
sub fault_places
{
    my $once_no =
      q{DO ''BEGIN IF (SELECT attempt FROM pgqueue.current_task()) < 2 THEN RAISE ''''no''''; END IF; END''};
    return (
        <<~"SQL",
            SELECT pgqueue.update_queue('other', description => random()::text) \\g /dev/null
            $ledger pgqueue.create_task('s', command => $with_effect) FROM generate_series(1, 3);
            $ledger pgqueue.create_task('s', command => '$once_no; $effect');
            $ledger pgqueue.create_task('h', '1', type => 'work', delay => '5 ms');
            WITH a AS ($ledger pgqueue.create_task('s', command => $with_effect) RETURNING id)
            $ledger pgqueue.create_task('s', command => $with_effect, depends_on => ARRAY[id]) FROM a;
            SELECT count(pgqueue.create_task('short', '1')) FROM generate_series(1, 2);
            SELECT count(*) FROM pgqueue.next_tasks('w', '{short}', 1);
            SELECT pgqueue.fire_ticker('t');
            SELECT pgqueue.fire_ticker('cleanup', namespace => 'pgqueue')
            SQL
        <<~'SQL');
            SELECT count(*) FROM pgqueue.task
            WHERE (queue IN ('s', 'h', 'short', 'tick') OR namespace = 'pgqueue')
                AND status IN ('new', 'retry', 'retained')
            SQL
}

1;
