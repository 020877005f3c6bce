\set ECHO none
\set QUIET 1
BEGIN;
SELECT plan(6);
SELECT is((SELECT label FROM pgqueue.create_queue('q')), 'none', 'default');
SELECT is((SELECT label FROM pgqueue.update_queue('q', label => 'red')), 'red', 'update');
SELECT throws_ok($$SELECT pgqueue.update_queue('q', label => 'rad')$$, '22023', 'invalid value for "label": "rad"', 'words');
UPDATE pgqueue.queue SET label = 'green' WHERE queue = 'q';
SELECT is((SELECT label FROM pgqueue.queue WHERE queue = 'q'), 'green', 'DML');
INSERT INTO pgqueue.queue (queue) VALUES ('r');
SELECT is((SELECT label FROM pgqueue.queue WHERE queue = 'r'), 'none', 'INSERT');
SELECT is(col_description('pgqueue.queue'::regclass, (SELECT attnum FROM pg_attribute WHERE attrelid='pgqueue.queue'::regclass and attname='label')), 'colour in a board; default none', 'comment');
ROLLBACK;
