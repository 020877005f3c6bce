// What a transaction remembers for its end: entries with the subtransaction that made them.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::dispatch {

// A growing array in TopTransactionContext. Entries of the innermost open subtransaction are always at the end.
template <typename T>
struct Notes {
    T *items;
    int count, room;

    T *add() {
        if (items == nullptr) {
            room = 16;
            items = static_cast<T *>(MemoryContextAlloc(TopTransactionContext, sizeof(T) * room));
        } else if (count == room) {
            room *= 2;
            items = static_cast<T *>(repalloc_huge(items, sizeof(T) * static_cast<Size>(room)));
        }
        T *item = &items[count++];
        item->sub = GetCurrentSubTransactionId();
        return item;
    }
    void forget(SubTransactionId sub) {
        while (count > 0 && items[count - 1].sub == sub) count--;
    }
    void hand_up(SubTransactionId sub, SubTransactionId parent) {
        for (int i = count; i > 0 && items[i - 1].sub == sub; i--) items[i - 1].sub = parent;
    }
    void reset() {
        items = nullptr;
        count = room = 0;
    }
};

}  // namespace pgqueue::dispatch
