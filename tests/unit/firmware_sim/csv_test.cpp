#include "firmware_sim/csv.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace sluice::firmware {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Csv, PlainFieldsAndLineNumbers) {
    std::istringstream in("a,b,c\r\n\n1,,3\n");
    CsvReader reader(in);
    auto record = reader.next();
    ASSERT_TRUE(record);
    EXPECT_THAT(record->fields, ElementsAre("a", "b", "c"));
    EXPECT_EQ(record->line, 1u);
    record = reader.next();
    ASSERT_TRUE(record);
    EXPECT_THAT(record->fields, ElementsAre("1", "", "3"));
    EXPECT_EQ(record->line, 3u);
    EXPECT_FALSE(reader.next());
}

TEST(Csv, QuotedFieldsKeepSeparatorsQuotesAndLineBreaks) {
    std::istringstream in("\"a,b\",\"say \"\"hi\"\"\",\"two\nlines\",\"\"\nnext,1,2,3\n");
    CsvReader reader(in);
    auto record = reader.next();
    ASSERT_TRUE(record);
    EXPECT_THAT(record->error, IsEmpty());
    EXPECT_THAT(record->fields, ElementsAre("a,b", "say \"hi\"", "two\nlines", ""));
    record = reader.next();
    ASSERT_TRUE(record);
    EXPECT_EQ(record->line, 3u);
    EXPECT_THAT(record->fields, ElementsAre("next", "1", "2", "3"));
}

TEST(Csv, TrailingSeparatorIsAnEmptyField) {
    std::istringstream in("1,2,");
    CsvReader reader(in);
    const auto record = reader.next();
    ASSERT_TRUE(record);
    EXPECT_THAT(record->fields, ElementsAre("1", "2", ""));
}

TEST(Csv, MalformedQuotesAreErrorsOfTheirRecord) {
    std::istringstream in("\"a\"b,1\nok,2\n\"never closed,3\n");
    CsvReader reader(in);
    EXPECT_EQ(reader.next()->error, "text after a closing quote");
    EXPECT_EQ(reader.next()->error, "");
    EXPECT_EQ(reader.next()->error, "a quoted field is never closed");
    EXPECT_FALSE(reader.next());
}

TEST(Csv, MissingQuoteDoesNotSwallowTheFile) {
    std::string text = "\"open\n";
    for (int i = 0; i < 20000; ++i) text += "12345,67890\n";
    std::istringstream in(text);
    CsvReader reader(in);
    const auto record = reader.next();
    ASSERT_TRUE(record);
    EXPECT_NE(record->error, "");
    EXPECT_TRUE(reader.next());
}

TEST(Csv, ByteOrderMarkAndOtherSeparators) {
    std::istringstream in("\xEF\xBB\xBFzeit;wert\n");
    CsvReader reader(in, guess_separator("zeit;wert"));
    const auto record = reader.next();
    ASSERT_TRUE(record);
    EXPECT_THAT(record->fields, ElementsAre("zeit", "wert"));
    EXPECT_EQ(guess_separator("a,b;c"), ',');
    EXPECT_EQ(guess_separator("a\tb"), '\t');
    EXPECT_EQ(guess_separator("one"), ',');
}

}  // namespace
}  // namespace sluice::firmware
