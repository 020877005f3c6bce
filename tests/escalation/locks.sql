
-- 8. No statement on a view locks more than reading does: neither what is under it (R2, R3) nor the view itself.
CREATE FUNCTION pg_temp.locked_by(role text, statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    EXECUTE format('SET LOCAL ROLE %I', role);
    EXECUTE statement;
    RESET ROLE;
    SELECT string_agg(DISTINCT format('%s %s', l.relation::regclass, l.mode), ', ') INTO result
    FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
    WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.mode <> 'AccessShareLock'
        AND c.relnamespace IN ('pgqueue'::regnamespace, 'pgqueue_internal'::regnamespace, 'pg_catalog'::regnamespace)
        AND NOT (c.relkind = 'v' AND l.mode = 'RowShareLock');
    RAISE EXCEPTION USING ERRCODE = 'TAP00';
EXCEPTION
    WHEN SQLSTATE 'TAP00' THEN RETURN coalesce(result, 'nothing');
    WHEN insufficient_privilege OR feature_not_supported OR wrong_object_type THEN RETURN 'nothing';
    WHEN OTHERS THEN RETURN format('%s: %s', sqlstate, sqlerrm);
END
$$;
CREATE VIEW esc_evil.locks AS SELECT t.id, q.queue FROM pgqueue.task t, pgqueue.queue q, pgqueue.namespace n;
GRANT ALL ON esc_evil.locks TO PUBLIC;
ALTER VIEW esc_evil.locks OWNER TO esc_use;
SELECT is(pg_temp.locked_by('esc_' || who, format(statement, view)), 'nothing',
    format('R2, R3: %s: ' || statement, who, view))
FROM unnest('{nobody,read,owner,admin}'::text[]) who,
    (SELECT DISTINCT pg_temp.full_name(view) FROM view_rule UNION SELECT 'esc_evil.locks') v (view),
    unnest(ARRAY['LOCK TABLE %s IN SHARE MODE', 'LOCK TABLE %s', 'SELECT FROM %s FOR UPDATE',
        'SELECT FROM %s FOR SHARE NOWAIT',
        'WITH w AS (SELECT 1 FROM %s FOR KEY SHARE) SELECT FROM w']) statement;

-- 9. A receipt that is not the task's locks nothing: else anybody could hold up whoever has the task.
SELECT is(pg_temp.locked_by('esc_' || who, format(call, id)), 'nothing',
    format('T1: %s: %s of task %s', who, call, what))
FROM unnest('{read,use,work,owner,admin}'::text[]) who,
    (VALUES (:held, 'held'), (:waiting, 'waiting'), (:failed, 'failed'), (:elsewhere, 'of another namespace'))
        t (id, what),
    unnest(ARRAY['SELECT pgqueue.release_tasks(ARRAY[%s], ARRAY[1], skip_lost => true)',
        'SELECT pgqueue.fail_tasks(ARRAY[%s], ARRAY[1], skip_lost => true)',
        'SELECT pgqueue.extend_tasks(ARRAY[%s], ARRAY[1], skip_lost => true)',
        'SELECT pgqueue.snooze_tasks(ARRAY[%s], ARRAY[1], ''1 s'', skip_lost => true)']) call;
