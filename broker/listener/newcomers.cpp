#include "listener/newcomers.hpp"

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
    (settled_ ? of_->settled_ : of_->waiting_).erase(number_);
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
    waiting_.emplace(number, std::move(newcomer));
    return {*this, number};
}

std::shared_ptr<Greeting> Newcomers::push_out_oldest() {
    const std::lock_guard lock(mutex_);
    while (!waiting_.empty()) {
        auto oldest = waiting_.begin()->second.lock();
        waiting_.erase(waiting_.begin());
        if (oldest) return oldest;
    }
    return nullptr;
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
            if (auto greeting = newcomer.lock()) out.push_back(std::move(greeting));
    }
    return out;
}

}  // namespace sluice::listener
