# SQL tasks in the server: how many a second, and how fast one starts.
row sql_durable "SQL tasks SELECT 1, 4 workers, durable (tasks/s)" "ideal loop in C" ">= 0.9 x"
row sql_async "the same, synchronous_commit off (tasks/s)" "ideal loop in C" ">= 0.8 x"
row latency "commit to first line of the task, median (ms)" "latch to first line" "<= 0.3 ms"
second_figure latency p99 "the same, 99th percentile (ms)" "<= 2 ms"

# $1 tasks in transactions of $2, with 4 workers.
ideal() {
  sql -c 'TRUNCATE ideal_task' -c "INSERT INTO ideal_task
    SELECT i, 0, now(), now(), repeat('x', 100) FROM generate_series(1, $1) AS i" -c CHECKPOINT
  sql -c "SELECT round(($1 / ideal_loop(4, 'ideal_task', $2, $1))::numeric)"
}
# The queue is filled while it is paused; the workers are warm, and only the run itself is timed.
sql_tasks() {
  fresh_queue warm
  fresh_queue bench
  sql >/dev/null <<SQL
SELECT pgqueue.pause_queue('bench');
SELECT count(*) FROM pgqueue.create_tasks('bench', commands => array_fill('SELECT 1'::text, ARRAY[$1]));
CHECKPOINT;
SELECT count(*) FROM pgqueue.create_tasks('warm', commands => array_fill('SELECT pg_sleep(0.01)'::text, ARRAY[100]));
CALL wait_until_finished('warm');
SELECT pgqueue.resume_queue('bench');
CALL wait_until_finished('bench');
SQL
  [ "$(sql -c "SELECT count FROM pgqueue.queue_status WHERE queue = 'bench' AND status = 'released'")" = "$1" ] ||
    die "not all tasks were released"
  sql -c "SELECT round($1 / extract(epoch FROM max(finished_at) - min(started_at)))
    FROM pgqueue.task WHERE queue = 'bench'"
  drop_queue bench
  drop_queue warm
}
asynchronous() { sql -c "ALTER SYSTEM SET synchronous_commit = ${1:-off}" -c 'SELECT pg_reload_conf()' >/dev/null; }

: "${durable_tasks:=20000}" "${async_tasks:=60000}" "${latency_rounds:=300}"
control_sql_durable() { ideal $durable_tasks 1; }
reached_sql_durable() { sql_tasks $durable_tasks; }
control_sql_async() { asynchronous; ideal $async_tasks 1; asynchronous on; }
reached_sql_async() { asynchronous; sql_tasks $async_tasks; asynchronous on; }

control_latency() { sql -F ' ' -c "SELECT $quantiles FROM ideal_wake(300, 10) AS ms"; }
reached_latency() {
  fresh_queue latency
  sql -c 'SET synchronous_commit = off' -c 'CALL create_for_latency(20, 0.01)' \
    -c "CALL wait_until_finished('latency')" -c 'TRUNCATE latency_created, latency_ran' \
    -c "CALL create_for_latency($latency_rounds, 0.01)" -c "CALL wait_until_finished('latency')"
  [ "$(sql -c 'SELECT count(DISTINCT n) FROM latency_ran')" = $latency_rounds ] || die "not all tasks ran"
  # The commit's own time, from its WAL record.
  sql -F ' ' -c "SELECT $quantiles FROM (
    SELECT extract(epoch FROM min(at) - pg_xact_commit_timestamp(min(xid::text)::xid)) * 1000 AS ms
    FROM latency_created JOIN latency_ran USING (n) GROUP BY n) AS sample"
  drop_queue latency
}
