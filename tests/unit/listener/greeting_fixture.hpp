#pragma once
/// What the tests of greetings share: listeners with one door, an inlet that keeps who was let in.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "listener/listener.hpp"
#include "tests/support/late_authenticator.hpp"
#include "tests/support/raw_client.hpp"

namespace sluice::listener {

using test::LateAuthenticator;
using test::RawClient;
using wire::ReasonCode;

/// Keeps who was let in.
class Hall final : public shard::Inlet, public shard::InletSet {
  public:
    void post_admission(shard::Admission admission) override {
        const std::lock_guard lock(mutex_);
        admitted_ = std::move(admission);
        news_.notify_all();
    }
    void post_link(shard::LinkSpec) override {}
    void post_note(shard::LinkNumber, shard::LinkNote) override {}
    void post_remove_link(shard::LinkNumber) override {}
    void post_publish(core::MessagePtr) override {}
    void post_brought(std::shared_ptr<shard::BroughtSink>, std::vector<shard::BroughtMessage>) override {}
    void post_link_sessions(shard::LinkSessionErrand) override {}
    shard::Inlet& home_of(std::string_view) override { return *this; }
    std::size_t size() const override { return 1; }
    shard::Inlet& at(std::size_t) override { return *this; }

    std::optional<shard::Admission> next() {
        std::unique_lock lock(mutex_);
        news_.wait_for(lock, std::chrono::seconds(20), [&] { return admitted_.has_value(); });
        return std::exchange(admitted_, std::nullopt);
    }
    bool is_empty() {
        const std::lock_guard lock(mutex_);
        return !admitted_;
    }

  private:
    std::mutex mutex_;
    std::condition_variable news_;
    std::optional<shard::Admission> admitted_;
};

class GreetingTest : public testing::Test {
  protected:
    void start(std::chrono::seconds connect_timeout = std::chrono::seconds(10),
               std::uint32_t handshakes_max = 100) {
        Doorkeeping doors;
        doors.inlets = &door_;
        doors.authenticator = passwords_ ? passwords_ : authenticator_;
        doors.authorizer = authorizer_;
        doors.limits.connect_timeout = connect_timeout;
        doors.limits.handshakes_max = handshakes_max;
        listeners_ = std::make_unique<Listeners>(doors, 1);
        ListenerSettings settings;
        settings.address = "127.0.0.1";
        settings.port = 0;
        const auto opened = listeners_->open({settings});
        ASSERT_TRUE(opened.ok()) << opened.error();
        listeners_->start();
    }
    /// From an address of the loopback network.
    std::unique_ptr<RawClient> open(std::uint32_t from = INADDR_LOOPBACK) {
        const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(from);
        EXPECT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(listeners_->ports().front());
        EXPECT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
        return std::make_unique<RawClient>(fd);
    }
    /// Connected, and CONNECT sent.
    std::unique_ptr<RawClient> connect(std::string_view data, std::optional<wire::Will> will = {}) {
        auto client = open();
        wire::Connect packet;
        packet.will = std::move(will);
        packet.client_id = "c";
        packet.properties.authentication_method = LateAuthenticator::method;
        packet.properties.authentication_data = as_bytes(data);
        ByteBuffer out;
        wire::encode_connect(out, packet);
        client->send(out);
        return client;
    }
    LateAuthenticator::Question question() {
        auto next = authenticator_->next_question();
        EXPECT_TRUE(next) << "nobody was asked";
        return next ? std::move(*next) : LateAuthenticator::Question{};
    }
    static ByteBuffer bytes(std::string_view text) { return {text.begin(), text.end()}; }

    Hall door_;
    std::shared_ptr<LateAuthenticator> authenticator_ = std::make_shared<LateAuthenticator>();
    std::shared_ptr<auth::Authenticator> passwords_;  ///< asked instead, when set
    std::shared_ptr<const auth::Authorizer> authorizer_ = auth::make_allow_all_authorizer();
    std::unique_ptr<Listeners> listeners_;
};

}  // namespace sluice::listener
