// Checks of arguments: ranges and words, with the texts of sql/04_checks.sql.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::api {

// 22004 naming the argument.
void not_null(FunctionCallInfo fcinfo, int i, const char *name);
// 22023 for what is in no range.
[[noreturn]] void out_of_range(const char *setting, const char *value, const char *hint);
// 22023 unless the value is one of the words, which stand separated by a comma and a blank.
void check_word(const char *setting, std::string_view value, const char *words);
// The value; 22023 out of its range.
int32 checked_range(const char *setting, int32 value, int32 lowest, int32 highest);

enum class Zero { Allowed, Refused };

// An interval in microseconds, a month counting 30 days; none for NULL. 22023 for a negative one and for more than 1000
// years.
int64 interval_arg(FunctionCallInfo fcinfo, int i, const char *setting, int64 none, Zero zero = Zero::Allowed);
// A time of the calendar, never 0, which is none in our rows. 22023 for an infinite one and outside the years 1970 to
// 9999.
TimestampTz moment_arg(FunctionCallInfo fcinfo, int i, const char *setting);

}  // namespace pgqueue::api
