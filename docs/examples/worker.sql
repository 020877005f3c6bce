-- One step of a worker in psql. The loop is a pipe, which ends when psql does:
--   while cat worker.sql; do :; done | psql -Xq -v queue=mails -v idle=5
-- It ends after `idle` seconds without a task. The work is an INSERT, in one transaction with the release: exactly once.

SELECT t.* FROM (SELECT) AS one LEFT JOIN pgqueue.next_task('psql', :'queue') t ON true \gset task_
\if :{?task_id}
    BEGIN;
    INSERT INTO mail (recipient) VALUES (:'task_payload'::jsonb ->> 'to');
    \if :ERROR
        ROLLBACK;
        SELECT pgqueue.fail_task(:task_id, :task_receipt, :'LAST_ERROR_MESSAGE') AS status \gset
    \else
        SELECT pgqueue.release_task(:task_id, :task_receipt) AS status \gset
        COMMIT;
    \endif
    \echo task :task_id :status
\else
    CALL pgqueue.wait_for_task(ARRAY[:'queue'], make_interval(secs => :idle)) \gset
    \if :found
    \else
        \q
    \endif
\endif
