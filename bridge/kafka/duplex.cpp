#include <thread>

#include "bridge/kafka/receiver.hpp"

namespace sluice::bridge::kafka {
namespace {

class Duplex final : public Connector {
  public:
    Duplex(std::unique_ptr<Connector> up, std::unique_ptr<Connector> down)
        : up_(std::move(up)), down_(std::move(down)) {}

    void start(ConnectorEvents& events, std::vector<LaneName> lanes) override {
        up_->start(events, std::move(lanes));
        down_->start(events, {});
    }
    void offer(std::uint64_t epoch, std::vector<Outgoing> batch) override {
        up_->offer(epoch, std::move(batch));
    }
    void settle(std::vector<Settled> settled) override { down_->settle(std::move(settled)); }
    void stop(std::chrono::milliseconds grace) override {
        std::thread other([this, grace] { down_->stop(grace); });
        up_->stop(grace);
        other.join();
    }

  private:
    const std::unique_ptr<Connector> up_, down_;
};

}  // namespace

std::unique_ptr<Connector> make_duplex(std::unique_ptr<Connector> up, std::unique_ptr<Connector> down) {
    return std::make_unique<Duplex>(std::move(up), std::move(down));
}

}  // namespace sluice::bridge::kafka
