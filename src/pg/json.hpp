// The event reader of RapidJSON, with memory from the current context. It only reads, and never builds a tree.
#pragma once
#include "pg/backend.hpp"

#define RAPIDJSON_ASSERT(condition) Assert(condition)
// Readers always get their allocator from us.
#define RAPIDJSON_NEW(type) nullptr
#define RAPIDJSON_DELETE(pointer) ((void)(pointer))
#include <rapidjson/reader.h>
#include <rapidjson/error/en.h>

namespace pgqueue::pg {

// Gives RapidJSON the server's allocator. An error may skip the reader's destructor; the memory context then frees its
// memory.
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
