"""The scenarios. Each is a function of a Bench (how to start a broker and the generator) that returns {row: value};
the unit stands at the end of a row's name, and less is better except for rates (per second)."""

import contextlib
import subprocess
import time

import bridges
from brokers import Broker
from case import LeftOut, Wrong
from generator import Generator, measure


def throughput(title, deliveries, threads=None, **options):
    def run(bench):
        with bench.broker(threads) as broker:
            found, cpu = bench.traffic(broker, deliveries, **options)
            return {f"{title}: CPU, us": cpu, f"{title}: rate, 1/s": found["deliveries"] / found["seconds"]}

    return run


OFFLINE = {"topology": "publish", "publishers": 50, "qos": 1, "payload": 256}


@contextlib.contextmanager
def away(bench):
    """A broker, mosquitto with persistence too, with a persistent session whose client is not there."""
    with Broker(bench.name, bench.setup, keeps=True) as broker:
        made = subprocess.run(["mosquitto_sub", "-h", "127.0.0.1", "-p", str(broker.port), "-c", "-i", "away", "-q", "1",
                               "-t", "bench/#", "-E"], check=False)
        if made.returncode != 0:
            raise RuntimeError("mosquitto_sub could not subscribe")
        yield broker


def offline(bench):
    """What a publisher waits for: the promise. Mosquitto gives none, it does not sync."""
    title = "QoS 1 to a client that is away, 50 publishers, 256 B, kept"
    with away(bench) as broker:
        found, cpu = bench.traffic(broker, 80_000, **OFFLINE)
        rows = {f"{title}: CPU, us": cpu, f"{title}: rate, 1/s": found["deliveries"] / found["seconds"]}
    with away(bench) as broker:
        found, _ = bench.traffic(broker, 10_000, rate=1000, **OFFLINE)
        rows["the same at 1000/s: acknowledged p50, us"] = found["p50_us"]
        rows["the same at 1000/s: acknowledged p99, us"] = found["p99_us"]
    return rows


def flash(bench):
    """Bytes that reach the disk for a message that waits for a client that is away."""
    if bench.name != "sluice":
        raise LeftOut("it writes when it likes")
    rows = {}
    for rate in (1, 10, 100, 1000):
        count = max(30, rate * 20)
        with away(bench) as broker:
            before = broker.written_bytes()
            found, _ = measure(bench.load, broker, "traffic", port=broker.port, deliveries=count, rate=rate, **OFFLINE)
            if found["deliveries"] != count:
                raise Wrong(f"{found['deliveries']} of {count} were acknowledged")
            rows[f"kept at {rate}/s, 256 B: written for each, B"] = (broker.written_bytes() - before) / count
    return rows


def open_loop(bench):
    title = "open loop 5000/s, 50 pairs QoS 0, 64 B"
    with bench.broker() as broker:
        found, cpu = bench.traffic(broker, 25_000, topology="pairs", publishers=50, rate=5000)
        return {f"{title}: CPU, us": cpu, f"{title}: p50, us": found["p50_us"], f"{title}: p99, us": found["p99_us"]}


@contextlib.contextmanager
def crowd(bench, broker, tls=False, **options):
    """A crowd that stays while the block runs; the broker's growth by it, in bytes, is yielded."""
    with Generator(bench.load, "crowd", port=broker.tls_port if tls else broker.port, tls=tls, **options) as generator:
        generator.wait_phase("begin")
        before = broker.settled_rss_bytes()
        generator.go()
        generator.wait_phase("end")
        yield broker.settled_rss_bytes() - before


def idle_memory(bench):
    with bench.broker() as broker:
        return {"idle, plain and TLS listener: memory, kB": broker.settled_rss_bytes() / 1000}


def idle_connections(count, tls):
    def run(bench):
        with bench.broker() as broker, crowd(bench, broker, tls=tls, clients=count) as grown:
            return {f"{count} idle connections, {'TLS' if tls else 'TCP'}: memory of each, B": grown / count}

    return run


def wildcards(bench):
    rows = {}
    title = "pairs QoS 0, 64 B, beside {} wildcard subscriptions: CPU, us"
    for count in (20, 20_000):
        with bench.broker() as broker, crowd(bench, broker, clients=20, subscriptions=count):
            _, cpu = bench.traffic(broker, 300_000, topology="pairs", publishers=50, window=40)
            rows[title.format(count)] = cpu
    return rows


def million(bench):
    rows = {}
    with bench.broker() as broker, crowd(bench, broker, clients=20, subscriptions=1_000_000) as grown:
        rows["1,000,000 subscriptions: memory, MB"] = grown / 1e6
        _, cpu = bench.traffic(broker, 300_000, topology="pairs", publishers=50, window=40)
        rows["pairs QoS 0, 64 B, beside 1,000,000 subscriptions: CPU, us"] = cpu
    return rows


def retained(bench):
    title = "10,000 retained, 10 wildcard readers"
    with bench.broker() as broker, Generator(bench.load, "crowd", port=broker.port, clients=10,
                                             retained=10_000) as generator:
        generator.wait_phase("begin")
        generator.go()
        generator.wait_phase("retained")
        before, start = broker.cpu_seconds(), time.monotonic()
        generator.go()
        generator.wait_phase("end")
        messages = 10 * 10_000
        return {f"{title}: CPU, us": (broker.cpu_seconds() - before) * 1e6 / messages,
                f"{title}: rate, 1/s": messages / (time.monotonic() - start)}


def churn(bench):
    rows = {}
    with bench.broker() as broker:
        cpu = {}
        for kind, count, options in (("TCP", 3000, {}), ("TLS, resumed", 2000, {"resume": True}), ("TLS, full", 300, {})):
            tls = kind != "TCP"
            found, spent = measure(bench.load, broker, "churn", port=broker.tls_port if tls else broker.port, tls=tls,
                                   count=count, **options)
            if options and found["resumed"] < count - 1:
                raise Wrong(f"{broker.name}: {found['resumed']} of {count} TLS sessions were resumed")
            cpu[kind] = spent * 1e6 / count
            rows[f"connect and leave, {kind}: CPU, us"] = cpu[kind]
            rows[f"connect and leave, {kind}: rate, 1/s"] = count / found["seconds"]
        rows["a resumed TLS session beyond a TCP connect: CPU, us"] = cpu["TLS, resumed"] - cpu["TCP"]
        rows["a full TLS handshake beyond a TCP connect: CPU, us"] = cpu["TLS, full"] - cpu["TCP"]
    return rows


STORM_RATE = 100


@contextlib.contextmanager
def handshakes(bench, broker, seconds):
    """Full TLS handshakes, so many a second, while the block runs, which takes no longer than `seconds`."""
    with Generator(bench.load, "churn", port=broker.tls_port, tls=True, count=STORM_RATE * seconds,
                   rate=STORM_RATE) as generator:
        # Its part of the handshakes is other machines' work: it takes only time that is left.
        generator.take_spare_time()
        generator.wait_phase("begin")
        generator.go()
        yield
        generator.wait_phase("end")
        generator.go()
        reached = STORM_RATE * seconds / generator.result()["seconds"]
        if reached < 0.95 * STORM_RATE:
            raise Wrong(f"{broker.name}: {reached:.0f} of {STORM_RATE} handshakes a second came through: "
                        "is the machine busy?")


def storm(bench):
    """What 100 full handshakes a second do to others."""
    p99 = {}
    with bench.broker() as broker:
        for kind in ("quiet", "storm"):
            with handshakes(bench, broker, int(2 + 6 * bench.scale)) if kind == "storm" else contextlib.nullcontext():
                found, _ = bench.traffic(broker, 10_000, topology="pairs", publishers=20, rate=2000)
                p99[kind] = found["p99_us"]
    return {"live traffic 2000/s: p99, us": p99["quiet"],
            "live traffic 2000/s beside 100 TLS handshakes/s: p99, us": p99["storm"],
            "growth of p99 by the handshakes, times": p99["storm"] / p99["quiet"]}


PAIRS = {"topology": "pairs", "publishers": 50, "payload": 256}
FAN_OUT = {"topology": "fan-out", "subscribers": 200, "window": 100}

# name, function, whether once is enough (memory does not vary, and some take long)
SCENARIOS = [
    ("fan-in", throughput("fan-in QoS 0, 100 to 1, 64 B", 500_000, topology="fan-in", publishers=100, window=40), False),
    ("fan-out", throughput("fan-out QoS 0, 1 to 200, 64 B", 600_000, **FAN_OUT), False),
    ("fan-out-qos1", throughput("fan-out QoS 1, 1 to 50, 64 B", 300_000, topology="fan-out", subscribers=50, qos=1), False),
    ("pairs-qos1", throughput("pairs QoS 1, 50, 256 B", 300_000, qos=1, **PAIRS), False),
    ("pairs-qos2", throughput("pairs QoS 2, 50, 256 B", 150_000, qos=2, **PAIRS), False),
    ("pairs-qos1-tls", throughput("pairs QoS 1, 50, 256 B, TLS 1.2", 200_000, qos=1, tls=True, **PAIRS), False),
    ("durable", throughput("pairs QoS 1, 50, 256 B, durable", 200_000, qos=1, durable=True, **PAIRS), False),
    ("offline", offline, False),
    ("flash", flash, True),
    *((name, scenario, False) for name, scenario in bridges.SCENARIOS),
    # Sluice with two shards, also where its default is one.
    ("fan-out-2", throughput("fan-out QoS 0, 1 to 200, 64 B, two shards", 600_000, threads=2, **FAN_OUT), False),
    ("pairs-qos1-2", throughput("pairs QoS 1, 50, 256 B, two shards", 300_000, threads=2, qos=1, **PAIRS), False),
    ("open-loop", open_loop, False),
    ("wildcards", wildcards, False),
    ("retained", retained, False),
    ("churn", churn, False),
    ("storm", storm, False),
    ("idle", idle_memory, False),
    ("idle-tcp", idle_connections(10_000, False), True),
    ("idle-tls", idle_connections(10_000, True), True),
    ("million", million, True),
]

# What may be named instead of each of them.
GROUPS = {"bridge": [name for name, _ in bridges.SCENARIOS]}
