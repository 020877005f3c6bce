-- The settings of namespaces, queues and tickers, each said once. From here come the checks of a row, the
-- defaults and NOT NULL of the tables and, in 55_setting_views.sql, the defaults and comments of the
-- views. How to add one: CONTRIBUTING.md.
--   kind             how a value is checked: word, number, interval, moment; others are not
--   preset           the default
--   needed           it always has a value: NULL takes the default
--   none             the value that means NULL
--   lowest, highest  the range of a number; intervals end at 1000 years, and begin at 0 or, with lowest 1, after it
CREATE VIEW pgqueue_internal.setting (object, name, kind, preset, needed, none, lowest, highest, words, comment) AS
VALUES
    ('namespace'::text, 'weight'::text, 'number'::text, '1'::text, true, NULL::text, 1::numeric, 1000::numeric,
        NULL::text[], 'share of the workers, 1 to 1000, default 1'::text),
    ('namespace', 'max_running', 'number', NULL, false, '0', 0, NULL, NULL,
        'most tasks retained at once; NULL unlimited'),
    ('namespace', 'max_depth', 'number', NULL, false, '0', 0, NULL, NULL, 'most unfinished tasks; NULL unlimited'),
    ('namespace', 'paused', 'boolean', 'false', true, NULL, NULL, NULL, NULL, 'nothing of it starts'),
    ('namespace', 'description', 'text', NULL, false, '', NULL, NULL, NULL, 'free text'),
    ('namespace', 'max_leases', 'share', NULL, false, NULL, 0, NULL, NULL,
        'most leases of outside workers at once; NULL the fair part'),
    ('namespace', 'max_groups', 'share', NULL, false, NULL, 0, NULL, NULL,
        'most groups with tasks at once; NULL the fair part'),
    ('namespace', 'max_queues', 'share', NULL, false, NULL, 0, NULL, NULL, 'most queues; NULL the fair part'),
    ('namespace', 'max_priorities', 'share', NULL, false, NULL, 0, NULL, NULL,
        'most priorities with ready tasks at once; NULL the fair part'),
    ('namespace', 'max_dependencies', 'share', NULL, false, NULL, 0, NULL, NULL,
        'most dependencies of waiting tasks at once; NULL the fair part'),

    ('queue', 'description', 'text', NULL, false, '', NULL, NULL, NULL, 'free text'),
    ('queue', 'executor', 'word', 'outside', true, NULL, NULL, NULL, '{outside,server}',
        'who gets payload tasks: outside (next_task) or server (handlers); commands always run in the server'),
    ('queue', 'priority', 'number', '100', true, NULL, NULL, NULL, NULL, 'priority of new tasks, smaller runs first'),
    ('queue', 'ttl', 'interval', '1 hour', false, '0', NULL, NULL, NULL,
        'a task not finished this long after it became due expires; NULL never'),
    ('queue', 'retries', 'number', '3', true, NULL, 0, 32767, NULL, 'further attempts after the first, 0 to 32767'),
    ('queue', 'retry_delay', 'interval', '2 minutes', true, NULL, NULL, NULL, NULL, 'base wait before a retry'),
    ('queue', 'backoff', 'word', 'exponential', true, NULL, NULL, NULL, '{exponential,linear,quadratic,fixed}',
        'exponential, linear, quadratic or fixed'),
    ('queue', 'max_retry_delay', 'interval', '1 day', true, NULL, NULL, NULL, NULL, 'cap of the wait before a retry'),
    ('queue', 'retry_jitter', 'number', '0', true, NULL, 0, 1, NULL, 'part of the wait that is random, 0 to 1'),
    ('queue', 'lease', 'interval', '20 minutes', true, NULL, 1, NULL, NULL, 'how long one retain holds'),
    ('queue', 'run_limit', 'interval', NULL, false, '0', NULL, NULL, NULL,
        'longest run of one attempt in the server; NULL unlimited'),
    ('queue', 'max_running', 'number', NULL, false, '0', 0, NULL, NULL, 'most tasks retained at once; NULL unlimited'),
    ('queue', 'max_depth', 'number', NULL, false, '0', 0, NULL, NULL,
        'most unfinished tasks; create_task beyond it fails with PQ003; NULL unlimited'),
    ('queue', 'rate_limit', 'number', NULL, false, '0', 0, NULL, NULL,
        'most starts a second (token bucket); NULL unlimited'),
    ('queue', 'rate_burst', 'number', '1', true, NULL, 1, NULL, NULL, 'size of the token bucket'),
    ('queue', 'group_max_running', 'number', '1', true, NULL, 1, NULL, NULL,
        'most tasks of one group key retained at once'),
    ('queue', 'group_rate_limit', 'number', NULL, false, '0', 0, NULL, NULL,
        'most starts a second of one group key; NULL unlimited'),
    ('queue', 'group_policy', 'word', 'hold', true, NULL, NULL, NULL, '{hold,pass}',
        'hold: a failing or delayed head stops its group; pass: others go on'),
    ('queue', 'aging', 'interval', NULL, false, '0', NULL, NULL, NULL,
        'a waiting task gains one priority step each time this passes; NULL off'),
    ('queue', 'retention', 'interval', NULL, false, NULL, NULL, NULL, NULL,
        'how long a finished task stays; NULL: as long as ttl (no ttl: for ever); 0: for ever'),
    ('queue', 'on_finish', 'word', 'keep', true, NULL, NULL, NULL, '{keep,archive,delete}',
        'keep (delete after retention), archive (to task_archive after retention) or delete (with the release)'),
    ('queue', 'dead_letter', 'text', NULL, false, '', NULL, NULL, NULL,
        'queue of this namespace that finally failed tasks move to; NULL none'),
    ('queue', 'group_commit', 'number', '1', true, NULL, 1, 32, NULL,
        'most short SQL tasks of one role that share one durable transaction'),
    ('queue', 'forward_to', 'text', NULL, false, '', NULL, NULL, NULL,
        'foreign server that tasks are forwarded to; NULL none'),
    ('queue', 'paused', 'boolean', 'false', true, NULL, NULL, NULL, NULL, 'nothing of it starts'),
    ('queue', 'paused_reason', 'text', NULL, false, '', NULL, NULL, NULL, 'why it is paused'),
    ('queue', 'paused_until', 'timestamptz', NULL, false, NULL, NULL, NULL, NULL, 'resumes by itself; NULL not'),

    ('ticker', 'queue', 'text', NULL, false, '', NULL, NULL, NULL,
        'queue of the tasks; NULL: ticks only for next_ticker'),
    ('ticker', 'period', 'interval', '1 minute', false, '0', NULL, NULL, NULL,
        'time between slots; NULL when cron is set; both NULL: disabled; the default holds when cron is NULL too'),
    ('ticker', 'cron', 'text', NULL, false, '', NULL, NULL, NULL, 'cron text, 5 or 6 fields or an @ word'),
    ('ticker', 'time_zone', 'text', NULL, true, '', NULL, NULL, NULL,
        'zone in which cron is read; default database TimeZone at creation'),
    ('ticker', 'payload', 'jsonb', '{}', true, NULL, NULL, NULL, NULL, 'payload of the tasks, at most 64 KiB as text'),
    ('ticker', 'type', 'text', NULL, false, '', NULL, NULL, NULL, 'type of the tasks'),
    ('ticker', 'command', 'text', NULL, false, '', NULL, NULL, NULL, 'SQL command of the tasks'),
    ('ticker', 'priority', 'number', NULL, false, NULL, NULL, NULL, NULL, 'priority of the tasks; NULL: of the queue'),
    ('ticker', 'retries', 'number', NULL, false, NULL, 0, 32767, NULL, 'retries of the tasks; NULL: of the queue'),
    ('ticker', 'ttl', 'interval', NULL, false, NULL, NULL, NULL, NULL, 'ttl of the tasks; NULL: of the queue'),
    ('ticker', 'run_limit', 'interval', NULL, false, NULL, NULL, NULL, NULL,
        'run limit of the tasks; NULL: of the queue'),
    ('ticker', 'misfire', 'word', 'one', true, NULL, NULL, NULL, '{skip,one,all}',
        'slots missed while down or paused: skip, one (the last) or all'),
    ('ticker', 'misfire_max', 'number', '100', true, NULL, 1, 400, NULL, 'most slots made up for with misfire all'),
    ('ticker', 'overlap', 'word', 'allow', true, NULL, NULL, NULL, '{allow,skip,queue}',
        'while the last task is unfinished: allow, skip or queue (one waits)'),
    ('ticker', 'jitter', 'interval', NULL, false, '0', NULL, NULL, NULL, 'random delay of a tick; NULL none'),
    ('ticker', 'starts_at', 'moment', NULL, false, '-infinity', NULL, NULL, NULL, 'first slot not before'),
    ('ticker', 'ends_at', 'moment', NULL, false, 'infinity', NULL, NULL, NULL, 'no slot after'),
    ('ticker', 'paused', 'boolean', 'false', true, NULL, NULL, NULL, NULL, 'paused'),
    ('ticker', 'description', 'text', NULL, false, '', NULL, NULL, NULL, 'free text');

DO $make$
DECLARE
    s pgqueue_internal.setting;
BEGIN
    FOR s IN SELECT k.* FROM pgqueue_internal.setting k LOOP
        IF s.preset IS NOT NULL AND s.name <> 'period' THEN
            EXECUTE pg_catalog.format('ALTER TABLE pgqueue_internal.%I ALTER %I SET DEFAULT %L',
                s.object, s.name, s.preset);
        END IF;
        IF s.needed THEN
            EXECUTE pg_catalog.format('ALTER TABLE pgqueue_internal.%I ALTER %I SET NOT NULL', s.object, s.name);
        END IF;
    END LOOP;
END
$make$;

-- A row with the columns of `given` that differ from `was`, by name and type. In a call what is not
-- given is NULL, and `was` is NULL. In a statement on a view `was` is the row that it read: another
-- session may have changed other columns since.
CREATE FUNCTION pgqueue_internal.row_with(now anyelement, given anycompatible, was anycompatible) RETURNS anyelement
    LANGUAGE C STABLE AS 'MODULE_PATHNAME', 'pgqueue_internal_row_with';

-- The default of a setting.
CREATE FUNCTION pgqueue_internal.preset(of_object text, setting text) RETURNS text
LANGUAGE sql STABLE
RETURN (SELECT k.preset FROM pgqueue_internal.setting k WHERE k.object = of_object AND k.name = setting);

-- Whether a value is the one that means NULL.
CREATE FUNCTION pgqueue_internal.is_none(s pgqueue_internal.setting, value text) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE s.kind
        WHEN 'number' THEN value::numeric = s.none::numeric
        -- As text: 1 month -30 days equals 0.
        WHEN 'interval' THEN value::interval::text = s.none::interval::text
        WHEN 'moment' THEN value::timestamptz = s.none::timestamptz
        ELSE value = s.none END;
END
$$;

-- Raises 22023 for a value out of its range.
CREATE FUNCTION pgqueue_internal.check_setting(s pgqueue_internal.setting, value text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    CASE s.kind
        WHEN 'word' THEN PERFORM pgqueue_internal.check_word(s.name, value, s.words);
        WHEN 'number' THEN PERFORM pgqueue_internal.check_range(s.name, value::numeric, s.lowest, s.highest);
        WHEN 'interval' THEN PERFORM pgqueue_internal.check_interval(s.name, value::interval, s.lowest IS NULL);
        WHEN 'moment' THEN PERFORM pgqueue_internal.check_moment(s.name, value::timestamptz);
        ELSE NULL;
    END CASE;
END
$$;

-- A row of the table of an object as it is stored: what must have a value has its default instead of NULL, what means
-- NULL is NULL. Raises 22023 for a value out of its range.
CREATE FUNCTION pgqueue_internal.checked_row(of_object text, r anyelement) RETURNS anyelement
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    given jsonb := to_jsonb(r);
    stored jsonb := '{}';
    s pgqueue_internal.setting;
    value text;
BEGIN
    -- JSON null is a payload.
    FOR s IN SELECT k.* FROM pgqueue_internal.setting k WHERE k.object = of_object AND k.kind <> 'jsonb' LOOP
        value := given ->> s.name;
        IF s.none IS NOT NULL AND pgqueue_internal.is_none(s, value) THEN
            value := NULL;
            stored := stored || jsonb_build_object(s.name, NULL);
        END IF;
        IF value IS NULL AND s.needed THEN
            value := s.preset;
            stored := stored || jsonb_build_object(s.name, s.preset);
        END IF;
        IF value IS NOT NULL THEN
            PERFORM pgqueue_internal.check_setting(s, value);
        END IF;
    END LOOP;
    RETURN jsonb_populate_record(r, stored);
END
$$;

-- store_row(r) writes all of a row, which the caller has locked, but its key. One
-- for each table, with a plan that lasts.
DO $make$
DECLARE
    t record;
BEGIN
    FOR t IN
        SELECT c.relname AS name, pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ') AS columns,
            pg_catalog.string_agg('r.' || pg_catalog.quote_ident(a.attname), ', ') AS given
        FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND a.attname <> 'id'
        WHERE c.relnamespace = 'pgqueue_internal'::pg_catalog.regnamespace
            AND c.relname IN (SELECT k.object FROM pgqueue_internal.setting k)
        GROUP BY c.relname
    LOOP
        EXECUTE pg_catalog.format($function$
            CREATE FUNCTION pgqueue_internal.store_row(r pgqueue_internal.%1$I) RETURNS void
            LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
            BEGIN
                UPDATE pgqueue_internal.%1$I s SET (%2$s) = ROW(%3$s) WHERE s.id = r.id AND s IS DISTINCT FROM r;
            END
            $$ $function$, t.name, t.columns, t.given);
    END LOOP;
END
$make$;
