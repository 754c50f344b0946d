/// A damaged file never stops the broker: it is set aside, what can be read is saved, what is served is
/// right.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "store_fixture.hpp"

namespace sluice::store::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr std::uint64_t messages = 2000;
constexpr std::size_t page = 4096;

std::string payload_for(RowId row) {
    return "payload of row " + std::to_string(row) + std::string(300, 'p');
}

class SqliteDamage : public SqliteStoreTest {
  protected:
    void SetUp() override {
        begin();
        Batch entries = batch(save_session(256), save_session(512), core::SaveSubscription{256, "a/#", {}},
                              core::SaveProgress{512, {}, {1, 2, 3}});
        for (std::uint64_t i = 1; i <= messages; ++i)
            entries.emplace_back(append(row_id(i), payload_for(row_id(i)), {target(256), target(512)}));
        for (int i = 0; i < 200; ++i)
            entries.emplace_back(core::SetRetained{message("topic/" + std::to_string(i), "retained")});
        post_and_wait(std::move(entries));
        stop();
        fine_ = read_db();
    }

    /// Everything served is what was once written, and the store works and is whole at the next start.
    std::size_t check_what_is_served() {
        std::size_t served = 0;
        for (const SessionKey key : {SessionKey{256}, SessionKey{512}}) {
            const Loaded loaded = load(key);
            for (const auto& entry : loaded.entries)
                EXPECT_EQ(payload_of(entry.message), payload_for(entry.row));
            served = std::max(served, loaded.entries.size());
        }
        for (const auto& m : recovered_.retained) EXPECT_EQ(payload_of(m), "retained");
        const SessionKey fresh = recovered_.session_key_max + 256;
        const RowId row = recovered_.row_max + 256;
        post_and_wait(batch(save_session(fresh), append(row, payload_for(row), {target(fresh)})));
        stop();
        begin();
        EXPECT_THAT(recovered_.damage, IsEmpty()) << "the second start finds nothing more";
        EXPECT_EQ(load(fresh).entries.size(), 1U);
        return served;
    }

    std::size_t files_set_aside() const {
        std::size_t count = 0;
        for (const auto& entry : std::filesystem::directory_iterator(dir_.path())) {
            const std::string name = entry.path().filename().string();
            count +=
                name.starts_with("sluice.db.damaged-") && !name.ends_with("-wal") && !name.ends_with("-shm");
        }
        return count;
    }

    std::string fine_;
};

TEST_F(SqliteDamage, a_file_that_is_no_database_is_set_aside) {
    write_db("this is not a database, it is a text that somebody put here\n" + std::string(9000, '#'));
    begin();
    ASSERT_EQ(recovered_.damage.size(), 2U);
    EXPECT_THAT(recovered_.damage[0], HasSubstr("was damaged"));
    EXPECT_THAT(recovered_.damage[1], HasSubstr("nothing could be read from it"));
    EXPECT_THAT(recovered_.damage[0], HasSubstr("sluice.db.damaged-"));
    EXPECT_EQ(files_set_aside(), 1U);
    check_what_is_served();
}

TEST_F(SqliteDamage, a_zeroed_first_page_costs_nothing) {
    std::string bytes = fine_;
    std::fill(bytes.begin(), bytes.begin() + page, '\0');
    write_db(bytes);
    begin();
    EXPECT_THAT(recovered_.damage, Not(IsEmpty()));
    EXPECT_EQ(check_what_is_served(), messages) << "all but the list of the tables, which is always the same";
}

TEST_F(SqliteDamage, a_file_of_zeros_is_set_aside) {
    write_db(std::string(fine_.size(), '\0'));
    begin();
    EXPECT_THAT(recovered_.damage, Not(IsEmpty()));
    check_what_is_served();
}

TEST_F(SqliteDamage, one_zeroed_page_costs_little_more_than_itself) {
    std::string bytes = fine_;
    const std::size_t at = bytes.find("payload of row " + std::to_string(row_id(messages / 2))) / page * page;
    std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), page, '\0');
    write_db(bytes);
    begin();
    EXPECT_THAT(recovered_.damage, Not(IsEmpty()));
    EXPECT_EQ(recovered_.sessions.size(), 2U);
    EXPECT_EQ(recovered_.retained.size(), 200U);
    EXPECT_GE(check_what_is_served(), messages - 60);
}

TEST_F(SqliteDamage, a_truncated_file_gives_what_is_left) {
    for (const std::size_t size :
         {fine_.size() / 2, fine_.size() - 1, fine_.size() / 3 + 100, std::size_t{100}}) {
        SCOPED_TRACE("cut to " + std::to_string(size));
        write_db(fine_.substr(0, size));
        begin();
        EXPECT_THAT(recovered_.damage, Not(IsEmpty()));
        check_what_is_served();
        stop();
    }
}

TEST_F(SqliteDamage, flipped_bits_never_stop_it_and_never_change_a_message) {
    constexpr std::uint64_t seed = 99;
    std::mt19937_64 random(seed);
    for (int round = 0; round < 24; ++round) {
        SCOPED_TRACE("seed 99 round " + std::to_string(round));
        std::string bytes = fine_;
        const int flips = round % 2 == 0 ? 1 : 50;
        for (int i = 0; i < flips; ++i) {
            // Every fourth round hits the first pages, where the shape of the file is told.
            const std::size_t at = random() % (round % 4 == 0 ? 8 * page : bytes.size());
            bytes[at] = static_cast<char>(bytes[at] ^ (1 << (random() % 8)));
        }
        write_db(bytes);
        // Newer versions are refused, and that bit may be the one.
        if (open_error().find("newer Sluice") != std::string::npos) continue;
        begin();
        check_what_is_served();
        stop();
        if (HasFailure()) return;
    }
    EXPECT_LE(files_set_aside(), 3U) << "old ones are deleted";
}

TEST_F(SqliteDamage, one_flipped_payload_bit_costs_one_message) {
    std::string bytes = fine_;
    // Wherever it stands: a split page leaves an old copy behind.
    const std::string payload = payload_for(row_id(7));
    for (std::size_t at = 0; (at = bytes.find(payload, at)) != std::string::npos; ++at) bytes[at + 40] ^= 4;
    write_db(bytes);
    begin();
    EXPECT_THAT(recovered_.damage, IsEmpty()) << "bodies are judged when they are read";
    EXPECT_EQ(load(256).entries.size(), messages - 1);
    EXPECT_EQ(load(512).entries.size(), messages - 1);
    post_and_wait({});
    EXPECT_EQ(query("SELECT row FROM damaged"), static_cast<std::int64_t>(row_id(7)));
    stop();
    begin();
    for (const auto& session : recovered_.sessions) EXPECT_EQ(session.queue_messages, messages - 1);
}

TEST_F(SqliteDamage, a_note_that_does_not_hold_is_left_out_alone) {
    write_db(fine_);
    begin();
    post_and_wait(batch(core::NoteArrival{256, 5, 77, row_id(1), {512}, {}},
                        core::NoteArrival{256, 6, 77, row_id(2), {512}, {}},
                        core::NoteArrival{512, 7, 77, row_id(3), {256}, {}}));
    stop();
    change(
        "UPDATE arrival SET receivers=x'00010203' WHERE packet_id=5;"
        "DELETE FROM session WHERE key=512");
    begin();
    ASSERT_EQ(recovered_.damage.size(), 1U);
    EXPECT_THAT(recovered_.damage[0], HasSubstr("1 notes of who has a QoS 2 message"));
    ASSERT_EQ(recovered_.sessions[0].arrivals.size(), 1U);
    EXPECT_EQ(recovered_.sessions[0].arrivals[0].packet_id, 6);
    stop();
    EXPECT_EQ(query("SELECT count(*) FROM arrival"), 1);
    begin();
    EXPECT_THAT(recovered_.damage, IsEmpty());
}

TEST_F(SqliteDamage, what_was_noted_is_saved_from_a_damaged_file) {
    write_db(fine_);
    begin();
    post_and_wait(batch(core::NoteArrival{256, 5, 77, row_id(1), {512}, {}}));
    stop();
    std::string bytes = read_db();
    const std::size_t at = bytes.find("payload of row " + std::to_string(row_id(messages / 2))) / page * page;
    std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), page, '\0');
    write_db(bytes);
    begin();
    EXPECT_THAT(recovered_.damage, Not(IsEmpty()));
    ASSERT_EQ(recovered_.sessions.size(), 2U);
    EXPECT_EQ(recovered_.sessions[0].arrivals.size(), 1U);
}

TEST_F(SqliteDamage, a_log_of_rubbish_is_not_believed) {
    std::ofstream(db_path() + "-wal", std::ios::binary) << std::string(50000, 'w');
    begin();
    EXPECT_EQ(load(256).entries.size(), messages);
}

TEST_F(SqliteDamage, damage_while_it_runs_is_mended_while_it_runs) {
    // Much more than the page cache holds.
    begin();
    Batch more;
    for (std::uint64_t i = 1; i <= 2000; ++i) {
        const RowId row = recovered_.row_max + i * 256;
        more.emplace_back(append(row, payload_for(row) + std::string(2000, 'q'), {target(512)}));
    }
    post_and_wait(std::move(more));
    stop();
    begin();
    {
        std::fstream out(db_path(), std::ios::binary | std::ios::in | std::ios::out);
        out.seekp(static_cast<std::streamoff>(fine_.size() / 4 / page * page));
        const std::string zeros(20 * page, '\0');
        out.write(zeros.data(), static_cast<std::streamsize>(zeros.size()));
    }
    const Loaded loaded = load(256);
    EXPECT_TRUE(loaded.exhausted);
    EXPECT_LT(loaded.entries.size(), messages);
    EXPECT_GT(loaded.entries.size(), messages / 2);
    EXPECT_GE(files_set_aside(), 1U);
    EXPECT_EQ(store_->stats().in_trouble, false);
    const RowId last = recovered_.row_max + (std::uint64_t{1} << 32);
    post_and_wait(batch(append(last, payload_for(last), {target(256)})));
    stop();
    begin();
    EXPECT_THAT(recovered_.damage, IsEmpty());
    EXPECT_EQ(load(256).entries.size(), loaded.entries.size() + 1);
}

}  // namespace
}  // namespace sluice::store::testing
