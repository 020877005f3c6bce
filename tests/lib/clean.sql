-- Ends a pgTAP file that commits: what it made is not in the way of the next file in the same database.
DELETE FROM pgqueue.ticker WHERE namespace <> 'pgqueue';
SELECT pgqueue.delete_queue(queue, force => true, namespace => namespace)
FROM pgqueue.queue
WHERE namespace <> 'pgqueue' \g /dev/null
SELECT pgqueue.delete_namespace(namespace)
FROM pgqueue.namespace
WHERE namespace NOT IN ('default', 'pgqueue') \g /dev/null
DELETE FROM pgqueue.task_archive;
