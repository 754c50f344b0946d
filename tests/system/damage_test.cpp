/// Whatever has happened to the store's files: the broker starts, sets aside what is damaged, says what was
/// lost, and serves what it has, unchanged. Only a file of a later version it refuses, and leaves alone.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <iterator>
#include <random>
#include <set>

#include "tests/support/run_command.hpp"
#include "tests/support/sluiced_process.hpp"
#include "tests/system/mqtt_client.hpp"
#include "tests/system/paths.hpp"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using wire::QoS;

constexpr int messages = 400, retained = 20;
constexpr std::size_t page = 4096;

std::string read(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}
void write(const std::filesystem::path& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary | std::ios::trunc)
        .write(bytes.data(), static_cast<long>(bytes.size()));
}
std::string payload_of(int number) {
    return fmt::format("{} {}", number, std::string(300, static_cast<char>('a' + number % 26)));
}

struct Damage {
    const char* name;
    /// Killed: the log is there, and holds nearly all. Else the file alone.
    bool killed;
    /// What is done to "sluice.db" and "sluice.db-wal".
    void (*apply)(std::string& file, std::string& log);
    const char* log_says;  ///< empty: a part may be lost that nobody can know of
    int messages_min;
};

void flip_bits(std::string& bytes, int count) {
    std::mt19937 random(7);
    for (int i = 0; i < count && !bytes.empty(); ++i)
        bytes[random() % bytes.size()] ^= static_cast<char>(1 << random() % 8);
}

const Damage damages[] = {
    {"file_truncated", false,
     [](std::string& file, std::string&) { file.resize(file.size() / 2 / page * page); }, "was damaged", 1},
    {"file_truncated_within_a_page", false,
     [](std::string& file, std::string&) { file.resize(file.size() - 1000); }, "was damaged", 1},
    {"file_empty", false, [](std::string& file, std::string&) { file.clear(); }, "", 0},
    {"file_of_zeros", false, [](std::string& file, std::string&) { file.assign(file.size(), '\0'); },
     "set aside", 0},
    {"first_page_of_zeros", false,
     [](std::string& file, std::string&) { std::fill_n(file.begin(), page, '\0'); }, "set aside", 1},
    {"pages_of_zeros", false,
     [](std::string& file, std::string&) {
         std::fill_n(file.begin() + static_cast<long>(file.size() / 2 / page * page), 4 * page, '\0');
     },
     "was damaged", 100},
    {"file_with_flipped_bits", false, [](std::string& file, std::string&) { flip_bits(file, 30); }, "", 1},
    {"foreign_text", false,
     [](std::string& file, std::string&) { file = "Dear diary,\n" + std::string(20'000, 'z'); }, "set aside",
     0},
    {"foreign_database", false, [](std::string& file, std::string&) { file.replace(68, 4, "DIFF"); },
     "set aside", 1},
    {"log_truncated", true, [](std::string&, std::string& log) { log.resize(log.size() / 2); }, "", 1},
    {"log_of_zeros", true, [](std::string&, std::string& log) { log.assign(log.size(), '\0'); },
     "was damaged", 0},
    {"log_of_rubbish", true, [](std::string&, std::string& log) { log.assign(log.size(), 'w'); },
     "was damaged", 0},
    {"log_with_flipped_bits", true, [](std::string&, std::string& log) { flip_bits(log, 5); }, "was damaged",
     0},
    {"log_missing", true, [](std::string&, std::string& log) { log.clear(); }, "", 0},
};

class Damaged : public ::testing::TestWithParam<Damage> {
  protected:
    std::string config() const {
        return fmt::format(
            "[broker]\ndata_dir = \"{}\"\n[[listener]]\naddress = \"127.0.0.1\"\nport = 0\nanonymous = true\n"
            "[admin]\nport = 0\n",
            data().string());
    }
    std::filesystem::path data() const { return folder_.path() / "data"; }
    std::filesystem::path file() const { return data() / "sluice.db"; }
    std::filesystem::path log_file() const { return data() / "sluice.db-wal"; }

    void fill() {
        ASSERT_TRUE(broker_.start(config())) << broker_.log();
        MqttClient client;
        ASSERT_TRUE(client.connect(broker_.port(), session_));
        ASSERT_TRUE(client.subscribe("d/#", QoS::at_least_once));
        client.disconnect();
        MqttClient publisher;
        ASSERT_TRUE(publisher.connect(broker_.port(), {.client_id = "publisher"}));
        for (int i = 0; i < messages + retained; ++i) {
            const bool retains = i >= messages;
            publisher.publish(retains ? fmt::format("r/{}", i) : "d/x", payload_of(i), QoS::at_least_once,
                              static_cast<wire::PacketId>(i + 1), retains);
            for (int k = 0; i % 20 == 19 && k < 20; ++k) ASSERT_TRUE(publisher.receive());
        }
        publisher.disconnect();
    }
    /// The numbers of what came, each with the payload that it was sent with.
    std::set<int> take(MqttClient& client) {
        std::set<int> numbers;
        while (const auto message = client.receive_message(1s)) {
            const int number = std::atoi(message->payload.c_str());
            EXPECT_EQ(message->payload, payload_of(number));
            numbers.insert(number);
        }
        return numbers;
    }
    /// What is left of the queue and of what was retained; and the broker works.
    std::size_t serve() {
        MqttClient client;
        const auto connack = client.connect(broker_.port(), session_);
        EXPECT_TRUE(connack);
        if (!connack) return 0;
        const std::set<int> got = connack->session_present ? take(client) : std::set<int>{};
        EXPECT_TRUE(client.subscribe("#", QoS::at_least_once));
        take(client);
        client.publish("d/new", payload_of(7000), QoS::at_least_once, 9);
        EXPECT_EQ(take(client), std::set<int>{7000});
        client.disconnect();
        return got.size();
    }
    int health() const {
        return run_command({program("sluicectl"), "--url",
                            fmt::format("http://127.0.0.1:{}", broker_.admin_port()), "health"})
            .exit_code;
    }

    const MqttClient::Session session_{.client_id = "session", .clean_start = false, .expiry_s = 3600};
    TempFolder folder_;
    SluicedProcess broker_{folder_.path()};
};

TEST_P(Damaged, the_broker_starts_and_serves_what_is_left) {
    const Damage& damage = GetParam();
    ASSERT_NO_FATAL_FAILURE(fill());
    if (damage.killed) {
        broker_.kill();
        ASSERT_GT(std::filesystem::file_size(log_file()), page);
    } else {
        ASSERT_TRUE(broker_.stop());
    }
    std::string bytes = read(file()), log = damage.killed ? read(log_file()) : "";
    damage.apply(bytes, log);
    write(file(), bytes);
    if (damage.killed) write(log_file(), log);

    ASSERT_TRUE(broker_.start(config())) << broker_.log();
    const std::string said = broker_.log();
    EXPECT_THAT(said, HasSubstr(damage.log_says));
    // Who is asked later is told too.
    EXPECT_TRUE(*damage.log_says == '\0' || health() == 1) << said;
    const std::size_t got = serve();
    fmt::print("{}: {} of {} messages\n", damage.name, got, messages);
    EXPECT_GE(got, static_cast<std::size_t>(damage.messages_min)) << said;
    ASSERT_TRUE(broker_.stop()) << broker_.log();

    ASSERT_TRUE(broker_.start(config())) << broker_.log();
    EXPECT_THAT(broker_.log(), ::testing::Not(HasSubstr("damaged"))) << "the second start finds nothing more";
    EXPECT_EQ(health(), 0);
    EXPECT_TRUE(broker_.stop()) << broker_.log();
}

INSTANTIATE_TEST_SUITE_P(Every, Damaged, ::testing::ValuesIn(damages),
                         [](const auto& param) { return param.param.name; });

class OtherVersion : public Damaged {};

TEST_F(OtherVersion, a_file_of_a_later_version_is_refused_and_left_as_it_is) {
    ASSERT_NO_FATAL_FAILURE(fill());
    ASSERT_TRUE(broker_.stop());
    std::string bytes = read(file());
    bytes.replace(60, 4, std::string("\0\0\0\x63", 4));  // SQLite's user_version: 99
    write(file(), bytes);
    EXPECT_FALSE(broker_.start(config()));
    EXPECT_THAT(broker_.log(), HasSubstr("was written by a newer Sluice (its schema is 99"));
    EXPECT_EQ(read(file()), bytes);
}

}  // namespace
}  // namespace sluice::test
