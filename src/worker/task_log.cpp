#include "worker/task_log.hpp"

#include "config/server_settings.hpp"
#include "core/log_line.hpp"
#include "pg/clock.hpp"
#include "pg/guards.hpp"

namespace pgqueue::worker::runner {
namespace {

void add(StringInfo line, const char *key, const char *value) {
    const std::string_view text = value;
    appendStringInfo(line, " %s=", key);
    enlargeStringInfo(line, static_cast<int>(most_logged_bytes(text)));
    line->len += static_cast<int>(write_logged(text, line->data + line->len));
    line->data[line->len] = '\0';
}

// Longer texts are cut: a message may have megabytes.
const char *cut(const char *text) {
    constexpr int most = 4096;
    const int bytes = static_cast<int>(strlen(text));
    return bytes <= most ? text : pnstrdup(text, static_cast<Size>(pg_mbcliplen(text, bytes, most)));
}

constinit emit_log_hook_type previous_hook = nullptr;
constinit const Claimed *named = nullptr;

// Adds the outermost line of CONTEXT.
void add_context(ErrorData *e) {
    pg::MemoryScope scope(e->assoc_context);
    const char *inner = e->context != nullptr ? e->context : "";
    e->context = psprintf("%s%stask " INT64_FORMAT " of queue \"%s\" in namespace \"%s\", attempt %d", inner,
                          *inner != '\0' ? "\n" : "", named->row.ref.id, named->queue, named->ns, named->row.attempt);
}

void on_log(ErrorData *e) {
    if (named != nullptr && e->elevel >= INFO && e->elevel <= WARNING) add_context(e);
    if (previous_hook != nullptr) previous_hook(e);
}

}  // namespace

void install_task_log() {
    previous_hook = emit_log_hook;
    emit_log_hook = on_log;
}

void name_in_log(const Claimed *c) { named = c; }

void log_end_of_task(const Claimed &c, const char *event, const pg::ErrorReport *error, int64 ran) {
    static constinit LinePace pace{};
    if (config::log_tasks == config::log_none || (config::log_tasks == config::log_failed && error == nullptr)) return;
    int64 unsaid = 0;
    if (!pace.may_write(pg::this_moment(), &unsaid)) return;
    pg::MemoryScope scope(self.task);
    StringInfoData line;
    initStringInfo(&line);
    appendStringInfo(&line, "task %s: task_id=" INT64_FORMAT, event, c.row.ref.id);
    add(&line, "task_type", c.row.type != nullptr ? c.row.type : c.row.command != nullptr ? "sql" : "");
    add(&line, "namespace", c.ns);
    add(&line, "queue", c.queue);
    add(&line, "role", self.role);
    add(&line, "database", self.database);
    appendStringInfo(&line, " priority=%d attempts=%d duration=" INT64_FORMAT " us", c.row.priority, c.row.attempt,
                     ran);
    if (error != nullptr && error->sqlstate != 0) add(&line, "error_code", unpack_sql_state(error->sqlstate));
    if (error != nullptr) add(&line, "error", cut(error->message != nullptr ? error->message : ""));
    if (unsaid > 0) appendStringInfo(&line, " (" INT64_FORMAT " more of these since the last line)", unsaid);
    ereport(LOG, errmsg_internal("%s", line.data), errhidestmt(true), errhidecontext(true));
}

}  // namespace pgqueue::worker::runner
