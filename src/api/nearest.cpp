#include "api/nearest.hpp"

namespace pgqueue::api {

void consider(Nearest *nearest, const char *name) {
    constexpr int furthest = 3, longest = 255;
    const int length = static_cast<int>(strlen(nearest->wanted)), other = static_cast<int>(strlen(name));
    const int limit = Min(nearest->name == nullptr ? furthest : nearest->distance - 1, (length - 1) / 2);
    if (limit < 0 || length > longest || other > longest) return;
    if (strcmp(nearest->wanted, name) == 0) return;  // it has gone since it was looked for, or has come
    const int distance = varstr_levenshtein_less_equal(nearest->wanted, length, name, other, 1, 1, 1, limit, true);
    if (distance > limit) return;
    nearest->name = name;
    nearest->distance = distance;
}

const char *perhaps(const Nearest &nearest, const char *kind) {
    if (nearest.name == nullptr) return nullptr;
    return psprintf("Perhaps you meant %s%s\"%s\".", kind, *kind != '\0' ? " " : "", nearest.name);
}

PGQ_FUNCTION(pgqueue_internal_perhaps) {
    if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2)) PG_RETURN_NULL();
    Datum *names;
    bool *nulls;
    int n;
    deconstruct_array(PG_GETARG_ARRAYTYPE_P(2), TEXTOID, -1, false, TYPALIGN_INT, &names, &nulls, &n);
    Nearest nearest = nearest_to(text_to_cstring(PG_GETARG_TEXT_PP(1)));
    for (int i = 0; i < n; i++)
        if (!nulls[i]) consider(&nearest, TextDatumGetCString(names[i]));
    const char *hint = perhaps(nearest, text_to_cstring(PG_GETARG_TEXT_PP(0)));
    if (hint == nullptr) PG_RETURN_NULL();
    PG_RETURN_TEXT_P(cstring_to_text(hint));
}

}  // namespace pgqueue::api
