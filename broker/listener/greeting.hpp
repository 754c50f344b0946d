#pragma once
/// Greeting: one newcomer, from accept to the hand-over: TLS, the first packet, who is it. A shard never sees
/// a byte of anybody who has not got through this. Lives on a listener thread and owns itself: it is gone
/// when the newcomer is in or out.
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <exception>
#include <memory>
#include <optional>
#include <string>

#include "auth/auth.hpp"
#include "listener/admission.hpp"
#include "listener/lobby.hpp"
#include "listener/settings.hpp"
#include "net/channel.hpp"
#include "wire/frame_reader.hpp"

namespace sluice::listener {

/// What every greeting needs to judge a newcomer; immutable, a reload makes a new one for those who come
/// after it.
struct Doorkeeping {
    shard::InletSet* inlets = nullptr;
    std::shared_ptr<auth::Authenticator> authenticator;
    std::shared_ptr<const auth::Authorizer> authorizer;
    shard::Limits limits;
    std::shared_ptr<Lobby> lobby{};  ///< the listeners fill it in
};

class Greeting final : public std::enable_shared_from_this<Greeting>, private net::ChannelHandler {
  public:
    Greeting(boost::asio::io_context& context, std::shared_ptr<const Doorkeeping> doorkeeping,
             const ListenerSettings& listener, net::Channel channel);
    void start();
    /// Before start().
    void take(Newcomers::Place place) { place_ = std::move(place); }
    boost::asio::io_context& context() { return context_; }
    /// Closes at once, says why in the log and counts it, unless it was refused and counted already.
    void turn_away(TurnedAway why, const std::string& what);
    /// Closes at once; for the end of the process.
    void abort();

  private:
    class Farewell;
    void on_introduced() override;
    void on_bytes(Bytes plain) override;
    void on_closed(const std::string& why) override;
    void on_writable() override {}

    /// At most one packet; false when there is none yet.
    bool take_packet(Bytes plain);
    /// Whether what has begun to come may be what we wait for.
    bool is_awaited_type() const;
    void refuse_other_packet();
    void handle_first_packet(const wire::Frame& frame);
    /// Counts what is kept for us, and pushes others out (or us) where all newcomers together have too much.
    /// False when there is no room for us.
    bool note_kept_bytes();
    /// What is needed of CONNECT once the password is checked; `connect` is not valid any more.
    void keep_only_will(const wire::Connect& connect);
    void ask_who(const wire::Connect& connect);
    /// What the listener's TLS proved, where it decides about names.
    std::optional<std::string> certificate_name() const;
    /// Why a certificate that decides about the name does not: for the log. None without a certificate.
    std::optional<std::string> certificate_fault() const;
    void hand_over();
    // greeting_end.cpp: the verdict, and the way out
    using AuthAnswer = Result<auth::Principal, auth::Refusal>;
    /// True when so many answers are held back from its address that this one's is not worth finding.
    bool refuse_if_crowded();
    void on_answer(const AuthAnswer& answer);
    /// How long an answer is held back (GuessDamper); notes a wrong password.
    Millis delay_of(const AuthAnswer& answer) const;
    void on_authenticated(const AuthAnswer& answer);
    /// `why`: for the log. `reason`: for the client, version 5 only; may be empty.
    void refuse(wire::Version version, wire::ReasonCode code, const std::string& why,
                const std::string& reason = {}, TurnedAway counted = TurnedAway::refused);
    /// Closes once the peer has what was sent: nothing more is said or heard.
    void see_off();
    /// The channel ends by itself, and we with it.
    void leave();
    // greeting_auth.cpp: the AUTH packets between CONNECT and CONNACK [MQTT5 4.12]
    void begin_exchange(const wire::Connect& connect);
    void handle_exchange_packet(const wire::Frame& frame);
    void take_exchange_step(std::optional<Bytes> data);
    void on_exchange_step(const auth::ExchangeStep& step);
    void send_challenge(const auth::Challenge& challenge);
    /// Runs `step` unless the newcomer is gone. What it throws costs this one newcomer its connection, not
    /// the process.
    template <class Step>
    void guarded(Step&& step) noexcept;
    void drop_after(const std::exception& thrown) noexcept;
    void on_deadline();
    /// The last statement of whoever calls it: `this` may be gone afterwards.
    void finish();
    std::string describe() const;

    boost::asio::io_context& context_;
    const std::shared_ptr<const Doorkeeping> doors_;
    const ListenerSettings& listener_;
    net::Channel channel_;
    Newcomers::Place place_;
    wire::FrameReader frames_;
    boost::asio::steady_timer deadline_;
    shard::Admission admission_;
    std::unique_ptr<auth::AuthExchange> exchange_;  ///< null: user name and password, or neither
    ByteBuffer connect_body_;  ///< the will alone while the password is checked, to be frozen afterwards
    std::size_t credential_bytes_ = 0;
    bool tries_password_ = false;  ///< by user name and password, or by a proof of one
    bool leaving_ = false;
    GuessDamper::Held held_;  ///< while the answer is held back
    /// Told to whoever checks the password; null: CONNECT has not come, or an exchange is under way.
    std::shared_ptr<std::atomic<bool>> given_up_;
    std::shared_ptr<Greeting> self_;
};

template <class Step>
void Greeting::guarded(Step&& step) noexcept {
    const auto keep = self_;
    if (!keep || leaving_) return;
    try {
        step();
    } catch (const std::exception& thrown) {
        drop_after(thrown);
    }
}

}  // namespace sluice::listener
