#include <boost/asio/post.hpp>
#include <latch>

#include "shard_fixture.hpp"

namespace sluice::shard::test {
namespace {

using Steady = std::chrono::steady_clock;

void work_for(Steady::duration time) {
    const auto end = Steady::now() + time;
    while (Steady::now() < end) {
    }
}

// What a turn has made leaves at its end, and mail is looked at: whoever waits for that waits for the turn.
TEST(Turn, EndsAfterAWhileHoweverMuchIsReady) {
    RunningShard shard(Limits{});
    constexpr int handlers = 200;
    std::uint64_t first = 0, last = 0;
    std::latch done(1);
    boost::asio::post((*shard).context(), [&] {
        for (int i = 0; i < handlers; ++i) {
            boost::asio::post((*shard).context(), [&, i] {
                if (i == 0) first = shard.counters().turns.get();
                work_for(std::chrono::milliseconds(1));
                if (i < handlers - 1) return;
                last = shard.counters().turns.get();
                done.count_down();
            });
        }
    });
    done.wait();
    EXPECT_GE(last - first, 10U) << "a fifth of a second of work";
}

}  // namespace
}  // namespace sluice::shard::test
