#!/usr/bin/env python3
"""Which normative statement of MQTT is covered by which test: docs/conformance.md from tests/conformance/*.json and the tests.

conformance.py          writes the page
conformance.py --check  fails when a statement that binds a server has no test, when a test names a statement that does
                        not exist, or when the page is not what would be written

A test covers a statement by naming it: a conversation in "ids", a row of tests/vectors/wire in "id", a test in C++ or
Python in its name or in a comment inside it or right above it. An id anywhere else (in the broker's code, above a helper) covers
nothing; that it exists is checked all the same.
"""

import argparse
import json
import pathlib
import re
import sys

import repo

PAGE = "docs/conformance.md"
LISTS = {"": "tests/conformance/mqtt5.json", "3.1.1:": "tests/conformance/mqtt3_1_1.json"}
BINDS = ("server", "client", "both", "packet format")
KEYS = {"id", "binds", "says", "why", "pending"}
STATEMENT = re.compile(r"MQTT-(3\.1\.1:)?(\d+(?:\.\d+)+-\d+)\b")
IN_NAME = re.compile(r"_MQTT_(\d+_\d+_\d+)((?:_\d+|_and_\d+)+)")  # ..._MQTT_4_7_1_1_and_2: 4.7.1-1 and 4.7.1-2
CPP_TEST = re.compile(r"^TEST(?:_F|_P)?\((\w+), (\w+)\)", re.MULTILINE)
PYTHON_TEST = re.compile(r"^( *)def (test_\w+)\(", re.MULTILINE)
NAMES_SHOWN = 8


class Problems(list):
    def add(self, place, what):
        self.append(f"{place}: {what}")


def load_lists(root, problems):
    """{prefix: {id: row}}, in the order of the files."""
    lists = {}
    for prefix, name in LISTS.items():
        document = json.loads((root / name).read_text())
        rows = {}
        for row in document["statements"]:
            place = f"{name}: {row.get('id')}"
            if not STATEMENT.fullmatch(str(row.get("id"))) or row["id"] in rows:
                problems.add(place, "not an id, or there twice")
            if row.get("binds") not in BINDS or not row.get("says"):
                problems.add(place, f"'binds' must be one of {', '.join(BINDS)}, and 'says' must say something")
            if set(row) - KEYS:
                problems.add(place, f"unknown keys {sorted(set(row) - KEYS)}")
            if row.get("binds") == "client" and not row.get("why"):
                problems.add(place, "'why' must tell why it asks for no test of a server")
            rows[row["id"]] = row
        lists[prefix] = {"about": document["about"], "version": document["version"], "rows": rows}
    return lists


def speaks_3_1_1(row):
    text = json.dumps(row["steps"])
    in_bytes = re.search("'(MQTT|mqtt|MQTX)' (?!05)|10 00", text)  # some other level, or none
    says_nothing = '"hello"' not in text and '"connect"' not in text and "MQTT" not in text
    return bool(says_nothing or in_bytes or 4 in row.get("levels", []) or '"level": 4' in text)


def from_conversations(root, problems):
    """(statement, test) of each conversation."""
    for path in sorted((root / "tests/vectors/conversations").glob("*.json")):
        for row in json.loads(path.read_text()):
            place = f"{path.name}: {row['name']}"
            for statement in row.get("ids", []):
                if statement.startswith("MQTT-3.1.1:") and not speaks_3_1_1(row):
                    problems.add(place, f"names {statement}, but nobody in it speaks 3.1.1")
                yield statement, f"conversation {row['name']}", place


def from_wire_vectors(root):
    for path in sorted((root / "tests/vectors/wire").glob("*.json")):
        for row in json.loads(path.read_text()):
            if "id" in row:
                yield row["id"], f"packets wire/{path.name}", f"{path.name}: {row['name']}"


def cpp_tests(text):
    """(name, text with the comment above) of each test; a test ends with the first } that stands alone."""
    for match in CPP_TEST.finditer(text):
        end = text.find("\n}", match.end())
        above = text[:match.start()].splitlines()
        first = len(above)
        while first > 0 and above[first - 1].lstrip().startswith("//"):
            first -= 1
        comments = [line for line in above[first:] + text[match.start():end].splitlines() if "//" in line]
        yield f"{match.group(1)}.{match.group(2)}", "\n".join(line[line.index("//"):] for line in comments)


def python_tests(text):
    for match in PYTHON_TEST.finditer(text):
        rest = text[match.end():].partition("\n")[2]
        next_def = re.search(rf"^ {{0,{len(match.group(1))}}}\S", rest, re.MULTILINE)
        yield match.group(2), rest[:next_def.start()] if next_def else rest


def in_name(test):
    return [f"MQTT-{match.group(1).replace('_', '.')}-{number}" for match in IN_NAME.finditer(test)
            for number in re.findall(r"\d+", match.group(2))]


def from_code(root):
    for name in repo.files(root):
        if not name.startswith("tests/"):
            continue
        if name.endswith("_test.cpp"):
            find, kind = cpp_tests, "test"
        elif name.endswith(".py") and not name.startswith("tests/tools/"):
            find, kind = python_tests, pathlib.Path(name).name
        else:
            continue
        for test, text in find((root / name).read_text()):
            for statement in dict.fromkeys(in_name(test) + [match.group() for match in STATEMENT.finditer(text)]):
                yield statement, f"{kind} {test}", f"{name}: {test}"


def gather(root, lists, problems):
    """{statement: [tests]}; what names a statement that does not exist is a problem."""
    tests = {}
    for source in (from_conversations(root, problems), from_wire_vectors(root), from_code(root)):
        for statement, test, place in source:
            match = STATEMENT.fullmatch(statement)
            if not match or "MQTT-" + match.group(2) not in lists[match.group(1) or ""]["rows"]:
                problems.add(place, f"there is no statement {statement}")
                continue
            named = tests.setdefault(statement, {})
            named[test] = named.get(test, 0) + 1
    return {statement: [test if count == 1 else f"{test} ({count})" for test, count in named.items()]
            for statement, named in tests.items()}


def check_code(root, lists, problems):
    """Ids in code are told apart by eye ("of 3.1.1"), so one of either version will do."""
    everywhere = set(lists[""]["rows"]) | set(lists["3.1.1:"]["rows"])
    for name in repo.files_of_kind(root, "cpp"):
        for number, line in enumerate((root / name).read_text().splitlines(), 1):
            for match in STATEMENT.finditer(line):
                known = lists["3.1.1:"]["rows"] if match.group(1) else everywhere
                if "MQTT-" + match.group(2) not in known:
                    problems.add(f"{name}:{number}", f"there is no statement {match.group()}")


def needs_test(row):
    return "why" not in row


def check_covered(prefix, rows, tests, name, problems):
    for statement, row in rows.items():
        covered = tests.get(statement.replace("MQTT-", "MQTT-" + prefix))
        if not needs_test(row):
            continue
        if covered and "pending" in row:
            problems.add(f"{name}: {statement}", "has a test now: take 'pending' away")
        if not covered and "pending" not in row:
            problems.add(f"{name}: {statement}", f"no test covers it ({row['says']})")


def table(prefix, listed, tests):
    rows = listed["rows"]
    of = {statement: tests.get(statement.replace("MQTT-", "MQTT-" + prefix), []) for statement in rows}
    needed = [statement for statement, row in rows.items() if needs_test(row)]
    missing = [statement for statement in needed if not of[statement]]
    lines = [f"## {listed['version']}", "", listed["about"], ""]
    for kind in BINDS:
        count = sum(row["binds"] == kind for row in rows.values())
        lines.append(f"- {kind}: {count}")
    lines += [f"- in all: {len(rows)}; {len(needed)} ask something of Sluice, {len(needed) - len(missing)} of them are "
              f"covered by tests, {len(missing)} are not", ""]
    lines += ["| statement | binds | in short | tests |", "|---|---|---|---|"]
    for statement, row in rows.items():
        names = of[statement]
        shown = ", ".join(f"`{name}`" for name in names[:NAMES_SHOWN])
        if len(names) > NAMES_SHOWN:
            shown += f", and {len(names) - NAMES_SHOWN} more"
        if not names and needs_test(row):
            shown = f"**none**: {row.get('pending', '')}"
        if not needs_test(row):
            shown = f"not asked for: {row['why']}" + (f"; {shown}" if shown else "")
        says = row["says"].replace("|", "\\|")
        lines.append(f"| {statement} | {row['binds']} | {says} | {shown} |")
    return lines + [""]


def render(lists, tests):
    lines = [
        "# Conformance", "",
        "Generated by `python3 tests/tools/conformance.py` from `tests/conformance/*.json` and from the tests; a test and",
        "`./dev lint` compare. What binds the packet format binds the server as reader and as writer. A test is listed",
        "where it names the statement; it is written to fail when the broker does not obey.", "",
        "`conversation`: a talk on the wire in `tests/vectors/conversations`, held with one shard, with two, cut at every",
        "byte, and with the real process. `packets`: rows of `tests/vectors/wire`, each one packet and the verdict on it.",
        "`test`: a test in C++.", ""]
    for prefix, listed in lists.items():
        lines += table(prefix, listed, tests)
    return "\n".join(lines).rstrip() + "\n"


def main(arguments=None, root=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true", help="write nothing, fail when something is missing or stale")
    options = parser.parse_args(arguments)
    root = pathlib.Path(root or repo.project_root())
    problems = Problems()
    lists = load_lists(root, problems)
    tests = gather(root, lists, problems)
    check_code(root, lists, problems)
    for prefix, name in LISTS.items():
        check_covered(prefix, lists[prefix]["rows"], tests, name, problems)
    page = render(lists, tests)
    path = root / PAGE
    if not options.check:
        path.write_text(page)
    elif not path.exists() or path.read_text() != page:
        problems.add(PAGE, "is stale: run python3 tests/tools/conformance.py")
    return repo.report(problems, f"conformance: {sum(len(one['rows']) for one in lists.values())} statements, good")


if __name__ == "__main__":
    sys.exit(main())
