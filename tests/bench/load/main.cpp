/// The load generator of ./dev bench. It prints a line "phase NAME" when something to be measured is about to
/// begin or has just ended and goes on when it gets a line, so that the driver can read the broker's costs in
/// between; what it found stands in the last line, as JSON.
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <exception>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "crowd.hpp"
#include "traffic.hpp"

namespace {

using bench::ChurnPlan;
using bench::Crowd;
using bench::TrafficPlan;
using bench::TrafficResult;
using Json = nlohmann::ordered_json;

void phase(const char* name) {
    std::cout << "phase " << name << std::endl;
    std::string line;
    if (!std::getline(std::cin, line)) throw std::runtime_error("the driver has gone");
}

double own_cpu_seconds() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

Json as_json(const TrafficResult& result) {
    const auto us = [&](double quantile) { return static_cast<double>(result.latency.at(quantile)) / 1e3; };
    return {{"deliveries", result.deliveries},
            {"lost", result.lost},
            {"duplicated", result.duplicated},
            {"misordered", result.misordered},
            {"seconds", result.seconds},
            {"p50_us", us(0.5)},
            {"p90_us", us(0.9)},
            {"p99_us", us(0.99)},
            {"p999_us", us(0.999)}};
}

void write_samples(const std::string& file, const std::vector<bench::Sample>& samples) {
    std::ofstream out(file);
    for (const auto& [due_ns, latency_ns] : samples) out << due_ns << ' ' << latency_ns << '\n';
    if (!out.flush()) throw std::runtime_error("cannot write " + file);
}

Json run_traffic(const TrafficPlan& plan, std::uint64_t warm_up, const std::string& samples_file) {
    bench::Traffic traffic(plan);
    if (warm_up > 0) traffic.run(warm_up);
    phase("begin");
    const double before = own_cpu_seconds();
    const TrafficResult result = traffic.run(plan.deliveries);
    Json json = as_json(result);
    json["generator_cpu_us"] = (own_cpu_seconds() - before) * 1e6 /
                               static_cast<double>(std::max<std::uint64_t>(1, result.deliveries));
    if (plan.keeps_samples) write_samples(samples_file, result.samples);
    phase("end");
    return json;
}

std::string wildcard(std::uint32_t i) {
    return "wild/" + std::to_string(i / 1000) + "/+/" + std::to_string(i % 1000) + "/#";
}

struct CrowdPlan {
    std::uint16_t port = 0;
    bool tls = false;
    std::uint32_t clients = 1;
    std::uint32_t subscriptions = 0;
    std::uint32_t retained = 0;
};

Json run_crowd(const CrowdPlan& plan) {
    phase("begin");
    Crowd crowd(plan.port, plan.tls, "crowd");
    if (plan.retained > 0) {
        crowd.connect(1);
        crowd.publish_retained(plan.retained, 64);
        crowd.connect(plan.clients - 1);
        phase("retained");
        crowd.read_retained("crowd/#", plan.retained);
    } else {
        crowd.connect(plan.clients);
    }
    if (plan.subscriptions > 0) crowd.subscribe(plan.subscriptions, wildcard);
    phase("end");
    return {{"clients", plan.clients}, {"subscriptions", plan.subscriptions}, {"retained", plan.retained}};
}

Json run_churn(const ChurnPlan& plan) {
    phase("begin");
    const bench::ChurnResult result = bench::Churn(plan).run();
    phase("end");
    return {{"count", plan.count}, {"seconds", result.seconds}, {"resumed", result.resumed}};
}

/// As many descriptors as the machine allows: one per client.
void raise_descriptor_limit() {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/// Where latency is measured: the generator stands for other machines, and its own wait for a core is not the
/// broker's delay. From Linux 6.12 a thread with a short slice takes the core from one with a longer one when
/// it wakes up; its share of the time stays the same.
void wake_up_promptly() {
    struct {  // the kernel's struct sched_attr
        std::uint32_t size = 48, policy = 0;
        std::uint64_t flags = 0;
        std::int32_t nice = 0;
        std::uint32_t priority = 0;
        std::uint64_t runtime_ns = 0, deadline_ns = 0, period_ns = 0;
    } attributes;
    if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0) return;
    attributes.runtime_ns = 100'000;
    (void)syscall(SYS_sched_setattr, 0, &attributes, 0);
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Load for the benchmarks: MQTT 3.1.1 clients on one thread.");
    app.require_subcommand(1);

    TrafficPlan traffic;
    std::uint64_t warm_up = 0;
    auto* run = app.add_subcommand("traffic", "messages from publishers to subscribers, each one checked");
    run->add_option("--port", traffic.port, "of the broker, on 127.0.0.1")->required();
    run->add_flag("--tls", traffic.tls, "TLS 1.2; the certificate is not verified");
    run->add_option("--topology", traffic.topology)
        ->check(CLI::IsMember({"pairs", "fan-in", "fan-out", "publish"}));
    run->add_option("--publishers", traffic.publishers);
    run->add_option("--subscribers", traffic.subscribers);
    run->add_option("--qos", traffic.qos)->check(CLI::Range(0, 2));
    run->add_option("--payload", traffic.payload_bytes, "bytes")->check(CLI::Range(16, 1 << 20));
    run->add_flag("--durable", traffic.durable, "the subscribers' sessions are persistent");
    run->add_option("--deliveries", traffic.deliveries, "over all subscribers")->required();
    run->add_option("--warm-up", warm_up, "deliveries before the measured ones");
    run->add_option("--window", traffic.window, "messages under way per publisher");
    run->add_option("--rate", traffic.rate,
                    "messages per second over all publishers; 0: as fast as the window allows");
    run->add_option("--prefix", traffic.prefix, "of topics and client ids");
    run->add_flag("--until-told", traffic.until_told,
                  "end at a further line, or after so many deliveries; needs a rate and no warm-up");
    std::string samples_file;
    run->add_option("--samples", samples_file,
                    "write when each message was due, and its latency, both in ns");

    CrowdPlan crowd;
    auto* many = app.add_subcommand("crowd", "clients that connect and stay");
    many->add_option("--port", crowd.port)->required();
    many->add_flag("--tls", crowd.tls);
    many->add_option("--clients", crowd.clients);
    many->add_option("--subscriptions", crowd.subscriptions, "wildcard filters, over all clients");
    many->add_option("--retained", crowd.retained, "messages of 64 bytes that each client reads");

    ChurnPlan churn;
    auto* going = app.add_subcommand("churn", "clients that come and go");
    going->add_option("--port", churn.port)->required();
    going->add_flag("--tls", churn.tls);
    going->add_flag("--resume", churn.resume, "TLS sessions");
    going->add_option("--count", churn.count);
    going->add_option("--parallel", churn.parallel);
    going->add_option("--rate", churn.rate, "per second; 0: as fast as it goes");
    CLI11_PARSE(app, argc, argv);

    try {
        raise_descriptor_limit();
        if (traffic.rate > 0) wake_up_promptly();
        traffic.keeps_samples = !samples_file.empty();
        const Json result = *run    ? run_traffic(traffic, warm_up, samples_file)
                            : *many ? run_crowd(crowd)
                                    : run_churn(churn);
        std::cout << result.dump() << std::endl;
        return 0;
    } catch (const std::exception& error) {
        std::cerr << "load: " << error.what() << '\n';
        return 1;
    }
}
