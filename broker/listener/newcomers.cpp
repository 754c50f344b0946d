#include "listener/newcomers.hpp"

#include <algorithm>

namespace sluice::listener {

Newcomers::Place& Newcomers::Place::operator=(Place&& other) noexcept {
    std::swap(of_, other.of_);
    std::swap(number_, other.number_);
    std::swap(group_, other.group_);
    return *this;
}

Newcomers::Place::~Place() {
    if (of_ == nullptr) return;
    const std::lock_guard lock(of_->mutex_);
    Entries& mine = of_->groups_[group_];
    const auto entry = mine.find(number_);
    if (entry == mine.end()) return;  // pushed out already
    of_->kept_bytes_ -= entry->second.bytes;
    mine.erase(entry);
}

void Newcomers::Place::keep_bytes(std::size_t bytes) {
    if (of_ == nullptr) return;
    const std::lock_guard lock(of_->mutex_);
    Entries& mine = of_->groups_[group_];
    const auto entry = mine.find(number_);
    if (entry == mine.end()) return;  // pushed out already
    of_->kept_bytes_ += bytes - entry->second.bytes;
    entry->second.bytes = bytes;
}

void Newcomers::Place::settle() {
    move_to(settled);
}

void Newcomers::Place::unsettle() {
    move_to(waiting);
}

void Newcomers::Place::leave() {
    move_to(leaving);
}

void Newcomers::Place::move_to(std::size_t group) {
    if (of_ == nullptr) return;
    const std::lock_guard lock(of_->mutex_);
    auto mine = of_->groups_[group_].extract(number_);
    if (mine.empty()) return;  // pushed out already
    of_->groups_[group].insert(std::move(mine));
    group_ = group;
}

Newcomers::Place Newcomers::enter(std::weak_ptr<Greeting> newcomer) {
    const std::lock_guard lock(mutex_);
    const std::uint64_t number = next_number_++;
    groups_[waiting].emplace(number, Entry{std::move(newcomer)});
    return {*this, number};
}

std::shared_ptr<Greeting> Newcomers::push_out_oldest() {
    const std::lock_guard lock(mutex_);
    for (Entries* group : {&groups_[leaving], &groups_[waiting]}) {
        while (!group->empty()) {
            if (auto oldest = take_out(group->begin(), *group)) return oldest;
        }
    }
    return nullptr;
}

std::shared_ptr<Greeting> Newcomers::push_out_largest() {
    const std::lock_guard lock(mutex_);
    Entries& owing = groups_[waiting];
    for (;;) {
        const auto largest = std::max_element(owing.begin(), owing.end(), [](const auto& a, const auto& b) {
            return a.second.bytes < b.second.bytes;
        });
        if (largest == owing.end() || largest->second.bytes == 0) return nullptr;
        if (auto greeting = take_out(largest, owing)) return greeting;
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
    return groups_[waiting].size() + groups_[settled].size() + groups_[leaving].size();
}

std::size_t Newcomers::owing() const {
    const std::lock_guard lock(mutex_);
    return groups_[waiting].size() + groups_[leaving].size();
}

std::vector<std::shared_ptr<Greeting>> Newcomers::all() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::shared_ptr<Greeting>> out;
    for (const Entries& group : groups_) {
        for (const auto& [number, newcomer] : group)
            if (auto greeting = newcomer.greeting.lock()) out.push_back(std::move(greeting));
    }
    return out;
}

}  // namespace sluice::listener
