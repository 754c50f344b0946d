#pragma once
/// World: one run. Chance decides what moves next: a shard's turn, the store, time, a client, the upstream,
/// or the end of the process. In the end everybody comes back, all is delivered, and what is left is compared
/// with what the oracle says.
#include <memory>
#include <string>
#include <vector>

#include "tests/sim/plan.hpp"

namespace sluice::sim {

struct RunOptions {
    std::string data_dir;  ///< of this process alone
    Mutation mutation = Mutation::none;
    bool prints = false;
    bool strict = false;
};

struct RunResult {
    std::string violation;  ///< empty: none
    std::uint64_t hash = 0;
    std::uint64_t steps = 0, crashes = 0, messages = 0, dues = 0;
};

class World {
  public:
    World(std::uint64_t seed, const RunOptions& options);
    RunResult run();

  private:
    using ClientPtr = std::unique_ptr<Client>;

    void print_plan() const;
    void step();
    void move_client(Client& client);
    void begin_something(Client& client);
    void publish_something(Client& client);
    void subscribe_something(Client& client);
    void connect(Client& client);
    void move_upstream();
    void pass_time();
    void change_fault();
    void crash();
    void start();
    void show_store_file() const;
    // The end
    void settle();
    bool settle_round();
    bool all_settled() const;
    std::string what_is_open() const;
    void check_retained();
    void check_disk();
    void check_session(const store::RecoveredSession& session);

    Random random_;
    Trace trace_;
    Oracle oracle_;
    Plan plan_;
    Upstream upstream_;
    std::unique_ptr<House> house_;
    std::vector<ClientPtr> clients_;
    std::uint64_t crashes_ = 0;
    std::uint64_t dropped_ = 0;  ///< by processes that have ended
    bool power_cut_next_ = false;
};

}  // namespace sluice::sim
