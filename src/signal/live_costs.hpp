// What a running task has cost so far, as its worker tells others.
#pragma once
#include "core/costs.hpp"
#include "memory/shared.hpp"

namespace pgqueue::signal {

// For the worker. show_costs may be called in a signal handler.
void clear_costs(WorkerSlot *w);
void show_costs(WorkerSlot *w, const Costs &costs);
// Returns what the running task of a slot has cost; its costs are not `known` before it has run for a second.
Costs shown_costs(const WorkerSlot &w);

}  // namespace pgqueue::signal
