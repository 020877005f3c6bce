// The functions that manage namespaces, queues, tickers and handlers.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::api {

// Calls the function of the same name in pgqueue_internal as the extension's owner. It passes the caller's arguments by
// name. An argument of a row type is built from the arguments with the names of its columns.
Datum manage(FunctionCallInfo fcinfo);

}  // namespace pgqueue::api
