#include "pg/testpoint.hpp"

#include "pg/error.hpp"

#ifdef PGQUEUE_TESTPOINTS
namespace pgqueue::pg {

// Acquires the advisory lock (classid 0x7071, objid hash of the name) in share mode, however long that takes, and
// releases it. A waiting process shows in pg_locks as not granted. Afterwards it sees what others have committed
// meanwhile, as after a wait for a table.
void wait_at_testpoint(const char *name) {
    LOCKTAG tag;
    SET_LOCKTAG_ADVISORY(
        tag, MyDatabaseId, 0x7071,
        DatumGetUInt32(hash_any(reinterpret_cast<const unsigned char *>(name), static_cast<int>(strlen(name)))), 2);
    bool outside = !IsTransactionState();
    if (outside) StartTransactionCommand();
    const int lock_timeout = std::exchange(LockTimeout, 0);
    with_cleanup([&] { (void)LockAcquire(&tag, ShareLock, false, false); }, [&] { LockTimeout = lock_timeout; });
    LockRelease(&tag, ShareLock, false);
    AcceptInvalidationMessages();
    if (outside) CommitTransactionCommand();
}

}  // namespace pgqueue::pg
#endif
