// Builds flat jsonb objects, and reads their members.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::pg {

// An object that is being built, in the current memory context.
class JsonbObject {
public:
    JsonbObject() { pushJsonbValue(&state, WJB_BEGIN_OBJECT, nullptr); }
    // Adds a member. A text of nullptr is left out. The text must live until finish().
    void add(const char *key, const char *text) {
        if (text == nullptr) return;
        add(std::string_view(key), std::string_view(text));
    }
    void add(std::string_view key, std::string_view text) {
        push(WJB_KEY, key);
        push(WJB_VALUE, text);
    }
    void add(const char *key, int64 number) {
        push(WJB_KEY, key);
        JsonbValue v;
        v.type = jbvNumeric;
        v.val.numeric = int64_to_numeric(number);
        pushJsonbValue(&state, WJB_VALUE, &v);
    }
    Jsonb *finish() { return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, nullptr)); }

private:
    void push(JsonbIteratorToken token, std::string_view text) {
        JsonbValue v;
        v.type = jbvString;
        v.val.string.val = const_cast<char *>(text.data());
        v.val.string.len = static_cast<int>(text.size());
        pushJsonbValue(&state, token, &v);
    }
    JsonbParseState *state = nullptr;
};

// Returns a copy of a text member of an object; nullptr: there is none.
inline char *text_member(const Jsonb *object, const char *key) {
    JsonbValue v;
    auto *root = const_cast<JsonbContainer *>(&object->root);
    if (!JsonContainerIsObject(root) ||
        getKeyJsonValueFromContainer(root, key, static_cast<int>(strlen(key)), &v) == nullptr || v.type != jbvString)
        return nullptr;
    return pnstrdup(v.val.string.val, static_cast<Size>(v.val.string.len));
}

}  // namespace pgqueue::pg
