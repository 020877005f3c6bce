// What a transaction stores for its end. Each entry has the subtransaction that made it.
#pragma once
#include "pg/backend.hpp"

namespace pgqueue::handover {

// A growing array in TopTransactionContext. Entries of the innermost open subtransaction are at the end.
template <typename T>
struct Notes {
    static constexpr int first_room = 16;
    T *items;
    int count, room;

    // Appends an entry for the current subtransaction. The caller fills it.
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
    // Returns whether an entry was added in this transaction, even if it was rolled back.
    bool used() const { return items != nullptr; }
    // Removes the entries of an aborted subtransaction.
    void forget(SubTransactionId sub) {
        while (count > 0 && items[count - 1].sub == sub) count--;
    }
    // Gives the entries of a committed subtransaction to its parent.
    void hand_up(SubTransactionId sub, SubTransactionId parent) {
        for (int i = count; i > 0 && items[i - 1].sub == sub; i--) items[i - 1].sub = parent;
    }
    // Forgets the array, whose memory ends with the transaction.
    void reset() {
        items = nullptr;
        count = room = 0;
    }
};

}  // namespace pgqueue::handover
