"""The scenarios of bridges: devices -> Sluice, with its spool on disk -> Kafka or RabbitMQ. "Confirmed" is what the
upstream has taken responsibility for; afterwards all that lies there is read and counted."""

import contextlib
import dataclasses
import http.client
import json
import pathlib
import statistics
import time

import upstream
from brokers import Broker, free_port
from case import LeftOut, Wrong, check
from generator import Generator

DEVICES = {"topology": "publish", "publishers": 100, "qos": 1, "payload": 256}
FILL_WINDOW = 20  # messages that each device has unacknowledged
LOOK_S = 0.02
BACKLOG = 100_000
LIVE_RATE = 500  # per second: enough for a p99 of a drain of a second
IDLE_S = 4
CONFIG = """
[admin]
address = "127.0.0.1"
port = {admin_port}
[[bridge]]
name = "bench"
type = "{kind}"
{bridge}
[bridge.spool]
drain_rate = {drain_rate}
[[bridge.route]]
from = "bench/#"
{route}
"""


class Watch:
    """The broker's own word on its one bridge."""

    def __init__(self, admin_port):
        self.connection = http.client.HTTPConnection("127.0.0.1", admin_port, timeout=10)
        end = time.monotonic() + 10
        while True:
            try:
                return self.connection.connect()
            except ConnectionRefusedError:  # the listeners of clients open first
                if time.monotonic() > end:
                    raise
                time.sleep(LOOK_S)

    def status(self):
        self.connection.request("GET", "/api/v1/bridges")
        bridge = json.load(self.connection.getresponse())["bridges"][0]
        if bridge["refused"] or bridge["dropped"]:
            raise Wrong(f"the bridge lost messages: {bridge}")
        return bridge

    def wait(self, done, seconds=120):
        """Until done(status); the looks at it: [(time, confirmed)]."""
        looks = []
        end = time.monotonic() + seconds
        while True:
            bridge = self.status()
            looks.append((time.monotonic(), bridge["confirmed"]))
            if done(bridge):
                return looks
            if looks[-1][0] > end:
                raise RuntimeError(f"what was waited for did not come within {seconds} s: {bridge}")
            time.sleep(LOOK_S)

    def wait_confirmed(self, count, seconds=120):
        return self.wait(lambda bridge: bridge["confirmed"] >= count, seconds)


@contextlib.contextmanager
def bridged(bench, peer, drain_rate=0):
    """(the broker with a bridge to the peer, its Watch)"""
    admin_port = free_port()
    bridge, route = peer.bridge_lines()
    config = CONFIG.format(admin_port=admin_port, kind=peer.kind, bridge=bridge, route=route, drain_rate=drain_rate)
    with Broker(bench.name, bench.setup, config) as broker:
        yield broker, Watch(admin_port)


def peer_of(bench, kind, **options):
    """The upstream, not yet started."""
    if bench.name != "sluice":
        raise LeftOut("it has no bridge to Kafka or RabbitMQ")
    return (upstream.KAFKAS[bench.kafka] if kind == "kafka" else upstream.RabbitMq)(bench.setup.sluiced, **options)


def passes(bench, peer, count, rate=0):
    """Messages through the bridge until the last one is confirmed, at a rate or as fast as it takes them. (what the
    generator found, CPU of the broker for each, us; end-to-end rate; waiting when the last was acknowledged to its
    device; what arrived)"""
    warm_up = count // 10
    with peer, bridged(bench, peer) as (broker, watch):
        watch.wait(lambda bridge: bridge["state"] == "connected")
        with Generator(bench.load, "traffic", port=broker.port, deliveries=count, warm_up=warm_up, rate=rate,
                       **DEVICES) as generator:
            generator.wait_phase("begin")
            watch.wait_confirmed(warm_up)
            before, start = broker.cpu_seconds(), time.monotonic()
            generator.go()
            generator.wait_phase("end")
            waiting = watch.status()["spool_messages"]
            looks = watch.wait_confirmed(warm_up + count)
            cpu = (broker.cpu_seconds() - before) * 1e6 / count
            generator.go()
            found = generator.result()
        check(broker.name, found)
        arrived = peer.arrivals(warm_up + count)
        check(f"{broker.name}, counted at {peer.title}", {**arrived, "duplicated": 0})
    return found, cpu, count / (looks[-1][0] - start), waiting, arrived


def steady(kind, count, rate):
    """`rate`: below what the upstream takes on a small machine, so that nothing piles up."""

    def run(bench):
        peer = peer_of(bench, kind)
        title = f"bridge to {peer.title}, 100 devices QoS 1, 256 B"
        _, cpu, reached, waiting, arrived = passes(bench, peer, max(1000, int(count * bench.scale)))
        rows = {f"{title}: CPU, us": cpu, f"{title}: rate, 1/s": reached,
                f"{title}: waiting when all were acknowledged": waiting,
                f"{title}: arrived twice": arrived["duplicated"]}
        found, cpu, reached, waiting, arrived = passes(bench, peer_of(bench, kind), max(1000, int(5 * rate * bench.scale)),
                                                       rate)
        if reached < 0.95 * rate or waiting > rate / 2:
            raise Wrong(f"not steady: {reached:.0f} of {rate} messages a second reached {peer.title}, {waiting} wait: is the "
                        "machine busy?")
        title = f"the same at {rate}/s"
        return rows | {f"{title}: CPU, us": cpu, f"{title}: rate, 1/s": reached,
                       f"{title}: acknowledged p99, us": found["p99_us"],
                       f"{title}: waiting when all were acknowledged": waiting,
                       f"{title}: arrived twice": arrived["duplicated"]}

    return run


class Live:
    """A publisher and its subscriber, who have nothing to do with the bridge, from begin to end of a with statement."""

    def __init__(self, bench, broker):
        self.file = pathlib.Path(broker.folder) / "live"
        self.generator = Generator(bench.load, "traffic", port=broker.port, topology="pairs", publishers=1, qos=1, payload=64,
                                   prefix="live", rate=LIVE_RATE, until_told=True, deliveries=600 * LIVE_RATE,
                                   samples=self.file)

    def __enter__(self):
        self.generator.wait_phase("begin")
        self.generator.take_core_at_once()
        self.generator.go()
        return self

    def __exit__(self, *_):
        self.generator.stop()

    def finish(self):
        self.generator.go()
        self.generator.wait_phase("end")
        self.generator.go()
        check("sluice, live", self.generator.result())
        self.samples = [tuple(map(int, line.split())) for line in self.file.read_text().splitlines()]

    def p99_us(self, span):
        """Of what was due in the span: a pair of times of time.monotonic()."""
        values = [latency for due, latency in self.samples if span[0] <= due / 1e9 <= span[1]]
        if len(values) < 100:
            raise RuntimeError(f"{len(values)} live messages are too few for a p99")
        return statistics.quantiles(values, n=100, method="inclusive")[98] / 1e3


def fill(bench, broker, watch, count):
    """The spool, while the upstream is not there."""
    with Generator(bench.load, "traffic", port=broker.port, deliveries=count, window=FILL_WINDOW, **DEVICES) as generator:
        generator.wait_phase("begin")
        generator.go()
        generator.wait_phase("end")
        generator.go()
        check(broker.name, generator.result())
    bridge = watch.status()
    if bridge["confirmed"] or bridge["spool_messages"] != count:
        raise Wrong(f"{count} messages were acknowledged; the spool says {bridge}")


@dataclasses.dataclass
class Drain:
    """From the first look at which something was confirmed to the last confirmation."""

    looks: list  # (time, confirmed)

    @property
    def span(self):
        return self.looks[0][0], self.looks[-1][0]

    def rate(self):
        (start, first), (end, last) = self.looks[0], self.looks[-1]
        return (last - first) / (end - start)

    def worst_second(self):
        """By how much the second that was furthest from `rate` was off, as a part of it."""
        worst, rate = 0, self.rate()
        for at, confirmed in self.looks:
            later = next(((t, c) for t, c in self.looks if t >= at + 1), None)
            if later:
                worst = max(worst, abs((later[1] - confirmed) / (later[0] - at) / rate - 1))
        return worst


def drain_once(bench, peer, count, drain_rate=0, live=False):
    """(the Drain; p99 of the live publisher idle and during the drain, us, or None; what arrived)"""
    p99 = None
    with peer:
        peer.down()
        with bridged(bench, peer, drain_rate) as (broker, watch), \
                Live(bench, broker) if live else contextlib.nullcontext() as beside:
            begin = time.monotonic()
            if live:
                time.sleep(IDLE_S)
            idle = (begin + 0.5, time.monotonic())
            fill(bench, broker, watch, count)
            peer.up()
            looks = watch.wait_confirmed(count)
            drain = Drain([look for look in looks if look[1] > 0])
            if live:
                beside.finish()
                p99 = beside.p99_us(idle), beside.p99_us(drain.span)
            if (status := watch.status())["spool_messages"]:
                raise Wrong(f"all was confirmed, and yet something waits: {status}")
        arrived = peer.arrivals(count)
        check(f"sluice, counted at {peer.title}", {**arrived, "duplicated": 0})
    return drain, p99, arrived


def drain(kind, count):
    """How fast a backlog goes when the upstream is back, and what that does to others."""

    def run(bench):
        # Its part of the drain is other machines' work, and would be what others wait for.
        peer = peer_of(bench, kind, spare_time=True)
        title = f"{count:,} waiting for {peer.title}, 256 B"
        found, (idle, beside), arrived = drain_once(bench, peer, max(1000, int(count * bench.scale)), live=True)
        return {f"{title}: drained, 1/s": found.rate(), f"{title}: arrived twice": arrived["duplicated"],
                f"live traffic {LIVE_RATE}/s, {peer.title} away: p99, us": idle,
                f"live traffic {LIVE_RATE}/s beside the drain to {peer.title}: p99, us": beside,
                f"growth of p99 by the drain to {peer.title}, times": beside / idle}

    return run


def drain_rate(bench):
    """Whether `drain_rate` holds: on the whole, and from second to second."""
    rows = {}
    for rate in (50, 5000):
        found, _, _ = drain_once(bench, peer_of(bench, "kafka"), max(100, int(5 * rate * bench.scale)), drain_rate=rate)
        if abs(found.rate() / rate - 1) > 0.1:
            raise Wrong(f"with drain_rate = {rate} {found.rate():.1f} messages a second went up")
        rows[f"drain_rate = {rate}: drained, 1/s"] = found.rate()
        rows[f"drain_rate = {rate}: its worst second was off by, %"] = 100 * found.worst_second()
    return rows


SCENARIOS = [
    ("bridge-kafka", steady("kafka", 100_000, 20_000)),
    ("bridge-amqp", steady("amqp", 50_000, 3_000)),
    ("drain-kafka", drain("kafka", BACKLOG)),
    ("drain-amqp", drain("amqp", BACKLOG)),
    ("drain-rate", drain_rate),
]
