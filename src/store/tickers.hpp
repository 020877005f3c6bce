// Rows of tickers: the definition, its state, and its history (sql/02_tables.sql). All functions run in the caller's
// transaction.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::store {

enum class Misfire { Skip, One, All };
enum class Overlap { Allow, Skip, Queue };
enum class RunOutcome : int16 { Fired, Skipped, Missed, Error };

// A definition and its state, in the memory context of the call that read it. Times: 0 none. Durations in microseconds:
// -1 none.
struct Ticker {
    int32 id, ns_id;
    text *name;
    const char *queue;  // nullptr: it only ticks, for next_ticker
    Interval *period;   // nullptr none, as all pointers below
    const char *cron;
    const char *time_zone;
    Jsonb *payload;
    text *type;
    text *command;
    bool has_priority;
    int32 priority;
    int32 retries;  // -1: of the queue
    int64 ttl;
    int64 run_limit;
    Misfire misfire;
    int32 misfire_max;
    Overlap overlap;
    int64 jitter;
    TimestampTz starts_at, ends_at, anchor;  // DT_NOBEGIN, DT_NOEND: none
    bool paused;
    Oid role;
    const char *role_name;
    // state; written by write_states
    TimestampTz next_at, due_at, last_at;
    int64 last_task, prior_task;  // 0 none
    int64 runs;
    TimestampTz resumed_at, ahead_until;
};

// When a ticker is due; 0 never.
struct TickerDue {
    int32 id, ns_id;
    TimestampTz due;
};
// Call back for each ticker of the database, or for each of the ids.
void each_due(void (*fn)(const TickerDue &));
void each_due_of(std::span<const int32> ids, void (*fn)(const TickerDue &));

// Reads tickers and locks their state rows. Leaves out those that another transaction holds. Returns how many.
int lock_tickers(std::span<const int32> ids, Ticker *out);
// The same for one ticker, waiting for its lock. Returns false if it is gone.
bool lock_ticker(int32 id, Ticker *out);
// Reads and locks the ticker without queue of a namespace whose due slot has waited longest, among those that no other
// transaction holds. Returns false if there is none.
bool lock_due_tick(int32 ns_id, TimestampTz now, Ticker *out);

// Writes the state of tickers that the caller has locked.
void write_states(std::span<const Ticker> tickers);

struct TickerRun {
    int32 ticker_id;
    int64 number;  // of the ticker's runs; the history keeps the last ticker_runs_kept
    TimestampTz slot, fired_at;
    RunOutcome outcome;
    int64 task_id;      // 0 none
    const char *error;  // nullptr none
};
constexpr int64 ticker_runs_kept =
    1000;  // more than one call writes for a ticker: twice misfire_max (400), and twice the missed slots
// Adds runs to the history. A run replaces the one that is ticker_runs_kept older.
void write_runs(std::span<const TickerRun> runs);

// Returns whether a slot has fired, as far as the history goes back, and its task (0 none).
bool has_fired(int32 ticker_id, TimestampTz slot, int64 *task_id);

}  // namespace pgqueue::store
