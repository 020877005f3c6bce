# Clients that wait in CALL wait_for_task: how fast they have a task, and what they cost the producers.
row wake "commit of create_task to retained by a waiter, median (ms)" "NOTIFY and pop" "<= 0.3 ms"
second_figure wake p99 "the same, 99th percentile (ms)" "none"
row wake_producers "create_task, 4 clients, while 8 others wait (tasks/s)" "nobody waits" ">= 0.95 x"

control_wake() { sql -c 'TRUNCATE ready'; worker_loop wake pop 300; }
reached_wake() { fresh_queue bench; worker_loop wake queue 300; drop_queue bench; }

# Consumers of a queue that is filled at full speed never wait: the ones that do
# wait for another queue of the namespace.
control_wake_producers() { reached_create_one; }
reached_wake_producers() {
  fresh_queue other
  worker_loop wait 8 other >/dev/null 2>&1 &
  local waiters=$!
  until [ "$(sql -c "SELECT count(*) FROM pg_stat_activity
    WHERE query LIKE 'CALL pgqueue.wait_for_task%' AND wait_event_type = 'Extension'")" = 8 ]; do sleep 0.1; done
  reached_create_one
  kill $waiters
  wait
  drop_queue other
}
