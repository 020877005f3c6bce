// cron_next and cron_valid.
#include "api/cron.hpp"

#include "api/call.hpp"
#include "pg/zone.hpp"

namespace pgqueue::api {

namespace {

// Cuts a long text for a message.
const char *cut(const char *text) {
    constexpr int most = 200;
    int bytes = static_cast<int>(strlen(text));
    return bytes <= most ? text : psprintf("%s...", pnstrdup(text, pg_mbcliplen(text, bytes, most)));
}

[[noreturn]] void refuse(const char *text, const core::CronError &error) {
    int character = pg_mbstrlen_with_len(text, error.position) + 1;
    bool in_field = *error.field != '\0';
    ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("cron text \"%s\" is not valid", cut(text)),
            errdetail("%s", error.message),
            in_field ? errhint("See the %s at character %d. %s", error.field, character, error.hint)
                     : errhint("See character %d. %s", character, error.hint));
    pg_unreachable();
}

}  // namespace

core::CronSpec read_cron(const char *text) {
    core::CronSpec spec;
    core::CronError error;
    if (!core::parse_cron(text, spec, error)) refuse(text, error);
    return spec;
}

const pg_tz *zone_of(const core::CronSpec &spec, const char *time_zone) {
    const char *name = *spec.zone != '\0' ? spec.zone : time_zone;
    if (name == nullptr) return session_timezone;
    const pg_tz *zone = pg::find_zone(name);
    if (zone == nullptr)
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("time zone \"%s\" not recognized", cut(name)),
                name == time_zone ? errdetail("It is the argument \"time_zone\".")
                                  : errdetail("The cron text begins with it."),
                errhint("The view pg_timezone_names lists the time zones."));
    return zone;
}

}  // namespace pgqueue::api

using namespace pgqueue;
using namespace pgqueue::api;

namespace {

enum Arg { a_cron, a_after, a_time_zone, a_max_slots };

// NULL means the default, the time of the transaction.
TimestampTz after_arg(FunctionCallInfo fcinfo) {
    TimestampTz after = PG_ARGISNULL(a_after) ? GetCurrentTransactionStartTimestamp() : PG_GETARG_TIMESTAMPTZ(a_after);
    if (TIMESTAMP_NOT_FINITE(after))
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("argument \"after\" must be finite"),
                errhint("Use the time after which the next slot is wanted."));
    return after;
}

int max_slots_arg(FunctionCallInfo fcinfo) {
    constexpr int most = 10000;
    return PG_ARGISNULL(a_max_slots) ? 1 : checked_range("max_slots", PG_GETARG_INT32(a_max_slots), 1, most);
}

}  // namespace

PGQ_FUNCTION(pgqueue_cron_next) {
    not_null(fcinfo, a_cron, "cron");
    core::CronSpec spec = read_cron(text_arg(fcinfo, a_cron));
    const pg_tz *zone = zone_of(spec, text_arg(fcinfo, a_time_zone));
    TimestampTz after = after_arg(fcinfo);
    int left = max_slots_arg(fcinfo);
    InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
    auto *info = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    for (; left > 0; left--) {
        std::optional<TimestampTz> slot = pg::next_slot(spec, after, zone);
        if (!slot) break;
        after = *slot;
        Datum value = TimestampTzGetDatum(after);
        bool isnull = false;
        tuplestore_putvalues(info->setResult, info->setDesc, &value, &isnull);
        CHECK_FOR_INTERRUPTS();
    }
    return Datum(0);
}

PGQ_FUNCTION(pgqueue_cron_valid) {
    if (PG_ARGISNULL(a_cron)) PG_RETURN_NULL();
    core::CronSpec spec;
    core::CronError error;
    if (!core::parse_cron(text_arg(fcinfo, a_cron), spec, error)) PG_RETURN_BOOL(false);
    PG_RETURN_BOOL(*spec.zone == '\0' || pg::find_zone(spec.zone) != nullptr);
}
