// The functions that manage namespaces, queues, tickers and handlers.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::api {

// Runs the function of the same name in pgqueue_internal as the extension's owner. Its arguments are those of the
// caller by their names; an argument of a row type is a row of those that are named like its columns.
Datum manage(FunctionCallInfo fcinfo);

}  // namespace pgqueue::api
