#pragma once
/// MemoryBackend: keeps everything until it is destroyed. For mode "memory" and for tests.
#include <map>
#include <unordered_map>

#include "store/backend.hpp"

namespace sluice::store {

class MemoryBackend final : public Backend {
  public:
    Result<Recovered, std::string> open(SettleLedger& ledger) override;
    IoReport write(const WriteGroup& group, const SettleLedger& ledger) override;
    IoReport read(core::RowId row, core::SessionKey session, core::QueueEntry& entry) override;
    IoReport read_size(core::RowId row, std::size_t& bytes) override;
    IoReport repair() override { return {}; }
    std::string pressure() override { return {}; }
    void close() override {}
    void add_stats(StoreStats&) const override {}

  private:
    struct Session {
        core::SessionRecord record;
        std::map<std::string, core::SubscriptionOptions> subscriptions;
        core::SaveProgress progress;
        std::map<wire::PacketId, std::vector<core::NoteArrival>> arrivals;
    };
    static std::uint64_t make_id();
    void remove_sessions(const WriteGroup& group);

    std::map<core::SessionKey, Session> sessions_;
    std::unordered_map<core::RowId, core::AppendMessage> messages_;
    std::unordered_map<std::string, core::MessagePtr> retained_;
    const std::uint64_t id_ = make_id();
    core::SessionKey session_key_max_ = 0;
    core::RowId row_max_ = 0;
};

}  // namespace sluice::store
