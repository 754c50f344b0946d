#include "vectors.hpp"

#include <gtest/gtest.h>

#include "tests/support/any_packet.hpp"

namespace sluice::test {
namespace {

class WireVectors : public testing::TestWithParam<std::string> {};

std::string verdict(const Vector& vector) {
    const auto cut = wire::cut_frame(vector.bytes, SIZE_MAX, vector.version);
    if (!cut) return std::string(wire::name_of(cut.error().code));
    if (!*cut) return "incomplete";
    EXPECT_EQ((*cut)->size_bytes, vector.bytes.size());
    ByteBuffer scratch;
    const AnyResult packet = decode_any(vector.version, **cut, scratch);
    if (!packet) {
        EXPECT_STRNE(packet.error().what, "");
        return std::string(wire::name_of(packet.error().code));
    }
    if (vector.canonical) {
        EXPECT_EQ(encode_any(vector.version, (*cut)->type, *packet), vector.bytes) << vector.name;
    }
    return "ok";
}

TEST_P(WireVectors, AreJudgedAsWritten) {
    for (const Vector& vector : load_vectors(GetParam())) {
        SCOPED_TRACE(vector.name + (vector.statement.empty() ? "" : " [" + vector.statement + "]"));
        EXPECT_EQ(verdict(vector), vector.expect);
    }
}

TEST_P(WireVectors, SurviveARoundTrip) {
    for (const Vector& vector : load_vectors(GetParam())) {
        const auto cut = wire::cut_frame(vector.bytes, SIZE_MAX, vector.version);
        if (!cut || !*cut) continue;
        EXPECT_TRUE(survives_round_trip(vector.version, **cut)) << vector.name;
    }
}

INSTANTIATE_TEST_SUITE_P(Files, WireVectors, testing::ValuesIn(vector_files()),
                         [](const auto& file) { return file.param; });

TEST(WireVectorFiles, AreThere) {
    std::size_t refused = 0;
    for (const std::string& file : vector_files()) {
        for (const Vector& vector : load_vectors(file)) refused += vector.expect != "ok";
    }
    EXPECT_GE(refused, 150U);
}

}  // namespace
}  // namespace sluice::test
