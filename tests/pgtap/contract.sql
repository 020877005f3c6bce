-- The catalog against the contract of the SQL surface. What later issues bring is listed in
-- "later": it must be absent, not a stub.
\set ECHO none
\set QUIET 1
\ir ../contract/surface.sql
BEGIN;
CREATE TEMP TABLE later (kind text, name text);
INSERT INTO later
SELECT 'functions', unnest('{fleet_next_tasks,fleet_release_tasks,fleet_fail_tasks,
    create_sharded_queue}'::text[]);

-- The contract as rows, and the catalog in the same shape.
CREATE TEMP VIEW wanted AS SELECT s.* FROM surface s WHERE (s.kind, s.name) NOT IN (SELECT l.kind, l.name FROM later l);
CREATE TEMP VIEW wanted_args AS
SELECT w.name AS function, a.position::integer, a.spec ->> 'name' AS name,
    format_type((a.spec ->> 'type')::regtype, NULL) AS type, a.spec ->> 'default' AS default_value,
    coalesce(a.spec ->> 'mode', 'IN') AS mode
FROM wanted w, jsonb_array_elements(w.spec -> 'args') WITH ORDINALITY a (spec, position)
WHERE w.kind IN ('functions', 'procedures');
CREATE TEMP VIEW routines AS
SELECT p.*, CASE p.prokind WHEN 'p' THEN 'procedures' ELSE 'functions' END AS kind
FROM pg_proc p WHERE p.pronamespace = 'pgqueue'::regnamespace;

-- The value of an expression of a type, to compare defaults that are written differently.
CREATE FUNCTION pg_temp.value(expression text, type text) RETURNS text LANGUAGE plpgsql STRICT AS $$
DECLARE
    result text;
BEGIN
    EXECUTE format('SELECT (%s)::%s::text', expression, type) INTO result;
    RETURN coalesce(result, 'NULL');
END
$$;

CREATE TEMP VIEW actual_args AS
SELECT r.proname::text AS function, a.position::integer, r.proargnames[a.position] AS name,
    format_type(a.type, NULL) AS type,
    pg_get_function_arg_default(r.oid, a.position::integer) AS default_value,
    CASE r.proargmodes[a.position] WHEN 'b' THEN 'INOUT' WHEN 'o' THEN 'OUT' WHEN 'v' THEN 'VARIADIC'
        WHEN 't' THEN 'TABLE' ELSE 'IN' END AS mode
FROM routines r, unnest(coalesce(r.proallargtypes, r.proargtypes::oid[])) WITH ORDINALITY a (type, position);

-- A statement that names a routine with the arguments given, in the form of PREPARE; the planner never sees it.
CREATE FUNCTION pg_temp.resolves(call text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'PREPARE contract_call AS ' || call;
    DEALLOCATE contract_call;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RETURN format('%s: %s', call, sqlerrm);
END
$$;
-- Every form of call: all by name, positional at every length, each option alone.
CREATE TEMP VIEW calls AS
WITH routine AS (
    SELECT a.function, count(*) AS total, count(*) FILTER (WHERE a.default_value IS NULL) AS required
    FROM wanted_args a JOIN wanted w ON w.name = a.function AND w.kind = 'functions' GROUP BY a.function
), required AS (
    SELECT a.function, string_agg(format('%I => $%s', a.name, a.position), ', ' ORDER BY a.position) AS arguments
    FROM wanted_args a WHERE a.default_value IS NULL GROUP BY a.function
)
SELECT r.function, format('SELECT pgqueue.%I(%s)', r.function,
    (SELECT string_agg(format('%I => $%s', a.name, a.position), ', ' ORDER BY a.position) FROM wanted_args a
        WHERE a.function = r.function)) AS call
FROM routine r
UNION ALL
SELECT r.function,
    format('SELECT pgqueue.%I(%s)', r.function,
        (SELECT string_agg(form || CASE form WHEN '$' THEN i::text ELSE '' END, ', ') FROM generate_series(1, n) i))
FROM routine r, generate_series(r.required, r.total) n, unnest('{$,"NULL"}'::text[]) form
UNION ALL
SELECT a.function,
    format('SELECT pgqueue.%I(%s)', a.function, concat_ws(', ', q.arguments, format('%I => NULL', a.name)))
FROM wanted_args a
JOIN wanted w ON w.name = a.function AND w.kind = 'functions'
LEFT JOIN required q ON q.function = a.function
WHERE a.default_value IS NOT NULL;

SELECT no_plan();

-- Names.
SELECT set_eq('SELECT proname::text FROM routines',
    'SELECT name FROM wanted WHERE kind IN (''functions'', ''procedures'')',
    'schema pgqueue has the functions of the contract that are built, and no other; no overloads');
SELECT is((SELECT count(*) FROM routines), (SELECT count(*) FROM wanted WHERE kind IN ('functions', 'procedures')),
    'no overloads');
SELECT set_eq('SELECT relname::text FROM pg_class WHERE relnamespace = ''pgqueue''::regnamespace',
    'SELECT name FROM wanted WHERE kind IN (''views'', ''types'')',
    'schema pgqueue has the views and types of the contract that are built, and no other relation (K03)');
SELECT set_eq('SELECT name FROM wanted WHERE kind = ''views''',
    'SELECT relname::text FROM pg_class WHERE relnamespace = ''pgqueue''::regnamespace AND relkind = ''v''',
    'they are views');
SELECT is_empty('SELECT l.* FROM later l LEFT JOIN surface s USING (kind, name) WHERE s.name IS NULL',
    'what is said to come later is in the contract');

-- Signatures.
SELECT set_eq('SELECT function, position, name, type, mode FROM actual_args',
    'SELECT function, position, name, type, mode FROM wanted_args',
    'arguments: names, types, modes, order');
SELECT is_empty($$
    SELECT w.function, w.name, w.default_value, a.default_value
    FROM wanted_args w
    JOIN actual_args a USING (function, position)
    WHERE (w.default_value IS NULL) <> (a.default_value IS NULL)
       OR pg_temp.value(w.default_value, w.type) IS DISTINCT FROM pg_temp.value(a.default_value, a.type) $$,
    'defaults of arguments');
SELECT set_eq(
    $$SELECT proname::text, replace(pg_get_function_result(oid), 'pgqueue.', '') FROM routines
        WHERE kind = 'functions'$$,
    $$SELECT name, replace(spec ->> 'returns', 'timestamptz', 'timestamp with time zone') FROM wanted
        WHERE kind = 'functions'$$, 'what functions return');
SELECT is_empty($$SELECT DISTINCT name FROM actual_args WHERE quote_ident(name) <> name$$,
    'no argument needs quotes before =>');
SELECT is_empty($$SELECT oid::regprocedure FROM routines WHERE proisstrict OR provariadic <> 0$$,
    'none is strict or variadic');
SELECT is_empty($$SELECT oid::regprocedure FROM routines WHERE proparallel = 's'$$, 'none is parallel safe');
SELECT is_empty($$SELECT p.oid::regprocedure
    FROM pg_proc p
    JOIN pg_language l ON l.oid = p.prolang AND l.lanname IN ('sql', 'plpgsql')
    WHERE p.pronamespace IN ('pgqueue'::regnamespace, 'pgqueue_internal'::regnamespace) AND p.provolatile = 'v'
        AND p.proparallel <> 'u'$$, 'none starts commands during a parallel operation');
SELECT set_eq($$SELECT proname::text FROM routines WHERE provolatile <> 'v'$$,
    $$SELECT name FROM wanted
        WHERE kind = 'functions'
            AND (name LIKE 'get\_%' OR name IN ('cron_next', 'cron_valid', 'has_namespace_privilege', 'why', 'version',
                'prometheus'))$$,
    'functions that only read are not volatile, all others are');

-- Calls.
SELECT is_empty('SELECT pg_temp.resolves(call) FROM calls WHERE pg_temp.resolves(call) IS NOT NULL',
    'every form of call resolves');
SELECT cmp_ok((SELECT count(*) FROM calls), '>', 200::bigint, 'and there are many forms');
-- CALL cannot be prepared. A function with it in its body is refused with 0A000 when the call
-- resolves, with 42883 when it does not.
SELECT throws_ok(format('CREATE FUNCTION pg_temp.%I(id bigint) RETURNS void LANGUAGE sql AS %L',
    'call_' || n, format('CALL pgqueue.wait_for_result(%s)', arguments)), '0A000',
    NULL, format('CALL pgqueue.wait_for_result(%s) resolves', arguments))
FROM unnest(ARRAY['$1', '$1, NULL', '$1, NULL, NULL', '$1, NULL, NULL, NULL', '$1, NULL, NULL, NULL, NULL',
    '$1, NULL, NULL, NULL, NULL, NULL',
    'id => $1, timeout => NULL, namespace => NULL, status => NULL, result => NULL, error => NULL',
    'id => $1, timeout => NULL', 'id => $1, namespace => NULL'])
    WITH ORDINALITY c (arguments, n);
SELECT throws_ok(
    'CREATE FUNCTION pg_temp.call_wrong(id bigint) RETURNS void LANGUAGE sql AS ''CALL pgqueue.wait_for_result($1, '
    'no => 1)''', '42883', NULL,
    'and this test notices a call that does not');

-- Columns of views.
SELECT set_eq($$
    SELECT c.relname::text, a.attnum::integer, a.attname::text, format_type(a.atttypid, a.atttypmod)
    FROM pg_class c
    JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = 'pgqueue'::regnamespace AND c.relkind = 'v' AND a.attnum > 0 $$, $$
    SELECT w.name, c.position::integer, c.spec ->> 'name',
        replace(c.spec ->> 'type', 'timestamptz', 'timestamp with time zone')
    FROM wanted w, jsonb_array_elements(w.spec -> 'columns') WITH ORDINALITY c (spec, position)
    WHERE w.kind = 'views' $$,
    'columns of views: names, types, order (C08)');
SELECT is_empty(
    $$SELECT c.oid::regclass FROM pg_class c WHERE c.relnamespace = 'pgqueue'::regnamespace AND c.relkind = 'v'
    AND NOT coalesce(c.reloptions, '{}') @> '{security_barrier=true}'$$, 'views are security barriers');
SELECT is_empty($$SELECT c.oid::regclass, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = 'pgqueue'::regnamespace AND c.relkind = 'v' AND a.atttypid = 'text'::regtype
        AND a.attcollation <> 'pg_catalog.default'::regcollation$$,
    'every text column can be compared: it has the default collation');
SELECT set_eq($$
    SELECT c.relname::text,
        string_agg(CASE WHEN t.tgtype & 4 <> 0 THEN 'I' WHEN t.tgtype & 16 <> 0 THEN 'U'
            WHEN t.tgtype & 8 <> 0 THEN 'D' END, ''
        ORDER BY CASE WHEN t.tgtype & 4 <> 0 THEN 1 WHEN t.tgtype & 16 <> 0 THEN 2 ELSE 3 END)
    FROM (SELECT DISTINCT tgrelid, tgtype FROM pg_trigger WHERE NOT tgisinternal AND tgtype & 64 <> 0) t
    JOIN pg_class c ON c.oid = t.tgrelid WHERE c.relnamespace = 'pgqueue'::regnamespace GROUP BY c.relname $$,
    $$SELECT name, spec ->> 'dml' FROM wanted WHERE kind = 'views' AND spec ->> 'dml' <> ''$$,
    'views that take INSERT, UPDATE, DELETE');

-- Comments.
SELECT is_empty($$SELECT oid::regprocedure FROM routines WHERE coalesce(obj_description(oid, 'pg_proc'), '') = ''$$,
    'every function has a comment');
SELECT is_empty($$
    SELECT w.name, w.spec ->> 'comment' FROM wanted w WHERE w.kind = 'views'
    AND obj_description(('pgqueue.' || w.name)::regclass, 'pg_class') IS DISTINCT FROM w.spec ->> 'comment' $$,
    'every view has the comment of the contract');
SELECT is_empty($$
    SELECT w.name, c.spec ->> 'name', col_description(('pgqueue.' || w.name)::regclass, c.position::integer)
    FROM wanted w, jsonb_array_elements(w.spec -> 'columns') WITH ORDINALITY c (spec, position)
    WHERE w.kind = 'views'
        AND NOT starts_with(coalesce(col_description(('pgqueue.' || w.name)::regclass, c.position::integer), ''),
            c.spec ->> 'comment') $$,
    'every column has the comment of the contract, perhaps followed by its default');

SELECT * FROM finish();
ROLLBACK;
