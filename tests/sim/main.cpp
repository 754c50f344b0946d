/// sim: runs the simulation from one seed or many; see docs/development.md.
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <vector>

#include "base/log.hpp"
#include "tests/sim/time.hpp"
#include "tests/sim/world.hpp"

namespace sluice::sim {
namespace {

struct Options {
    std::uint64_t first = 1, seeds = 1, jobs = 1;
    bool expects_violation = false;
    bool twice = false;
    bool goes_on = false;
    RunOptions run;
};

void usage() {
    std::puts(
        "sim [--seed N] [--first N] [--seeds N] [--jobs N] [--trace] [--log] [--strict] [--go-on] [--twice]\n"
        "    [--break WHAT [--expect-violation]]\n"
        "  --seed N     only this one\n"
        "  --trace      every step\n"
        "  --log        what the broker logs\n"
        "  --strict     also what is known not to hold; see docs/development.md\n"
        "  --go-on      not only to the first violation\n"
        "  --twice      each seed in two processes, whose traces must be the same\n"
        "  --break WHAT a promise is broken on purpose:");
    for (const MutationName& one : mutation_names) std::printf("      %s\n", std::string(one.name).c_str());
}

/// False: not understood.
bool parse(int argc, char** argv, Options& options) {
    for (int i = 1; i < argc; ++i) {
        const std::string_view name = argv[i];
        const auto number = [&] { return ++i < argc ? std::strtoull(argv[i], nullptr, 10) : 0; };
        if (name == "--seed") {
            options.first = number();
            options.seeds = 1;
        } else if (name == "--first") {
            options.first = number();
        } else if (name == "--seeds") {
            options.seeds = number();
        } else if (name == "--jobs") {
            options.jobs = std::max<std::uint64_t>(1, number());
        } else if (name == "--trace") {
            options.run.prints = true;
        } else if (name == "--log") {
            log::set_sink([](log::Level, std::string_view line) {
                std::printf("        | %.*s\n", int(line.size()), line.data());
            });
        } else if (name == "--strict") {
            options.run.strict = true;
        } else if (name == "--twice") {
            options.twice = true;
        } else if (name == "--go-on") {
            options.goes_on = true;
        } else if (name == "--expect-violation") {
            options.expects_violation = true;
        } else if (name == "--break" && ++i < argc) {
            const auto mutation = find_mutation(argv[i]);
            if (!mutation) return false;
            options.run.mutation = *mutation;
        } else {
            return false;
        }
    }
    return true;
}

/// A folder for the few files that are not SQLite's.
class DataDir {
  public:
    DataDir() {
        std::string pattern = (std::filesystem::temp_directory_path() / "sluice-sim-XXXXXX").string();
        path_ = ::mkdtemp(pattern.data());
    }
    ~DataDir() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    const std::string& path() const { return path_; }

  private:
    std::string path_;
};

struct Totals {
    std::uint64_t seeds = 0, steps = 0, crashes = 0, messages = 0, dues = 0, violations = 0;
};

/// The trace's hash of a seed in a process of its own.
std::uint64_t hash_elsewhere(std::uint64_t seed, const RunOptions& run) {
    int ends[2];
    if (::pipe(ends) != 0) return 0;
    const pid_t child = ::fork();
    if (child == 0) {
        const std::uint64_t hash = World(seed, run).run().hash;
        ::_exit(::write(ends[1], &hash, sizeof hash) == sizeof hash ? 0 : 1);
    }
    ::close(ends[1]);
    std::uint64_t hash = 0;
    if (::read(ends[0], &hash, sizeof hash) != sizeof hash) hash = 0;
    ::close(ends[0]);
    ::waitpid(child, nullptr, 0);
    return hash;
}

/// True: a violation was found.
bool run_range(const Options& options, std::uint64_t first, std::uint64_t count, Totals& totals) {
    DataDir dir;
    RunOptions run = options.run;
    run.data_dir = dir.path();
    for (std::uint64_t seed = first; seed < first + count; ++seed) {
        const std::uint64_t elsewhere = options.twice ? hash_elsewhere(seed, run) : 0;
        const RunResult result = World(seed, run).run();
        ++totals.seeds;
        totals.steps += result.steps;
        totals.crashes += result.crashes;
        totals.messages += result.messages;
        totals.dues += result.dues;
        if (run.prints) std::printf("hash %016llx\n", static_cast<unsigned long long>(result.hash));
        if (options.twice && elsewhere != result.hash) {
            std::printf("seed %llu does not give the same run twice\n",
                        static_cast<unsigned long long>(seed));
            return true;
        }
        if (result.violation.empty()) continue;
        std::printf("seed %llu: %s\n  (in step %llu; again with: sim --seed %llu --trace)\n",
                    static_cast<unsigned long long>(seed), result.violation.c_str(),
                    static_cast<unsigned long long>(result.steps), static_cast<unsigned long long>(seed));
        std::fflush(stdout);
        ++totals.violations;
        if (!options.goes_on) return true;
    }
    std::printf(
        "seeds %llu to %llu: %llu steps, %llu crashes, %llu messages, %llu of them due somewhere; "
        "%lld ms of CPU\n",
        static_cast<unsigned long long>(first), static_cast<unsigned long long>(first + count - 1),
        static_cast<unsigned long long>(totals.steps), static_cast<unsigned long long>(totals.crashes),
        static_cast<unsigned long long>(totals.messages), static_cast<unsigned long long>(totals.dues),
        static_cast<long long>(cpu_ms()));
    return totals.violations > 0;
}

/// Each job has its share of the seeds, in a process of its own.
bool run_jobs(const Options& options) {
    std::vector<pid_t> children;
    const std::uint64_t share = (options.seeds + options.jobs - 1) / options.jobs;
    for (std::uint64_t from = 0; from < options.seeds; from += share) {
        std::fflush(stdout);
        const pid_t child = ::fork();
        if (child == 0) {
            Totals totals;
            const bool found =
                run_range(options, options.first + from, std::min(share, options.seeds - from), totals);
            std::fflush(stdout);
            std::_Exit(found ? 1 : 0);
        }
        children.push_back(child);
    }
    bool found = false;
    for (const pid_t child : children) {
        int status = 0;
        ::waitpid(child, &status, 0);
        found |= !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    }
    return found;
}

int main_of(int argc, char** argv) {
    log::set_sink([](log::Level, std::string_view) {});
    Options options;
    if (!parse(argc, argv, options)) {
        usage();
        return 2;
    }
    Totals totals;
    const bool found =
        options.jobs > 1 ? run_jobs(options) : run_range(options, options.first, options.seeds, totals);
    if (options.expects_violation && !found) std::puts("nothing was found, and something is broken");
    return found == options.expects_violation ? 0 : 1;
}

}  // namespace
}  // namespace sluice::sim

int main(int argc, char** argv) {
    return sluice::sim::main_of(argc, argv);
}
