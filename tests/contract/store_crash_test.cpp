/// `kill -9` at any moment: what was told to be committed is there, whole turns only, in order.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <random>

#include "store_script.hpp"
#include "store_support.hpp"

namespace sluice::store::testing {
namespace {

constexpr ShardIndex shards = 2;
constexpr std::uint64_t seed = 4711;
constexpr int rounds = 20;

struct Told {
    ShardIndex shard;
    TurnNumber turn;
};

/// In the child: passes each commit on to the parent, who may kill us in the middle.
class PipeEvents final : public StoreEvents {
  public:
    explicit PipeEvents(int fd) : fd_(fd) {}
    void on_committed(ShardIndex shard, TurnNumber turn) override {
        const Told told{shard, turn};
        if (::write(fd_, &told, sizeof told) != sizeof told) ::_exit(3);
    }
    void on_queue_loaded(ShardIndex, SessionKey, std::vector<core::QueueEntry>, bool) override {}
    void on_oldest_found(ShardIndex, SessionKey, std::vector<core::StoredRow>, bool) override {}
    void on_store_trouble(const std::string&) override {}

  private:
    int fd_;
};

StoreSettings settings_for(const TempDir& dir) {
    StoreSettings settings;
    settings.data_dir = dir.path();
    settings.durability.window = 2ms;
    settings.group_messages_max = 40;
    settings.reserve_bytes = 0;
    return settings;
}

/// Never returns: posts until it is killed.
[[noreturn]] void live(const TempDir& dir, std::uint64_t life_seed, int fd) {
    auto store = make_sqlite_store(settings_for(dir));
    if (!store->open()) ::_exit(2);
    PipeEvents events(fd);
    store->start(events);
    std::vector<Script> scripts;
    for (ShardIndex shard = 0; shard < shards; ++shard) scripts.emplace_back(life_seed, shard);
    for (;;) {
        for (ShardIndex shard = 0; shard < shards; ++shard) {
            Batch entries = scripts[shard].next();
            store->post_batch(shard, scripts[shard].turn(), std::move(entries));
        }
        // Ahead of the disk, but not without bound.
        if (scripts[0].turn() % 16 == 0) ::usleep(500);
    }
}

/// The model after the given number of turns of each shard.
Model model_at(std::uint64_t life_seed, const TurnNumber (&turns)[shards]) {
    Model model;
    for (ShardIndex shard = 0; shard < shards; ++shard) {
        Script script(life_seed, shard);
        while (script.turn() < turns[shard]) script.next();
        model.sessions.insert(script.model().sessions.begin(), script.model().sessions.end());
        model.retained.insert(script.model().retained.begin(), script.model().retained.end());
    }
    return model;
}

TEST(StoreCrash, nothing_committed_is_lost_and_no_turn_is_torn_after_kill_9) {
    std::mt19937_64 random(seed);
    std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
    for (int round = 0; round < rounds; ++round) {
        SCOPED_TRACE("seed " + std::to_string(seed) + " round " + std::to_string(round));
        TempDir dir;
        const std::uint64_t life_seed = random();
        const std::uint64_t reports_until_kill = 1 + random() % 60;
        int ends[2];
        ASSERT_EQ(::pipe(ends), 0);
        const pid_t child = ::fork();
        ASSERT_GE(child, 0);
        if (child == 0) live(dir, life_seed, ends[1]);
        ::close(ends[1]);
        TurnNumber told[shards] = {};
        Told one{};
        for (std::uint64_t n = 0; ::read(ends[0], &one, sizeof one) == sizeof one; ++n) {
            told[one.shard] = one.turn;
            if (n == reports_until_kill) ::kill(child, SIGKILL);
        }
        ::close(ends[0]);
        int status = 0;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself with " << WEXITSTATUS(status);

        auto store = make_sqlite_store(settings_for(dir));
        auto recovered = store->open();
        ASSERT_TRUE(recovered.ok()) << recovered.error();
        EXPECT_TRUE(recovered->damage.empty());
        TurnNumber found[shards] = {};
        for (ShardIndex shard = 0; shard < shards; ++shard) {
            found[shard] = Script::turn_of(*recovered, shard);
            EXPECT_GE(found[shard], told[shard]) << "an acknowledged turn of shard " << shard << " is lost";
        }
        const Model model = model_at(life_seed, found);
        expect_same(model, *recovered);
        Observer observer;
        store->start(observer);
        expect_same_queues(model, *store, observer);
        store->stop();
        if (::testing::Test::HasFailure()) return;
    }
}

}  // namespace
}  // namespace sluice::store::testing
