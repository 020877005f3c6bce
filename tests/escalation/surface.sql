-- Who gets which answer: every function, every verb on every view, every setting, by role. Read from docs/privileges.md
-- and the reference, not from what the code does. tests/pgtap/escalation.sql asks each role for each line; what the
-- catalog has and this table has not is a failing test.
--   answers   one for each of the roles below: + allowed, 0 sees nothing and changes nothing, - 42501, else the
--             SQLSTATE; 42704 says of a task by id what 0 says of rows: who may see nothing of its namespace is told
--             that it does not exist
--   statement {waiting} a payload task of the superuser, {failed} a failed one, {held} one that he retained, with
--             {receipt}, {command} a command of his, {archived} an archived one; all of namespace esc
CREATE TEMP TABLE roles (n integer GENERATED ALWAYS AS IDENTITY, who text, what text);
INSERT INTO roles (who, what) VALUES
    ('nobody', 'pgqueue_user without a grant'), ('use', 'use'), ('work', 'work'), ('manage', 'manage'), ('read', 'read'),
    ('other', 'owner of another namespace'),
    ('monitor', 'pg_monitor'), ('owner', 'owner of the namespace'), ('admin', 'pgqueue_admin');

CREATE TEMP TABLE routine_rule (routine text, answers text, statement text);
INSERT INTO routine_rule VALUES
--                         n u w m r o m o a
--                         o s o a e t o w d
--                         b e r n a h n n m
-- Namespaces.
    ('create_namespace', '        - - - - - - - - +', $$SELECT pgqueue.create_namespace('esc9')$$),
    ('create_namespace', '        - - - - - - - - +', $$SELECT pgqueue.create_namespace('esc', weight => 5)$$),
    ('update_namespace', '        - - - - - - - + +', $$SELECT pgqueue.update_namespace('esc', weight => 2)$$),
    ('update_namespace', '        - - - - - - - + +', $$SELECT pgqueue.update_namespace('esc', owner => 'esc_use')$$),
    ('delete_namespace', '        - - - - - - - + +', $$SELECT pgqueue.delete_namespace('esc', force => true)$$),
    ('get_namespace', '           - + + + + - + + +', $$SELECT pgqueue.get_namespace('esc')$$),
    ('grant_namespace', '         - - - - - - - + +', $$SELECT pgqueue.grant_namespace('esc', 'all', 'esc_nobody')$$),
    ('revoke_namespace', '        - - - - - - - + +', $$SELECT pgqueue.revoke_namespace('esc', 'all', 'esc_use')$$),
    ('has_namespace_privilege', ' + + + + + + + + +',
        $$SELECT pgqueue.has_namespace_privilege('esc', 'use', 'esc_use')$$),
-- Queues.
    ('create_queue', '            - - - + - - - + +', $$SELECT pgqueue.create_queue('new', namespace => 'esc')$$),
    ('create_queue', '            - - - + - - - + +',
        $$SELECT pgqueue.create_queue('q', priority => 5, namespace => 'esc')$$),
    ('update_queue', '            - - - + - - - + +',
        $$SELECT pgqueue.update_queue('q', priority => 5, namespace => 'esc')$$),
    ('delete_queue', '            - - - + - - - + +',
        $$SELECT pgqueue.delete_queue('q', force => true, namespace => 'esc')$$),
    ('get_queue', '               - + + + + - + + +', $$SELECT pgqueue.get_queue('q', 'esc')$$),
    ('pause_queue', '             - - - + - - - + +', $$SELECT pgqueue.pause_queue('q', namespace => 'esc')$$),
    ('resume_queue', '            - - - + - - - + +', $$SELECT pgqueue.resume_queue('q', namespace => 'esc')$$),
    ('clean_queue', '             - - - + - - - + +', $$SELECT pgqueue.clean_queue('q', namespace => 'esc')$$),
    ('purge_queue', '             - - - + - - - + +', $$SELECT pgqueue.purge_queue('q', namespace => 'esc')$$),
    ('redrive', '                 - - - + - - - + +', $$SELECT pgqueue.redrive('q', namespace => 'esc')$$),
-- Tasks.
    ('create_task', '             - + - - - - - + +', $$SELECT pgqueue.create_task('q', '1', namespace => 'esc')$$),
    ('create_task', '             - + - - - - - + +',
        $$SELECT pgqueue.create_task('q', command => 'SELECT 1', namespace => 'esc')$$),
    ('create_tasks', '            - + - - - - - + +',
        $$SELECT pgqueue.create_tasks('q', '{1,2}', namespace => 'esc')$$),
    ('cancel_task', '42704 - - + - 42704 - + +', $$SELECT pgqueue.cancel_task({waiting})$$),
    ('cancel_task', '42704 - - + - 42704 - + +', $$SELECT pgqueue.cancel_task({held}, force => true)$$),
    ('retry_task', '42704 - - + - 42704 - + +', $$SELECT pgqueue.retry_task({failed})$$),
    ('get_task', '0 0 0 + + 0 + + +', $$SELECT pgqueue.get_task({waiting})$$),
    ('get_task', '0 0 0 + + 0 + + +', $$SELECT pgqueue.get_task({archived})$$),
    ('why', '0 0 0 + + 0 + + +', $$SELECT pgqueue.why({waiting})$$),
    ('run_task', '42704 - - - - 42704 - - -', $$SELECT pgqueue.run_task({command})$$),
    ('current_task', '            0 0 0 0 0 0 0 0 0', $$SELECT pgqueue.current_task()$$),
    ('progress', '                + + + + + + + + +', $$SELECT pgqueue.progress(1)$$),
    ('priority_name', '           + + + + + + + + +', $$SELECT pgqueue.priority_name(10)$$),
    ('priority_value', '          + + + + + + + + +', $$SELECT pgqueue.priority_value('high')$$),
-- Outside workers. The receipt is right: it does not replace the privilege.
    ('next_task', '               - - + - - - - + +', $$SELECT pgqueue.next_task('w', 'q', namespace => 'esc')$$),
    ('next_tasks', '              - - + - - - - + +', $$SELECT pgqueue.next_tasks('w', '{q}', namespace => 'esc')$$),
    ('release_task', '42704 - + - - 42704 - + +', $$SELECT pgqueue.release_task({held}, {receipt})$$),
    ('release_tasks', '42704 - + - - 42704 - + +', $$SELECT pgqueue.release_tasks('{{held}}', '{{receipt}}')$$),
    ('fail_task', '42704 - + - - 42704 - + +', $$SELECT pgqueue.fail_task({held}, {receipt})$$),
    ('fail_tasks', '42704 - + - - 42704 - + +', $$SELECT pgqueue.fail_tasks('{{held}}', '{{receipt}}')$$),
    ('extend_task', '42704 - + - - 42704 - + +', $$SELECT pgqueue.extend_task({held}, {receipt})$$),
    ('extend_tasks', '42704 - + - - 42704 - + +', $$SELECT pgqueue.extend_tasks('{{held}}', '{{receipt}}')$$),
    ('snooze_task', '42704 - + - - 42704 - + +', $$SELECT pgqueue.snooze_task({held}, {receipt})$$),
    ('snooze_tasks', '42704 - + - - 42704 - + +', $$SELECT pgqueue.snooze_tasks('{{held}}', '{{receipt}}')$$),
-- Procedures are called at top level, in escalation.sql.
    ('wait_for_result', NULL, NULL),
    ('wait_for_task', NULL, NULL),
-- Handlers and tickers.
    ('create_handler', '          - - - + - - - + +',
        $$SELECT pgqueue.create_handler('new', 'pg_catalog.jsonb_pretty', namespace => 'esc')$$),
    ('delete_handler', '          - - - + - - - + +', $$SELECT pgqueue.delete_handler('h', namespace => 'esc')$$),
    ('create_ticker', '           - - - + - - - + +',
        $$SELECT pgqueue.create_ticker('new', 'q', period => '1 h', namespace => 'esc')$$),
    ('update_ticker', '           - - - + - - - + +',
        $$SELECT pgqueue.update_ticker('t', period => '2 h', namespace => 'esc')$$),
    ('delete_ticker', '           - - - + - - - + +', $$SELECT pgqueue.delete_ticker('t', 'esc')$$),
    ('get_ticker', '              - + + + + - + + +', $$SELECT pgqueue.get_ticker('t', 'esc')$$),
    ('fire_ticker', '             - - - + - - - + +', $$SELECT pgqueue.fire_ticker('t', namespace => 'esc')$$),
    ('next_ticker', '             - - 0 - - - - 0 0', $$SELECT pgqueue.next_ticker('esc')$$),
    ('cron_next', '               + + + + + + + + +', $$SELECT pgqueue.cron_next('* * * * *')$$),
    ('cron_valid', '              + + + + + + + + +', $$SELECT pgqueue.cron_valid('* * * * *')$$),
    ('import_pg_cron', '          - - - - - - - - 55000', $$SELECT pgqueue.import_pg_cron('q', namespace => 'esc')$$),
-- The server.
    ('adopt', '                   - - - - - - - - +', $$SELECT pgqueue.adopt()$$),
    ('stop_workers', '            - - - - - - - - +', $$SELECT pgqueue.stop_workers(timeout => '1 ms')$$),
    ('ensure_workers', '          - - - - - - - - +', $$SELECT pgqueue.ensure_workers()$$),
    ('version', '                 + + + + + + + + +', $$SELECT pgqueue.version()$$),
-- Extension pg_background_queue, whose schema is {bq}; its namespace gives these roles the same rights as esc.
-- {bq_task} is a waiting task of the superuser's.
    ('pg_background_queue_enqueue', '- + - - - - - + +', $$SELECT {bq}.pg_background_queue_enqueue('SELECT 1')$$),
    ('pg_background_enqueue', '- + - - - - - + +', $$SELECT {bq}.pg_background_enqueue('SELECT 1', 'topic')$$),
    ('pg_background_queue_ensure_workers', '+ + + + + + + + +',
        $$SELECT {bq}.pg_background_queue_ensure_workers()$$),
    ('pg_background_queue_active_workers_count', '+ + + + + + + + +',
        $$SELECT {bq}.pg_background_queue_active_workers_count()$$),
    ('pg_background_queue_calibrate_workers_count', '- - - + - - - + +',
        $$SELECT {bq}.pg_background_queue_calibrate_workers_count()$$),
    ('pg_background_queue_purge', '- - - + - - - + +', $$SELECT {bq}.pg_background_queue_purge('100 years')$$),
    ('pg_background_queue_import', '- - - - - - - - -', $$SELECT {bq}.pg_background_queue_import('public.esc_former')$$);

-- Verbs that a view takes. Rows are those of namespace esc and of others in it, never the role's own.
CREATE TEMP TABLE view_rule (view text, verb text, answers text, statement text);
INSERT INTO view_rule VALUES
--                                     n u w m r o m o a
--                                     o s o a e t o w d
--                                     b e r n a h n n m
    ('namespace', 'SELECT', '         0 + + + + 0 + + +', $$SELECT FROM pgqueue.namespace WHERE namespace = 'esc'$$),
    ('namespace', 'INSERT', '         - - - - - - - - +',
        $$INSERT INTO pgqueue.namespace (namespace) VALUES ('esc9')$$),
    ('namespace', 'UPDATE', '         0 - - - - 0 - + +',
        $$UPDATE pgqueue.namespace SET weight = 2 WHERE namespace = 'esc'$$),
    ('namespace', 'UPDATE', '         0 - - - - 0 - + +',
        $$UPDATE pgqueue.namespace SET owner = 'esc_manage' WHERE namespace = 'esc'$$),
    ('namespace', 'DELETE', '         0 - - - - 0 - 2BP01 2BP01',
        $$DELETE FROM pgqueue.namespace WHERE namespace = 'esc'$$),
    ('namespace_grant', 'SELECT', '   0 0 0 0 + 0 0 + +',
        $$SELECT FROM pgqueue.namespace_grant WHERE namespace = 'esc' AND role = 'esc_read'$$),
    ('queue', 'SELECT', '             0 + + + + 0 + + +', $$SELECT FROM pgqueue.queue WHERE namespace = 'esc'$$),
    ('queue', 'INSERT', '             - - - + - - - + +',
        $$INSERT INTO pgqueue.queue (namespace, queue) VALUES ('esc', 'new')$$),
    ('queue', 'UPDATE', '             0 - - + - 0 - + +',
        $$UPDATE pgqueue.queue SET priority = 2 WHERE namespace = 'esc' AND queue = 'q'$$),
    ('queue', 'DELETE', '             0 - - + - 0 - + +',
        $$DELETE FROM pgqueue.queue WHERE namespace = 'esc' AND queue = 'empty'$$),
    ('queue_status', 'SELECT', '      0 + + + + 0 + + +', $$SELECT FROM pgqueue.queue_status WHERE namespace = 'esc'$$),
    ('task', 'SELECT', '              0 0 0 + + 0 + + +', $$SELECT FROM pgqueue.task WHERE namespace = 'esc'$$),
    ('task', 'SELECT', '              0 0 0 + + 0 0 + +',
        $$SELECT FROM pgqueue.task WHERE namespace = 'esc' AND payload IS NOT NULL$$),
    ('task', 'SELECT', '              0 0 0 + + 0 0 + +',
        $$SELECT FROM pgqueue.task WHERE namespace = 'esc' AND headers IS NOT NULL$$),
    ('task', 'SELECT', '              0 0 0 + + 0 0 + +',
        $$SELECT FROM pgqueue.task WHERE namespace = 'esc' AND result IS NOT NULL$$),
    ('task', 'SELECT', '              0 0 0 + 0 0 0 + +',
        $$SELECT FROM pgqueue.task WHERE namespace = 'esc' AND receipt IS NOT NULL$$),
    ('task', 'INSERT', '              - + - - - - - + +',
        $$INSERT INTO pgqueue.task (namespace, queue, payload) VALUES ('esc', 'q', '1')$$),
    ('task', 'INSERT', '0A000 0A000 0A000 0A000 0A000 0A000 0A000 0A000 0A000',
        $$INSERT INTO pgqueue.task (namespace, queue, command, role) VALUES ('esc', 'q', 'SELECT 1', 'postgres')$$),
    ('task', 'UPDATE', '              0 0 0 + - 0 - + +',
        $$UPDATE pgqueue.task SET priority = 1 WHERE id = {waiting}$$),
    ('task', 'UPDATE', '              0 0 0 + - 0 - + +',
        $$UPDATE pgqueue.task SET payload = '{"changed": true}' WHERE id = {waiting}$$),
    ('task', 'UPDATE', '              0 0 0 + - 0 - + +',
        $$UPDATE pgqueue.task SET status = 'cancelled' WHERE id = {waiting}$$),
    ('task', 'UPDATE', '              0 0 0 0A000 0A000 0 0A000 0A000 0A000',
        $$UPDATE pgqueue.task SET command = 'SELECT 2' WHERE id = {command}$$),
    ('task', 'UPDATE', '              0 0 0 0A000 0A000 0 0A000 0A000 0A000',
        $$UPDATE pgqueue.task SET role = 'esc_use' WHERE id = {command}$$),
    ('task', 'DELETE', '              0 0 0 + - 0 - + +', $$DELETE FROM pgqueue.task WHERE id = {waiting}$$),
    ('task_archive', 'SELECT', '      0 0 0 + + 0 + + +', $$SELECT FROM pgqueue.task_archive WHERE namespace = 'esc'$$),
    ('task_archive', 'SELECT', '      0 0 0 + + 0 0 + +',
        $$SELECT FROM pgqueue.task_archive WHERE namespace = 'esc' AND payload IS NOT NULL$$),
    ('task_archive', 'DELETE', '      0 0 0 + - 0 - + +', $$DELETE FROM pgqueue.task_archive WHERE id = {archived}$$),
    ('task_attempt', 'SELECT', '      0 0 0 + + 0 + + +', $$SELECT FROM pgqueue.task_attempt WHERE namespace = 'esc'$$),
    ('task_attempt', 'SELECT', '      0 0 0 + 0 0 0 + +',
        $$SELECT FROM pgqueue.task_attempt WHERE namespace = 'esc' AND receipt IS NOT NULL$$),
    ('handler', 'SELECT', '           0 + + + + 0 + + +', $$SELECT FROM pgqueue.handler WHERE namespace = 'esc'$$),
    ('handler', 'INSERT', '           - - - + - - - + +',
        $$INSERT INTO pgqueue.handler (namespace, type, function) VALUES ('esc', 'new', 'pg_catalog.jsonb_pretty')$$),
    ('handler', 'UPDATE', '           0 - - + - 0 - + +',
        $$UPDATE pgqueue.handler SET type = 'h2' WHERE namespace = 'esc'$$),
    ('handler', 'DELETE', '           0 - - + - 0 - + +', $$DELETE FROM pgqueue.handler WHERE namespace = 'esc'$$),
    ('ticker', 'SELECT', '            0 + + + + 0 + + +', $$SELECT FROM pgqueue.ticker WHERE namespace = 'esc'$$),
    ('ticker', 'INSERT', '            - - - + - - - + +',
        $$INSERT INTO pgqueue.ticker (namespace, ticker, queue) VALUES ('esc', 'new', 'q')$$),
    ('ticker', 'UPDATE', '            0 - - + - 0 - + +',
        $$UPDATE pgqueue.ticker SET paused = true WHERE namespace = 'esc'$$),
    ('ticker', 'DELETE', '            0 - - + - 0 - + +', $$DELETE FROM pgqueue.ticker WHERE namespace = 'esc'$$),
    ('ticker_run', 'SELECT', '        0 0 0 + + 0 + + +', $$SELECT FROM pgqueue.ticker_run WHERE namespace = 'esc'$$),
    ('worker', 'SELECT', '            0 0 0 + + 0 + + +', $$SELECT FROM pgqueue.worker WHERE namespace = 'esc'$$),
    ('health', 'SELECT', '            0 0 0 + + 0 + + +', $$SELECT FROM pgqueue.health WHERE namespace = 'esc'$$),
    ('memory', 'SELECT', '            0 0 0 + 0 0 + + +', $$SELECT FROM pgqueue.memory WHERE namespace = 'esc'$$),
    ('pg_background_tasks', 'SELECT', '0 0 0 + + 0 + + +',
        $$SELECT FROM {bq}.pg_background_tasks WHERE id = {bq_task}$$),
    ('pg_background_tasks', 'SELECT', '0 0 0 + + 0 + + +',
        $$SELECT FROM {bq}.pg_background_tasks WHERE state = 'failed' AND errors = 'SECRET'$$),
    ('pg_background_tasks', 'INSERT', '- + - - - - - + +',
        $$INSERT INTO {bq}.pg_background_tasks (sql_statement) VALUES ('SELECT 1')$$),
    ('pg_background_tasks', 'UPDATE', '0 0 0 + - 0 - + +',
        $$UPDATE {bq}.pg_background_tasks SET priority = 1 WHERE id = {bq_task}$$),
    -- The topic is in the headers, and those of a command are its creator's.
    ('pg_background_tasks', 'UPDATE', '0 0 0 - - 0 - - -',
        $$UPDATE {bq}.pg_background_tasks SET topic = 'moved' WHERE id = {bq_task}$$),
    ('pg_background_tasks', 'UPDATE', '0 0 0 + - 0 - + +',
        $$UPDATE {bq}.pg_background_tasks SET state = 'failed' WHERE id = {bq_task}$$),
    ('pg_background_tasks', 'UPDATE', '0 0 0 + - 0 - + +',
        $$UPDATE {bq}.pg_background_tasks SET state = 'pending' WHERE errors = 'SECRET'$$),
    ('pg_background_tasks', 'DELETE', '0 0 0 + - 0 - + +',
        $$DELETE FROM {bq}.pg_background_tasks WHERE id = {bq_task}$$);

-- Settings: what SET, and so set_config, a task's SQL and a role's own ALTER ROLE … SET, say to who is no superuser.
CREATE TEMP TABLE setting_rule (setting text, answer text);
INSERT INTO setting_rule VALUES
    ('pg_background_queue.delay_in_sec', '55P02'), ('pg_background_queue.retry_count', '55P02'),
    ('pg_background_queue.max_parallel_running_tasks_count', '55P02'), ('pg_background_queue.topic_config', '55P02'),
    ('pgqueue.adopt_on_start', '55P02'), ('pgqueue.attempt_history', '55P02'), ('pgqueue.databases', '55P02'),
        ('pgqueue.dispatch_memory', '55P02'), ('pgqueue.enabled', '55P02'),
    ('pgqueue.log_tasks', '55P02'), ('pgqueue.max_crashes', '55P02'), ('pgqueue.max_workers', '55P02'),
        ('pgqueue.max_workers_per_role', '55P02'), ('pgqueue.namespace', '+'),
    ('pgqueue.notify_interval', '55P02'), ('pgqueue.segment_size', '55P02'), ('pgqueue.tickers', '55P02'),
        ('pgqueue.track_costs', '-'), ('pgqueue.worker_idle_timeout', '55P02');
