// View metric, and prometheus(): the text format 0.0.4 of Prometheus
// (https://prometheus.io/docs/instrumenting/exposition_formats/).
#include "api/call.hpp"
#include "api/metrics.hpp"
#include "memory/shared.hpp"
#include "pg/jsonb.hpp"

using namespace pgqueue;
using namespace pgqueue::api;

namespace {

const char *word_of(MetricType type) {
    switch (type) {
        case MetricType::Gauge: return "gauge";
        case MetricType::Counter: return "counter";
        default: return "histogram";
    }
}

class RowSink : public MetricSink {
public:
    explicit RowSink(const ReturnSetInfo *into)
        : MetricSink{[](MetricSink *s, const Family &f) { static_cast<RowSink *>(s)->family = f; },
                     [](MetricSink *s, std::string_view suffix, std::span<const Label> labels, double value) {
                         static_cast<RowSink *>(s)->put(suffix, labels, value);
                     }},
          info(into) {}

private:
    void put(std::string_view suffix, std::span<const Label> labels, double value) {
        Datum values[5] = {CStringGetTextDatum(psprintf("%s%s", family.name, suffix.data())),
                           CStringGetTextDatum(word_of(family.type)), CStringGetTextDatum(family.help),
                           JsonbPGetDatum(json_of(labels)), Float8GetDatum(value)};
        bool nulls[5] = {};
        tuplestore_putvalues(info->setResult, info->setDesc, values, nulls);
    }
    static Jsonb *json_of(std::span<const Label> labels) {
        pg::JsonbObject object;
        for (const Label &l : labels) object.add(l.name, l.value);
        return object.finish();
    }
    const ReturnSetInfo *info;
    Family family{};
};

// One buffer, which becomes the result: with a thousand queues it has megabytes, in lines.
class TextSink : public MetricSink {
public:
    TextSink()
        : MetricSink{[](MetricSink *s, const Family &f) { static_cast<TextSink *>(s)->put_header(f); },
                     [](MetricSink *s, std::string_view suffix, std::span<const Label> labels, double value) {
                         static_cast<TextSink *>(s)->put(suffix, labels, value);
                     }} {
        initStringInfo(&out);
        out.len = VARHDRSZ;
    }
    text *result() {
        SET_VARSIZE(out.data, out.len);
        return reinterpret_cast<text *>(out.data);
    }

private:
    void put_header(const Family &f) {
        family = f.name;
        appendStringInfo(&out, "# HELP %s %s\n# TYPE %s %s\n", f.name, f.help, f.name, word_of(f.type));
    }
    void put(std::string_view suffix, std::span<const Label> labels, double value) {
        std::size_t most = family.size() + suffix.size() + most_number + 4;
        for (const Label &l : labels) most += l.name.size() + 2 * l.value.size() + 4;
        enlargeStringInfo(&out, static_cast<int>(most));
        char *at = write(out.data + out.len, family);
        at = write(at, suffix);
        char separator = '{';
        for (const Label &l : labels) {
            *at++ = separator;
            at = write(at, l.name);
            at = write_quoted(at, l.value);
            separator = ',';
        }
        if (!labels.empty()) *at++ = '}';
        *at++ = ' ';
        at = write_number(at, value);
        *at++ = '\n';
        out.len = static_cast<int>(at - out.data);
    }
    static char *write(char *at, std::string_view s) {
        memcpy(at, s.data(), s.size());
        return at + s.size();
    }
    // Backslash, quotation mark and line feed are escaped in the value of a label.
    static char *write_quoted(char *at, std::string_view value) {
        *at++ = '=';
        *at++ = '"';
        for (char c : value) {
            if (c == '\\' || c == '"' || c == '\n') *at++ = '\\';
            *at++ = c == '\n' ? 'n' : c;
        }
        *at++ = '"';
        return at;
    }
    static char *write_number(char *at, double value) {
        constexpr double exact = 1e15;
        if (value > -exact && value < exact && value == static_cast<double>(static_cast<int64>(value)))
            return at + pg_lltoa(static_cast<int64>(value), at);
        return at + double_to_shortest_decimal_buf(value, at);
    }
    static constexpr std::size_t most_number = DOUBLE_SHORTEST_DECIMAL_LEN + MAXINT8LEN;
    StringInfoData out{};
    std::string_view family;
};

}  // namespace

PGQ_FUNCTION(pgqueue_internal_metrics) {
    InitMaterializedSRF(fcinfo, 0);
    if (!memory::loaded()) return Datum(0);
    check_call("metric", false);
    RowSink sink(reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo));
    all_metrics(&sink);
    return Datum(0);
}

PGQ_FUNCTION(pgqueue_prometheus) {
    check_call("prometheus", false);
    if (!PG_ARGISNULL(0) && PG_GETARG_BOOL(0))
        ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("statistics of a fleet are not available"),
                errdetail("The foreign-data wrapper pgqueue_fdw is not installed."),
                errhint("Call prometheus() on each server."));
    TextSink sink;
    all_metrics(&sink);
    PG_RETURN_TEXT_P(sink.result());
}
