// What a transaction remembers for its end: entries with the subtransaction that made them.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::handover {

// A growing array in TopTransactionContext. Entries of the innermost open subtransaction are always at the end.
template <typename T>
struct Notes {
    static constexpr int first_room = 16;
    T *items;
    int count, room;

    T *add() {
        if (items == nullptr) {
            items = static_cast<T *>(MemoryContextAlloc(TopTransactionContext, sizeof(T) * first_room));
            room = first_room;
        } else if (count == room) {
            items = static_cast<T *>(repalloc_huge(items, sizeof(T) * static_cast<Size>(room) * 2));
            room *= 2;
        }
        T *item = &items[count++];
        item->sub = GetCurrentSubTransactionId();
        return item;
    }
    // Something was noted in this transaction, whether it was rolled back or not.
    bool used() const { return items != nullptr; }
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

}  // namespace pgqueue::handover
