#include "api/checks.hpp"

#include "api/nearest.hpp"

namespace pgqueue::api {

void not_null(FunctionCallInfo fcinfo, int i, const char *name) {
    if (PG_ARGISNULL(i))
        ereport(ERROR, errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("argument \"%s\" must not be NULL", name));
}

void out_of_range(const char *setting, const char *value, const char *hint) {
    ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("\"%s\" is out of range: %s", setting, value),
            errhint("%s", hint));
    pg_unreachable();
}

namespace {

template <typename F>
void each_word(const char *words, F f) {
    constexpr std::string_view between = ", ";
    for (std::string_view rest = words; !rest.empty();) {
        std::size_t end = rest.find(between);
        f(std::string_view(rest.data(), end == rest.npos ? rest.size() : end));
        rest.remove_prefix(end == rest.npos ? rest.size() : end + between.size());
    }
}

}  // namespace

void check_word(const char *setting, std::string_view value, const char *words) {
    bool known = false;
    each_word(words, [&known, value](std::string_view word) { known = known || value == word; });
    if (known) return;
    const char *given = pnstrdup(value.data(), value.size());
    Nearest nearest = nearest_to(given);
    each_word(words, [&nearest](std::string_view word) { consider(&nearest, pnstrdup(word.data(), word.size())); });
    ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid value for \"%s\": \"%s\"", setting, given),
            nearest.name != nullptr ? errhint("%s Valid values: %s.", perhaps(nearest, ""), words)
                                    : errhint("Valid values: %s.", words));
}

int32 checked_range(const char *setting, int32 value, int32 lowest, int32 highest) {
    if (value < lowest || value > highest)
        out_of_range(setting, psprintf("%d", value), psprintf("It must be between %d and %d.", lowest, highest));
    return value;
}

int64 interval_arg(FunctionCallInfo fcinfo, int i, const char *setting, int64 none, Zero zero) {
    constexpr __int128 longest = static_cast<__int128>(1000) * 12 * DAYS_PER_MONTH * USECS_PER_DAY;
    if (PG_ARGISNULL(i)) return none;
    Interval *value = PG_GETARG_INTERVAL_P(i);
    const __int128 micros =
        value->time +
        (static_cast<__int128>(value->day) + static_cast<__int128>(value->month) * DAYS_PER_MONTH) * USECS_PER_DAY;
    if (micros < 0 || micros > longest || (micros == 0 && zero == Zero::Refused))
        out_of_range(setting, DatumGetCString(DirectFunctionCall1(interval_out, PointerGetDatum(value))),
                     zero == Zero::Allowed ? "It must be between 0 and 1000 years."
                                           : "It must be more than 0 and at most 1000 years.");
    return static_cast<int64>(micros);
}

TimestampTz moment_arg(FunctionCallInfo fcinfo, int i, const char *setting) {
    constexpr int64 first = -int64(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
    constexpr int64 days_to_10000 = 2921940;  // from 2000-01-01 to 10000-01-01: 20 cycles of 400 years
    TimestampTz at = PG_GETARG_TIMESTAMPTZ(i);
    if (at < first || at >= days_to_10000 * USECS_PER_DAY)
        out_of_range(setting, DatumGetCString(DirectFunctionCall1(timestamptz_out, TimestampTzGetDatum(at))),
                     "It must be a time of the years 1970 to 9999.");
    // 0 means none in our rows, so this one time becomes a microsecond later.
    return at == 0 ? 1 : at;
}

}  // namespace pgqueue::api
