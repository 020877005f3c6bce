// Measures what a run costs: CPU time, WAL and blocks of this process.
#pragma once
#include "core/costs.hpp"
#include "pg/backend.hpp"

namespace pgqueue::executor {

// Set the mark, and return what this process has used since.
void mark_costs();
Costs costs_since_mark();

}  // namespace pgqueue::executor
