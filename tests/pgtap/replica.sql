-- L3: session_replication_role = replica silences triggers. Ours on tables fire nevertheless, and a change of a
-- view, which would be lost, is refused.
\set ECHO none
\set QUIET 1
BEGIN;
SELECT no_plan();

SELECT is_empty($$SELECT t.tgrelid::regclass, t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
    WHERE c.relnamespace = 'pgqueue_internal'::regnamespace AND c.relkind = 'r' AND NOT t.tgisinternal
        AND t.tgenabled <> 'A'$$,
    'L3: every trigger on a table of ours fires always');

CREATE TEMP TABLE changed AS
SELECT c.oid::regclass AS name, (SELECT a.attname FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = 1) AS col,
    max(t.tgtype::integer & 4) > 0 AS takes_rows, max(t.tgtype::integer & 16) > 0 AS takes_changes
FROM pg_class c JOIN pg_trigger t ON t.tgrelid = c.oid
WHERE c.relkind = 'v' AND c.relnamespace = 'pgqueue'::regnamespace GROUP BY c.oid;
SELECT cmp_ok((SELECT count(*) FROM changed)::integer, '>=', 6, 'views that can be changed');

CREATE FUNCTION pg_temp.refused(statement text, view regclass) RETURNS text LANGUAGE sql AS
$$SELECT throws_ok(statement, '55000', format('cannot change view "%s" while session_replication_role is replica',
    split_part(view::text, '.', 2)),
    format('L3: %s is refused', left(statement, 60)))$$;
CREATE VIEW pg_temp.mine AS SELECT * FROM pgqueue.queue;
PREPARE change AS UPDATE pgqueue.queue SET priority = 7;

SET session_replication_role = replica;
SELECT pg_temp.refused(format('INSERT INTO %s (%I) VALUES (NULL)', name, col), name) FROM changed WHERE takes_rows;
SELECT pg_temp.refused(format('UPDATE %s SET %I = NULL', name, col), name) FROM changed WHERE takes_changes;
SELECT pg_temp.refused(format('DELETE FROM %s', name), name) FROM changed;
SELECT pg_temp.refused(format('COPY %s FROM ''/dev/null''', name), name) FROM changed WHERE takes_rows;
SELECT pg_temp.refused(format('WITH d AS (DELETE FROM %s RETURNING 1) SELECT count(*) FROM d', name), name)
FROM changed;
SELECT pg_temp.refused('UPDATE pg_temp.mine SET priority = 7', 'pgqueue.queue');
SELECT pg_temp.refused('EXECUTE change', 'pgqueue.queue');
SELECT lives_ok(format('SELECT * FROM %s', name), 'L3: they are read') FROM changed;
SELECT throws_ok('SELECT 1 FROM pgqueue.queue FOR UPDATE', '42501', NULL, 'R3: FOR UPDATE has no right under a view');
CREATE TEMP TABLE other (a integer);
SELECT lives_ok('INSERT INTO other VALUES (1)', 'L3: tables of others are no business of ours');

SET session_replication_role = local;
SELECT lives_ok('EXECUTE change', 'L3: with local as with origin triggers fire');
RESET session_replication_role;
SELECT is((SELECT min(priority) FROM pgqueue.queue WHERE namespace = 'default'),
    (SELECT min(priority) FROM pgqueue_internal.queue q
    JOIN pgqueue_internal.namespace n ON n.id = q.namespace_id WHERE n.name = 'default'),
    'L3: and do what they should');

SELECT * FROM finish();
ROLLBACK;
