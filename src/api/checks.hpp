// Checks of arguments: ranges and words, with the messages of sql/04_checks.sql.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::api {

// Raises 22004, with the argument's name, if the argument is NULL.
void not_null(FunctionCallInfo fcinfo, int i, const char *name);
// Raises 22023: the value is out of range.
[[noreturn]] void out_of_range(const char *setting, const char *value, const char *hint);
// Raises 22023 unless the value is one of `words`, which are separated by a comma and a blank.
void check_word(const char *setting, std::string_view value, const char *words);
// Returns the value. Raises 22023 if it is out of range.
int32 checked_range(const char *setting, int32 value, int32 lowest, int32 highest);

// Whether an interval may be zero.
enum class Zero { Allowed, Refused };

// Returns an interval in microseconds; a month counts 30 days. Returns `none` for NULL. Raises 22023 for a negative
// one, one above 1000 years, and with Zero::Refused for zero.
int64 interval_arg(FunctionCallInfo fcinfo, int i, const char *setting, int64 none, Zero zero = Zero::Allowed);
// Returns a calendar time, never 0, which means none in our rows. Raises 22023 for infinity, and outside the years 1970
// to 9999. The argument must not be NULL.
TimestampTz moment_arg(FunctionCallInfo fcinfo, int i, const char *setting);

}  // namespace pgqueue::api
