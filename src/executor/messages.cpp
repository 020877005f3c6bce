#include "executor/messages.hpp"

#include "core/last_lines.hpp"

namespace pgqueue::executor {
namespace {

constexpr std::size_t most_bytes = 1000;
constinit LastLines<20, most_bytes> kept{};

// The fields of a message to the client, as the protocol sends them.
struct Message {
    const char *severity = "", *text = "", *detail = nullptr, *hint = nullptr;
};

Message read_message(const char *at, const char *end) {
    Message m;
    while (at < end && *at != '\0') {
        const char field = *at++;
        if (field == PG_DIAG_SEVERITY_NONLOCALIZED) m.severity = at;
        if (field == PG_DIAG_MESSAGE_PRIMARY) m.text = at;
        if (field == PG_DIAG_MESSAGE_DETAIL) m.detail = at;
        if (field == PG_DIAG_MESSAGE_HINT) m.hint = at;
        at += strlen(at) + 1;
    }
    return m;
}

// A line in fixed memory. Inside a report nothing may fail, so nothing is allocated.
class Line {
public:
    void add(const char *s) {
        const std::size_t n = Min(strlen(s), sizeof(text) - bytes);
        memcpy(text + bytes, s, n);
        bytes += n;
    }
    void add(const char *label, const char *s) {
        if (s == nullptr) return;
        add(label);
        add(s);
    }
    // The kept line is text of the database: valid, and cut where a character ends.
    std::string_view in_database_encoding() {
        if (pg_get_client_encoding() != GetDatabaseEncoding()) {
            for (std::size_t i = 0; i < bytes; i++)
                if (IS_HIGHBIT_SET(text[i])) text[i] = '?';
        }
        return {text, static_cast<std::size_t>(
                          pg_mbcliplen(text, static_cast<int>(bytes), static_cast<int>(Min(bytes, most_bytes))))};
    }

private:
    // Room for the rest of a character that is cut.
    char text[most_bytes + 8];
    std::size_t bytes = 0;
};

int take_message(char type, const char *body, size_t bytes) {
    if (type != 'N') return 0;  // a notice; FATAL ends the process
    const Message m = read_message(body, body + bytes);
    Line line;
    line.add(m.severity);
    line.add(": ", m.text);
    line.add("\nDETAIL: ", m.detail);
    line.add("\nHINT: ", m.hint);
    kept.add(line.in_database_encoding());
    return 0;
}

const PQcommMethods own_client = {
    .comm_reset = [] {},
    .flush = [] { return 0; },
    .flush_if_writable = [] { return 0; },
    .is_send_pending = [] { return false; },
    .putmessage = take_message,
    .putmessage_noblock = [](char type, const char *body, size_t bytes) { take_message(type, body, bytes); },
};

Datum text_of(std::string_view s) {
    return PointerGetDatum(cstring_to_text_with_len(s.data(), static_cast<int>(s.size())));
}

}  // namespace

void become_client() {
    PqCommMethods = &own_client;
    FrontendProtocol = PG_PROTOCOL_LATEST;
}

void keep_messages() {
    kept.clear();
    whereToSendOutput = DestRemote;
}

void stop_keeping_messages() { whereToSendOutput = DestNone; }

ArrayType *kept_messages() {
    if (kept.size() == 0) return nullptr;
    Datum lines[21];
    int n = 0;
    if (kept.forgotten() > 0)
        lines[n++] =
            CStringGetTextDatum(psprintf("(" INT64_FORMAT " earlier messages are left out)", kept.forgotten()));
    for (int i = 0; i < kept.size(); i++) lines[n++] = text_of(kept.line(i));
    return construct_array(lines, n, TEXTOID, -1, false, TYPALIGN_INT);
}

}  // namespace pgqueue::executor
