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
        /// So many bytes are kept for it: of an unfinished packet, of what is judged.
        void keep_bytes(std::size_t bytes);

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
    /// The one that owes us something and for whom most is kept, of several the oldest; it does not count any
    /// more. Null when nothing is kept for anybody who owes us something. Real clients send a small CONNECT
    /// in one piece, and nothing is kept for them.
    std::shared_ptr<Greeting> push_out_largest();
    /// Kept for all of them together.
    std::size_t kept_bytes() const;
    std::size_t size() const;
    /// Those that are not settled; the others are as many as may wait for a password check.
    std::size_t owing() const;
    std::vector<std::shared_ptr<Greeting>> all() const;

  private:
    struct Entry {
        std::weak_ptr<Greeting> greeting;
        std::size_t bytes = 0;
    };
    using Entries = std::map<std::uint64_t, Entry>;  ///< the oldest first
    std::shared_ptr<Greeting> take_out(Entries::iterator entry, Entries& from);

    mutable std::mutex mutex_;
    std::uint64_t next_number_ = 1;
    Entries waiting_, settled_;
    std::size_t kept_bytes_ = 0;
};

}  // namespace sluice::listener
