# Which task runs next and how many run at once: priorities, limits of queue, namespace, role and cluster, fair shares, turns of roles.
# Limits are looked at from inside the tasks: a task that runs takes one of as many places as the limit allows; one too many finds none.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use PgQueue;
use Test::More;

my $node = new_node('dispatch', conf => "pgqueue.max_workers = 4\npgqueue.log_tasks = none\nlog_statement = none");
sub sql { return $node->safe_psql('postgres', @_); }

sql(q{
    CREATE ROLE first_role NOLOGIN;
    CREATE ROLE second_role NOLOGIN;
    GRANT pgqueue_user TO first_role, second_role;
    SELECT pgqueue.grant_namespace('default', 'use', 'public');
    CREATE SEQUENCE run_order;
    CREATE TABLE ran (id bigint PRIMARY KEY, queue text, namespace text, role text DEFAULT current_user, place int, n bigint DEFAULT nextval('run_order'));
    GRANT INSERT ON ran TO public;
    GRANT USAGE ON SEQUENCE run_order TO public;
    CREATE FUNCTION log_run() RETURNS void LANGUAGE sql AS $$INSERT INTO ran (id, queue, namespace) SELECT id, queue, namespace FROM pgqueue.current_task()$$;
    -- Takes one of the places 1 to most of a group until the end of the transaction; an error when all are taken.
    CREATE FUNCTION enter(kind int, most int) RETURNS int LANGUAGE plpgsql AS $$
    BEGIN
        FOR i IN 1 .. most LOOP
            IF pg_try_advisory_xact_lock(kind, i) THEN
                RETURN i;
            END IF;
        END LOOP;
        RAISE EXCEPTION 'more than % run at once', most;
    END $$;
    CREATE FUNCTION enter_and_log(kind int, most int, seconds float8) RETURNS void LANGUAGE plpgsql AS $$
    DECLARE
        mine int := enter(kind, most);
    BEGIN
        PERFORM pg_sleep(seconds);
        INSERT INTO ran (id, queue, namespace, place) SELECT id, queue, namespace, mine FROM pgqueue.current_task();
    END $$;
});

# Waits until no task is unfinished.
sub all_done { my ($what) = @_; return ok(wait_for($node, 'postgres', q{SELECT count(*) FROM pgqueue.task WHERE finished_at IS NULL}, '0', 60), "$what: all have ended"); }

# How the tasks of a queue ended, with the first error.
sub ends { my ($queue) = @_; return sql("SELECT status, count(*), min(error) FROM pgqueue.task WHERE queue = '$queue' GROUP BY 1 ORDER BY 1"); }

sub set { my ($name, $value) = @_; sql("ALTER SYSTEM SET $name = $value"); sql('SELECT pg_reload_conf()'); return; }
sub workers { return wait_for($node, 'postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pgqueue worker'}, $_[0], 20); }

# Priorities and commit order; one worker, so the order in which they ran is the order in which they were chosen.
set('pgqueue.max_workers', 1);
sql(q{SELECT pgqueue.create_queue('prio'); SELECT pgqueue.pause_queue('prio')});
sql(qq{SELECT pgqueue.create_task('prio', command => 'SELECT log_run()', priority => $_)}) for 100, 1, 50, 100, 1, 2147483647, -5;
sql(q{SELECT pgqueue.resume_queue('prio')});
all_done('A28');
is(sql(q{SELECT string_agg(priority::text, ' ' ORDER BY n), bool_and(ordered)
         FROM (SELECT r.n, t.priority, r.id > lag(r.id, 1, 0::bigint) OVER (PARTITION BY t.priority ORDER BY r.n) AS ordered FROM ran r JOIN pgqueue.task t USING (id)) r}),
    '-5 1 1 50 100 100 2147483647|t', 'A28: smaller priority first, then the order of creation');

# The same while the worker is busy.
my $gate = session($node);
$gate->query('SELECT pg_advisory_lock(4711)');
sql(q{TRUNCATE ran; SELECT pgqueue.create_task('prio', command => 'SELECT pg_advisory_xact_lock_shared(4711)')});
ok(wait_for($node, 'postgres', q{SELECT count(*) FROM pgqueue.task WHERE status = 'retained'}, '1', 20), 'A28: the worker is busy');
sql(qq{SELECT pgqueue.create_task('prio', command => 'SELECT log_run()', priority => $_)}) for 100, 100, 1;
$gate->query('SELECT pg_advisory_unlock(4711)');
all_done('A28');
is(sql(q{SELECT string_agg(t.priority::text, ' ' ORDER BY r.n) FROM pgqueue.task t JOIN ran r USING (id)}), '1 100 100', 'A28: also what came while it was busy');

# Roles take turns on the one worker.
sql(q{TRUNCATE ran; SELECT pgqueue.create_queue('turns'); SELECT pgqueue.pause_queue('turns')});
sql("SET ROLE $_; SELECT count(pgqueue.create_task('turns', command => 'SELECT pg_sleep(0.01); SELECT public.log_run()')) FROM generate_series(1, 60)")
  for 'first_role', 'second_role';
sql(q{SELECT pgqueue.resume_queue('turns')});
all_done('roles');
is(ends('turns'), 'released|120|', 'roles: tasks of two roles that may not log in, one worker');
is(sql(q{SELECT string_agg(role || ' ' || n, ', ' ORDER BY role) FROM (SELECT role, count(*) AS n FROM ran GROUP BY 1) r}), 'first_role 60, second_role 60', 'A47: each as its role');
is(sql(q{SELECT a.first < b.last AND b.first < a.last FROM (SELECT min(n) AS first, max(n) AS last FROM ran WHERE role = 'first_role') a,
         (SELECT min(n) AS first, max(n) AS last FROM ran WHERE role = 'second_role') b}), 't', 'roles: neither waits for the end of the other');

# Shares follow the weights of the namespaces.
sql(q{
    TRUNCATE ran;
    SELECT pgqueue.create_namespace('light', weight => 1);
    SELECT pgqueue.create_namespace('heavy', weight => 3);
    SELECT pgqueue.update_namespace(n, paused => true), pgqueue.create_queue('q', namespace => n) FROM unnest(ARRAY['light', 'heavy']) n;
    SELECT count(pgqueue.create_task('q', command => 'SELECT log_run()', namespace => n)) FROM unnest(ARRAY['light', 'heavy']) n, generate_series(1, 600);
    SELECT pgqueue.update_namespace(n, paused => false) FROM unnest(ARRAY['light', 'heavy']) n;
});
all_done('K05');
my $share = sql(q{SELECT count(*) FILTER (WHERE namespace = 'heavy') FROM (SELECT namespace FROM ran ORDER BY n LIMIT 400) r});
cmp_ok(abs($share - 300), '<=', 48, "K05: with weights 1 and 3 the first 400 runs are shared 1 to 3 ($share of the heavy one)");

# The limit of the cluster, and that it follows its setting.
set('pgqueue.max_workers', 2);
sql(q{TRUNCATE ran; SELECT pgqueue.create_queue('free', retries => 0);
      SELECT count(pgqueue.create_task('free', command => 'SELECT enter_and_log(1, 2, 0.01)')) FROM generate_series(1, 60)});
all_done('A29');
is(ends('free'), 'released|60|', 'A29: never more than max_workers run');
is(sql(q{SELECT max(place) FROM ran}), '2', 'A29: and as many do');

# The limit of one role; the other role still gets workers.
set('pgqueue.max_workers', 4);
set('pgqueue.max_workers_per_role', 1);
sql(q{TRUNCATE ran; SELECT pgqueue.stop_workers(); SELECT pgqueue.ensure_workers()});
sql(qq{SET ROLE $_; SELECT count(pgqueue.create_task('free', command => 'SELECT public.enter_and_log(' || 20 + length(current_user) || ', 1, 0.01)')) FROM generate_series(1, 30)})
  for 'first_role', 'second_role';
all_done('max_workers_per_role');
is(ends('free'), 'released|120|', 'max_workers_per_role: never more than one task of a role runs');
is(sql(q{SELECT a.first < b.last AND b.first < a.last FROM (SELECT min(n) AS first, max(n) AS last FROM ran WHERE role = 'first_role') a,
         (SELECT min(n) AS first, max(n) AS last FROM ran WHERE role = 'second_role') b}), 't', 'max_workers_per_role: but of two roles at the same time');
set('pgqueue.max_workers_per_role', 0);

# Limits of queue and namespace, with several sessions that create tasks and workers that take several short ones at once.
sql(q{
    TRUNCATE ran;
    SELECT pgqueue.create_queue('lim', max_running => 2, retries => 0);
    SELECT pgqueue.create_queue('one', max_running => 1, retries => 0);
    SELECT pgqueue.create_namespace('limited', max_running => 3);
    SELECT pgqueue.create_queue(q, namespace => 'limited', retries => 0) FROM unnest(ARRAY['x', 'y']) q;
});
$node->pgbench('--no-vacuum --client=4 --transactions=20', 0, [qr/number of transactions actually processed: 80/], [qr/^$/], 'A29: four sessions create tasks', {
    '030_limits' => q{
        SELECT pgqueue.create_task('lim', command => 'SELECT enter_and_log(2, 2, 0.004)');
        SELECT pgqueue.create_task('lim', command => 'SELECT enter_and_log(2, 2, 0)');
        SELECT pgqueue.create_task('one', command => 'SELECT enter_and_log(3, 1, 0)');
        SELECT pgqueue.create_task('x', command => 'SELECT enter_and_log(4, 3, 0.004)', namespace => 'limited');
        SELECT pgqueue.create_task('y', command => 'SELECT enter_and_log(4, 3, 0)', namespace => 'limited');
    }});
all_done('A29, C47');
is(ends('lim'), 'released|160|', 'C47: never more than max_running of the queue');
is(ends('one'), 'released|80|', 'C47: never two where one is allowed');
is(ends('x') . ' ' . ends('y'), 'released|80| released|80|', 'A29: never more than max_running of the namespace, over its queues');
is(sql(q{SELECT queue, max(place) FROM ran WHERE queue IN ('lim', 'one') GROUP BY 1 ORDER BY 1}), "lim|2\none|1", 'C47: and as many do');
is(sql(q{SELECT max(place) FROM ran WHERE namespace = 'limited'}), '3', 'A29: and as many do');

# A limit that changes while tasks run and others wait.
$gate->query('SELECT pg_advisory_lock(4712)');
sql(q{SELECT count(pgqueue.create_task('lim', command => 'SELECT pg_advisory_xact_lock_shared(4712)')) FROM generate_series(1, 10)});
my $running = q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4712 AND NOT granted};
ok(wait_for($node, 'postgres', $running, '2', 20), 'C47: two run');
sql(q{SELECT pgqueue.update_queue('lim', max_running => 4)});
ok(wait_for($node, 'postgres', $running, '4', 20), 'C47: four run after the limit was raised');
sql(q{SELECT pgqueue.update_queue('lim', max_running => 1)});
sql(q{SELECT count(pgqueue.create_task('lim', command => 'SELECT enter_and_log(5, 1, 0.002)')) FROM generate_series(1, 20)});
$gate->query('SELECT pg_advisory_unlock(4712)');
all_done('C47');
is(ends('lim'), 'released|190|', 'C47: a smaller limit holds for what starts then');

# One namespace with much to do, another one with one task.
sql(q{
    SELECT pgqueue.create_namespace('crowd');
    SELECT pgqueue.create_queue('q', namespace => 'crowd');
    SELECT count(*) FROM pgqueue.create_tasks('q', commands => array_fill('SELECT pg_sleep(0.001)'::text, ARRAY[10000]), namespace => 'crowd');
});
sql(q{SELECT pgqueue.create_task('q', command => 'SELECT 1', namespace => 'light')}) for 1 .. 5;
ok(wait_for($node, 'postgres', q{SELECT count(*) FROM pgqueue.task WHERE namespace = 'light' AND finished_at IS NULL}, '0', 30), 'K05: the lonely tasks have run');
cmp_ok(sql(q{SELECT count FROM pgqueue.queue_status WHERE namespace = 'crowd' AND status = 'new'}), '>', 0, 'K05: while others still wait');
is(sql(q{SELECT count(*) FROM pgqueue.task WHERE namespace = 'light' AND command = 'SELECT 1' AND started_at > created_at + interval '1 s'}), '0', 'K05: each started within a second');
sql(q{SELECT pgqueue.update_namespace('crowd', paused => true)});
ok(wait_for($node, 'postgres', q{SELECT count(*) FROM pgqueue.task WHERE status = 'retained'}, '0', 30), 'a paused namespace starts nothing more');
cmp_ok(sql(q{SELECT count(*) FROM pgqueue.task WHERE namespace = 'crowd' AND status = 'new'}), '>', 0, 'and keeps what it has');

# Tasks of a trigger.
sql(q{
    CREATE TABLE orders (id int PRIMARY KEY);
    CREATE FUNCTION on_order() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pgqueue.create_task('trig', command => format('SELECT enter_and_log(6, 4, 0.02)')); RETURN NULL; END $$;
    CREATE TRIGGER on_order AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION on_order();
    SELECT pgqueue.create_queue('trig', retries => 0);
    INSERT INTO orders SELECT generate_series(1, 30);
});
ok(wait_for($node, 'postgres', q{SELECT status, count(*) FROM pgqueue.task WHERE queue = 'trig' GROUP BY 1}, 'released|30', 30), 'A42: the 30 tasks of a trigger have run');
is(sql(q{SELECT max(place) FROM ran WHERE queue = 'trig'}), '4', 'A42: four at a time');

# Nobody runs twice, whoever creates and whoever takes.
sql(q{TRUNCATE ran; SELECT pgqueue.create_queue('once', retries => 0)});
$node->pgbench('--no-vacuum --client=16 --transactions=40', 0, [qr/number of transactions actually processed: 640/], [qr/^$/], 'B17: sixteen sessions create tasks', {
    '030_once' => q{SELECT pgqueue.create_task('once', command => 'SELECT log_run()');}});
ok(wait_for($node, 'postgres', q{SELECT status, count(*), max(attempt) FROM pgqueue.task WHERE queue = 'once' GROUP BY 1}, 'released|640|1', 30), 'B17: each has run once');
is(sql(q{SELECT count(*) FROM ran WHERE queue = 'once'}), '640', 'B17: and left its mark');

my ($out, $err) = ('', '');
$node->psql('postgres', q{SET client_min_messages = 'debug1'; SELECT pgqueue.create_task('once', command => 'SELECT 1')}, stdout => \$out, stderr => \$err);
like($out, qr/^\d+$/, 'K17: an enqueue answers with the id');
is($err, '', 'K17: and with nothing else');

counters_right($node, 'postgres', 'after all that');
$gate->close;
$node->stop;
done_testing();
