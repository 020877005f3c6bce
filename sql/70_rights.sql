-- Who may do what. PUBLIC has nothing; pgqueue_user may call everything, the
-- namespace's grants decide what comes of it.

-- Statements reach what is under a view with the rights of its owner: a role that may read the tables and nothing else,
-- so that nobody can lock them or their rows through a view (docs/internals/rights.md). The owner comes before the
-- grants, which a dump takes for the original ones then.
DO $make$
DECLARE
    v record;
BEGIN
    FOR v IN
        SELECT c.relname AS name FROM pg_catalog.pg_class c
        WHERE c.relnamespace = 'pgqueue'::pg_catalog.regnamespace AND c.relkind = 'v'
    LOOP
        EXECUTE pg_catalog.format('ALTER VIEW pgqueue.%I OWNER TO pgqueue_views', v.name);
    END LOOP;
END
$make$;

REVOKE ALL ON SCHEMA pgqueue, pgqueue_internal FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA pgqueue, pgqueue_internal FROM PUBLIC;
REVOKE ALL ON ALL ROUTINES IN SCHEMA pgqueue, pgqueue_internal FROM PUBLIC;

GRANT SELECT ON ALL TABLES IN SCHEMA pgqueue_internal TO pgqueue_views;
-- Both are known by their names: as long as they have rights here nobody can drop
-- them and make others of the same names.
GRANT USAGE ON SCHEMA pgqueue TO pgqueue_user, pgqueue_admin;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA pgqueue TO pgqueue_user;
GRANT SELECT ON ALL TABLES IN SCHEMA pgqueue TO pgqueue_user;
GRANT INSERT, UPDATE, DELETE ON pgqueue.namespace, pgqueue.queue, pgqueue.handler, pgqueue.ticker, pgqueue.task
    TO pgqueue_user;
GRANT DELETE ON pgqueue.task_archive TO pgqueue_user;

-- What the views call on behalf of the role that reads them. Without USAGE on the schema nobody can name them.
GRANT EXECUTE ON FUNCTION
    pgqueue_internal.shown(anyelement), pgqueue_internal.may(integer, text),
    pgqueue_internal.may_see_archived(integer, integer), pgqueue_internal.may_see_statistics(integer),
    pgqueue_internal.may_see_task(integer, integer, smallint, bigint, bigint),
    pgqueue_internal.is_condemned(smallint), pgqueue_internal.is_mine(integer),
    pgqueue_internal.role_name(oid, text), pgqueue_internal.role_of(integer), pgqueue_internal.nobody(text),
    pgqueue_internal.queue_counts(), pgqueue_internal.queue_statistics(),
    pgqueue_internal.type_statistics(), pgqueue_internal.role_statistics(), pgqueue_internal.metrics(),
    pgqueue_internal.sparkline(bigint[]),
    pgqueue_internal.workers(), pgqueue_internal.outside_workers(), pgqueue_internal.memory(),
    pgqueue_internal.is_held(bigint, bigint), pgqueue_internal.problems(),
    pgqueue_internal.incidents(), pgqueue_internal.reasons(bigint, text), pgqueue_internal.current_task_id(),
    pgqueue_internal.handler_trouble(text, text, oid, oid, integer),
    pgqueue_internal.outcome_result(integer, bigint, integer),
    pgqueue_internal.outcome_error(integer, bigint), pgqueue_internal.outcome_error_code(integer, bigint),
    pgqueue_internal.outcome_error_info(integer, bigint)
TO pgqueue_user, pg_monitor;

-- Who monitors needs no other role: statistics, and no word of a task's content.
GRANT USAGE ON SCHEMA pgqueue TO pg_monitor;
GRANT SELECT ON pgqueue.queue_status, pgqueue.queue_stat, pgqueue.type_stat, pgqueue.worker_stat, pgqueue.stat_history,
    pgqueue.slow_task,
    pgqueue.metric, pgqueue.top, pgqueue.worker, pgqueue.health, pgqueue.memory TO pg_monitor;
GRANT EXECUTE ON FUNCTION pgqueue.prometheus(boolean) TO pg_monitor;
