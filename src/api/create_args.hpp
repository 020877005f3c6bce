// Arguments of create_task and create_tasks.
#pragma once
#include "api/call.hpp"

namespace pgqueue::api {

// Their numbers. The plural form has arrays at the same positions.
enum Arg {
    a_queue,
    a_payload,
    a_type,
    a_command,
    a_priority,
    a_delay,
    a_delayed_at,
    a_ttl,
    a_retries,
    a_run_limit,
    a_dedup_key,
    a_dedup_for,
    a_on_conflict,
    a_group_key,
    a_batch_key,
    a_depends_on,
    a_depends_on_batch,
    a_on_failed_dependency,
    a_headers,
    a_namespace
};

// Returns a key, checked for its length; nullptr NULL.
inline text *key_arg(FunctionCallInfo fcinfo, int i, const char *argument) {
    return PG_ARGISNULL(i) ? nullptr : checked_key(PG_GETARG_TEXT_PP(i), argument);
}

}  // namespace pgqueue::api
