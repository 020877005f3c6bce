-- What a dump contains, and what the rows of a dump do when they are copied into a fresh installation. The
-- dump itself: tests/tap/030_dump_restore.pl.
\set ECHO none
\set QUIET 1
BEGIN;
SELECT no_plan();
SELECT set_eq($$SELECT unnest(extconfig)::regclass FROM pg_extension WHERE extname = 'pgqueue'$$,
    $$SELECT oid::regclass FROM pg_class
        WHERE relnamespace = 'pgqueue_internal'::regnamespace AND relkind IN ('r', 'S')
            AND relname NOT LIKE 'stat\_minute\_%'$$,
    'every table and sequence is dumped, but for the history of statistics');
SELECT is((SELECT extcondition FROM pg_extension WHERE extname = 'pgqueue'),
    (SELECT array_agg(''::text) FROM pg_extension, unnest(extconfig) WHERE extname = 'pgqueue'), 'with all rows');

-- Rows of an older server, as COPY brings them.
CREATE ROLE tap_here;
INSERT INTO pgqueue_internal.identity VALUES (1, 2), (1, 2);
SELECT is((SELECT count(*) FROM pgqueue_internal.identity WHERE system_identifier = 1), 1::bigint,
    'an identity that is there already adds nothing');
INSERT INTO pgqueue_internal.role (id, oid, name, system_identifier)
VALUES (1, 999999, 'tap_here', 1), (2, 10, 'tap_gone', 1), (3, 999998, 'tap_gone_too', 1),
    (3, 999998, 'tap_gone_too', 1);
SELECT results_eq('SELECT id, oid FROM pgqueue_internal.role WHERE id <= 3 ORDER BY id',
    $$VALUES (1, 'tap_here'::regrole::oid), (2, NULL), (3, NULL)$$,
    'roles are found by name; a number that belongs to somebody else here is not taken over');
INSERT INTO pgqueue_internal.namespace (id, name, owner, owner_name, weight) VALUES (100, 'app', 10, 'tap_gone', 5),
    (101, 'default', 999999, 'tap_here', 9), (2, 'pgqueue', 999999, 'tap_here', 4), (1, 'main', 999999, 'tap_here', 3);
SELECT results_eq('SELECT id, name, weight FROM pgqueue_internal.namespace ORDER BY id',
    $$VALUES (1, 'main', 3), (2, 'pgqueue', 4), (100, 'app', 5), (101, 'default', 9)$$,
    'namespaces of the script are overwritten, renamed and made anew ones are right');
SELECT results_eq('SELECT id, pg_get_userbyid(owner) FROM pgqueue_internal.namespace WHERE id <> 100 ORDER BY id',
    format($$VALUES (1, 'tap_here'::name), (2, %L), (101, 'tap_here')$$, current_user),
    'with their owners by name; the system namespace stays ours');
SELECT is_empty('SELECT FROM pgqueue_internal.namespace n JOIN pg_roles r ON r.oid = n.owner WHERE n.id = 100',
    'a namespace of a role that is gone belongs to nobody');
SELECT is((SELECT owner FROM pgqueue.namespace WHERE namespace = 'app'), 'tap_gone', 'and shows the name');
INSERT INTO pgqueue_internal.namespace_grant (namespace_id, role, role_name, privilege, grantor, grantor_name)
VALUES (100, 10, 'tap_gone', 'use', 10, 'tap_gone'), (100, 999999, 'tap_here', 'use', 10, 'tap_gone'),
    (100, 0, 'public', 'read', 10, 'tap_gone');
SELECT results_eq('SELECT role, privilege, grantor FROM pgqueue.namespace_grant ORDER BY role',
    $$VALUES ('public', 'read', 'tap_gone'), ('tap_here', 'use', 'tap_gone')$$,
    'grants by name; one to a role that is gone is no error and nobody''s');
INSERT INTO pgqueue_internal.handler (namespace_id, type, phase, function, role, role_name, owner, owner_name)
    VALUES (100, 'a', 'handle', 'f', 10, 'tap_here', 10, 'tap_here'),
        (100, 'b', 'handle', 'f', 10, 'tap_gone', 10, 'tap_gone');
SELECT results_eq('SELECT type, role FROM pgqueue.handler ORDER BY type',
    $$VALUES ('a', 'tap_here'), ('b', 'tap_gone')$$, 'handlers keep their roles by name');
SELECT is_empty('SELECT FROM pgqueue_internal.handler h JOIN pg_roles r ON r.oid = h.role WHERE h.type = ''b''',
    'one of a role that is gone is nobody''s');
INSERT INTO pgqueue_internal.ring (slot, generation, current) SELECT s, 7, s IN (2, 5) FROM generate_series(0, 5) s;
SELECT results_eq('SELECT slot, generation, current FROM pgqueue_internal.ring ORDER BY slot',
    'SELECT s::smallint, 7, s IN (2, 5) FROM generate_series(0, 5) s', 'the ring is that of the dump');

SELECT * FROM finish();
ROLLBACK;
