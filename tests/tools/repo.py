#!/usr/bin/env python3
"""What the checks share: the files of the project, their #includes, hashes over what a file includes, the list of exceptions.

As a program: repo.py KIND prints the files of a kind (cpp, header, python, shell, all), one per line.
"""

import hashlib
import pathlib
import re
import subprocess
import sys

LEFT_OUT = {"build", ".git", ".cache", "__pycache__"}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]', re.MULTILINE)
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
EXCEPTIONS = "tests/tools/lint-allow.txt"
# How a single file compiles without a build folder; Debian's headers stand in /usr/include.
COMPILE_FLAGS = ["-std=c++20", "-Ibroker", "-I.", "-DBOOST_ASIO_SEPARATE_COMPILATION", "-DBOOST_ASIO_NO_DEPRECATED"]


def project_root():
    return pathlib.Path(__file__).resolve().parents[2]


def files(root):
    """Tracked and new files, as paths relative to root; without git all files outside of build/."""
    root = pathlib.Path(root)
    if (root / ".git").exists():
        command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, capture_output=True, check=False)
        if listed.returncode == 0:
            names = {name for name in listed.stdout.decode().split("\0") if name}
            return sorted(name for name in names if (root / name).is_file())
    found = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return sorted(str(path) for path in found if not LEFT_OUT.intersection(path.parts))


def is_shell(root, name):
    if name.endswith(".sh"):
        return True
    if "." in pathlib.Path(name).name.lstrip("."):
        return False
    with open(pathlib.Path(root) / name, "rb") as file:
        first = file.readline(80)
    return first.startswith(b"#!") and (b"bash" in first or first.rstrip().endswith(b"/sh"))


def files_of_kind(root, kind):
    names = files(root)
    if kind == "all":
        return names
    if kind == "shell":
        return [name for name in names if is_shell(root, name)]
    suffixes = {"cpp": (".cpp", ".hpp", ".h"), "header": (".hpp", ".h"), "python": (".py",)}[kind]
    return [name for name in names if name.endswith(suffixes)]


def includes(text):
    """(line number, path, quoted) of each #include that is not in a comment."""
    without = COMMENT.sub(lambda match: "\n" * match.group().count("\n"), text)
    for match in INCLUDE.finditer(without):
        line = without.count("\n", 0, match.start(2)) + 1
        yield line, match.group(2), match.group(1) == '"'


def resolve(root, includer, path):
    """The project's file that an #include means, relative to root; None when it is a library's."""
    root = pathlib.Path(root)
    for base in (root / includer).parent, root / "broker", root, root / "tests":
        candidate = base / path
        if candidate.is_file():
            try:
                return str(candidate.resolve().relative_to(root.resolve()))
            except ValueError:
                return None
    return None


class IncludeHash:
    """The hash of a file and of every file of the project that it includes: the same hash means the same verdict."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.direct = {}

    def _read(self, name):
        if name not in self.direct:
            data = (self.root / name).read_bytes()
            found = includes(data.decode(errors="replace"))
            targets = (resolve(self.root, name, path) for _, path, _ in found)
            self.direct[name] = hashlib.sha256(data).hexdigest(), [target for target in targets if target]
        return self.direct[name]

    def of(self, name, salt=""):
        seen, todo = set(), [name]
        while todo:
            current = todo.pop()
            if current not in seen:
                seen.add(current)
                todo.extend(self._read(current)[1])
        lines = [f"{other} {self._read(other)[0]}" for other in sorted(seen)]
        return hashlib.sha256("\n".join([salt, *lines]).encode()).hexdigest()


class GoodHashes:
    """Hashes that a check has found good before; kept under build/lint and bounded."""

    LIMIT = 5000

    def __init__(self, root, name):
        self.path = pathlib.Path(root) / "build" / "lint" / name
        self.hashes = dict.fromkeys(self.path.read_text().split() if self.path.exists() else [])

    def __contains__(self, value):
        return value in self.hashes

    def add(self, value):
        self.hashes[value] = None

    def save(self):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_suffix(".new")
        new.write_text("\n".join(list(self.hashes)[-self.LIMIT:]) + "\n")
        new.replace(self.path)


class Exceptions:
    """lint-allow.txt: KIND SUBJECT REASON; an entry without a reason or without a use is a mistake itself."""

    def __init__(self, root, kind):
        self.reasons, self.problems, self.used = {}, [], set()
        path = pathlib.Path(root) / EXCEPTIONS
        for number, line in enumerate(path.read_text().splitlines() if path.exists() else [], 1):
            words = line.split(None, 2)
            if not words or words[0].startswith("#") or words[0] != kind:
                continue
            if len(words) < 3:
                self.problems.append(f"{EXCEPTIONS}:{number}: an exception needs a subject and a reason")
            else:
                self.reasons[words[1]] = number

    def allows(self, subject):
        if subject in self.reasons:
            self.used.add(subject)
        return subject in self.reasons

    def finish(self):
        """Problems of the list itself."""
        stale = [
            f"{EXCEPTIONS}:{number}: '{subject}' is no longer needed: remove the entry"
            for subject, number in self.reasons.items()
            if subject not in self.used
        ]
        return self.problems + stale


def report(problems, good):
    """Prints problems, or the good news; returns the exit code."""
    for problem in problems:
        print(problem)
    if not problems:
        print(good)
    return 1 if problems else 0


if __name__ == "__main__":
    print("\n".join(files_of_kind(project_root(), sys.argv[1])))
