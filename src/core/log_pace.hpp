// Decides how often a process logs a failure that repeats: the first one at once, then less and less often, with the
// number of failures since. Such lines must not fill the disk.
#pragma once
#include "core/moment.hpp"

#include <cstdint>

namespace pgqueue {

class Refusals {
public:
    // Returns whether this failure gets a line. *unsaid: the number of failures of this kind without a line since the
    // last one.
    constexpr bool is_news(std::uint64_t kind, const Moment &now, std::int64_t *unsaid) {
        Entry &e = entry_of(kind);
        if (!e.quiet_until.passed(now)) {
            e.unsaid++;
            return false;
        }
        bool lasting = e.wait != 0 && !e.quiet_until.after(e.wait).passed(now);
        e.wait = !lasting ? first_wait : e.wait < longest_wait / 2 ? e.wait * 2 : longest_wait;
        e.quiet_until = now.in(e.wait);
        *unsaid = e.unsaid;
        e.unsaid = 0;
        return true;
    }

private:
    static constexpr std::int64_t first_wait = 1000000, longest_wait = 60 * first_wait;

    struct Entry {
        std::uint64_t kind = 0;
        Deadline quiet_until;
        std::int64_t wait = 0;  // microseconds
        std::int64_t unsaid = 0;
    };
    Entry entries[16];

    // A new kind replaces the kind that has been quiet longest.
    constexpr Entry &entry_of(std::uint64_t kind) {
        Entry *oldest = entries;
        for (Entry &e : entries) {
            if (e.wait != 0 && e.kind == kind) return e;
            if (e.quiet_until < oldest->quiet_until) oldest = &e;
        }
        *oldest = Entry{kind, {}, 0, 0};
        return *oldest;
    }
};

}  // namespace pgqueue
