#pragma once
/// StoreContract: one test, run with each implementation of the Store port.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "store_support.hpp"

namespace sluice::store::testing {

enum class Kind { memory, sqlite_commit, sqlite_interval };

class StoreContract : public ::testing::TestWithParam<Kind> {
  protected:
    void SetUp() override { begin(); }
    void TearDown() override {
        if (store_) store_->stop();
    }

    void begin() {
        if (!store_) store_ = make();
        auto opened = store_->open();
        ASSERT_TRUE(opened.ok()) << opened.error();
        recovered_ = std::move(opened).value();
        EXPECT_THAT(recovered_.damage, ::testing::IsEmpty());
        observer_ = std::make_unique<Observer>();
        store_->start(*observer_);
        turn_ = 0;
    }
    /// As after a restart of the process; the store in memory lives in its object.
    void reopen() {
        store_->stop();
        if (GetParam() != Kind::memory) store_.reset();
        begin();
    }
    void post(Batch entries) { store_->post_batch(0, ++turn_, std::move(entries)); }
    void post_and_wait(Batch entries) {
        post(std::move(entries));
        ASSERT_TRUE(observer_->wait_committed(0, turn_));
    }
    Loaded load(SessionKey session, RowId after = 0, std::size_t messages_max = 100,
                std::size_t bytes_max = 1 << 20) {
        store_->post_load_queue(0, session, after, messages_max, bytes_max);
        return observer_->next_loaded();
    }
    static std::vector<RowId> rows(const Loaded& loaded) {
        std::vector<RowId> out;
        for (const auto& entry : loaded.entries) out.push_back(entry.row);
        return out;
    }
    const RecoveredSession& recovered(SessionKey key) {
        for (const auto& session : recovered_.sessions)
            if (session.record.key == key) return session;
        ADD_FAILURE() << "session " << key << " is gone";
        static const RecoveredSession none;
        return none;
    }

    TempDir dir_;
    std::unique_ptr<Observer> observer_;
    std::unique_ptr<Store> store_;
    Recovered recovered_;
    TurnNumber turn_ = 0;
    std::chrono::milliseconds window_{5};

  private:
    std::unique_ptr<Store> make() const {
        if (GetParam() == Kind::memory) return make_memory_store();
        StoreSettings settings;
        settings.data_dir = dir_.path();
        settings.durability.window = window_;
        settings.durability.mode =
            GetParam() == Kind::sqlite_commit ? DurabilityMode::commit : DurabilityMode::interval;
        settings.reserve_bytes = 0;
        return make_sqlite_store(settings);
    }
};

constexpr SessionKey s1 = session_key(1), s2 = session_key(2), s3 = session_key(3);

inline const auto every_kind = ::testing::Values(Kind::memory, Kind::sqlite_commit, Kind::sqlite_interval);
inline std::string name_of_kind(const ::testing::TestParamInfo<Kind>& kind) {
    if (kind.param == Kind::memory) return "memory";
    return kind.param == Kind::sqlite_commit ? "sqlite_commit" : "sqlite_interval";
}

}  // namespace sluice::store::testing
