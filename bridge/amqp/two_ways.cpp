#include "bridge/amqp/two_ways.hpp"

#include <thread>
#include <utility>

namespace sluice::bridge::amqp {
namespace {

class TwoWays final : public Connector {
  public:
    TwoWays(std::unique_ptr<Connector> up, std::unique_ptr<Connector> down)
        : up_(std::move(up)), down_(std::move(down)) {}

    void start(ConnectorEvents& events, std::vector<LaneName> lanes) override {
        up_->start(events, std::move(lanes));
        down_->start(events, {});
    }
    void offer(std::uint64_t epoch, std::vector<Outgoing> batch) override {
        up_->offer(epoch, std::move(batch));
    }
    void settle(std::vector<Settled> settled) override { down_->settle(std::move(settled)); }
    /// Both at once: the grace is for the two of them.
    void stop(std::chrono::milliseconds grace) override {
        std::thread other([&] { down_->stop(grace); });
        up_->stop(grace);
        other.join();
    }

  private:
    std::unique_ptr<Connector> up_, down_;
};

}  // namespace

std::unique_ptr<Connector> make_two_ways(std::unique_ptr<Connector> up, std::unique_ptr<Connector> down) {
    return std::make_unique<TwoWays>(std::move(up), std::move(down));
}

}  // namespace sluice::bridge::amqp
