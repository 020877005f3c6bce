-- Views of queues. Their settings are described in 05_setting.sql. The queue below id 100 is the extension's own:
-- nobody can use or change it, so the views show its tasks, not itself.

CREATE VIEW pgqueue.queue WITH (security_barrier) AS
SELECT n.name AS namespace, q.name AS queue,
    pgqueue_internal.shown(q.description) AS description, pgqueue_internal.shown(q.executor) AS executor,
    pgqueue_internal.shown(q.priority) AS priority, pgqueue_internal.shown(q.ttl) AS ttl,
    pgqueue_internal.shown(q.retries) AS retries, pgqueue_internal.shown(q.retry_delay) AS retry_delay,
    pgqueue_internal.shown(q.backoff) AS backoff, pgqueue_internal.shown(q.max_retry_delay) AS max_retry_delay,
    pgqueue_internal.shown(q.retry_jitter) AS retry_jitter, pgqueue_internal.shown(q.lease) AS lease,
    pgqueue_internal.shown(q.run_limit) AS run_limit, pgqueue_internal.shown(q.max_running) AS max_running,
    pgqueue_internal.shown(q.max_depth) AS max_depth, pgqueue_internal.shown(q.rate_limit) AS rate_limit,
    pgqueue_internal.shown(q.rate_burst) AS rate_burst,
    pgqueue_internal.shown(q.group_max_running) AS group_max_running,
    pgqueue_internal.shown(q.group_rate_limit) AS group_rate_limit,
    pgqueue_internal.shown(q.group_policy) AS group_policy, pgqueue_internal.shown(q.aging) AS aging,
    pgqueue_internal.shown(q.retention) AS retention, pgqueue_internal.shown(q.on_finish) AS on_finish,
    pgqueue_internal.shown(q.dead_letter) AS dead_letter, pgqueue_internal.shown(q.group_commit) AS group_commit,
    pgqueue_internal.shown(q.forward_to) AS forward_to,
    pgqueue_internal.shown(p.paused) AS paused,
    CASE WHEN p.paused THEN pgqueue_internal.shown(q.paused_reason) END AS paused_reason,
    CASE WHEN p.paused THEN pgqueue_internal.shown(q.paused_until) END AS paused_until,
    pgqueue_internal.shown(q.created_at) AS created_at
FROM pgqueue_internal.queue q
JOIN pgqueue_internal.namespace n ON n.id = q.namespace_id
CROSS JOIN LATERAL (SELECT q.paused AND (q.paused_until IS NULL OR q.paused_until > statement_timestamp()) AS paused) p
WHERE q.id >= 100 AND pgqueue_internal.may(q.namespace_id, 'see');
COMMENT ON VIEW pgqueue.queue IS 'one row for each queue';
COMMENT ON COLUMN pgqueue.queue.namespace IS 'namespace';
COMMENT ON COLUMN pgqueue.queue.queue IS 'queue';
COMMENT ON COLUMN pgqueue.queue.created_at IS 'created';

CREATE VIEW pgqueue.queue_status WITH (security_barrier) AS
SELECT n.name AS namespace, q.name AS queue, s.word AS status,
    -- With its queue, so that nothing is compared before the rights were asked.
    CASE WHEN q.id > 0 THEN coalesce(c.count, 0) END AS count
FROM pgqueue_internal.queue q
JOIN pgqueue_internal.namespace n ON n.id = q.namespace_id
CROSS JOIN (VALUES (0::smallint, 'new'::text), (1, 'retry'), (2, 'retained'), (3, 'released'), (4, 'failed'),
    (5, 'expired'), (6, 'cancelled')) s (number, word)
LEFT JOIN pgqueue_internal.queue_counts() c ON c.queue_id = q.id AND c.status = s.number
WHERE q.id >= 100 AND pgqueue_internal.may(q.namespace_id, 'see');
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
