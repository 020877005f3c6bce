// Rows of tickers: the definition, where it stands, and its history (sql/02_tables.sql). Everything runs in the
// caller's transaction.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::store {

enum class Misfire { Skip, One, All };
enum class Overlap { Allow, Skip, Queue };
enum class RunOutcome : int16 { Fired, Skipped, Missed, Error };

// A definition and its state, in the memory context of the call that read it. Times: 0 none; what is read in
// microseconds: -1 none.
struct Ticker {
    int32 id, ns_id;
    text *name;
    const char *queue;  // nullptr: ticks only
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

// When a ticker is looked at; due 0: never.
struct TickerDue {
    int32 id, ns_id;
    TimestampTz due;
};
// Calls back for each ticker of the database, or each of the ids.
void each_due(void (*fn)(const TickerDue &));
void each_due_of(std::span<const int32> ids, void (*fn)(const TickerDue &));

// Reads tickers with their state rows locked; those that somebody holds are left out. Returns how many.
int lock_tickers(std::span<const int32> ids, Ticker *out);
// The same for one, waiting for its lock. False: it is gone.
bool lock_ticker(int32 id, Ticker *out);
// The ticker without queue of a namespace whose due slot waits longest and that nobody holds.
bool lock_due_tick(int32 ns_id, TimestampTz now, Ticker *out);

// Writes the state of locked tickers.
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
    1000;  // more than one call writes for a ticker: twice misfire_max (400) and twice what is told of missed ones
void write_runs(std::span<const TickerRun> runs);

// Whether a slot has fired, as far as the history goes; its task (0 none).
bool has_fired(int32 ticker_id, TimestampTz slot, int64 *task_id);

}  // namespace pgqueue::store
