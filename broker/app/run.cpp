#include "app/run.hpp"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "app/memory_budget.hpp"
#include "app/startup_memory.hpp"
#include "app/systemd.hpp"
#include "app/wiring.hpp"
#include "base/log.hpp"

namespace sluice::app {

namespace asio = boost::asio;

namespace {

constexpr auto probe_interval = std::chrono::seconds(5);

/// Each client is a file descriptor; the soft limit that a shell or systemd gives is often 1024.
void raise_descriptor_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
    limit.rlim_cur = limit.rlim_max;
    (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

/// The signals that we answer to, as something to read: no thread is interrupted by one, and one that comes
/// before anybody reads waits. To be called before there are other threads: they inherit that the signals are
/// blocked.
int open_signals() {
    sigset_t ours;
    ::sigemptyset(&ours);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
        ::sigaddset(&ours, signal);
        ::signal(signal, SIG_DFL);  // nohup, and a shell's background, have us ignore some
    }
    ::pthread_sigmask(SIG_BLOCK, &ours, nullptr);
    const int descriptor = ::signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK);
    if (descriptor < 0) throw std::system_error(errno, std::generic_category(), "signalfd");
    return descriptor;
}

/// main's thread while the broker serves: signals, and a look after the others.
class Caretaker {
  public:
    Caretaker(Wiring& wiring, std::function<void()> reload)
        : wiring_(wiring),
          reload_(std::move(reload)),
          signals_(context_, open_signals()),
          timer_(context_),
          sys_timer_(context_) {
        const auto period = systemd::watchdog_period();
        interval_ =
            period ? std::min<std::chrono::microseconds>(probe_interval, *period / 2) : probe_interval;
    }

    void serve() {
        wait_for_signal();
        look();
        arm_sys();
        context_.run();
    }

  private:
    void wait_for_signal() {
        signals_.async_wait(
            asio::posix::descriptor_base::wait_read, [this](const boost::system::error_code& error) {
                if (error) return;
                signalfd_siginfo signal{};
                if (::read(signals_.native_handle(), &signal, sizeof signal) != sizeof signal)
                    return wait_for_signal();
                if (signal.ssi_signo != SIGHUP) {
                    log::info(
                        fmt::format("stopping: {}", signal.ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT"));
                    timer_.cancel();
                    sys_timer_.cancel();
                    return;
                }
                systemd::notify_reloading();
                reload_();
                systemd::notify_ready("serving");
                wait_for_signal();
            });
    }

    void look() {
        // systemd restarts us when the signs of life stop, so they stop when any shard does not turn.
        if (wiring_.probe_liveness()) systemd::notify_watchdog();
        wiring_.sample_bridges();
        wiring_.keep_clock_history();
        timer_.expires_after(interval_);
        timer_.async_wait([this](const boost::system::error_code& error) {
            if (!error) look();
        });
    }

    void arm_sys() {
        if (wiring_.sys_interval().count() == 0) return;
        sys_timer_.expires_after(wiring_.sys_interval());
        sys_timer_.async_wait([this](const boost::system::error_code& error) {
            if (error) return;
            wiring_.publish_sys();
            arm_sys();
        });
    }

    Wiring& wiring_;
    std::function<void()> reload_;
    asio::io_context context_{1};
    asio::posix::stream_descriptor signals_;
    asio::steady_timer timer_;
    asio::steady_timer sys_timer_;
    std::chrono::microseconds interval_{};
};

}  // namespace

int run(const Options& options, Config config, const ModuleSource& modules) {
    raise_descriptor_limit();
    ::signal(SIGPIPE, SIG_IGN);
    if (!config.limits.memory_max) config.limits.memory_max = default_memory_max();
    bound_allocator(*config.limits.memory_max);
    Wiring wiring(std::move(config), modules);
    // Before anything is open: a stop that comes during the start must find a handler, and wait for its turn.
    Caretaker caretaker(wiring, [&] {
        auto fresh = load_config(options.config_path, modules);
        if (fresh) return wiring.reload(std::move(fresh).value());
        for (const ConfigError& error : fresh.error()) log::error("reload: " + to_string(error));
        log::error("reload: nothing was changed");
    });
    if (auto started = wiring.start(); !started) {
        log::error(started.error());
        return exit_failed;
    }
    log::info("ready");
    systemd::notify_ready("serving");
    give_back_startup_memory();
    caretaker.serve();
    systemd::notify_stopping("stopping");
    wiring.stop();
    log::info("stopped");
    return exit_ok;
}

}  // namespace sluice::app
