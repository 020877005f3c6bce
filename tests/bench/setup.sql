-- Tables, controls and helpers of the benchmarks; runs as the superuser in database bench.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
CREATE EXTENSION pg_background_queue CASCADE;

-- The plain table beside create_task and create_tasks: what a hand-made queue stores, without any index.
CREATE SEQUENCE plain_id CACHE 100;
CREATE TABLE plain (
    id bigint NOT NULL DEFAULT nextval('plain_id'),
    queue text NOT NULL,
    status smallint NOT NULL DEFAULT 0,
    priority integer NOT NULL DEFAULT 100,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    payload jsonb
) WITH (autovacuum_enabled = off);

-- The rows that the ideal loop updates: fixed width, room for HOT updates, no index.
CREATE TABLE ideal_task (
    id bigint NOT NULL,
    status integer NOT NULL,
    finished_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    payload text NOT NULL
) WITH (fillfactor = 30, autovacuum_enabled = off);
CREATE FUNCTION ideal_loop(workers integer, task_table regclass, group_size integer, tasks bigint)
    RETURNS double precision
    LANGUAGE C STRICT AS 'ideal_loop', 'ideal_loop';
CREATE FUNCTION ideal_wake(rounds integer, pause_ms integer) RETURNS SETOF double precision
    LANGUAGE C STRICT AS 'ideal_loop', 'ideal_wake';

CREATE TABLE latency_created (n integer, xid xid8);
CREATE TABLE latency_ran (n integer, at timestamptz);

-- Waits until a queue has no unfinished task, without a snapshot in between.
CREATE PROCEDURE wait_until_finished(name text) LANGUAGE plpgsql AS $$
BEGIN
    WHILE EXISTS (SELECT FROM pgqueue.queue_status
                  WHERE queue = name AND status IN ('new', 'retry', 'retained') AND count > 0) LOOP
        COMMIT;
        PERFORM pg_sleep(0.1);
        COMMIT;
    END LOOP;
END $$;

-- Creates tasks one by one on an idle server; each notes the clock in its first line.
CREATE PROCEDURE create_for_latency(rounds integer, pause double precision) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. rounds LOOP
        PERFORM pgqueue.create_task('latency',
            command => format('INSERT INTO latency_ran VALUES (%s, clock_timestamp())', i));
        INSERT INTO latency_created VALUES (i, pg_current_xact_id());
        COMMIT;
        PERFORM pg_sleep(pause);
        COMMIT;
    END LOOP;
END $$;

-- The destructive pop, control of the outside workers: a table with the usual
-- index, tasks are deleted as they are taken.
CREATE TABLE ready (
    id bigint PRIMARY KEY DEFAULT nextval('plain_id'),
    queue text NOT NULL DEFAULT 'bench',
    status smallint NOT NULL DEFAULT 0,
    priority integer NOT NULL DEFAULT 100,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    payload jsonb
) WITH (autovacuum_enabled = off);
CREATE INDEX ON ready (priority, id);
CREATE TABLE payload AS SELECT
    '{"customer": 1048576, "address": "somebody@example.org", "template": "welcome", '
    '"locale": "en_GB"}'::jsonb AS payload;
