// Reads columns of a catalog table's row as C++ values. Inside store/ only.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::store {

// Reads columns of one row by attribute number. NULL gives `none`, else false, 0 or nullptr. Intervals are in
// microseconds; a month counts 30 days.
struct RowReader {
    HeapTuple tuple;
    TupleDesc desc;
    Datum get(int attno, bool *isnull) const { return heap_getattr(tuple, attno, desc, isnull); }
    int64 integer(int attno, int64 none = 0) const {
        bool isnull;
        Datum d = get(attno, &isnull);
        if (isnull) return none;
        return TupleDescAttr(desc, attno - 1)->attlen == 8 ? DatumGetInt64(d) : DatumGetInt32(d);
    }
    bool boolean(int attno) const {
        bool isnull;
        Datum d = get(attno, &isnull);
        return !isnull && DatumGetBool(d);
    }
    double number(int attno) const {
        bool isnull;
        Datum d = get(attno, &isnull);
        return isnull ? 0 : DatumGetFloat8(d);
    }
    char *string(int attno) const {
        bool isnull;
        Datum d = get(attno, &isnull);
        return isnull ? nullptr : TextDatumGetCString(d);
    }
    int64 interval(int attno, int64 none) const {
        bool isnull;
        Datum d = get(attno, &isnull);
        if (isnull) return none;
        Interval *i = DatumGetIntervalP(d);
        return i->time + (int64(i->day) + int64(i->month) * DAYS_PER_MONTH) * USECS_PER_DAY;
    }
};

}  // namespace pgqueue::store
