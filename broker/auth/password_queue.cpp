#include "auth/password_queue.hpp"

#include <algorithm>
#include <utility>

namespace sluice::auth {

std::size_t PasswordQueue::size_of(const std::string& source) const {
    const auto found = sources_.find(source);
    return found == sources_.end() ? 0 : found->second.waiting.size();
}

std::size_t PasswordQueue::turns_before(const std::string& source) const {
    const std::size_t mine = size_of(source);
    std::size_t turns = mine;
    for (const auto& [name, other] : sources_)
        if (name != source) turns += std::min(other.waiting.size(), mine + 1);
    return turns;
}

PasswordQueue::Sources::const_iterator PasswordQueue::longest() const {
    return std::max_element(sources_.begin(), sources_.end(), [](const auto& a, const auto& b) {
        return a.second.waiting.size() < b.second.waiting.size();
    });
}

bool PasswordQueue::is_full_for(const std::string& source, std::size_t size_max) const {
    if (size_ < size_max) return false;
    const auto most = longest();
    return most == sources_.end() || most->second.waiting.size() < size_of(source) + 2;
}

void PasswordQueue::push(PasswordRequest request) {
    const auto [source, is_new] = sources_.try_emplace(request.source);
    if (is_new) source->second.turn = turns_.insert(turns_.end(), request.source);
    source->second.waiting.push_back(std::move(request));
    ++size_;
}

PasswordRequest PasswordQueue::pop() {
    const auto source = sources_.find(turns_.front());
    PasswordRequest next = std::move(source->second.waiting.front());
    source->second.waiting.pop_front();
    --size_;
    turns_.splice(turns_.end(), turns_, turns_.begin());
    drop_if_empty(source);
    return next;
}

std::optional<PasswordRequest> PasswordQueue::take_from_longest(const std::string& source) {
    if (is_full_for(source, size_)) return std::nullopt;
    auto& most = sources_.find(longest()->first)->second.waiting;  // two at least: it does not become empty
    PasswordRequest last = std::move(most.back());
    most.pop_back();
    --size_;
    return last;
}

std::vector<PasswordRequest> PasswordQueue::take_given_up() {
    std::vector<PasswordRequest> out;
    for (auto source = sources_.begin(); source != sources_.end();) {
        auto& waiting = source->second.waiting;
        const auto gone = std::stable_partition(
            waiting.begin(), waiting.end(), [](const PasswordRequest& one) { return !one.is_given_up(); });
        std::move(gone, waiting.end(), std::back_inserter(out));
        waiting.erase(gone, waiting.end());
        drop_if_empty(source++);
    }
    size_ -= out.size();
    return out;
}

std::vector<PasswordRequest> PasswordQueue::take_all() {
    std::vector<PasswordRequest> out;
    for (auto& [name, source] : sources_)
        std::move(source.waiting.begin(), source.waiting.end(), std::back_inserter(out));
    sources_.clear();
    turns_.clear();
    size_ = 0;
    return out;
}

void PasswordQueue::drop_if_empty(Sources::iterator source) {
    if (!source->second.waiting.empty()) return;
    turns_.erase(source->second.turn);
    sources_.erase(source);
}

}  // namespace sluice::auth
