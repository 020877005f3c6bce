// RapidJSON's reader of events, with memory of the current context. The library reads, and never builds a tree.
#pragma once
#include "pg/backend.hpp"

#define RAPIDJSON_ASSERT(condition) Assert(condition)
// Readers are always given their allocator.
#define RAPIDJSON_NEW(type) nullptr
#define RAPIDJSON_DELETE(pointer) ((void)(pointer))
#include <rapidjson/reader.h>
#include <rapidjson/error/en.h>

namespace pgqueue::pg {

// What the server's allocator looks like to RapidJSON. An error may skip the reader's destructor: the context frees
// what it had.
struct JsonMemory {
    static constexpr bool kNeedFree = true;
    void *Malloc(size_t size) { return size == 0 ? nullptr : palloc(size); }
    void *Realloc(void *old, size_t, size_t size) {
        if (old == nullptr) return Malloc(size);
        if (size > 0) return repalloc(old, size);
        pfree(old);
        return nullptr;
    }
    static void Free(void *p) {
        if (p != nullptr) pfree(p);
    }
};

using JsonReader = rapidjson::GenericReader<rapidjson::UTF8<>, rapidjson::UTF8<>, JsonMemory>;

}  // namespace pgqueue::pg
