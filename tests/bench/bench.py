#!/usr/bin/env python3
"""Sluice against Mosquitto on loopback, in turn, with the same load: broker CPU per delivered message, rates, latency,
and memory.

Absolute figures belong to this machine and this hour; the ratios are what to look at.
"""

import argparse
import json
import pathlib
import platform
import statistics
import subprocess
import sys
import time

import brokers
import case
import scenarios
import upstream


def parse():
    names = [name for name, _, _ in scenarios.SCENARIOS]
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__.split("\n\n")[0])
    parser.add_argument("scenario", nargs="*", metavar="SCENARIO", help="all when none is named: " + " ".join(names)
                        + "; " + "; ".join(f"{group}: {' '.join(those)}" for group, those in scenarios.GROUPS.items()))
    parser.add_argument("--rounds", type=int, default=5, help="the brokers in turn; the median is shown (5)")
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of messages (1)")
    parser.add_argument("--threads", type=int, default=0, help="of sluice (its default: one per core but one)")
    parser.add_argument("--kafka", choices=upstream.KAFKAS, default="mock", help="which Kafka the bridge sends to (mock)")
    parser.add_argument("--sluiced", default="build/release/bin/sluiced", help="the program to measure")
    parser.add_argument("--load", default="build/release/bin/bench_load", help="the load generator")
    parser.add_argument("--certificates", default="build/certs", help="folder with server.crt and server.key")
    parser.add_argument("--json", type=pathlib.Path, help="write all figures there")
    parser.add_argument("--markdown", type=pathlib.Path, help="write the table there")
    options = parser.parse_args()
    options.scenario = [name for wanted in options.scenario for name in scenarios.GROUPS.get(wanted, [wanted])]
    unknown = set(options.scenario) - set(names)
    if unknown:
        parser.error(f"no scenario {', '.join(sorted(unknown))}; there are: {' '.join(names + list(scenarios.GROUPS))}")
    return options


def run(options):
    """({broker: {row: [values]}}, {scenario and broker: why it was left out})"""
    left_out = {}
    setup = brokers.Setup(options.sluiced, options.certificates, options.threads)
    found = {"sluice": {}, "mosquitto": {}}
    for number in range(1, options.rounds + 1):
        for name, scenario, once in scenarios.SCENARIOS:
            if options.scenario and name not in options.scenario or once and number > 1:
                continue
            print(f"round {number} of {options.rounds}: {name}", file=sys.stderr, flush=True)
            for broker, rows in found.items():
                try:
                    values = scenario(case.Bench(broker, setup, options.load, options.scale, options.kafka))
                except case.LeftOut as why:
                    left_out[f"{name} with {broker}"] = str(why)
                    continue
                for row, value in values.items():
                    rows.setdefault(row, []).append(value)
    return found, left_out


def number(value):
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"


def table(found):
    lines = ["| | Sluice | Mosquitto | ratio |", "|---|---:|---:|---:|"]
    for row, values in found["sluice"].items():
        mine = statistics.median(values)
        others = found["mosquitto"].get(row)
        other = statistics.median(others) if others else 0
        ratio = f"{mine / other:.2f}" if other > 0 and mine > 0 else "-"
        lines.append(f"| {row} | {number(mine)} | {number(other) if others else '-'} | {ratio} |")
    return "\n".join(lines) + "\n"


def versions(options):
    first = [subprocess.run([program, flag], capture_output=True, text=True).stdout.splitlines()[:1]
             for program, flag in ((options.sluiced, "--version"), (brokers.find_mosquitto(), "-h"))]
    return [line[0] if line else "?" for line in first]


def main():
    options = parse()
    start = time.monotonic()
    try:
        found, left_out = run(options)
    except (RuntimeError, OSError, case.Wrong) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    text = table(found)
    print(text + "\nMedians; ratio: Sluice / Mosquitto, less is better except for rates. "
          f"Rounds: {options.rounds}, in {(time.monotonic() - start) / 60:.1f} minutes.")
    for what, why in left_out.items():
        print(f"left out: {what}: {why}")
    if options.markdown:
        options.markdown.write_text(text)
    if options.json:
        about = {"versions": versions(options), "rounds": options.rounds, "machine": platform.machine(),
                 "kernel": platform.release(), "left_out": left_out, "kafka": options.kafka,
                 "sluice": found["sluice"], "mosquitto": found["mosquitto"]}
        options.json.write_text(json.dumps(about, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
