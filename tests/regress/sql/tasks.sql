-- The life of tasks, seen from SQL. Nothing is said but what was asked for (K17).
SELECT queue FROM pgqueue.create_queue('work', retries => 0);
SELECT pgqueue.create_task('work', '{"for": "outside"}') AS outside \gset
SELECT status, type, command, payload, priority, attempt, retries FROM pgqueue.task WHERE id = :outside;
SELECT pgqueue.create_task('work', command => 'SELECT 6 * 7 AS answer') AS id \gset
CALL pgqueue.wait_for_result(:id, '1 minute');
SELECT status, attempt, result, error, error_code, transactional FROM pgqueue.task WHERE id = :id;
SELECT attempt, outcome, role = current_user AS mine, error, row_count FROM pgqueue.task_attempt WHERE task_id = :id;
SELECT pgqueue.create_task('work', command => $$DO 'BEGIN RAISE EXCEPTION ''no luck'' USING ERRCODE = ''23514'', DETAIL = ''d'', HINT = ''h''; END'$$) AS id \gset
CALL pgqueue.wait_for_result(:id, '1 minute');
SELECT status, attempt, error, error_code, error_info ->> 'detail' AS detail, error_info ->> 'hint' AS hint FROM pgqueue.task WHERE id = :id;
SELECT pgqueue.retry_task(:id, delay => '1 day');
SELECT status, attempt FROM pgqueue.get_task(:id);
SELECT pgqueue.cancel_task(:id, 'enough');
SELECT status FROM pgqueue.get_task(:id);
SELECT pgqueue.create_task('work', command => 'SELECT 1', delay => '1 day') AS id \gset
SELECT pgqueue.run_task(:id);
SELECT count(*) FROM pgqueue.create_tasks('work', ARRAY['1', '2', '3']::jsonb[]);
UPDATE pgqueue.task SET priority = 5 WHERE id = :outside RETURNING priority;
UPDATE pgqueue.task SET status = 'cancelled' WHERE id = :outside RETURNING status;
DELETE FROM pgqueue.task WHERE id = :outside RETURNING payload;
SELECT status, count FROM pgqueue.queue_status WHERE queue = 'work';
SELECT count(*) FROM pgqueue.current_task();
SELECT queue FROM pgqueue.delete_queue('work');
SELECT count(*) FROM pgqueue.task;
