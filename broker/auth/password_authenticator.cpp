#include "auth/password_authenticator.hpp"

#include <pthread.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <system_error>
#include <utility>
#include <vector>

#include "auth/identity.hpp"
#include "auth/scram_exchange.hpp"
#include "auth/text_file.hpp"

namespace sluice::auth {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* given_up_why = "nobody waits for its password check any more";

struct Request {
    std::string user_name;
    std::optional<std::string> password;
    Authenticator::Answer answer;
    Clock::time_point deadline;
    std::shared_ptr<const std::atomic<bool>> given_up;

    bool is_given_up() const { return given_up && given_up->load(std::memory_order_relaxed); }
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

/// Out of the queue without its hash.
void drop(Request& request, const char* why) {
    if (request.password) wipe(*request.password);
    refuse_busy(request.answer, why);
    request.answer = nullptr;
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
    Clock::duration usual_time{};  ///< of one hash, measured; 0: none yet
    bool stopping = false;

    /// With the mutex. Whether one more would wait longer than it wants to.
    bool is_full_for(std::chrono::milliseconds patience) const {
        return waiting.size() >= waiting_max || usual_time * (waiting.size() + 1) > patience;
    }
    /// With the mutex. Those that nobody waits for, to be answered without it.
    std::vector<Request> take_given_up();
    /// Without the mutex. The time of the hash; none when it was not worth one any more.
    std::optional<Clock::duration> answer_with_hash(Request& request);
    /// With the mutex.
    void note_time(Clock::duration time) {
        usual_time = usual_time.count() == 0 ? time : (usual_time * 7 + time) / 8;
    }
};

std::vector<Request> PasswordAuthenticator::Shared::take_given_up() {
    std::vector<Request> out;
    std::deque<Request> wanted;
    for (Request& request : waiting) {
        if (request.is_given_up()) {
            out.push_back(std::move(request));
        } else {
            wanted.push_back(std::move(request));
        }
    }
    waiting.swap(wanted);
    return out;
}

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
    for (Request& request : left) drop(request, "the password check is shutting down");
}

void PasswordAuthenticator::authenticate(const Credentials& credentials, Answer answer) {
    if (const auto verdict = judge_without_password(credentials)) return answer(*verdict);
    std::vector<Request> given_up;
    bool taken = false;
    {
        const std::lock_guard lock(shared_->mutex);
        if (shared_->is_full_for(credentials.patience)) given_up = shared_->take_given_up();
        if (!shared_->stopping && !shared_->is_full_for(credentials.patience)) {
            shared_->waiting.push_back({*credentials.user_name, credentials.password, std::move(answer),
                                        Clock::now() + credentials.patience, credentials.given_up});
            shared_->wake.notify_one();
            taken = true;
        }
    }
    for (Request& request : given_up) drop(request, given_up_why);
    if (!taken) refuse_busy(answer, "too many logins wait for their password check");
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

std::optional<Clock::duration> PasswordAuthenticator::Shared::answer_with_hash(Request& request) {
    const auto start = Clock::now();
    if (request.is_given_up() || request.deadline < start) {
        drop(request, request.is_given_up() ? given_up_why : "its password check would come too late");
        return std::nullopt;
    }
    auto verdict = judge(table, request);
    const auto time = Clock::now() - start;
    hashes.fetch_add(1, std::memory_order_relaxed);
    if (request.password) wipe(*request.password);
    request.answer(std::move(verdict));
    request.answer = nullptr;
    return time;
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
        // What an answer holds goes before the lock is taken: it may be our owner.
        const auto time = shared->answer_with_hash(request);
        lock.lock();
        if (time) shared->note_time(*time);
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
