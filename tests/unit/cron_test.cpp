// Cron texts: what is refused and where, what each form means, time zones (rows B36 to B41).
#include "core/cron.hpp"
#include "lib/cron_zones.hpp"

#include <gtest/gtest.h>
#include <span>

namespace {

using namespace cron_test;
using pgqueue::core::cron_next;
using pgqueue::core::CronError;
using pgqueue::core::CronSpec;
using pgqueue::core::parse_cron;

static_assert(std::is_trivially_copyable_v<CronSpec>);

// ===== what is refused =====

struct Refused {
    const char *text;
    int position;
    const char *field;
    const char *message;
};

constexpr Refused refused[] = {
    // the text as a whole
    {"", 0, "", "There are no fields."},
    {"   ", 0, "", "There are no fields."},
    {"*", 1, "", "It has 1 field instead of 5 or 6."},
    {"hourly", 6, "", "It has 1 field instead of 5 or 6."},
    {"* * * *", 7, "", "It has 4 fields instead of 5 or 6."},
    {"* * * * * * *", 12, "", "It has 7 fields instead of 5 or 6."},
    {"*  *\t* * * *   9 9", 15, "", "It has 8 fields instead of 5 or 6."},
    {"30 seconds", 10, "", "It has 2 fields instead of 5 or 6."},
    // numbers out of range
    {"60 * * * *", 0, "minute", "60 is above 59."},
    {"* 24 * * *", 2, "hour", "24 is above 23."},
    {"* * 0 * *", 4, "day of month", "0 is below 1."},
    {"* * 32 * *", 4, "day of month", "32 is above 31."},
    {"* * * 0 *", 6, "month", "0 is below 1."},
    {"* * * 13 *", 6, "month", "13 is above 12."},
    {"* * * * 7", 8, "day of week", "7 is above 6."},
    {"* * * * 5-7", 10, "day of week", "7 is above 6."},
    {"* * * * 1,7", 10, "day of week", "7 is above 6."},
    {"60 * * * * *", 0, "second", "60 is above 59."},
    {"* 60 * * * *", 2, "minute", "60 is above 59."},
    {"* * 24 * * *", 4, "hour", "24 is above 23."},
    {"0-60 * * * *", 2, "minute", "60 is above 59."},
    {"1,2,60 * * * *", 4, "minute", "60 is above 59."},
    {"60/5 * * * *", 0, "minute", "60 is above 59."},
    {"999999999 * * * *", 0, "minute", "999999999 is above 59."},
    {"9999999999 * * * *", 0, "minute", "The number 9999999999 is too large."},
    {"18446744073709551616 * * * *", 0, "minute", "The number 18446744073709551616 is too large."},
    {"4294967296 * * * *", 0, "minute", "The number 4294967296 is too large."},
    {"*/4294967297 * * * *", 2, "minute", "The number 4294967297 is too large."},
    {"00000000000000000000000000000000005 * * * *", 0, "minute",
     "The number 000000000000000000000000... is too large."},
    // ranges and steps
    {"5-1 * * * *", 0, "minute", "The range 5-1 runs backwards."},
    {"* * * * fri-mon", 8, "day of week", "The range fri-mon runs backwards."},
    {"* * * dec-JAN *", 6, "month", "The range dec-JAN runs backwards."},
    {"* 22-2/2 * * *", 2, "hour", "The range 22-2 runs backwards."},
    {"*/0 * * * *", 2, "minute", "A step must be at least 1."},
    {"5/0 * * * *", 2, "minute", "A step must be at least 1."},
    {"1-9/00 * * * *", 4, "minute", "A step must be at least 1."},
    {"*/ * * * *", 2, "minute", "A number is missing here."},
    {"*/,1 * * * *", 2, "minute", "A number is missing here."},
    {"1- * * * *", 2, "minute", "A number is missing here."},
    {"1-,2 * * * *", 2, "minute", "A number is missing here."},
    {"*/-1 * * * *", 2, "minute", "\"-1\" is not a number."},
    {"-1 * * * *", 0, "minute", "\"-1\" is not a number."},
    {"+1 * * * *", 0, "minute", "\"+1\" is not a number."},
    {"1-2-3 * * * *", 3, "minute", "\"-3\" does not belong here."},
    {"1/2/3 * * * *", 3, "minute", "\"/3\" does not belong here."},
    {"1/2-3 * * * *", 3, "minute", "\"-3\" does not belong here."},
    {"*-5 * * * *", 1, "minute", "\"-5\" does not belong here."},
    {"*5 * * * *", 1, "minute", "\"5\" does not belong here."},
    {"** * * * *", 1, "minute", "\"*\" does not belong here."},
    {"?* * * * *", 1, "minute", "\"*\" does not belong here."},
    {"5* * * * *", 1, "minute", "\"*\" does not belong here."},
    {"1.5 * * * *", 1, "minute", "\".5\" does not belong here."},
    {"1-* * * * *", 2, "minute", "\"*\" is not a number."},
    {"*/2.5 * * * *", 3, "minute", "\".5\" does not belong here."},
    {"*/x * * * *", 2, "minute", "\"x\" is not a number."},
    {"/5 * * * *", 0, "minute", "\"/5\" is not a number."},
    // lists
    {", * * * *", 0, "minute", "An element of the list is missing."},
    {",1 * * * *", 0, "minute", "An element of the list is missing."},
    {"1, * * * *", 2, "minute", "An element of the list is missing."},
    {"1,,2 * * * *", 2, "minute", "An element of the list is missing."},
    {",,, * * * *", 0, "minute", "An element of the list is missing."},
    {"* * , * *", 4, "day of month", "An element of the list is missing."},
    {"* * * * ,", 8, "day of week", "An element of the list is missing."},
    {"* * * * mon,", 12, "day of week", "An element of the list is missing."},
    {"1;2 * * * *", 1, "minute", "\";2\" does not belong here."},
    // words
    {"x * * * *", 0, "minute", "\"x\" is unknown here."},
    {"* mon * * *", 2, "hour", "\"mon\" is unknown here."},
    {"* * mon * *", 4, "day of month", "\"mon\" is unknown here."},
    {"* * * mon *", 6, "month", "\"mon\" is unknown here."},
    {"* * * * jan", 8, "day of week", "\"jan\" is unknown here."},
    {"* * * january *", 9, "month", "\"uary\" does not belong here."},
    {"* * * * friday", 11, "day of week", "\"day\" does not belong here."},
    {"* * * ja *", 6, "month", "\"ja\" is unknown here."},
    {"* * * j *", 6, "month", "\"j\" is unknown here."},
    {"* * * foo *", 6, "month", "\"foo\" is unknown here."},
    {"* * * jan-foo *", 10, "month", "\"foo\" is unknown here."},
    {"* * * jan/foo *", 10, "month", "\"foo\" is not a number."},
    {"* * * jan5 *", 9, "month", "\"5\" does not belong here."},
    {"* * * 5jan *", 7, "month", "\"jan\" does not belong here."},
    {"H * * * *", 0, "minute", "\"H\" is unknown here."},
    {"~ * * * *", 0, "minute", "\"~\" is not a number."},
    {"* * $ * *", 4, "day of month", "\"$\" is not a number."},
    {"\xc3\xa9 * * * *", 0, "minute", "\"\?\?\" is not a number."},
    {"\x01\x7f * * * *", 0, "minute", "\"\?\?\" is not a number."},
    {"!abcdefghijklmnopqrstuvwxyz * * * *", 0, "minute", "\"!abcdefghijklmnopqrstuvw...\" is not a number."},
    {"* * * * %s%n", 8, "day of week", "\"%s%n\" is not a number."},
    // L, W and #
    {"L * * * *", 0, "minute", "\"L\" is unknown here."},
    {"* * * L *", 6, "month", "\"L\" is unknown here."},
    {"* * * * L", 8, "day of week", "\"L\" is unknown here."},
    {"* * L- * *", 6, "day of month", "A number is missing here."},
    {"* * L-0 * *", 6, "day of month", "No month has a day 0 before its last one."},
    {"* * L-31 * *", 6, "day of month", "No month has a day 31 before its last one."},
    {"* * L3 * *", 5, "day of month", "\"3\" does not belong here."},
    {"* * L/2 * *", 5, "day of month", "\"/2\" does not belong here."},
    {"* * L-3W * *", 7, "day of month", "\"W\" does not belong here."},
    {"* * LWW * *", 6, "day of month", "\"W\" does not belong here."},
    {"* * W * *", 4, "day of month", "\"W\" is unknown here."},
    {"* * 0W * *", 4, "day of month", "0 is below 1."},
    {"* * 32W * *", 4, "day of month", "32 is above 31."},
    {"* * 1-5W * *", 7, "day of month", "\"W\" does not belong here."},
    {"* * 15W-20 * *", 7, "day of month", "\"-20\" does not belong here."},
    {"* * 15L * *", 6, "day of month", "\"L\" does not belong here."},
    {"* * * * 5W", 9, "day of week", "\"W\" does not belong here."},
    {"* * * * 7L", 8, "day of week", "7 is above 6."},
    {"* * * * 5L2", 10, "day of week", "\"2\" does not belong here."},
    {"* * * * 5L-6", 10, "day of week", "\"-6\" does not belong here."},
    {"* * * * 1-5L", 11, "day of week", "\"L\" does not belong here."},
    {"* * * * 5#", 10, "day of week", "A number is missing here."},
    {"* * * * 5#0", 10, "day of week", "No month has a weekday number 0."},
    {"* * * * 5#6", 10, "day of week", "No month has a weekday number 6."},
    {"* * * * fri#x", 12, "day of week", "\"x\" is not a number."},
    {"* * * * #2", 8, "day of week", "\"#2\" is not a number."},
    {"* * * * 7#2", 8, "day of week", "7 is above 6."},
    {"* * * * 5#2#3", 11, "day of week", "\"#3\" does not belong here."},
    {"* * * * 5#2-3", 11, "day of week", "\"-3\" does not belong here."},
    {"* * 5#2 * *", 5, "day of month", "\"#2\" does not belong here."},
    // @ words
    {"@", 0, "@ word", "\"@\" is unknown."},
    {"@reboot", 0, "@ word", "\"@reboot\" is unknown."},
    {"@dayly", 0, "@ word", "\"@dayly\" is unknown."},
    {"  @daily2", 2, "@ word", "\"@daily2\" is unknown."},
    {"@daily * * * *", 7, "@ word", "Nothing may follow @daily."},
    {"@@daily", 0, "@ word", "\"@@daily\" is unknown."},
    {"@ daily", 0, "@ word", "\"@\" is unknown."},
    {"* * * * @daily", 8, "day of week", "\"@daily\" is not a number."},
    {"@every", 6, "duration", "The duration is missing."},
    {"@every ", 6, "duration", "The duration is missing."},
    {"@every1h", 0, "@ word", "\"@every1h\" is unknown."},
    {"@every 1", 8, "duration", "A unit is missing."},
    {"@every 1h30", 11, "duration", "A unit is missing."},
    {"@every h", 7, "duration", "\"h\" is not a duration."},
    {"@every -1h", 7, "duration", "\"-1h\" is not a duration."},
    {"@every .h", 7, "duration", "\".h\" is not a duration."},
    {"@every 1h.s", 9, "duration", "\".s\" is not a duration."},
    {"@every 1x", 8, "duration", "\"x\" is not a unit."},
    {"@every 1H", 8, "duration", "\"H\" is not a unit."},
    {"@every 1hour", 8, "duration", "\"hour\" is not a unit."},
    {"@every 1h 30m", 10, "duration", "\"30m\" does not belong here."},
    {"@every 1..5h", 9, "duration", "A unit is missing."},
    {"@every 0s", 7, "duration", "The duration is zero."},
    {"@every 0h0m", 7, "duration", "The duration is zero."},
    {"@every 36501d", 7, "duration", "The duration is longer than 100 years."},
    {"@every 36500d1ns", 13, "duration", "The duration is longer than 100 years."},
    {"@every 99999999999999999999999h", 7, "duration", "The duration is longer than 100 years."},
    {"@every 99999999999999999999999ns", 7, "duration", "The duration is longer than 100 years."},
    {"@every 9999999999999999999.555ns", 7, "duration", "The duration is longer than 100 years."},
    // time zones
    {"TZ=UTC", 6, "time zone", "Nothing follows the time zone."},
    {"CRON_TZ=UTC", 11, "time zone", "Nothing follows the time zone."},
    {"TZ=UTC  ", 6, "time zone", "Nothing follows the time zone."},
    {"TZ=", 3, "time zone", "The name of the time zone is missing."},
    {"TZ= * * * * *", 3, "time zone", "The name of the time zone is missing."},
    {"TZ=UTC *", 8, "", "It has 1 field instead of 5 or 6."},
    {"TZ=UTC 61 * * * *", 7, "minute", "61 is above 59."},
    {"TZ=UTC TZ=UTC * * * * *", 7, "second", "\"TZ=UTC\" is unknown here."},
    {"tz=UTC * * * * *", 0, "second", "\"tz=UTC\" is unknown here."},
    {"TZ=UTC @never", 7, "@ word", "\"@never\" is unknown."},
    {"TZ=0123456789012345678901234567890123456789012345678901234567890123 * * * * *", 3, "time zone",
     "The name of the time zone is longer than 63 bytes."},
};

TEST(Cron, B41_Refused) {
    for (const Refused &r : refused) {
        SCOPED_TRACE(r.text);
        CronSpec spec;
        CronError error{};
        ASSERT_FALSE(parse_cron(r.text, spec, error));
        EXPECT_EQ(error.position, r.position);
        EXPECT_STREQ(error.field, r.field);
        EXPECT_STREQ(error.message, r.message);
        ASSERT_NE(error.hint, nullptr);
    }
}

TEST(Cron, B41_HintsSayWhatIsAllowed) {
    auto hint = [](const char *text) {
        CronSpec spec;
        CronError error{};
        return parse_cron(text, spec, error) ? std::string() : std::string(error.hint);
    };
    EXPECT_NE(hint("60 * * * *").find("0 to 59"), std::string::npos);
    EXPECT_NE(hint("* 24 * * *").find("0 to 23"), std::string::npos);
    EXPECT_NE(hint("* * 32 * *").find("1 to 31"), std::string::npos);
    EXPECT_NE(hint("* * * 13 *").find("jan to dec"), std::string::npos);
    EXPECT_NE(hint("* * * * 7").find("0 (Sunday) to 6"), std::string::npos);
    EXPECT_NE(hint("* * * *").find("minute, hour"), std::string::npos);
    EXPECT_NE(hint("@x").find("@every"), std::string::npos);
    EXPECT_NE(hint("TZ=UTC").find("TZ=zone"), std::string::npos);
}

// Every text that begins like a good one, and every good one with a byte changed, is read to the end without harm (the
// sanitizers watch).
TEST(Cron, B41_AnyBytesAreRead) {
    for (std::string text : {"*/5,1-9/2 1-3 1,L-3,15W,LW JAN-dec/2 5#2,friL", "CRON_TZ=Asia/Tokyo 0 0 6 * * ?",
                             "@every 1h30m1.5s", "@daily"}) {
        CronSpec spec;
        CronError error;
        ASSERT_TRUE(parse_cron(text, spec, error)) << text << ": " << error.message;
        for (std::size_t n = 0; n < text.size(); n++) {
            std::vector<char> exact(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(n));
            if (!parse_cron({exact.data(), n}, spec, error)) {
                ASSERT_LE(error.position, static_cast<int>(n));
            }
            for (int c = 1; c < 256; c++) {
                std::string changed = text;
                changed[n] = static_cast<char>(c);
                if (!parse_cron(changed, spec, error)) {
                    ASSERT_LE(error.position, static_cast<int>(changed.size()));
                    ASSERT_NE(std::string_view(error.message), "");
                }
            }
        }
    }
}

// ===== what the forms mean =====

struct Next {
    const char *text;
    const char *zone;
    const char *after;
    const char *slots;  // the next ones, with commas between; "none" ends them
};

std::string next_slots(const Next &c) {
    CronSpec spec;
    CronError error;
    if (!parse_cron(c.text, spec, error)) return error.message;
    const TableZone &zone = system_zone(c.zone);
    std::string result;
    std::string wanted = c.slots;
    int64_t t = instant(c.after) * 1000000;
    for (auto n = std::count(wanted.begin(), wanted.end(), ',') + 1; n > 0; n--) {
        if (!result.empty()) result += ", ";
        std::optional<int64_t> slot = cron_next(spec, t, zone.zone());
        if (!slot) return result + "none";
        EXPECT_GT(*slot, t);
        t = *slot;
        result += shown(t / 1000000, zone.offset(t / 1000000));
    }
    return result;
}

void expect_slots(std::span<const Next> cases) {
    for (const Next &c : cases) EXPECT_EQ(next_slots(c), c.slots) << c.text << " in " << c.zone << " after " << c.after;
}

// 2026-01-01 is a Thursday.
constexpr Next fields[] = {
    {"* * * * *", "UTC", "2026-01-01 10:00+00", "2026-01-01 10:01+00, 2026-01-01 10:02+00"},
    {"* * * * *", "UTC", "2026-01-01 10:00:59+00", "2026-01-01 10:01+00"},
    {"? ? ? ? ?", "UTC", "2026-01-01 10:00+00", "2026-01-01 10:01+00"},
    {"  *\t*   * *\t\t*  ", "UTC", "2026-01-01 10:00+00", "2026-01-01 10:01+00"},
    {"0 * * * *", "UTC", "2026-01-01 10:00+00", "2026-01-01 11:00+00, 2026-01-01 12:00+00"},
    {"0 * * * *", "UTC", "2026-12-31 23:30+00", "2027-01-01 00:00+00"},
    {"59 23 31 12 *", "UTC", "2026-01-01 00:00+00", "2026-12-31 23:59+00, 2027-12-31 23:59+00"},
    {"30 6 * * *", "UTC", "2026-01-01 06:29:59+00", "2026-01-01 06:30+00, 2026-01-02 06:30+00"},
    {"30 6 * * *", "UTC", "2026-01-01 06:30+00", "2026-01-02 06:30+00"},
    {"05 006 * * *", "UTC", "2026-01-01 00:00+00", "2026-01-01 06:05+00"},
    // lists, ranges, steps
    {"1,2,30 * * * *", "UTC", "2026-01-01 10:00+00",
     "2026-01-01 10:01+00, 2026-01-01 10:02+00, 2026-01-01 10:30+00, 2026-01-01 11:01+00"},
    {"30,2,1,1 * * * *", "UTC", "2026-01-01 10:00+00",
     "2026-01-01 10:01+00, 2026-01-01 10:02+00, 2026-01-01 10:30+00, 2026-01-01 11:01+00"},
    {"58-59 * * * *", "UTC", "2026-01-01 10:00+00", "2026-01-01 10:58+00, 2026-01-01 10:59+00, 2026-01-01 11:58+00"},
    {"7-7 * * * *", "UTC", "2026-01-01 10:00+00", "2026-01-01 10:07+00, 2026-01-01 11:07+00"},
    {"*/15 * * * *", "UTC", "2026-01-01 10:00+00",
     "2026-01-01 10:15+00, 2026-01-01 10:30+00, 2026-01-01 10:45+00, 2026-01-01 11:00+00"},
    {"?/15 * * * *", "UTC", "2026-01-01 10:00+00", "2026-01-01 10:15+00"},
    {"*/25 * * * *", "UTC", "2026-01-01 10:00+00", "2026-01-01 10:25+00, 2026-01-01 10:50+00, 2026-01-01 11:00+00"},
    {"*/1 * * * *", "UTC", "2026-01-01 10:00+00", "2026-01-01 10:01+00"},
    {"*/60 * * * *", "UTC", "2026-01-01 10:00+00", "2026-01-01 11:00+00, 2026-01-01 12:00+00"},
    {"*/999999999 * * * *", "UTC", "2026-01-01 10:00+00", "2026-01-01 11:00+00"},
    {"40/7 * * * *", "UTC", "2026-01-01 10:00+00",
     "2026-01-01 10:40+00, 2026-01-01 10:47+00, 2026-01-01 10:54+00, 2026-01-01 11:40+00"},
    {"10-20/5 * * * *", "UTC", "2026-01-01 10:00+00",
     "2026-01-01 10:10+00, 2026-01-01 10:15+00, 2026-01-01 10:20+00, 2026-01-01 11:10+00"},
    {"10-21/5,40-41,59 * * * *", "UTC", "2026-01-01 10:18+00",
     "2026-01-01 10:20+00, 2026-01-01 10:40+00, 2026-01-01 10:41+00, 2026-01-01 10:59+00, 2026-01-01 11:10+00"},
    {"*,5 * * * *", "UTC", "2026-01-01 10:00+00", "2026-01-01 10:01+00"},
    {"0 9-17/4 * * *", "UTC", "2026-01-01 10:00+00", "2026-01-01 13:00+00, 2026-01-01 17:00+00, 2026-01-02 09:00+00"},
    {"0 20/2 * * *", "UTC", "2026-01-01 10:00+00", "2026-01-01 20:00+00, 2026-01-01 22:00+00, 2026-01-02 20:00+00"},
    {"0 0 28/2 * *", "UTC", "2026-01-01 00:00+00",
     "2026-01-28 00:00+00, 2026-01-30 00:00+00, 2026-02-28 00:00+00, 2026-03-28 00:00+00"},
    {"0 0 1 10/2 *", "UTC", "2026-01-01 00:00+00", "2026-10-01 00:00+00, 2026-12-01 00:00+00, 2027-10-01 00:00+00"},
    {"0 0 * * 5/1", "UTC", "2026-01-01 00:00+00", "2026-01-02 00:00+00, 2026-01-03 00:00+00, 2026-01-09 00:00+00"},
    {"*/15 9-17 ? JAN,jul MON-FRI", "UTC", "2026-01-30 17:45+00", "2026-07-01 09:00+00, 2026-07-01 09:15+00"},
    // names
    {"0 0 1 jan *", "UTC", "2026-01-01 00:00+00", "2027-01-01 00:00+00"},
    {"0 0 1 feb,Mar,APR *", "UTC", "2026-01-01 00:00+00",
     "2026-02-01 00:00+00, 2026-03-01 00:00+00, 2026-04-01 00:00+00, 2027-02-01 00:00+00"},
    {"0 0 1 may-Jun,jUL *", "UTC", "2026-01-01 00:00+00",
     "2026-05-01 00:00+00, 2026-06-01 00:00+00, 2026-07-01 00:00+00"},
    {"0 0 1 aug-11/2,DEC *", "UTC", "2026-01-01 00:00+00",
     "2026-08-01 00:00+00, 2026-10-01 00:00+00, 2026-12-01 00:00+00"},
    {"0 0 1 sep/3 *", "UTC", "2026-01-01 00:00+00", "2026-09-01 00:00+00, 2026-12-01 00:00+00, 2027-09-01 00:00+00"},
    {"0 0 1 oct,nov *", "UTC", "2026-01-01 00:00+00", "2026-10-01 00:00+00, 2026-11-01 00:00+00"},
    {"0 0 * * sun", "UTC", "2026-01-01 00:00+00", "2026-01-04 00:00+00, 2026-01-11 00:00+00"},
    {"0 0 * * 0", "UTC", "2026-01-01 00:00+00", "2026-01-04 00:00+00, 2026-01-11 00:00+00"},
    {"0 0 * * Mon", "UTC", "2026-01-01 00:00+00", "2026-01-05 00:00+00"},
    {"0 0 * * TUE,wed", "UTC", "2026-01-01 00:00+00", "2026-01-06 00:00+00, 2026-01-07 00:00+00"},
    {"0 0 * * tHu-6", "UTC", "2026-01-01 00:00+00", "2026-01-02 00:00+00, 2026-01-03 00:00+00, 2026-01-08 00:00+00"},
    {"0 0 * * sat", "UTC", "2026-01-01 00:00+00", "2026-01-03 00:00+00"},
    {"0 0 * * mon-fri", "UTC", "2026-01-01 00:00+00", "2026-01-02 00:00+00, 2026-01-05 00:00+00"},
    {"0 0 * * 1-5/2", "UTC", "2026-01-01 00:00+00", "2026-01-02 00:00+00, 2026-01-05 00:00+00, 2026-01-07 00:00+00"},
    {"0 0 * * 6", "UTC", "2026-01-01 00:00+00", "2026-01-03 00:00+00"},
    // seconds
    {"* * * * * *", "UTC", "2026-01-01 10:00+00", "2026-01-01 10:00:01+00, 2026-01-01 10:00:02+00"},
    {"*/20 * * * * *", "UTC", "2026-01-01 10:00:01+00",
     "2026-01-01 10:00:20+00, 2026-01-01 10:00:40+00, 2026-01-01 10:01+00"},
    {"59 59 23 31 12 *", "UTC", "2026-01-01 10:00+00", "2026-12-31 23:59:59+00"},
    {"5,7 0 0 * * *", "UTC", "2026-01-01 00:00:05+00", "2026-01-01 00:00:07+00, 2026-01-02 00:00:05+00"},
    {"30 0 12 1 * ?", "UTC", "2026-01-01 00:00+00", "2026-01-01 12:00:30+00, 2026-02-01 12:00:30+00"},
    {"30 5 4 3 2 1", "UTC", "2026-01-01 00:00+00",
     "2026-02-02 04:05:30+00, 2026-02-03 04:05:30+00, 2026-02-09 04:05:30+00"},
    // lengths of months, leap years
    {"0 0 31 * *", "UTC", "2026-01-31 00:00+00",
     "2026-03-31 00:00+00, 2026-05-31 00:00+00, 2026-07-31 00:00+00, 2026-08-31 00:00+00"},
    {"0 0 30 * *", "UTC", "2026-01-30 00:00+00", "2026-03-30 00:00+00"},
    {"0 0 29 2 *", "UTC", "2026-01-01 00:00+00", "2028-02-29 00:00+00, 2032-02-29 00:00+00"},
    {"0 0 29 2 *", "UTC", "2096-02-29 00:00+00", "2104-02-29 00:00+00"},
    {"0 0 29 2 *", "UTC", "1896-02-29 00:00+00", "1904-02-29 00:00+00"},
    {"0 0 29 2 *", "UTC", "1996-02-29 00:00+00", "2000-02-29 00:00+00"},
    {"0 12 29 2 *", "UTC", "2000-02-29 00:00+00", "2000-02-29 12:00+00"},
    {"0 0 30 2 *", "UTC", "2026-01-01 00:00+00", "none"},
    {"0 0 31 2,4,6,9,11 *", "UTC", "2026-01-01 00:00+00", "none"},
    {"0 0 L-30 2,4 *", "UTC", "2026-01-01 00:00+00", "none"},
    {"* * * 2 fri#5", "UTC", "2036-02-29 23:59+00", "2064-02-29 00:00+00"},
    {"0 0 * 2 sat#5", "UTC", "2076-01-01 00:00+00", "2076-02-29 00:00+00, 2116-02-29 00:00+00"},
    {"* * * * *", "UTC", "1969-12-31 23:58:30+00", "1969-12-31 23:59+00, 1970-01-01 00:00+00"},
    {"0 0 1 1 *", "UTC", "1600-02-29 00:00+00", "1601-01-01 00:00+00"},
    {"0 0 29 2 *", "UTC", "9999-01-01 00:00+00", "10000-02-29 00:00+00"},
    // day of month or day of week (B40)
    {"0 0 13 * FRI", "UTC", "2026-01-01 00:00+00",
     "2026-01-02 00:00+00, 2026-01-09 00:00+00, 2026-01-13 00:00+00, 2026-01-16 00:00+00"},
    {"0 0 0 13 * FRI", "UTC", "2026-01-08 00:00+00", "2026-01-09 00:00+00, 2026-01-13 00:00+00, 2026-01-16 00:00+00"},
    {"0 0 13 * *", "UTC", "2026-01-01 00:00+00", "2026-01-13 00:00+00, 2026-02-13 00:00+00"},
    {"0 0 * * FRI", "UTC", "2026-01-01 00:00+00", "2026-01-02 00:00+00, 2026-01-09 00:00+00"},
    {"0 0 13 * ?", "UTC", "2026-01-01 00:00+00", "2026-01-13 00:00+00"},
    {"0 0 ? * FRI", "UTC", "2026-01-01 00:00+00", "2026-01-02 00:00+00"},
    {"0 0 */1 * FRI", "UTC", "2026-01-01 00:00+00", "2026-01-02 00:00+00, 2026-01-09 00:00+00"},
    {"0 0 *,5 * FRI", "UTC", "2026-01-01 00:00+00", "2026-01-02 00:00+00, 2026-01-09 00:00+00"},
    {"0 0 13 * FRI,*", "UTC", "2026-01-01 00:00+00", "2026-01-13 00:00+00"},
    {"0 0 */20 * FRI", "UTC", "2026-01-01 00:00+00",
     "2026-01-02 00:00+00, 2026-01-09 00:00+00, 2026-01-16 00:00+00, 2026-01-21 00:00+00"},
    {"0 0 13 * */5", "UTC", "2026-01-01 00:00+00",
     "2026-01-02 00:00+00, 2026-01-04 00:00+00, 2026-01-09 00:00+00, 2026-01-11 00:00+00, 2026-01-13 00:00+00"},
    {"0 0 1-31 * FRI", "UTC", "2026-01-01 00:00+00", "2026-01-02 00:00+00, 2026-01-03 00:00+00"},
    {"0 0 13 3 FRI", "UTC", "2026-01-01 00:00+00", "2026-03-06 00:00+00, 2026-03-13 00:00+00, 2026-03-20 00:00+00"},
    {"0 0 L * FRI", "UTC", "2026-01-24 00:00+00", "2026-01-30 00:00+00, 2026-01-31 00:00+00, 2026-02-06 00:00+00"},
    {"0 0 13 * friL", "UTC", "2026-01-01 00:00+00",
     "2026-01-13 00:00+00, 2026-01-30 00:00+00, 2026-02-13 00:00+00, 2026-02-27 00:00+00"},
    // L and W
    {"0 0 L * *", "UTC", "2026-01-01 00:00+00",
     "2026-01-31 00:00+00, 2026-02-28 00:00+00, 2026-03-31 00:00+00, 2026-04-30 00:00+00"},
    {"0 0 l 2 ?", "UTC", "2027-01-01 00:00+00", "2027-02-28 00:00+00, 2028-02-29 00:00+00"},
    {"0 0 L-1 * *", "UTC", "2026-01-01 00:00+00", "2026-01-30 00:00+00, 2026-02-27 00:00+00"},
    {"0 0 L-3 * *", "UTC", "2026-01-01 00:00+00", "2026-01-28 00:00+00, 2026-02-25 00:00+00, 2026-03-28 00:00+00"},
    {"0 0 L-30 * *", "UTC", "2026-01-01 00:00+00", "2026-03-01 00:00+00, 2026-05-01 00:00+00"},
    {"0 0 L-28 2 *", "UTC", "2026-01-01 00:00+00", "2028-02-01 00:00+00"},
    {"0 0 1,15,L * *", "UTC", "2026-01-01 00:00+00", "2026-01-15 00:00+00, 2026-01-31 00:00+00, 2026-02-01 00:00+00"},
    {"0 0 15W * *", "UTC", "2026-01-01 00:00+00", "2026-01-15 00:00+00, 2026-02-16 00:00+00, 2026-03-16 00:00+00"},
    {"0 0 15w 8 *", "UTC", "2026-01-01 00:00+00", "2026-08-14 00:00+00"},
    {"0 0 1W * *", "UTC", "2026-01-01 00:00+00", "2026-02-02 00:00+00, 2026-03-02 00:00+00, 2026-04-01 00:00+00"},
    {"0 0 1W 8 *", "UTC", "2026-01-01 00:00+00", "2026-08-03 00:00+00"},
    {"0 0 31W * *", "UTC", "2026-01-01 00:00+00", "2026-01-30 00:00+00, 2026-03-31 00:00+00, 2026-05-29 00:00+00"},
    {"0 0 31W 4 *", "UTC", "2026-01-01 00:00+00", "none"},
    {"0 0 29W 2 *", "UTC", "2026-01-01 00:00+00", "2028-02-29 00:00+00"},
    {"0 0 30W 4,5,8 *", "UTC", "2026-04-01 00:00+00", "2026-04-30 00:00+00, 2026-05-29 00:00+00, 2026-08-31 00:00+00"},
    {"0 0 28W 2 *", "UTC", "2026-01-01 00:00+00", "2026-02-27 00:00+00"},
    {"0 0 LW * *", "UTC", "2026-01-01 00:00+00",
     "2026-01-30 00:00+00, 2026-02-27 00:00+00, 2026-03-31 00:00+00, 2026-04-30 00:00+00, 2026-05-29 00:00+00"},
    {"0 0 lw 5 *", "UTC", "2026-01-01 00:00+00", "2026-05-29 00:00+00"},
    {"0 0 1W,LW 8 *", "UTC", "2026-01-01 00:00+00", "2026-08-03 00:00+00, 2026-08-31 00:00+00"},
    // last and n-th weekdays
    {"0 0 * * 5L", "UTC", "2026-01-01 00:00+00", "2026-01-30 00:00+00, 2026-02-27 00:00+00"},
    {"0 0 * * friL", "UTC", "2026-01-01 00:00+00", "2026-01-30 00:00+00, 2026-02-27 00:00+00"},
    {"0 0 ? * SUNl", "UTC", "2026-01-01 00:00+00", "2026-01-25 00:00+00, 2026-02-22 00:00+00"},
    {"0 0 * * satL", "UTC", "2026-01-01 00:00+00", "2026-01-31 00:00+00, 2026-02-28 00:00+00"},
    {"0 0 * * 0L,5L", "UTC", "2026-01-01 00:00+00", "2026-01-25 00:00+00, 2026-01-30 00:00+00"},
    {"0 0 * * 5#2", "UTC", "2026-01-01 00:00+00", "2026-01-09 00:00+00, 2026-02-13 00:00+00"},
    {"0 0 * * fri#2", "UTC", "2026-01-01 00:00+00", "2026-01-09 00:00+00"},
    {"0 0 * * FRI#1", "UTC", "2026-01-01 00:00+00", "2026-01-02 00:00+00, 2026-02-06 00:00+00"},
    {"0 0 * * thu#5", "UTC", "2026-01-01 00:00+00", "2026-01-29 00:00+00, 2026-04-30 00:00+00"},
    {"0 0 * * mon#1,mon#3", "UTC", "2026-01-01 00:00+00",
     "2026-01-05 00:00+00, 2026-01-19 00:00+00, 2026-02-02 00:00+00"},
    {"0 0 * 11 thu#4", "UTC", "2026-01-01 00:00+00", "2026-11-26 00:00+00, 2027-11-25 00:00+00"},
    {"0 0 * 5 monL", "UTC", "2026-01-01 00:00+00", "2026-05-25 00:00+00"},
    {"0 0 * * sun,tue#2", "UTC", "2026-01-01 00:00+00",
     "2026-01-04 00:00+00, 2026-01-11 00:00+00, 2026-01-13 00:00+00, 2026-01-18 00:00+00"},
};

constexpr Next at_words[] = {
    {"@yearly", "UTC", "2026-01-01 00:00+00", "2027-01-01 00:00+00"},
    {"@annually", "UTC", "2026-03-01 00:00+00", "2027-01-01 00:00+00"},
    {"@monthly", "UTC", "2026-01-15 00:00+00", "2026-02-01 00:00+00, 2026-03-01 00:00+00"},
    {"@weekly", "UTC", "2026-01-01 00:00+00", "2026-01-04 00:00+00, 2026-01-11 00:00+00"},
    {"@daily", "UTC", "2026-01-01 00:00+00", "2026-01-02 00:00+00"},
    {"@midnight", "UTC", "2026-01-01 12:00+00", "2026-01-02 00:00+00"},
    {"@hourly", "UTC", "2026-01-01 12:30+00", "2026-01-01 13:00+00, 2026-01-01 14:00+00"},
    {" @Daily ", "UTC", "2026-01-01 00:00+00", "2026-01-02 00:00+00"},
    {"@every 1h30m", "UTC", "2026-01-01 00:00+00", "2026-01-01 01:30+00, 2026-01-01 03:00+00"},
    {"@every 90s", "UTC", "2026-01-01 00:00:07+00", "2026-01-01 00:01:37+00, 2026-01-01 00:03:07+00"},
    {"@every 1.5h", "UTC", "2026-01-01 00:00+00", "2026-01-01 01:30+00"},
    {"@every .5h", "UTC", "2026-01-01 00:00+00", "2026-01-01 00:30+00"},
    {"@every 1.h", "UTC", "2026-01-01 00:00+00", "2026-01-01 01:00+00"},
    {"@every 2d", "UTC", "2026-01-01 00:00+00", "2026-01-03 00:00+00"},
    {"@every 1h30m10s", "UTC", "2026-01-01 00:00+00", "2026-01-01 01:30:10+00"},
    {"@EVERY  1m ", "UTC", "2026-01-01 00:00+00", "2026-01-01 00:01+00"},
    {"@every 1999ms", "UTC", "2026-01-01 00:00+00", "2026-01-01 00:00:01+00"},
    {"@every 1.999999999s", "UTC", "2026-01-01 00:00+00", "2026-01-01 00:00:01+00"},
    {"@every 1.9999999999999999s", "UTC", "2026-01-01 00:00+00", "2026-01-01 00:00:01+00"},
    {"@every 1.000000000000000000000000000000000000000001s", "UTC", "2026-01-01 00:00+00", "2026-01-01 00:00:01+00"},
    {"@every 500ms", "UTC", "2026-01-01 00:00+00", "2026-01-01 00:00:01+00"},
    {"@every 1ns", "UTC", "2026-01-01 00:00+00", "2026-01-01 00:00:01+00"},
    {"@every 999us1ms999ms", "UTC", "2026-01-01 00:00+00", "2026-01-01 00:00:01+00"},
    {"@every 2000000us", "UTC", "2026-01-01 00:00+00", "2026-01-01 00:00:02+00"},
    {"@every 3000000000ns", "UTC", "2026-01-01 00:00+00", "2026-01-01 00:00:03+00"},
    {"@every 1m1h1m", "UTC", "2026-01-01 00:00+00", "2026-01-01 01:02+00"},
    {"@every 36500d", "UTC", "2000-01-01 00:00+00", "2099-12-07 00:00+00"},
    {"@every 24h", "America/New_York", "2026-03-07 12:00-05", "2026-03-08 13:00-04"},
    {"TZ=Asia/Tokyo @every 1h", "UTC", "2026-01-01 00:00+00", "2026-01-01 01:00+00"},
};

TEST(Cron, B36_B37_B40_Fields) { expect_slots(fields); }

TEST(Cron, B38_Words) { expect_slots(at_words); }

// The slot is after the instant, also when they differ by less than a second.
TEST(Cron, PartsOfASecond) {
    CronSpec spec;
    CronError error;
    CronZone utc = system_zone("UTC").zone();
    ASSERT_TRUE(parse_cron("* * * * * *", spec, error));
    EXPECT_EQ(cron_next(spec, 999999, utc), 1000000);
    EXPECT_EQ(cron_next(spec, 1000000, utc), 2000000);
    EXPECT_EQ(cron_next(spec, 1000001, utc), 2000000);
    EXPECT_EQ(cron_next(spec, -1, utc), 0);
    EXPECT_EQ(cron_next(spec, -1000000, utc), 0);
    EXPECT_EQ(cron_next(spec, -1000001, utc), -1000000);
    ASSERT_TRUE(parse_cron("@every 10s", spec, error));
    EXPECT_EQ(cron_next(spec, 1999999, utc), 11000000) << "from the second in which it began";
    EXPECT_EQ(cron_next(spec, -1, utc), 9000000);
}

TEST(Cron, EndsOfTime) {
    CronSpec spec;
    CronError error;
    CronZone utc = system_zone("UTC").zone();
    for (const char *text : {"* * * * *", "0 0 29 2 *", "0 0 30 2 *", "@every 36500d", "0 0 L * *"}) {
        ASSERT_TRUE(parse_cron(text, spec, error));
        for (int64_t t : {std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::min(),
                          std::numeric_limits<int64_t>::max() - 1, std::numeric_limits<int64_t>::min() + 1})
            EXPECT_EQ(cron_next(spec, t, utc), std::nullopt) << text;
        // About the years that a timestamp of the server can have.
        for (int64_t year : {-4713, -1, 0, 1, 294000}) {
            int64_t t = (year - 1970) * 31556952 * 1000000;
            std::optional<int64_t> slot = cron_next(spec, t, utc);
            ASSERT_EQ(slot.has_value(), std::string_view(text) != "0 0 30 2 *") << text << " in " << year;
            EXPECT_GT(slot.value_or(std::numeric_limits<int64_t>::max()), t);
        }
    }
    ASSERT_TRUE(parse_cron("@every 36500d", spec, error));
    EXPECT_EQ(cron_next(spec, std::numeric_limits<int64_t>::max() - int64_t{60} * 366 * 86400 * 1000000, utc),
              std::nullopt);
}

// ===== time zones =====

constexpr Next zones[] = {
    {"0 6 * * *", "Asia/Tokyo", "2026-01-01 00:00+09", "2026-01-01 06:00+09, 2026-01-02 06:00+09"},
    {"0 0 1 * *", "Pacific/Kiritimati", "2026-01-31 09:59+00", "2026-02-01 00:00+14"},
    {"0 0 * * mon", "Asia/Kathmandu", "2026-01-01 00:00+00", "2026-01-05 00:00+05:45"},
    {"0 12 * * *", "America/St_Johns", "2026-07-01 00:00+00", "2026-07-01 12:00-02:30"},
    // New York goes from 02:00 to 03:00 on 2026-03-08
    {"30 2 * * *", "America/New_York", "2026-03-07 00:00-05",
     "2026-03-07 02:30-05, 2026-03-08 03:00-04, 2026-03-09 02:30-04"},
    {"0 2 * * *", "America/New_York", "2026-03-07 12:00-05", "2026-03-08 03:00-04, 2026-03-09 02:00-04"},
    {"59 2 * * *", "America/New_York", "2026-03-07 12:00-05", "2026-03-08 03:00-04, 2026-03-09 02:59-04"},
    {"0 3 * * *", "America/New_York", "2026-03-07 12:00-05", "2026-03-08 03:00-04, 2026-03-09 03:00-04"},
    {"59 1 * * *", "America/New_York", "2026-03-07 12:00-05", "2026-03-08 01:59-05, 2026-03-09 01:59-04"},
    {"*/20 2 * * *", "America/New_York", "2026-03-07 12:00-05",
     "2026-03-08 03:00-04, 2026-03-09 02:00-04, 2026-03-09 02:20-04"},
    {"*/20 2,3 * * *", "America/New_York", "2026-03-07 12:00-05",
     "2026-03-08 03:00-04, 2026-03-08 03:20-04, 2026-03-08 03:40-04, 2026-03-09 02:00-04"},
    {"10 2,3 * * *", "America/New_York", "2026-03-07 12:00-05",
     "2026-03-08 03:00-04, 2026-03-08 03:10-04, 2026-03-09 02:10-04"},
    {"*/30 1-3 * * *", "America/New_York", "2026-03-08 00:00-05",
     "2026-03-08 01:00-05, 2026-03-08 01:30-05, 2026-03-08 03:00-04, 2026-03-08 03:30-04, 2026-03-09 01:00-04"},
    {"30 2 8 3 *", "America/New_York", "2026-01-01 00:00-05", "2026-03-08 03:00-04, 2027-03-08 02:30-05"},
    {"* 2 * * *", "America/New_York", "2026-03-08 00:00-05", "2026-03-08 03:00-04, 2026-03-09 02:00-04"},
    {"*/7 * 2 * * *", "America/New_York", "2026-03-08 00:00-05",
     "2026-03-08 03:00-04, 2026-03-09 02:00-04, 2026-03-09 02:00:07-04"},
    {"30 2 * * *", "America/New_York", "2026-03-08 03:00-04", "2026-03-09 02:30-04"},
    {"30 2 * * *", "America/New_York", "2026-03-08 01:59:59-05", "2026-03-08 03:00-04"},
    // every hour: as time goes, no slot for a time that is jumped over
    {"0 * * * *", "America/New_York", "2026-03-08 00:30-05",
     "2026-03-08 01:00-05, 2026-03-08 03:00-04, 2026-03-08 04:00-04"},
    {"30 * * * *", "America/New_York", "2026-03-08 00:30-05",
     "2026-03-08 01:30-05, 2026-03-08 03:30-04, 2026-03-08 04:30-04"},
    {"*/5 * * * *", "America/New_York", "2026-03-08 01:50-05",
     "2026-03-08 01:55-05, 2026-03-08 03:00-04, 2026-03-08 03:05-04"},
    // New York goes back from 02:00 to 01:00 on 2026-11-01
    {"30 1 * * *", "America/New_York", "2026-10-31 12:00-04", "2026-11-01 01:30-04, 2026-11-02 01:30-05"},
    {"30 1 * * *", "America/New_York", "2026-11-01 01:30-04", "2026-11-02 01:30-05"},
    {"30 1 * * *", "America/New_York", "2026-11-01 01:15-05", "2026-11-02 01:30-05"},
    {"0 1 * * *", "America/New_York", "2026-10-31 12:00-04", "2026-11-01 01:00-04, 2026-11-02 01:00-05"},
    {"0 2 * * *", "America/New_York", "2026-10-31 12:00-04", "2026-11-01 02:00-05, 2026-11-02 02:00-05"},
    {"0 2 * * *", "America/New_York", "2026-11-01 01:59:59-04", "2026-11-01 02:00-05"},
    {"*/30 1 * * *", "America/New_York", "2026-11-01 00:00-04",
     "2026-11-01 01:00-04, 2026-11-01 01:30-04, 2026-11-02 01:00-05"},
    {"*/30 0-2 * * *", "America/New_York", "2026-11-01 00:20-04",
     "2026-11-01 00:30-04, 2026-11-01 01:00-04, 2026-11-01 01:30-04, 2026-11-01 02:00-05, 2026-11-01 02:30-05, "
     "2026-11-02 00:00-05"},
    {"0-59 1 * * *", "America/New_York", "2026-11-01 01:58-04", "2026-11-01 01:59-04, 2026-11-02 01:00-05"},
    // every hour: each instant of the repeated hour
    {"0 * * * *", "America/New_York", "2026-11-01 00:30-04",
     "2026-11-01 01:00-04, 2026-11-01 01:00-05, 2026-11-01 02:00-05"},
    {"*/30 * * * *", "America/New_York", "2026-11-01 00:45-04",
     "2026-11-01 01:00-04, 2026-11-01 01:30-04, 2026-11-01 01:00-05, 2026-11-01 01:30-05, 2026-11-01 02:00-05"},
    {"*/30 */1 * * *", "America/New_York", "2026-11-01 01:15-04", "2026-11-01 01:30-04, 2026-11-01 01:00-05"},
    {"*/30 0-23 * * *", "America/New_York", "2026-11-01 01:45-04", "2026-11-01 01:00-05, 2026-11-01 01:30-05"},
    {"*/30 0-22 * * *", "America/New_York", "2026-11-01 01:15-04", "2026-11-01 01:30-04, 2026-11-01 02:00-05"},
    {"@hourly", "America/New_York", "2026-11-01 01:00-04", "2026-11-01 01:00-05, 2026-11-01 02:00-05"},
    {"59 * * * * *", "America/New_York", "2026-11-01 01:59-04", "2026-11-01 01:59:59-04, 2026-11-01 01:00:59-05"},
    // Berlin
    {"30 2 * * *", "Europe/Berlin", "2026-03-28 12:00+01", "2026-03-29 03:00+02, 2026-03-30 02:30+02"},
    {"30 2 * * *", "Europe/Berlin", "2026-10-24 12:00+02", "2026-10-25 02:30+02, 2026-10-26 02:30+01"},
    {"30 2 L 3 sun", "Europe/Berlin", "2026-03-23 12:00+01", "2026-03-29 03:00+02, 2026-03-31 02:30+02"},
    {"30 2 * 3 sunL", "Europe/Berlin", "2026-01-01 00:00+01", "2026-03-29 03:00+02, 2027-03-28 03:00+02"},
    // Sydney and Lord Howe, where half an hour is skipped and repeated
    {"30 2 * * *", "Australia/Sydney", "2026-10-03 12:00+10", "2026-10-04 03:00+11, 2026-10-05 02:30+11"},
    {"15 2 * * *", "Australia/Lord_Howe", "2026-10-03 12:00+10:30", "2026-10-04 02:30+11, 2026-10-05 02:15+11"},
    {"0,30 2 * * *", "Australia/Lord_Howe", "2026-10-03 12:00+10:30", "2026-10-04 02:30+11, 2026-10-05 02:00+11"},
    {"45 2 * * *", "Australia/Lord_Howe", "2026-10-03 12:00+10:30", "2026-10-04 02:45+11, 2026-10-05 02:45+11"},
    {"45 1 * * *", "Australia/Lord_Howe", "2026-04-04 12:00+11", "2026-04-05 01:45+11, 2026-04-06 01:45+10:30"},
    {"15 1 * * *", "Australia/Lord_Howe", "2026-04-04 12:00+11", "2026-04-05 01:15+11, 2026-04-06 01:15+10:30"},
    {"15,45 * * * *", "Australia/Lord_Howe", "2026-04-05 01:00+11",
     "2026-04-05 01:15+11, 2026-04-05 01:45+11, 2026-04-05 01:45+10:30, 2026-04-05 02:15+10:30"},
    {"15 * * * *", "Australia/Lord_Howe", "2026-10-04 01:00+10:30", "2026-10-04 01:15+10:30, 2026-10-04 03:15+11"},
    // a day that was skipped, and one that came twice
    {"0 12 * * *", "Pacific/Apia", "2011-12-28 20:00-10",
     "2011-12-29 12:00-10, 2011-12-31 00:00+14, 2011-12-31 12:00+14"},
    {"0 0 30 12 *", "Pacific/Apia", "2011-01-01 00:00-10", "2011-12-31 00:00+14, 2012-12-30 00:00+14"},
    {"0 0 30,31 12 *", "Pacific/Apia", "2011-01-01 00:00-10", "2011-12-31 00:00+14, 2012-12-30 00:00+14"},
    {"30 5 * * fri", "Pacific/Apia", "2011-12-25 00:00-10", "2011-12-31 00:00+14, 2012-01-06 05:30+14"},
    {"0 * 30 12 *", "Pacific/Apia", "2011-01-01 00:00-10", "2012-12-30 00:00+14"},
    {"0 0 * * *", "Pacific/Kwajalein", "1993-08-20 00:00-12", "1993-08-22 00:00+12, 1993-08-23 00:00+12"},
    // gaps at midnight
    {"0 0 * * *", "America/Sao_Paulo", "2017-10-13 12:00-03",
     "2017-10-14 00:00-03, 2017-10-15 01:00-02, 2017-10-16 00:00-02"},
    {"30 0 15 10 *", "America/Sao_Paulo", "2017-01-01 00:00-02", "2017-10-15 01:00-02, 2018-10-15 00:30-03"},
    {"0 0 * * *", "America/Sao_Paulo", "2018-02-16 12:00-02", "2018-02-17 00:00-02, 2018-02-18 00:00-03"},
    {"30 23 * * *", "America/Sao_Paulo", "2018-02-17 12:00-02", "2018-02-17 23:30-02, 2018-02-18 23:30-03"},
    {"30 23 17 2 *", "America/Sao_Paulo", "2018-01-01 00:00-02", "2018-02-17 23:30-02, 2019-02-17 23:30-03"},
    {"0 0 * * *", "Asia/Beirut", "2022-03-26 12:00+02", "2022-03-27 01:00+03, 2022-03-28 00:00+03"},
    {"0 0 * * sun", "Asia/Beirut", "2022-03-22 12:00+02", "2022-03-27 01:00+03, 2022-04-03 00:00+03"},
    {"* * 27 3 *", "Asia/Beirut", "2022-01-01 00:00+02", "2022-03-27 01:00+03, 2022-03-27 01:01+03"},
    {"@daily", "Africa/Cairo", "2023-04-27 12:00+02", "2023-04-28 01:00+03, 2023-04-29 00:00+03"},
    // offsets that change without summer time, and local mean times with seconds
    {"0 12 * * *", "Asia/Pyongyang", "2018-05-04 12:00+08:30", "2018-05-05 12:00+09"},
    {"45 23 4 5 *", "Asia/Pyongyang", "2018-01-01 12:00+08:30", "2018-05-05 00:00+09, 2019-05-04 23:45+09"},
    {"0 2 * * *", "America/Caracas", "2016-04-30 12:00-04:30", "2016-05-01 02:00-04:30, 2016-05-02 02:00-04"},
    {"45 2 * * *", "America/Caracas", "2016-04-30 12:00-04:30", "2016-05-01 03:00-04, 2016-05-02 02:45-04"},
    {"0 0 1 4 *", "Europe/Berlin", "1893-01-01 00:00+00", "1893-04-01 00:06:32+01, 1894-04-01 00:00+01"},
    {"30 1 * * *", "Africa/Casablanca", "2026-03-20 12:00+00",
     "2026-03-21 01:30+00, 2026-03-22 01:30+00, 2026-03-23 01:30+01"},
    {"30 2 * * *", "Africa/Casablanca", "2026-02-14 12:00+01", "2026-02-15 02:30+01, 2026-02-16 02:30+00"},
    // far from now
    {"30 2 * * *", "America/New_York", "2098-03-08 12:00-05", "2098-03-09 03:00-04, 2098-03-10 02:30-04"},
    {"0 0 29 2 *", "America/New_York", "2097-01-01 00:00-05", "2104-02-29 00:00-05"},
    {"* * 29 2 *", "America/New_York", "2097-01-01 00:00-05", "2104-02-29 00:00-05, 2104-02-29 00:01-05"},
};

TEST(Cron, B39_ZonesAndSummerTime) { expect_slots(zones); }

TEST(Cron, B39_PrefixNamesTheZone) {
    auto zone = [](const char *text) {
        CronSpec spec;
        CronError error;
        EXPECT_TRUE(parse_cron(text, spec, error)) << text << ": " << error.message;
        return std::string(spec.zone);
    };
    EXPECT_EQ(zone("0 6 * * *"), "");
    EXPECT_EQ(zone("CRON_TZ=Asia/Tokyo 0 6 * * *"), "Asia/Tokyo");
    EXPECT_EQ(zone("TZ=Asia/Tokyo 0 6 * * *"), "Asia/Tokyo");
    EXPECT_EQ(zone(" \tTZ=UTC\t \t@daily"), "UTC");
    EXPECT_EQ(zone("TZ=<+03>-3 @every 5m"), "<+03>-3");
    EXPECT_EQ(zone("TZ=Nowhere/At_All @daily"), "Nowhere/At_All") << "whether there is such a zone is not known here";
    EXPECT_EQ(zone("TZ=012345678901234567890123456789012345678901234567890123456789012 @daily").size(), 63u);
}

// A clock that was set back by a day, as in Alaska in 1867, and one that goes to and fro.
TEST(Cron, OddZones) {
    CronSpec spec;
    CronError error;
    const int64_t day = 86400, hour = 3600;
    auto slots = [&](const char *text, const TableZone &zone, int64_t after, int n) {
        EXPECT_TRUE(parse_cron(text, spec, error));
        std::vector<int64_t> found;
        for (int64_t t = after * 1000000; n > 0; n--) {
            t = cron_next(spec, t, zone.zone()).value_or(-1);
            found.push_back(t / 1000000);
        }
        return found;
    };
    using V = std::vector<int64_t>;
    TableZone back{{{std::numeric_limits<int64_t>::min(), 15 * hour}, {10 * day, -9 * hour}}};
    // Until day 10, 00:00 UTC, the clock shows up to day 10, 15:00; that comes again a day later.
    EXPECT_EQ(slots("0 12 * * *", back, 8 * day, 4),
              (V{8 * day + 21 * hour, 9 * day + 21 * hour, 11 * day + 21 * hour, 12 * day + 21 * hour}));
    EXPECT_EQ(slots("0 16 * * *", back, 9 * day + 2 * hour, 2), (V{11 * day + 1 * hour, 12 * day + 1 * hour}));
    EXPECT_EQ(slots("0 * 10 * *", back, 9 * day + 8 * hour, 3), (V{10 * day, 10 * day + hour, 10 * day + 2 * hour}))
        << "1970-01-10, which is day 9, from 15:00 on again";
    TableZone fro{{{std::numeric_limits<int64_t>::min(), 0},
                   {10 * day, 2 * hour},
                   {10 * day + hour, -2 * hour},
                   {10 * day + 2 * hour, 0}}};
    // The clock shows 00:00 as 02:00, 01:00 as -01:00 of the day before, and 02:00 as it is.
    EXPECT_EQ(slots("0 1 * * *", fro, 9 * day + 12 * hour, 2), (V{10 * day, 11 * day + hour}));
    EXPECT_EQ(slots("30 2 * * *", fro, 9 * day + 12 * hour, 2),
              (V{10 * day + hour / 2, 11 * day + 2 * hour + hour / 2}));
    EXPECT_EQ(slots("30 23 * * *", fro, 9 * day + 12 * hour, 2),
              (V{9 * day + 23 * hour + hour / 2, 11 * day - hour / 2}))
        << "not again when it is set back";
}

}  // namespace
