#include "pg/error.hpp"

namespace pgqueue::pg {
namespace {

const char *copy_text(MemoryContext keep, const char *text) { return text ? MemoryContextStrdup(keep, text) : nullptr; }

// Copies the current error into `keep` and clears it.
ErrorReport take_error(MemoryContext keep) {
    MemoryContextSwitchTo(keep);
    ErrorData *e = CopyErrorData();
    FlushErrorState();
    ErrorReport r;
    r.sqlstate = e->sqlerrcode;
    r.message = copy_text(keep, e->message ? e->message : "missing error text");
    r.detail = copy_text(keep, e->detail);
    r.hint = copy_text(keep, e->hint);
    r.context = copy_text(keep, e->context);
    r.raised_by = copy_text(keep, e->funcname);
    FreeErrorData(e);
    return r;
}

}  // namespace

__attribute__((noinline)) Outcome run_then_abort_on_error_raw(Call fn, void *arg, MemoryContext keep) {
    Outcome out;
    Outcome *const result = &out;
    PG_TRY();
    { fn(arg); }
    PG_CATCH();
    {
        // The client must not see the error. The log has it already, or does not want it.
        HOLD_INTERRUPTS();
        result->ok = false;
        result->error = take_error(keep);
        AbortOutOfAnyTransaction();
        RESUME_INTERRUPTS();
    }
    PG_END_TRY();
    MemoryContextSwitchTo(keep);
    return out;
}

namespace {
struct Wrapped {
    Call fn;
    void *arg;
};
}  // namespace

Outcome run_in_transaction_raw(Call fn, void *arg, MemoryContext keep) {
    Wrapped w{fn, arg};
    return run_then_abort_on_error_raw(
        [](void *p) {
            auto *inner = static_cast<Wrapped *>(p);
            StartTransactionCommand();
            inner->fn(inner->arg);
            CommitTransactionCommand();
        },
        &w, keep);
}

__attribute__((noinline)) Outcome run_in_subtransaction_raw(Call fn, void *arg, MemoryContext keep) {
    Outcome out;
    Outcome *const result = &out;
    ResourceOwner const owner = CurrentResourceOwner;
    MemoryContext const caller = CurrentMemoryContext;
    BeginInternalSubTransaction(nullptr);
    MemoryContextSwitchTo(caller);
    PG_TRY();
    {
        fn(arg);
        ReleaseCurrentSubTransaction();
    }
    PG_CATCH();
    {
        result->ok = false;
        result->error = take_error(keep);
        RollbackAndReleaseCurrentSubTransaction();
    }
    PG_END_TRY();
    MemoryContextSwitchTo(caller);
    CurrentResourceOwner = owner;
    return out;
}

__attribute__((noinline)) void hide_context_raw(Call fn, void *arg) {
    ErrorContextCallback *const outer = error_context_stack;
    MemoryContext const caller = CurrentMemoryContext;
    // So the error collects the inner context alone, and the outer one when it is raised again.
    error_context_stack = nullptr;
    PG_TRY();
    { fn(arg); }
    PG_CATCH();
    {
        error_context_stack = outer;
        MemoryContextSwitchTo(caller);
        ErrorData *e = CopyErrorData();
        FlushErrorState();
        if (ERRCODE_TO_CATEGORY(e->sqlerrcode) != ERRCODE_INTERNAL_ERROR) {
            e->context = nullptr;
            e->internalquery = nullptr;
            e->internalpos = 0;
        }
        ThrowErrorData(e);
    }
    PG_END_TRY();
    error_context_stack = outer;
}

__attribute__((noinline)) void with_cleanup_raw(Call fn, void *arg, Call cleanup, void *cleanup_arg) {
    PG_TRY();
    { fn(arg); }
    PG_CATCH();
    {
        cleanup(cleanup_arg);
        PG_RE_THROW();
    }
    PG_END_TRY();
    cleanup(cleanup_arg);
}

}  // namespace pgqueue::pg
