-- Takes over the jobs of the extension pg_cron. docs/from-pg_cron.md

-- The table of pg_cron's jobs. A table of that name that does not belong to the extension is refused: anybody could
-- have written roles into it. So is one whose owner is no superuser: an owner can write any role too, and have a
-- function of its own run by whoever reads the table.
CREATE FUNCTION pgqueue_internal.pg_cron_table() RETURNS regclass
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    jobs regclass;
    owner text;
    home text := pgqueue_internal.pg_cron_setting('cron.database_name', current_database());
BEGIN
    SELECT c.oid INTO jobs
    FROM pg_catalog.pg_extension e
    JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.refobjid = e.oid
        AND d.classid = 'pg_catalog.pg_class'::regclass AND d.deptype = 'e'
    JOIN pg_catalog.pg_class c ON c.oid = d.objid AND c.relname = 'job' AND c.relkind = 'r'
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'cron'
    WHERE e.extname = 'pg_cron';
    IF jobs IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'extension "pg_cron" is not installed in this database',
            DETAIL = 'Jobs are read from the table cron.job of that extension.',
            HINT = CASE WHEN home = current_database()
                THEN 'There is nothing to import; make tickers with pgqueue.create_ticker.'
                ELSE format('It keeps its jobs in database "%s" (cron.database_name): '
                    'import those of that database there.', home) END;
    END IF;
    SELECT a.rolname INTO owner
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_roles a ON a.oid = c.relowner
    WHERE c.oid = jobs AND NOT a.rolsuper;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = format('the owner of %s, "%s", is not a superuser', jobs, owner),
            DETAIL = 'That role could have put any role into it.',
            HINT = format('Check its rows, then ALTER TABLE %s OWNER TO a superuser.', jobs);
    END IF;
    RETURN jobs;
END
$$;

-- A setting that pg_cron has defined.
CREATE FUNCTION pgqueue_internal.pg_cron_setting(name text, otherwise text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
RETURN coalesce((SELECT s.setting FROM pg_catalog.pg_settings s WHERE s.name = pg_cron_setting.name), otherwise);

-- The numbers that a field of pg_cron names; 22023 for what pg_cron refuses or reads in a way that nobody means.
CREATE FUNCTION pgqueue_internal.pg_cron_numbers(field text, lowest integer, highest integer, words text[])
    RETURNS integer[]
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    element text;
    part text[];
    first integer;
    last integer;
    step integer;
    numbers integer[] = '{}';
BEGIN
    FOREACH element IN ARRAY string_to_array(lower(field COLLATE "C"), ',') LOOP
        part := regexp_match(element, '^(?:(\*)|([0-9]{1,2}|[a-z]{3})(?:-([0-9]{1,2}|[a-z]{3}))?)(?:/([0-9]{1,2}))?$');
        first := CASE WHEN part[1] = '*' THEN lowest ELSE pgqueue_internal.pg_cron_value(part[2], lowest, words) END;
        last := CASE WHEN part[1] = '*' THEN highest
            ELSE coalesce(pgqueue_internal.pg_cron_value(part[3], lowest, words), first) END;
        step := coalesce(part[4]::integer, 1);
        IF part IS NULL OR first < lowest OR last > highest OR step < 1 OR num_nonnulls(first, last) < 2
            OR (part[4] IS NOT NULL AND num_nulls(part[1], part[3]) = 2) THEN
            RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
                MESSAGE = format('schedule field "%s" is not understood', field);
        ELSIF last < first THEN
            RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
                MESSAGE = format('range "%s" runs backwards', element),
                HINT = 'Write it as two ranges, such as 22-23,0-5.';
        END IF;
        numbers := numbers || ARRAY(SELECT g FROM generate_series(first, last, step) g);
    END LOOP;
    RETURN numbers;
END
$$;

-- A number or a word of a field; NULL for neither.
CREATE FUNCTION pgqueue_internal.pg_cron_value(value text, lowest integer, words text[]) RETURNS integer
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
RETURN CASE WHEN value ~ '^[0-9]+$' THEN value::integer ELSE array_position(words, value) - 1 + lowest END;

-- Five fields of pg_cron as a cron text of ours. match_both: a day has to match day of month and day
-- of week, also when both are restricted.
CREATE FUNCTION pgqueue_internal.pg_cron_fields(fields text[], match_both boolean) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    minute text := fields[1];
    hour text := fields[2];
    day text := fields[3];
    month text := fields[4];
    weekday text := fields[5];
    weekdays integer[] := ARRAY(
        SELECT DISTINCT n % 7
        FROM unnest(pgqueue_internal.pg_cron_numbers(weekday, 0, 7, '{sun,mon,tue,wed,thu,fri,sat}')) n
        ORDER BY 1);
    all_days boolean := day <> '$'
        AND (SELECT count(DISTINCT n) = 31 FROM unnest(pgqueue_internal.pg_cron_numbers(day, 1, 31, NULL)) n);
    all_weekdays boolean := cardinality(weekdays) = 7;
BEGIN
    PERFORM pgqueue_internal.pg_cron_numbers(minute, 0, 59, NULL), pgqueue_internal.pg_cron_numbers(hour, 0, 23, NULL),
        pgqueue_internal.pg_cron_numbers(month, 1, 12, '{jan,feb,mar,apr,may,jun,jul,aug,sep,oct,nov,dec}');
    -- There a field that begins with * is met as well as the other one, also */2; here
    -- only * itself lets the other one decide.
    match_both := match_both OR starts_with(day, '*') OR starts_with(weekday, '*');
    IF match_both AND NOT all_days AND NOT all_weekdays THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('days that match "%s" as day of month and "%s" as day of week at once cannot be named',
                day, weekday),
            HINT = 'Give the ticker one of the two, and let the command test the other.';
    END IF;
    IF all_days OR (all_weekdays AND NOT match_both) THEN
        day := '*';
    END IF;
    IF all_weekdays OR (all_days AND NOT match_both) THEN
        weekday := '*';
    ELSIF weekday ~ '7' THEN
        weekday := array_to_string(weekdays, ',');
    END IF;
    RETURN concat_ws(' ', minute, hour, replace(day, '$', 'L'), month, weekday);
END
$$;

-- A schedule of pg_cron as period or cron text; 22023 when neither can say it.
CREATE FUNCTION pgqueue_internal.pg_cron_schedule(schedule text, match_both boolean, OUT period interval, OUT cron text)
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    seconds text := substring(schedule FROM '^\s*([0-9]{1,2})\s*[Ss][Ee][Cc][Oo][Nn][Dd][Ss]?\s*$');
    fields text[] := regexp_split_to_array(pgqueue_internal.trimmed(schedule), '[ \t]+');
BEGIN
    IF seconds::integer BETWEEN 1 AND 59 THEN
        period := make_interval(secs => seconds::integer);
    ELSIF fields[1] IN ('@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly') THEN
        cron := fields[1];
    ELSIF fields[1] IN ('@reboot', '@restart') THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = format('"%s" has no time', fields[1]),
            HINT = 'A ticker fires at times, not when the server starts.';
    ELSIF cardinality(fields) >= 5 AND seconds IS NULL THEN
        -- What stands behind the fifth field means nothing to pg_cron.
        cron := pgqueue_internal.pg_cron_fields(fields[1:5], match_both);
    ELSE
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('schedule "%s" is not understood', schedule);
    END IF;
END
$$;

-- The number of the job that a ticker was made from, as its description says; NULL: from none.
CREATE FUNCTION pgqueue_internal.pg_cron_job_of(description text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
RETURN substring(description FROM '^pg_cron job ([0-9]+)');

-- The name for a job's ticker in a namespace; NULL and a notice when the job has one there, or its name is taken.
CREATE FUNCTION pgqueue_internal.pg_cron_ticker_name(target integer, job_id text, job_name text) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    plain text := rtrim(regexp_replace(
        lower(pgqueue_internal.trimmed(job_name) COLLATE "C"), '[^a-z0-9_-]+', '-', 'g'), '-');
    suffix text := '-' || job_id;
    long text;
    other record;
BEGIN
    plain := left(CASE WHEN plain ~ '^[a-z]' THEN plain
        WHEN plain ~ '[a-z0-9]' THEN 'cron-' || ltrim(plain, '_-')
        ELSE 'cron' || suffix END, 64);
    long := left(plain, 64 - length(suffix)) || suffix;
    SELECT t.name, pgqueue_internal.pg_cron_job_of(t.description) AS job INTO other
    FROM pgqueue_internal.ticker t
    WHERE t.namespace_id = target
        AND (t.name IN (plain, long) OR pgqueue_internal.pg_cron_job_of(t.description) = job_id)
    ORDER BY coalesce(pgqueue_internal.pg_cron_job_of(t.description) = job_id, false) DESC, t.name = plain
    LIMIT 1;
    IF NOT FOUND THEN
        RETURN plain;
    ELSIF other.name = plain AND other.job <> job_id THEN
        -- Two jobs of one name, of two roles: the second one has its number behind it.
        RETURN long;
    END IF;
    RAISE NOTICE USING MESSAGE = format('pg_cron job %s is left out: ticker "%s" exists already', job_id, other.name),
        HINT = 'An import never changes a ticker that exists; delete it to import the job again.';
    RETURN NULL;
END
$$;

-- The role as which a job runs; raises when pg_cron would not run it as that role, or not here.
CREATE FUNCTION pgqueue_internal.pg_cron_role(job jsonb) RETURNS oid
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    role oid := pgqueue_internal.role_oid(job ->> 'username', false);
    host text := job ->> 'nodename';
BEGIN
    IF pgqueue_internal.pg_cron_setting('cron.enable_superuser_jobs', 'on') = 'off'
        AND (SELECT a.rolsuper FROM pg_catalog.pg_roles a WHERE a.oid = role) THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
            MESSAGE = format('role "%s" is a superuser', job ->> 'username'),
            HINT = 'cron.enable_superuser_jobs is off, so pg_cron does not run it either.';
    ELSIF pgqueue_internal.pg_cron_setting('cron.use_background_workers', 'off') = 'off'
        AND (host NOT IN ('', 'localhost', '127.0.0.1', '::1',
                 pgqueue_internal.pg_cron_setting('cron.host', 'localhost')) AND host !~ '^[/@]'
             OR (job ->> 'nodeport')::integer <> current_setting('port')::integer) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('it runs on another server, %s:%s', host, job ->> 'nodeport'),
            HINT = 'Make a ticker there.';
    END IF;
    RETURN role;
END
$$;

-- Makes the ticker of a job; NULL when it has one. Raises why there can be none.
CREATE FUNCTION pgqueue_internal.import_pg_cron_job(target integer, queue_name text, job jsonb) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    t pgqueue_internal.ticker;
    ticker_name text := pgqueue_internal.pg_cron_ticker_name(target, job ->> 'jobid', job ->> 'jobname');
    owner oid;
BEGIN
    IF ticker_name IS NULL THEN
        RETURN NULL;
    ELSIF job ->> 'command' = '' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'it has no command';
    END IF;
    owner := pgqueue_internal.pg_cron_role(job);
    t := pgqueue_internal.add_ticker(target, ticker_name);
    IF t.id IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('another session has made a ticker "%s" meanwhile', ticker_name),
            HINT = 'Run the import again.';
    END IF;
    SELECT s.period, s.cron INTO t.period, t.cron
    FROM pgqueue_internal.pg_cron_schedule(job ->> 'schedule',
        pgqueue_internal.pg_cron_setting('cron.match_dom_and_dow', 'off') = 'on') s;
    t.queue := queue_name;
    t.time_zone := pgqueue_internal.pg_cron_setting('cron.timezone', 'GMT');
    t.command := job ->> 'command';
    -- As pg_cron does it: no retry, no end of time, nothing made up for, the next run waits for the one before.
    t.retries := 0;
    t.ttl := '0';
    t.misfire := 'skip';
    t.overlap := 'queue';
    t.paused := NOT coalesce((job ->> 'active')::boolean, true);
    t.description := concat_ws(': ', 'pg_cron job ' || (job ->> 'jobid'), nullif(job ->> 'jobname', ticker_name));
    PERFORM pgqueue_internal.store_ticker(t, NULL);
    UPDATE pgqueue_internal.ticker s SET role = owner, role_name = job ->> 'username' WHERE s.id = t.id;
    RETURN t.id;
END
$$;

-- Makes the tickers of all jobs of this database, says which are left out and why, and returns those that are made.
CREATE FUNCTION pgqueue_internal.import_pg_cron_jobs(target integer, queue_name text) RETURNS SETOF pgqueue.ticker
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    jobs regclass := pgqueue_internal.pg_cron_table();
    job jsonb;
    elsewhere bigint = 0;
    ticker_id integer;
    why_not text;
    help text;
BEGIN
    FOR job IN EXECUTE format('SELECT to_jsonb(j) FROM %s j ORDER BY j.jobid', jobs) LOOP
        IF job ->> 'database' <> current_database() THEN
            elsewhere := elsewhere + 1;
            CONTINUE;
        END IF;
        BEGIN
            ticker_id := pgqueue_internal.import_pg_cron_job(target, queue_name, job);
            IF ticker_id IS NOT NULL THEN
                RETURN NEXT pgqueue_internal.shown_ticker(ticker_id);
            END IF;
        EXCEPTION WHEN invalid_parameter_value OR undefined_object OR insufficient_privilege THEN
            GET STACKED DIAGNOSTICS why_not = MESSAGE_TEXT, help = PG_EXCEPTION_HINT;
            RAISE WARNING USING MESSAGE = format('pg_cron job %s is left out: %s', job ->> 'jobid', why_not),
                HINT = coalesce(nullif(help, ''), 'Make a ticker for it with pgqueue.create_ticker.');
        END;
    END LOOP;
    IF elsewhere > 0 THEN
        RAISE NOTICE USING MESSAGE = format('%s pg_cron jobs of other databases are left out', elsewhere),
            HINT = 'Make tickers for them there with pgqueue.create_ticker: every database can have pgqueue.';
    END IF;
END
$$;

CREATE FUNCTION pgqueue_internal.import_pg_cron(queue text, dry_run boolean, namespace text)
    RETURNS SETOF pgqueue.ticker
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    queue_name text;
    target integer;
    made pgqueue.ticker[];
BEGIN
    PERFORM pgqueue_internal.check_call('import_pg_cron', true);
    PERFORM pgqueue_internal.require(NULL, 'admin');
    PERFORM pgqueue_internal.check_tickers_on();
    queue_name := pgqueue_internal.normalize_name('queue', queue);
    target := pgqueue_internal.managed_namespace(namespace);
    PERFORM pgqueue_internal.lock_queue(target, queue_name);
    BEGIN
        made := ARRAY(SELECT i FROM pgqueue_internal.import_pg_cron_jobs(target, queue_name) i);
        IF dry_run THEN
            RAISE EXCEPTION USING ERRCODE = 'PQDRY';
        END IF;
    EXCEPTION WHEN SQLSTATE 'PQDRY' THEN
        NULL;   -- the rows are in made, the tickers are gone
    END;
    RETURN QUERY SELECT m.* FROM unnest(made) m;
END
$$;

CREATE FUNCTION pgqueue.import_pg_cron(queue text, dry_run boolean DEFAULT false, namespace text DEFAULT NULL)
    RETURNS SETOF pgqueue.ticker
    LANGUAGE C AS 'MODULE_PATHNAME', 'pgqueue_manage';
COMMENT ON FUNCTION pgqueue.import_pg_cron IS
'Makes a ticker in queue of each job of the extension pg_cron in this database that has none yet, with the role of '
'the job, and returns the new tickers; dry_run leaves none. A warning names each job that cannot be a ticker, and '
'why. Raises 55000 without pg_cron or while pgqueue.tickers is off, 42704 for an unknown queue, 42501 when the '
'table of jobs does not belong to a superuser. Needs membership in pgqueue_admin.';
