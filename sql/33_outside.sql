-- Outside workers: any program works through these functions. A task is retained with a lease; whoever has the receipt ends the attempt.

CREATE TYPE pgqueue.retained_task AS (id bigint, receipt bigint, attempt integer, namespace text, queue text, type text, payload jsonb, headers jsonb, priority integer, group_key text, created_at timestamptz, dies_at timestamptz, lease_until timestamptz);
COMMENT ON TYPE pgqueue.retained_task IS 'a task handed to an outside worker, with the receipt that ends the attempt';

CREATE TYPE pgqueue.task_result AS (id bigint, status text);
COMMENT ON TYPE pgqueue.task_result IS 'status of a task after a call; NULL: its receipt was not valid';

CREATE TYPE pgqueue.task_lease AS (id bigint, lease_until timestamptz);
COMMENT ON TYPE pgqueue.task_lease IS 'new end of the lease of a task; NULL: its receipt was not valid';

CREATE FUNCTION pgqueue.next_task(worker text, queue text DEFAULT NULL, lease interval DEFAULT NULL, session_bound boolean DEFAULT false,
    namespace text DEFAULT NULL) RETURNS SETOF pgqueue.retained_task
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_next_task';
COMMENT ON FUNCTION pgqueue.next_task IS
'one task or no row; NULL queue: best of all that the caller may work on in the namespace';

CREATE FUNCTION pgqueue.next_tasks(worker text, queues text[] DEFAULT NULL, max_tasks integer DEFAULT 1, lease interval DEFAULT NULL,
    session_bound boolean DEFAULT false, namespace text DEFAULT NULL) RETURNS SETOF pgqueue.retained_task
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_next_tasks';
COMMENT ON FUNCTION pgqueue.next_tasks IS
'up to max_tasks (1 to 10000), one receipt for the call';

CREATE FUNCTION pgqueue.release_task(id bigint, receipt bigint DEFAULT NULL, result jsonb DEFAULT NULL, namespace text DEFAULT NULL) RETURNS text
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_release_task';
COMMENT ON FUNCTION pgqueue.release_task IS
'done';

CREATE FUNCTION pgqueue.release_tasks(ids bigint[], receipts bigint[] DEFAULT NULL, results jsonb[] DEFAULT NULL, skip_lost boolean DEFAULT false,
    namespace text DEFAULT NULL) RETURNS SETOF pgqueue.task_result
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_release_tasks';
COMMENT ON FUNCTION pgqueue.release_tasks IS
'done, all in one pass';

CREATE FUNCTION pgqueue.fail_task(id bigint, receipt bigint DEFAULT NULL, error text DEFAULT NULL, retry_in interval DEFAULT NULL,
    final boolean DEFAULT false, result jsonb DEFAULT NULL, namespace text DEFAULT NULL) RETURNS text
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_fail_task';
COMMENT ON FUNCTION pgqueue.fail_task IS
'retry or failed; final: no retry; a running task fails itself with receipt NULL: at its end, and its work is undone';

CREATE FUNCTION pgqueue.fail_tasks(ids bigint[], receipts bigint[] DEFAULT NULL, errors text[] DEFAULT NULL, retry_in interval DEFAULT NULL,
    final boolean DEFAULT false, results jsonb[] DEFAULT NULL, skip_lost boolean DEFAULT false,
    namespace text DEFAULT NULL) RETURNS SETOF pgqueue.task_result
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_fail_tasks';
COMMENT ON FUNCTION pgqueue.fail_tasks IS
'as fail_task';

CREATE FUNCTION pgqueue.extend_task(id bigint, receipt bigint DEFAULT NULL, lease interval DEFAULT NULL, namespace text DEFAULT NULL) RETURNS timestamptz
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_extend_task';
COMMENT ON FUNCTION pgqueue.extend_task IS
'heartbeat: the lease ends lease from now; NULL: the queue''s; PQ004 when it was cancelled';

CREATE FUNCTION pgqueue.extend_tasks(ids bigint[], receipts bigint[] DEFAULT NULL, lease interval DEFAULT NULL, skip_lost boolean DEFAULT false,
    namespace text DEFAULT NULL) RETURNS SETOF pgqueue.task_lease
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_extend_tasks';
COMMENT ON FUNCTION pgqueue.extend_tasks IS
'as extend_task';

CREATE FUNCTION pgqueue.snooze_task(id bigint, receipt bigint DEFAULT NULL, delay interval DEFAULT '0', namespace text DEFAULT NULL) RETURNS text
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_snooze_task';
COMMENT ON FUNCTION pgqueue.snooze_task IS
'gives it back without counting the attempt; a running task puts itself off with receipt NULL: at its end, with its work';

CREATE FUNCTION pgqueue.snooze_tasks(ids bigint[], receipts bigint[] DEFAULT NULL, delay interval DEFAULT '0', skip_lost boolean DEFAULT false,
    namespace text DEFAULT NULL) RETURNS SETOF pgqueue.task_result
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_snooze_tasks';
COMMENT ON FUNCTION pgqueue.snooze_tasks IS
'as snooze_task';

CREATE PROCEDURE pgqueue.wait_for_task(queues text[] DEFAULT NULL, timeout interval DEFAULT '1 minute', namespace text DEFAULT NULL,
    INOUT found boolean DEFAULT NULL)
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_wait_for_task';
COMMENT ON PROCEDURE pgqueue.wait_for_task IS
'true as soon as one of the queues has a ready task, false at the timeout; waits outside a transaction block and holds no snapshot';
