-- Hands the server its tasks, as role bank, in one transaction. Each is plain SQL.
\set ON_ERROR_STOP on
BEGIN;

-- Every table is vacuumed first: a smaller priority runs earlier.
SELECT pgqueue.create_task('maintenance', command => format('VACUUM ANALYZE %I', relname), priority => 10)
FROM pg_catalog.pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
ORDER BY relname \g /dev/null

-- An aggregate for each branch, and one for each window of accounts.
SELECT pgqueue.create_task('reports', command => format($$
    INSERT INTO branch_report
    SELECT %1$s, count(*), sum(abalance), (SELECT count(*) FROM pgbench_history WHERE bid = %1$s)
    FROM pgbench_accounts WHERE bid = %1$s$$, bid))
FROM pgbench_branches ORDER BY bid \g /dev/null

SELECT pgqueue.create_task('reports', command => format($$
    INSERT INTO window_report
    SELECT %1$s, %2$s, count(*), sum(abalance), percentile_cont(0.5) WITHIN GROUP (ORDER BY abalance),
           md5(string_agg(aid || ':' || abalance, ',' ORDER BY aid))
    FROM pgbench_accounts WHERE aid BETWEEN %2$s AND %2$s + 4999$$, bid, first_account))
FROM pgbench_branches, generate_series((bid - 1) * 100000 + 1, bid * 100000 - 4999, 500) AS first_account
ORDER BY first_account, bid \g /dev/null

-- Some partners do not answer at first; one does not exist and never will.
SELECT pgqueue.create_task('partners', command => format($command$
    DO $do$
    DECLARE
        try integer := (SELECT attempt FROM pgqueue.current_task());
    BEGIN
        IF try = 1 THEN
            RAISE EXCEPTION 'partner %1$s does not answer' USING HINT = 'Try again later.';
        END IF;
        INSERT INTO delivery VALUES ('%1$s', try);
    END $do$$command$, partner))
FROM unnest(ARRAY['amber', 'birch', 'coral', 'delta', 'ember']) AS partner \g /dev/null
SELECT pgqueue.create_task('partners', command => 'INSERT INTO branch_report VALUES (99, 0, 0, 0)',
    retries => 1) \g /dev/null

-- At the end: what needs the reports, and an index that must not lock the table.
SELECT pgqueue.create_task('maintenance', command => 'REFRESH MATERIALIZED VIEW teller_activity',
    priority => 900) \g /dev/null
SELECT pgqueue.create_task('maintenance', priority => 900,
    command => 'CREATE INDEX CONCURRENTLY accounts_by_balance ON pgbench_accounts (abalance)') \g /dev/null
COMMIT;
