// Dates of the Gregorian calendar, extended to all years, as days since 1970-01-01.
#pragma once
#include <cstdint>

namespace pgqueue::core {

// Returns a / b, rounded toward negative infinity. b must be positive.
constexpr std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

struct Date {
    std::int64_t year;
    int month;
    int day;
};

// Years begin in March here, so that the leap day is the last day of a year.
constexpr std::int64_t cycle_years = 400, cycle_days = 146097;
constexpr std::int64_t epoch_in_cycle = 719468;  // days from 1 March of year 0 to 1970-01-01

// Returns the first day of a month (1 to 12), in days since 1970-01-01.
constexpr std::int64_t first_of_month(std::int64_t year, int month) {
    std::int64_t y = month > 2 ? year : year - 1;
    std::int64_t cycle = floor_div(y, cycle_years), in_cycle = y - cycle * cycle_years;
    int from_march = month > 2 ? month - 3 : month + 9;
    std::int64_t days = in_cycle * 365 + in_cycle / 4 - in_cycle / 100 + (153 * from_march + 2) / 5;
    return cycle * cycle_days + days - epoch_in_cycle;
}

// Returns the date of a day, which is counted since 1970-01-01.
constexpr Date date_of(std::int64_t day) {
    day += epoch_in_cycle;
    std::int64_t cycle = floor_div(day, cycle_days), rest = day - cycle * cycle_days;
    std::int64_t year = (rest - rest / 1460 + rest / 36524 - rest / 146096) / 365;
    int in_year = static_cast<int>(rest - (year * 365 + year / 4 - year / 100));
    int from_march = (5 * in_year + 2) / 153;
    int month = from_march < 10 ? from_march + 3 : from_march - 9;
    return {cycle * cycle_years + year + (month <= 2 ? 1 : 0), month, in_year - (153 * from_march + 2) / 5 + 1};
}

// Returns the number of days of a month (1 to 12).
constexpr int length_of(std::int64_t year, int month) {
    if (month == 2) return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28;
    return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

}  // namespace pgqueue::core
