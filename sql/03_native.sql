-- Functions of the library whose types need no view. Those that return the row of a
-- view are in the file of their object.

-- ===== helpers of the SQL modules; nobody has USAGE on their schema =====

-- Raises 55000 when the library is not preloaded, 25006 on a standby or, when it writes, in a read-only transaction.
CREATE FUNCTION pgqueue_internal.check_call(function_name text, writes boolean) RETURNS void
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_internal_check_call';

-- The role that called the function of schema pgqueue that runs now.
CREATE FUNCTION pgqueue_internal.caller() RETURNS oid
    LANGUAGE C STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'pgqueue_internal_caller';

-- Raises 42501 with the missing grant as hint unless the caller has the privilege:
-- use, work, manage, read, owner, admin.
CREATE FUNCTION pgqueue_internal.require(namespace_id integer, privilege text) RETURNS void
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_internal_require';

-- Whether the calling role has the privilege; never raises. see: any of use, work, manage,
-- read, owner or membership in pg_monitor.
CREATE FUNCTION pgqueue_internal.may(namespace_id integer, privilege text) RETURNS boolean
    LANGUAGE C STABLE PARALLEL RESTRICTED COST 1 AS 'MODULE_PATHNAME', 'pgqueue_internal_may';

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

-- Trigger of the views: runs the trigger function of schema pgqueue_internal that its argument names with the rights of
-- the extension's owner, while caller() goes on to name the role that changes the view.
CREATE FUNCTION pgqueue_internal.as_owner() RETURNS trigger
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_internal_as_owner';

-- True when the namespace may have another queue, or may purge one; else 53400.
CREATE FUNCTION pgqueue_internal.check_queue_share(namespace_id integer, purge boolean) RETURNS boolean
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_internal_check_queue_share';

-- Removes all tasks of a queue at once; 55006 when some are retained, which force cancels. Returns how many there were.
CREATE FUNCTION pgqueue_internal.drop_queue_tasks(queue_id integer, force boolean) RETURNS bigint
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_internal_drop_queue_tasks';

-- Changes a task that is not retained; which: the columns to set. False: no such task. The caller's rights decide.
CREATE FUNCTION pgqueue_internal.update_task(id bigint, priority integer, delayed_at timestamptz, dies_at timestamptz,
    retries integer, payload jsonb, headers jsonb, group_key text, queue text, which text[]) RETURNS boolean
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

-- What the outcomes of a task in a segment say: the result of an attempt, and message, SQLSTATE and the rest of the
-- last failed one. The cost has the planner call them late: after ORDER BY and LIMIT where it can.
CREATE FUNCTION pgqueue_internal.outcome_result(slot integer, id bigint, attempt integer) RETURNS jsonb
    LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 100 AS 'MODULE_PATHNAME', 'pgqueue_internal_outcome_result';
CREATE FUNCTION pgqueue_internal.outcome_error(slot integer, id bigint) RETURNS text
    LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 100 AS 'MODULE_PATHNAME', 'pgqueue_internal_outcome_error';
CREATE FUNCTION pgqueue_internal.outcome_error_code(slot integer, id bigint) RETURNS text
    LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 100 AS 'MODULE_PATHNAME', 'pgqueue_internal_outcome_error_code';
CREATE FUNCTION pgqueue_internal.outcome_error_info(slot integer, id bigint) RETURNS jsonb
    LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 100 AS 'MODULE_PATHNAME', 'pgqueue_internal_outcome_error_info';

-- Live workers of this database, whosoever.
CREATE FUNCTION pgqueue_internal.workers()
    RETURNS TABLE (worker text, kind text, pid integer, role_id integer, queue_id integer,
    task_id bigint, attempt integer, state text, since timestamptz, lease_until timestamptz,
    cpu_seconds double precision, progress double precision, progress_note text,
    wal_bytes bigint, blocks_hit bigint, blocks_read bigint, blocks_dirtied bigint, temp_bytes bigint)
    LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 10 AS 'MODULE_PATHNAME', 'pgqueue_internal_workers';

-- Outside workers of this database, whosoever: those that hold a task, and sessions that wait for one. role: its oid.
CREATE FUNCTION pgqueue_internal.outside_workers()
    RETURNS TABLE (worker text, pid integer, role oid, namespace_id integer, queue_id integer,
    task_id bigint, type text, attempt integer, state text, since timestamptz, lease_until timestamptz)
    LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 100 AS 'MODULE_PATHNAME', 'pgqueue_internal_outside_workers';

-- How full the shared memory of the cluster is, and what the namespaces of this database have of it.
CREATE FUNCTION pgqueue_internal.memory()
    RETURNS TABLE (kind text, namespace_id integer, used bigint, capacity bigint, comment text)
    LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 30 AS 'MODULE_PATHNAME', 'pgqueue_internal_memory';

-- Whether a segment is condemned now, whatever the snapshot shows.
CREATE FUNCTION pgqueue_internal.is_condemned(slot smallint) RETURNS boolean
    LANGUAGE C STABLE STRICT PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'pgqueue_internal_is_condemned';

-- Whether this session, or one of a role of the caller's, holds the task as outside worker under this receipt.
CREATE FUNCTION pgqueue_internal.is_held(id bigint, receipt bigint) RETURNS boolean
    LANGUAGE C STABLE STRICT PARALLEL RESTRICTED COST 10 AS 'MODULE_PATHNAME', 'pgqueue_internal_is_held';

-- What is wrong in this database; queue_id and namespace_id NULL: not of one of them. problems: how many of its kind
-- the row stands for, of which it is the first.
CREATE FUNCTION pgqueue_internal.problems()
    RETURNS TABLE (severity text, problem text, namespace_id integer, queue_id integer, message text,
    hint text, pid integer, since timestamptz, problems bigint)
    LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 5 AS 'MODULE_PATHNAME', 'pgqueue_internal_problems';

-- Tasks that may have been quarantined (PQ103) or have found no handler (PQ104) lately;
-- their rows say whether it is still so.
CREATE FUNCTION pgqueue_internal.incidents() RETURNS TABLE (error_code text, task_id bigint)
    LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 10 AS 'MODULE_PATHNAME', 'pgqueue_internal_incidents';

-- One pass of the collector of segments, for tests; returns when it is done.
CREATE FUNCTION pgqueue_internal.clean(segment_limit bigint, at timestamptz) RETURNS void
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_internal_clean';

-- What shared memory says is taken, for tests. namespace, queue: running; groups: held tasks of groups of
-- a queue; lease, hold: one each, with task, receipt and process; worker: its slot; role, cluster:
-- workers. id: of the namespace, queue or role.
CREATE FUNCTION pgqueue_internal.places()
    RETURNS TABLE (kind text, id integer, task_id bigint, receipt bigint, pid integer, taken bigint)
    LANGUAGE C PARALLEL RESTRICTED ROWS 100 AS 'MODULE_PATHNAME', 'pgqueue_internal_places';

-- Tells the launcher of this database and, outside a restore, makes it the real one.
CREATE FUNCTION pgqueue_internal.register_database() RETURNS void
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_internal_register_database';

-- ===== what users call =====

CREATE FUNCTION pgqueue.create_task(queue text, payload jsonb DEFAULT NULL, type text DEFAULT NULL,
    command text DEFAULT NULL, priority integer DEFAULT NULL, delay interval DEFAULT NULL,
    delayed_at timestamptz DEFAULT NULL, ttl interval DEFAULT NULL, retries integer DEFAULT NULL,
    run_limit interval DEFAULT NULL, dedup_key text DEFAULT NULL, dedup_for interval DEFAULT NULL,
    on_conflict text DEFAULT 'skip', group_key text DEFAULT NULL, batch_key text DEFAULT NULL,
    depends_on bigint[] DEFAULT NULL, depends_on_batch text DEFAULT NULL, on_failed_dependency text DEFAULT 'cancel',
    headers jsonb DEFAULT NULL, namespace text DEFAULT NULL) RETURNS bigint
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_create_task';
COMMENT ON FUNCTION pgqueue.create_task IS
'Creates a task and returns its id. Give payload, type or command; command goes with payload but not with type. '
'delay or delayed_at says when it is due (NULL: at once); priority, ttl, retries and run_limit are those of the '
'queue where NULL, and a ttl of 0 has no end. While an unfinished task has the same dedup_key, on_conflict decides: '
'skip returns its id, nothing returns NULL, replace overwrites it, error raises PQ002. Raises PQ003 at max_depth, '
'53400 at a limit of the namespace, 42704 for an unknown queue or dependency, 22004 without content, 22023 for a '
'wrong value. Needs the privilege use.';

CREATE FUNCTION pgqueue.create_tasks(queue text, payloads jsonb[] DEFAULT NULL, type text DEFAULT NULL,
    commands text[] DEFAULT NULL, priority integer DEFAULT NULL, delay interval DEFAULT NULL,
    delayed_at timestamptz DEFAULT NULL, ttl interval DEFAULT NULL, retries integer DEFAULT NULL,
    run_limit interval DEFAULT NULL, dedup_keys text[] DEFAULT NULL, dedup_for interval DEFAULT NULL,
    on_conflict text DEFAULT 'skip', group_keys text[] DEFAULT NULL, batch_key text DEFAULT NULL,
    depends_on bigint[] DEFAULT NULL, depends_on_batch text DEFAULT NULL, on_failed_dependency text DEFAULT 'cancel',
    headers jsonb DEFAULT NULL, namespace text DEFAULT NULL) RETURNS SETOF bigint
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_create_tasks';
COMMENT ON FUNCTION pgqueue.create_tasks IS
'Creates a task for each element of payloads or commands and returns the ids in that order; an id is NULL where '
'on_conflict is nothing and the key is taken. The arrays that are given have equal lengths, else 22023; NULL in '
'dedup_keys or group_keys means a task without that key. The other arguments hold for all of the tasks, mean the '
'same as in create_task, and raise the same errors. Empty arrays create nothing. Needs the privilege use.';

CREATE FUNCTION pgqueue.cancel_task(id bigint, reason text DEFAULT NULL, force boolean DEFAULT false,
    namespace text DEFAULT NULL) RETURNS text
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_cancel_task';
COMMENT ON FUNCTION pgqueue.cancel_task IS
'Cancels a task and returns its status after the call. A waiting task, and one that an outside worker holds, is '
'cancelled at once; the worker gets PQ004 at its next call. For a task that runs in the server the commit of the '
'call cancels the statement, or with force terminates the worker process, and the call returns retained. A finished '
'task does not change. A running task that cancels itself keeps its work and is cancelled when it ends. reason '
'becomes the error of the task. Raises 42704 for an unknown task. Needs the privilege manage, or use for the '
'caller''s own tasks.';

CREATE FUNCTION pgqueue.retry_task(id bigint, delay interval DEFAULT '0', namespace text DEFAULT NULL) RETURNS text
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_retry_task';
COMMENT ON FUNCTION pgqueue.retry_task IS
'Makes a task due delay from now (default: at once) and returns its status, new or retry. A failed, expired or '
'cancelled task gets fresh retries and a fresh ttl. Raises 55000 for a released or retained task, PQ002 while an '
'unfinished task has its dedup key, 42704 for an unknown task. Needs the privilege manage, or use for the caller''s '
'own tasks.';

CREATE FUNCTION pgqueue.run_task(id bigint, namespace text DEFAULT NULL) RETURNS text
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_run_task';
COMMENT ON FUNCTION pgqueue.run_task IS
'Runs a waiting task with a command, or of a queue with executor server, here and now in the session and '
'transaction of the caller, for tests and debugging. The task may be uncommitted, not due or paused. Returns its '
'status after the run; a failure is recorded in the task and aborts nothing. A run as another role than that of the '
'session leaves nothing in the session. Raises 55000 for a task that does not wait, 0A000 for a task of outside '
'workers, 25001 for a command that cannot run in a transaction block, 42704 for an unknown task or a missing role. '
'Needs the privilege use, and the right to SET ROLE to the creator of the task and to the role of its handler '
'(42501).';

CREATE FUNCTION pgqueue.progress(done double precision, total double precision DEFAULT 1, note text DEFAULT NULL)
    RETURNS void
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_progress';
COMMENT ON FUNCTION pgqueue.progress IS
'Reports in the view worker how far the running task is: done of total (default 1), and a note of at most 127 bytes '
'(longer ones are cut). Outside of a worker process of pgqueue it does nothing. done must be 0 or more and total '
'more than 0, else 22023; done must not be NULL (22004). Needs no privilege.';

CREATE PROCEDURE pgqueue.wait_for_result(id bigint, timeout interval DEFAULT '1 minute', namespace text DEFAULT NULL,
    INOUT status text DEFAULT NULL, INOUT result jsonb DEFAULT NULL, INOUT error text DEFAULT NULL)
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_wait_for_result';
COMMENT ON PROCEDURE pgqueue.wait_for_result IS
'Waits until a task is finished, at most timeout (default 1 minute), and sets status, result and error; they are '
'NULL at the timeout. It holds no snapshot while it waits: in a transaction block, in a function and in REPEATABLE '
'READ or SERIALIZABLE it raises 25001. Raises 42704 for a task that the caller does not see. Needs the right to see '
'the task, as get_task does.';

CREATE FUNCTION pgqueue.adopt() RETURNS void
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_adopt';
COMMENT ON FUNCTION pgqueue.adopt IS
'Starts the dispatch of tasks, when the caller commits, in a database that was restored, copied or cloned. In a '
'database that is served already it changes nothing. Needs membership in pgqueue_admin.';

CREATE FUNCTION pgqueue.ensure_workers() RETURNS integer
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_ensure_workers';
COMMENT ON FUNCTION pgqueue.ensure_workers IS
'Undoes stop_workers, starts workers for the tasks that are ready, and returns the number of live workers of this '
'database. It waits at most a second for their start. Raises 53000 when the launcher is missing and no process slot '
'is free for it. Needs membership in pgqueue_admin.';

CREATE FUNCTION pgqueue.stop_workers(role text DEFAULT NULL, timeout interval DEFAULT '1 minute') RETURNS integer
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_stop_workers';
COMMENT ON FUNCTION pgqueue.stop_workers IS
'Stops the workers of this database, or with role only those of that role, and returns how many have ended. Running '
'tasks may end until timeout (default 1 minute); then they are cancelled and retried, which may take up to 10 more '
'seconds. Without role no worker starts until ensure_workers is called. Raises 42704 for an unknown role. Needs '
'membership in pgqueue_admin.';

CREATE FUNCTION pgqueue.cron_next(cron text, after timestamptz DEFAULT now(), time_zone text DEFAULT NULL,
    max_slots integer DEFAULT 1)
    RETURNS SETOF timestamptz
    LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 1 AS 'MODULE_PATHNAME', 'pgqueue_cron_next';
COMMENT ON FUNCTION pgqueue.cron_next IS
'Returns the next slots of a cron text, in order and strictly after a time: at most max_slots (1 to 10000), fewer '
'when there are no more. time_zone NULL means the TimeZone of the session; a zone at the beginning of the text has '
'precedence. Raises 22023 for a text, zone or number that is not valid, 22004 when cron is NULL. Needs no '
'privilege.';

CREATE FUNCTION pgqueue.cron_valid(cron text) RETURNS boolean
    LANGUAGE C IMMUTABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'pgqueue_cron_valid';
COMMENT ON FUNCTION pgqueue.cron_valid IS
'Returns whether a cron text, with the time zone that it may begin with, is valid; NULL for NULL. Needs no '
'privilege.';

CREATE FUNCTION pgqueue.version() RETURNS text
    LANGUAGE C STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'pgqueue_version';
COMMENT ON FUNCTION pgqueue.version IS
'Returns the version of the loaded library. Needs no privilege.';
