#!/usr/bin/env python3
"""Sluice against Mosquitto on loopback, in turn, with the same load: broker CPU per delivered message, and memory.

Absolute figures belong to this machine and this hour; the ratios are what to look at.
"""

import argparse
import statistics
import sys

import brokers
import load

IDLE_CONNECTIONS = 500

SCENARIOS = [
    ("fan-in QoS 0, 100 to 1, 64 B", load.fan_in),
    ("fan-out QoS 0, 1 to 200, 64 B", load.fan_out),
    ("pairs QoS 1, 50, 256 B", load.pairs),
    ("pairs QoS 1, 50, 256 B, persistent", lambda port, messages: load.pairs(port, messages, clean=False)),
]


def measure(make, messages):
    """{row: value} of one broker: each scenario in a fresh process."""
    rows = {}
    with make() as broker:
        rows["memory, idle, kB"] = broker.rss_bytes() / 1000
        before = broker.rss_bytes()
        connections = load.idle(broker.port, IDLE_CONNECTIONS)
        rows["memory per idle connection, B"] = (broker.rss_bytes() - before) / len(connections)
        for connection in connections:
            connection.close()
    for name, scenario in SCENARIOS:
        with make() as broker:
            scenario(broker.port, messages // 10)  # warm up: pages, allocator, branch predictors
            before = broker.cpu_seconds()
            delivered = scenario(broker.port, messages)
            rows[f"{name}, CPU us"] = (broker.cpu_seconds() - before) * 1e6 / delivered
    return rows


def print_table(ours, peers):
    width = max(map(len, ours[0]))
    print(f"{'':{width}}  {'sluice':>10}  {'mosquitto':>10}  {'ratio':>6}")
    for row in ours[0]:
        mine = statistics.median(rows[row] for rows in ours)
        other = statistics.median(rows[row] for rows in peers)
        print(f"{row:{width}}  {mine:10.2f}  {other:10.2f}  {mine / other if other else float('nan'):6.2f}")


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sluiced", default="build/release/bin/sluiced", help="the program to measure")
    parser.add_argument("--messages", type=int, default=200_000, help="delivered messages per scenario")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, the brokers in turn; the median is shown")
    return parser.parse_args()


def main():
    options = parse()
    ours, peers = [], []
    try:
        for number in range(1, options.rounds + 1):
            for rows, make in ((ours, lambda: brokers.sluice(options.sluiced)), (peers, brokers.mosquitto)):
                print(f"round {number} of {options.rounds}: {'sluice' if rows is ours else 'mosquitto'}", flush=True)
                rows.append(measure(make, options.messages))
    except (RuntimeError, OSError, load.Stalled) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print_table(ours, peers)
    print("ratio under 1: sluice needs less")
    return 0


if __name__ == "__main__":
    sys.exit(main())
