#include "bridge/file/engine.hpp"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <utility>

#include "bridge/file/file_name.hpp"

namespace sluice::bridge::file {
namespace {

using std::chrono::milliseconds;

/// A group is synced when it has become so large: less memory, and less to look at after a power cut.
constexpr std::uint64_t group_bytes_max = 4ULL * 1024 * 1024;
/// An idle bridge looks this often whether its folder is still there.
constexpr milliseconds look_every{5'000};

}  // namespace

FileEngine::FileEngine(ConnectorSpec spec, FileSettings settings, mode_t mode, std::vector<Route> routes)
    : bridge_name_(std::move(spec.bridge_name)),
      origin_(std::move(spec.origin)),
      settings_(std::move(settings)),
      mode_(mode),
      routes_(std::move(routes)),
      backoff_(backoff_seed(bridge_name_)) {}

void FileEngine::run(Worker& worker) {
    while (!worker.stopping()) {
        if (open()) serve(worker);
        confirms_.clear();  // what was refused comes again too
        group_bytes_ = 0;
        folder_.reset();
        if (worker.stopping()) break;
        worker.down(down_reason_);
        if (!worker.pause(backoff_.next())) break;
    }
}

bool FileEngine::open() {
    down_reason_.clear();
    auto opened = Folder::open(settings_, mode_, bridge_name_, room_bytes_);
    if (!opened) {
        fail(opened.error());
        return false;
    }
    folder_ = std::move(opened).value();
    return true;
}

void FileEngine::serve(Worker& worker) {
    worker.up();
    while (!worker.stopping() && down_reason_.empty()) {
        pollfd waiting{worker.wake_fd(), POLLIN, 0};
        ::poll(&waiting, 1, static_cast<int>(wait_time().count()));
        worker.clear_wake();
        write(worker, worker.take());
        if (!down_reason_.empty()) break;
        if (auto ticked = folder_->tick(); !ticked) fail(ticked.error());
    }
}

milliseconds FileEngine::wait_time() const {
    const auto at = folder_->wake_at();
    if (at == Steady::time_point::max()) return look_every;
    return std::clamp(std::chrono::ceil<milliseconds>(at - Steady::now()), milliseconds(0), look_every);
}

void FileEngine::write(Worker& worker, const std::vector<Outgoing>& offered) {
    for (const Outgoing& out : offered) {
        if (worker.stopping() || !down_reason_.empty()) break;
        put(out);
        if (group_bytes_ >= group_bytes_max) settle(worker);
    }
    settle(worker);
}

void FileEngine::put(const Outgoing& out) {
    const Route& route = routes_.at(out.route);
    const MessageView view(*out.message);
    line_.clear();
    if (auto rendered = route.file.render(view, base_, &append_base); !rendered) {
        confirms_.push_back({out.lane, out.tag, Outcome::unmappable, rendered.error()});
        return;
    }
    Result<void, std::string> made;
    if (auto problem = base_problem(base_); !problem.empty()) made = Err{std::move(problem)};
    if (made) made = append_line(line_, view, {origin_, out.sequence}, route.form);
    if (!made) {
        confirms_.push_back({out.lane, out.tag, Outcome::refused, made.error()});
        return;
    }
    group_bytes_ += line_.size();
    if (auto appended = folder_->append(base_, line_); !appended) return fail(appended.error());
    confirms_.push_back({out.lane, out.tag, Outcome::delivered, {}});
}

/// The end of a group.
void FileEngine::settle(Worker& worker) {
    if (!down_reason_.empty() || confirms_.empty()) return;
    if (auto synced = folder_->sync(); !synced) return fail(synced.error());
    if (group_bytes_ > 0) {
        backoff_.reset();
        room_bytes_ = 0;
    }
    group_bytes_ = 0;
    worker.confirm(confirms_);
}

void FileEngine::fail(Problem problem) {
    if (problem.no_room) room_bytes_ = std::max(room_bytes_, group_bytes_ + 64UL * 1024);
    down_reason_ = std::move(problem.text);
}

}  // namespace sluice::bridge::file
