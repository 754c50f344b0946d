"""What every scenario gets, and how it says that something is wrong."""

import dataclasses

from brokers import Broker, Setup
from generator import measure


class Wrong(Exception):
    """A broker lost, repeated or reordered messages that it must not, or did not hold what it promises."""


class LeftOut(Exception):
    """This broker, or this machine, has not what the scenario takes."""


@dataclasses.dataclass
class Bench:
    name: str  # of the broker
    setup: Setup
    load: str  # the generator
    scale: float = 1.0  # of the number of messages
    kafka: str = "mock"  # which Kafka the bridge scenarios send to: upstream.KAFKAS

    def broker(self, threads=None):
        """`threads`: shards of sluice, whatever the run was told."""
        setup = self.setup if threads is None else dataclasses.replace(self.setup, threads=threads)
        return Broker(self.name, setup)

    def traffic(self, broker, deliveries, tls=False, **options):
        deliveries = max(1000, int(deliveries * self.scale))
        found, spent = measure(self.load, broker, "traffic", port=broker.tls_port if tls else broker.port, tls=tls,
                               deliveries=deliveries, warm_up=deliveries // 10, **options)
        check(broker.name, found)
        return found, spent * 1e6 / found["deliveries"]


def check(who, found):
    """`found`: the result of the generator, or of upstream.Arrivals."""
    faults = {key: found[key] for key in ("lost", "duplicated", "misordered") if found[key]}
    if faults:
        raise Wrong(f"{who}: {faults}")
