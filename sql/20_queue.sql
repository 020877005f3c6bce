-- Queues: the views, and the settings with their ranges and defaults. The one below id 100 is the extension's own: nobody can use or change it, so the
-- views show its tasks, not itself.

CREATE VIEW pgqueue_internal.queue_shown AS
SELECT q.id, q.namespace_id, n.name AS namespace, q.name AS queue, q.description, q.executor, q.priority, q.ttl, q.retries, q.retry_delay,
    q.backoff, q.max_retry_delay, q.retry_jitter, q.lease, q.run_limit, q.max_running, q.max_depth, q.rate_limit, q.rate_burst,
    q.group_max_running, q.group_rate_limit, q.group_policy, q.aging, q.retention, q.on_finish, q.dead_letter, q.group_commit, q.forward_to,
    p.paused, CASE WHEN p.paused THEN q.paused_reason END AS paused_reason, CASE WHEN p.paused THEN q.paused_until END AS paused_until,
    q.created_at
FROM pgqueue_internal.queue q
JOIN pgqueue_internal.namespace n ON n.id = q.namespace_id
CROSS JOIN LATERAL (SELECT q.paused AND (q.paused_until IS NULL OR q.paused_until > statement_timestamp()) AS paused) p;

CREATE VIEW pgqueue.queue WITH (security_barrier) AS
SELECT q.namespace, q.queue, q.description, q.executor, q.priority, q.ttl, q.retries, q.retry_delay, q.backoff, q.max_retry_delay,
    q.retry_jitter, q.lease, q.run_limit, q.max_running, q.max_depth, q.rate_limit, q.rate_burst, q.group_max_running, q.group_rate_limit,
    q.group_policy, q.aging, q.retention, q.on_finish, q.dead_letter, q.group_commit, q.forward_to, q.paused, q.paused_reason, q.paused_until,
    q.created_at
FROM pgqueue_internal.queue_shown q
WHERE q.id >= 100 AND pgqueue_internal.may(q.namespace_id, 'see');
COMMENT ON VIEW pgqueue.queue IS 'one row for each queue';
COMMENT ON COLUMN pgqueue.queue.namespace IS 'namespace';
COMMENT ON COLUMN pgqueue.queue.queue IS 'queue';
COMMENT ON COLUMN pgqueue.queue.description IS 'free text';
COMMENT ON COLUMN pgqueue.queue.executor IS 'who gets payload tasks: outside (next_task) or server (handlers); commands always run in the server; default outside';
COMMENT ON COLUMN pgqueue.queue.priority IS 'priority of new tasks, smaller runs first; default 100';
COMMENT ON COLUMN pgqueue.queue.ttl IS 'a task not finished this long after it became due expires; NULL never; default 1 hour';
COMMENT ON COLUMN pgqueue.queue.retries IS 'further attempts after the first, 0 to 32767; default 3';
COMMENT ON COLUMN pgqueue.queue.retry_delay IS 'base wait before a retry; default 2 minutes';
COMMENT ON COLUMN pgqueue.queue.backoff IS 'exponential, linear, quadratic or fixed; default exponential';
COMMENT ON COLUMN pgqueue.queue.max_retry_delay IS 'cap of the wait before a retry; default 1 day';
COMMENT ON COLUMN pgqueue.queue.retry_jitter IS 'part of the wait that is random, 0 to 1; default 0';
COMMENT ON COLUMN pgqueue.queue.lease IS 'how long one retain holds; default 20 minutes';
COMMENT ON COLUMN pgqueue.queue.run_limit IS 'longest run of one attempt in the server; NULL unlimited';
COMMENT ON COLUMN pgqueue.queue.max_running IS 'most tasks retained at once; NULL unlimited';
COMMENT ON COLUMN pgqueue.queue.max_depth IS 'most unfinished tasks; create_task beyond it fails with PQ003; NULL unlimited';
COMMENT ON COLUMN pgqueue.queue.rate_limit IS 'most starts a second (token bucket); NULL unlimited';
COMMENT ON COLUMN pgqueue.queue.rate_burst IS 'size of the token bucket; default 1';
COMMENT ON COLUMN pgqueue.queue.group_max_running IS 'most tasks of one group key retained at once; default 1';
COMMENT ON COLUMN pgqueue.queue.group_rate_limit IS 'most starts a second of one group key; NULL unlimited';
COMMENT ON COLUMN pgqueue.queue.group_policy IS 'hold: a failing or delayed head stops its group; pass: others go on; default hold';
COMMENT ON COLUMN pgqueue.queue.aging IS 'a waiting task gains one priority step each time this passes; NULL off';
COMMENT ON COLUMN pgqueue.queue.retention IS 'how long a finished task stays; NULL: as long as ttl (no ttl: for ever); 0: for ever';
COMMENT ON COLUMN pgqueue.queue.on_finish IS 'keep (delete after retention), archive (to task_archive after retention) or delete (with the release); default keep';
COMMENT ON COLUMN pgqueue.queue.dead_letter IS 'queue of this namespace that finally failed tasks move to; NULL none';
COMMENT ON COLUMN pgqueue.queue.group_commit IS 'most short SQL tasks of one role that share one durable transaction; default 1';
COMMENT ON COLUMN pgqueue.queue.forward_to IS 'foreign server that tasks are forwarded to; NULL none';
COMMENT ON COLUMN pgqueue.queue.paused IS 'nothing of it starts';
COMMENT ON COLUMN pgqueue.queue.paused_reason IS 'why it is paused';
COMMENT ON COLUMN pgqueue.queue.paused_until IS 'resumes by itself; NULL not';
COMMENT ON COLUMN pgqueue.queue.created_at IS 'created';

CREATE VIEW pgqueue.queue_status WITH (security_barrier) AS
SELECT n.name AS namespace, q.name AS queue, s.word AS status, coalesce(c.count, 0) AS count
FROM pgqueue_internal.queue q
JOIN pgqueue_internal.namespace n ON n.id = q.namespace_id
CROSS JOIN (VALUES (0::smallint, 'new'::text), (1, 'retry'), (2, 'retained'), (3, 'released'), (4, 'failed'), (5, 'expired'), (6, 'cancelled')) s (number, word)
LEFT JOIN pgqueue_internal.queue_counts() c ON c.queue_id = q.id AND c.status = s.number
WHERE q.id >= 100 AND pgqueue_internal.may(n.id, 'see');
COMMENT ON VIEW pgqueue.queue_status IS 'every queue with every status, zeros too';
COMMENT ON COLUMN pgqueue.queue_status.namespace IS 'namespace';
COMMENT ON COLUMN pgqueue.queue_status.queue IS 'queue';
COMMENT ON COLUMN pgqueue.queue_status.status IS 'status word';
COMMENT ON COLUMN pgqueue.queue_status.count IS 'tasks';

-- The row of a queue as the view shows it, to whomever.
CREATE FUNCTION pgqueue_internal.shown_queue(queue_id integer) RETURNS pgqueue.queue
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT q.namespace, q.queue, q.description, q.executor, q.priority, q.ttl, q.retries, q.retry_delay, q.backoff, q.max_retry_delay,
        q.retry_jitter, q.lease, q.run_limit, q.max_running, q.max_depth, q.rate_limit, q.rate_burst, q.group_max_running,
        q.group_rate_limit, q.group_policy, q.aging, q.retention, q.on_finish, q.dead_letter, q.group_commit, q.forward_to, q.paused,
        q.paused_reason, q.paused_until, q.created_at
    FROM pgqueue_internal.queue_shown q
    WHERE q.id = shown_queue.queue_id;
END;
