#include "core/packet_id_set.hpp"

#include <gtest/gtest.h>

#include <random>
#include <set>

#include "core/session.hpp"

namespace sluice::core {
namespace {

using wire::PacketId;

// Around the sizes at which it changes its form, up and down.
TEST(PacketIdSet, IsASet) {
    std::mt19937 random(1);
    PacketIdSet set;
    std::set<PacketId> model;
    for (const std::size_t aim : {10, 300, 100, 257, 255, 4000, 20, 0, 270, 0}) {
        while (model.size() != aim) {
            const auto id = static_cast<PacketId>(1 + random() % 65535);
            if (model.size() < aim) {
                EXPECT_EQ(set.insert(id), model.insert(id).second);
                EXPECT_FALSE(set.insert(id));
            } else {
                EXPECT_EQ(set.erase(id), model.erase(id) == 1);
                const PacketId first = *model.begin();
                model.erase(first);
                EXPECT_TRUE(set.contains(first));
                EXPECT_TRUE(set.erase(first));
                EXPECT_FALSE(set.contains(first));
            }
            ASSERT_EQ(set.size(), model.size());
        }
        EXPECT_EQ(set.ids(), std::vector<PacketId>(model.begin(), model.end()));
        EXPECT_EQ(set.empty(), model.empty());
        for (unsigned id = 0; id <= 65535; ++id) {
            const auto narrow = static_cast<PacketId>(id);
            ASSERT_EQ(set.contains(narrow), model.contains(narrow)) << id;
        }
    }
}

TEST(PacketIdSet, CostsNothingWhenEmptyAndLittleWhenFull) {
    PacketIdSet set;
    EXPECT_EQ(set.footprint_bytes(), 0U);
    set.insert(7);
    EXPECT_LE(set.footprint_bytes(), 64U);
    for (unsigned id = 65535; id >= 1; --id) set.insert(static_cast<PacketId>(id));
    EXPECT_EQ(set.size(), 65535U);
    EXPECT_LE(set.footprint_bytes(), 8192U);
    for (unsigned id = 1; id <= 65535; ++id) EXPECT_TRUE(set.erase(static_cast<PacketId>(id)));
    EXPECT_EQ(set.footprint_bytes(), 0U);
}

// A 3.1.1 publisher may leave all packet ids open; what its session saves has them all.
TEST(PacketIdSet, ASessionKeepsAllIdsOfAClientThatNeverReleases) {
    Session session(7, {});
    for (unsigned id = 1; id <= 65535; ++id) ASSERT_TRUE(session.on_publish_qos2(static_cast<PacketId>(id)));
    for (unsigned id = 1; id <= 65535; ++id) ASSERT_FALSE(session.on_publish_qos2(static_cast<PacketId>(id)));
    EXPECT_LE(session.inbound().footprint_bytes(), 8192U);
    Session restored(7, {});
    restored.restore(session.progress(), 0, 0, false);
    EXPECT_EQ(restored.inbound().size(), 65535U);
    EXPECT_TRUE(restored.on_pubrel(65535));
    EXPECT_FALSE(restored.has_inbound(65535));
}

}  // namespace
}  // namespace sluice::core
