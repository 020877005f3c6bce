// A reading of our catalog tables that a process keeps. It is whole or absent: a new one is made beside the present one
// and takes its place when it is complete. An error in the middle leaves the present one, which is read again at the
// next question.
#pragma once
#include "pg/guards.hpp"

namespace pgqueue::store {

template <typename T>
class Cached {
public:
    // The reading as of the last invalidation that this process has taken in; `read` fills a zeroed T in its own memory
    // context. Pointers into it stay valid until the transaction ends.
    T *get(const char *name, void (*read)(T *)) {
        if (!is_fresh()) load(name, read);
        return value_;
    }
    bool is_fresh() const { return value_ != nullptr && seen_ == invalidations_; }
    // The next question reads the tables again.
    void forget() { invalidations_++; }
    MemoryContext context() const { return context_; }

private:
    void load(const char *name, void (*read)(T *)) {
        // What is unfinished goes with the transaction, and so does the old one, at which callers up the stack may
        // still look.
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
