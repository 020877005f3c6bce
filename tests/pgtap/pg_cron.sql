-- import_pg_cron where there is no pg_cron: what its schedules and names become, and bad calls. With
-- the real one: tests/tap/072_pg_cron.pl.
\set ECHO none
\set QUIET 1
BEGIN;
SELECT no_plan();

-- A schedule as pgqueue has it, or why not.
CREATE FUNCTION pg_temp.translated(schedule text, match_both boolean) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT coalesce(s.cron, 'every ' || s.period)
        FROM pgqueue_internal.pg_cron_schedule(schedule, match_both) s);
EXCEPTION WHEN invalid_parameter_value THEN
    RETURN sqlerrm;
END
$$;
CREATE TEMP TABLE translation (schedule text, wanted text, match_both boolean DEFAULT false);
INSERT INTO translation (schedule, wanted) VALUES
    ('*/5 * * * *', '*/5 * * * *'), (E' 0\t3  1,15 Jan-mar MON-fri ', '0 3 1,15 Jan-mar MON-fri'),
    ('00 09 * * *', '00 09 * * *'),
    -- Sunday.
    ('0 0 * * 7', '0 0 * * 0'), ('0 0 * * 5-7', '0 0 * * 0,5,6'), ('0 0 * * 1-7/2', '0 0 * * 0,1,3,5'),
    ('0 0 * * 0-7', '0 0 * * *'), ('0 0 * * 7,sun', '0 0 * * 0'), ('0 0 * * */7', '0 0 * * 0'),
    -- E12: a step above the highest number of the field is met once in each range.
    ('0 16-23/24 * * *', '0 16-23/24 * * *'), ('*/60 * * * *', '*/60 * * * *'), ('0 0 1-9/99 * *', '0 0 1-9/99 * *'),
    ('0 16-23/0 * * *', 'schedule field "16-23/0" is not understood'),
    -- The last day of the month.
    ('0 0 $ * *', '0 0 L * *'), ('0 0 $ * 1', '0 0 L * 1'), ('0 0 L * *', 'schedule field "L" is not understood'),
    -- Both day fields: one is enough, unless one of them begins with a star.
    ('0 0 13 * 5', '0 0 13 * 5'), ('0 0 1-31 * 5', '0 0 * * *'), ('0 0 13 * 0-6', '0 0 * * *'),
    ('0 0 1,* * 5', '0 0 * * *'), ('0 0 *,1 * 5', '0 0 * * 5'), ('0 0 */1 * 5', '0 0 * * 5'),
    ('0 0 */2 * *', '0 0 */2 * *'), ('0 0 13 * 1,*', '0 0 * * *'), ('0 0 13 * *,1', '0 0 13 * *'),
    ('0 0 */2 * 7', 'days that match "*/2" as day of month and "7" as day of week at once cannot be named'),
    ('0 0 13 * */2', 'days that match "13" as day of month and "*/2" as day of week at once cannot be named'),
    -- Periods and words.
    ('10 seconds', 'every 00:00:10'), (' 1 SECOND', 'every 00:00:01'), ('59seconds', 'every 00:00:59'),
    ('0 seconds', 'schedule "0 seconds" is not understood'), ('60 seconds', 'schedule "60 seconds" is not understood'),
    ('@daily', '@daily'), ('@hourly at once', '@hourly'), ('@reboot', '"@reboot" has no time'),
    ('@restart', '"@restart" has no time'), ('@Daily', 'schedule "@Daily" is not understood'),
    -- What pg_cron does not read to its end.
    ('0 0 * * 1 2', '0 0 * * 1'), ('0 0 * * 5#2', 'schedule field "5#2" is not understood'),
    ('0 22-5 * * *', 'range "22-5" runs backwards'), ('0 0 * * fri-sun', 'range "fri-sun" runs backwards'),
    -- Nonsense.
    ('', 'schedule "" is not understood'), ('* * * *', 'schedule "* * * *" is not understood'),
    ('60 * * * *', 'schedule field "60" is not understood'), ('* 24 * * *', 'schedule field "24" is not understood'),
    ('* * 0 * *', 'schedule field "0" is not understood'), ('* * 32 * *', 'schedule field "32" is not understood'),
    ('* * * 13 *', 'schedule field "13" is not understood'), ('* * * * 8', 'schedule field "8" is not understood'),
    ('*/0 * * * *', 'schedule field "*/0" is not understood'),
    ('1/5 * * * *', 'schedule field "1/5" is not understood'),
    (', * * * *', 'schedule field "," is not understood'), ('1, * * * *', 'schedule field "1," is not understood'),
    ('mon * * * *', 'schedule field "mon" is not understood'),
    ('* * * mon *', 'schedule field "mon" is not understood'),
    ('-1 * * * *', 'schedule field "-1" is not understood'),
    ('1-2-3 * * * *', 'schedule field "1-2-3" is not understood'),
    ('99999999999 * * * *', 'schedule field "99999999999" is not understood');
-- With cron.match_dom_and_dow.
INSERT INTO translation VALUES
    ('0 0 13 * 5', 'days that match "13" as day of month and "5" as day of week at once cannot be named', true),
    ('0 0 1-31 * 5', '0 0 * * 5', true), ('0 0 13 * 0-6', '0 0 13 * *', true), ('0 0 13 * *', '0 0 13 * *', true),
    ('0 0 $ * 1', 'days that match "$" as day of month and "1" as day of week at once cannot be named', true);
SELECT is(pg_temp.translated(schedule, match_both), wanted, format('schedule "%s"', schedule)) FROM translation;
SELECT is_empty($$SELECT wanted FROM translation WHERE wanted ~ '^[0-9@*]' AND NOT pgqueue.cron_valid(wanted)$$,
    'what comes out is valid');

-- Names.
SELECT is(pgqueue_internal.pg_cron_ticker_name(1, '7', job_name), wanted, format('job name "%s"', job_name))
FROM (VALUES ('nightly', 'nightly'), (' Nightly  Report! ', 'nightly-report'), ('a_b-c', 'a_b-c'),
    ('7 days', 'cron-7-days'), ('_x', 'cron-x'), ('ночь', 'cron-7'), ('', 'cron-7'), ('-', 'cron-7'), (NULL, 'cron-7'),
    (repeat('x', 70), repeat('x', 64))) n (job_name, wanted);
SELECT pgqueue.create_ticker('nightly', period => '1 hour', description => 'pg_cron job 3'),
    pgqueue.create_ticker('mine', period => '1 hour'),
    pgqueue.create_ticker(repeat('x', 64), period => '1 hour', description => 'pg_cron job 33: X'),
    pgqueue.create_ticker('renamed', period => '1 hour', description => 'pg_cron job 5'),
    pgqueue.create_ticker('nightly-8', period => '1 hour') \g /dev/null
SET LOCAL client_min_messages = warning;
SELECT is(pgqueue_internal.pg_cron_ticker_name(1, job_id, job_name), wanted,
    format('job %s named "%s" beside others', job_id, job_name))
FROM (VALUES ('7', 'nightly', 'nightly-7'), ('3', 'nightly', NULL), ('3', 'moved', NULL), ('7', 'mine', NULL),
    ('5', 'nightly', NULL), ('8', 'nightly', NULL), ('123', repeat('x', 70), repeat('x', 60) || '-123')) n (job_id,
    job_name, wanted);

-- Bad calls.
SELECT throws_ok($$SELECT pgqueue.import_pg_cron(NULL)$$, '22004', NULL, 'queue NULL');
SELECT throws_ok($$SELECT pgqueue.import_pg_cron('a b')$$, '42602', NULL, 'not a name');
SELECT throws_ok($$SELECT pgqueue.import_pg_cron('nosuch')$$, '42704',
    'queue "nosuch" does not exist in namespace "default"', 'no such queue');
SELECT throws_ok($$SELECT pgqueue.import_pg_cron('q', namespace => 'nosuch')$$, '42704',
    'namespace "nosuch" does not exist', 'no such namespace');
SELECT throws_ok($$SELECT pgqueue.import_pg_cron('q', namespace => 'pgqueue')$$, '42939', NULL,
    'the system''s namespace');
SELECT pgqueue.create_queue('q') \g /dev/null
SELECT throws_ok(format('SELECT pgqueue.import_pg_cron(%L, %L)', 'q', dry_run), '55000',
    'extension "pg_cron" is not installed in this database', 'no pg_cron')
FROM unnest('{NULL,true,false}'::boolean[]) dry_run;

SELECT * FROM finish();
ROLLBACK;
