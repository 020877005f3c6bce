// Finds the name that was probably meant by a wrong one, for hints. The caller must be allowed to see the considered
// names.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::api {

// A wrong name, and the nearest name found so far.
struct Nearest {
    const char *wanted;
    const char *name;  // nullptr: none is near
    int distance;
};
// Begins a search for the name nearest to `wanted`.
inline Nearest nearest_to(const char *wanted) { return {wanted, nullptr, 0}; }
// Keeps the name if it is nearer than those before. At most three letters, and less than half of the wanted name, may
// differ.
void consider(Nearest *nearest, const char *name);
// Returns "Perhaps you meant queue "mails".", or nullptr if no name is near. kind: "queue" here, may be empty.
const char *perhaps(const Nearest &nearest, const char *kind);

}  // namespace pgqueue::api
