#pragma once
/// The file connector: writes what is offered in groups, and confirms a group when it is on disk.
#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "bridge/backoff.hpp"
#include "bridge/file/folder.hpp"
#include "bridge/file/json_line.hpp"
#include "bridge/file/settings.hpp"
#include "bridge/mapping.hpp"
#include "bridge/worker.hpp"

namespace sluice::bridge::file {

struct Route {
    Template file;
    LineForm form;
};

/// All that was offered meanwhile is one group, with one sync per file. When anything fails, nothing of the
/// group is confirmed, its lines are taken back, and everything comes again.
class FileEngine final : public Engine {
  public:
    FileEngine(ConnectorSpec spec, FileSettings settings, mode_t mode, std::vector<Route> routes);
    void run(Worker& worker) override;

  private:
    bool open();
    void serve(Worker& worker);
    void write(Worker& worker, const std::vector<Outgoing>& offered);
    void put(const Outgoing& out);
    void settle(Worker& worker);
    void fail(Problem problem);
    std::chrono::milliseconds wait_time() const;

    const std::string bridge_name_, origin_;
    const FileSettings settings_;
    const mode_t mode_;
    const std::vector<Route> routes_;
    Backoff backoff_;
    std::unique_ptr<Folder> folder_;
    std::string down_reason_;        ///< set: the folder is to be given up for now
    std::uint64_t room_bytes_ = 0;   ///< what there was no room for the last time
    std::uint64_t group_bytes_ = 0;  ///< appended and not synced
    std::vector<Confirm> confirms_;  ///< of the group
    std::string base_, line_;
};

}  // namespace sluice::bridge::file
