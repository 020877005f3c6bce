package BackgroundQueue;
# What the tests of extension pg_background_queue share: settings by reload, tasks by their id.
use strict;
use warnings;
use Exporter 'import';
use PgQueue;
use Test::More;

our @EXPORT = qw(settings enqueue task_row wait_state gated);

# Changes settings of the server, given without their prefix, reloads, and waits until the topics have followed. undef
# resets.
sub settings
{
    my ($node, $db, %settings) = @_;
    for my $name (sort keys %settings)
    {
        my $full = "pg_background_queue.$name";
        $node->safe_psql($db,
            defined $settings{$name} ? "ALTER SYSTEM SET $full = '$settings{$name}'" : "ALTER SYSTEM RESET $full");
    }
    $node->safe_psql($db, 'SELECT pg_reload_conf()');
    # This session reads them as the scheduler does: its rows tell when that one has.
    ok(wait_for($node, $db, <<~'SQL', '0', 20),
        SELECT count(*) FROM pgqueue_internal.topic_settings() s
        LEFT JOIN pgqueue.queue q ON q.namespace = 'pg_background_queue' AND q.queue = s.queue
        WHERE (q.priority, q.retries, coalesce(q.max_running, 0),
            coalesce(1 / q.rate_limit, 0)) IS DISTINCT FROM (s.priority, s.retries, s.max_running, s.delay_in_sec)
            OR current_setting('pg_background_queue.max_parallel_running_tasks_count')::integer <> (
                SELECT coalesce(n.max_running, 0) FROM pgqueue.namespace n WHERE n.namespace = 'pg_background_queue'
            )
        SQL
        'settings after a reload: ' . join(', ', map { "$_ = " . ($settings{$_} // 'default') } sort keys %settings));
    return;
}

# Enqueues SQL and returns the id.
sub enqueue
{
    my ($node, $db, $sql, $topic) = @_;
    $topic = defined $topic ? "'$topic'" : 'NULL';
    return $node->safe_psql($db, "SELECT pg_background_queue_enqueue(\$task\$$sql\$task\$, $topic)");
}

# Columns of a task, unaligned.
sub task_row
{
    my ($node, $db, $id, $columns) = @_;
    return $node->safe_psql($db, "SELECT $columns FROM pg_background_tasks WHERE id = $id");
}

sub wait_state
{
    my ($node, $db, $id, $state, $timeout) = @_;
    return wait_for($node, $db, "SELECT state FROM pg_background_tasks WHERE id = $id", $state, $timeout);
}

# SQL that runs until table gate has its name.
sub gated
{
    my ($gate) = @_;
    return <<~"SQL";
        DO \$d\$BEGIN
            LOOP
                EXIT WHEN EXISTS (SELECT FROM gate WHERE name = '$gate');
                PERFORM pg_sleep(0.01);
            END LOOP;
        END\$d\$
        SQL
}

1;
