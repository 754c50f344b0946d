#include "auth/password_authenticator.hpp"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <utility>
#include <vector>

#include "auth/identity.hpp"
#include "auth/password_queue.hpp"
#include "auth/scram_exchange.hpp"
#include "auth/text_file.hpp"
#include "base/core_time.hpp"

namespace sluice::auth {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* given_up_why = "nobody waits for its password check any more";

Result<Principal, Refusal> judge(const PasswordTable& table, const DecoySecret& secret,
                                 const PasswordRequest& request) {
    // Hashed even without a password, so that its absence does not tell which names exist.
    const auto verdict = table.check(request.user_name, request.password.value_or(""), secret);
    const auto refuse = [](const char* why) {
        return Err{Refusal{wire::ReasonCode::bad_user_name_or_password, why, {}, true}};
    };
    if (verdict == PasswordTable::Verdict::unknown_user) return refuse("unknown user");
    if (!request.password) return refuse("no password");
    if (verdict == PasswordTable::Verdict::wrong_password) return refuse("wrong password");
    return Principal{request.user_name};
}

Refusal busy(const char* why) {
    return {wire::ReasonCode::server_busy, why};
}
Refusal too_many_of_its_address() {
    return {wire::ReasonCode::quota_exceeded, "too many logins of its address wait for their password check"};
}

/// Out of the queue without its hash.
void drop(PasswordRequest& request, Refusal why) {
    if (request.password) wipe(*request.password);
    request.answer(Err{std::move(why)});
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
    PasswordQueue waiting;
    Clock::duration usual_time{};  ///< of one hash, measured; 0: none yet
    bool stopping = false;

    /// With the mutex. Why one more of this source may not wait, or would wait longer than it wants to.
    std::optional<Refusal> find_no_room(const Credentials& credentials) const;
    /// With the mutex. Lets the request wait; whoever has to give way for it is to be answered without.
    std::optional<PasswordRequest> enqueue(PasswordRequest request);
    /// Without the mutex. The time of the hash; none when it was not worth one any more.
    std::optional<Clock::duration> answer_with_hash(PasswordRequest& request);
    /// With the mutex.
    void note_time(Clock::duration time) {
        usual_time = usual_time.count() == 0 ? time : (usual_time * 7 + time) / 8;
    }
};

std::optional<Refusal> PasswordAuthenticator::Shared::find_no_room(const Credentials& credentials) const {
    // An address may have as much as half: it can stand for a whole site.
    if (!credentials.source.empty() &&
        waiting.size_of(credentials.source) >= std::max<std::size_t>(waiting_max / 2, 1))
        return too_many_of_its_address();
    const std::size_t turns = waiting.turns_before(credentials.source);
    if (usual_time * (turns + 1) > credentials.patience ||
        waiting.is_full_for(credentials.source, waiting_max))
        return busy("too many logins wait for their password check");
    return std::nullopt;
}

std::optional<PasswordRequest> PasswordAuthenticator::Shared::enqueue(PasswordRequest request) {
    std::optional<PasswordRequest> gives_way;
    if (waiting.size() >= waiting_max) gives_way = waiting.take_from_longest(request.source);
    waiting.push(std::move(request));
    wake.notify_one();
    return gives_way;
}

PasswordAuthenticator::PasswordAuthenticator(PasswordTable table, std::size_t waiting_max,
                                             std::shared_ptr<const DecoySecret> secret)
    : shared_(std::make_shared<Shared>(std::move(table), waiting_max, std::move(secret))),
      worker_([shared = shared_] { work(shared); }) {}

PasswordAuthenticator::~PasswordAuthenticator() {
    stop();
}

void PasswordAuthenticator::stop() {
    std::vector<PasswordRequest> left;
    {
        const std::lock_guard lock(shared_->mutex);
        shared_->stopping = true;
        left = shared_->waiting.take_all();
    }
    shared_->wake.notify_all();
    // An answer may have held the last reference to us: then this is the worker, which cannot join itself and
    // ends as soon as that answer returns.
    if (worker_.get_id() == std::this_thread::get_id()) {
        worker_.detach();
    } else if (worker_.joinable()) {
        worker_.join();
    }
    for (PasswordRequest& request : left) drop(request, busy("the password check is shutting down"));
}

void PasswordAuthenticator::authenticate(const Credentials& credentials, Answer answer) {
    if (const auto verdict = judge_without_password(credentials)) return answer(*verdict);
    std::vector<PasswordRequest> given_up;
    std::optional<PasswordRequest> gives_way;
    std::optional<Refusal> no_room;
    {
        const std::lock_guard lock(shared_->mutex);
        no_room = shared_->find_no_room(credentials);
        if (no_room) {
            given_up = shared_->waiting.take_given_up();
            no_room = shared_->find_no_room(credentials);
        }
        if (shared_->stopping) no_room = busy("the password check is shutting down");
        if (!no_room) {
            gives_way = shared_->enqueue({*credentials.user_name, credentials.password, std::move(answer),
                                          Clock::now() + credentials.patience, credentials.given_up,
                                          credentials.source});
        }
    }
    for (PasswordRequest& request : given_up) drop(request, busy(given_up_why));
    if (gives_way) drop(*gives_way, too_many_of_its_address());
    if (no_room) answer(Err{std::move(*no_room)});
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

std::optional<Clock::duration> PasswordAuthenticator::Shared::answer_with_hash(PasswordRequest& request) {
    const auto start = Clock::now();
    if (request.is_given_up() || request.deadline < start) {
        drop(request, busy(request.is_given_up() ? given_up_why : "its password check would come too late"));
        return std::nullopt;
    }
    auto verdict = judge(table, *secret, request);
    const auto time = Clock::now() - start;
    hashes.fetch_add(1, std::memory_order_relaxed);
    if (request.password) wipe(*request.password);
    request.answer(std::move(verdict));
    request.answer = nullptr;
    return time;
}

void PasswordAuthenticator::work(const std::shared_ptr<Shared>& shared) {
    pthread_setname_np(pthread_self(), "sluice-auth");
    core_time::give_way();  // a hash computes for milliseconds
    std::unique_lock lock(shared->mutex);
    for (;;) {
        shared->wake.wait(lock, [&] { return shared->stopping || shared->waiting.size() > 0; });
        if (shared->stopping) return;
        PasswordRequest request = shared->waiting.pop();
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
