// Every sample that Prometheus reads, for view metric and for prometheus(). A family is a name with its samples, which
// follow one another.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::api {

enum class MetricType { Gauge, Counter, Histogram };

struct Label {
    std::string_view name, value;
};

struct Family {
    const char *name;
    MetricType type;
    const char *help;
};

// Takes the samples. suffix: "", or "_bucket", "_sum" or "_count" of a histogram.
struct MetricSink {
    void (*begin_family)(MetricSink *sink, const Family &family);
    void (*take_sample)(MetricSink *sink, std::string_view suffix, std::span<const Label> labels, double value);

    void begin(const Family &family) { begin_family(this, family); }
    void sample(std::string_view suffix, std::span<const Label> labels, double value) {
        take_sample(this, suffix, labels, value);
    }
};

// Hands over all samples that the caller may see: those of namespaces in which it may read statistics.
void all_metrics(MetricSink *sink);

}  // namespace pgqueue::api
