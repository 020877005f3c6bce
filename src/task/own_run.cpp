#include "task/own_run.hpp"

#include "pg/guards.hpp"
#include "store/queues.hpp"
#include "store/rows_find.hpp"
#include "task/requested_end.hpp"

namespace pgqueue::task {

// A requested end. It is discarded with the subtransaction in which it was made.
struct Wish {
    SubTransactionId sub;  // invalid: of a transaction that the run has committed
    Ending ending;
    Wish *next;
};

namespace {

constinit OwnRun *innermost = nullptr;

void drop_wishes(SubTransactionId sub) {
    for (OwnRun *run = innermost; run != nullptr; run = run->outer)
        while (run->wishes != nullptr && run->wishes->sub == sub) run->wishes = run->wishes->next;
}

void hand_up(SubTransactionId sub, SubTransactionId parent) {
    for (OwnRun *run = innermost; run != nullptr; run = run->outer)
        for (Wish *w = run->wishes; w != nullptr && w->sub == sub; w = w->next) w->sub = parent;
}

void on_subxact(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *) {
    if (event == SUBXACT_EVENT_ABORT_SUB) drop_wishes(mine);
    if (event == SUBXACT_EVENT_COMMIT_SUB) hand_up(mine, parent);
}

// A command that commits by itself continues, with its requests.
void on_xact(XactEvent event, void *) {
    if (event == XACT_EVENT_ABORT) drop_wishes(TopSubTransactionId);
    if (event == XACT_EVENT_COMMIT) hand_up(TopSubTransactionId, InvalidSubTransactionId);
}

}  // namespace

void begin_run(OwnRun *run) {
    run->outer = innermost;
    innermost = run;
}

void end_run(OwnRun *run) { innermost = run->outer; }

OwnRun *own_run() { return innermost; }

bool runs_here(int64 id) {
    for (const OwnRun *run = innermost; run != nullptr; run = run->outer)
        if (run->id == id) return true;
    return false;
}

Status ask(OwnRun *run, const Ending &ending) {
    // Computes the new status from a copy of the row.
    store::TaskRow row;
    End end{};
    if (!store::find(run->id, false, &row))
        ereport(ERROR, errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("task " INT64_FORMAT " does not exist", run->id));
    apply(ending, store::queue_by_id(row.queue_id), &row, &end, GetCurrentTimestamp());
    pg::MemoryScope scope(run->memory);
    auto *wish = static_cast<Wish *>(palloc(sizeof(Wish)));
    *wish = {GetCurrentSubTransactionId(), ending, run->wishes};
    if (ending.text != nullptr) wish->ending.text = pstrdup(ending.text);
    if (ending.result != nullptr)
        wish->ending.result = DatumGetJsonbP(datumCopy(JsonbPGetDatum(ending.result), false, -1));
    run->wishes = wish;
    return end.status;
}

void decide(OwnRun *run) {
    if (run->wishes == nullptr) return;
    run->decided = run->wishes->ending;
    if (run->decided.what == Ending::What::Failed)
        ereport(ERROR, errcode(ERRCODE_RAISE_EXCEPTION), errmsg_internal("%s", text_of(run->decided)));
}

void register_run_callbacks() {
    RegisterXactCallback(on_xact, nullptr);
    RegisterSubXactCallback(on_subxact, nullptr);
}

}  // namespace pgqueue::task
