// Parses cron texts.
#include "core/cron.hpp"
#include "core/names.hpp"

#include <span>
#include <stdarg.h>
#include <stdio.h>

namespace pgqueue::core {

namespace {

struct Field {
    const char *name;
    int least;
    int most;
    std::span<const std::string_view> words;  // of three letters, for least and up
    const char *allowed;
};

constexpr std::string_view month_words[] = {"jan", "feb", "mar", "apr", "may", "jun",
                                            "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::string_view weekday_words[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
enum FieldNo { f_second, f_minute, f_hour, f_day, f_month, f_weekday, field_count };
constexpr Field fields[field_count] = {
    {"second", 0, 59, {}, "Allowed are 0 to 59, *, lists (1,2), ranges (1-5) and steps (*/10, 5/10, 1-9/2)."},
    {"minute", 0, 59, {}, "Allowed are 0 to 59, *, lists (1,2), ranges (1-5) and steps (*/10, 5/10, 1-9/2)."},
    {"hour", 0, 23, {}, "Allowed are 0 to 23, *, lists (1,2), ranges (1-5) and steps (*/10, 5/10, 1-9/2)."},
    {"day of month",
     1,
     31,
     {},
     "Allowed are 1 to 31, *, lists, ranges, steps, L (last day), L-1 to L-30, 1W to 31W (nearest workday) and LW."},
    {"month", 1, 12, month_words, "Allowed are 1 to 12, jan to dec, *, lists (1,2), ranges (jan-mar) and steps (*/3)."},
    {"day of week", 0, 6, weekday_words,
     "Allowed are 0 (Sunday) to 6, sun to sat, *, lists, ranges, steps, 5L (last Friday) and 5#1 to 5#5 (n-th "
     "Friday)."},
};
constexpr const char *zone_hint = "Write TZ=zone or CRON_TZ=zone, a blank, and then the fields or an @ word.";
constexpr const char *every_hint =
    "Write @every and a duration of at least 1s: numbers with the units d, h, m, s, ms, us or ns, as in 1h30m.";
constexpr const char *text_hint =
    "Write minute, hour, day of month, month and day of week, before them second if wanted; or an @ word such as "
    "@daily.";
constexpr const char *word_hint =
    "The words are @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly and @every with a duration.";

constexpr std::pair<std::string_view, std::string_view> words[] = {
    {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"}, {"@weekly", "0 0 * * 0"},
    {"@daily", "0 0 * * *"},  {"@midnight", "0 0 * * *"}, {"@hourly", "0 * * * *"},
};

constexpr bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_letter(char c) { return lower(c) >= 'a' && lower(c) <= 'z'; }

bool same_word(std::string_view a, std::string_view lower_case) {
    if (a.size() != lower_case.size()) return false;
    for (std::size_t i = 0; i < a.size(); i++)
        if (lower(a[i]) != lower_case[i]) return false;
    return true;
}

// Returns a part of the text for a message: short, and plain ASCII in every encoding.
struct Shown {
    char text[28];
    explicit Shown(std::string_view piece) {
        std::size_t n = 0;
        for (; n < piece.size() && n < 24; n++) text[n] = piece[n] >= ' ' && piece[n] <= '~' ? piece[n] : '?';
        for (int dots = n < piece.size() ? 3 : 0; dots > 0; dots--) text[n++] = '.';
        text[n] = '\0';
    }
};

// Reads a text from `at_` up to `end_`.
class Reader {
public:
    Reader(std::string_view text, CronSpec &spec, CronError &error)
        : text_(text), end_(text.size()), spec_(spec), error_(error) {}
    bool read();

private:
    bool more() const { return at_ < end_; }
    bool next_is(char c) const { return more() && text_[at_] == c; }
    bool next_is_letter(char c) const { return more() && lower(text_[at_]) == c; }
    bool take(char c) {
        if (!next_is(c)) return false;
        at_++;
        return true;
    }
    bool take_letter(char c) {
        if (!next_is_letter(c)) return false;
        at_++;
        return true;
    }
    void skip_blanks() {
        while (more() && is_blank(text_[at_])) at_++;
    }
    std::string_view piece(std::size_t from, std::size_t to) const { return {text_.data() + from, to - from}; }
    // From `from` to the next blank.
    std::size_t word_end(std::size_t from) const {
        while (from < end_ && !is_blank(text_[from])) from++;
        return from;
    }
    Shown rest(std::size_t from) const;
    __attribute__((format(printf, 5, 6))) bool fail(std::size_t at, const char *field, const char *hint,
                                                    const char *format, ...);

    bool zone();
    bool word();
    bool duration();
    bool duration_part(std::int64_t &total_ns);
    bool all_fields();
    bool field(FieldNo no);
    bool element(FieldNo no);
    bool special_day();
    bool special_weekday(int weekday);
    bool range_end(FieldNo no, int first, std::size_t begin, int &last);
    bool number(const Field &f, int &value);
    bool value(const Field &f, int &value);
    bool end_of_element(const Field &f);
    void add(FieldNo no, int n);

    std::string_view text_;
    std::size_t at_ = 0;
    std::size_t end_;
    CronSpec &spec_;
    CronError &error_;
};

bool Reader::fail(std::size_t at, const char *field, const char *hint, const char *format, ...) {
    error_.position = static_cast<int>(at);
    error_.field = field;
    error_.hint = hint;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(error_.message, sizeof error_.message, format, arguments);
    va_end(arguments);
    return false;
}

// Returns the text from `from` up to a comma or the end of the field.
Shown Reader::rest(std::size_t from) const {
    std::size_t to = from;
    while (to < end_ && text_[to] != ',' && !is_blank(text_[to])) to++;
    return Shown(piece(from, to));
}

// Reads digits. A number of more than nine digits is always too large.
bool Reader::number(const Field &f, int &value) {
    std::size_t begin = at_;
    value = 0;
    while (more() && is_digit(text_[at_])) {
        if (at_ - begin < 9) value = value * 10 + (text_[at_] - '0');
        at_++;
    }
    if (at_ == begin) {
        if (!more() || text_[at_] == ',') return fail(at_, f.name, f.allowed, "A number is missing here.");
        return fail(at_, f.name, f.allowed, "\"%s\" is not a number.", rest(at_).text);
    }
    if (at_ - begin > 9)
        return fail(begin, f.name, f.allowed, "The number %s is too large.", Shown(piece(begin, at_)).text);
    return true;
}

// A number or a word of the field.
bool Reader::value(const Field &f, int &value) {
    std::size_t begin = at_;
    if (more() && is_letter(text_[at_])) {
        std::string_view word = piece(at_, at_ + 3 < end_ ? at_ + 3 : end_);
        for (std::size_t i = 0; i < f.words.size(); i++)
            if (same_word(word, f.words[i])) {
                at_ += 3;
                value = f.least + static_cast<int>(i);
                return true;
            }
        return fail(begin, f.name, f.allowed, "\"%s\" is unknown here.", rest(begin).text);
    }
    if (!number(f, value)) return false;
    if (value < f.least) return fail(begin, f.name, f.allowed, "%d is below %d.", value, f.least);
    if (value > f.most) return fail(begin, f.name, f.allowed, "%d is above %d.", value, f.most);
    return true;
}

bool Reader::end_of_element(const Field &f) {
    return !more() || next_is(',') || fail(at_, f.name, f.allowed, "\"%s\" does not belong here.", rest(at_).text);
}

void Reader::add(FieldNo no, int n) {
    switch (no) {
        case f_second: spec_.seconds |= std::uint64_t{1} << n; break;
        case f_minute: spec_.minutes |= std::uint64_t{1} << n; break;
        case f_hour: spec_.hours |= std::uint32_t{1} << n; break;
        case f_day: spec_.days |= std::uint32_t{1} << n; break;
        case f_month: spec_.months = static_cast<std::uint16_t>(spec_.months | 1u << n); break;
        case f_weekday: spec_.weekdays = static_cast<std::uint8_t>(spec_.weekdays | 1u << n); break;
        case field_count: break;
    }
}

// After an L in day of month: nothing, W or a number of days before the last.
bool Reader::special_day() {
    const Field &f = fields[f_day];
    if (take_letter('w')) {
        spec_.last_workday = true;
    } else if (take('-')) {
        std::size_t begin = at_;
        int n;
        if (!number(f, n)) return false;
        if (n < 1 || n > 30) return fail(begin, f.name, f.allowed, "No month has a day %d before its last one.", n);
        spec_.days_before_last |= std::uint32_t{1} << n;
    } else {
        spec_.days_before_last |= 1;
    }
    return end_of_element(f);
}

// After a weekday: L or #.
bool Reader::special_weekday(int weekday) {
    const Field &f = fields[f_weekday];
    if (take_letter('l')) {
        spec_.last_weekdays = static_cast<std::uint8_t>(spec_.last_weekdays | 1u << weekday);
        return end_of_element(f);
    }
    at_++;
    std::size_t begin = at_;
    int n;
    if (!number(f, n)) return false;
    if (n < 1 || n > 5) return fail(begin, f.name, f.allowed, "No month has a weekday number %d.", n);
    std::uint8_t &mask = spec_.nth_weekdays[static_cast<std::size_t>(n - 1)];
    mask = static_cast<std::uint8_t>(mask | 1u << weekday);
    return end_of_element(f);
}

bool Reader::range_end(FieldNo no, int first, std::size_t begin, int &last) {
    const Field &f = fields[no];
    if (!value(f, last)) return false;
    return last >= first ||
           fail(begin, f.name, f.allowed, "The range %s runs backwards.", Shown(piece(begin, at_)).text);
}

bool Reader::element(FieldNo no) {
    const Field &f = fields[no];
    std::size_t begin = at_;
    if (!more() || next_is(',')) return fail(at_, f.name, f.allowed, "An element of the list is missing.");
    if (no == f_day && take_letter('l')) return special_day();
    int first = f.least, last = f.most, step = 1;
    bool any = take('*') || take('?');
    if (!any) {
        if (!value(f, first)) return false;
        if (no == f_weekday && (next_is_letter('l') || next_is('#'))) return special_weekday(first);
        if (no == f_day && take_letter('w')) {
            spec_.nearest_weekdays |= std::uint32_t{1} << first;
            return end_of_element(f);
        }
        if (take('-')) {
            if (!range_end(no, first, begin, last)) return false;
        } else if (!next_is('/')) {
            last = first;
        }
    }
    if (take('/')) {
        std::size_t at = at_;
        if (!number(f, step)) return false;
        if (step == 0) return fail(at, f.name, f.allowed, "A step must be at least 1.");
    }
    if (!end_of_element(f)) return false;
    for (int n = first; n <= last; n += step) add(no, n);
    if (any && step == 1 && no == f_day) spec_.any_day = true;
    if (any && step == 1 && no == f_weekday) spec_.any_weekday = true;
    return true;
}

// A list of elements from at_ to the next blank.
bool Reader::field(FieldNo no) {
    std::size_t end = end_;
    end_ = word_end(at_);
    do {
        if (!element(no)) return false;
    } while (take(','));
    end_ = end;
    return true;
}

bool Reader::all_fields() {
    int count = 0;
    std::size_t extra = end_;
    for (std::size_t i = at_; i < end_; count++) {
        if (count == field_count) extra = i;
        i = word_end(i);
        while (i < end_ && is_blank(text_[i])) i++;
    }
    if (count == 0) return fail(at_, "", text_hint, "There are no fields.");
    if (count < field_count - 1 || count > field_count)
        return fail(extra, "", text_hint, "It has %d field%s instead of 5 or 6.", count, count == 1 ? "" : "s");
    if (count < field_count) spec_.seconds = 1;
    for (int no = count == field_count ? f_second : f_minute; no < field_count; no++) {
        if (!field(static_cast<FieldNo>(no))) return false;
        skip_blanks();
    }
    return true;
}

// A number with a unit, as in 1.5h.
bool Reader::duration_part(std::int64_t &total_ns) {
    using Wide = __int128;
    constexpr std::pair<std::string_view, std::int64_t> units[] = {
        {"ns", 1},          {"us", 1000},         {"ms", 1000000},       {"s", 1000000000},
        {"m", 60000000000}, {"h", 3600000000000}, {"d", 86400000000000},
    };
    constexpr std::int64_t longest = 36500 * 86400000000000;
    std::size_t begin = at_;
    std::int64_t amount = 0, scale = 1;
    bool point = false, any = false, large = false;
    for (; more() && (is_digit(text_[at_]) || (text_[at_] == '.' && !point)); at_++) {
        if (text_[at_] == '.') {
            point = true;
            continue;
        }
        any = true;
        if (point && scale >= 1000000000) continue;
        if (amount > longest)
            large = true;
        else
            amount = amount * 10 + (text_[at_] - '0');
        if (point) scale *= 10;
    }
    if (!any)
        return fail(begin, "duration", every_hint, "\"%s\" is not a duration.",
                    Shown(piece(begin, word_end(begin))).text);
    std::size_t unit_begin = at_;
    while (more() && is_letter(text_[at_])) at_++;
    if (at_ == unit_begin) return fail(at_, "duration", every_hint, "A unit is missing.");
    for (auto [unit, ns] : units)
        if (unit == piece(unit_begin, at_)) {
            Wide total = total_ns + Wide{amount} * ns / scale;
            if (large || total > longest)
                return fail(begin, "duration", every_hint, "The duration is longer than 100 years.");
            total_ns = static_cast<std::int64_t>(total);
            return true;
        }
    return fail(unit_begin, "duration", every_hint, "\"%s\" is not a unit.", Shown(piece(unit_begin, at_)).text);
}

// Rounds less than a second up to one, and cuts off fractions of a second.
bool Reader::duration() {
    constexpr std::int64_t second_ns = 1000000000;
    std::size_t begin = at_;
    if (!more()) return fail(at_, "duration", every_hint, "The duration is missing.");
    std::int64_t ns = 0;
    while (more() && !is_blank(text_[at_]))
        if (!duration_part(ns)) return false;
    if (more()) {
        skip_blanks();
        return fail(at_, "duration", every_hint, "\"%s\" does not belong here.", Shown(piece(at_, word_end(at_))).text);
    }
    if (ns == 0) return fail(begin, "duration", every_hint, "The duration is zero.");
    spec_.every = true;
    spec_.every_us = (ns < second_ns ? 1 : ns / second_ns) * 1000000;
    return true;
}

bool Reader::word() {
    std::size_t begin = at_;
    at_ = word_end(at_);
    std::string_view name = piece(begin, at_);
    skip_blanks();
    if (same_word(name, "@every")) return duration();
    for (auto [word, meaning] : words)
        if (same_word(name, word)) {
            if (more()) return fail(at_, "@ word", word_hint, "Nothing may follow %s.", word.data());
            return Reader(meaning, spec_, error_).all_fields();
        }
    return fail(begin, "@ word", word_hint, "\"%s\" is unknown.", Shown(name).text);
}

// Reads the prefix that names a time zone, if there is one.
bool Reader::zone() {
    for (std::string_view prefix : {std::string_view("CRON_TZ="), std::string_view("TZ=")}) {
        if (end_ - at_ < prefix.size() || piece(at_, at_ + prefix.size()) != prefix) continue;
        at_ += prefix.size();
        std::size_t begin = at_;
        at_ = word_end(at_);
        std::size_t length = at_ - begin;
        if (length == 0) return fail(begin, "time zone", zone_hint, "The name of the time zone is missing.");
        if (length >= cron_zone_limit)
            return fail(begin, "time zone", zone_hint, "The name of the time zone is longer than %d bytes.",
                        static_cast<int>(cron_zone_limit - 1));
        for (std::size_t i = 0; i < length; i++) spec_.zone[i] = text_[begin + i];
        skip_blanks();
        return more() || fail(end_, "time zone", zone_hint, "Nothing follows the time zone.");
    }
    return true;
}

bool Reader::read() {
    while (end_ > 0 && is_blank(text_[end_ - 1])) end_--;
    skip_blanks();
    if (!zone()) return false;
    return next_is('@') ? word() : all_fields();
}

}  // namespace

bool parse_cron(std::string_view text, CronSpec &spec, CronError &error) {
    spec = {};
    return Reader(text, spec, error).read();
}

}  // namespace pgqueue::core
