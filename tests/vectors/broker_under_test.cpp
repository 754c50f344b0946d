#include "broker_under_test.hpp"

#include "app/wiring.hpp"
#include "base/log.hpp"
#include "packet.hpp"
#include "tests/support/sluiced_process.hpp"

namespace sluice::test {
namespace {

std::string config_text(int threads, const std::string& data_dir, const std::string& mode,
                        const std::string& limits) {
    return "[broker]\ndata_dir = \"" + data_dir + "\"\nthreads = " + std::to_string(threads) +
           "\n[[listener]]\naddress = \"127.0.0.1\"\nport = 0\nanonymous = true\n[durability]\nmode = \"" +
           mode + "\"\nwindow = \"5ms\"\n[limits]\n" + limits;
}

class MemoryBroker final : public BrokerUnderTest {
  public:
    MemoryBroker(int threads, const std::string& limits) {
        log::set_level(log::Level::error);
        auto config =
            app::parse_config(config_text(threads, "data", "memory", limits), "conversation.toml", modules_);
        if (!config) throw Mismatch("vector: " + app::to_string(config.error().front()));
        wiring_ = std::make_unique<app::Wiring>(std::move(config).value(), modules_);
        if (auto started = wiring_->start(); !started) throw Mismatch(started.error());
    }
    std::uint16_t port() const override { return wiring_->ports().front(); }
    void restart() override { throw Mismatch("vector: what must survive a restart is for the process only"); }

    void stop() override { wiring_->stop(); }

  private:
    app::ModuleSource modules_;
    std::unique_ptr<app::Wiring> wiring_;
};

class ProcessBroker final : public BrokerUnderTest {
  public:
    ProcessBroker(int threads, const std::string& limits)
        : config_(config_text(threads, folder_.path() / "data", "commit", limits)), process_(folder_.path()) {
        start();
    }
    std::uint16_t port() const override { return process_.port(); }
    void restart() override {
        process_.kill();
        start();
    }
    void stop() override {
        if (!process_.stop()) throw Mismatch("sluiced did not end well: " + process_.log());
    }

  private:
    void start() {
        if (!process_.start(config_)) throw Mismatch("sluiced does not start: " + process_.log());
    }

    TempFolder folder_;
    std::string config_;
    SluicedProcess process_;
};

}  // namespace

std::unique_ptr<BrokerUnderTest> make_memory_broker(int threads, const std::string& limits) {
    return std::make_unique<MemoryBroker>(threads, limits);
}

std::unique_ptr<BrokerUnderTest> make_process_broker(int threads, const std::string& limits) {
    return std::make_unique<ProcessBroker>(threads, limits);
}

}  // namespace sluice::test
