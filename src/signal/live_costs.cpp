#include "signal/live_costs.hpp"

namespace pgqueue::signal {

void clear_costs(WorkerSlot *w) { w->costs.known.store(false); }

void show_costs(WorkerSlot *w, const Costs &costs) {
    LiveCosts &live = w->costs;
    live.cpu_us.store(costs.cpu_us);
    live.wal_bytes.store(costs.wal_bytes);
    live.blocks_hit.store(costs.blocks_hit);
    live.blocks_read.store(costs.blocks_read);
    live.blocks_dirtied.store(costs.blocks_dirtied);
    live.temp_bytes.store(costs.temp_bytes);
    live.known.store(true);
}

Costs shown_costs(const WorkerSlot &w) {
    const LiveCosts &live = w.costs;
    return {live.known.load(),       live.cpu_us.load(),         live.wal_bytes.load(), live.blocks_hit.load(),
            live.blocks_read.load(), live.blocks_dirtied.load(), live.temp_bytes.load()};
}

}  // namespace pgqueue::signal
