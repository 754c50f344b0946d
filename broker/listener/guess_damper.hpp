#pragma once
/// GuessDamper: who tries passwords makes mistakes, and goes on. Some wrong ones of an address are free;
/// whoever goes on gets each answer later, the right one too: if only wrong ones were late, nobody would wait
/// for them. Other addresses are never slowed, nor who comes in without a password. Any thread; outlives its
/// Helds.
#include <map>
#include <mutex>
#include <utility>

#include "base/clock.hpp"
#include "net/ip_address.hpp"

namespace sluice::listener {

class GuessDamper {
  public:
    /// So many at once are free, and one more after each of these times.
    static constexpr int free_guesses = 20;
    static constexpr Millis one_more_after{5'000};
    /// Beyond, each makes the answers so much later. Well below what clients wait for a CONNACK.
    static constexpr Millis delay_step{250};
    static constexpr Millis delay_max{3'000};
    /// Answers of one address that are held back at one time; more logins from there are refused untried.
    static constexpr std::size_t held_max = 10;
    /// Addresses that are looked after at one time; further ones are not slowed.
    static constexpr std::size_t addresses_max = 10'000;

    /// One answer that is held back, until it is destroyed.
    class Held {
      public:
        Held() = default;
        Held(Held&& other) noexcept : of_(std::exchange(other.of_, nullptr)), from_(other.from_) {}
        Held& operator=(Held&& other) noexcept;
        ~Held();

      private:
        friend class GuessDamper;
        Held(GuessDamper& of, const net::IpAddress& from) : of_(&of), from_(from) {}

        GuessDamper* of_ = nullptr;
        net::IpAddress from_{};
    };

    // Addresses are counted as net::counted_as says.
    /// A wrong password came from there.
    void note_wrong(const net::IpAddress& from, MonoTime now);
    /// How long an answer about a password has to wait there; mostly 0.
    Millis delay(const net::IpAddress& from, MonoTime now) const;
    Held hold(const net::IpAddress& from);
    /// So many answers are held back there that no more are worth checking.
    bool is_crowded(const net::IpAddress& from) const;
    std::size_t addresses() const;

  private:
    struct Recent {
        MonoTime all_forgotten_at{};  ///< moves on by one_more_after with each wrong password
        std::size_t held = 0;
    };
    void forget_old(MonoTime now);

    mutable std::mutex mutex_;
    /// A tree: what addresses there are is for strangers to choose.
    std::map<net::IpAddress, Recent> recent_;
    MonoTime swept_{};
};

}  // namespace sluice::listener
