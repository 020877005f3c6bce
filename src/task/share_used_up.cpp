#include "task/share_used_up.hpp"

namespace pgqueue::task {

void share_used_up(const store::NamespaceInfo &ns, const SharedThing &thing) {
    const char *name = quote_literal_cstr(ns.name);
    ereport(
        ERROR, errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
        errmsg("namespace \"%s\" has its part of the %s", ns.name, thing.what),
        errdetail("It has " INT64_FORMAT ", its limit is " INT64_FORMAT "; " INT64_FORMAT
                  " are free for all namespaces.",
                  thing.used, share_limit(thing.own, thing.used, thing.free), thing.free),
        errhint("%s Or have a member of pgqueue_admin raise the limit: SELECT pgqueue.update_namespace(%s, %s => ...);",
                thing.remedy, name, thing.setting));
    pg_unreachable();
}

}  // namespace pgqueue::task
