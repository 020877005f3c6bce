// The words for the states of a task, in the order of their stored numbers.
#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace pgqueue {

enum class Status : std::int16_t { New = 0, Retry, Retained, Released, Failed, Expired, Cancelled };
constexpr int status_count = 7;
constexpr std::array<std::string_view, status_count> status_words{"new",    "retry",   "retained", "released",
                                                                  "failed", "expired", "cancelled"};

// Returns the word of a status, as users see it.
constexpr std::string_view word(Status s) { return status_words[static_cast<std::size_t>(s)]; }
// A task waits before its first attempt and before a retry. It is unfinished while it waits or is retained.
constexpr bool is_waiting(Status s) { return s == Status::New || s == Status::Retry; }
constexpr bool is_unfinished(Status s) { return is_waiting(s) || s == Status::Retained; }

enum class AttemptEnd : std::int16_t { Released = 0, Failed, Snoozed, Lost, Cancelled, Expired };
constexpr std::array<std::string_view, 6> attempt_end_words{"released", "failed",    "snoozed",
                                                            "lost",     "cancelled", "expired"};

// Bits of the column `flags`.
constexpr std::int16_t flag_top_level =
    1;  // ran outside a transaction block: effects and release did not commit together
constexpr std::int16_t flag_suspect =
    2;  // was executing when a worker or the server crashed; suspects run one at a time
constexpr std::int16_t flag_command = 4;   // an SQL command: always runs in the server
constexpr std::int16_t flag_own_role = 8;  // was last retained by a worker of the server with the task's role
constexpr std::int16_t flag_after_failure =
    16;  // calls a function of phase failed, for a task that has failed: always runs in the server, as its role
constexpr std::int16_t flags_own_work = flag_command | flag_after_failure;  // not for the handlers of its type
constexpr std::int16_t flag_keyed = 256;                                    // has a dedup key
constexpr std::int16_t flag_batch = 512;                                    // member of a batch
constexpr std::int16_t flag_depends = 1024;        // was created to wait for other tasks or a batch
constexpr std::int16_t flag_waits = 2048;          // still waits, and is not ready
constexpr std::int16_t flag_hold_failed = 4096;    // waits on if a task it depends on fails; without it: is cancelled
constexpr std::int16_t flag_ignore_failed = 8192;  // a failed task counts as if it had succeeded

}  // namespace pgqueue
