#include "pg/atomic.hpp"

#ifdef PGQUEUE_TESTPOINTS

#include <signal.h>

namespace pgqueue::pg {
namespace {

enum class FaultKind : uint32 { Error, Cancel, Terminate };

// A fault to come, in a process of pgqueue of some type, or (below) in this session.
struct Armed {
    AtomicSlot process;  // its place in process_types; none: no fault is to come
    Atomic<FaultKind> kind;
    Atomic<int> at;
    Atomic<int> seen;  // points that processes of the type have reached
    Atomic<bool> met;
    Atomic<bool> spin;     // sessions wait at spin points
    Atomic<int> spinning;  // so many do
};

constexpr const char *process_types[] = {"pgqueue launcher", "pgqueue scheduler", "pgqueue worker",
                                         "pgqueue housekeeper", "pgqueue notifier"};

constinit Armed *shared = nullptr;
constinit FaultKind own_kind = FaultKind::Error;
constinit int own_at = 0, own_seen = 0;
constinit bool own_met = false;

// -1: not a process of pgqueue.
int my_process() {
    constexpr int unknown = -2;
    static constinit int known = unknown;
    if (known == unknown) {
        known = -1;
        for (int i = 0; MyBgworkerEntry != nullptr && i < static_cast<int>(lengthof(process_types)); i++)
            if (strcmp(MyBgworkerEntry->bgw_type, process_types[i]) == 0) known = i;
    }
    return known;
}

bool fits(FaultKind kind, FaultPoint point) {
    if (kind == FaultKind::Error) return point != FaultPoint::Interrupt;
    return (point == FaultPoint::Lock || point == FaultPoint::Interrupt) && InterruptHoldoffCount == 0 &&
           CritSectionCount == 0;
}

// Fails as in production: by the signal that an administrator sends.
void fail(FaultKind kind) {
    if (kind == FaultKind::Error)
        ereport(ERROR, errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"),
                errdetail("This is a fault of a test."));
    (void)raise(kind == FaultKind::Cancel ? SIGINT : SIGTERM);
    PGQUEUE_CHECK_FOR_INTERRUPTS();
}

void shared_point(FaultPoint point) {
    auto kind = shared->kind.load();
    if (!fits(kind, point) || shared->seen.fetch_add(1) + 1 != shared->at.load()) return;
    shared->process.store(-1);
    shared->met.store(true);
    fail(kind);
}

}  // namespace

Size fault_bytes() { return MAXALIGN(sizeof(Armed)); }

void attach_faults() {
    bool found;
    LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
    shared = static_cast<Armed *>(ShmemInitStruct("pgqueue faults", fault_bytes(), &found));
    if (!found) memset(static_cast<void *>(shared), 0, sizeof(Armed));
    LWLockRelease(AddinShmemInitLock);
}

void spin_point() {
    if (shared == nullptr || MyBackendType != B_BACKEND || !shared->spin.load()) return;
    shared->spinning.fetch_add(1);
    while (shared->spin.load()) pg_usleep(1000);
    shared->spinning.fetch_sub(1);
}

void fault_point(FaultPoint point) {
    if (own_at > 0 && fits(own_kind, point) && ++own_seen == own_at) {
        own_at = 0;
        own_met = true;
        fail(own_kind);
    }
    if (shared == nullptr || MyBgworkerEntry == nullptr) return;
    if (shared->process.load() >= 0 && shared->process.load() == my_process()) shared_point(point);
}

}  // namespace pgqueue::pg

using namespace pgqueue::pg;

// pgqueue_test_fault(process text, kind text, at integer): the next fault. process: session, launcher, scheduler,
// worker, housekeeper; kind: error, cancel, terminate. at 0: none. A test declares it itself.
PGQ_FUNCTION(pgqueue_test_fault) {
    const char *process = psprintf("pgqueue %s", TextDatumGetCString(PG_GETARG_DATUM(0)));
    const char *word = TextDatumGetCString(PG_GETARG_DATUM(1));
    FaultKind kind = strcmp(word, "error") == 0    ? FaultKind::Error
                     : strcmp(word, "cancel") == 0 ? FaultKind::Cancel
                                                   : FaultKind::Terminate;
    int at = PG_GETARG_INT32(2);
    own_at = own_seen = 0;
    own_met = false;
    shared->process.store(-1);
    shared->seen.store(0);
    shared->met.store(false);
    if (strcmp(process, "pgqueue session") == 0) {
        own_kind = kind;
        own_at = at;
        PG_RETURN_VOID();
    }
    shared->kind.store(kind);
    shared->at.store(at);
    pg_memory_barrier();
    for (int i = 0; at > 0 && i < static_cast<int>(lengthof(process_types)); i++)
        if (strcmp(process, process_types[i]) == 0) shared->process.store(i);
    PG_RETURN_VOID();
}

// pgqueue_test_spin(boolean): whether sessions wait at spin points. Returns how many do.
PGQ_FUNCTION(pgqueue_test_spin) {
    shared->spin.store(PG_GETARG_BOOL(0));
    PG_RETURN_INT32(shared->spinning.load());
}

// pgqueue_test_fault_met(): stops waiting for a fault, and returns whether it has come.
PGQ_FUNCTION(pgqueue_test_fault_met) {
    bool met = own_met || shared->met.load();
    own_at = 0;
    shared->process.store(-1);
    PG_RETURN_BOOL(met);
}

#endif
