# Outside workers (worker_loop.cpp): next_tasks and release_tasks beside the destructive pop, both with the server's
# default synchronous_commit. A batch is retained and released by two statements, each its own transaction; a single
# task is released in the statement that retains the next.
row retain_1 "retain + release of one, 4 clients (tasks/s)" "destructive pop" ">= 0.8 x"
row retain_100 "retain + release, batches of 100, 4 clients (tasks/s)" "destructive pop" ">= 1.2 x"
row flow_100 "create, retain, release, batches of 100, 8 clients (tasks/s)" "destructive pop" ">= 2.0 x"
row retain_snapshot "retain_100 after ${BENCH_HOLD:=5} s of work under a held snapshot (tasks/s)" \
  "without snapshot" ">= 0.95 x"
row retain_rate "retain_100, rate_limit set (tasks/s)" "without limit" ">= 0.9 x"
row retain_groups "retain_100, 10,000 groups (tasks/s)" "without groups" ">= 0.9 x"

: "${retain_tasks:=100000}" "${retain_one_tasks:=15000}"
worker_loop() { PGHOST=$sock PGUSER=postgres PGDATABASE=${db:-bench} "$build/obj-bench/worker_loop" "$@"; }
# Each with some more than will be measured: the workers are warm before.
fill_ready() {
  sql -c 'TRUNCATE ready' -c "INSERT INTO ready (payload) SELECT payload FROM payload, generate_series(1, $1 + 1000)" \
    -c 'ANALYZE ready' -c CHECKPOINT
}
# $2: more arguments of create_tasks.
fill_queue() {
  sql -c "SELECT count(*) FROM pgqueue.create_tasks('bench',
      payloads => array_fill((SELECT payload FROM payload), ARRAY[$1 + 1000])${2:+, $2})" \
    -c CHECKPOINT >/dev/null
}
# retain_100 with a queue of these settings, and with these arguments of create_tasks.
retain_100() {
  fresh_queue bench "${1:-}"
  fill_queue $retain_tasks "${2:-}"
  worker_loop drain queue 4 100 $retain_tasks
  drop_queue bench
}

control_retain_1() { fill_ready $retain_one_tasks; worker_loop drain pop 4 1 $retain_one_tasks; }
reached_retain_1() {
  fresh_queue bench
  fill_queue $retain_one_tasks
  worker_loop drain queue 4 1 $retain_one_tasks
  drop_queue bench
}
control_retain_100() { fill_ready $retain_tasks; worker_loop drain pop 4 100 $retain_tasks; }
reached_retain_100() { retain_100; }
control_flow_100() { fill_ready 10000; worker_loop flow pop 8 100 "${bench_seconds:-4}"; }
reached_flow_100() {
  fresh_queue bench
  fill_queue 10000
  worker_loop flow queue 8 100 "${bench_seconds:-4}"
  drop_queue bench
}

# Work for a while, then retain_100 in the same queue. The design's time is 300 seconds.
worked_before() {
  fresh_queue bench
  worker_loop flow queue 4 100 "$BENCH_HOLD" >/dev/null
  fill_queue $retain_tasks
  worker_loop drain queue 4 100 $retain_tasks
  drop_queue bench
}
control_retain_snapshot() { worked_before; }
reached_retain_snapshot() {
  sql -c "SET application_name = 'holder'" -c 'BEGIN ISOLATION LEVEL REPEATABLE READ' \
    -c 'SELECT pg_sleep(86400)' >/dev/null 2>&1 &
  until [ "$(sql -c "SELECT count(*) FROM pg_stat_activity
    WHERE application_name = 'holder' AND wait_event = 'PgSleep'")" = 1 ]; do sleep 0.1; done
  worked_before
  sql -c "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'holder'" >/dev/null
  wait
}

# A limit that is counted but never reached.
control_retain_rate() { retain_100; }
reached_retain_rate() { retain_100 'rate_limit => 1e9, rate_burst => 1000000'; }
control_retain_groups() { retain_100; }
reached_retain_groups() {
  retain_100 '' "group_keys => (
    SELECT array_agg('g' || i % 10000) FROM generate_series(1, $retain_tasks + 1000) AS i)"
}
