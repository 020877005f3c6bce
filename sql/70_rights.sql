-- Who may do what. PUBLIC has nothing; pgqueue_user may call everything, the namespace's grants decide what comes of it.

REVOKE ALL ON SCHEMA pgqueue, pgqueue_internal FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA pgqueue, pgqueue_internal FROM PUBLIC;
REVOKE ALL ON ALL ROUTINES IN SCHEMA pgqueue, pgqueue_internal FROM PUBLIC;

GRANT USAGE ON SCHEMA pgqueue TO pgqueue_user;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA pgqueue TO pgqueue_user;
GRANT SELECT ON ALL TABLES IN SCHEMA pgqueue TO pgqueue_user;
GRANT INSERT, UPDATE, DELETE ON pgqueue.namespace, pgqueue.queue, pgqueue.handler, pgqueue.ticker, pgqueue.task TO pgqueue_user;
GRANT DELETE ON pgqueue.task_archive TO pgqueue_user;

-- What the views call on behalf of the role that reads them. Without USAGE on the schema nobody can name them.
GRANT EXECUTE ON FUNCTION
    pgqueue_internal.may(integer, text), pgqueue_internal.is_mine(integer), pgqueue_internal.role_name(oid, text),
    pgqueue_internal.role_of(integer), pgqueue_internal.nobody(text),
    pgqueue_internal.queue_counts(), pgqueue_internal.workers(), pgqueue_internal.outside_workers(),
    pgqueue_internal.memory(), pgqueue_internal.is_held(bigint, bigint), pgqueue_internal.problems(), pgqueue_internal.incidents(), pgqueue_internal.reasons(bigint, text),
    pgqueue_internal.current_task_id(), pgqueue_internal.handler_trouble(text, text, oid, oid),
    pgqueue_internal.outcome_result(integer, bigint, integer), pgqueue_internal.outcome_error(integer, bigint),
    pgqueue_internal.outcome_error_code(integer, bigint), pgqueue_internal.outcome_error_info(integer, bigint)
TO pgqueue_user;
