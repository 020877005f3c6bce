-- Rows of version 1.0 of the original: taken over by ALTER EXTENSION ... UPDATE, or from
-- a table that was restored from a dump.

-- The role that rows of a table of 1.0 run as. They do not tell who enqueued them: only its owner, when nobody else
-- could write to the table; else the one role that could. NULL: there were several.
CREATE FUNCTION pgqueue_internal.background_runner(source regclass) RETURNS oid
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT CASE count(DISTINCT g.grantee) WHEN 0 THEN c.relowner WHEN 1 THEN nullif(min(g.grantee::bigint), 0)::oid END
    FROM pg_catalog.pg_class c
    LEFT JOIN LATERAL (
        SELECT x.grantee FROM pg_catalog.aclexplode(c.relacl) x WHERE x.privilege_type IN ('INSERT', 'UPDATE')
        UNION ALL
        SELECT x.grantee FROM pg_catalog.pg_attribute a, pg_catalog.aclexplode(a.attacl) x
        WHERE a.attrelid = c.oid AND x.privilege_type IN ('INSERT', 'UPDATE')
    ) g ON g.grantee <> c.relowner
    WHERE c.oid = background_runner.source
    GROUP BY c.relowner;
END;

-- Whether a task has the id. What is finished goes to the archive, where a task of the system's
-- housekeeping, soon gone, is not in its way.
CREATE FUNCTION pgqueue_internal.background_taken(id bigint, finished boolean) RETURNS boolean
LANGUAGE sql VOLATILE
BEGIN ATOMIC
    SELECT EXISTS (SELECT FROM pgqueue_internal.segment t LEFT JOIN pgqueue_internal.queue q ON q.id = t.queue_id
                   WHERE t.id = background_taken.id
                       AND NOT (background_taken.finished AND coalesce(q.namespace_id = 2, false)))
        OR EXISTS (SELECT FROM pgqueue_internal.archive a WHERE a.id = background_taken.id);
END;

-- Whether a task can keep the id: new ones go on behind it, so who could write a row must not end them.
CREATE FUNCTION pgqueue_internal.background_fits(id bigint) RETURNS boolean
LANGUAGE sql IMMUTABLE
RETURN id BETWEEN 1 AND 4611686018427387903;

-- What identifies a row of 1.0 after it was taken over.
CREATE FUNCTION pgqueue_internal.background_former(id bigint, joined_at timestamp) RETURNS jsonb
LANGUAGE sql IMMUTABLE
RETURN pg_catalog.jsonb_build_object('id', id, 'joined_at', joined_at);

-- Raises unless the relation is a table with the columns of 1.0.
CREATE FUNCTION pgqueue_internal.background_check_source(source regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    missing text;
    incomplete text;
BEGIN
    PERFORM pgqueue_internal.check_given('source', source::text);
    -- What is checked stays so.
    IF EXISTS (SELECT FROM pg_class c WHERE c.oid = source AND c.relkind IN ('r', 'p')) THEN
        EXECUTE format('LOCK TABLE %s IN SHARE MODE', source);
    END IF;
    SELECT string_agg(w.name, ', ' ORDER BY w.place) INTO missing
    FROM unnest(ARRAY['id', 'sql_statement', 'topic', 'joined_at', 'started_at', 'closed_at', 'priority', 'state',
        'retry_count', 'retry_delay_in_sec', 'errors']) WITH ORDINALITY w (name, place)
    -- Types of the server's own, and the state, an enum: its values are read by format(), as
    -- ::text would run a cast of its owner's.
    WHERE NOT EXISTS (SELECT FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
                      WHERE a.attrelid = source AND a.attname = w.name AND NOT a.attisdropped
                          AND (t.typnamespace = 'pg_catalog'::regnamespace OR (w.name = 'state' AND t.typtype = 'e')));
    IF missing IS NOT NULL OR NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = source AND c.relkind IN ('r', 'p')) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('"%s" is not a table of pg_background_queue 1.0', source),
            DETAIL = CASE WHEN missing IS NOT NULL
                THEN format('It lacks these columns, or they have other types: %s.', missing)
                ELSE 'It is not a table.' END,
            HINT = 'Restore the table pg_background_tasks of the old server under another name, and pass that name.';
    END IF;
    EXECUTE format($sql$
        SELECT coalesce(s.id::text, 'without id') FROM %s s
        WHERE num_nulls(s.id, s.sql_statement, s.joined_at, s.priority, s.state, s.retry_count) > 0 LIMIT 1
        $sql$, source) INTO incomplete;
    IF incomplete IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'not_null_violation',
            MESSAGE = format('row %s of "%s" is not complete', incomplete, source),
            DETAIL = 'One of id, sql_statement, joined_at, priority, state and retry_count is NULL, '
                'which version 1.0 does not have.',
            HINT = 'Delete the row, or set the missing columns.';
    END IF;
END
$$;

-- Takes over the rows of a table of 1.0 that are not here yet; ids stay as long as no task has them. Times without
-- zone are of the session's time zone. Rows that nobody knows a role of come as failed ones without a role,
-- history too. Returns how many rows it took.
CREATE FUNCTION pgqueue_internal.background_take(source regclass) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    background integer := pgqueue_internal.background_namespace();
    runner oid := pgqueue_internal.background_runner(source);
    given bigint := (SELECT t.last_value FROM pgqueue_internal.task_id t);  -- no task has a greater id
    -- The rows of the source that are not here, with the id that they get.
    missing text := format($sql$
        SELECT CASE WHEN NOT pgqueue_internal.background_fits(s.id)
                OR s.id <= %s
                    AND pgqueue_internal.background_taken(s.id, format('%%s', s.state) IN ('finished', 'failed'))
                THEN nextval('pgqueue_internal.task_id') ELSE s.id END AS id,
            s.sql_statement::text AS command, s.topic::text AS topic, s.joined_at::timestamptz AS joined_at,
            s.started_at::timestamptz AS started_at, s.closed_at::timestamptz AS closed_at,
            s.priority::integer AS priority, format('%%s', s.state) AS state, s.retry_count::integer AS retry_count,
            s.errors::text AS errors,
            CASE WHEN s.topic IS NOT NULL THEN jsonb_build_object('topic', s.topic) ELSE '{}' END
                || jsonb_build_object('former',
                    pgqueue_internal.background_former(s.id::bigint, s.joined_at::timestamp)) AS headers
        FROM %s s
        WHERE NOT EXISTS (
            SELECT FROM (
                SELECT t.headers, t.command FROM pgqueue_internal.segment t
                JOIN pgqueue_internal.queue q ON q.id = t.queue_id
                WHERE q.namespace_id = %s AND t.headers ? 'former'
                UNION ALL
                SELECT a.headers, a.command FROM pgqueue_internal.archive a
                WHERE a.namespace_id = %s AND a.headers ? 'former'
            ) h
            WHERE h.headers -> 'former' = pgqueue_internal.background_former(s.id::bigint, s.joined_at::timestamp)
                AND h.command = s.sql_statement::text)
        $sql$, given, source, background, background);
    unfinished text := $sql$ WHERE m.state IN ('pending', 'running', 'retrying') $sql$;
    highest bigint;
    taken bigint;
    history bigint;
BEGIN
    PERFORM pgqueue_internal.follow_topics();
    EXECUTE format('SELECT max(s.id) FROM %s s WHERE pgqueue_internal.background_fits(s.id)', source) INTO highest;
    PERFORM setval('pgqueue_internal.task_id', highest) FROM pgqueue_internal.task_id t WHERE highest >= t.last_value;
    EXECUTE format($sql$
        INSERT INTO pgqueue_internal.archive (id, namespace_id, namespace, queue, status, command, headers, priority,
            role_id, attempt, retries, created_at, started_at, finished_at, error, transactional, uncounted)
        SELECT m.id, $1, 'pg_background_queue', (pgqueue_internal.topic(m.topic)).queue,
            CASE m.state WHEN 'finished' THEN 'released' ELSE 'failed' END,
            m.command, m.headers, m.priority, pgqueue_internal.note_role($2), m.retry_count + 1, m.retry_count,
            m.joined_at, m.started_at, coalesce(m.closed_at, clock_timestamp()),
            CASE WHEN m.state IN ('finished', 'failed') THEN m.errors
                ELSE 'taken over from version 1.0, which does not tell the role to run it as' END,
            true, 0
        FROM (%s) m %s ORDER BY m.id
        $sql$, missing, CASE WHEN runner IS NULL THEN '' ELSE 'WHERE m.state IN (''finished'', ''failed'')' END)
        USING background, runner;
    GET DIAGNOSTICS history = ROW_COUNT;
    EXECUTE format($sql$
        SELECT count(pgqueue_internal.put_task(m.id, q.id, $2, m.command, m.priority, m.headers, m.joined_at, NULL,
            m.retry_count, m.errors)::text)
        FROM (%s) m
        JOIN pgqueue_internal.queue q ON q.namespace_id = $1 AND q.name = (pgqueue_internal.topic(m.topic)).queue %s
        $sql$, missing, unfinished) INTO taken USING background, runner;
    RETURN history + taken;
END
$$;

CREATE FUNCTION @extschema@.pg_background_queue_import(source regclass) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pgqueue_internal.check_call('pg_background_queue_import', true);
    IF NOT (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user) THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = 'permission denied to import tasks',
            DETAIL = 'The tasks run as the role that could write to the table.', HINT = 'Only superusers may import.';
    END IF;
    PERFORM pgqueue_internal.background_check_source(source);
    RETURN pgqueue_internal.background_take(source);
END
$$;
COMMENT ON FUNCTION @extschema@.pg_background_queue_import IS
'Takes over the rows of a table of pg_background_queue 1.0 that was restored under another name, and returns how '
'many; a repeated call adds nothing. Unfinished rows run as the owner of the table, or as the one other role that '
'could write to it; when several could, they come as failed. Raises 22023 for a table of another form, 23502 for an '
'incomplete row. Only superusers may call it (42501).';
