-- Shapes of what the functions of namespaces and queues return, and of the views.
SELECT namespace, owner = current_user AS mine, weight, max_running, max_depth, paused, description FROM pgqueue.create_namespace('Shop', weight => 5, description => 'orders');
SELECT namespace, weight, max_running FROM pgqueue.update_namespace('shop', max_running => 4);
SELECT pgqueue.grant_namespace('shop', 'use, read', 'pgqueue_user');
SELECT namespace, role, privilege, grantor = current_user AS mine FROM pgqueue.namespace_grant ORDER BY privilege;
SELECT pgqueue.has_namespace_privilege('shop', 'use', 'pgqueue_user'), pgqueue.has_namespace_privilege('shop', 'manage', 'pgqueue_user');
SELECT pgqueue.revoke_namespace('shop', 'all', 'pgqueue_user');
SELECT count(*) FROM pgqueue.namespace_grant;

SET pgqueue.namespace = 'shop';
\x on
SELECT namespace, queue, description, executor, priority, ttl, retries, retry_delay, backoff, max_retry_delay, retry_jitter, lease, run_limit, max_running, max_depth,
    rate_limit, rate_burst, group_max_running, group_rate_limit, group_policy, aging, retention, on_finish, dead_letter, group_commit, forward_to, paused, paused_reason, paused_until
FROM pgqueue.create_queue('orders', ttl => '1 day', retries => 5, max_running => 2);
\x off
SELECT queue, ttl, max_running FROM pgqueue.update_queue('orders', ttl => '0', max_running => 0);
SELECT queue, paused, paused_reason FROM pgqueue.pause_queue('orders', 'stocktaking');
SELECT queue, paused, paused_reason FROM pgqueue.resume_queue('orders');
INSERT INTO pgqueue.queue (queue, priority) VALUES ('returns', 10) RETURNING namespace, queue, priority, ttl;
UPDATE pgqueue.queue SET ttl = NULL WHERE queue = 'returns' RETURNING queue, ttl;
SELECT queue, priority FROM pgqueue.get_queue('returns');
SELECT * FROM pgqueue.get_queue('nosuch');
SELECT * FROM pgqueue.queue_status WHERE queue = 'orders';
DELETE FROM pgqueue.queue WHERE queue = 'returns' RETURNING queue;
-- Tasks that cannot be sent back (L7).
SELECT count(*) FROM pgqueue.create_tasks('orders', '{1,2,3}', dedup_keys => '{a,b,c}');
SELECT count(pgqueue.fail_task(id, receipt, final => true)) FROM pgqueue.next_tasks('w', '{orders}', 3);
SELECT count(*) FROM pgqueue.create_tasks('orders', '{1,2}', dedup_keys => '{a,b}');
SELECT pgqueue.redrive('orders');
SELECT count(pgqueue.cancel_task(id)) FROM pgqueue.task WHERE queue = 'orders' AND dedup_key = 'a' AND status = 'new';
SELECT pgqueue.redrive('orders');
SELECT queue FROM pgqueue.delete_queue('orders', force => true);
RESET pgqueue.namespace;
SELECT namespace FROM pgqueue.delete_namespace('shop');
SELECT namespace FROM pgqueue.get_namespace();
SELECT name, pgqueue.priority_value(name) FROM unnest('{high,default,low}'::text[]) name;
