#pragma once
/// BridgeSet: all bridges, as the settings have them: made at the start, exchanged at a reload, and what
/// operators may do to them.
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "app/config.hpp"
#include "bridge/runner.hpp"
#include "shard/bridge_control.hpp"
#include "shard/inlet.hpp"

namespace sluice::app {

/// Operators' calls and statistics from any thread; the rest from one.
class BridgeSet final : public shard::BridgeControl {
  public:
    /// `inlets` outlives this. `origin` and `store_id`: as ConnectorSpec has them.
    BridgeSet(const ModuleSource& modules, shard::InletSet& inlets, std::string origin, std::string store_id)
        : modules_(modules), inlets_(inlets), origin_(std::move(origin)), store_id_(std::move(store_id)) {}
    ~BridgeSet() override { stop(); }

    /// Checks what only connectors can check; opens nothing.
    Result<void, std::string> make(const std::vector<bridge::BridgeSettings>& settings);
    /// `spools`: client ids of the sessions of bridges that are there. Those that no bridge has any more are
    /// kept, and nothing enters them.
    void start(const std::vector<std::string>& spools);
    /// Stops what is gone or has changed, starts what is new or has changed; the others do not notice. One
    /// that cannot be made leaves the old one running, with a line in the log.
    void reload(const std::vector<bridge::BridgeSettings>& settings);
    void stop();

    std::vector<shard::BridgeStatus> status() const;
    /// About every 5 s.
    void sample();

    // BridgeControl
    Done<void> pause(const std::string& bridge) override;
    Done<void> resume(const std::string& bridge) override;
    Done<std::vector<shard::DeadLetter>> dead_letters(const std::string& bridge, std::uint64_t after,
                                                      std::size_t count_max) override;
    Done<shard::DeadLetter> dead_letter(const std::string& bridge, std::uint64_t id) override;
    Done<std::size_t> retry_dead(const std::string& bridge, std::vector<std::uint64_t> ids) override;
    Done<std::size_t> drop_dead(const std::string& bridge, std::vector<std::uint64_t> ids) override;
    Done<std::vector<shard::LeftoverSpool>> leftovers() override;
    Done<std::size_t> forget(const std::string& bridge, const std::string& route) override;

  private:
    using Runner = std::shared_ptr<bridge::BridgeRunner>;

    Result<Runner, std::string> make_runner(const bridge::BridgeSettings& settings) const;
    bool same(const bridge::BridgeSettings& a, const bridge::BridgeSettings& b) const;
    /// Either may be null.
    void exchange(const Runner& old, const Runner& fresh);
    void replace(const Runner& old, const Runner& fresh);
    std::vector<Runner> all() const;
    Runner find(const std::string& bridge) const;
    Done<void> set_paused(const std::string& bridge, bool paused);
    Done<std::vector<shard::DeadLetterRequest::Answer>> ask(const std::string& bridge,
                                                            shard::DeadLetterRequest request) const;
    Done<std::size_t> change_dead(const std::string& bridge, shard::DeadLetterRequest::Task task,
                                  std::vector<std::uint64_t> ids);
    Done<std::vector<shard::LinkSessionErrand::Found>> ask_sessions(shard::LinkSessionErrand::Task task,
                                                                    const std::string& prefix) const;

    const ModuleSource& modules_;
    shard::InletSet& inlets_;
    const std::string origin_, store_id_;
    mutable std::mutex mutex_;  ///< of the list; a runner that was taken out of it lives on in who uses it
    std::vector<Runner> bridges_;
};

}  // namespace sluice::app
