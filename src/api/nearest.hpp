// The name that a wrong one was probably meant to be, for hints. The caller must be allowed to see the names that he
// considers.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::api {

struct Nearest {
    const char *wanted;
    const char *name;  // nullptr: none is near
    int distance;
};
inline Nearest nearest_to(const char *wanted) { return {wanted, nullptr, 0}; }
// Keeps the name when it is nearer than those before: at most three letters and less than half of the wanted name are
// different.
void consider(Nearest *nearest, const char *name);
// "Perhaps you meant queue "mails".", or nullptr; kind may be empty.
const char *perhaps(const Nearest &nearest, const char *kind);

}  // namespace pgqueue::api
