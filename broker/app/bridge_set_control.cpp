// What operators may do to bridges: questions to shards, and a wait for their answers.
#include <algorithm>
#include <condition_variable>

#include <fmt/format.h>

#include "app/bridge_set.hpp"

namespace sluice::app {
namespace {

using shard::DeadLetterRequest;
using shard::LinkSessionErrand;
using Error = shard::BridgeControl::Error;
using Failure = shard::BridgeControl::Failure;
template <class T>
using Done = shard::BridgeControl::Done<T>;

constexpr auto answer_timeout = std::chrono::seconds(5);

/// Collects so many answers that come from other threads, perhaps after nobody waits any more; or never: who
/// was asked may have gone, and drops the question.
template <class T>
class Answers {
  public:
    std::function<void(T)> slot() {
        return [state = state_, open = std::make_shared<Open>(state_)](T answer) {
            const std::lock_guard lock(state->mutex);
            state->got.push_back(std::move(answer));
            state->changed.notify_all();
        };
    }
    Done<std::vector<T>> wait(std::size_t count) {
        std::unique_lock lock(state_->mutex);
        const bool over = state_->changed.wait_for(
            lock, answer_timeout, [&] { return state_->got.size() >= count || state_->open == 0; });
        if (!over) return Err{Error{Failure::timed_out, "a shard of the broker does not answer"}};
        if (state_->got.size() < count)
            return Err{Error{Failure::conflict, "the bridge is being exchanged or stopped; try it again"}};
        return std::move(state_->got);
    }

  private:
    struct State {
        std::mutex mutex;
        std::condition_variable changed;
        std::vector<T> got;
        std::size_t open = 0;  ///< slots that may still answer
    };
    class Open {
      public:
        explicit Open(std::shared_ptr<State> state) : state_(std::move(state)) {
            const std::lock_guard lock(state_->mutex);
            ++state_->open;
        }
        Open(const Open&) = delete;
        Open& operator=(const Open&) = delete;
        ~Open() {
            const std::lock_guard lock(state_->mutex);
            --state_->open;
            state_->changed.notify_all();
        }

      private:
        const std::shared_ptr<State> state_;
    };
    std::shared_ptr<State> state_ = std::make_shared<State>();
};

Err<Error> no_bridge(const std::string& name) {
    return Err{Error{Failure::not_found, fmt::format("there is no bridge '{}'", name)}};
}

}  // namespace

Done<void> BridgeSet::set_paused(const std::string& bridge, bool paused) {
    const Runner runner = find(bridge);
    if (!runner) return no_bridge(bridge);
    runner->pause(paused);
    return {};
}

Done<void> BridgeSet::pause(const std::string& bridge) {
    return set_paused(bridge, true);
}

Done<void> BridgeSet::resume(const std::string& bridge) {
    return set_paused(bridge, false);
}

Done<std::vector<DeadLetterRequest::Answer>> BridgeSet::ask(const std::string& bridge,
                                                            DeadLetterRequest request) const {
    const Runner runner = find(bridge);
    if (!runner) return no_bridge(bridge);
    Answers<DeadLetterRequest::Answer> answers;
    request.answer = answers.slot();
    return answers.wait(runner->ask_dead_letters(std::move(request)));
}

Done<std::vector<shard::DeadLetter>> BridgeSet::dead_letters(const std::string& bridge, std::uint64_t after,
                                                             std::size_t count_max) {
    DeadLetterRequest request;
    request.after = after;
    request.count_max = count_max;
    auto answers = ask(bridge, std::move(request));
    if (!answers) return Err{answers.error()};
    std::vector<shard::DeadLetter> letters;
    for (auto& answer : *answers)
        std::move(answer.letters.begin(), answer.letters.end(), std::back_inserter(letters));
    std::sort(letters.begin(), letters.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
    if (letters.size() > count_max) letters.resize(count_max);
    return letters;
}

Done<shard::DeadLetter> BridgeSet::dead_letter(const std::string& bridge, std::uint64_t id) {
    DeadLetterRequest request;
    request.task = DeadLetterRequest::Task::show;
    request.ids = {id};
    auto answers = ask(bridge, std::move(request));
    if (!answers) return Err{answers.error()};
    for (auto& answer : *answers)
        if (!answer.letters.empty()) return std::move(answer.letters.front());
    return Err{Error{Failure::not_found, fmt::format("bridge '{}' has no dead letter {}", bridge, id)}};
}

Done<std::size_t> BridgeSet::change_dead(const std::string& bridge, DeadLetterRequest::Task task,
                                         std::vector<std::uint64_t> ids) {
    std::sort(ids.begin(), ids.end());
    DeadLetterRequest request;
    request.task = task;
    const std::size_t wanted = ids.size();
    request.ids = std::move(ids);
    auto answers = ask(bridge, std::move(request));
    if (!answers) return Err{answers.error()};
    std::size_t done = 0;
    std::string problem;
    for (const auto& answer : *answers) {
        done += answer.done;
        if (!answer.problem.empty()) problem = answer.problem;
    }
    if (!problem.empty())
        return Err{Error{Failure::conflict, fmt::format("{}; {} were done", problem, done)}};
    if (wanted > 0 && done == 0)
        return Err{
            Error{Failure::not_found, fmt::format("bridge '{}' has none of these dead letters", bridge)}};
    return done;
}

Done<std::size_t> BridgeSet::retry_dead(const std::string& bridge, std::vector<std::uint64_t> ids) {
    return change_dead(bridge, DeadLetterRequest::Task::retry, std::move(ids));
}

Done<std::size_t> BridgeSet::drop_dead(const std::string& bridge, std::vector<std::uint64_t> ids) {
    return change_dead(bridge, DeadLetterRequest::Task::drop, std::move(ids));
}

Done<std::vector<LinkSessionErrand::Found>> BridgeSet::ask_sessions(LinkSessionErrand::Task task,
                                                                    const std::string& prefix) const {
    Answers<std::vector<LinkSessionErrand::Found>> answers;
    for (std::size_t i = 0; i < inlets_.size(); ++i)
        inlets_.at(i).post_link_sessions({.task = task, .prefix = prefix, .answer = answers.slot()});
    auto got = answers.wait(inlets_.size());
    if (!got) return Err{got.error()};
    std::vector<LinkSessionErrand::Found> all;
    for (auto& part : *got) std::move(part.begin(), part.end(), std::back_inserter(all));
    return all;
}

Done<std::vector<shard::LeftoverSpool>> BridgeSet::leftovers() {
    auto found = ask_sessions(LinkSessionErrand::Task::list, std::string(shard::bridge_session_prefix));
    if (!found) return Err{found.error()};
    std::vector<shard::LeftoverSpool> spools;
    for (const auto& one : *found) {
        if (one.messages == 0) continue;
        // "$bridge/BRIDGE/ROUTE/SHARD"
        const std::string_view rest =
            std::string_view(one.client_id).substr(shard::bridge_session_prefix.size());
        const auto first = rest.find('/'), last = rest.rfind('/');
        if (first == std::string_view::npos || last <= first) continue;
        const std::string bridge(rest.substr(0, first)), route(rest.substr(first + 1, last - first - 1));
        auto same = std::find_if(spools.begin(), spools.end(), [&](const auto& spool) {
            return spool.bridge == bridge && spool.route == route;
        });
        if (same == spools.end()) same = spools.insert(same, {bridge, route, 0, 0});
        same->messages += one.messages;
        same->bytes += one.bytes;
    }
    return spools;
}

Done<std::size_t> BridgeSet::forget(const std::string& bridge, const std::string& route) {
    std::string prefix = fmt::format("{}{}/", shard::bridge_session_prefix, bridge);
    if (!route.empty()) prefix += route + "/";
    auto found = ask_sessions(LinkSessionErrand::Task::list, prefix);
    if (!found) return Err{found.error()};
    if (found->empty()) {
        const std::string what = route.empty() ? fmt::format("bridge '{}'", bridge)
                                               : fmt::format("route '{}' of bridge '{}'", route, bridge);
        if (const Runner runner = find(bridge);
            runner && (route.empty() || std::find(runner->routes().begin(), runner->routes().end(), route) !=
                                            runner->routes().end()))
            return Err{Error{Failure::conflict, fmt::format("{} is in the settings and in use", what)}};
        return Err{Error{Failure::not_found, fmt::format("there is no leftover spool of {}", what)}};
    }
    auto ended = ask_sessions(LinkSessionErrand::Task::end, prefix);
    if (!ended) return Err{ended.error()};
    std::size_t messages = 0;
    for (const auto& one : *ended) messages += one.messages;
    return messages;
}

}  // namespace sluice::app
