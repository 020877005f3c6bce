#include "config/topics.hpp"

#include "pg/json.hpp"

namespace pgqueue::config {

constinit int background_max_running = 4;

namespace {

constinit int background_retries = 0;
constinit int background_delay = 0;
constinit char *topic_config = nullptr;
constinit uint32 reloads = 1;

constexpr int32 default_priority = 100;

enum Field { k_max_running, k_retries, k_delay, k_priority, key_count };
constexpr std::string_view key_names[key_count] = {"max_parallel_running_tasks_count", "retry_count", "delay_in_sec",
                                                   "priority"};
constexpr const char *valid_keys = "Valid keys: max_parallel_running_tasks_count, retry_count, delay_in_sec, priority.";

// The parsed topic_config: one block of memory that belongs to the setting, with the names behind the entries.
struct Entry {
    int32 name_at, name_length;
    bool given[key_count];
    int32 values[key_count];
};
struct Parsed {
    int32 count;
    Entry entries[FLEXIBLE_ARRAY_MEMBER];
    const char *names() const { return reinterpret_cast<const char *>(&entries[count]); }
};
constinit const Parsed *parsed = nullptr;

// Receives the events of the reader. Returning false stops it, with the reason in `fault`.
struct Collector {
    Entry *entries = nullptr;
    int32 count = 0, room = 0;
    StringInfoData names{};
    int depth = 0;
    int key = -1;
    bool seen[key_count] = {};  // keys of the topic that is read
    const char *fault = nullptr;

    bool refuse(const char *why) {
        fault = why;
        return false;
    }
    Entry &entry() { return entries[count - 1]; }
    char *topic() { return pnstrdup(names.data + entry().name_at, static_cast<Size>(entry().name_length)); }
    bool refuse_value() {
        if (depth == 0) return refuse("It must be a JSON object.");
        if (depth == 1) return refuse(psprintf("Topic \"%s\" must be a JSON object.", topic()));
        return refuse(psprintf("\"%s\" of topic \"%s\" must be an integer.", key_names[key].data(), topic()));
    }

    bool number(int64 value) {
        if (depth != 2) return refuse_value();
        // -1 means "not given", as in pg_background_queue.
        bool given = key == k_priority || value != -1;
        if (key != k_priority && value < -1)
            return refuse(psprintf("\"%s\" of topic \"%s\" must not be negative.", key_names[key].data(), topic()));
        if (value < PG_INT32_MIN || value > PG_INT32_MAX)
            return refuse(psprintf("\"%s\" of topic \"%s\" is out of range.", key_names[key].data(), topic()));
        entry().given[key] = given;
        entry().values[key] = static_cast<int32>(value);
        return true;
    }

    bool add_topic(std::string_view name) {
        for (int32 i = 0; i < count; i++) {
            if (std::string_view(names.data + entries[i].name_at, static_cast<size_t>(entries[i].name_length)) != name)
                continue;
            return refuse(psprintf("Topic \"%s\" is there twice.", pnstrdup(name.data(), name.size())));
        }
        if (count == room) {
            room = room == 0 ? 16 : room * 2;
            entries =
                static_cast<Entry *>(entries == nullptr ? palloc(sizeof(Entry) * static_cast<Size>(room))
                                                        : repalloc(entries, sizeof(Entry) * static_cast<Size>(room)));
        }
        Entry &e = entries[count++];
        e = Entry{names.len, static_cast<int32>(name.size()), {}, {}};
        appendBinaryStringInfo(&names, name.data(), static_cast<int>(name.size()));
        for (bool &s : seen) s = false;
        return true;
    }

    bool Null() { return depth == 2 ? true : refuse_value(); }
    bool Bool(bool) { return refuse_value(); }
    bool Int(int v) { return number(v); }
    bool Uint(unsigned v) { return number(v); }
    bool Int64(int64_t v) { return number(v); }
    bool Uint64(uint64_t) { return number(PG_INT64_MAX); }
    bool Double(double) { return refuse_value(); }
    bool RawNumber(const char *, rapidjson::SizeType, bool) { return refuse_value(); }
    // Also accepts an integer in quotes.
    bool String(const char *s, rapidjson::SizeType length, bool) {
        if (depth != 2 || length == 0 || length > 11) return refuse_value();
        char *end;
        char *text = pnstrdup(s, length);
        long v = strtol(text, &end, 10);
        return end == text + length ? number(v) : refuse_value();
    }
    bool StartObject() { return ++depth <= 2 ? true : (--depth, refuse_value()); }
    bool EndObject(rapidjson::SizeType) {
        depth--;
        return true;
    }
    bool StartArray() { return refuse_value(); }
    bool EndArray(rapidjson::SizeType) { return true; }
    bool Key(const char *s, rapidjson::SizeType length, bool) {
        std::string_view name(s, length);
        if (depth == 1) return add_topic(name);
        for (key = 0; key < key_count && key_names[key] != name; key++) {
        }
        if (key == key_count)
            return refuse(psprintf("Topic \"%s\" has the unknown key \"%s\".", topic(), pnstrdup(s, length)));
        if (seen[key])
            return refuse(psprintf("\"%s\" of topic \"%s\" is there twice.", key_names[key].data(), topic()));
        return seen[key] = true;
    }
};

bool blank(const char *s) { return s[strspn(s, " \t\r\n")] == '\0'; }

// Copies the result into one block for the setting; nullptr: out of memory.
Parsed *keep(const Collector &c) {
    Size entries = sizeof(Entry) * static_cast<Size>(c.count);
    auto *p =
        static_cast<Parsed *>(pg::setting_alloc(offsetof(Parsed, entries) + entries + static_cast<Size>(c.names.len)));
    if (p == nullptr) return nullptr;
    p->count = c.count;
    if (c.count > 0) memcpy(p->entries, c.entries, entries);
    memcpy(&p->entries[c.count], c.names.data, static_cast<Size>(c.names.len));
    return p;
}

bool check_topic_config(char **value, void **extra, GucSource) {
    if (blank(*value)) return true;
    Collector c;
    initStringInfo(&c.names);
    pg::JsonMemory memory;
    pg::JsonReader reader(&memory, 256);
    rapidjson::StringStream text(*value);
    if (!reader.Parse<rapidjson::kParseIterativeFlag>(text, c)) {
        if (c.fault != nullptr)
            GUC_check_errdetail("%s", c.fault);
        else
            GUC_check_errdetail("It is not valid JSON at byte %d: %s", static_cast<int>(reader.GetErrorOffset()) + 1,
                                rapidjson::GetParseError_En(reader.GetParseErrorCode()));
        GUC_check_errhint(
            "Write one object for each topic, as in {\"reports\": {\"priority\": 50, \"retry_count\": 2}}. %s",
            valid_keys);
        return false;
    }
    *extra = keep(c);
    return *extra != nullptr;
}

void assign_topic_config(const char *, void *extra) {
    parsed = static_cast<const Parsed *>(extra);
    reloads++;
}

void assign_number(int, void *) { reloads++; }

}  // namespace

TopicSettings common_topic() {
    return {background_max_running, background_retries, background_delay, default_priority};
}

int topic_count() { return parsed == nullptr ? 0 : parsed->count; }

Topic topic_at(int i) {
    const Entry &e = parsed->entries[i];
    TopicSettings common = common_topic();
    auto value = [&e](Field k, int32 none) { return e.given[k] ? e.values[k] : none; };
    return {{parsed->names() + e.name_at, static_cast<size_t>(e.name_length)},
            {value(k_max_running, 0), value(k_retries, common.retries), value(k_delay, common.delay),
             value(k_priority, common.priority)}};
}

bool find_topic(std::string_view name, TopicSettings *settings) {
    for (int i = 0; i < topic_count(); i++) {
        Topic t = topic_at(i);
        if (t.name != name) continue;
        *settings = t.settings;
        return true;
    }
    *settings = common_topic();
    return false;
}

uint32 topic_reloads() { return reloads; }

uint64 topic_signature() {
    TopicSettings common = common_topic();
    uint64 h = hash_bytes_extended(reinterpret_cast<const unsigned char *>(&common), sizeof(common), 0);
    for (int i = 0; i < topic_count(); i++) {
        Topic t = topic_at(i);
        h = hash_bytes_extended(reinterpret_cast<const unsigned char *>(t.name.data()), static_cast<int>(t.name.size()),
                                h);
        h = hash_bytes_extended(reinterpret_cast<const unsigned char *>(&t.settings), sizeof(t.settings), h);
    }
    return h;
}

void define_topic_settings() {
    background_max_running = Max(max_worker_processes / 2, 1);
    const struct {
        const char *name, *what;
        int *value;
    } numbers[] = {
        {"pg_background_queue.max_parallel_running_tasks_count",
         "Most tasks of pg_background_queue that run at once; 0 is no limit but pgqueue.max_workers.",
         &background_max_running},
        {"pg_background_queue.retry_count", "How often a failed task of pg_background_queue is tried again.",
         &background_retries},
        {"pg_background_queue.delay_in_sec",
         "Seconds before a task of pg_background_queue starts, and between the starts of two tasks.",
         &background_delay},
    };
    for (const auto &n : numbers)
        DefineCustomIntVariable(n.name, n.what, nullptr, n.value, *n.value, 0, INT_MAX, PGC_SIGHUP, 0, nullptr,
                                assign_number, nullptr);
    DefineCustomStringVariable(
        "pg_background_queue.topic_config",
        "Settings of topics of pg_background_queue, a JSON object with an object for each topic.", nullptr,
        &topic_config, "", PGC_SIGHUP, 0, check_topic_config, assign_topic_config, nullptr);
    MarkGUCPrefixReserved("pg_background_queue");
}

}  // namespace pgqueue::config
