// The last lines that came, each cut to a number of bytes, in fixed memory.
#pragma once
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
        l.bytes = line.size() < most_bytes ? line.size() : most_bytes;
        for (std::size_t i = 0; i < l.bytes; i++) l.text[i] = line[i];
        added++;
    }

    constexpr int size() const { return added < most ? static_cast<int>(added) : most; }
    // How many lines had to make room for later ones.
    constexpr std::int64_t forgotten() const { return added - size(); }
    // i: 0 the oldest that is there.
    constexpr std::string_view line(int i) const {
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
