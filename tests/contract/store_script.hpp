#pragma once
/// A random but repeatable life of one shard: the same seed gives the same batches, so that a test can tell
/// what must be there after the process that posted them was killed.
#include <random>
#include <string>
#include <vector>

#include "store_support.hpp"

namespace sluice::store::testing {

class Script {
  public:
    Script(std::uint64_t seed, ShardIndex shard) : shard_(shard), random_(seed * 31 + shard) {}

    /// The batch of the next turn; it also writes the turn's number into a retained message, which tells
    /// afterwards how far the file came.
    Batch next() {
        Batch out;
        if (turn_ == 0)
            for (int i = 0; i < 4; ++i) add_session(out);
        ++turn_;
        const auto steps = pick(8);
        for (std::uint64_t i = 0; i < steps; ++i) step(out);
        out.emplace_back(core::SetRetained{message(turn_topic(shard_), std::to_string(turn_))});
        model_.apply(out);
        return out;
    }
    TurnNumber turn() const { return turn_; }
    const Model& model() const { return model_; }

    static std::string turn_topic(ShardIndex shard) { return "turn/" + std::to_string(shard); }
    static TurnNumber turn_of(const Recovered& recovered, ShardIndex shard) {
        for (const auto& m : recovered.retained)
            if (m->topic() == turn_topic(shard)) return std::stoull(payload_of(m));
        return 0;
    }

  private:
    std::uint64_t pick(std::uint64_t below) { return random_() % below; }

    void add_session(Batch& out) {
        const SessionKey key = session_key(++sessions_made_, shard_);
        live_.push_back({key, {}});
        auto entry = save_session(key);
        if (pick(2) == 0) entry.record.will = core::StoredWill{message("will", "gone"), 7};
        out.emplace_back(std::move(entry));
    }

    void step(Batch& out) {
        auto& [key, open] = live_[pick(live_.size())];
        const auto what = pick(100);
        if (what < 45) {
            add_message(out);
        } else if (what < 75) {
            // Mostly from the front, as acknowledgements come; sometimes something that is long gone.
            if (open.empty()) return;
            const std::size_t at = pick(4) == 0 ? pick(open.size()) : 0;
            out.emplace_back(core::SettleMessage{key, open[at]});
            if (pick(10) != 0) open.erase(open.begin() + static_cast<std::ptrdiff_t>(at));
        } else if (what < 82) {
            add_progress(out, key, open);
        } else if (what < 85) {
            change_arrivals(out, key);
        } else if (what < 90) {
            change_subscription(out, key);
        } else if (what < 96) {
            change_retained(out);
        } else {
            change_sessions(out);
        }
    }

    void add_message(Batch& out) {
        const RowId row = row_id(++rows_made_, shard_);
        core::AppendMessage entry{row, message("a/b", std::string(pick(600), 'x') + std::to_string(row)), {}};
        for (auto& [key, open] : live_) {
            if (pick(2) == 0) continue;
            auto t = target(key, pick(2) == 0 ? wire::QoS::at_least_once : wire::QoS::exactly_once);
            t.retain = pick(5) == 0;
            if (pick(5) == 0) t.subscription_identifiers = {1, 300, 268435455};
            entry.targets.push_back(std::move(t));
            open.push_back(row);
        }
        if (!entry.targets.empty()) out.emplace_back(std::move(entry));
    }

    void add_progress(Batch& out, SessionKey key, const std::vector<RowId>& open) {
        core::SaveProgress entry{key, {}, {}};
        for (std::size_t i = 0; i < open.size() && i < pick(5); ++i)
            entry.outbound.push_back({open[i], static_cast<wire::PacketId>(i + 1), {}});
        if (pick(3) == 0) entry.outbound.push_back({0, 65535, core::InflightRecord::State::released});
        if (pick(3) == 0) entry.inbound_released = {1, 2, 65535};
        out.emplace_back(std::move(entry));
    }

    void change_arrivals(Batch& out, SessionKey publisher) {
        const auto id = static_cast<wire::PacketId>(1 + pick(3));
        if (pick(3) == 0) {
            out.emplace_back(core::ForgetArrivals{publisher, id});
            return;
        }
        core::NoteArrival note{
            publisher, id, static_cast<std::uint32_t>(random_()), row_id(++rows_made_, shard_), {}, {}};
        for (const auto& [key, open] : live_)
            if (pick(2) == 0) note.sessions.push_back(key);
        if (pick(2) == 0) note.groups.emplace_back("$share/g/" + std::string(pick(200), 'f') + "#");
        out.emplace_back(std::move(note));
    }

    void change_subscription(Batch& out, SessionKey key) {
        const std::string filter = "f/" + std::to_string(pick(3));
        if (pick(3) == 0) {
            out.emplace_back(core::RemoveSubscription{key, filter});
        } else {
            core::SubscriptionOptions options;
            options.qos = wire::QoS::exactly_once;
            options.identifier = static_cast<std::uint32_t>(pick(1000));
            out.emplace_back(core::SaveSubscription{key, filter, options});
        }
    }

    void change_retained(Batch& out) {
        const std::string topic = "r/" + std::to_string(shard_) + "/" + std::to_string(pick(5));
        if (pick(3) == 0) {
            out.emplace_back(core::ClearRetained{topic});
        } else {
            out.emplace_back(core::SetRetained{message(topic, std::to_string(pick(100000)))});
        }
    }

    void change_sessions(Batch& out) {
        if (live_.size() > 2 && pick(2) == 0) {
            const auto at = pick(live_.size());
            out.emplace_back(core::RemoveSession{live_[at].first});
            live_.erase(live_.begin() + static_cast<std::ptrdiff_t>(at));
        } else if (live_.size() < 8) {
            add_session(out);
        }
    }

    const ShardIndex shard_;
    std::mt19937_64 random_;
    TurnNumber turn_ = 0;
    std::uint64_t sessions_made_ = 0, rows_made_ = 0;
    std::vector<std::pair<SessionKey, std::vector<RowId>>> live_;
    Model model_;
};

}  // namespace sluice::store::testing
