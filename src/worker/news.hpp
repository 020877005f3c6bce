// What listeners of queues are notified of: ready tasks for outside workers, and tasks that have failed for good. The
// scheduler sends it, or the notifier while others make NOTIFY slow.
#pragma once
#include "memory/shared.hpp"

namespace pgqueue::worker {

struct QueueNews {
    memory::SlotNo queue;
    bool ready, failures;
};

// The news of a transaction that has not committed. Its process gives it back if the transaction fails.
struct News {
    QueueNews *queues = nullptr;  // room for all queues
    int count = 0;
};

// Allocates the room in `context`.
News room_for_news(MemoryContext context);
// Returns whether queues of the database have news that somebody may want. Takes no lock.
bool has_news(memory::SlotNo db);
// Takes the news of the queues of the database, and sends one NOTIFY of each kind for each queue when this transaction
// commits. The commit waits for those of other transactions with NOTIFY. Raises errors of NOTIFY.
void send_news(memory::SlotNo db, News *news);
// Returns to the queues what was not sent, so that it is sent again.
void give_back_news(memory::SlotNo db, News *news);

}  // namespace pgqueue::worker
