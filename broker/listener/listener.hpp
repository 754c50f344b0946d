#pragma once
/// Listeners: the doors of the broker. Opens the sockets of the config, accepts, and lets a Greeting deal
/// with each newcomer, on a few threads of their own, so that a storm of handshakes never freezes live
/// sessions.
#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "listener/door.hpp"

namespace sluice::listener {

class Listeners {
  public:
    /// The inlets in `doorkeeping` outlive this. `threads` at least 1.
    Listeners(Doorkeeping doorkeeping, std::size_t threads);
    ~Listeners();

    /// Binds everything, accepts nothing yet. The error is one line that names the listener's place, address
    /// and reason.
    Result<void, std::string> open(const std::vector<ListenerSettings>& settings);
    /// Begins to accept.
    void start();
    /// Any thread, while running: for all who come from now on. Certificates are read again from the files of
    /// `settings`, listener by listener as they were given to open(); one that cannot be read leaves the old
    /// one in force and is returned as a line.
    std::vector<std::string> reload(Doorkeeping doorkeeping, const std::vector<ListenerSettings>& settings);
    /// Closes the doors and everybody who has not been let in; returns when the threads have ended.
    void stop();
    /// Ports in the order of the settings (0 for a Unix socket); tells what "port = 0" became.
    std::vector<std::uint16_t> ports() const;
    /// For those who count; any thread.
    std::shared_ptr<const Lobby> lobby() const { return lobby_; }

  private:
    struct Worker {
        boost::asio::io_context context{1};
        std::thread thread;
    };
    boost::asio::io_context& next_context();
    void warn_of_few_descriptors() const;

    const std::shared_ptr<Lobby> lobby_;
    const Door::House house_;
    std::shared_ptr<const Doorkeeping> doorkeeping_;  ///< the first worker's, once it runs
    std::vector<std::unique_ptr<Worker>> workers_;
    std::size_t next_worker_ = 0;
    std::vector<std::unique_ptr<Door>> doors_;
};

}  // namespace sluice::listener
