#include "store/crc32c.hpp"

#include <gtest/gtest.h>

namespace sluice::store {
namespace {

TEST(Crc32c, gives_the_known_values) {
    EXPECT_EQ(crc32c(as_bytes("123456789")), 0xe3069283U);  // the check value of the algorithm
    EXPECT_EQ(crc32c({}), 0U);
    const ByteBuffer zeros(32, 0);  // RFC 3720 B.4
    EXPECT_EQ(crc32c(zeros), 0x8a9136aaU);
    const ByteBuffer ones(32, 0xff);
    EXPECT_EQ(crc32c(ones), 0x62a8ab43U);
}

TEST(Crc32c, chains_at_every_place) {
    const std::string_view text = "the quick brown fox jumps over the lazy dog";
    for (std::size_t i = 0; i <= text.size(); ++i)
        EXPECT_EQ(crc32c(as_bytes(text.substr(i)), crc32c(as_bytes(text.substr(0, i)))),
                  crc32c(as_bytes(text)));
}

TEST(Crc32c, of_a_value_depends_on_its_key) {
    EXPECT_NE(crc32c_of(1, as_bytes("value")), crc32c_of(2, as_bytes("value")));
    EXPECT_NE(crc32c_of(1, {}), crc32c_of(256, {}));
}

}  // namespace
}  // namespace sluice::store
