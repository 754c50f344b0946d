#include "listener/newcomers.hpp"

#include <algorithm>

namespace sluice::listener {

Newcomers::Place& Newcomers::Place::operator=(Place&& other) noexcept {
    std::swap(of_, other.of_);
    std::swap(number_, other.number_);
    std::swap(settled_, other.settled_);
    return *this;
}

Newcomers::Place::~Place() {
    if (of_ == nullptr) return;
    const std::lock_guard lock(of_->mutex_);
    Entries& mine = settled_ ? of_->settled_ : of_->waiting_;
    const auto entry = mine.find(number_);
    if (entry == mine.end()) return;  // pushed out already
    of_->kept_bytes_ -= entry->second.bytes;
    mine.erase(entry);
}

void Newcomers::Place::keep_bytes(std::size_t bytes) {
    if (of_ == nullptr) return;
    const std::lock_guard lock(of_->mutex_);
    Entries& mine = settled_ ? of_->settled_ : of_->waiting_;
    const auto entry = mine.find(number_);
    if (entry == mine.end()) return;  // pushed out already
    of_->kept_bytes_ += bytes - entry->second.bytes;
    entry->second.bytes = bytes;
}

void Newcomers::Place::settle() {
    if (of_ == nullptr || settled_) return;
    const std::lock_guard lock(of_->mutex_);
    auto mine = of_->waiting_.extract(number_);
    if (mine.empty()) return;  // pushed out already
    of_->settled_.insert(std::move(mine));
    settled_ = true;
}

Newcomers::Place Newcomers::enter(std::weak_ptr<Greeting> newcomer) {
    const std::lock_guard lock(mutex_);
    const std::uint64_t number = next_number_++;
    waiting_.emplace(number, Entry{std::move(newcomer)});
    return {*this, number};
}

std::shared_ptr<Greeting> Newcomers::push_out_oldest() {
    const std::lock_guard lock(mutex_);
    while (!waiting_.empty()) {
        if (auto oldest = take_out(waiting_.begin(), waiting_)) return oldest;
    }
    return nullptr;
}

std::shared_ptr<Greeting> Newcomers::push_out_largest() {
    const std::lock_guard lock(mutex_);
    for (;;) {
        const auto largest =
            std::max_element(waiting_.begin(), waiting_.end(),
                             [](const auto& a, const auto& b) { return a.second.bytes < b.second.bytes; });
        if (largest == waiting_.end() || largest->second.bytes == 0) return nullptr;
        if (auto greeting = take_out(largest, waiting_)) return greeting;
    }
}

std::shared_ptr<Greeting> Newcomers::take_out(Entries::iterator entry, Entries& from) {
    kept_bytes_ -= entry->second.bytes;
    auto greeting = entry->second.greeting.lock();
    from.erase(entry);
    return greeting;
}

std::size_t Newcomers::kept_bytes() const {
    const std::lock_guard lock(mutex_);
    return kept_bytes_;
}

std::size_t Newcomers::size() const {
    const std::lock_guard lock(mutex_);
    return waiting_.size() + settled_.size();
}

std::size_t Newcomers::owing() const {
    const std::lock_guard lock(mutex_);
    return waiting_.size();
}

std::vector<std::shared_ptr<Greeting>> Newcomers::all() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::shared_ptr<Greeting>> out;
    for (const auto* group : {&waiting_, &settled_}) {
        for (const auto& [number, newcomer] : *group)
            if (auto greeting = newcomer.greeting.lock()) out.push_back(std::move(greeting));
    }
    return out;
}

}  // namespace sluice::listener
