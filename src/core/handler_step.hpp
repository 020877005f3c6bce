// The functions that run typed tasks: their phases, and one of them with the role as which it runs.
#pragma once
#include <array>
#include <cstdint>
#include <string_view>

namespace pgqueue {

// handle does a task, before and after run around it. failed runs when a task has failed for good.
enum class Phase { Handle, Before, After, Failed };
constexpr std::array<std::string_view, 4> phase_words{"handle", "before", "after", "failed"};

// Returns whether the word is a phase, and sets *phase.
constexpr bool read_phase(std::string_view word, Phase *phase) {
    for (std::size_t i = 0; i < phase_words.size(); i++) {
        if (phase_words[i] != word) continue;
        *phase = static_cast<Phase>(i);
        return true;
    }
    return false;
}

struct HandlerStep {
    const char *function;  // schema-qualified, quoted where needed
    std::uint32_t role;    // oid
    std::uint32_t owner;   // oid of the role that the function belonged to when it was registered
    Phase phase = Phase::Handle;
    bool entitled = false;  // its role may still register handlers in the namespace
};

}  // namespace pgqueue
