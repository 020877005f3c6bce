-- 7. A superuser tries a task of somebody else in his own session (run_task): nothing of it is left there, nothing of
-- it runs as him (R1).
SET ROLE esc_use;
CREATE FUNCTION esc_evil.fire() RETURNS trigger
    LANGUAGE plpgsql AS $$BEGIN INSERT INTO esc_evil.caught VALUES ('trigger'); RETURN NULL; END$$;
CREATE TABLE esc_evil.deferred (i integer);
CREATE CONSTRAINT TRIGGER t AFTER INSERT ON esc_evil.deferred DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION esc_evil.fire();
CREATE FUNCTION esc_evil.watch(what text) RETURNS integer
    LANGUAGE plpgsql AS $$BEGIN INSERT INTO esc_evil.caught VALUES ($1); RETURN 1; END$$;
CREATE TEMP TABLE debug AS SELECT pgqueue.create_task('run', command => command, delay => '1 day',
    namespace => 'esc') AS id, command FROM (VALUES
    ('INSERT INTO esc_evil.deferred VALUES (1)'),
    ('DECLARE kept CURSOR WITH HOLD FOR SELECT esc_evil.watch(''cursor'') FROM generate_series(1, 3)'),
    ('CREATE TEMP VIEW accounts AS SELECT esc_evil.watch(''view'') AS id'),
    ('CREATE FUNCTION pg_temp.lower(text) RETURNS text LANGUAGE sql AS '
        '''SELECT esc_evil.watch(''''temporary function'''')::text'''),
    ('SET search_path = esc_evil, pg_catalog'),
    ('SET LOCAL search_path = esc_evil, pg_catalog'),
    ('PREPARE kept AS SELECT esc_evil.watch(''prepared'')'),
    ('SET ROLE postgres; SELECT esc_evil.watch(''SET ROLE'')'),
    ('RESET ROLE; SELECT esc_evil.watch(''RESET ROLE'')'),
    ('RESET SESSION AUTHORIZATION; SELECT esc_evil.watch(''RESET SESSION AUTHORIZATION'')'),
    ('DO $$BEGIN PERFORM set_config(''role'', ''postgres'', false); PERFORM esc_evil.watch(''set_config''); END$$'),
    ('LISTEN kept'),
    ('SELECT pg_advisory_lock(28784)')) v (command);
RESET ROLE;
-- What a session has that a task could have left.
CREATE FUNCTION pg_temp.left_over() RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', current_user, session_user, current_setting('search_path'),
        (SELECT string_agg(name, ',') FROM pg_cursors WHERE name = 'kept'),
        (SELECT string_agg(name, ',') FROM pg_prepared_statements WHERE name = 'kept'),
        to_regclass('pg_temp.accounts'), to_regprocedure('pg_temp.lower(text)'),
            (SELECT string_agg(c, ',') FROM pg_listening_channels() c),
            (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 28784 AND pid = pg_backend_pid()))
$$;
SELECT pg_temp.left_over() AS clean \gset
-- Each in a transaction of its own, which commits: deferred triggers have fired then.
CREATE PROCEDURE pg_temp.debug_all() LANGUAGE plpgsql AS $$
DECLARE
    t record;
BEGIN
    FOR t IN SELECT * FROM pg_temp.debug LOOP
        BEGIN
            PERFORM pgqueue.run_task(t.id);
        EXCEPTION WHEN OTHERS THEN
            NULL;
        END;
        COMMIT;
    END LOOP;
END
$$;
CALL pg_temp.debug_all();
SELECT is(pg_temp.left_over(), :'clean'::text, 'R1: the session is as it was');
SELECT is_empty($$SELECT what, who FROM esc_evil.caught WHERE who <> 'esc_use'$$,
    'R1: nothing of the tasks ran as the caller');
DELETE FROM esc_evil.caught;
-- The same with a handler of another role, whose result becomes jsonb.
SELECT pgqueue.create_task('srv', '1', type => 'bait', delay => '1 day', namespace => 'esc') AS bait \gset
SELECT pg_temp.answer('postgres', 'SELECT pgqueue.run_task(' || :bait || ')') \g /dev/null
SELECT pgqueue.run_task(:bait) \g /dev/null
SELECT is_empty($$SELECT what, who FROM esc_evil.caught WHERE who <> 'esc_manage'$$,
    'R1: a handler and the cast of its result run as its role');
