// The closed list of scope guards. Each one's resource is also owned by the backend, so a longjmp over the destructor is harmless.
// Stack only, never copied or moved, never a member.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::pg {

struct StackOnly {
    StackOnly() = default;
    StackOnly(const StackOnly &) = delete;
    StackOnly &operator=(const StackOnly &) = delete;
    static void *operator new(std::size_t) = delete;
};

// Switches to a memory context and back.
class MemoryScope : StackOnly {
  public:
    explicit MemoryScope(MemoryContext context) : previous_(MemoryContextSwitchTo(context)) {}
    ~MemoryScope() { MemoryContextSwitchTo(previous_); }

  private:
    MemoryContext previous_;
};

// A child of the current memory context for the length of a scope.
class TempContext : StackOnly {
  public:
    TempContext() : context_(AllocSetContextCreate(CurrentMemoryContext, "pgqueue scratch", ALLOCSET_DEFAULT_SIZES)), previous_(MemoryContextSwitchTo(context_)) {}
    ~TempContext() {
        MemoryContextSwitchTo(previous_);
        MemoryContextDelete(context_);
    }

  private:
    MemoryContext context_;
    MemoryContext previous_;
};

// An SPI connection; results must be copied out before the scope ends.
class SpiSession : StackOnly {
  public:
    SpiSession() { SPI_connect(); }
    ~SpiSession() { SPI_finish(); }
};

// A fresh active snapshot.
class ActiveSnapshot : StackOnly {
  public:
    ActiveSnapshot() { PushActiveSnapshot(GetTransactionSnapshot()); }
    explicit ActiveSnapshot(Snapshot snapshot) { PushActiveSnapshot(snapshot); }
    ~ActiveSnapshot() { PopActiveSnapshot(); }
};

// A snapshot for toasted values, which may only be followed or deleted under one; none when there are none, or one is active.
class ToastSnapshot : StackOnly {
  public:
    explicit ToastSnapshot(bool toasted) : pushed_(toasted && !ActiveSnapshotSet()) {
        if (pushed_) PushActiveSnapshot(GetTransactionSnapshot());
    }
    ~ToastSnapshot() {
        if (pushed_) PopActiveSnapshot();
    }

  private:
    bool pushed_;
};

// An open relation; the lock stays until the transaction ends.
class RelationRef : StackOnly {
  public:
    RelationRef(Oid oid, LOCKMODE mode) : rel_(table_open(oid, mode)) {}
    ~RelationRef() { table_close(rel_, NoLock); }
    operator Relation() const { return rel_; }
    Relation operator->() const { return rel_; }

  private:
    Relation rel_;
};

// A lightweight lock. Sections are tiny and cannot raise.
class LwLockGuard : StackOnly {
  public:
    explicit LwLockGuard(LWLock *lock, LWLockMode mode = LW_EXCLUSIVE) : lock_(lock) { LWLockAcquire(lock, mode); }
    ~LwLockGuard() { LWLockRelease(lock_); }

  private:
    LWLock *lock_;
};

// A line of error context while the scope lasts; the callback only formats.
class ErrorContext : StackOnly {
  public:
    ErrorContext(void (*callback)(void *), void *arg) : entry_{error_context_stack, callback, arg} { error_context_stack = &entry_; }
    ~ErrorContext() { error_context_stack = entry_.previous; }

  private:
    ErrorContextCallback entry_;
};

}  // namespace pgqueue::pg
