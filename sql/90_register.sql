-- The rows that every installation has. Last, the launcher learns of this database.

INSERT INTO pgqueue_internal.namespace (id, name, owner, owner_name, description)
SELECT 1, 'default', r.oid, r.rolname, NULL FROM pg_catalog.pg_roles r WHERE r.rolname = 'pgqueue_admin'
UNION ALL
SELECT 2, 'pgqueue', r.oid, r.rolname, 'reserved: the extension''s own housekeeping'
FROM pg_catalog.pg_roles r WHERE r.rolname = current_user;

-- What the scheduler and its housekeeper know by these numbers (store/catalog.hpp). No other pass begins while a failed
-- one waits for its next try, and the disk fills.
INSERT INTO pgqueue_internal.queue (id, namespace_id, name, description, ttl, retry_delay, backoff, retention,
    on_finish)
VALUES (1, 2, 'housekeeping', 'tasks of the extension''s own housekeeper', NULL, '1 minute', 'fixed', '1 day',
    'delete');

INSERT INTO pgqueue_internal.ticker (id, namespace_id, name, queue, period, time_zone, type, overlap, description,
    role, role_name, anchor)
SELECT 1, 2, 'cleanup', 'housekeeping', '1 hour', 'UTC', 'pgqueue:cleanup', 'skip',
    'retention, archive, dedup keys, rotation and truncation of segments; runs also in between while tasks finish',
    n.owner, n.owner_name, clock_timestamp() + '1 hour'
FROM pgqueue_internal.namespace n WHERE n.id = 2;
INSERT INTO pgqueue_internal.ticker_state (ticker_id, next_at, due_at)
SELECT t.id, t.anchor, t.anchor FROM pgqueue_internal.ticker t;

INSERT INTO pgqueue_internal.ring (slot, current)
SELECT s, s IN (0, 4) FROM pg_catalog.generate_series(0, 5) s;

SELECT pgqueue_internal.register_database();
