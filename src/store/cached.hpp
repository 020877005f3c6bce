// Data read from our catalog tables that a process keeps. It is complete or absent: new data is read beside the present
// data and replaces it when complete. An error in between leaves the present data, and the next get() reads again.
#pragma once
#include "pg/guards.hpp"

namespace pgqueue::store {

template <typename T>
class Cached {
public:
    // Returns the data as of the last invalidation that this process has received. `read` fills a zeroed T in a memory
    // context of the data. Pointers into it stay valid until the transaction ends.
    T *get(const char *name, void (*read)(T *)) {
        if (!is_fresh()) load(name, read);
        return value_;
    }
    bool is_fresh() const { return value_ != nullptr && seen_ == invalidations_; }
    // Makes the next get() read the tables again.
    void forget() { invalidations_++; }
    MemoryContext context() const { return context_; }

private:
    void load(const char *name, void (*read)(T *)) {
        // Unfinished data ends with the transaction. So does the former data, which callers up the stack may still use.
        MemoryContext context = AllocSetContextCreateInternal(TopTransactionContext, name, ALLOCSET_DEFAULT_SIZES);
        pg::MemoryScope scope(context);
        AcceptInvalidationMessages();
        uint64 seen = invalidations_;
        T *fresh = static_cast<T *>(palloc0(sizeof(T)));
        read(fresh);
        if (context_ != nullptr) MemoryContextSetParent(context_, TopTransactionContext);
        MemoryContextSetParent(context, CacheMemoryContext);
        value_ = fresh;
        context_ = context;
        seen_ = seen;
    }

    T *value_ = nullptr;
    MemoryContext context_ = nullptr;
    uint64 seen_ = 0, invalidations_ = 1;
};

}  // namespace pgqueue::store
