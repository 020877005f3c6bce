#include "executor/guest.hpp"

#include "executor/apart.hpp"
#include "executor/as_other_role.hpp"
#include "pg/guards.hpp"

namespace pgqueue::executor {
namespace {

struct GuestRun {
    Oid role;
    pg::Call fn;
    void *arg;
};

// Fires the guest's deferred triggers and closes its cursors while it is still the current user.
void run_inside(const GuestRun &run, MemoryContext keep) {
    Foreign visit = begin_foreign(run.role, false);
    run_apart(
        [&run] {
            run.fn(run.arg);
            fire_deferred(true);
        },
        keep);
    end_foreign(visit);
}

}  // namespace

bool is_session_of(Oid role) {
    return GetUserId() == role && GetOuterUserId() == role && GetSessionUserId() == role &&
           GetAuthenticatedUserId() == role;
}

pg::Outcome run_as_guest_raw(Oid role, pg::Call fn, void *arg, MemoryContext keep) {
    GuestRun run{role, fn, arg};
    fire_deferred(true);
    return pg::run_in_subtransaction([&run, keep] { run_inside(run, keep); }, keep);
}

}  // namespace pgqueue::executor
