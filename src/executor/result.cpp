// A receiver that keeps the first row as jsonb, and the result object of a command.
#include "executor/result.hpp"

namespace pgqueue::executor {
namespace {

// A first row whose values take more bytes than this is left out of the result. It must neither fail the task nor fill
// the queue's tables.
constexpr Size largest_first_row = Size{64} * 1024 * 1024;

// Wraps bytes that the caller keeps as a jsonb string.
JsonbValue text_value(const char *bytes, std::size_t length) {
    JsonbValue v;
    v.type = jbvString;
    v.val.string.val = const_cast<char *>(bytes);
    v.val.string.len = int(length);
    return v;
}

// Adds a key to the open object.
void push_key(JsonbParseState **state, std::string_view key) {
    JsonbValue v = text_value(key.data(), key.size());
    pushJsonbValue(state, WJB_KEY, &v);
}

// Returns the bytes that the values of a row take uncompressed.
Size row_size(const TupleTableSlot *slot, const TupleDesc columns) {
    Size total = 0;
    for (int i = 0; i < columns->natts; ++i) {
        if (!slot->tts_isnull[i] && TupleDescAttr(columns, i)->attlen == -1)
            total += toast_raw_datum_size(slot->tts_values[i]);
    }
    return total;
}

// Opens the result object and adds the row as "first".
void keep_row(FirstRow *first, TupleTableSlot *slot) {
    slot_getallattrs(slot);
    MemoryContext const previous = MemoryContextSwitchTo(first->memory);
    const TupleDesc columns = first->columns;
    pushJsonbValue(&first->json, WJB_BEGIN_OBJECT, nullptr);
    if (row_size(slot, columns) <= largest_first_row) {
        push_key(&first->json, "first");
        pushJsonbValue(&first->json, WJB_BEGIN_OBJECT, nullptr);
        for (int i = 0; i < columns->natts; ++i) {
            const Form_pg_attribute column = TupleDescAttr(columns, i);
            if (column->attisdropped) continue;
            push_key(&first->json, pstrdup(NameStr(column->attname)));
            push_value(&first->json, WJB_VALUE, column->atttypid, slot->tts_values[i], slot->tts_isnull[i]);
        }
        pushJsonbValue(&first->json, WJB_END_OBJECT, nullptr);
    }
    MemoryContextSwitchTo(previous);
}

// Called before the rows of a statement.
void startup(DestReceiver *self, int, TupleDesc columns) { reinterpret_cast<FirstRow *>(self)->columns = columns; }

// Called with each row. Returning true asks for the next one.
bool receive(TupleTableSlot *slot, DestReceiver *self) {
    auto *first = reinterpret_cast<FirstRow *>(self);
    if (first->json == nullptr) keep_row(first, slot);
    return true;
}

// Called after the rows, and at the end of the receiver. What is kept ends with its memory context.
void finish(DestReceiver *) {}

// Returns the tag as a client would see it, in `keep`.
const char *completion_tag(const QueryCompletion &completion, MemoryContext keep) {
    char text[COMPLETION_TAG_BUFSIZE];
    const char *name = GetCommandTagName(completion.commandTag);
    if (!command_tag_display_rowcount(completion.commandTag)) return MemoryContextStrdup(keep, name);
    const char *format = completion.commandTag == CMDTAG_INSERT ? "%s 0 " UINT64_FORMAT : "%s " UINT64_FORMAT;
    snprintf(text, sizeof(text), format, name, completion.nprocessed);
    return MemoryContextStrdup(keep, text);
}

}  // namespace

FirstRow first_row_receiver(MemoryContext memory) {
    return {{receive, startup, finish, finish, DestNone}, memory, nullptr, nullptr};
}

Result make_result(FirstRow &first, const QueryCompletion &completion, MemoryContext keep) {
    MemoryContext const previous = MemoryContextSwitchTo(first.memory);
    Result result;
    result.tag = completion_tag(completion, keep);
    result.rows = command_tag_display_rowcount(completion.commandTag) ? int64(completion.nprocessed) : 0;
    if (first.json == nullptr) pushJsonbValue(&first.json, WJB_BEGIN_OBJECT, nullptr);
    push_key(&first.json, "rows");
    JsonbValue rows;
    rows.type = jbvNumeric;
    rows.val.numeric = int64_to_numeric(result.rows);
    pushJsonbValue(&first.json, WJB_VALUE, &rows);
    push_key(&first.json, "tag");
    JsonbValue tag = text_value(result.tag, strlen(result.tag));
    pushJsonbValue(&first.json, WJB_VALUE, &tag);
    JsonbValue *object = pushJsonbValue(&first.json, WJB_END_OBJECT, nullptr);
    MemoryContextSwitchTo(keep);
    result.json = JsonbValueToJsonb(object);
    MemoryContextSwitchTo(previous);
    return result;
}

}  // namespace pgqueue::executor
