#include "auth/password_authenticator.hpp"

#include <pthread.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <system_error>
#include <utility>

#include "auth/identity.hpp"
#include "auth/scram_exchange.hpp"
#include "auth/text_file.hpp"

namespace sluice::auth {
namespace {

struct Request {
    std::string user_name;
    std::optional<std::string> password;
    Authenticator::Answer answer;
};

Result<Principal, Refusal> judge(const PasswordTable& table, const Request& request) {
    // Hashed even without a password, so that its absence does not tell which names exist.
    const auto verdict = table.check(request.user_name, request.password.value_or(""));
    const auto refuse = [](const char* why) {
        return Err{Refusal{wire::ReasonCode::bad_user_name_or_password, why}};
    };
    if (verdict == PasswordTable::Verdict::unknown_user) return refuse("unknown user");
    if (!request.password) return refuse("no password");
    if (verdict == PasswordTable::Verdict::wrong_password) return refuse("wrong password");
    return Principal{request.user_name};
}

void refuse_busy(const Authenticator::Answer& answer, const char* why) {
    answer(Err{Refusal{wire::ReasonCode::server_busy, why}});
}

}  // namespace

struct PasswordAuthenticator::Shared {
    Shared(PasswordTable users, std::size_t limit, std::shared_ptr<const DecoySecret> decoys)
        : table(std::move(users)),
          waiting_max(limit),
          secret(decoys ? std::move(decoys) : std::make_shared<const DecoySecret>()) {}

    const PasswordTable table;
    const std::size_t waiting_max;
    const std::shared_ptr<const DecoySecret> secret;
    std::atomic<std::uint64_t> hashes{0};
    std::mutex mutex;
    std::condition_variable wake;
    std::deque<Request> waiting;
    bool stopping = false;
};

PasswordAuthenticator::PasswordAuthenticator(PasswordTable table, std::size_t waiting_max,
                                             std::shared_ptr<const DecoySecret> secret)
    : shared_(std::make_shared<Shared>(std::move(table), waiting_max, std::move(secret))),
      worker_([shared = shared_] { work(shared); }) {}

PasswordAuthenticator::~PasswordAuthenticator() {
    stop();
}

void PasswordAuthenticator::stop() {
    std::deque<Request> left;
    {
        const std::lock_guard lock(shared_->mutex);
        shared_->stopping = true;
        left.swap(shared_->waiting);
    }
    shared_->wake.notify_all();
    // An answer may have held the last reference to us: then this is the worker, which cannot join itself and
    // ends as soon as that answer returns.
    if (worker_.get_id() == std::this_thread::get_id()) {
        worker_.detach();
    } else if (worker_.joinable()) {
        worker_.join();
    }
    for (Request& request : left) {
        if (request.password) wipe(*request.password);
        refuse_busy(request.answer, "the password check is shutting down");
    }
}

void PasswordAuthenticator::authenticate(const Credentials& credentials, Answer answer) {
    if (const auto verdict = judge_without_password(credentials)) return answer(*verdict);
    {
        const std::lock_guard lock(shared_->mutex);
        if (!shared_->stopping && shared_->waiting.size() < shared_->waiting_max) {
            shared_->waiting.push_back({*credentials.user_name, credentials.password, std::move(answer)});
            shared_->wake.notify_one();
            return;
        }
    }
    refuse_busy(answer, "too many logins wait for their password check");
}

std::unique_ptr<AuthExchange> PasswordAuthenticator::begin_exchange(std::string_view method) {
    if (method != ScramKeys::scheme || !shared_->table.has_scram()) return nullptr;
    return make_scram_exchange([shared = shared_](std::string_view user_name) {
        return shared->table.scram_credential(user_name, *shared->secret);
    });
}

std::uint64_t PasswordAuthenticator::hashes() const {
    return shared_->hashes.load(std::memory_order_relaxed);
}

void PasswordAuthenticator::work(const std::shared_ptr<Shared>& shared) {
    pthread_setname_np(pthread_self(), "sluice-auth");
    std::unique_lock lock(shared->mutex);
    for (;;) {
        shared->wake.wait(lock, [&] { return shared->stopping || !shared->waiting.empty(); });
        if (shared->stopping) return;
        Request request = std::move(shared->waiting.front());
        shared->waiting.pop_front();
        lock.unlock();
        auto verdict = judge(shared->table, request);
        shared->hashes.fetch_add(1, std::memory_order_relaxed);
        if (request.password) wipe(*request.password);
        request.answer(std::move(verdict));
        request.answer = nullptr;  // what it holds goes before the lock is taken: it may be our owner
        lock.lock();
    }
}

Result<std::shared_ptr<Authenticator>, std::string> load_password_file(
    const std::string& path, std::shared_ptr<const DecoySecret> secret) {
    const auto text = load_text_file(path);
    if (!text) return Err{text.error()};
    auto table = parse_passwords(*text, path);
    if (!table) return Err{table.error()};
    warn_if_world_readable(path);
    try {
        return std::shared_ptr<Authenticator>(std::make_shared<PasswordAuthenticator>(
            std::move(table).value(), PasswordAuthenticator::waiting_max_default, std::move(secret)));
    } catch (const std::system_error& error) {
        return Err{path + ": no thread for checking passwords: " + error.what()};
    }
}

}  // namespace sluice::auth
