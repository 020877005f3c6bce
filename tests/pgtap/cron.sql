-- Cron texts in SQL (rows B36 to B41): cron_next and cron_valid. What each form of text means is in unit tests; here
-- are arguments, errors, time zones as the server has them.
\set ECHO none
\set QUIET 1
BEGIN;
SELECT no_plan();
SET LOCAL TimeZone = 'UTC';
-- The slots after a time, as text in their zone.
CREATE FUNCTION pg_temp.slots(cron text, after timestamptz, zone text, n integer DEFAULT 1) RETURNS text
    LANGUAGE sql AS $$
    SELECT string_agg(to_char(s AT TIME ZONE zone, 'YYYY-MM-DD HH24:MI:SS'), ', ' ORDER BY s)
    FROM pgqueue.cron_next(cron, after, zone, n) s $$;
-- SQLSTATE, message, detail and hint of what a statement raises.
CREATE FUNCTION pg_temp.raised(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    said text;
    detail text;
    hint text;
BEGIN
    EXECUTE statement;
    RETURN 'nothing';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS said = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(E'\n', sqlstate, said, detail, hint);
END
$$;

-- Each form once.
SELECT is(pg_temp.slots(cron, '2026-01-01 00:00Z', 'UTC', 3), slots, format('%s %s', row, cron)) FROM (VALUES
    ('B36', '0 * * * *', '2026-01-01 01:00:00, 2026-01-01 02:00:00, 2026-01-01 03:00:00'),
    ('B36', '30 6 1 4 *', '2026-04-01 06:30:00, 2027-04-01 06:30:00, 2028-04-01 06:30:00'),
    ('B37', '*/15 9-17 ? JAN,jul MON-FRI', '2026-01-01 09:00:00, 2026-01-01 09:15:00, 2026-01-01 09:30:00'),
    ('B37', '50/4,1 * * * *', '2026-01-01 00:01:00, 2026-01-01 00:50:00, 2026-01-01 00:54:00'),
    ('B37', '0 0 1 oct-Dec/2 *', '2026-10-01 00:00:00, 2026-12-01 00:00:00, 2027-10-01 00:00:00'),
    ('B38', '@yearly', '2027-01-01 00:00:00, 2028-01-01 00:00:00, 2029-01-01 00:00:00'),
    ('B38', '@annually', '2027-01-01 00:00:00, 2028-01-01 00:00:00, 2029-01-01 00:00:00'),
    ('B38', '@monthly', '2026-02-01 00:00:00, 2026-03-01 00:00:00, 2026-04-01 00:00:00'),
    ('B38', '@weekly', '2026-01-04 00:00:00, 2026-01-11 00:00:00, 2026-01-18 00:00:00'),
    ('B38', '@daily', '2026-01-02 00:00:00, 2026-01-03 00:00:00, 2026-01-04 00:00:00'),
    ('B38', '@midnight', '2026-01-02 00:00:00, 2026-01-03 00:00:00, 2026-01-04 00:00:00'),
    ('B38', '@hourly', '2026-01-01 01:00:00, 2026-01-01 02:00:00, 2026-01-01 03:00:00'),
    ('B38', '@every 1h30m', '2026-01-01 01:30:00, 2026-01-01 03:00:00, 2026-01-01 04:30:00'),
    ('B40', '0 0 13 * FRI', '2026-01-02 00:00:00, 2026-01-09 00:00:00, 2026-01-13 00:00:00'),
    ('B40', '0 0 13 * *', '2026-01-13 00:00:00, 2026-02-13 00:00:00, 2026-03-13 00:00:00'),
    ('B40', '0 0 ? * FRI', '2026-01-02 00:00:00, 2026-01-09 00:00:00, 2026-01-16 00:00:00'),
    ('B40', '0 0 */10 * FRI', '2026-01-02 00:00:00, 2026-01-09 00:00:00, 2026-01-11 00:00:00'),
    ('seconds first:', '0 0 0 13 * FRI', '2026-01-02 00:00:00, 2026-01-09 00:00:00, 2026-01-13 00:00:00'),
    ('seconds first:', '*/20 59 23 * * *', '2026-01-01 23:59:00, 2026-01-01 23:59:20, 2026-01-01 23:59:40'),
    ('last days:', '0 0 L,LW 5 *', '2026-05-29 00:00:00, 2026-05-31 00:00:00, 2027-05-31 00:00:00'),
    ('weekdays:', '0 0 * * fri#2,0L', '2026-01-09 00:00:00, 2026-01-25 00:00:00, 2026-02-13 00:00:00')) v (row,
    cron, slots);

-- What is refused, and what is said of it.
SELECT is(pg_temp.raised(format('SELECT pgqueue.cron_next(%L)', cron)),
    format(E'22023\ncron text "%s" is not valid\n%s\nSee %s. %s', cron, detail, place, hint), format('B41 "%s"', cron))
FROM (VALUES
    ('* * * * 7', '7 is above 6.', 'the day of week at character 9',
        'Allowed are 0 (Sunday) to 6, sun to sat, *, lists, ranges, steps, '
        '5L (last Friday) and 5#1 to 5#5 (n-th Friday).'),
    ('60 * * * *', '60 is above 59.', 'the minute at character 1',
        'Allowed are 0 to 59, *, lists (1,2), ranges (1-5) and steps (*/10, 5/10, 1-9/2).'),
    ('0 24 * * *', '24 is above 23.', 'the hour at character 3',
        'Allowed are 0 to 23, *, lists (1,2), ranges (1-5) and steps (*/10, 5/10, 1-9/2).'),
    ('* * 32 * *', '32 is above 31.', 'the day of month at character 5',
        'Allowed are 1 to 31, *, lists, ranges, steps, L (last day), L-1 to L-30, 1W to 31W (nearest workday) and LW.'),
    ('* * * jux *', '"jux" is unknown here.', 'the month at character 7',
        'Allowed are 1 to 12, jan to dec, *, lists (1,2), ranges (jan-mar) and steps (*/3).'),
    ('61 * * * * *', '61 is above 59.', 'the second at character 1',
        'Allowed are 0 to 59, *, lists (1,2), ranges (1-5) and steps (*/10, 5/10, 1-9/2).'),
    ('* * * *', 'It has 4 fields instead of 5 or 6.', 'character 8',
        'Write minute, hour, day of month, month and day of week, before them second if wanted; '
        'or an @ word such as @daily.'),
    ('@never', '"@never" is unknown.', 'the @ word at character 1',
        'The words are @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly and @every with a duration.'),
    ('@every x', '"x" is not a duration.', 'the duration at character 8',
        'Write @every and a duration of at least 1s: numbers with the units d, h, m, s, ms, us or ns, as in 1h30m.'),
    ('TZ=UTC', 'Nothing follows the time zone.', 'the time zone at character 7',
        'Write TZ=zone or CRON_TZ=zone, a blank, and then the fields or an @ word.'))
    v (cron, detail, place, hint);
SELECT ok(pgqueue.cron_valid(cron) = false
    AND pg_temp.raised(format('SELECT pgqueue.cron_next(%L)', cron)) LIKE E'22023\ncron text%',
        format('B41 "%s"', cron))
FROM unnest('{5-1 * * * *,*/0 * * * *,"\, * * * *","1\,\,2 * * * *",* * * * * * *,"",'
    '99999999999999999999 * * * *,foo,@daily x,* * * * L,CRON_TZ=,TZ=UTC @,é * * * *}'::text[]) cron;
SELECT matches(pg_temp.raised($$SELECT pgqueue.cron_next('ééé * * *')$$), 'See character 10\.',
    'places are counted in characters');
SELECT is(length(split_part(pg_temp.raised(format('SELECT pgqueue.cron_next(%L)', repeat('é', 5000))), E'\n', 2)),
    length('cron text "..." is not valid') + 100, 'a long text is cut in the message');

-- Arguments.
SELECT throws_ok('SELECT pgqueue.cron_next(NULL)', '22004', 'argument "cron" must not be NULL', 'cron must be given');
SELECT is(pgqueue.cron_valid(NULL), NULL, 'cron_valid: NULL for NULL');
SELECT ok(pgqueue.cron_valid('0 6 * * *') AND pgqueue.cron_valid('TZ=Asia/Tokyo @daily')
    AND NOT pgqueue.cron_valid('TZ=Nowhere/At_All @daily'), 'cron_valid knows the time zones of prefixes');
SELECT results_eq('SELECT pgqueue.cron_next(''@hourly'')', 'SELECT date_trunc(''hour'', now()) + interval ''1 hour''',
    'after is now()');
SELECT results_eq('SELECT pgqueue.cron_next(''@hourly'', NULL, NULL, NULL)', 'SELECT pgqueue.cron_next(''@hourly'')',
    'options that are NULL are not given');
SELECT results_eq('SELECT pgqueue.cron_next(''@every 1s'', now())',
    'SELECT date_trunc(''second'', now()) + interval ''1 second''', '@every counts from the second of after');
SELECT is((SELECT count(*) FROM pgqueue.cron_next('* * * * *', max_slots => 10000)), 10000::bigint,
    'up to 10000 slots');
SELECT throws_ok(format('SELECT pgqueue.cron_next(''@daily'', max_slots => %s)', n), '22023',
    format('"max_slots" is out of range: %s', n), 'max_slots ' || n) FROM unnest('{0,-1,10001}'::integer[]) n;
SELECT throws_ok(format('SELECT pgqueue.cron_next(''@daily'', %L)', t), '22023', 'argument "after" must be finite',
    'after ' || t) FROM unnest('{infinity,-infinity}'::text[]) t;
SELECT is_empty('SELECT pgqueue.cron_next(''0 0 30 2 *'', max_slots => 10)', 'a day that never comes: no row');
SELECT is_empty('SELECT pgqueue.cron_next(''0 0 29 2 *'', ''294276-03-01 00:00Z'')', 'the end of time: no row');
SELECT is_empty('SELECT pgqueue.cron_next(''* * * * *'', ''294276-12-31 00:00Z'')', 'its last years have none either');
SELECT is(pg_temp.slots('@daily', '294000-12-31 00:00Z', 'UTC'), '294001-01-01 00:00:00',
    'the years before have slots');
SELECT is(to_char((SELECT pgqueue.cron_next('@daily', '4714-11-24 00:00Z BC')), 'YYYY-MM-DD BC'), '4714-11-25 BC',
    'from the first one on');
SELECT is((SELECT string_agg(format('%s %s', proname, provolatile), ', ' ORDER BY proname) FROM pg_proc
    WHERE proname LIKE 'cron\_%' AND pronamespace = 'pgqueue'::regnamespace), 'cron_next s, cron_valid i',
    'STABLE and IMMUTABLE');

-- Which zone (B39).
SELECT is(pg_temp.slots('CRON_TZ=Asia/Tokyo 0 6 * * *', '2026-01-01 00:00Z', 'UTC'), '2026-01-01 21:00:00',
    'B39 CRON_TZ= wins over time_zone');
SELECT is(pg_temp.slots('TZ=Asia/Tokyo 0 6 * * *', '2026-01-01 00:00Z', 'Europe/Berlin'), '2026-01-01 22:00:00',
    'B39 so does TZ=');
SET LOCAL TimeZone = 'America/New_York';
SELECT is((SELECT pgqueue.cron_next('0 6 * * *', '2026-01-01 00:00Z')), timestamptz '2026-01-01 11:00Z',
    'neither given: the zone of the session');
SELECT is((SELECT pgqueue.cron_next('0 6 * * *', '2026-01-01 00:00Z', 'Asia/Tokyo')), timestamptz '2026-01-01 21:00Z',
    'time_zone wins over that of the session');
SELECT is((SELECT pgqueue.cron_next('0 6 * * *', '2026-01-01 00:00Z', '<+03>-3')), timestamptz '2026-01-01 03:00Z',
    'a zone as POSIX writes it');
SET LOCAL TimeZone = 'UTC';
SELECT is(pg_temp.raised('SELECT pgqueue.cron_next(''@daily'', time_zone => ''Nowhere/At_All'')'),
    E'22023\ntime zone "Nowhere/At_All" not recognized\nIt is the argument "time_zone".\n'
    'The view pg_timezone_names lists the time zones.', 'an unknown zone');
SELECT is(pg_temp.raised('SELECT pgqueue.cron_next(''TZ=Nowhere/At_All @daily'')'),
    E'22023\ntime zone "Nowhere/At_All" not recognized\nThe cron text begins with it.\n'
    'The view pg_timezone_names lists the time zones.', 'an unknown zone in the text');
SELECT throws_ok(format('SELECT pgqueue.cron_next(''@daily'', time_zone => %L)', zone), '22023', NULL,
    format('no zone: "%s"', left(zone, 20)))
FROM unnest(ARRAY['', ' ', '..', '../UTC', '/etc/localtime', 'America', '5', '-5', repeat('x', 5000)]) zone;

-- Clocks that are changed.
SELECT is(pg_temp.slots(cron, after, zone, 3), slots, format('%s in %s after %s', cron, zone, after)) FROM (VALUES
    ('30 2 * * *', 'America/New_York', timestamptz '2026-03-07 00:00-05',
        '2026-03-07 02:30:00, 2026-03-08 03:00:00, 2026-03-09 02:30:00'),
    ('0,20,40 2,3 * * *', 'America/New_York', '2026-03-08 00:00-05',
        '2026-03-08 03:00:00, 2026-03-08 03:20:00, 2026-03-08 03:40:00'),
    ('30 1 * * *', 'America/New_York', '2026-10-31 12:00-04',
        '2026-11-01 01:30:00, 2026-11-02 01:30:00, 2026-11-03 01:30:00'),
    ('30 * * * *', 'America/New_York', '2026-11-01 00:45-04',
        '2026-11-01 01:30:00, 2026-11-01 01:30:00, 2026-11-01 02:30:00'),
    ('15 2 * * *', 'Australia/Lord_Howe', '2026-10-03 12:00+10:30',
        '2026-10-04 02:30:00, 2026-10-05 02:15:00, 2026-10-06 02:15:00'),
    ('45 1 * * *', 'Australia/Lord_Howe', '2026-04-04 12:00+11',
        '2026-04-05 01:45:00, 2026-04-06 01:45:00, 2026-04-07 01:45:00'),
    ('0 12 * * *', 'Pacific/Apia', '2011-12-29 00:00-10',
        '2011-12-29 12:00:00, 2011-12-31 00:00:00, 2011-12-31 12:00:00'),
    ('@daily', 'America/Sao_Paulo', '2017-10-14 12:00-03',
        '2017-10-15 01:00:00, 2017-10-16 00:00:00, 2017-10-17 00:00:00'),
    ('@daily', 'Asia/Beirut', '2022-03-26 12:00+02', '2022-03-27 01:00:00, 2022-03-28 00:00:00, 2022-03-29 00:00:00'),
    ('30 2 8-14 3 *', 'America/New_York', '9999-03-08 12:00Z',
        '9999-03-09 02:30:00, 9999-03-10 02:30:00, 9999-03-11 02:30:00'),
    ('30 2 * 3 sun#2', 'America/New_York', '9999-01-01 00:00Z',
        '9999-03-14 03:00:00, 10000-03-12 03:00:00, 10001-03-11 03:00:00'),
    ('0 0 29 2 *', 'America/New_York', '200000-01-01 00:00Z',
        '200000-02-29 00:00:00, 200004-02-29 00:00:00, 200008-02-29 00:00:00')) v (cron, zone, after, slots);

-- Against the server's own conversions, five minutes at a time: a text for every hour has the instants
-- whose local time matches. A text with hours has the first instant of each local time, and where the clock
-- jumps over some, the instant of the jump.
CREATE TEMP TABLE clocks (zone text, begins timestamptz, ends timestamptz, jumps timestamptz[]);
INSERT INTO clocks
VALUES ('UTC', '2026-01-01Z', '2026-03-01Z', '{}'),
    ('America/New_York', '2026-01-01Z', '2027-01-01Z', '{2026-03-08 07:00Z}'),
    ('America/New_York', '2436-01-01Z', '2440-01-01Z',
        '{2436-03-09 07:00Z,2437-03-08 07:00Z,2438-03-14 07:00Z,2439-03-13 07:00Z}'),
        ('Australia/Lord_Howe', '2026-01-01Z', '2027-01-01Z', '{2026-10-03 15:30Z}'),
    ('Pacific/Apia', '2011-01-01Z', '2012-12-01Z', '{2011-12-30 10:00Z}'),
    ('America/Sao_Paulo', '2017-01-01Z', '2018-01-01Z', '{}'), ('Asia/Beirut', '2022-01-01Z', '2023-01-01Z', '{}'),
    ('Asia/Kathmandu', '2026-01-01Z', '2026-03-01Z', '{}'),
    ('Africa/Casablanca', '2026-01-01Z', '2027-01-01Z', '{2026-03-22 02:00Z}'),
    ('Antarctica/Troll', '2026-01-01Z', '2027-01-01Z', '{2026-03-29 01:00Z}');
CREATE FUNCTION pg_temp.same(cron text, clock clocks, expected timestamptz[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    slots timestamptz[] := '{}';
BEGIN
    LOOP
        slots := slots || ARRAY(SELECT s
            FROM pgqueue.cron_next(cron, coalesce(slots[cardinality(slots)], clock.begins - interval '1 second'),
                clock.zone, 10000) s);
        EXIT WHEN slots[cardinality(slots)] >= clock.ends;
    END LOOP;
    slots := ARRAY(SELECT s FROM unnest(slots) s WHERE s < clock.ends ORDER BY s);
    RETURN is(slots, expected, format('%s in %s from %s to %s: %s slots', cron, clock.zone, clock.begins, clock.ends,
        cardinality(expected)));
END
$$;
SELECT pg_temp.same('*/10,25 * * * *', c, ARRAY(
    SELECT t FROM generate_series(c.begins, c.ends - interval '1 s', interval '5 min') t
    WHERE extract(minute FROM t AT TIME ZONE c.zone) = ANY ('{0,10,20,25,30,40,50}') ORDER BY t)) FROM clocks c;
SELECT pg_temp.same('5,35 1-2 * * *', c, ARRAY(
    SELECT min(t) FROM generate_series(c.begins, c.ends - interval '1 s', interval '5 min') t
    WHERE extract(minute FROM t AT TIME ZONE c.zone) IN (5, 35) AND extract(hour FROM t AT TIME ZONE c.zone) IN (1, 2)
    GROUP BY t AT TIME ZONE c.zone
    UNION SELECT unnest(c.jumps) ORDER BY 1)) FROM clocks c;

-- Every change of a rule for ever, from before its first year to beyond the 400 years that the server
-- writes down: a full day in each year.
SELECT is_empty(
    format(
        $$SELECT extract(year FROM s AT TIME ZONE %1$L), count(*) FROM pgqueue.cron_next(%2$L, %3$L, %1$L, 9600) s
            GROUP BY 1 HAVING count(*) <> 24$$, zone, cron, after),
    format('%s in %s for 400 years after %s', cron, zone, after))
FROM unnest('{"XST5XDT,M3.2.0,M11.1.0",America/New_York}'::text[]) zone, unnest('{0 * 15 6 *,0 * 15 1 *}'::text[]) cron,
    unnest('{1700-01-01 00:00Z,2098-01-01 00:00Z}'::text[]) after;

-- Everybody who may use pgqueue may call them, without a grant in a namespace.
CREATE ROLE cron_tester IN ROLE pgqueue_user;
SET LOCAL ROLE cron_tester;
SELECT ok(pgqueue.cron_valid('@daily') AND EXISTS (SELECT FROM pgqueue.cron_next('@daily')), 'any user may call them');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
