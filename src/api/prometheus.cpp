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
                     [](MetricSink *s, const char *suffix, std::span<const Label> labels, double value) {
                         static_cast<RowSink *>(s)->put(suffix, labels, value);
                     }},
          info(into) {}

private:
    void put(const char *suffix, std::span<const Label> labels, double value) {
        Datum values[5] = {CStringGetTextDatum(psprintf("%s%s", family.name, suffix)),
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

class TextSink : public MetricSink {
public:
    TextSink()
        : MetricSink{[](MetricSink *s, const Family &f) { static_cast<TextSink *>(s)->put_header(f); },
                     [](MetricSink *s, const char *suffix, std::span<const Label> labels, double value) {
                         static_cast<TextSink *>(s)->put(suffix, labels, value);
                     }} {
        initStringInfo(&out);
    }
    text *result() const { return cstring_to_text_with_len(out.data, out.len); }

private:
    void put_header(const Family &f) {
        family = f;
        appendStringInfo(&out, "# HELP %s %s\n# TYPE %s %s\n", f.name, f.help, f.name, word_of(f.type));
    }
    void put(const char *suffix, std::span<const Label> labels, double value) {
        appendStringInfoString(&out, family.name);
        appendStringInfoString(&out, suffix);
        char separator = '{';
        for (const Label &l : labels) {
            appendStringInfoChar(&out, separator);
            appendStringInfoString(&out, l.name);
            append_quoted(l.value);
            separator = ',';
        }
        if (!labels.empty()) appendStringInfoChar(&out, '}');
        appendStringInfoChar(&out, ' ');
        append_number(value);
        appendStringInfoChar(&out, '\n');
    }
    // Backslash, quotation mark and line feed are escaped in the value of a label.
    void append_quoted(const char *value) {
        appendStringInfoString(&out, "=\"");
        for (const char *c = value;; c++) {
            const std::size_t plain = strcspn(c, "\\\"\n");
            appendBinaryStringInfo(&out, c, static_cast<int>(plain));
            c += plain;
            if (*c == '\0') break;
            appendStringInfoChar(&out, '\\');
            appendStringInfoChar(&out, *c == '\n' ? 'n' : *c);
        }
        appendStringInfoChar(&out, '"');
    }
    void append_number(double value) {
        char digits[DOUBLE_SHORTEST_DECIMAL_LEN + MAXINT8LEN];
        constexpr double exact = 1e15;
        if (Abs(value) < exact && value == static_cast<double>(static_cast<int64>(value)))
            pg_lltoa(static_cast<int64>(value), digits);
        else
            double_to_shortest_decimal_buf(value, digits);
        appendStringInfoString(&out, digits);
    }
    StringInfoData out{};
    Family family{};
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
