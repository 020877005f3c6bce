# Extension pg_background_queue: SQL tasks through its own functions. More tasks
# that wait must not make each one dearer.
row background "pg_background_queue, 16,000 tasks SELECT 1, 4 workers (tasks/s)" "2,000 tasks" ">= 1 x"

# $1 tasks, enqueued while nothing runs; from the first start to the last end. The workers are warm.
background_tasks() {
  sql >/dev/null <<SQL
SELECT count(pg_background_queue_enqueue('SELECT pg_sleep(0.01)')) FROM generate_series(1, 100);
CALL wait_until_finished('default');
SELECT pgqueue.update_namespace('pg_background_queue', paused => true);
SELECT count(pg_background_queue_enqueue('SELECT 1', 'bench')) FROM generate_series(1, $1);
CHECKPOINT;
SELECT pgqueue.update_namespace('pg_background_queue', paused => false);
CALL wait_until_finished('default');
SQL
  [ "$(sql -c "SELECT count(*) FROM pg_background_tasks WHERE topic = 'bench' AND state = 'finished'")" = "$1" ] ||
    die "not all tasks are finished"
  sql -c "SELECT round($1 / extract(epoch FROM max(closed_at) - min(started_at)))
    FROM pg_background_tasks WHERE topic = 'bench'"
  sql -c "SELECT pgqueue.purge_queue('default', namespace => 'pg_background_queue')" \
    -c "SELECT pg_background_queue_purge('0')" >/dev/null
}
control_background() { background_tasks 2000; }
reached_background() { background_tasks 16000; }
