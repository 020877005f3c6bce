// progress: records how far a task is, for the view worker.
#include "api/call.hpp"

#include "signal/progress.hpp"

using namespace pgqueue;
using namespace pgqueue::api;

PGQ_FUNCTION(pgqueue_progress) {
    not_null(fcinfo, 0, "done");
    constexpr double most = std::numeric_limits<double>::max();
    double done = PG_GETARG_FLOAT8(0);
    double total = PG_ARGISNULL(1) ? 1 : PG_GETARG_FLOAT8(1);
    if (!(total > 0 && total <= most))
        out_of_range("total", psprintf("%g", total), "It must be more than 0, and finite.");
    if (!(done >= 0 && done <= most)) out_of_range("done", psprintf("%g", done), "It must be 0 or more, and finite.");
    double part = done / total;
    char *note = text_arg(fcinfo, 2);
    if (memory::loaded()) signal::tell_progress(part > 1 ? 1 : part, note);
    PG_RETURN_VOID();
}
