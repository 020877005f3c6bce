-- View memory: what each table of the dispatcher holds, of the cluster and of a namespace. Every statement commits.
\set ECHO none
\set QUIET 1
SELECT no_plan();
CREATE FUNCTION pg_temp.used(wanted text, of_namespace text DEFAULT NULL) RETURNS bigint LANGUAGE sql AS
$$SELECT used FROM pgqueue.memory WHERE kind = wanted AND namespace IS NOT DISTINCT FROM of_namespace$$;
CREATE PROCEDURE pg_temp.wait_for(condition text) LANGUAGE plpgsql AS $$
DECLARE
    met boolean;
BEGIN
    FOR i IN 1..1500 LOOP
        EXECUTE 'SELECT ' || condition INTO met;
        EXIT WHEN met;
        COMMIT;
        PERFORM pg_sleep(0.02);
    END LOOP;
END
$$;

SELECT results_eq($$SELECT kind FROM pgqueue.memory WHERE namespace IS NULL ORDER BY kind$$,
    $$VALUES ('histograms'), ('lanes'), ('leases'), ('namespaces'), ('pages'), ('priorities'), ('queues'), ('rebuilds'),
        ('repaired'), ('roles'), ('spilled pages'), ('waiters')$$,
    'a row for each kind, of the cluster');
SELECT results_eq($$SELECT kind FROM pgqueue.memory WHERE namespace = 'default' ORDER BY kind$$,
    $$VALUES ('grouped tasks'), ('groups'), ('leases'), ('priorities'), ('queues')$$, 'and for each namespace');
SELECT is_empty($$SELECT FROM pgqueue.memory WHERE used < 0 OR used > capacity OR comment = ''$$,
    'each says how many of how many, and of what');

SELECT pgqueue.create_namespace('m'), pgqueue.create_queue('plain', namespace => 'm'),
    pgqueue.create_queue('grouped', namespace => 'm') \g /dev/null
SELECT used AS leases FROM pgqueue.memory WHERE kind = 'leases' AND namespace IS NULL \gset
SELECT pgqueue.create_tasks('plain', '{1,2,3}', namespace => 'm') \g /dev/null
SELECT pgqueue.create_tasks('grouped', '{1,2,3}', group_keys => '{a,a,b}', namespace => 'm') \g /dev/null
CALL pg_temp.wait_for(
    $$EXISTS (SELECT FROM pgqueue.memory WHERE kind = 'grouped tasks' AND namespace = 'm' AND used = 3)$$);
SELECT is(pg_temp.used('queues', 'm'), 2::bigint, 'queues of the namespace');
SELECT is(pg_temp.used('groups', 'm'), 2::bigint, 'its groups');
SELECT is(pg_temp.used('grouped tasks', 'm'), 3::bigint, 'and the tasks in them');
SELECT is((SELECT count(*) FROM pgqueue.next_tasks('w', '{plain}', 3, namespace => 'm')), 3::bigint,
    'three tasks are taken');
SELECT is(pg_temp.used('leases', 'm'), 3::bigint, 'leases of the namespace');
SELECT cmp_ok(pg_temp.used('leases'), '>=', (:leases + 3)::bigint, 'they count among those of the cluster');
SELECT pgqueue.release_task(id, receipt, namespace => 'm')
FROM pgqueue.task
WHERE namespace = 'm' AND status = 'retained' \g /dev/null
SELECT is(pg_temp.used('leases', 'm'), 0::bigint, 'none is left when the tasks are released');
SELECT is(pg_temp.used('repaired'), 0::bigint, 'nothing was repaired');
SELECT is_empty($$SELECT FROM pgqueue.health WHERE problem IN ('owed', 'memory_low')$$,
    'health has nothing to say of memory');
-- T7: what a session knows of the rights of roles does not grow with every change of role.
SELECT format('CREATE ROLE t7_%s IN ROLE pgqueue_user', i) FROM generate_series(1, 12) i \gexec
CREATE PROCEDURE pg_temp.ask_as_roles(rounds integer) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1..rounds LOOP
        EXECUTE format('SET LOCAL ROLE t7_%s', i % 12 + 1);
        PERFORM count(*) FROM pgqueue.namespace;
    END LOOP;
    RESET ROLE;
END
$$;
CALL pg_temp.ask_as_roles(100);
SELECT sum(total_bytes) AS t7_bytes FROM pg_backend_memory_contexts WHERE name NOT LIKE 'PL/pgSQL%' \gset
CALL pg_temp.ask_as_roles(20000);
SELECT cmp_ok((SELECT sum(total_bytes) FROM pg_backend_memory_contexts WHERE name NOT LIKE 'PL/pgSQL%'), '<',
    :t7_bytes + 200000::numeric,
    'T7: 20,000 changes between twelve roles leave no memory behind');
SELECT format('DROP ROLE t7_%s', i) FROM generate_series(1, 12) i \gexec

SELECT * FROM finish();
\ir ../lib/clean.sql
