#include "store/row_codec.hpp"

#include <gtest/gtest.h>

namespace sluice::store {
namespace {

std::vector<core::QueueTarget> some_targets() {
    core::QueueTarget one, two, three, four;
    one.session = 256;
    two.session = (std::uint64_t{1} << 62) + 3;
    two.qos = wire::QoS::exactly_once;
    two.retain = true;
    three.session = 5;
    three.subscription_identifiers = {1, 127, 128, 268435455};
    four.session = 6;
    four.subscription_identifiers = {9};
    four.share = core::Share("$share/g/" + std::string(200, 'f'));
    return {one, two, four, three};
}

ByteBuffer write_targets(core::RowId row) {
    TargetsWriter writer;
    writer.start();
    for (const auto& t : some_targets()) writer.add(t);
    const Bytes run = writer.finish(row);
    return {run.begin(), run.end()};
}

std::vector<core::QueueTarget> read_targets(core::RowId row, Bytes run, bool& damaged) {
    std::vector<core::QueueTarget> out;
    TargetsReader reader(row, run);
    core::QueueTarget t;
    while (reader.next(t)) out.push_back(t);
    damaged = reader.damaged();
    return out;
}

TEST(Targets, come_back_as_written) {
    bool damaged = true;
    EXPECT_EQ(read_targets(512, write_targets(512), damaged), some_targets());
    EXPECT_FALSE(damaged);
}

TEST(Targets, of_another_row_are_refused) {
    bool damaged = false;
    EXPECT_TRUE(read_targets(513, write_targets(512), damaged).empty());
    EXPECT_TRUE(damaged);
}

TEST(Targets, every_flipped_bit_and_every_missing_end_is_noticed) {
    const ByteBuffer whole = write_targets(512);
    for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
        ByteBuffer run = whole;
        run[bit / 8] = static_cast<std::uint8_t>(run[bit / 8] ^ (1U << (bit % 8)));
        bool damaged = false;
        EXPECT_TRUE(read_targets(512, run, damaged).empty());
        EXPECT_TRUE(damaged) << "bit " << bit;
    }
    for (std::size_t size = 0; size < whole.size(); ++size) {
        bool damaged = false;
        read_targets(512, Bytes(whole).first(size), damaged);
        EXPECT_TRUE(damaged) << "size " << size;
    }
}

core::SaveProgress some_progress() {
    using State = core::InflightRecord::State;
    return {77,
            {{256, 1, State::published}, {0, 65535, State::released}, {1ULL << 50, 2, State::published}},
            {1, 65535}};
}

TEST(Progress, comes_back_as_written) {
    const auto want = some_progress();
    const auto got = decode_progress(77, encode_progress(want));
    ASSERT_TRUE(got.has_value());
    EXPECT_EQ(got->session, 77U);
    EXPECT_EQ(got->outbound, want.outbound);
    EXPECT_EQ(got->inbound_released, want.inbound_released);
}

TEST(Progress, damage_is_noticed) {
    const ByteBuffer whole = encode_progress(some_progress());
    EXPECT_FALSE(decode_progress(78, whole).has_value()) << "of another session";
    for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
        ByteBuffer run = whole;
        run[bit / 8] = static_cast<std::uint8_t>(run[bit / 8] ^ (1U << (bit % 8)));
        EXPECT_FALSE(decode_progress(77, run).has_value()) << "bit " << bit;
    }
    for (std::size_t size = 0; size < whole.size(); ++size)
        EXPECT_FALSE(decode_progress(77, Bytes(whole).first(size)).has_value()) << "size " << size;
}

core::NoteArrival some_arrival() {
    return {77,
            5,
            0xfedcba98,
            512,
            {256, 1, std::uint64_t{1} << 62},
            {core::Share("$share/g/#"), core::Share("$bridge/b/0")}};
}

bool decode_as(core::NoteArrival key, Bytes run) {
    key.sessions.clear();
    key.groups.clear();
    return decode_arrival(run, key);
}

TEST(Arrival, comes_back_as_written) {
    const core::NoteArrival want = some_arrival();
    core::NoteArrival got{
        .publisher = 77, .packet_id = 5, .content = 0, .row = 512, .sessions = {}, .groups = {}};
    ASSERT_TRUE(decode_arrival(encode_arrival(want), got));
    EXPECT_EQ(got.content, want.content);
    EXPECT_EQ(got.sessions, want.sessions);
    EXPECT_EQ(got.groups, want.groups);
}

TEST(Arrival, damage_is_noticed) {
    const ByteBuffer whole = encode_arrival(some_arrival());
    core::NoteArrival other = some_arrival();
    other.packet_id = 6;
    EXPECT_FALSE(decode_as(other, whole)) << "of another message";
    other = some_arrival();
    other.publisher = 78;
    EXPECT_FALSE(decode_as(other, whole)) << "of another session";
    for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
        ByteBuffer run = whole;
        run[bit / 8] = static_cast<std::uint8_t>(run[bit / 8] ^ (1U << (bit % 8)));
        EXPECT_FALSE(decode_as(some_arrival(), run)) << "bit " << bit;
    }
    for (std::size_t size = 0; size < whole.size(); ++size)
        EXPECT_FALSE(decode_as(some_arrival(), Bytes(whole).first(size))) << "size " << size;
}

TEST(Options, every_value_comes_back_or_is_refused) {
    for (std::uint64_t bits = 0; bits < 300; ++bits) {
        const auto options = decode_options(bits);
        if (options) {
            EXPECT_EQ(encode_options(*options), bits);
        } else {
            EXPECT_TRUE(bits > 255 || (bits & 3) == 3 || ((bits >> 4) & 3) == 3) << bits;
        }
    }
}

}  // namespace
}  // namespace sluice::store
