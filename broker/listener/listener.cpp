#include "listener/listener.hpp"

#include <fmt/format.h>
#include <pthread.h>
#include <sys/resource.h>
#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>

#include "base/core_time.hpp"
#include "base/log.hpp"

namespace sluice::listener {

namespace asio = boost::asio;

namespace {

// For all that is no client's socket: the store, the bridges, operators, the files that a reload reads.
constexpr std::size_t reserved_descriptors = 128;

std::string_view name_of(Transport transport) {
    switch (transport) {
        case Transport::tcp:
            return "TCP";
        case Transport::websocket:
            return "WebSocket";
        case Transport::unix_socket:
            return "Unix socket";
    }
    return "";
}

}  // namespace

std::size_t sockets_that_fit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return SIZE_MAX;
    const auto files = static_cast<std::size_t>(limit.rlim_cur);
    return files > 2 * reserved_descriptors ? files - reserved_descriptors : files / 2;
}

Listeners::Listeners(Doorkeeping doorkeeping, std::size_t threads)
    : lobby_(std::make_shared<Lobby>()),
      house_{[this]() -> asio::io_context& { return next_context(); },
             [this]() -> const std::shared_ptr<const Doorkeeping>& { return doorkeeping_; }} {
    doorkeeping.lobby = lobby_;
    doorkeeping_ = std::make_shared<const Doorkeeping>(std::move(doorkeeping));
    lobby_->sockets_max = sockets_that_fit();
    for (std::size_t i = 0; i < std::max<std::size_t>(threads, 1); ++i)
        workers_.push_back(std::make_unique<Worker>());
}

Listeners::~Listeners() {
    stop();
}

asio::io_context& Listeners::next_context() {
    return workers_[next_worker_++ % workers_.size()]->context;
}

void Listeners::warn_of_few_descriptors() const {
    const std::size_t wanted =
        std::size_t{doorkeeping_->limits.connections_max} + doorkeeping_->limits.handshakes_max;
    if (wanted <= lobby_->sockets_max) return;
    log::warn(
        fmt::format("listener: the limit of open files (ulimit -n) leaves {} sockets for clients, fewer than "
                    "limits.connections_max and limits.handshakes_max allow together ({})",
                    lobby_->sockets_max, wanted));
}

Result<void, std::string> Listeners::open(const std::vector<ListenerSettings>& settings) {
    warn_of_few_descriptors();
    for (const ListenerSettings& one : settings) {
        // All doors accept on the first worker: next_context() belongs to that thread.
        auto door = std::make_unique<Door>(house_, workers_.front()->context, one);
        if (auto opened = door->open(); !opened) return opened;
        log::info(fmt::format("listener {}: {} {} on {}", one.place, one.tls ? "TLS" : "plain",
                              name_of(one.transport), door->where()));
        doors_.push_back(std::move(door));
    }
    return {};
}

void Listeners::start() {
    for (auto& door : doors_) door->accept();
    for (auto& worker : workers_) {
        worker->thread = std::thread([&context = worker->context] {
            ::pthread_setname_np(::pthread_self(), "listener");
            core_time::give_way();  // a step of a TLS handshake computes for milliseconds
            const auto keep_running = asio::make_work_guard(context);
            context.run();
        });
    }
}

std::vector<std::string> Listeners::reload(Doorkeeping doorkeeping,
                                           const std::vector<ListenerSettings>& settings) {
    std::vector<std::string> problems;
    std::vector<std::pair<Door*, std::shared_ptr<net::TlsContext>>> fresh;
    for (std::size_t i = 0; i < std::min(doors_.size(), settings.size()); ++i) {
        if (!settings[i].tls) continue;
        auto loaded = net::TlsContext::load(*settings[i].tls);
        if (loaded) {
            fresh.emplace_back(doors_[i].get(), std::move(loaded).value());
        } else {
            problems.push_back(fmt::format("listener {}: {}", settings[i].place, loaded.error()));
        }
    }
    doorkeeping.lobby = lobby_;
    asio::post(workers_.front()->context,
               [this, fresh = std::move(fresh),
                doors = std::make_shared<const Doorkeeping>(std::move(doorkeeping))] {
                   doorkeeping_ = doors;
                   for (const auto& [door, tls] : fresh) door->set_tls(tls);
               });
    return problems;
}

void Listeners::stop() {
    if (!workers_.empty() && workers_.front()->thread.joinable()) {
        asio::post(workers_.front()->context, [this] {
            for (auto& door : doors_) door->close();
        });
    }
    for (auto& worker : workers_) {
        if (!worker->thread.joinable()) continue;
        for (const auto& newcomer : lobby_->newcomers.all())
            asio::post(newcomer->context(), [newcomer] { newcomer->abort(); });
        asio::post(worker->context, [&context = worker->context] { context.stop(); });
        worker->thread.join();
    }
}

std::vector<std::uint16_t> Listeners::ports() const {
    std::vector<std::uint16_t> ports;
    for (const auto& door : doors_) ports.push_back(door->port());
    return ports;
}

}  // namespace sluice::listener
