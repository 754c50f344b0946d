#include "shard/client_index.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

#include "shard/slot.hpp"

namespace sluice::shard {
namespace {

struct NameOf {
    const std::vector<std::string>& names;
    std::string_view operator()(core::SubscriberId id) const { return names[id]; }
};

TEST(ClientIndex, FindsWhatAMapFindsWhileClientsComeAndGo) {
    std::vector<std::string> names;
    for (int i = 0; i < 3000; ++i) names.push_back("device-" + std::to_string(i));
    ClientIndex<NameOf> index{NameOf{names}};
    std::map<std::string, core::SubscriberId> model;
    std::mt19937 random(7);
    EXPECT_EQ(index.find("device-0"), ClientIndex<NameOf>::none);
    index.erase("device-0");
    // Up, about, and down to none, so that the table grows and shrinks.
    for (const unsigned chance_to_come : {80U, 50U, 10U}) {
        for (int step = 0; step < 20'000; ++step) {
            const core::SubscriberId id = random() % 3000;
            if (random() % 100 < chance_to_come) {
                if (model.emplace(names[id], id).second) index.insert(id);
            } else {
                index.erase(names[id]);
                model.erase(names[id]);
            }
            ASSERT_EQ(index.size(), model.size());
        }
        for (core::SubscriberId id = 0; id < 3000; ++id)
            ASSERT_EQ(index.find(names[id]), model.contains(names[id]) ? id : ClientIndex<NameOf>::none);
    }
}

// Ten thousand idle connections have ten thousand of each.
TEST(Slot, IsSmall) {
    EXPECT_LE(sizeof(core::Session), 160U);
    EXPECT_LE(sizeof(Slot), 328U);
}

}  // namespace
}  // namespace sluice::shard
