#pragma once
/// Newcomers: everybody who has come in and not been let in yet, in the order of their coming. When there are
/// too many, the oldest of those that owe us something gives way: a real client needs a moment for its
/// CONNECT, and whoever has had many moments and said nothing will hardly say it in the next one.
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace sluice::listener {

class Greeting;

/// Any thread. Outlives its places.
class Newcomers {
  public:
    /// One newcomer's; left when it is destroyed.
    class Place {
      public:
        Place() = default;
        Place(Place&& other) noexcept
            : of_(std::exchange(other.of_, nullptr)), number_(other.number_), settled_(other.settled_) {}
        Place& operator=(Place&& other) noexcept;
        ~Place();
        /// It has said all that it had to say and waits for us (a password is checked): it is not pushed out.
        void settle();

      private:
        friend class Newcomers;
        Place(Newcomers& of, std::uint64_t number) : of_(&of), number_(number) {}

        Newcomers* of_ = nullptr;
        std::uint64_t number_ = 0;
        bool settled_ = false;
    };

    Place enter(std::weak_ptr<Greeting> newcomer);
    /// The oldest that owes us something, which does not count any more; null when there is none.
    std::shared_ptr<Greeting> push_out_oldest();
    std::size_t size() const;
    /// Those that are not settled; the others are as many as may wait for a password check.
    std::size_t owing() const;
    std::vector<std::shared_ptr<Greeting>> all() const;

  private:
    mutable std::mutex mutex_;
    std::uint64_t next_number_ = 1;
    std::map<std::uint64_t, std::weak_ptr<Greeting>> waiting_;  ///< the oldest first
    std::map<std::uint64_t, std::weak_ptr<Greeting>> settled_;
};

}  // namespace sluice::listener
