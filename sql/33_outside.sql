-- Outside workers: any program works through these functions. A task is retained with a lease;
-- whoever has the receipt ends the attempt.

CREATE TYPE pgqueue.retained_task AS (id bigint, receipt bigint, attempt integer, namespace text, queue text, type text,
    payload jsonb, headers jsonb, priority integer, group_key text, created_at timestamptz, dies_at timestamptz,
    lease_until timestamptz);
COMMENT ON TYPE pgqueue.retained_task IS 'a task handed to an outside worker, with the receipt that ends the attempt';

CREATE TYPE pgqueue.task_result AS (id bigint, status text);
COMMENT ON TYPE pgqueue.task_result IS 'status of a task after a call; NULL: its receipt was not valid';

CREATE TYPE pgqueue.task_lease AS (id bigint, lease_until timestamptz);
COMMENT ON TYPE pgqueue.task_lease IS 'new end of the lease of a task; NULL: its receipt was not valid';

CREATE FUNCTION pgqueue.next_task(worker text, queue text DEFAULT NULL, lease interval DEFAULT NULL,
    session_bound boolean DEFAULT false, namespace text DEFAULT NULL) RETURNS SETOF pgqueue.retained_task
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_next_task';
COMMENT ON FUNCTION pgqueue.next_task IS
'Retains a task for an outside worker and returns it with its receipt, or returns no row when none is ready. worker '
'is a name of 1 to 1000 bytes; queue NULL means the best task of all queues of the namespace. lease says how long '
'the worker has the task (NULL: the lease of the queue). With session_bound the lease ends with the session, and '
'has no other end unless lease is given and more than 0. A rollback gives the task back. Never returns tasks with a '
'command or of a queue with executor server. Raises 42704 for an unknown queue, 22004 and 22023 for a wrong worker '
'or lease. Needs the privilege work.';

CREATE FUNCTION pgqueue.next_tasks(worker text, queues text[] DEFAULT NULL, max_tasks integer DEFAULT 1,
    lease interval DEFAULT NULL, session_bound boolean DEFAULT false, namespace text DEFAULT NULL)
    RETURNS SETOF pgqueue.retained_task
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_next_tasks';
COMMENT ON FUNCTION pgqueue.next_tasks IS
'Retains up to max_tasks (1 to 10000, default 1) tasks of several queues for an outside worker and returns them, '
'all with the same receipt. queues NULL or empty means all queues of the namespace. The other arguments and the '
'errors are those of next_task. Needs the privilege work.';

CREATE FUNCTION pgqueue.release_task(id bigint, receipt bigint DEFAULT NULL, result jsonb DEFAULT NULL,
    namespace text DEFAULT NULL) RETURNS text
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_release_task';
COMMENT ON FUNCTION pgqueue.release_task IS
'Ends the attempt of a retained task as done, stores result with it, and returns the status of the task, released. '
'receipt NULL means the lease that this session holds. Raises PQ001 when the receipt is not valid any more, PQ004 '
'when the task was cancelled, 42704 for an unknown task. Needs the privilege work.';

CREATE FUNCTION pgqueue.release_tasks(ids bigint[], receipts bigint[] DEFAULT NULL, results jsonb[] DEFAULT NULL,
    skip_lost boolean DEFAULT false, namespace text DEFAULT NULL) RETURNS SETOF pgqueue.task_result
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_release_tasks';
COMMENT ON FUNCTION pgqueue.release_tasks IS
'Ends the attempts of several retained tasks as done and returns the status of each, in the order of ids. receipts '
'has one element for all or one for each (NULL: the leases that this session holds), results one for each; other '
'lengths raise 22023. Raises the errors of release_task; with skip_lost a task that is lost, cancelled or unknown '
'gets the status NULL instead. Needs the privilege work.';

CREATE FUNCTION pgqueue.fail_task(id bigint, receipt bigint DEFAULT NULL, error text DEFAULT NULL,
    retry_in interval DEFAULT NULL, final boolean DEFAULT false, result jsonb DEFAULT NULL, namespace text DEFAULT NULL)
    RETURNS text
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_fail_task';
COMMENT ON FUNCTION pgqueue.fail_task IS
'Ends the attempt of a retained task as failed, stores error and result with it, and returns the status of the '
'task: retry by the rules of its queue, or failed. retry_in sets the time until the next attempt (NULL: that of the '
'queue); final allows none. receipt NULL means the lease that this session holds. A running task may fail itself '
'with receipt NULL: it fails when it is done, and its work is undone. Raises PQ001 when the receipt is not valid '
'any more, PQ004 when the task was cancelled, 42704 for an unknown task. Needs the privilege work; a task that '
'fails itself needs none.';

CREATE FUNCTION pgqueue.fail_tasks(ids bigint[], receipts bigint[] DEFAULT NULL, errors text[] DEFAULT NULL,
    retry_in interval DEFAULT NULL, final boolean DEFAULT false, results jsonb[] DEFAULT NULL,
    skip_lost boolean DEFAULT false, namespace text DEFAULT NULL) RETURNS SETOF pgqueue.task_result
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_fail_tasks';
COMMENT ON FUNCTION pgqueue.fail_tasks IS
'Ends the attempts of several retained tasks as failed and returns the status of each, in the order of ids. '
'receipts and errors have one element for all or one for each, results one for each; other lengths raise 22023. The '
'other arguments and the errors are those of fail_task; with skip_lost a task that is lost, cancelled or unknown '
'gets the status NULL instead of an error. Needs the privilege work.';

CREATE FUNCTION pgqueue.extend_task(id bigint, receipt bigint DEFAULT NULL, lease interval DEFAULT NULL,
    namespace text DEFAULT NULL) RETURNS timestamptz
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_extend_task';
COMMENT ON FUNCTION pgqueue.extend_task IS
'Extends the lease of a retained task, so that it ends lease from now (NULL: the lease of the queue) but not after '
'dies_at, and returns the new end. receipt NULL means the lease that this session holds. Raises PQ001 when the '
'receipt is not valid any more, PQ004 when the task was cancelled, 42704 for an unknown task, 22023 for a lease of '
'0 or less. Needs the privilege work.';

CREATE FUNCTION pgqueue.extend_tasks(ids bigint[], receipts bigint[] DEFAULT NULL, lease interval DEFAULT NULL,
    skip_lost boolean DEFAULT false, namespace text DEFAULT NULL) RETURNS SETOF pgqueue.task_lease
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_extend_tasks';
COMMENT ON FUNCTION pgqueue.extend_tasks IS
'Extends the leases of several retained tasks and returns the new end of each, in the order of ids. receipts has '
'one element for all or one for each, else 22023. The other arguments and the errors are those of extend_task; with '
'skip_lost a task that is lost, cancelled or unknown gets the end NULL instead of an error. Needs the privilege '
'work.';

CREATE FUNCTION pgqueue.snooze_task(id bigint, receipt bigint DEFAULT NULL, delay interval DEFAULT '0',
    namespace text DEFAULT NULL) RETURNS text
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_snooze_task';
COMMENT ON FUNCTION pgqueue.snooze_task IS
'Gives a retained task back without counting the attempt, due delay from now (default: at once), and returns its '
'status, retry. receipt NULL means the lease that this session holds. A running task may snooze itself with receipt '
'NULL: it is put off when it is done, and its work is kept; in a worker it then waits at least 10 ms for each earlier '
'attempt that did not count, at most 1 s. Raises PQ001 when the receipt is not valid any more, '
'PQ004 when the task was cancelled, 42704 for an unknown task. Needs the privilege work; a task that snoozes itself '
'needs none.';

CREATE FUNCTION pgqueue.snooze_tasks(ids bigint[], receipts bigint[] DEFAULT NULL, delay interval DEFAULT '0',
    skip_lost boolean DEFAULT false, namespace text DEFAULT NULL) RETURNS SETOF pgqueue.task_result
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_snooze_tasks';
COMMENT ON FUNCTION pgqueue.snooze_tasks IS
'Gives several retained tasks back without counting the attempts, due delay from now, and returns the status of '
'each, in the order of ids. receipts has one element for all or one for each, else 22023. The other arguments and '
'the errors are those of snooze_task; with skip_lost a task that is lost, cancelled or unknown gets the status NULL '
'instead of an error. Needs the privilege work.';

CREATE PROCEDURE pgqueue.wait_for_task(queues text[] DEFAULT NULL, timeout interval DEFAULT '1 minute',
    namespace text DEFAULT NULL, INOUT found boolean DEFAULT NULL)
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_wait_for_task';
COMMENT ON PROCEDURE pgqueue.wait_for_task IS
'Waits until one of the queues (NULL or empty: any queue of the namespace) has a ready task for an outside worker, '
'at most timeout (default 1 minute), and sets found to true, or to false at the timeout. Another worker may be '
'faster, so next_task may still return no row. It holds no snapshot while it waits: in a transaction block, in a '
'function and in REPEATABLE READ or SERIALIZABLE it raises 25001. Raises 42704 for an unknown queue. Needs the '
'privilege work.';
