-- Functions of the library whose types need no view. Those that return the row of a view are in the file of their object.

-- ===== helpers of the SQL modules; nobody has USAGE on their schema =====

-- Raises 55000 when the library is not preloaded, 25006 on a standby or, when it writes, in a read-only transaction.
CREATE FUNCTION pgqueue_internal.check_call(function_name text, writes boolean) RETURNS void
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_internal_check_call';

-- The role that called the function of schema pgqueue that runs now.
CREATE FUNCTION pgqueue_internal.caller() RETURNS oid
    LANGUAGE C STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'pgqueue_internal_caller';

-- Raises 42501 with the missing grant as hint unless the caller has the privilege: use, work, manage, read, owner, admin.
CREATE FUNCTION pgqueue_internal.require(namespace_id integer, privilege text) RETURNS void
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_internal_require';

-- Whether the calling role has the privilege; never raises. see: any of use, work, manage, read, owner or membership in pg_monitor.
CREATE FUNCTION pgqueue_internal.may(namespace_id integer, privilege text) RETURNS boolean
    LANGUAGE C STABLE PARALLEL RESTRICTED COST 10 AS 'MODULE_PATHNAME', 'pgqueue_internal_may';

-- Whether a role of the dictionary is one of the calling role's roles.
CREATE FUNCTION pgqueue_internal.is_mine(role_id integer) RETURNS boolean
    LANGUAGE C STABLE PARALLEL RESTRICTED COST 10 AS 'MODULE_PATHNAME', 'pgqueue_internal_is_mine';

-- The name of a role of the dictionary: the present one, else the last that is known, else its number.
CREATE FUNCTION pgqueue_internal.role_of(role_id integer) RETURNS text
    LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 10 AS 'MODULE_PATHNAME', 'pgqueue_internal_role_of';

-- The role of a key: NULL when there is none now, whoever has its name.
CREATE FUNCTION pgqueue_internal.role_of_key(role_id integer) RETURNS oid
    LANGUAGE C STABLE STRICT PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'pgqueue_internal_role_of_key';

-- The key of a role in the dictionary, to which it is added.
CREATE FUNCTION pgqueue_internal.note_role(role oid) RETURNS integer
    LANGUAGE C STRICT AS 'MODULE_PATHNAME', 'pgqueue_internal_note_role';

-- The system identifier of this cluster.
CREATE FUNCTION pgqueue_internal.this_cluster() RETURNS bigint
    LANGUAGE C STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'pgqueue_internal_this_cluster';

-- Trims, lower-cases and checks a name; 42602 with the rule as hint, 22004 for NULL.
CREATE FUNCTION pgqueue_internal.normalize_name(kind text, name text) RETURNS text
    LANGUAGE C IMMUTABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'pgqueue_internal_normalize_name';

-- "Perhaps you meant ...", for the hint of an error, when a name is like one of those that there are; else NULL.
CREATE FUNCTION pgqueue_internal.perhaps(kind text, wanted text, names text[]) RETURNS text
    LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'pgqueue_internal_perhaps';

-- The id of a namespace; NULL names the current one. 42704 when there is none.
CREATE FUNCTION pgqueue_internal.resolve_namespace(name text) RETURNS integer
    LANGUAGE C STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'pgqueue_internal_resolve_namespace';

-- Row trigger of the tables of settings and rights: tells shared memory and the caches of the backends at commit.
CREATE FUNCTION pgqueue_internal.config_changed() RETURNS trigger
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_internal_config_changed';

-- Trigger of the views: runs the trigger function of schema pgqueue_internal that its argument names with the rights of the
-- extension's owner, while caller() goes on to name the role that changes the view.
CREATE FUNCTION pgqueue_internal.as_owner() RETURNS trigger
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_internal_as_owner';

-- True when the namespace may have another queue, or may purge one; else 53400.
CREATE FUNCTION pgqueue_internal.check_queue_share(namespace_id integer, purge boolean) RETURNS boolean
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_internal_check_queue_share';

-- Removes all tasks of a queue at once; 55006 when some are retained, which force cancels. Returns how many there were.
CREATE FUNCTION pgqueue_internal.drop_queue_tasks(queue_id integer, force boolean) RETURNS bigint
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_internal_drop_queue_tasks';

-- Changes a task that is not retained; which: the columns to set. False: no such task. The caller's rights decide.
CREATE FUNCTION pgqueue_internal.update_task(id bigint, priority integer, delayed_at timestamptz, dies_at timestamptz, retries integer,
    payload jsonb, headers jsonb, group_key text, queue text, which text[]) RETURNS boolean
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_internal_update_task';

-- Removes a task that is not retained (55006). False: no such task. The caller's rights decide.
CREATE FUNCTION pgqueue_internal.delete_task(id bigint) RETURNS boolean
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_internal_delete_task';

-- The task that this session runs; NULL outside.
CREATE FUNCTION pgqueue_internal.current_task_id() RETURNS bigint
    LANGUAGE C STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'pgqueue_internal_current_task_id';

-- Tasks by queue and status, from the counters (from the rows when not preloaded); zeros may be absent.
CREATE FUNCTION pgqueue_internal.queue_counts() RETURNS TABLE (queue_id integer, status smallint, count bigint)
    LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 100 AS 'MODULE_PATHNAME', 'pgqueue_internal_queue_counts';

-- What the outcomes of a task in a segment say: the result of an attempt, and message, SQLSTATE and the rest of the last failed one.
-- The cost has the planner call them late: after ORDER BY and LIMIT where it can.
CREATE FUNCTION pgqueue_internal.outcome_result(slot integer, id bigint, attempt integer) RETURNS jsonb
    LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 100 AS 'MODULE_PATHNAME', 'pgqueue_internal_outcome_result';
CREATE FUNCTION pgqueue_internal.outcome_error(slot integer, id bigint) RETURNS text
    LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 100 AS 'MODULE_PATHNAME', 'pgqueue_internal_outcome_error';
CREATE FUNCTION pgqueue_internal.outcome_error_code(slot integer, id bigint) RETURNS text
    LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 100 AS 'MODULE_PATHNAME', 'pgqueue_internal_outcome_error_code';
CREATE FUNCTION pgqueue_internal.outcome_error_info(slot integer, id bigint) RETURNS jsonb
    LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 100 AS 'MODULE_PATHNAME', 'pgqueue_internal_outcome_error_info';

-- Live workers of this database, whosoever.
CREATE FUNCTION pgqueue_internal.workers() RETURNS TABLE (worker text, kind text, pid integer, role_id integer, queue_id integer,
    task_id bigint, attempt integer, state text, since timestamptz, lease_until timestamptz, cpu_seconds double precision,
    progress double precision, progress_note text)
    LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 10 AS 'MODULE_PATHNAME', 'pgqueue_internal_workers';

-- Outside workers of this database, whosoever: those that hold a task, and sessions that wait for one. role: its oid.
CREATE FUNCTION pgqueue_internal.outside_workers() RETURNS TABLE (worker text, pid integer, role oid, namespace_id integer, queue_id integer,
    task_id bigint, type text, attempt integer, state text, since timestamptz, lease_until timestamptz)
    LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 100 AS 'MODULE_PATHNAME', 'pgqueue_internal_outside_workers';

-- How full the shared memory of the cluster is, and what the namespaces of this database have of it.
CREATE FUNCTION pgqueue_internal.memory() RETURNS TABLE (kind text, namespace_id integer, used bigint, capacity bigint, comment text)
    LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 30 AS 'MODULE_PATHNAME', 'pgqueue_internal_memory';

-- Whether this session, or one of a role of the caller's, holds the task as outside worker under this receipt.
-- Whether a segment is condemned now, whatever the snapshot shows.
CREATE FUNCTION pgqueue_internal.is_condemned(slot smallint) RETURNS boolean
    LANGUAGE C STABLE STRICT PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'pgqueue_internal_is_condemned';

CREATE FUNCTION pgqueue_internal.is_held(id bigint, receipt bigint) RETURNS boolean
    LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 10 AS 'MODULE_PATHNAME', 'pgqueue_internal_is_held';

-- What is wrong in this database; queue_id and namespace_id NULL: not of one of them.
CREATE FUNCTION pgqueue_internal.problems() RETURNS TABLE (severity text, problem text, namespace_id integer, queue_id integer, message text,
    hint text, pid integer, since timestamptz)
    LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 5 AS 'MODULE_PATHNAME', 'pgqueue_internal_problems';

-- Tasks that may have been quarantined (PQ103) or have found no handler (PQ104) lately; their rows say whether it is still so.
CREATE FUNCTION pgqueue_internal.incidents() RETURNS TABLE (error_code text, task_id bigint)
    LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 10 AS 'MODULE_PATHNAME', 'pgqueue_internal_incidents';

-- One pass of the collector of segments, for tests; returns when it is done.
CREATE FUNCTION pgqueue_internal.clean(segment_limit bigint, at timestamptz) RETURNS void
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_internal_clean';

-- What shared memory says is taken, for tests. namespace, queue: running; groups: held tasks of groups of a queue; lease, hold: one each, with task, receipt
-- and process; worker: its slot; role, cluster: workers. id: of the namespace, queue or role.
CREATE FUNCTION pgqueue_internal.places() RETURNS TABLE (kind text, id integer, task_id bigint, receipt bigint, pid integer, taken bigint)
    LANGUAGE C PARALLEL RESTRICTED ROWS 100 AS 'MODULE_PATHNAME', 'pgqueue_internal_places';

-- Tells the launcher of this database and, outside a restore, makes it the real one.
CREATE FUNCTION pgqueue_internal.register_database() RETURNS void
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_internal_register_database';

-- ===== what users call =====

CREATE FUNCTION pgqueue.create_task(queue text, payload jsonb DEFAULT NULL, type text DEFAULT NULL, command text DEFAULT NULL,
    priority integer DEFAULT NULL, delay interval DEFAULT NULL, delayed_at timestamptz DEFAULT NULL, ttl interval DEFAULT NULL,
    retries integer DEFAULT NULL, run_limit interval DEFAULT NULL, dedup_key text DEFAULT NULL, dedup_for interval DEFAULT NULL,
    on_conflict text DEFAULT 'skip', group_key text DEFAULT NULL, batch_key text DEFAULT NULL, depends_on bigint[] DEFAULT NULL,
    depends_on_batch text DEFAULT NULL, on_failed_dependency text DEFAULT 'cancel', headers jsonb DEFAULT NULL,
    namespace text DEFAULT NULL) RETURNS bigint
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_create_task';
COMMENT ON FUNCTION pgqueue.create_task IS
'id of the task; payload, type or command must be given; command goes with payload but not with type';

CREATE FUNCTION pgqueue.create_tasks(queue text, payloads jsonb[] DEFAULT NULL, type text DEFAULT NULL, commands text[] DEFAULT NULL,
    priority integer DEFAULT NULL, delay interval DEFAULT NULL, delayed_at timestamptz DEFAULT NULL, ttl interval DEFAULT NULL,
    retries integer DEFAULT NULL, run_limit interval DEFAULT NULL, dedup_keys text[] DEFAULT NULL, dedup_for interval DEFAULT NULL,
    on_conflict text DEFAULT 'skip', group_keys text[] DEFAULT NULL, batch_key text DEFAULT NULL, depends_on bigint[] DEFAULT NULL,
    depends_on_batch text DEFAULT NULL, on_failed_dependency text DEFAULT 'cancel', headers jsonb DEFAULT NULL,
    namespace text DEFAULT NULL) RETURNS SETOF bigint
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_create_tasks';
COMMENT ON FUNCTION pgqueue.create_tasks IS
'ids in the order of the arrays, which have equal length';

CREATE FUNCTION pgqueue.cancel_task(id bigint, reason text DEFAULT NULL, force boolean DEFAULT false, namespace text DEFAULT NULL) RETURNS text
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_cancel_task';
COMMENT ON FUNCTION pgqueue.cancel_task IS
'also while it runs (cancels the statement; force terminates the process); finished: no change, its status is returned; a task that cancels itself is cancelled with its work when it commits';

CREATE FUNCTION pgqueue.retry_task(id bigint, delay interval DEFAULT '0', namespace text DEFAULT NULL) RETURNS text
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_retry_task';
COMMENT ON FUNCTION pgqueue.retry_task IS
'failed, expired, cancelled: fresh retries and ttl; waiting: due now; released or retained: 55000';

CREATE FUNCTION pgqueue.run_task(id bigint, namespace text DEFAULT NULL) RETURNS text
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_run_task';
COMMENT ON FUNCTION pgqueue.run_task IS
'runs a command or typed task here and now, in this session and transaction, also when it is uncommitted, not due or paused; for tests and debugging. A task of another role than that of the session leaves nothing in it';

CREATE FUNCTION pgqueue.progress(done double precision, total double precision DEFAULT 1, note text DEFAULT NULL) RETURNS void
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_progress';
COMMENT ON FUNCTION pgqueue.progress IS
'shown in view worker; outside a task nothing';

CREATE PROCEDURE pgqueue.wait_for_result(id bigint, timeout interval DEFAULT '1 minute', namespace text DEFAULT NULL,
    INOUT status text DEFAULT NULL, INOUT result jsonb DEFAULT NULL, INOUT error text DEFAULT NULL)
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_wait_for_result';
COMMENT ON PROCEDURE pgqueue.wait_for_result IS
'status when it is finished, NULL at the timeout; waits outside a transaction block and holds no snapshot';

CREATE FUNCTION pgqueue.adopt() RETURNS void
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_adopt';
COMMENT ON FUNCTION pgqueue.adopt IS
'starts dispatch in a database that was restored, copied or cloned; already ours: no error';

CREATE FUNCTION pgqueue.ensure_workers() RETURNS integer
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_ensure_workers';
COMMENT ON FUNCTION pgqueue.ensure_workers IS
'starts what is due and undoes stop_workers; live workers after it';

CREATE FUNCTION pgqueue.stop_workers(role text DEFAULT NULL, timeout interval DEFAULT '1 minute') RETURNS integer
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_stop_workers';
COMMENT ON FUNCTION pgqueue.stop_workers IS
'running tasks may end until timeout, then they are cancelled and retried; none start until ensure_workers; how many stopped';

CREATE FUNCTION pgqueue.cron_next(cron text, after timestamptz DEFAULT now(), time_zone text DEFAULT NULL, max_slots integer DEFAULT 1)
    RETURNS SETOF timestamptz
    LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 1 AS 'MODULE_PATHNAME', 'pgqueue_cron_next';
COMMENT ON FUNCTION pgqueue.cron_next IS
'next slots';

CREATE FUNCTION pgqueue.cron_valid(cron text) RETURNS boolean
    LANGUAGE C IMMUTABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'pgqueue_cron_valid';
COMMENT ON FUNCTION pgqueue.cron_valid IS
'NULL for NULL';

CREATE FUNCTION pgqueue.version() RETURNS text
    LANGUAGE C STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'pgqueue_version';
COMMENT ON FUNCTION pgqueue.version IS
'version of the library';
