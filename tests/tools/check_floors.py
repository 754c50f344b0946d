#!/usr/bin/env python3
"""Fails when a file includes from a floor that is not below its own, or when includes go in a circle.

    0 base   1 wire   2 core   3 net, auth, store   4 shard   5 listener, admin, bridge and its connectors   6 app

Rooms on one floor do not know each other. Of the shard, floor 5 sees only the headers in SHARD_DOOR. A connector
(bridge/kafka, bridge/amqp, ...) may also include from bridge/ itself, not from another connector. What the project
ships never includes from tests/. Exceptions, with reasons: lines "floor INCLUDER->INCLUDED reason" in lint-allow.txt.
"""

import pathlib
import sys

import repo

FLOORS = {
    "base": 0,
    "wire": 1,
    "core": 2,
    "net": 3,
    "auth": 3,
    "store": 3,
    "shard": 4,
    "listener": 5,
    "admin": 5,
    "app": 6,
}
BRIDGE_FLOOR, PROGRAM_FLOOR, TEST_FLOOR = 5, 6, 7
SHARD_DOOR = {"bridge_control.hpp", "inlet.hpp", "link.hpp", "stats.hpp", "limits.hpp"}  # limits.hpp: values of the settings, no behaviour


def room_of(name):
    """(floor, room) of a file; None when it stands in no room."""
    parts = pathlib.PurePosixPath(name).parts
    if parts[0] == "broker" and len(parts) > 2 and parts[1] in FLOORS:
        return FLOORS[parts[1]], parts[1]
    if parts[0] == "bridge":
        return BRIDGE_FLOOR, "/".join(parts[:2]) if len(parts) > 2 else "bridge"
    if parts[0] == "firmware_sim":
        return PROGRAM_FLOOR, "firmware_sim"
    if parts[0] == "tests":
        return TEST_FLOOR, "tests"
    return None


def verdict(includer, included):
    """Why the include is wrong; None when it is fine."""
    (floor, room), (other_floor, other_room) = room_of(includer), room_of(included)
    if room == other_room:
        return None
    if other_floor == TEST_FLOOR:
        return "what the project ships does not include from tests/"
    if other_room == "bridge" and room.startswith("bridge/"):
        return None
    if other_floor > floor:
        return f"{other_room} (floor {other_floor}) stands above {room} (floor {floor})"
    if other_floor == floor:
        return f"{other_room} and {room} stand on the same floor and do not know each other"
    if floor == BRIDGE_FLOOR and other_room == "shard" and pathlib.PurePosixPath(included).name not in SHARD_DOOR:
        return f"floor 5 sees of the shard only {', '.join(sorted(SHARD_DOOR))}"
    return None


def is_generated(root, path):
    return any((base / f"{path}.in").is_file() for base in (root / "broker", root))


def read_graph(root):
    """({file: [(line, included file)]}, problems); tests may have include folders of their own."""
    graph, problems = {}, []
    for name in repo.files_of_kind(root, "cpp"):
        if room_of(name) is None:
            problems.append(f"{name}:1: stands in no room (broker/ROOM, bridge, firmware_sim or tests)")
            continue
        graph[name] = []
        for line, path, quoted in repo.includes((root / name).read_text(errors="replace")):
            target = repo.resolve(root, name, path)
            if target and room_of(target):
                graph[name].append((line, target))
            elif quoted and not target and not name.startswith("tests/") and not is_generated(root, path):
                problems.append(f'{name}:{line}: "{path}" is no file of the project; libraries are included with <>')
    return graph, problems


def is_pair(first, second):
    """x.hpp and its x_impl.hpp are one header in two files and may name each other."""
    first, second = first.removesuffix(".hpp"), second.removesuffix(".hpp")
    return first == f"{second}_impl" or second == f"{first}_impl"


def find_cycles(graph):
    """Each circle of includes once, as a list of files."""
    cycles, done = [], set()
    for start in graph:
        path, on_path, stack = [], set(), [(start, False)]
        while stack:
            name, leave = stack.pop()
            if leave:
                on_path.discard(path.pop())
                done.add(name)
            elif name in on_path:
                cycles.append(path[path.index(name):] + [name])
            elif name not in done:
                path.append(name)
                on_path.add(name)
                stack.append((name, True))
                targets = [target for _, target in graph.get(name, [])]
                stack.extend((target, False) for target in targets if not is_pair(name, target))
    return cycles


def check(root):
    root = pathlib.Path(root)
    graph, problems = read_graph(root)
    allowed = repo.Exceptions(root, "floor")
    for name, targets in graph.items():
        for line, target in targets:
            wrong = verdict(name, target)
            if wrong and not allowed.allows(f"{name}->{target}"):
                problems.append(f"{name}:{line}: includes {target}: {wrong}")
    problems += [f"{cycle[0]}:1: includes go in a circle: {' -> '.join(cycle)}" for cycle in find_cycles(graph)]
    return problems + allowed.finish()


def main():
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else repo.project_root()
    return repo.report(check(root), "floors: every file includes only from below")


if __name__ == "__main__":
    sys.exit(main())
