// SQLSTATEs of our own (class PQ) and the words of the status columns that carry them.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::err {

constexpr int receipt_not_valid = MAKE_SQLSTATE('P', 'Q', '0', '0', '1');
constexpr int duplicate_task = MAKE_SQLSTATE('P', 'Q', '0', '0', '2');
constexpr int queue_full = MAKE_SQLSTATE('P', 'Q', '0', '0', '3');
constexpr int task_cancelled = MAKE_SQLSTATE('P', 'Q', '0', '0', '4');
// Recorded as errors of attempts. Callers do not get them; PQ104 is raised inside an attempt.
constexpr int transaction_timeout = MAKE_SQLSTATE('2', '5', 'P', '0', '4');  // the server's own since 17
constexpr int lease_ended = MAKE_SQLSTATE('P', 'Q', '1', '0', '1');
constexpr int worker_ended = MAKE_SQLSTATE('P', 'Q', '1', '0', '2');
constexpr int quarantined = MAKE_SQLSTATE('P', 'Q', '1', '0', '3');
constexpr int handler_not_found = MAKE_SQLSTATE('P', 'Q', '1', '0', '4');
constexpr int run_limit = MAKE_SQLSTATE('P', 'Q', '1', '0', '5');
constexpr int expired_while_running = MAKE_SQLSTATE('P', 'Q', '1', '0', '6');
constexpr int dependency_failed = MAKE_SQLSTATE('P', 'Q', '1', '0', '7');

}  // namespace pgqueue::err
