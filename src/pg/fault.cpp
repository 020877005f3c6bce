#include "pg/backend.hpp"

#ifdef PGQUEUE_TESTPOINTS

#include <signal.h>

namespace pgqueue::pg {
namespace {

enum class FaultKind : uint32 { Error, Cancel, Terminate };

// A fault that is to come: in a process of pgqueue of some type, or (below) in this session.
struct Armed {
    pg_atomic_uint32 process;  // its place in process_types + 1, 0: none is to come
    pg_atomic_uint32 kind;
    pg_atomic_uint32 at;
    pg_atomic_uint32 seen;     // points that processes of the type have come to
    pg_atomic_uint32 met;
};

constexpr const char *process_types[] = {"pgqueue launcher", "pgqueue scheduler", "pgqueue worker", "pgqueue housekeeper"};

constinit Armed *shared = nullptr;
constinit FaultKind own_kind = FaultKind::Error;
constinit int own_at = 0, own_seen = 0;
constinit bool own_met = false;

// 1 and so on, 0: not a process of pgqueue.
uint32 my_process() {
    static constinit int known = -1;
    if (known < 0) {
        known = 0;
        for (int i = 0; MyBgworkerEntry != nullptr && i < static_cast<int>(lengthof(process_types)); i++)
            if (strcmp(MyBgworkerEntry->bgw_type, process_types[i]) == 0) known = i + 1;
    }
    return static_cast<uint32>(known);
}

bool fits(FaultKind kind, FaultPoint point) {
    if (kind == FaultKind::Error) return point != FaultPoint::Interrupt;
    return (point == FaultPoint::Lock || point == FaultPoint::Interrupt) && InterruptHoldoffCount == 0 && CritSectionCount == 0;
}

// As it would be: by the signal that an administrator sends.
void fail(FaultKind kind) {
    if (kind == FaultKind::Error) ereport(ERROR, errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"), errdetail("This is a fault of a test."));
    (void)raise(kind == FaultKind::Cancel ? SIGINT : SIGTERM);
    PGQUEUE_CHECK_FOR_INTERRUPTS();
}

void shared_point(FaultPoint point) {
    auto kind = static_cast<FaultKind>(pg_atomic_read_u32(&shared->kind));
    if (!fits(kind, point) || pg_atomic_fetch_add_u32(&shared->seen, 1) + 1 != pg_atomic_read_u32(&shared->at)) return;
    pg_atomic_write_u32(&shared->process, 0);
    pg_atomic_write_u32(&shared->met, 1);
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

void fault_point(FaultPoint point) {
    if (own_at > 0 && fits(own_kind, point) && ++own_seen == own_at) {
        own_at = 0;
        own_met = true;
        fail(own_kind);
    }
    if (shared != nullptr && MyBgworkerEntry != nullptr && pg_atomic_read_u32(&shared->process) != 0 &&
        pg_atomic_read_u32(&shared->process) == my_process())
        shared_point(point);
}

}  // namespace pgqueue::pg

using namespace pgqueue::pg;

// pgqueue_test_fault(process text, kind text, at integer): the next fault. process: session, launcher, scheduler, worker, housekeeper; kind: error, cancel,
// terminate. at 0: none. A test declares it itself.
PGQ_FUNCTION(pgqueue_test_fault) {
    const char *process = psprintf("pgqueue %s", TextDatumGetCString(PG_GETARG_DATUM(0)));
    const char *word = TextDatumGetCString(PG_GETARG_DATUM(1));
    FaultKind kind = strcmp(word, "error") == 0 ? FaultKind::Error : strcmp(word, "cancel") == 0 ? FaultKind::Cancel : FaultKind::Terminate;
    int at = PG_GETARG_INT32(2);
    own_at = own_seen = 0;
    own_met = false;
    pg_atomic_write_u32(&shared->process, 0);
    pg_atomic_write_u32(&shared->seen, 0);
    pg_atomic_write_u32(&shared->met, 0);
    if (strcmp(process, "pgqueue session") == 0) {
        own_kind = kind;
        own_at = at;
        PG_RETURN_VOID();
    }
    pg_atomic_write_u32(&shared->kind, static_cast<uint32>(kind));
    pg_atomic_write_u32(&shared->at, static_cast<uint32>(at));
    pg_memory_barrier();
    for (uint32 i = 0; at > 0 && i < lengthof(process_types); i++)
        if (strcmp(process, process_types[i]) == 0) pg_atomic_write_u32(&shared->process, i + 1);
    PG_RETURN_VOID();
}

// pgqueue_test_fault_met(): ends the waiting for a fault; whether it has come.
PGQ_FUNCTION(pgqueue_test_fault_met) {
    bool met = own_met || pg_atomic_read_u32(&shared->met) != 0;
    own_at = 0;
    pg_atomic_write_u32(&shared->process, 0);
    PG_RETURN_BOOL(met);
}

#endif
