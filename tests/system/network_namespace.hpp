#pragma once
/// InNamespace: for its life the calling thread is in another network namespace, and so is what it starts:
/// threads, processes and sockets stay there for good.
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <string>

#include "base/check.hpp"

namespace sluice::test {

class InNamespace {
  public:
    /// By its name for `ip netns`. Needs root.
    explicit InNamespace(const std::string& name)
        : before_(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)) {
        const int inside = ::open(("/run/netns/" + name).c_str(), O_RDONLY | O_CLOEXEC);
        CHECK(before_ >= 0 && inside >= 0 && ::setns(inside, CLONE_NEWNET) == 0);
        ::close(inside);
    }
    ~InNamespace() {
        CHECK(::setns(before_, CLONE_NEWNET) == 0);
        ::close(before_);
    }
    InNamespace(const InNamespace&) = delete;
    InNamespace& operator=(const InNamespace&) = delete;

  private:
    int before_;
};

}  // namespace sluice::test
