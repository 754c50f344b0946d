#!/usr/bin/env python3
"""Fails on files over 400 lines and functions over 80 (60 is the aim; a table or a test may need a little more).

Exceptions, with reasons, in lint-allow.txt: "length FILE reason" and "function FILE:NAME reason".
"""

import ast
import re
import sys

import repo

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 80

# What may hide a brace: comments, raw strings, strings, characters.
NOISE = re.compile(
    r"""//[^\n]*|/\*.*?\*/|R"([^(\s]*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+'""", re.DOTALL
)
OUTER = re.compile(r"(?:^|[\s>])(?:namespace|class|struct|union|enum|extern)\b(?![^{]*\)\s*(?:const|noexcept|override|->|$))")
NAME = re.compile(r"([~\w:]+|operator\s*\S+)\s*\(")


def blank(match):
    return " " + "\n" * match.group().count("\n")


def cpp_functions(text):
    """(name, first line, lines) of each function that stands in a namespace or a class."""
    text = re.sub(r"^[ \t]*#.*?(?<!\\)$", "", NOISE.sub(blank, text), flags=re.MULTILINE)
    header_start, line, stack = 0, 1, []  # stack: (name of a function or None, first line)
    for position, letter in enumerate(text):
        if letter == "\n":
            line += 1
        elif letter in ";{}":
            header = text[header_start:position]
            header_start = position + 1
            if letter == "{":
                inside = any(name for name, _ in stack)
                found = None if inside or OUTER.search(header) else NAME.search(header)
                stack.append((found.group(1) if found else None, line - header.lstrip().count("\n")))
            elif letter == "}" and stack:
                name, first = stack.pop()
                if name:
                    yield name, first, line - first + 1


def python_functions(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, node.lineno, node.end_lineno - node.lineno + 1


def check(root):
    problems = []
    allowed_files, allowed_functions = repo.Exceptions(root, "length"), repo.Exceptions(root, "function")
    for kind, functions in (("cpp", cpp_functions), ("python", python_functions), ("shell", lambda text: ())):
        for path in repo.files_of_kind(root, kind):
            text = (root / path).read_text(errors="replace")
            lines = text.count("\n")
            if lines > FILE_LINES_MAX and not allowed_files.allows(path):
                problems.append(f"{path}:1: {lines} lines, {FILE_LINES_MAX} at most: is this one room?")
            for name, line, length in functions(text):
                if length > FUNCTION_LINES_MAX and not allowed_functions.allows(f"{path}:{name}"):
                    problems.append(f"{path}:{line}: {name} has {length} lines, {FUNCTION_LINES_MAX} at most")
    return problems + allowed_files.finish() + allowed_functions.finish()


if __name__ == "__main__":
    sys.exit(repo.report(check(repo.project_root()), "lengths: no file and no function is too long"))
