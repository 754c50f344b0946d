#pragma once
/// A session, the messages that it was offered, and what it wanted done.
#include <gtest/gtest.h>

#include <deque>

#include "core/session.hpp"

namespace sluice::core {

using wire::QoS;
using wire::ReasonCode;

constexpr Now at(std::int64_t ms) {
    return {MonoTime(Millis(ms)), WallTime(Millis(ms))};
}

inline MessagePtr message(std::string_view payload, QoS qos = QoS::at_least_once,
                          std::optional<std::uint32_t> expiry_s = {}) {
    return Message::freeze(
        {.topic = "t", .payload = as_bytes(payload), .qos = qos, .expiry_interval_s = expiry_s});
}

inline std::string text(const Send& send) {
    if (send.kind == Send::Kind::pubrel) return "rel:" + std::to_string(send.packet_id);
    return std::string(as_text(send.message->payload())) + ":" + std::to_string(send.packet_id) +
           (send.dup ? "d" : "");
}

inline std::vector<std::string> texts(const Effects& effects) {
    std::vector<std::string> all;
    for (const Send& send : effects.sends) all.push_back(text(send));
    return all;
}

using Texts = std::vector<std::string>;

class SessionTest : public testing::Test {
  protected:
    /// Offers a message; rows count up for a durable session.
    Session::Offered offer(Session& session, std::string_view payload, QoS qos = QoS::at_least_once,
                           std::optional<std::uint32_t> expiry_s = {}) {
        QueueEntry entry;
        entry.message = message(payload, qos, expiry_s);
        entry.qos = qos;
        if (session.durable() && qos != QoS::at_most_once) {
            entry.row = ++row_;
            disk_.push_back(entry);
        }
        return session.offer(std::move(entry), effects_);
    }
    /// The disk has what the session wants to have there before it sends more.
    void record(Session& session) {
        if (const std::uint64_t mark = session.record_mark()) session.on_recorded(mark, at(0), effects_);
    }
    Texts take() {
        Texts all = texts(effects_);
        effects_.clear();
        return all;
    }

    Effects effects_;
    RowId row_ = 0;
    std::deque<QueueEntry> disk_;
};

}  // namespace sluice::core
