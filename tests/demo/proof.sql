-- The proof, all of it from views and tables; runs as role bank.
\set ON_ERROR_STOP on
\pset footer off
\echo 'Tasks by queue and status:'
SELECT queue, status, count FROM pgqueue.queue_status WHERE count > 0 ORDER BY queue, status;

\echo 'Report rows beside a direct query:'
SELECT 'branch_report' AS report, count(d.bid) AS expected, count(r.bid) AS found,
       count(*) FILTER (WHERE ROW(r.*) IS DISTINCT FROM ROW(d.*)) AS wrong
FROM direct_branch d FULL JOIN branch_report r USING (bid)
UNION ALL
SELECT 'window_report', count(d.bid), count(r.bid), count(*) FILTER (WHERE ROW(r.*) IS DISTINCT FROM ROW(d.*))
FROM direct_window d FULL JOIN window_report r USING (bid, first_account);

\echo 'Maintenance:'
SELECT left(command, 60) AS command, status, result ->> 'tag' AS result
FROM pgqueue.task
WHERE queue = 'maintenance'
ORDER BY id;

\echo 'Failed once, delivered by a later attempt:'
SELECT partner, delivered_in_attempt FROM delivery ORDER BY partner;

\echo 'Failed for good:'
SELECT id, attempt, error_code, error, error_info ->> 'detail' AS detail FROM pgqueue.task WHERE status = 'failed';

\echo 'Interrupted by SIGKILL and run again (begun attempts):'
SELECT id, queue, status, attempt FROM pgqueue.task WHERE queue <> 'partners' AND attempt > 1 ORDER BY id;

\echo 'Speed:'
SELECT count(*) AS tasks, round(extract(epoch FROM max(finished_at) - min(started_at)), 1) AS seconds,
       round(count(*) / extract(epoch FROM max(finished_at) - min(started_at))) AS tasks_a_second
FROM pgqueue.task WHERE queue = 'reports';
