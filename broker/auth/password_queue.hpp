#pragma once
/// PasswordQueue: who waits for a password check. Sources (addresses) take turns, so that one that sends
/// logins without end delays a login from elsewhere by one hash, not by all of its own. Pure; one thread, or
/// one mutex of the owner's.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "auth/auth.hpp"

namespace sluice::auth {

/// One login that waits for its hash.
struct PasswordRequest {
    std::string user_name;
    std::optional<std::string> password;
    Authenticator::Answer answer;
    std::chrono::steady_clock::time_point deadline;
    std::shared_ptr<const std::atomic<bool>> given_up;
    std::string source;  ///< as Credentials::source

    bool is_given_up() const { return given_up && given_up->load(std::memory_order_relaxed); }
};

class PasswordQueue {
  public:
    std::size_t size() const { return size_; }
    std::size_t size_of(const std::string& source) const;
    /// How many others come first if one more of this source is pushed now and nobody after it.
    std::size_t turns_before(const std::string& source) const;

    /// Nobody would give way to one more of this source.
    bool is_full_for(const std::string& source, std::size_t size_max) const;

    void push(PasswordRequest request);
    /// The next one: the longest waiting of the source whose turn it is. Not when size() is 0.
    PasswordRequest pop();
    /// The last of the source that has most, if that has at least two more than `source`; so that a full
    /// queue has room for one that asks little.
    std::optional<PasswordRequest> take_from_longest(const std::string& source);
    /// Those that nobody waits for.
    std::vector<PasswordRequest> take_given_up();
    /// All, in no order that means anything.
    std::vector<PasswordRequest> take_all();

  private:
    struct Source {
        std::deque<PasswordRequest> waiting;  ///< never empty
        std::list<std::string>::iterator turn;
    };
    /// A tree: what sources there are is for strangers to choose.
    using Sources = std::map<std::string, Source>;
    void drop_if_empty(Sources::iterator source);
    Sources::const_iterator longest() const;

    Sources sources_;
    std::list<std::string> turns_;  ///< each source once; the front is next
    std::size_t size_ = 0;
};

}  // namespace sluice::auth
