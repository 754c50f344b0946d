#pragma once
/// A SQLite store in a folder of its own, and a look into its file from outside.
#include <sqlite3.h>

#include <fstream>
#include <iterator>

#include "store_support.hpp"

namespace sluice::store::testing {

class SqliteStoreTest : public ::testing::Test {
  protected:
    SqliteStoreTest() {
        settings_.data_dir = dir_.path();
        settings_.durability.window = 2ms;
        settings_.reserve_bytes = 0;
        settings_.retry_pause = 10ms;
    }
    void TearDown() override { stop(); }

    void begin() {
        store_ = make_sqlite_store(settings_);
        auto opened = store_->open();
        ASSERT_TRUE(opened.ok()) << opened.error();
        recovered_ = std::move(opened).value();
        observer_ = std::make_unique<Observer>();
        store_->start(*observer_);
        turn_ = 0;
    }
    void stop() {
        if (store_) store_->stop();
        store_.reset();
    }
    void post(Batch entries) { store_->post_batch(0, ++turn_, std::move(entries)); }
    void post_and_wait(Batch entries) {
        post(std::move(entries));
        ASSERT_TRUE(observer_->wait_committed(0, turn_));
    }
    Loaded load(SessionKey session, RowId after = 0, std::size_t messages_max = 1000000) {
        store_->post_load_queue(0, session, after, messages_max, std::size_t{1} << 40);
        return observer_->next_loaded();
    }
    std::string open_error() {
        auto store = make_sqlite_store(settings_);
        auto opened = store->open();
        return opened.ok() ? std::string() : opened.error();
    }

    std::string db_path() const { return dir_.file("sluice.db"); }
    std::string read_db() const {
        std::ifstream in(db_path(), std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }
    void write_db(const std::string& bytes) const {
        std::ofstream out(db_path(), std::ios::binary | std::ios::trunc);
        out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    }
    /// As an operator with the `sqlite3` tool would.
    std::int64_t query(const std::string& sql) const {
        sqlite3* db = nullptr;
        sqlite3_stmt* statement = nullptr;
        EXPECT_EQ(sqlite3_open_v2(db_path().c_str(), &db, SQLITE_OPEN_READONLY, nullptr), SQLITE_OK);
        EXPECT_EQ(sqlite3_prepare_v2(db, sql.c_str(), -1, &statement, nullptr), SQLITE_OK)
            << sqlite3_errmsg(db);
        EXPECT_EQ(sqlite3_step(statement), SQLITE_ROW) << sqlite3_errmsg(db);
        const auto value = sqlite3_column_int64(statement, 0);
        sqlite3_finalize(statement);
        sqlite3_close(db);
        return value;
    }
    void change(const std::string& sql) const {
        sqlite3* db = nullptr;
        EXPECT_EQ(sqlite3_open(db_path().c_str(), &db), SQLITE_OK);
        EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(db);
        sqlite3_close(db);
    }

    TempDir dir_;
    StoreSettings settings_;
    std::unique_ptr<Observer> observer_;
    std::unique_ptr<Store> store_;
    Recovered recovered_;
    TurnNumber turn_ = 0;
};

}  // namespace sluice::store::testing
