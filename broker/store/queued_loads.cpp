/// QueuedStore: what sessions ask for of their queues.
#include <fmt/format.h>

#include "base/log.hpp"
#include "store/queued_store.hpp"

namespace sluice::store {
namespace {

constexpr std::size_t load_step_rows = 256;

bool fill_from(const core::AppendMessage& append, core::SessionKey session, core::QueueEntry& entry) {
    for (const auto& target : append.targets) {
        if (target.session != session) continue;
        entry = {append.row,  append.message, target.qos, target.retain, target.subscription_identifiers,
                 target.share};
        return true;
    }
    return false;
}

}  // namespace

void QueuedStore::answer_loads() {
    if (loads_.empty() || (loads_stuck_ && retry_at_ && Clock::now() < *retry_at_)) return;
    loads_stuck_ = false;
    std::vector<Load> waiting;
    for (const Load& one : std::exchange(loads_, {})) {
        Answer answer;
        backend_->begin_reads();
        IoReport report = one.sizes_only ? find_sizes(one, answer) : load(one, answer);
        backend_->end_reads();
        if (answer.left_out > 0)
            log::error(
                fmt::format("store: messages cannot be read and were left out count={} session={} first: {}",
                            answer.left_out, one.session, answer.why));
        if (report.state == IoState::done) {
            tell_loaded(one, std::move(answer));
        } else {
            loads_stuck_ = true;
            waiting.push_back(one);
            postpone(report);
        }
    }
    loads_ = std::move(waiting);
}

IoReport QueuedStore::load(const Load& load, Answer& answer) {
    std::size_t bytes = 0;
    core::RowId after = load.after;
    for (;;) {
        const auto rows = ledger_.open_rows(load.session, after, load_step_rows);
        if (rows.empty()) {
            answer.exhausted = true;
            return {};
        }
        for (const core::RowId row : rows) {
            after = row;
            if (answer.entries.size() >= load.messages_max) return {};
            core::QueueEntry entry;
            IoReport report = read_entry(row, load.session, entry);
            if (report.state == IoState::missing) {
                leave_out(row, load.session, answer, std::move(report.problem));
                continue;
            }
            if (report.state != IoState::done) return report;
            bytes += entry.message->body().size();
            if (!answer.entries.empty() && bytes > load.bytes_max) return {};
            answer.entries.push_back(std::move(entry));
        }
    }
}

IoReport QueuedStore::find_sizes(const Load& load, Answer& answer) {
    const auto rows = ledger_.open_rows(load.session, load.after, load.messages_max);
    answer.exhausted = rows.size() < load.messages_max;
    for (const core::RowId row : rows) {
        core::StoredRow found{.row = row};
        IoReport report = read_size(row, found.bytes);
        if (report.state == IoState::missing) {
            leave_out(row, load.session, answer, std::move(report.problem));
            continue;
        }
        if (report.state != IoState::done) return report;
        answer.sizes.push_back(found);
    }
    return {};
}

void QueuedStore::tell_loaded(const Load& load, Answer&& answer) {
    if (load.sizes_only) {
        events_->on_oldest_found(load.shard, load.session, std::move(answer.sizes), answer.exhausted);
    } else {
        events_->on_queue_loaded(load.shard, load.session, std::move(answer.entries), answer.exhausted);
    }
}

IoReport QueuedStore::read_entry(core::RowId row, core::SessionKey session, core::QueueEntry& entry) {
    const auto pending = group_.appends.find(row);
    if (pending != group_.appends.end() && fill_from(pending->second, session, entry)) return {};
    return read_repairing([&] { return backend_->read(row, session, entry); });
}

IoReport QueuedStore::read_size(core::RowId row, std::size_t& bytes) {
    const auto pending = group_.appends.find(row);
    if (pending != group_.appends.end()) {
        bytes = pending->second.message->body().size();
        return {};
    }
    return read_repairing([&] { return backend_->read_size(row, bytes); });
}

template <class Read>
IoReport QueuedStore::read_repairing(Read&& read) {
    IoReport report = read();
    if (report.state == IoState::damaged) {
        report = backend_->repair();
        if (report.state == IoState::done) report = read();
    }
    return report;
}

/// A message that the file cannot give back any more: the queue goes on without it.
void QueuedStore::leave_out(core::RowId row, core::SessionKey session, Answer& answer, std::string why) {
    if (answer.left_out++ == 0) answer.why = fmt::format("row={} {}", row, why);
    ++counts_.unreadable_rows;
    if (!group_since_) group_since_ = Clock::now();
    group_.quarantine(session, row, ledger_);
}

}  // namespace sluice::store
