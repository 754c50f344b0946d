#pragma once
/// LateAuthenticator: offers the method "late", and answers when and where the test says.
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "auth/auth.hpp"

namespace sluice::test {

class LateAuthenticator final : public auth::Authenticator {
  public:
    static constexpr std::string_view method = "late";

    /// A step that waits for its answer.
    struct Question {
        std::optional<std::string> data;
        auth::AuthExchange::Answer answer;
    };

    /// Lets everybody in at once, but user "slow" never.
    void authenticate(const auth::Credentials& credentials, Answer answer) override {
        if (credentials.user_name != "slow") return answer(auth::Principal{});
        const std::lock_guard lock(mutex_);
        kept_ = {credentials, std::move(answer)};
        news_.notify_all();
    }
    /// Waits for "slow", for a while.
    std::optional<auth::Credentials> kept_credentials() {
        std::unique_lock lock(mutex_);
        if (!news_.wait_for(lock, std::chrono::seconds(20), [&] { return kept_.second != nullptr; }))
            return std::nullopt;
        return std::exchange(kept_, {}).first;  // without the answer, which holds the newcomer
    }
    std::unique_ptr<auth::AuthExchange> begin_exchange(std::string_view wanted) override {
        return wanted == method ? std::make_unique<Exchange>(*this) : nullptr;
    }

    /// Waits for the next question; none after a deadline.
    std::optional<Question> next_question() {
        std::unique_lock lock(mutex_);
        if (!news_.wait_for(lock, std::chrono::seconds(20), [&] { return !questions_.empty(); }))
            return std::nullopt;
        Question question = std::move(questions_.front());
        questions_.pop_front();
        return question;
    }

  private:
    class Exchange final : public auth::AuthExchange {
      public:
        explicit Exchange(LateAuthenticator& owner) : owner_(owner) {}
        void step(std::optional<Bytes> data, Answer answer) override {
            const std::lock_guard lock(owner_.mutex_);
            auto text = data ? std::optional(std::string(as_text(*data))) : std::nullopt;
            owner_.questions_.push_back({std::move(text), std::move(answer)});
            owner_.news_.notify_all();
        }

      private:
        LateAuthenticator& owner_;
    };

    std::mutex mutex_;
    std::condition_variable news_;
    std::deque<Question> questions_;
    std::pair<auth::Credentials, Answer> kept_;
};

}  // namespace sluice::test
