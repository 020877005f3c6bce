// progress: what a task says of how far it is, for the view worker.
#include "api/call.hpp"

#include "dispatch/progress.hpp"

using namespace pgqueue;
using namespace pgqueue::api;

PGQ_FUNCTION(pgqueue_progress) {
    not_null(fcinfo, 0, "done");
    double done = PG_GETARG_FLOAT8(0);
    double total = PG_ARGISNULL(1) ? 1 : PG_GETARG_FLOAT8(1);
    if (!(total > 0) || total == std::numeric_limits<double>::infinity()) ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("argument \"total\" must be more than 0"), errhint("It is what \"done\" is compared with."));
    if (done != done) ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("argument \"done\" must be a number"), errhint("Give how much of \"total\" is done."));
    double part = done / total;
    char *note = text_arg(fcinfo, 2);
    if (dispatch::loaded()) dispatch::tell_progress(part < 0 ? 0 : part > 1 ? 1 : part, note);
    PG_RETURN_VOID();
}
