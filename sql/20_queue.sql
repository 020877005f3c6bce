-- Views of queues. Their settings are described in 05_setting.sql. The queue below id 100 is the extension's own:
-- nobody can use or change it, so the views show its tasks, not itself.

CREATE VIEW pgqueue.queue WITH (security_barrier) AS
SELECT n.name AS namespace, q.name AS queue, q.description, q.executor, q.priority, q.ttl, q.retries,
    q.retry_delay, q.backoff, q.max_retry_delay, q.retry_jitter, q.lease, q.run_limit, q.max_running, q.max_depth,
    q.rate_limit, q.rate_burst, q.group_max_running, q.group_rate_limit, q.group_policy, q.aging, q.retention,
    q.on_finish, q.dead_letter, q.group_commit, q.forward_to, p.paused,
    CASE WHEN p.paused THEN q.paused_reason END AS paused_reason,
    CASE WHEN p.paused THEN q.paused_until END AS paused_until,
    q.created_at
FROM pgqueue_internal.queue q
JOIN pgqueue_internal.namespace n ON n.id = q.namespace_id
CROSS JOIN LATERAL (SELECT q.paused AND (q.paused_until IS NULL OR q.paused_until > statement_timestamp()) AS paused) p
WHERE q.id >= 100 AND pgqueue_internal.may(q.namespace_id, 'see');
COMMENT ON VIEW pgqueue.queue IS 'one row for each queue';
COMMENT ON COLUMN pgqueue.queue.namespace IS 'namespace';
COMMENT ON COLUMN pgqueue.queue.queue IS 'queue';
COMMENT ON COLUMN pgqueue.queue.created_at IS 'created';

CREATE VIEW pgqueue.queue_status WITH (security_barrier) AS
SELECT n.name AS namespace, q.name AS queue, s.word AS status, coalesce(c.count, 0) AS count
FROM pgqueue_internal.queue q
JOIN pgqueue_internal.namespace n ON n.id = q.namespace_id
CROSS JOIN (VALUES (0::smallint, 'new'::text), (1, 'retry'), (2, 'retained'), (3, 'released'), (4, 'failed'),
    (5, 'expired'), (6, 'cancelled')) s (number, word)
LEFT JOIN pgqueue_internal.queue_counts() c ON c.queue_id = q.id AND c.status = s.number
WHERE q.id >= 100 AND pgqueue_internal.may(n.id, 'see');
COMMENT ON VIEW pgqueue.queue_status IS 'every queue with every status, zeros too';
COMMENT ON COLUMN pgqueue.queue_status.namespace IS 'namespace';
COMMENT ON COLUMN pgqueue.queue_status.queue IS 'queue';
COMMENT ON COLUMN pgqueue.queue_status.status IS 'status word';
COMMENT ON COLUMN pgqueue.queue_status.count IS 'tasks';

-- The row of a queue as the view shows it, for any caller.
CREATE FUNCTION pgqueue_internal.shown_queue(queue_id integer) RETURNS pgqueue.queue
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    q pgqueue_internal.queue;
    shown pgqueue.queue;
BEGIN
    SELECT s.* INTO q FROM pgqueue_internal.queue s WHERE s.id = queue_id;
    shown := pgqueue_internal.row_with(shown, q, NULL);
    shown.namespace := (SELECT n.name FROM pgqueue_internal.namespace n WHERE n.id = q.namespace_id);
    shown.queue := q.name;
    IF NOT q.paused OR q.paused_until <= statement_timestamp() THEN
        shown.paused := false;
        shown.paused_reason := NULL;
        shown.paused_until := NULL;
    END IF;
    RETURN shown;
END
$$;
