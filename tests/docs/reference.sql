-- Prints docs/reference.md: what the catalog of a database with pgqueue says. Run by tests/docs/reference, with psql -XqAt, in a new
-- database. Only the texts here that the catalog cannot know are written by hand.
\set ON_ERROR_STOP on
SET search_path = pg_catalog;
SET client_min_messages = warning;

-- What this version has in its signatures but refuses: found by trying.
CREATE TEMPORARY TABLE refused (what text, name text);
DO $$
DECLARE
    t record;
BEGIN
    PERFORM pgqueue.create_queue('probe');
    FOR t IN SELECT * FROM (VALUES
        ('argument', 'type', 'SELECT pgqueue.create_task(''probe'', type => ''x'')'),
        ('argument', 'dedup_key', 'SELECT pgqueue.create_task(''probe'', ''{}'', dedup_key => ''x'')'),
        ('argument', 'dedup_for', 'SELECT pgqueue.create_task(''probe'', ''{}'', dedup_key => ''x'', dedup_for => ''1 hour'')'),
        ('argument', 'group_key', 'SELECT pgqueue.create_task(''probe'', ''{}'', group_key => ''x'')'),
        ('argument', 'batch_key', 'SELECT pgqueue.create_task(''probe'', ''{}'', batch_key => ''x'')'),
        ('argument', 'depends_on', 'SELECT pgqueue.create_task(''probe'', ''{}'', depends_on => ''{1}'')'),
        ('argument', 'depends_on_batch', 'SELECT pgqueue.create_task(''probe'', ''{}'', depends_on_batch => ''x'')'),
        ('argument', 'headers', 'SELECT pgqueue.create_task(''probe'', ''{}'', headers => ''{}'')'),
        ('setting', 'group_max_running', 'SELECT pgqueue.update_queue(''probe'', group_max_running => 2)'),
        ('setting', 'group_rate_limit', 'SELECT pgqueue.update_queue(''probe'', group_rate_limit => 1)'),
        ('setting', 'group_policy', 'SELECT pgqueue.update_queue(''probe'', group_policy => ''pass'')'),
        ('setting', 'aging', 'SELECT pgqueue.update_queue(''probe'', aging => ''1 minute'')'),
        ('setting', 'rate_limit', 'SELECT pgqueue.update_queue(''probe'', rate_limit => 1)'),
        ('setting', 'dead_letter', 'SELECT pgqueue.create_queue(''dead'') IS NULL, pgqueue.update_queue(''probe'', dead_letter => ''dead'')'),
        ('setting', 'group_commit', 'SELECT pgqueue.update_queue(''probe'', group_commit => 2)'),
        ('setting', 'forward_to', 'SELECT pgqueue.update_queue(''probe'', forward_to => ''x'')')
    ) v (what, name, call)
    LOOP
        BEGIN
            EXECUTE t.call;
        EXCEPTION
            WHEN feature_not_supported THEN INSERT INTO pg_temp.refused VALUES (t.what, t.name);
            WHEN OTHERS THEN NULL;  -- refused for another reason: supported
        END;
    END LOOP;
    PERFORM pgqueue.delete_queue('probe', force => true);
    PERFORM pgqueue.delete_queue('dead', force => true);
END
$$;

-- Short names of types, NULL defaults as `?`, a cell of a table without bars.
CREATE FUNCTION pg_temp.short(t text) RETURNS text LANGUAGE sql AS $$
    SELECT replace(regexp_replace(regexp_replace(replace(t, 'timestamp with time zone', 'timestamptz'),
        ' DEFAULT NULL::[a-z0-9_ ]+(\[\])?', '?', 'g'), ' DEFAULT (''[^'']*'')::[a-z ]+', ' = \1', 'g'), ' DEFAULT ', ' = ') $$;
CREATE FUNCTION pg_temp.cell(t text) RETURNS text LANGUAGE sql AS $$ SELECT coalesce(replace(replace(t, '|', '\|'), E'\n', ' '), '') $$;

-- A paragraph in lines of at most 120 characters, each with its end.
CREATE FUNCTION pg_temp.wrapped(t text) RETURNS text LANGUAGE sql AS $$ SELECT regexp_replace(t, '(.{1,120})( +|$)', E'\\1\n', 'g') $$;

-- A signature in such lines, each but the last with a comma at its end.
CREATE FUNCTION pg_temp.wrapped_arguments(t text) RETURNS text LANGUAGE sql AS $$
    SELECT rtrim(regexp_replace(t, '(.{1,115}(,|$)) ?', E'\\1\n    ', 'g'), E' \n') $$;

CREATE TEMPORARY TABLE section (no integer, title text, pattern text);
INSERT INTO section VALUES
    (1, 'Namespaces', 'namespace'),
    (2, 'Queues', '_queue$|^redrive$'),
    (3, 'Tasks', '^(create_tasks?|cancel_task|retry_task|get_task|run_task|current_task|progress|why|wait_for_result|priority_.*)$'),
    (4, 'Outside workers', '^((next|release|fail|extend|snooze)_tasks?|wait_for_task)$'),
    (5, 'Workers of the server', '^(adopt|ensure_workers|stop_workers)$'),
    (6, 'Handlers', 'handler$'),
    (7, 'Tickers', 'ticker$|^cron_|^import_pg_cron$'),
    (9, 'Other', '');

SELECT $$# Reference

Every function, type, view, setting and error code of this version. `tests/docs/reference` makes this page from the
catalog of a database with the extension, and a test fails when it is out of date. Do not edit it by hand.

- [Functions](#functions) · [Types](#types) · [Views](#views) · [Settings](#settings) · [Error codes](#error-codes)

Rules that hold everywhere:

- `?` after an argument says that its default is NULL, which means "not given": a new object gets the default of the
  setting, an existing one keeps its value.
- Zero switches off: `ttl`, `run_limit` `'0'`, `max_running`, `max_depth`, `rate_limit`, `group_rate_limit` 0,
  `dead_letter` `''`. The exception is `retention`: `'0'` is for ever, NULL follows `ttl`.
- Zero means the fair part again, at most half of what other namespaces leave: `max_leases`, `max_groups`, `max_queues`,
  `max_priorities`, `max_dependencies`.
- Singular functions take one and return one. Plural ones take arrays and return a row for each element, in the same
  order.
- Every function needs the role `pgqueue_user` ([privileges.md](privileges.md)), also where its text says that it needs
  no privilege.
- Every function that changes something raises 55000 without the preloaded library, and 25006 on a standby or in a
  read-only transaction. An unknown namespace raises 42704, a NULL that is not allowed 22004.
- `namespace` NULL means the setting `pgqueue.namespace` of the session where a name is given, the namespace of the task
  where an id is given.
- Names are trimmed and put into lower case. They begin with a letter and have at most 64 letters, digits, `_` and `-`.
- `get_…` and `next_…` return no row when they find nothing. Functions that change a task return its status after the
  call.$$;

SELECT E'- Arguments of `create_task` and `create_tasks` that this version refuses with 0A000: '
    || string_agg('`' || name || '`', ', ' ORDER BY name) || ' (and their plurals).' FROM refused WHERE what = 'argument' HAVING count(*) > 0;
SELECT E'- Settings of a queue of which only the default is accepted, else 0A000: '
    || string_agg('`' || name || '`', ', ' ORDER BY name) || '.' FROM refused WHERE what = 'setting' HAVING count(*) > 0;

SELECT E'\n## Functions';
WITH f AS (
    SELECT p.oid, p.proname AS name, p.prokind, (SELECT min(s.no) FROM section s WHERE p.proname ~ s.pattern) AS no
    FROM pg_proc p WHERE p.pronamespace = 'pgqueue'::regnamespace
), lines AS (
    SELECT s.no, 0 AS kind, '' AS name, E'\n### ' || s.title || E'\n' AS line FROM section s WHERE s.no IN (SELECT f.no FROM f)
    UNION ALL
    SELECT f.no, 1, f.name,
        E'#### `' || f.name || E'`\n\n```text\n' || pg_temp.wrapped_arguments(
            CASE f.prokind WHEN 'p' THEN 'CALL ' ELSE '' END || 'pgqueue.' || f.name
            || '(' || pg_temp.short(pg_get_function_arguments(f.oid)) || ')'
            || CASE f.prokind WHEN 'p' THEN '' ELSE ' → ' || pg_temp.short(pg_get_function_result(f.oid)) END)
        || E'\n```\n\n' || pg_temp.wrapped(coalesce(obj_description(f.oid, 'pg_proc'), '?'))
    FROM f
)
SELECT line FROM lines ORDER BY no, kind, name;

SELECT E'## Types\n';
SELECT E'| type | attributes | what |\n|---|---|---|';
SELECT '| `' || t.typname || '` | '
    || (SELECT string_agg(a.attname || ' ' || pg_temp.short(format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum)
        FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0)
    || ' | ' || pg_temp.cell(obj_description(t.oid, 'pg_type')) || ' |'
FROM pg_type t JOIN pg_class c ON c.oid = t.typrelid
WHERE t.typnamespace = 'pgqueue'::regnamespace AND c.relkind = 'c'
ORDER BY t.typname COLLATE "C";

SELECT E'\n## Views\n\nDefaults are those of INSERT. In INSERT and UPDATE NULL means none.\n';
WITH v AS (
    SELECT c.oid, c.relname AS name,
        (SELECT string_agg(DISTINCT e.word, ', ' ORDER BY e.word) FROM pg_trigger g,
            (VALUES (4, 'INSERT'), (8, 'DELETE'), (16, 'UPDATE')) e (bit, word)
            WHERE g.tgrelid = c.oid AND NOT g.tgisinternal AND g.tgtype & e.bit <> 0) AS changes
    FROM pg_class c WHERE c.relnamespace = 'pgqueue'::regnamespace AND c.relkind = 'v'
), lines AS (
    SELECT v.name, 0 AS no, E'### `' || v.name || E'`\n\n' || pg_temp.wrapped(coalesce(obj_description(v.oid, 'pg_class'), '?')
        || '; ' || coalesce('takes ' || v.changes, 'read only')) || E'\n| column | type | default | what |\n|---|---|---|---|' AS line
    FROM v
    UNION ALL
    SELECT v.name, a.attnum, '| `' || a.attname || '` | ' || pg_temp.short(format_type(a.atttypid, a.atttypmod)) || ' | '
        || pg_temp.cell(regexp_replace(pg_get_expr(d.adbin, d.adrelid), '::.*', '')) || ' | '
        || pg_temp.cell(col_description(a.attrelid, a.attnum)) || ' |'
    FROM v JOIN pg_attribute a ON a.attrelid = v.oid AND a.attnum > 0
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    UNION ALL
    SELECT v.name, 10000, '' FROM v
)
SELECT line FROM lines ORDER BY name COLLATE "C", no;

SELECT $$`UPDATE pgqueue.task` may set `priority`, `delayed_at`, `dies_at`, `retries`, `payload`, `headers`, `group_key` and
`queue` (which moves the task) of a task that is not retained, and `status` to `cancelled` or `retry`. Other columns
raise 0A000. An UPDATE of the name of a queue, ticker or namespace renames it.

## Settings

`change` says what a new value needs: a restart of the server, a reload, or `SET` in a session (by a superuser where it
says so). A misspelt `pgqueue.*` name is refused.
$$;
SELECT E'| name | type | default | range | change | what |\n|---|---|---|---|---|---|';
SELECT '| `' || s.name || '` | ' || s.vartype || coalesce(' ' || s.unit, '') || ' | `' || coalesce(nullif(s.boot_val, ''), '''''') || '` | '
    || CASE WHEN s.enumvals IS NOT NULL THEN array_to_string(s.enumvals, ', ')
            WHEN s.min_val IS NOT NULL THEN s.min_val || ' to ' || s.max_val ELSE '' END || ' | '
    || CASE s.context WHEN 'postmaster' THEN 'restart' WHEN 'sighup' THEN 'reload' WHEN 'superuser' THEN 'SET (superuser)' ELSE 'SET' END || ' | '
    || pg_temp.cell(s.short_desc) || ' |'
FROM pg_settings s WHERE s.name LIKE 'pgqueue.%' ORDER BY s.name COLLATE "C";

SELECT $$
## Error codes

Class PQ is pgqueue's own. In PL/pgSQL `WHEN SQLSTATE 'PQ001'` catches one of them, `SQLSTATE 'PQ000'` the whole class.

| raised | when |
|---|---|
| PQ001 | receipt_not_valid: the lease has ended, another worker holds the task, or it is finished |
| PQ002 | duplicate_key: an unfinished task has the dedup key (`on_conflict` `error`, `retry_task`) |
| PQ003 | queue_full: `max_depth` of the queue or of its namespace |
| PQ004 | task_cancelled: the holder of a cancelled task extends, releases, fails or snoozes it |
| 0A000 | not supported by this version; PREPARE TRANSACTION after a change of tasks or queues |
| 22004 | an argument that must not be NULL is NULL |
| 22023 | an argument is out of its range; the hint has the range or the valid words |
| 25001 | `wait_for_task`, `wait_for_result` in a transaction block or function; `run_task` of a command that cannot run in a transaction block |
| 25006 | on a standby or in a read-only transaction |
| 2BP01 | `delete_namespace` without `force` of a namespace with queues |
| 42501 | no right; the hint has the grant that is missing |
| 42602 | invalid name |
| 42704 | namespace, queue, task or role does not exist |
| 42710 | exists already (rename; INSERT into a view) |
| 42939 | the reserved name `pgqueue` |
| 53200 | the dispatcher's shared memory has no room: raise `pgqueue.dispatch_memory` |
| 53400 | the namespace has used its part of what all share (`max_queues`, `max_priorities`, `max_dependencies`), has 1000 handlers, or 16 of phase failed |
| 55000 | the library is not preloaded, or has another version than the extension; the task is in a state that does not allow it; a task that changes itself |
| 55006 | the task is retained, or the queue has retained tasks |

| recorded in `error_code` | when |
|---|---|
| PQ101 | the lease ended |
| PQ102 | the worker process or the session of the worker ended |
| PQ103 | quarantined after `pgqueue.max_crashes` crashes |
| PQ104 | no handler for its type |
| PQ105 | `run_limit` |
| PQ106 | expired while it ran |
| PQ107 | cancelled because a task that it depends on failed |
| P0001 | `fail_task` |
| 25P04 | `transaction_timeout` of the role (PostgreSQL 17 and later) |
| 0A000 | transaction control, or COPY with the client, in a command |
| 57014 | cancelled by `cancel_task`, or the statement by an administrator |
| 57P01 | the worker process was terminated by an administrator |
| any other | the SQLSTATE of the failed command |$$;
