# With 5,000,000 ready tasks (about 5 GB, 3 minutes to make): only when named. They are
# made once, in a database of their own.
row_when_named retain_backlog "retain_100 with 5,000,000 ready (tasks/s)" "10,000 ready" ">= 0.9 x"
row_when_named status "queue_status with 5,000,000 tasks (ms)" "counting the rows" "<= 2 ms"

need_backlog() {
  [ "$(sql -c "SELECT count(*) FROM pg_database WHERE datname = 'backlog'")" = 0 ] || return 0
  "$bin/createdb" -h "$sock" -U postgres backlog
  db=backlog
  sql -f "$here/setup.sql"
  fresh_queue bench
  for ((i = 0; i < 50; i++)); do
    sql -c "SELECT count(*) FROM pgqueue.create_tasks('bench',
      payloads => array_fill((SELECT payload FROM payload), ARRAY[100000]))" >/dev/null
  done
  sql -c CHECKPOINT
}

control_retain_backlog() {
  fresh_queue bench
  worker_loop drain queue 4 100 $retain_tasks 10000
  drop_queue bench
}
reached_retain_backlog() { (need_backlog; db=backlog; worker_loop drain queue 4 100 $retain_tasks); }

milliseconds() { sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p' | median; }
control_status() {
  (need_backlog; db=backlog
    sql -c '\timing on' -c 'SELECT status, count(*) FROM pgqueue.task GROUP BY status' | milliseconds)
}
reached_status() {
  (need_backlog; db=backlog; calls=()
    for ((i = 0; i < 11; i++)); do calls+=(-c 'SELECT * FROM pgqueue.queue_status'); done
    sql -c '\timing on' "${calls[@]}" | milliseconds)
}
