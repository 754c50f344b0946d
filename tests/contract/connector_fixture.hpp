#pragma once
/// What the contract suite and the suites of single connectors share.
#include <gtest/gtest.h>

#include "bridge/module_loader.hpp"
#include "tests/contract/feeder.hpp"
#include "tests/contract/peer.hpp"

namespace sluice::bridge::test {

class ConnectorFixture : public ::testing::Test {
  protected:
    /// Ends the test as skipped when the peer cannot run here: `if (!use(name)) GTEST_SKIP() << why_;`
    bool use(const std::string& peer_name) {
        peer_ = peer_of(peer_name, why_);
        if (!peer_) return false;
        auto module = loader().load(type_of(peer_name));
        if (!module) {
            ADD_FAILURE() << module.error();
            return false;
        }
        settings_ = make_settings(**module);
        peer_->configure(settings_);
        place_ = peer_name + "-" + ::testing::UnitTest::GetInstance()->current_test_info()->name();
        for (char& c : place_)
            if (c == '/') c = '-';
        return true;
    }
    static ModuleLoader& loader() {
        static ModuleLoader instance({SLUICE_BINARY_DIR "/lib/sluice"});
        return instance;
    }
    void start() {
        auto created = settings_.module->create(settings_.spec);
        ASSERT_TRUE(created.ok()) << created.error();
        connector_ = std::move(created).value();
        feeder_.attach(*connector_);
        connector_->start(feeder_, lanes());
    }
    /// More than any test offers through.
    static std::vector<LaneName> lanes() {
        std::vector<LaneName> all;
        for (std::uint32_t lane = 0; lane < 10; ++lane)
            all.push_back({lane, "plant.#/" + std::to_string(lane)});
        return all;
    }
    void start_at_place() {
        peer_->configure_place(settings_, place_);
        start();
    }
    void TearDown() override {
        if (connector_) connector_->stop(std::chrono::milliseconds(100));
    }
    std::string last_down() {
        return feeder_.read([&] { return feeder_.downs_.empty() ? "" : feeder_.downs_.back(); });
    }

    std::string why_;
    Peer* peer_ = nullptr;
    SettingsUnderTest settings_{};
    std::string place_;
    Feeder feeder_;
    std::unique_ptr<Connector> connector_;
};

}  // namespace sluice::bridge::test
