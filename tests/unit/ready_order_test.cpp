// The order of ready groups in a lane, against a sorted set.
#include "core/ready_order.hpp"

#include <gtest/gtest.h>
#include <random>
#include <set>
#include <vector>

namespace {

using pgqueue::OrderLinks;
using pgqueue::OrderOps;
using pgqueue::ReadyOrder;

struct Item {
    std::int64_t key;
    OrderLinks links;
};

struct Items {
    std::vector<Item> *all;
    OrderLinks &links(std::int32_t n) const { return (*all)[static_cast<std::size_t>(n)].links; }
    std::int64_t key(std::int32_t n) const { return (*all)[static_cast<std::size_t>(n)].key; }
    bool before(std::int32_t a, std::int32_t b) const { return key(a) != key(b) ? key(a) < key(b) : a < b; }
};

struct Less {
    Items items;
    bool operator()(std::int32_t a, std::int32_t b) const { return items.before(a, b); }
};

// Adds and removes at random; the best one is always that of the sorted set. in_order: how many of ten keys come in
// order.
void compare_with_set(unsigned seed, unsigned in_order) {
    std::mt19937_64 random(seed);
    std::vector<Item> all(2001);
    Items items{&all};
    ReadyOrder order{};
    OrderOps<Items> ops(&order, items);
    std::set<std::int32_t, Less> model{Less{items}};
    std::vector<std::int32_t> out;
    for (std::int32_t n = 2000; n > 0; n--) out.push_back(n);
    std::int64_t clock = 0;
    for (int step = 0; step < 20000; step++) {
        bool add = !out.empty() && (model.empty() || random() % 5 < (step < 10000 ? 3u : 2u));
        if (add) {
            std::int32_t n = out.back();
            out.pop_back();
            all[static_cast<std::size_t>(n)].key = random() % 10 < in_order
                                                       ? ++clock
                                                       : static_cast<std::int64_t>(random() % 1000);
            ops.add(n);
            model.insert(n);
        } else {
            auto it = random() % 3 == 0 ? std::next(model.begin(), static_cast<long>(random() % model.size()))
                                        : model.begin();
            std::int32_t n = *it;
            model.erase(it);
            ops.remove(n);
            out.insert(out.begin(), n);
        }
        ASSERT_EQ(ops.best(), model.empty() ? 0 : *model.begin()) << "step " << step;
    }
}

TEST(ReadyOrder, IsThatOfASortedSet) {
    for (unsigned seed = 1; seed <= 10; seed++) compare_with_set(seed, seed % 11);
}

TEST(ReadyOrder, WhatComesInOrderStaysOutOfTheHeap) {
    std::vector<Item> all(101);
    ReadyOrder order{};
    OrderOps<Items> ops(&order, Items{&all});
    for (std::int32_t n = 1; n <= 100; n++) {
        all[static_cast<std::size_t>(n)].key = n;
        ops.add(n);
    }
    EXPECT_EQ(order.heap, 0);
    for (std::int32_t n = 1; n <= 100; n++) {
        ASSERT_EQ(ops.best(), n);
        ops.remove(n);
    }
    EXPECT_EQ(ops.best(), 0);
}

TEST(ReadyOrder, AnEmptyOneHasNoBest) {
    std::vector<Item> all(3);
    ReadyOrder order{};
    OrderOps<Items> ops(&order, Items{&all});
    EXPECT_EQ(ops.best(), 0);
    all[1].key = 2;
    all[2].key = 1;
    ops.add(1);
    ops.add(2);
    EXPECT_EQ(ops.best(), 2);
    ops.remove(1);
    EXPECT_EQ(ops.best(), 2);
    ops.remove(2);
    EXPECT_EQ(ops.best(), 0);
}

}  // namespace
