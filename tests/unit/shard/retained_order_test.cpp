// Two shards change one retained message at the same moment: the disk must end with what memory has.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <functional>
#include <memory>

#include "shard/shard.hpp"
#include "wire/encode.hpp"

namespace sluice::shard {
namespace {

/// Runs something in the middle of a shard's turn: after a message was retained, before it is delivered.
class Interrupter final : public auth::Authorizer {
  public:
    bool allows(auth::Action, std::string_view, std::string_view, std::string_view) const override {
        if (const auto run = std::exchange(once, nullptr)) run();
        return true;
    }
    mutable std::function<void()> once;
};

class Deaf final : public store::StoreEvents {
  public:
    void on_committed(store::ShardIndex, store::TurnNumber) override {}
    void on_queue_loaded(store::ShardIndex, core::SessionKey, std::vector<core::QueueEntry>, bool) override {}
    void on_oldest_found(store::ShardIndex, core::SessionKey, std::vector<core::StoredRow>, bool) override {}
    void on_store_trouble(const std::string&) override {}
};

class RetainedOnTwoShards : public testing::Test {
  protected:
    RetainedOnTwoShards() {
        EXPECT_TRUE(store_->open().ok());
        store_->start(events_);
        for (std::uint32_t i = 0; i < shards_.size(); ++i)
            shards_[i] = std::make_unique<Shard>(i, SharedParts{store_.get(), &retained_, rights_, {}});
        for (auto& shard : shards_) shard->set_peers({shards_[0]->as_peer(), shards_[1]->as_peer()});
        // Somebody on the first one, whose right to read it asks for.
        int fds[2] = {-1, -1};
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
        fd_ = fds[0];
        Admission admission;
        admission.channel.fd = fds[1];
        admission.client_id = "reader";
        shards_[0]->post_admission(std::move(admission));
        run_all();
        wire::Subscribe packet;
        packet.packet_id = 1;
        packet.entries.push_back({.filter = "t"});
        ByteBuffer out;
        wire::encode_subscribe(out, wire::Version::v5, packet);
        EXPECT_EQ(::send(fd_, out.data(), out.size(), MSG_NOSIGNAL), static_cast<ssize_t>(out.size()));
        run_all();
    }
    ~RetainedOnTwoShards() override { ::close(fd_); }

    void run_all() {
        for (bool busy = true; busy;) busy = shards_[0]->run_ready() || shards_[1]->run_ready();
    }
    void retain(std::size_t shard, std::string_view payload) {
        shards_[shard]->post_publish(core::Message::freeze(
            {.topic = "t", .payload = as_bytes(payload), .retain = true, .received = Now::read().wall}));
    }
    /// The second shard's change comes in the middle of the turn in which the first makes its own, and is
    /// with the store before it.
    void retain_on_both(std::string_view first, std::string_view second) {
        bool interrupted = false;
        rights_->once = [&] {
            interrupted = true;
            retain(1, second);
            ASSERT_TRUE(shards_[1]->run_ready());
        };
        retain(0, first);
        ASSERT_TRUE(shards_[0]->run_ready());
        ASSERT_TRUE(interrupted);
        run_all();
    }
    std::string in_memory() const {
        const core::MessagePtr message = retained_.find("t");
        return message ? std::string(as_text(message->payload())) : "";
    }
    /// As a restart would find it.
    std::string on_disk() {
        store_->stop();
        const auto recovered = store_->open();
        EXPECT_TRUE(recovered.ok());
        std::string found;
        for (const core::MessagePtr& message : recovered->retained) found += as_text(message->payload());
        return found;
    }

    std::unique_ptr<store::Store> store_ = store::make_memory_store();
    core::RetainedIndex retained_{100, 2};
    std::shared_ptr<Interrupter> rights_ = std::make_shared<Interrupter>();
    Deaf events_;
    std::array<std::unique_ptr<Shard>, 2> shards_;
    int fd_ = -1;
};

TEST_F(RetainedOnTwoShards, TheLastOneInMemoryIsTheLastOneOnDisk) {
    retain_on_both("older", "newer");
    EXPECT_EQ(in_memory(), "newer");
    EXPECT_EQ(on_disk(), "newer");
}

TEST_F(RetainedOnTwoShards, ClearedInMemoryIsClearedOnDisk) {
    retain_on_both("older", "");
    EXPECT_EQ(in_memory(), "");
    EXPECT_EQ(on_disk(), "");
}

TEST_F(RetainedOnTwoShards, SetAnewInMemoryIsOnDisk) {
    retain(0, "before");
    run_all();
    retain_on_both("", "anew");
    EXPECT_EQ(in_memory(), "anew");
    EXPECT_EQ(on_disk(), "anew");
}

// What was cleared in memory may still be on disk: whoever clears it again is not told before it is gone.
TEST_F(RetainedOnTwoShards, ClearingTwiceClearsTheDiskWithTheFirstThatIsDurable) {
    retain(0, "before");
    run_all();
    std::string after_second;
    rights_->once = [&] {
        retain(1, "");
        ASSERT_TRUE(shards_[1]->run_ready());
        after_second = on_disk();
        store_->start(events_);
    };
    retain(0, "");
    ASSERT_TRUE(shards_[0]->run_ready());
    EXPECT_EQ(after_second, "");
    EXPECT_EQ(on_disk(), "");
}

}  // namespace
}  // namespace sluice::shard
