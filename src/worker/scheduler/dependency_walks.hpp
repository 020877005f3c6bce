// Walks over all rows of a namespace about tasks that wait for others: one for each table. Each dropped queue requests
// them, and users may drop queues without end. So reading and looking take at most a quarter of the time (T4). Each
// table has its own, so that one with few rows is not late for another one with many.
#pragma once
#include "pg/clock.hpp"
#include "store/dependencies.hpp"

namespace pgqueue::worker::scheduler {

class Walks {
public:
    // Requests walks over all tables. A walk that has begun is followed by another one.
    void request();
    // Returns when the next walk may go on; never: none is requested.
    pg::Deadline next() const;
    // Chooses the walk that goes on now, in turns. Returns false if none does.
    bool choose(const pg::Moment &now);
    // Reads the next ids of the chosen walk, into the scratch memory. Returns false if they could not be read.
    bool read(int32 namespace_id, const pg::Moment &now, store::Ids *ids);
    // Adds to the time that the chosen walk has taken, and ends the walk after its last row. The time is that of
    // reading and looking, not that of what had to be done about the tasks that it has found.
    void spend(int64 micros);
    // Returns how many walks of this process are requested.
    static int requested();

private:
    struct Walk {
        bool on, over;  // over: the last row was read
        bool again;     // requested since it began: another one follows
        int64 after;
        int64 spent;
        pg::Deadline next;  // not before: after the last one, or after a failure
    };
    Walk walks[store::involved_kinds];
    int chosen;
};

}  // namespace pgqueue::worker::scheduler
