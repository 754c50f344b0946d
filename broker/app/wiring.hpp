#pragma once
/// Wiring: builds the house bottom up, tears it down top down. The one place that names all concrete classes.
#include <memory>
#include <string>
#include <vector>

#include "admin/http_server.hpp"
#include "app/bridge_set.hpp"
#include "app/broker_stats.hpp"
#include "app/clock_file.hpp"
#include "app/config.hpp"
#include "app/shard_set.hpp"
#include "auth/decoy_secret.hpp"
#include "core/retained_index.hpp"
#include "listener/listener.hpp"

namespace sluice::app {

class Wiring {
  public:
    Wiring(Config config, const ModuleSource& modules);
    ~Wiring();

    /// Opens store, files and sockets and starts all threads; returns when the broker serves. The error is
    /// one line; whatever was built is torn down by the destructor.
    Result<void, std::string> start();
    /// In order: doors, bridges, connections, store. Everything acknowledged is durable when it returns.
    void stop();

    /// Applies what may change without dropping clients: rights, passwords, certificates, limits. Says in the
    /// log what needs a restart.
    void reload(Config config);
    /// Asks the shards for a sign of life; false when one has not given the last one. Call every few seconds,
    /// from one thread.
    bool probe_liveness();
    /// Publishes those $SYS topics that have changed. Call every `sys_interval()`, from one thread; start()
    /// has done it once.
    void publish_sys();
    /// What bridges have done since the last time, for their rates. Call about every 5 s, from one thread.
    void sample_bridges() { bridges_->sample(); }
    /// Keeps what was wrong about the clock. Call every few seconds, from one thread.
    void keep_clock_history() { clock_file_.keep(); }
    /// 0: never.
    std::chrono::seconds sys_interval() const { return config_.sys_interval; }
    /// Of the listeners in the order of the settings; tells what "port = 0" became. After start().
    std::vector<std::uint16_t> ports() const { return listeners_->ports(); }

  private:
    Result<void, std::string> open_store();
    Result<void, std::string> load_auth(const Config& config);
    void start_bridges();
    Result<void, std::string> open_doors();
    Result<void, std::string> start_admin();
    listener::Doorkeeping doorkeeping() const;
    std::size_t retained_max() const;
    std::vector<core::MessagePtr> sys_messages();
    std::size_t shard_count() const;

    Config config_;
    ModuleSource modules_;
    std::string gateway_id_;
    ClockFile clock_file_;
    std::unique_ptr<store::Store> store_;
    store::Recovered recovered_;
    std::unique_ptr<core::RetainedIndex> retained_;
    std::shared_ptr<auth::DecoySecret> decoy_secret_ = std::make_shared<auth::DecoySecret>();
    std::shared_ptr<auth::Authenticator> authenticator_;
    /// Of before a reload: newcomers that asked them may still wait for the answer.
    std::vector<std::weak_ptr<auth::Authenticator>> retired_authenticators_;
    std::shared_ptr<const auth::Authorizer> authorizer_;
    std::unique_ptr<ShardSet> shards_;
    std::unique_ptr<BridgeSet> bridges_;
    std::unique_ptr<BrokerStats> stats_;
    SysTopics sys_;
    std::unique_ptr<listener::Listeners> listeners_;
    std::unique_ptr<admin::HttpServer> admin_;
};

}  // namespace sluice::app
