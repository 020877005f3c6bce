// An order of entries that are stored elsewhere and known by numbers (0 none). It consists of a sorted run, to which
// entries that come in order are appended, and a pairing heap for all others. Adding takes O(1), finding the best entry
// O(1), removing any entry O(log n) amortized. After M. Fredman, R. Sedgewick, D. Sleator, R. Tarjan, "The pairing
// heap: a new form of self-adjusting heap", Algorithmica 1 (1986).
#pragma once
#include <cstdint>
#include <utility>

namespace pgqueue {

// The links of an entry, by number.
struct OrderLinks {
    std::int32_t child;
    std::int32_t next;
    std::int32_t prev;  // in the heap: the sibling before, or the parent of a first child
    bool in_run;
};

// The first and last entry of the run, and the root of the heap. All zero: the order is empty.
struct ReadyOrder {
    std::int32_t run_first, run_last, heap;
};

// The operations. Entries provides `OrderLinks &links(number)` and `bool before(number, number)`: a strict order, which
// does not change while both entries are in.
template <typename Entries>
class OrderOps {
public:
    OrderOps(ReadyOrder *order, Entries entries) : o(order), e(entries) {}

    // Returns the first entry; 0: the order is empty.
    std::int32_t best() const {
        if (o->heap == 0 || (o->run_first != 0 && e.before(o->run_first, o->heap))) return o->run_first;
        return o->heap;
    }

    // Adds an entry that is not in the order.
    void add(std::int32_t n) {
        bool in_run = o->run_last == 0 || e.before(o->run_last, n);
        e.links(n) = OrderLinks{0, 0, 0, in_run};
        if (!in_run) {
            o->heap = merge(o->heap, n);
            return;
        }
        e.links(n).prev = o->run_last;
        (o->run_last != 0 ? e.links(o->run_last).next : o->run_first) = n;
        o->run_last = n;
    }

    // Removes an entry that is in the order.
    void remove(std::int32_t n) {
        OrderLinks &l = e.links(n);
        if (l.in_run) {
            (l.prev != 0 ? e.links(l.prev).next : o->run_first) = l.next;
            (l.next != 0 ? e.links(l.next).prev : o->run_last) = l.prev;
            return;
        }
        std::int32_t below = join_children(l.child);
        if (n == o->heap) {
            o->heap = below;
            return;
        }
        OrderLinks &before = e.links(l.prev);
        (before.child == n ? before.child : before.next) = l.next;
        if (l.next != 0) e.links(l.next).prev = l.prev;
        o->heap = merge(o->heap, below);
    }

private:
    // Joins two heaps and returns the root. Both arguments are roots without siblings; 0: an empty heap.
    std::int32_t merge(std::int32_t a, std::int32_t b) {
        if (a == 0 || b == 0) return a != 0 ? a : b;
        if (e.before(b, a)) std::swap(a, b);
        OrderLinks &root = e.links(a), &l = e.links(b);
        l.prev = a;
        l.next = root.child;
        if (root.child != 0) e.links(root.child).prev = b;
        root.child = b;
        return a;
    }

    // Cuts the first off a chain of siblings, and returns the rest.
    std::int32_t cut(std::int32_t n) {
        std::int32_t rest = e.links(n).next;
        e.links(n).next = e.links(n).prev = 0;
        return rest;
    }

    // Joins siblings in pairs from the left, then all pairs from the right. The first pass chains its trees through
    // `prev`.
    std::int32_t join_children(std::int32_t child) {
        std::int32_t pairs = 0;
        while (child != 0) {
            std::int32_t a = child, b = cut(a), rest = b != 0 ? cut(b) : 0;
            std::int32_t pair = merge(a, b);
            e.links(pair).prev = pairs;
            pairs = pair;
            child = rest;
        }
        std::int32_t root = 0;
        while (pairs != 0) {
            std::int32_t pair = pairs;
            pairs = e.links(pair).prev;
            e.links(pair).prev = 0;
            root = merge(root, pair);
        }
        return root;
    }

    ReadyOrder *o;
    Entries e;
};

}  // namespace pgqueue
