# Tickers: how long after its due time the task of a slot is committed, hence ready.
# Over 20 seconds, once all of them fire.
row ticker "slot to ready task, 10,000 tickers of 10 s, p99 (ms)" "10 tickers" "<= 50 ms"
row ticker_together "the same, all 10,000 due in the same second" "10 tickers" "none"

# N SCHEDULE: 99th percentile of the lateness.
ticker_lateness() {
  sql -c "SELECT pgqueue.create_queue('bench', ttl => '0', on_finish => 'delete')" >/dev/null
  sql -c "SELECT count(pgqueue.create_ticker('bench' || i, 'bench', $2)) FROM generate_series(1, $1) i" >/dev/null
  until [ "$(sql -c "SELECT count(*) FROM pgqueue.ticker
    WHERE last_at IS NULL AND namespace = 'default'")" = 0 ]; do sleep 0.5; done
  local since
  since=$(sql -c 'SELECT clock_timestamp()')
  sleep 21
  sql -c "SELECT round((percentile_cont(0.99) WITHIN GROUP (
      ORDER BY extract(epoch FROM pg_xact_commit_timestamp(xmin) - slot) * 1000))::numeric, 3)
    FROM pgqueue_internal.ticker_run WHERE slot > '$since'"
  sql -c "DELETE FROM pgqueue.ticker WHERE namespace = 'default'"
  drop_queue bench
}
control_ticker() { ticker_lateness 10 "period => '10 s'"; }
reached_ticker() { ticker_lateness 10000 "period => '10 s'"; }
control_ticker_together() { ticker_lateness 10 "cron => '*/10 * * * * *'"; }
reached_ticker_together() { ticker_lateness 10000 "cron => '*/10 * * * * *'"; }
