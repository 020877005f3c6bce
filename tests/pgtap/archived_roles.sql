-- Fault R4: an archived task belongs to the role that created it. When that role is gone it belongs to nobody, also
-- when a role of its name is made again.
\set ECHO none
\set QUIET 1
BEGIN;
SELECT no_plan();
CREATE EXTENSION IF NOT EXISTS pg_background_queue;

CREATE ROLE tap_dan; CREATE ROLE tap_manager; CREATE ROLE tap_eve;
GRANT pgqueue_user TO tap_dan, tap_manager, tap_eve;
SELECT pgqueue.create_namespace('app'), pgqueue.grant_namespace('app', 'use', 'public'),
    pgqueue.grant_namespace('app', 'manage', 'tap_manager') \g /dev/null
SELECT pgqueue.grant_namespace('pg_background_queue', 'use', 'public'),
    pgqueue.grant_namespace('pg_background_queue', 'manage', 'tap_manager') \g /dev/null

-- As the collector leaves them.
INSERT INTO pgqueue_internal.archive (id, namespace_id, namespace, queue, status, command, payload, headers, result,
    priority, role_id, attempt, retries, created_at,
    started_at, finished_at, error, uncounted)
SELECT nextval('pgqueue_internal.task_id'), n.id, n.name, 'default', 'failed',
    CASE n.name WHEN 'app' THEN NULL ELSE 'SELECT 1' END, '{"p": 1}', '{"h": 1}', '{"r": 1}', 100,
    pgqueue_internal.note_role(r::regrole), 3, 2, now(), now(), now(), 'went wrong', 0
FROM pgqueue_internal.namespace n, unnest('{tap_dan,tap_eve}'::text[]) r WHERE n.name IN ('app', 'pg_background_queue');

CREATE FUNCTION pg_temp.seen_by(role text, query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    EXECUTE format('SET LOCAL ROLE %I', role);
    EXECUTE query INTO result;
    RESET ROLE;
    RETURN result;
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE;
END
$$;
CREATE TEMP TABLE looks AS SELECT * FROM (VALUES
    ('task_archive',
        $$SELECT string_agg(concat_ws(' ', role, payload, headers, result), ', ') FROM pgqueue.task_archive
            WHERE namespace = 'app'$$),
    ('pg_background_tasks',
        $$SELECT string_agg(concat_ws(' ', sql_statement, state, errors), ', ') FROM pg_background_tasks$$)) v (what,
        query);
SELECT is(pg_temp.seen_by('tap_dan', query),
    CASE what WHEN 'task_archive' THEN 'tap_dan {"p": 1} {"h": 1} {"r": 1}' ELSE 'SELECT 1 failed went wrong' END,
    'R4: a role sees its archived task in ' || what) FROM looks;

-- The role goes; another one gets its name, and all rights.
DROP ROLE tap_dan;
SELECT is(pg_temp.seen_by('tap_manager', query),
    CASE what WHEN 'task_archive' THEN 'tap_dan {"p": 1} {"h": 1} {"r": 1}, tap_eve {"p": 1} {"h": 1} {"r": 1}'
    ELSE 'SELECT 1 failed went wrong, SELECT 1 failed went wrong' END,
    'R4: a manager sees the task of a role that is gone in ' || what) FROM looks;
CREATE ROLE tap_dan;
GRANT pgqueue_user TO tap_dan;
SELECT is(pg_temp.seen_by('tap_dan', query), NULL, 'R4: a new role of its name sees nothing of it in ' || what)
FROM looks;
SELECT is(pg_temp.seen_by('tap_dan', 'SELECT count(*) FROM pgqueue.get_task(' || id || ', ''app'')'), '0',
    'R4: nor by get_task') FROM pgqueue_internal.archive
WHERE namespace = 'app' AND pgqueue_internal.role_of(role_id) = 'tap_dan';
ALTER ROLE tap_dan SUPERUSER;

-- Nobody runs it again: not the manager, not a superuser, not the role that has the name.
CREATE TEMP TABLE gone AS SELECT a.id
    FROM pgqueue_internal.archive a
    WHERE a.namespace = 'pg_background_queue' AND pgqueue_internal.role_of(a.role_id) = 'tap_dan';
GRANT SELECT ON gone TO PUBLIC;
SELECT is(pg_temp.seen_by(who,
    'UPDATE pg_background_tasks SET state = ''pending'' WHERE id = (SELECT id FROM gone) RETURNING id'), '42704',
    'R4: the failed command of a role that is gone is not run again by ' || who)
    FROM unnest(ARRAY['tap_manager', 'tap_dan', current_user]) who;
SELECT is((SELECT count(*) FROM pgqueue.task WHERE namespace = 'pg_background_queue' AND role = 'tap_dan'), 0::bigint,
    'R4: no task is made of it');
-- That of one that is there is.
SELECT isnt(pg_temp.seen_by('tap_manager',
    'UPDATE pg_background_tasks SET state = ''pending'' WHERE id NOT IN (SELECT id FROM gone) RETURNING id'), NULL,
    'R4: one of a role that is there is run again');
SELECT is((SELECT string_agg(role || ' ' || status, ', ') FROM pgqueue.task WHERE namespace = 'pg_background_queue'),
    'tap_eve new', 'R4: as its role');

-- A role that is renamed is the same one.
ALTER ROLE tap_eve RENAME TO tap_eva;
SELECT is(pg_temp.seen_by('tap_eva', query), 'tap_eva {"p": 1} {"h": 1} {"r": 1}',
    'R4: a role that is renamed keeps its archived tasks') FROM looks WHERE what = 'task_archive';

SELECT * FROM finish();
ROLLBACK;
