#pragma once
/// Newcomers: everybody who has come in and not been let in yet, in the order of their coming. When there are
/// too many, the oldest of those that owe us something gives way: a real client needs a moment for its
/// CONNECT, and whoever has had many moments and said nothing will hardly say it in the next one.
#include <array>
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
            : of_(std::exchange(other.of_, nullptr)), number_(other.number_), group_(other.group_) {}
        Place& operator=(Place&& other) noexcept;
        ~Place();
        /// It has said all that it had to say and waits for us (a password is checked): it is not pushed out.
        void settle();
        /// It waits for something that is not worth a place when others want one (an answer that is held
        /// back): it owes us again.
        void unsettle();
        /// It has got its answer and is out; only its socket is still here, for the peer to read it. Such
        /// ones give way before all others.
        void leave();
        /// So many bytes are kept for it: of an unfinished packet, of what is judged.
        void keep_bytes(std::size_t bytes);

      private:
        friend class Newcomers;
        Place(Newcomers& of, std::uint64_t number) : of_(&of), number_(number) {}
        void move_to(std::size_t group);

        Newcomers* of_ = nullptr;
        std::uint64_t number_ = 0;
        std::size_t group_ = 0;
    };

    Place enter(std::weak_ptr<Greeting> newcomer);
    /// The oldest that leaves, or else the oldest that owes us something; it does not count any more. Null
    /// when there is none.
    std::shared_ptr<Greeting> push_out_oldest();
    /// The one that owes us something and for whom most is kept, of several the oldest; it does not count any
    /// more. Null when nothing is kept for anybody who owes us something. Real clients send a small CONNECT
    /// in one piece, and nothing is kept for them.
    std::shared_ptr<Greeting> push_out_largest();
    /// Kept for all of them together.
    std::size_t kept_bytes() const;
    std::size_t size() const;
    /// Those that are not settled, those that leave included; the others are as many as may wait for a
    /// password check.
    std::size_t owing() const;
    std::vector<std::shared_ptr<Greeting>> all() const;

  private:
    struct Entry {
        std::weak_ptr<Greeting> greeting;
        std::size_t bytes = 0;
    };
    using Entries = std::map<std::uint64_t, Entry>;  ///< the oldest first
    enum Group : std::size_t { waiting, settled, leaving, group_count };
    std::shared_ptr<Greeting> take_out(Entries::iterator entry, Entries& from);

    mutable std::mutex mutex_;
    std::uint64_t next_number_ = 1;
    std::array<Entries, group_count> groups_;
    std::size_t kept_bytes_ = 0;
};

}  // namespace sluice::listener
