#include "bridge/worker.hpp"

#include <gtest/gtest.h>

#include <future>

namespace sluice::bridge {
namespace {

using std::chrono::milliseconds;

/// Goes up, passes on what it is told to, ends when it is told to; `stubborn` ones must be interrupted.
class FakeEngine final : public Engine {
  public:
    explicit FakeEngine(bool stubborn) : stubborn_(stubborn) {}
    void run(Worker& worker) override {
        worker.up();
        while (!worker.stopping()) {
            worker.pause(milliseconds(5));
            for (auto& out : worker.take()) confirms_.push_back({out.lane, out.tag, Outcome::delivered, {}});
            worker.confirm(confirms_);
        }
        if (stubborn_) interrupted_.get_future().wait();
        worker.down("after stop");
    }
    void interrupt() override { interrupted_.set_value(); }

  private:
    bool stubborn_;
    std::promise<void> interrupted_;
    std::vector<Confirm> confirms_;
};

class Events final : public ConnectorEvents {
  public:
    void on_up(std::uint64_t epoch) override { up_.set_value(epoch); }
    void on_down(const std::string&) override { ++downs_; }
    void on_confirm(std::span<const Confirm> confirms) override {
        confirmed_ += confirms.size();
        if (confirmed_ >= 2) both_.set_value();
    }

    std::promise<std::uint64_t> up_;
    std::promise<void> both_;
    std::size_t confirmed_ = 0;
    std::atomic<int> downs_{0};
};

TEST(Worker, passes_offers_of_its_epoch_in_and_confirms_out) {
    Events events;
    const auto connector = make_connector("test", std::make_unique<FakeEngine>(false));
    connector->start(events, {});
    const auto epoch = events.up_.get_future().get();
    connector->offer(epoch + 1, {{0, 0, 7, false, {}}});
    connector->offer(epoch, {{0, 0, 1, false, {}}, {0, 0, 2, false, {}}});
    EXPECT_EQ(events.both_.get_future().wait_for(std::chrono::seconds(30)), std::future_status::ready);
    connector->stop(milliseconds(0));
    EXPECT_EQ(events.confirmed_, 2U);
}

TEST(Worker, stop_interrupts_what_does_not_end_within_the_grace) {
    Events events;
    const auto connector = make_connector("test", std::make_unique<FakeEngine>(true));
    connector->start(events, {});
    events.up_.get_future().wait();
    connector->stop(milliseconds(20));
    connector->stop(milliseconds(20));  // once more does no harm
    const int downs = events.downs_;
    connector->offer(1, {{0, 0, 1, false, {}}});
    EXPECT_EQ(events.downs_, downs);
}

TEST(Worker, every_connection_of_the_process_has_an_epoch_of_its_own) {
    Events first, second;
    const auto a = make_connector("a", std::make_unique<FakeEngine>(false));
    const auto b = make_connector("b", std::make_unique<FakeEngine>(false));
    a->start(first, {});
    b->start(second, {});
    EXPECT_NE(first.up_.get_future().get(), second.up_.get_future().get());
}

}  // namespace
}  // namespace sluice::bridge
