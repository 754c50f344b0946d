"""What was published, acknowledged and delivered: the demo's bookkeeping. No processes and no clock in here."""

from collections import Counter


def parse_message(line):
    """The (device, seq) of a line `device seq`; None for anything else."""
    words = line.split()
    if len(words) != 2 or not words[1].isdigit():
        return None
    return words[0], int(words[1])


class Tally:
    """Compares the messages the broker acknowledged with those that arrived at each upstream."""

    def __init__(self, upstreams):
        self.published = 0
        self.acknowledged = set()
        self.arrived = {name: Counter() for name in upstreams}

    def on_acknowledged(self, message):
        self.acknowledged.add(message)

    def on_arrived(self, upstream, message):
        self.arrived[upstream][message] += 1

    def delivered(self, upstream):
        """Distinct messages; one that was never acknowledged may have arrived all the same."""
        return len(self.arrived[upstream])

    def missing(self, upstream):
        return self.acknowledged - self.arrived[upstream].keys()

    @property
    def lost(self):
        """Acknowledged messages that did not arrive, counted once per upstream."""
        return sum(len(self.missing(upstream)) for upstream in self.arrived)

    @property
    def duplicated(self):
        return sum(sum(arrived.values()) - len(arrived) for arrived in self.arrived.values())

    def summary(self):
        delivered = " ".join(f"{upstream} {self.delivered(upstream)}" for upstream in self.arrived)
        return (f"published {self.published} acknowledged {len(self.acknowledged)} delivered {delivered} "
                f"lost {self.lost} duplicated {self.duplicated}")

    def describe_missing(self, upstream, most=10):
        """A few of the missing messages, for whoever looks for the reason."""
        missing = sorted(self.missing(upstream))
        text = ", ".join(f"{device} {seq}" for device, seq in missing[:most])
        return text + (f" and {len(missing) - most} more" if len(missing) > most else "")


class LineFollower:
    """Yields the whole lines that were added to a growing file since the last call."""

    def __init__(self, path):
        self.path = path
        self.offset = 0
        self.rest = b""

    def lines(self):
        try:
            with open(self.path, "rb") as file:
                file.seek(self.offset)
                data = file.read()
        except FileNotFoundError:
            return []
        self.offset += len(data)
        *whole, self.rest = (self.rest + data).split(b"\n")
        return [line.decode(errors="replace") for line in whole]
