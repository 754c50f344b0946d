/// TlsContext: checked files, resumption, and one engine per thread that accepts.
#include <map>
#include <mutex>
#include <thread>

#include "base/log.hpp"
#include "net/tls.hpp"
#include "net/tls_engine.hpp"

namespace sluice::net {
namespace {

class Context final : public TlsContext {
  public:
    Context(TlsSettings settings, tls::Credentials credentials, std::shared_ptr<tls::Resumption> resumption)
        : settings_(std::move(settings)),
          credentials_(std::move(credentials)),
          resumption_(std::move(resumption)) {}

    std::unique_ptr<TlsFilter> accept() override { return tls::make_filter(engine_of_this_thread()); }
    bool set_up() { return engine_of_this_thread() != nullptr; }

  private:
    std::shared_ptr<tls::Engine> engine_of_this_thread() {
        // Once per connection, beside milliseconds of handshake.
        const std::lock_guard lock(mutex_);
        auto& engine = engines_[std::this_thread::get_id()];
        if (!engine) engine = tls::Engine::make(credentials_, settings_, resumption_);
        return engine;
    }

    const TlsSettings settings_;
    const tls::Credentials credentials_;
    const std::shared_ptr<tls::Resumption> resumption_;
    std::mutex mutex_;
    std::map<std::thread::id, std::shared_ptr<tls::Engine>> engines_;  ///< guarded by mutex_
};

}  // namespace

Result<std::shared_ptr<TlsContext>, std::string> TlsContext::load(const TlsSettings& settings) {
    auto credentials = tls::load_credentials(settings);
    if (!credentials) return Err{credentials.error()};
    std::shared_ptr<tls::Resumption> resumption;
    if (settings.session_tickets) {
        resumption = std::make_shared<tls::Resumption>();
        if (!resumption->set_up(settings.session_lifetime))
            return Err{std::string("tls: session tickets cannot be set up (no random numbers or memory)")};
    }
    auto context = std::make_shared<Context>(settings, std::move(credentials).value(), std::move(resumption));
    // The first engine is built here, so that nothing is left to fail when clients come.
    if (!context->set_up()) return Err{std::string("tls: the library refused the configuration")};
    return std::shared_ptr<TlsContext>(std::move(context));
}

}  // namespace sluice::net
