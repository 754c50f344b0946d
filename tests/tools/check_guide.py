#!/usr/bin/env python3
"""Whether the settings that a guide shows are ones that the broker takes: check_guide.py SLUICED GUIDE.md TYPE...

Each ```toml block of the guide goes through `sluiced --check`, with files of this machine in the place of those that it
names. Each block with a bridge is then checked once more with a key that does not exist, which must be refused: else the check
itself would be blind. Every TYPE of bridge must be shown.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

import repo

CERTIFICATES = "certs/make-dev-certs"
BLOCK = re.compile(r"^```toml\n(.*?)^```$", re.DOTALL | re.MULTILINE)
# A file of the gateway: "/etc/...", "file:/run/...". Templates and topics do not begin like that.
FILE = re.compile(r'"(file:)?(/(?:etc|run|var)/[^"{}]*)"')
ENVIRONMENT = re.compile(r'"env:(\w+)"')
TYPE = re.compile(r'^type *= *"(\w+)"', re.MULTILINE)
LISTENER = '[[listener]]\naddress = "127.0.0.1"\nport = 0\nanonymous = true\n'
BROKER = '[broker]\ndata_dir = "data"\n'
WRONG_KEY = "no_such_key = 1"
CHECK_S = 60


class Sandbox:
    """A folder with what the settings name, for as long as a with statement lasts."""

    def __init__(self, sluiced):
        self.sluiced = sluiced

    def __enter__(self):
        self.place = tempfile.TemporaryDirectory(prefix="sluice-guide-")
        self.folder = pathlib.Path(self.place.name)
        subprocess.run([repo.project_root() / CERTIFICATES, "--out", self.folder / "certs", "--devices", "1"], check=True,
                       stdout=subprocess.DEVNULL)
        (self.folder / "secret").write_text("not-a-secret\n")
        return self

    def __exit__(self, *_):
        self.place.cleanup()

    def stand_in(self, path):
        """What stands here in the place of a file of the gateway."""
        certs = self.folder / "certs"
        name = pathlib.PurePath(path).name
        if name.endswith("ca.crt"):
            return certs / "ca.crt"
        if name.endswith(".crt"):
            return certs / "device-0001.crt"
        if name.endswith(".key"):
            return certs / "device-0001.key"
        return self.folder if path.startswith("/var/lib/") else self.folder / "secret"

    def check(self, block):
        """What the broker says of the settings; empty when it takes them. Lines are counted as in the block."""
        head = ("" if "[broker]" in block else BROKER) + ("" if "[[listener]]" in block else LISTENER)
        text = FILE.sub(lambda found: f'"{found[1] or ""}{self.stand_in(found[2])}"', block)
        config = self.folder / "sluice.toml"
        config.write_text(head + text)
        environment = os.environ | {name: "not-a-secret" for name in ENVIRONMENT.findall(block)}
        done = subprocess.run([self.sluiced, "--check", "--config", config], capture_output=True, text=True, timeout=CHECK_S,
                              env=environment, check=False)
        if done.returncode == 0:
            return ""
        skipped = head.count("\n")
        words = (done.stderr + done.stdout).strip() or f"exit status {done.returncode}"
        return re.sub(rf"{re.escape(str(config))}:(\d+)", lambda found: f"line {int(found[1]) - skipped}", words)


def blocks_of(text):
    """(the line before its first one, the block)"""
    return [(text.count("\n", 0, found.start(1)), found[1]) for found in BLOCK.finditer(text)]


def check_guide(sandbox, guide, types):
    problems, shown = [], set()
    blocks = blocks_of(pathlib.Path(guide).read_text())
    for line, block in blocks:
        shown.update(TYPE.findall(block))
        said = sandbox.check(block)
        if said:
            problems.append(f"{guide}: the block behind line {line} is refused: {said}")
        elif "[[bridge]]" in block:
            said = sandbox.check(block.replace("[[bridge]]\n", f"[[bridge]]\n{WRONG_KEY}\n", 1))
            if WRONG_KEY.split()[0] not in said:
                problems.append(f"{guide}: the block behind line {line} is taken with a wrong key, too: {said}")
    for missing in sorted(set(types) - shown):
        problems.append(f'{guide}: no block shows a bridge of type "{missing}"')
    return problems, len(blocks)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sluiced, guide, *types = sys.argv[1:]
    with Sandbox(os.path.abspath(sluiced)) as sandbox:
        problems, count = check_guide(sandbox, guide, types)
    if not problems:
        print(f"{count} blocks of {guide} are settings that the broker takes")
        return
    print("\n".join(problems), file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    main()
