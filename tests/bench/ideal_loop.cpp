// The control of the SQL-task rows: what background workers can do at best on this machine. Each worker pops a shared
// counter, runs SELECT 1 through SPI, updates one row by tuple id and commits. No queue, no wake-up, no bookkeeping.
// A second mode is the control of the latency row: one worker sleeps on its latch and notes when its first line runs.
extern "C" {
#include "postgres.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/xact.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "postmaster/bgworker.h"
#include "storage/bufmgr.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

PG_MODULE_MAGIC;

void _PG_init(void);
PGDLLEXPORT void ideal_loop_main(Datum arg);
PGDLLEXPORT void ideal_wake_main(Datum arg);
PG_FUNCTION_INFO_V1(ideal_loop);
PG_FUNCTION_INFO_V1(ideal_wake);
}

namespace {

// One run at a time: the function that starts it fills this, its workers read it.
struct Shared
{
	Oid database;
	Oid role;
	Oid table;
	uint64 total;
	int32 group;                // tasks in one transaction, a subtransaction each when there are several
	pg_atomic_uint64 next;      // the counter that workers pop
	pg_atomic_uint32 ready;     // workers that wait for go
	pg_atomic_uint32 go;
	pg_atomic_uint32 done;
	pg_atomic_uint64 ran_at;    // latency mode: when the first line ran; 0 not yet
	Latch *volatile sleeper;    // latency mode: the latch of the worker
};

constinit Shared *shared = nullptr;
constinit shmem_request_hook_type previous_request = nullptr;
constinit shmem_startup_hook_type previous_startup = nullptr;

void request()
{
	if (previous_request)
		previous_request();
	RequestAddinShmemSpace(sizeof(Shared));
}

void startup()
{
	if (previous_startup)
		previous_startup();
	bool found;
	shared = static_cast<Shared *>(ShmemInitStruct("ideal_loop", sizeof(Shared), &found));
	if (!found)
	{
		pg_atomic_init_u64(&shared->next, 0);
		pg_atomic_init_u64(&shared->ran_at, 0);
		pg_atomic_init_u32(&shared->ready, 0);
		pg_atomic_init_u32(&shared->go, 0);
		pg_atomic_init_u32(&shared->done, 0);
		shared->sleeper = nullptr;
	}
}

// Starts a worker and fails if there is no slot.
void launch(const char *function)
{
	BackgroundWorker worker = {};
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker.bgw_name, "ideal loop", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "ideal loop", BGW_MAXLEN);
	strlcpy(worker.bgw_library_name, "ideal_loop", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, function, BGW_MAXLEN);
	if (!RegisterDynamicBackgroundWorker(&worker, nullptr))
		ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_RESOURCES), errmsg("no background worker slot is free"));
}

// Waits in short steps: nothing is measured meanwhile.
void wait_for(pg_atomic_uint32 *value, uint32 expected)
{
	while (pg_atomic_read_u32(value) < expected)
	{
		CHECK_FOR_INTERRUPTS();
		pg_usleep(200);
	}
}

void begin()
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
}

void commit()
{
	PopActiveSnapshot();
	CommitTransactionCommand();
}

void select_one()
{
	SPI_connect();
	if (SPI_execute("SELECT 1", false, 0) != SPI_OK_SELECT)
		elog(ERROR, "SELECT 1 failed");
	SPI_finish();
}

// The tuple ids of the rows, in an array that lives as long as the worker.
ItemPointerData *load_rows(uint64 *count)
{
	begin();
	Relation relation = table_open(shared->table, AccessShareLock);
	auto *rows = static_cast<ItemPointerData *>(
		MemoryContextAllocHuge(TopMemoryContext, shared->total * sizeof(ItemPointerData)));
	TableScanDesc scan = table_beginscan(relation, GetActiveSnapshot(), 0, nullptr);
	*count = 0;
	for (HeapTuple tuple; *count < shared->total && (tuple = heap_getnext(scan, ForwardScanDirection)) != nullptr;)
		rows[(*count)++] = tuple->t_self;
	table_endscan(scan);
	table_close(relation, AccessShareLock);
	commit();
	return rows;
}

// Writes status and time of the end into one row; there is no index, so nothing else is to do.
void finish_row(ItemPointerData tid)
{
	Relation relation = table_open(shared->table, RowExclusiveLock);
	HeapTupleData old = {};
	Buffer buffer;
	old.t_self = tid;
	if (!heap_fetch(relation, GetActiveSnapshot(), &old, &buffer, false))
		elog(ERROR, "the row is not there");
	int columns[] = {2, 3};
	Datum values[] = {Int32GetDatum(2), TimestampTzGetDatum(GetCurrentTimestamp())};
	bool nulls[] = {false, false};
	HeapTuple changed = heap_modify_tuple_by_cols(&old, RelationGetDescr(relation), 2, columns, values, nulls);
#if PG_VERSION_NUM >= 160000
	TU_UpdateIndexes indexes;
	simple_heap_update(relation, &tid, changed, &indexes);
#else
	simple_heap_update(relation, &tid, changed);
#endif
	heap_freetuple(changed);
	ReleaseBuffer(buffer);
	table_close(relation, NoLock);
}

// Runs up to `count` tasks from number `first` on in one transaction.
void run_tasks(const ItemPointerData *rows, uint64 first, uint64 count)
{
	begin();
	for (uint64 i = 0; i < count; i++)
	{
		if (shared->group == 1)
			select_one();
		else
		{
			BeginInternalSubTransaction(nullptr);
			select_one();
			ReleaseCurrentSubTransaction();
		}
	}
	for (uint64 i = 0; i < count; i++)
		finish_row(rows[first + i]);
	commit();
}

}  // namespace

void _PG_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	previous_request = shmem_request_hook;
	shmem_request_hook = request;
	previous_startup = shmem_startup_hook;
	shmem_startup_hook = startup;
}

// The worker of the throughput rows.
void ideal_loop_main(Datum)
{
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(shared->database, shared->role, 0);
	uint64 count;
	ItemPointerData *rows = load_rows(&count);
	pg_atomic_fetch_add_u32(&shared->ready, 1);
	wait_for(&shared->go, 1);
	for (;;)
	{
		uint64 first = pg_atomic_fetch_add_u64(&shared->next, shared->group);
		if (first >= count)
			break;
		run_tasks(rows, first, Min(static_cast<uint64>(shared->group), count - first));
	}
	pg_atomic_fetch_add_u32(&shared->done, 1);
	proc_exit(0);
}

// The worker of the latency row: as soon as its latch is set it runs a statement and notes the time at its first line.
void ideal_wake_main(Datum)
{
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(shared->database, shared->role, 0);
	shared->sleeper = MyLatch;
	pg_atomic_fetch_add_u32(&shared->ready, 1);
	while (pg_atomic_read_u32(&shared->go) == 0)
	{
		WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH, 0, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		begin();
		SPI_connect();
		SPI_execute("SELECT clock_timestamp()", false, 0);
		bool null;
		Datum at = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null);
		pg_atomic_write_u64(&shared->ran_at, static_cast<uint64>(DatumGetTimestampTz(at)));
		SPI_finish();
		commit();
	}
	proc_exit(0);
}

// ideal_loop(workers integer, task_table regclass, group_size integer, tasks bigint) returns the seconds that it took.
Datum ideal_loop(PG_FUNCTION_ARGS)
{
	uint32 workers = PG_GETARG_INT32(0);
	if (!shared)
		ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("ideal_loop is not preloaded"));
	shared->database = MyDatabaseId;
	shared->role = GetUserId();
	shared->table = PG_GETARG_OID(1);
	shared->group = PG_GETARG_INT32(2);
	shared->total = PG_GETARG_INT64(3);
	pg_atomic_write_u64(&shared->next, 0);
	pg_atomic_write_u32(&shared->ready, 0);
	pg_atomic_write_u32(&shared->go, 0);
	pg_atomic_write_u32(&shared->done, 0);
	for (uint32 i = 0; i < workers; i++)
		launch("ideal_loop_main");
	wait_for(&shared->ready, workers);
	TimestampTz began = GetCurrentTimestamp();
	pg_atomic_write_u32(&shared->go, 1);
	wait_for(&shared->done, workers);
	PG_RETURN_FLOAT8((GetCurrentTimestamp() - began) / 1e6);
}

// ideal_wake(rounds integer, pause_ms integer) returns setof double precision:
// milliseconds from SetLatch to the first line.
Datum ideal_wake(PG_FUNCTION_ARGS)
{
	int rounds = PG_GETARG_INT32(0);
	int pause_ms = PG_GETARG_INT32(1);
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	ReturnSetInfo *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
	shared->database = MyDatabaseId;
	shared->role = GetUserId();
	pg_atomic_write_u32(&shared->ready, 0);
	pg_atomic_write_u32(&shared->go, 0);
	launch("ideal_wake_main");
	wait_for(&shared->ready, 1);
	for (int i = 0; i < rounds; i++)
	{
		pg_usleep(pause_ms * 1000L);
		pg_atomic_write_u64(&shared->ran_at, 0);
		TimestampTz began = GetCurrentTimestamp();
		SetLatch(shared->sleeper);
		uint64 ran_at;
		while ((ran_at = pg_atomic_read_u64(&shared->ran_at)) == 0)
		{
			CHECK_FOR_INTERRUPTS();
			pg_usleep(20);
		}
		Datum value = Float8GetDatum((static_cast<TimestampTz>(ran_at) - began) / 1000.0);
		bool null = false;
		tuplestore_putvalues(result->setResult, result->setDesc, &value, &null);
	}
	pg_atomic_write_u32(&shared->go, 1);
	SetLatch(shared->sleeper);
	return Datum(0);
}
