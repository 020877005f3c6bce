# Creating tasks. The producers do not wait for the disk, on both sides.
row create_one "create_task, one per transaction, 4 clients (tasks/s)" "unindexed INSERT" ">= 0.75 x"
row create_100 "create_tasks, 100 per call, 4 clients (tasks/s)" "unindexed INSERT" ">= 0.5 x"
row create_100k "create_tasks, 100,000 in one call (tasks/s)" "unindexed INSERT" ">= 0.45 x"

# Transactions a second of 4 clients that run a script.
clients() {
  PGHOST=$sock PGOPTIONS='-c synchronous_commit=off' "$bin/pgbench" -n -M prepared -c 4 -j 2 -T "${bench_seconds:-4}" \
    -U postgres -f "$here/$1.sql" bench 2>&1 | sed -n 's/^tps = \([0-9.]*\).*/\1/p'
}
# Milliseconds of the fastest of 3 calls by one client.
one_call() {
  PGHOST=$sock PGOPTIONS='-c synchronous_commit=off' "$bin/psql" -qXAt -U postgres -d bench -c '\timing on' \
    -f "$here/$1.sql" -f "$here/$1.sql" -f "$here/$1.sql" |
    sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p' | sort -n | head -n 1
}
times() { awk -v n="$2" -v x="$1" 'BEGIN { printf "%.0f", x * n }'; }
rate_of_call() { awk -v ms="$1" 'BEGIN { printf "%.0f", 100000 * 1000 / ms }'; }
fresh_plain() { sql -c 'TRUNCATE plain' -c CHECKPOINT; }

control_create_one() { fresh_plain; times "$(clients plain_one)" 1; }
reached_create_one() { fresh_queue bench; times "$(clients create_one)" 1; drop_queue bench; }
control_create_100() { fresh_plain; times "$(clients plain_100)" 100; }
reached_create_100() { fresh_queue bench; times "$(clients create_100)" 100; drop_queue bench; }
control_create_100k() { fresh_plain; rate_of_call "$(one_call plain_100k)"; }
reached_create_100k() { fresh_queue bench; rate_of_call "$(one_call create_100k)"; drop_queue bench; }
