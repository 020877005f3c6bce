// The last lines that came, each cut to a number of bytes, in fixed memory.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pgqueue {

template <int most, std::size_t most_bytes>
class LastLines {
public:
    constexpr void clear() { added = 0; }

    // The caller cuts a longer line where a character ends; else it is cut anywhere.
    constexpr void add(std::string_view line) {
        Line &l = lines[static_cast<std::size_t>(added % most)];
        l.bytes = std::min(line.size(), most_bytes);
        std::copy_n(line.data(), l.bytes, l.text);
        added++;
    }

    constexpr int size() const { return static_cast<int>(std::min<std::int64_t>(added, most)); }
    // How many lines had to make room for later ones.
    constexpr std::int64_t forgotten() const { return added - size(); }
    // i: 0 the oldest that is there.
    constexpr std::string_view at(int i) const {
        const Line &l = lines[static_cast<std::size_t>((forgotten() + i) % most)];
        return {l.text, l.bytes};
    }

private:
    struct Line {
        std::size_t bytes;
        char text[most_bytes];
    };
    std::array<Line, most> lines{};
    std::int64_t added = 0;
};

}  // namespace pgqueue
