/// What only the file connector does: its lines, names and files.
#include <sys/stat.h>

#include <set>

#include "tests/contract/file_fixture.hpp"
#include "tests/support/properties.hpp"

namespace sluice::bridge::test {
namespace {

TEST_F(FileConnector, a_line_says_what_mqtt_said) {
    settings_.spec.origin = "gateway-1";
    start();
    ASSERT_TRUE(feeder_.wait_up());
    sluice::test::PropertyBytes properties;
    properties.payload_format(1)
        .content_type("application/json")
        .response_topic("answers/7")
        .correlation_data(std::string_view("\xff\x00\x01", 3))
        .user("site", "Jülich")
        .user("b", "1")
        .user("site", "\"second\"\n");
    core::Message::Fields fields;
    fields.topic = "plant/7/telemetry";
    fields.properties = properties.bytes;
    fields.payload = as_bytes("{\n\t\"t\": 21.50\r\n}");
    fields.qos = wire::QoS::exactly_once;
    fields.retain = true;
    fields.client_id = "device-7";
    fields.received = WallTime(milliseconds(1'796'072'400'123));
    fields.expiry_interval_s = 3600;
    feeder_.publish(0, fields);
    ASSERT_TRUE(feeder_.wait_confirmed(1));
    std::ifstream in(active());
    std::string line;
    ASSERT_TRUE(std::getline(in, line));
    EXPECT_EQ(line,
              R"({"time":"2026-11-30T21:00:00.123Z","id":"gateway-1-1","sequence":1,"origin":"gateway-1",)"
              R"("topic":"plant/7/telemetry","qos":2,"retain":true,"client_id":"device-7",)"
              R"("content_type":"application/json","response_topic":"answers/7","correlation_data":"/wAB",)"
              R"("payload_format":1,"expiry_interval_s":3600,)"
              R"("properties":{"b":["1"],"site":["Jülich","\"second\"\n"]},)"
              R"("payload_encoding":"json","payload":{  "t": 21.50  }})");
    EXPECT_TRUE(json::accept(line));
}

TEST_F(FileConnector, headers_can_be_left_out) {
    settings_.spec.origin = "gateway-1";
    settings_.route("headers", false);
    start();
    ASSERT_TRUE(feeder_.wait_up());
    feeder_.publish_text(0, "plant/a", "x");
    ASSERT_TRUE(feeder_.wait_confirmed(1));
    const auto lines = read_lines(folder_, "messages");
    ASSERT_EQ(lines.size(), 1U);
    std::set<std::string> keys;
    for (const auto& [key, value] : lines[0].items()) keys.insert(key);
    EXPECT_EQ(keys, (std::set<std::string>{"time", "id", "topic", "payload_encoding", "payload"}));
}

TEST_F(FileConnector, what_does_not_have_the_wanted_form_is_refused) {
    settings_.route("payload", std::int64_t{3});  // json
    start();
    ASSERT_TRUE(feeder_.wait_up());
    feeder_.publish_text(0, "plant/a", "{}");
    feeder_.publish_text(0, "plant/a", "no json");
    ASSERT_TRUE(feeder_.wait_confirmed(2));
    EXPECT_EQ(confirm_of(1).outcome, Outcome::delivered);
    EXPECT_EQ(confirm_of(2).outcome, Outcome::refused);
    EXPECT_NE(confirm_of(2).reason.find("no JSON"), std::string::npos) << confirm_of(2).reason;
}

TEST_F(FileConnector, the_name_is_made_of_the_message_and_a_bad_one_is_refused) {
    settings_.route("file", std::string("{topic[0]}"));
    start();
    ASSERT_TRUE(feeder_.wait_up());
    for (const char* topic : {"a/x", "b/x", "..", "/x", ".hidden", "a"})
        feeder_.publish_text(0, topic, "n 1");
    ASSERT_TRUE(feeder_.wait_confirmed(6));
    for (const std::uint64_t tag : {1, 2, 6}) EXPECT_EQ(confirm_of(tag).outcome, Outcome::delivered);
    for (const std::uint64_t tag : {3, 4, 5}) EXPECT_EQ(confirm_of(tag).outcome, Outcome::refused);
    EXPECT_EQ(names(), (std::vector<std::string>{"a.ndjson", "b.ndjson"}));
    EXPECT_EQ(numbers("a").size(), 2U);
}

TEST_F(FileConnector, the_gateways_identity_and_a_missing_part_of_the_name) {
    settings_.spec.origin = "gateway-1";
    settings_.route("file", std::string("{origin}-{topic[1]}"));
    start();
    ASSERT_TRUE(feeder_.wait_up());
    feeder_.publish_text(0, "plant/a", "n 1");
    feeder_.publish_text(0, "plant", "n 2");
    ASSERT_TRUE(feeder_.wait_confirmed(2));
    EXPECT_EQ(confirm_of(1).outcome, Outcome::delivered);
    EXPECT_EQ(names(), (std::vector<std::string>{"gateway-1-a.ndjson"}));
    EXPECT_EQ(confirm_of(2).outcome, Outcome::unmappable);
    EXPECT_EQ(confirm_of(2).reason, "'{origin}-{topic[1]}': the topic has no level 1");
}

TEST_F(FileConnector, no_name_leads_out_of_the_folder) {
    settings_.route("file", std::string("{property.name}"));
    start();
    ASSERT_TRUE(feeder_.wait_up());
    const std::vector<std::string> bad{"../x", "/etc/x", "x/y", "..", "", std::string(151, 'x'),
                                       "a\nb", "a\x7f"};
    for (const std::string& name : bad) {
        sluice::test::PropertyBytes properties;
        properties.user("name", name);
        core::Message::Fields fields;
        fields.topic = "plant/a";
        fields.properties = properties.bytes;
        feeder_.publish(0, fields);
    }
    ASSERT_TRUE(feeder_.wait_confirmed(bad.size()));
    for (std::uint64_t tag = 1; tag <= bad.size(); ++tag)
        EXPECT_EQ(confirm_of(tag).outcome, Outcome::refused) << bad[tag - 1];
    EXPECT_TRUE(names().empty());
}

TEST_F(FileConnector, a_file_is_finished_before_it_is_too_large) {
    settings_.bridge("rotate_bytes", std::int64_t{4096});
    start();
    ASSERT_TRUE(feeder_.wait_up());
    publish_numbers(0, 500);
    publish_numbers(500, 501, 10'000);
    publish_numbers(501, 502);
    ASSERT_TRUE(feeder_.wait_confirmed(502));
    EXPECT_EQ(numbers(), range(0, 502));
    const auto finished = finished_files(folder_, "messages");
    ASSERT_GT(finished.size(), 10U);
    EXPECT_TRUE(finished.front().ends_with("-000001.ndjson")) << finished.front();
    for (std::size_t i = 0; i + 1 < finished.size(); ++i)
        EXPECT_LE(std::filesystem::file_size(folder_ / finished[i]), 4096U);
    EXPECT_GT(std::filesystem::file_size(folder_ / finished.back()), 10'000U) << "the giant line is alone";
}

TEST_F(FileConnector, a_file_that_is_old_is_finished_without_traffic) {
    settings_.bridge("rotate_age", std::int64_t{1000});
    start();
    ASSERT_TRUE(feeder_.wait_up());
    publish_numbers(0, 3);
    ASSERT_TRUE(feeder_.wait_confirmed(3));
    EXPECT_TRUE(wait_for([&] { return finished_files(folder_, "messages").size() == 1; }));
    EXPECT_FALSE(std::filesystem::exists(active()));
    EXPECT_EQ(numbers(), range(0, 3));
}

TEST_F(FileConnector, numbers_of_files_go_on_after_a_restart) {
    settings_.bridge("rotate_bytes", std::int64_t{4096});
    put_file(folder_ / "other-20200101T000000Z-000041.ndjson", good_line);
    start();
    ASSERT_TRUE(feeder_.wait_up());
    publish_numbers(0, 30);
    ASSERT_TRUE(feeder_.wait_confirmed(30));
    const auto finished = finished_files(folder_, "messages");
    ASSERT_FALSE(finished.empty());
    EXPECT_TRUE(finished.front().ends_with("-000042.ndjson")) << finished.front();
}

TEST_F(FileConnector, the_oldest_files_of_the_bridge_are_removed_and_nothing_else) {
    settings_.bridge("rotate_bytes", std::int64_t{4096});
    settings_.bridge("files_max", std::int64_t{3});
    put_file(folder_ / "notes.txt", "mine");
    put_file(folder_ / "messages-1.ndjson.gz", "mine");
    start();
    ASSERT_TRUE(feeder_.wait_up());
    publish_numbers(0, 500);
    ASSERT_TRUE(feeder_.wait_confirmed(500));
    const auto finished = finished_files(folder_, "messages");
    EXPECT_EQ(finished.size(), 3U);
    const auto kept = numbers();
    ASSERT_FALSE(kept.empty());
    EXPECT_EQ(kept, range(kept.front(), 500)) << "the newest are kept";
    EXPECT_TRUE(std::filesystem::exists(folder_ / "notes.txt"));
    EXPECT_TRUE(std::filesystem::exists(folder_ / "messages-1.ndjson.gz"));
}

TEST_F(FileConnector, all_files_together_stay_within_their_bytes) {
    settings_.bridge("rotate_bytes", std::int64_t{4096});
    settings_.bridge("files_bytes_max", std::int64_t{20'000});
    start();
    ASSERT_TRUE(feeder_.wait_up());
    publish_numbers(0, 500);
    ASSERT_TRUE(feeder_.wait_confirmed(500));
    std::uintmax_t bytes = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) bytes += entry.file_size();
    EXPECT_LE(bytes, 20'000U);
    EXPECT_GT(bytes, 10'000U);
}

TEST_F(FileConnector, more_names_than_may_be_open_lose_nothing) {
    settings_.route("file", std::string("{topic[1]}"));
    settings_.bridge("files_max", std::int64_t{0});
    start();
    ASSERT_TRUE(feeder_.wait_up());
    for (int i = 0; i < 900; ++i) feeder_.publish_text(0, "x/name-" + std::to_string(i % 300), "n 1");
    ASSERT_TRUE(feeder_.wait_confirmed(900));
    std::size_t lines = 0, still_active = 0;
    for (const std::string& name : names()) {
        std::ifstream in(folder_ / name);
        for (std::string line; std::getline(in, line); ++lines) EXPECT_TRUE(json::accept(line)) << line;
        still_active += std::count(name.begin(), name.end(), '-') == 1;
    }
    EXPECT_EQ(lines, 900U);
    EXPECT_EQ(still_active, 256U);
}

TEST_F(FileConnector, the_permissions_are_those_of_the_config) {
    settings_.bridge("mode", std::string("0604"));
    const mode_t before = ::umask(0077);
    start();
    ASSERT_TRUE(feeder_.wait_up());
    publish_numbers(0, 1);
    EXPECT_TRUE(feeder_.wait_confirmed(1));
    ::umask(before);
    EXPECT_EQ(static_cast<unsigned>(std::filesystem::status(active()).permissions()), 0604U);
}

TEST_F(FileConnector, create_names_what_is_wrong) {
    const auto wrong = [&](const std::string& expected) {
        const std::string error = create_error();
        EXPECT_NE(error.find(expected), std::string::npos) << error;
        EXPECT_NE(error.find("expected"), std::string::npos) << error;
    };
    settings_.bridge("directory", std::string());
    wrong("test.toml:1: directory: is empty");
    settings_.bridge("directory", folder_.string());
    settings_.bridge("rotate_age", std::int64_t{20});
    wrong("test.toml:1: rotate_age: 20 ms");
    settings_.bridge("rotate_age", std::int64_t{0});
    settings_.bridge("files_bytes_max", std::int64_t{100'000'000});
    wrong("test.toml:1: files_bytes_max: 100000000 bytes");
    settings_.bridge("files_bytes_max", std::int64_t{0});
    for (const char* mode : {"", "8", "0400", "0777", "0640 ", "rw"}) {
        settings_.bridge("mode", std::string(mode));
        wrong("test.toml:1: mode: '" + std::string(mode) + "'");
    }
    settings_.bridge("mode", std::string("600"));
    settings_.route("file", std::string("{topic[x]}"));
    wrong("test.toml:5: file: column 8");
    for (const char* name : {"../messages", ".hidden", "a-20260101T000000Z-000001"}) {
        settings_.route("file", std::string(name));
        wrong("test.toml:5: file: the file's name '" + std::string(name) + "'");
    }
    settings_.route("file", std::string("plain"));
    EXPECT_EQ(create_error(), "");
}

}  // namespace
}  // namespace sluice::bridge::test
