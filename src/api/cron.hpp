// Cron texts that a user gives.
#pragma once
#include "core/cron.hpp"
#include "pg/backend.hpp"

namespace pgqueue::api {

// 22023 with the place and what is allowed there.
core::CronSpec read_cron(const char *text);

// The zone in which a cron text is read: that of its prefix, else the one named, else (nullptr) the session's. 22023
// when there is no such zone.
const pg_tz *zone_of(const core::CronSpec &spec, const char *time_zone);

}  // namespace pgqueue::api
