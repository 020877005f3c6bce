// Cron texts given by users.
#pragma once
#include "core/cron.hpp"
#include "pg/backend.hpp"

namespace pgqueue::api {

// Parses a cron text. Raises 22023 with the position of the error and what is allowed there.
core::CronSpec read_cron(const char *text);

// Returns the zone of a cron text: that of its prefix, else the one named, else (nullptr) the session's. Raises 22023
// if there is no such zone.
const pg_tz *zone_of(const core::CronSpec &spec, const char *time_zone);

}  // namespace pgqueue::api
