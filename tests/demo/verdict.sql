-- One line, `right` or what is wrong; runs as role bank. Variable tasks: how many were created.
SELECT coalesce(string_agg(fault, ', '), 'right') FROM (
    SELECT 'tasks are not all there' AS fault
        WHERE (SELECT sum(count) FROM pgqueue.queue_status) IS DISTINCT FROM :tasks
    UNION ALL SELECT 'not all but one task are released'
        WHERE (SELECT sum(count) FROM pgqueue.queue_status WHERE status = 'released') IS DISTINCT FROM :tasks - 1
    UNION ALL SELECT 'failed task'
        WHERE (SELECT array_agg(error_code) FROM pgqueue.task WHERE status = 'failed') IS DISTINCT FROM '{23503}'
    UNION ALL SELECT 'branch_report'
        WHERE EXISTS (SELECT FROM direct_branch d FULL JOIN branch_report r USING (bid)
                      WHERE ROW(r.*) IS DISTINCT FROM ROW(d.*))
    UNION ALL SELECT 'window_report'
        WHERE EXISTS (SELECT FROM direct_window d FULL JOIN window_report r USING (bid, first_account)
                      WHERE ROW(r.*) IS DISTINCT FROM ROW(d.*))
    UNION ALL SELECT 'materialized view'
        WHERE (SELECT sum(movements) FROM teller_activity) IS DISTINCT FROM (SELECT count(*) FROM pgbench_history)
    UNION ALL SELECT 'index'
        WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_index
                          WHERE indexrelid = to_regclass('accounts_by_balance') AND indisvalid)
    UNION ALL SELECT 'deliveries'
        WHERE (SELECT count(*) FROM delivery WHERE delivered_in_attempt > 1) <> 5
    UNION ALL SELECT 'no task was interrupted'
        WHERE NOT EXISTS (SELECT FROM pgqueue.task WHERE queue <> 'partners' AND attempt > 1)
) AS faults;
