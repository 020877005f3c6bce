#include "task/make_receipt.hpp"

namespace pgqueue::task {

int64 new_receipt() {
    int64 receipt = 0;
    while (receipt == 0)
        if (!pg_strong_random(&receipt, sizeof(receipt)))
            ereport(ERROR, errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not get random bytes"));
    return receipt;
}

}  // namespace pgqueue::task
