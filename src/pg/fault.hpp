// Faults of test builds. Every allocation, table, catalog look-up, row lock and interrupt point of pgqueue is counted,
// and the n-th one fails as it might in production: out of memory, a cancelled query, a terminated process. Other
// builds have none of this. backend.hpp includes this header last, because it defines macros over functions.
#pragma once

#ifdef PGQUEUE_TESTPOINTS

namespace pgqueue::pg {

// What may fail at a point. Memory and Look: with an error. Lock: the same, or the process is cancelled or terminated
// while it waits. Interrupt: only the latter.
enum class FaultPoint { Memory, Look, Lock, Interrupt };
// Counts a point, and fails there if its turn has come.
void fault_point(FaultPoint point);

// Keeps a session while a test wants it, where no lock can be waited for: in the callbacks of a commit.
void spin_point();
#define PGQUEUE_SPINPOINT() ::pgqueue::pg::spin_point()

// The size of the shared memory for faults in the processes of pgqueue, and its attachment. Called from the shmem
// hooks.
Size fault_bytes();
void attach_faults();

}  // namespace pgqueue::pg

#define PGQUEUE_FAULT(kind, call) (::pgqueue::pg::fault_point(::pgqueue::pg::FaultPoint::kind), call)

#define palloc(...) PGQUEUE_FAULT(Memory, palloc(__VA_ARGS__))
#define palloc0(...) PGQUEUE_FAULT(Memory, palloc0(__VA_ARGS__))
#define repalloc(...) PGQUEUE_FAULT(Memory, repalloc(__VA_ARGS__))
#define repalloc_huge(...) PGQUEUE_FAULT(Memory, repalloc_huge(__VA_ARGS__))
#define pstrdup(...) PGQUEUE_FAULT(Memory, pstrdup(__VA_ARGS__))
#define psprintf(...) PGQUEUE_FAULT(Memory, psprintf(__VA_ARGS__))
#define MemoryContextAlloc(...) PGQUEUE_FAULT(Memory, MemoryContextAlloc(__VA_ARGS__))
#define MemoryContextAllocZero(...) PGQUEUE_FAULT(Memory, MemoryContextAllocZero(__VA_ARGS__))
#define MemoryContextAllocHuge(...) PGQUEUE_FAULT(Memory, MemoryContextAllocHuge(__VA_ARGS__))
#define MemoryContextStrdup(...) PGQUEUE_FAULT(Memory, MemoryContextStrdup(__VA_ARGS__))
#define AllocSetContextCreateInternal(...) PGQUEUE_FAULT(Memory, AllocSetContextCreateInternal(__VA_ARGS__))
#define hash_create(...) PGQUEUE_FAULT(Memory, hash_create(__VA_ARGS__))
#define lappend(...) PGQUEUE_FAULT(Memory, lappend(__VA_ARGS__))
#define cstring_to_text(...) PGQUEUE_FAULT(Memory, cstring_to_text(__VA_ARGS__))
#define cstring_to_text_with_len(...) PGQUEUE_FAULT(Memory, cstring_to_text_with_len(__VA_ARGS__))
#define text_to_cstring(...) PGQUEUE_FAULT(Memory, text_to_cstring(__VA_ARGS__))
#define heap_form_tuple(...) PGQUEUE_FAULT(Memory, heap_form_tuple(__VA_ARGS__))
#define heap_copytuple(...) PGQUEUE_FAULT(Memory, heap_copytuple(__VA_ARGS__))
#define datumCopy(...) PGQUEUE_FAULT(Memory, datumCopy(__VA_ARGS__))
#define construct_array(...) PGQUEUE_FAULT(Memory, construct_array(__VA_ARGS__))
#define tuplestore_putvalues(...) PGQUEUE_FAULT(Memory, tuplestore_putvalues(__VA_ARGS__))
#define RegisterSnapshot(...) PGQUEUE_FAULT(Memory, RegisterSnapshot(__VA_ARGS__))

#define SearchSysCache1(...) PGQUEUE_FAULT(Look, SearchSysCache1(__VA_ARGS__))
#define SearchSysCacheExists(...) PGQUEUE_FAULT(Look, SearchSysCacheExists(__VA_ARGS__))
#define systable_beginscan(...) PGQUEUE_FAULT(Look, systable_beginscan(__VA_ARGS__))
#define table_beginscan(...) PGQUEUE_FAULT(Look, table_beginscan(__VA_ARGS__))
#define get_namespace_oid(...) PGQUEUE_FAULT(Look, get_namespace_oid(__VA_ARGS__))
#define get_relname_relid(...) PGQUEUE_FAULT(Look, get_relname_relid(__VA_ARGS__))
#define get_role_oid(...) PGQUEUE_FAULT(Look, get_role_oid(__VA_ARGS__))
#define get_extension_oid(...) PGQUEUE_FAULT(Look, get_extension_oid(__VA_ARGS__))
#define get_database_name(...) PGQUEUE_FAULT(Look, get_database_name(__VA_ARGS__))
#define GetUserNameFromId(...) PGQUEUE_FAULT(Look, GetUserNameFromId(__VA_ARGS__))
#define has_privs_of_role(...) PGQUEUE_FAULT(Look, has_privs_of_role(__VA_ARGS__))
#define superuser_arg(...) PGQUEUE_FAULT(Look, superuser_arg(__VA_ARGS__))
#define ReadBuffer(...) PGQUEUE_FAULT(Look, ReadBuffer(__VA_ARGS__))
#define ReadBufferExtended(...) PGQUEUE_FAULT(Look, ReadBufferExtended(__VA_ARGS__))
#define ConditionalLockRelationOid(...) PGQUEUE_FAULT(Look, ConditionalLockRelationOid(__VA_ARGS__))

#define table_open(...) PGQUEUE_FAULT(Lock, table_open(__VA_ARGS__))
#define relation_open(...) PGQUEUE_FAULT(Lock, relation_open(__VA_ARGS__))
#define index_open(...) PGQUEUE_FAULT(Lock, index_open(__VA_ARGS__))
#define LockRelationOid(...) PGQUEUE_FAULT(Lock, LockRelationOid(__VA_ARGS__))
#define LockAcquire(...) PGQUEUE_FAULT(Lock, LockAcquire(__VA_ARGS__))
#define heap_lock_tuple(...) PGQUEUE_FAULT(Lock, heap_lock_tuple(__VA_ARGS__))
#define heap_insert(...) PGQUEUE_FAULT(Lock, heap_insert(__VA_ARGS__))
#define heap_multi_insert(...) PGQUEUE_FAULT(Lock, heap_multi_insert(__VA_ARGS__))
#define heap_delete(...) PGQUEUE_FAULT(Lock, heap_delete(__VA_ARGS__))
#define SPI_execute(...) PGQUEUE_FAULT(Lock, SPI_execute(__VA_ARGS__))
#define SPI_execute_with_args(...) PGQUEUE_FAULT(Lock, SPI_execute_with_args(__VA_ARGS__))
#define SPI_execute_plan(...) PGQUEUE_FAULT(Lock, SPI_execute_plan(__VA_ARGS__))
#define SPI_prepare(...) PGQUEUE_FAULT(Lock, SPI_prepare(__VA_ARGS__))
#define CommitTransactionCommand() PGQUEUE_FAULT(Lock, CommitTransactionCommand())

// The server's own check: a fault only makes its condition true.
#define PGQUEUE_CHECK_FOR_INTERRUPTS()                           \
    do {                                                         \
        if (INTERRUPTS_PENDING_CONDITION()) ProcessInterrupts(); \
    } while (0)
#undef CHECK_FOR_INTERRUPTS
#define CHECK_FOR_INTERRUPTS()                                            \
    do {                                                                  \
        ::pgqueue::pg::fault_point(::pgqueue::pg::FaultPoint::Interrupt); \
        PGQUEUE_CHECK_FOR_INTERRUPTS();                                   \
    } while (0)

#else

#define PGQUEUE_SPINPOINT() static_cast<void>(0)

#endif
