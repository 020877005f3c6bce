// What the tasks of a call of create_task or create_tasks wait for.
#pragma once
#include "api/call.hpp"
#include "store/catalog.hpp"
#include "task/dependencies.hpp"

namespace pgqueue::api {

// Determines what the tasks of the call wait for, and sets the parts of their rows that record it. Raises 42704 for
// tasks that do not exist in the namespace, 22004 for NULL elements, and 22023 for a task that would wait for itself.
task::Workflow dependency_args(FunctionCallInfo fcinfo, const store::NamespaceInfo &ns, store::NewTask *t);

}  // namespace pgqueue::api
