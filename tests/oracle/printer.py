# SPDX-License-Identifier: BSL-1.0
"""Writes a scenario's tree as a program by itself, in Python and in C++: each block becomes a function.

In the templates $n is the statement's name in the log, $a and $b its further numbers, $b0 and $b1 the functions of its
blocks, $tasks the tasks that it takes and $kids those that it starts in a group.
"""
import pathlib
import string
import sys

import generator
from printer_templates import CPP, PYTHON
from tree import children, numbers

HERE = pathlib.Path(__file__).parent


def _blocks(block):
    """The blocks of a tree, those inside before those around them."""
    for statement in children(block):
        for part in children(statement):
            if part[0] == "do":
                yield from _blocks(part)
    yield block


def _indented(text, by):
    return "\n".join(" " * by + line if line else line for line in text.strip("\n").splitlines())


def _fill(template, statement, more):
    own = numbers(statement)[1:]
    blocks = [part for part in children(statement) if part[0] == "do"]
    words = {"n": statement[1], **dict(zip("ab", own)), **{f"b{i}": f"block_{b[1]}" for i, b in enumerate(blocks)}}
    return string.Template(template.strip("\n")).substitute(words, **more)


def _kinds(tree):
    return {tree[0]} & PYTHON.keys() | {kind for part in children(tree) for kind in _kinds(part)}


def covering(count, version=sys.version_info[:2]):
    """So many random trees in which every kind of statement stands that this Python has."""
    missing = {kind for kind in PYTHON if generator.is_known(kind, version)}
    trees = [generator.generate(seed, version) for seed in range(1000)]
    chosen = []
    while len(chosen) < count:
        chosen.append(max(trees, key=lambda tree: len(_kinds(tree) & missing)))
        missing -= _kinds(chosen[-1])
    if missing:
        raise RuntimeError(f"no {count} of these trees contain {sorted(missing)} too")
    return chosen


# ---- Python

def _python_statement(statement):
    tasks = [f"w.create({part[1]}, block_{part[1]})" if part[0] == "do" else f"*w.pick(at, {part[1]})"
             for part in children(statement)]
    kids = [f"w.create_in(group, {part[1]}, block_{part[1]})" for part in children(statement)[1:]]
    more = {"tasks": f"[{', '.join(tasks)}]", "kids": "\n        ".join(kids) or "pass",
            "kid": "".join(str(part[1]) for part in children(statement)[:1])}
    last = numbers(statement)[-1]
    more["limit"] = "None" if last < 0 else last
    return _fill(PYTHON[statement[0]], statement, more)


def python_body(tree):
    functions = []
    for block in _blocks(tree[1]):
        lines = "\n".join(_python_statement(s) for s in children(block)) or "pass"
        functions.append(f"async def block_{block[1]}(w, at):\n{_indented(lines, 4)}\n")
    return "\n\n".join(functions)


def python_program(tree):
    cancels = [tuple(numbers(c)) for c in tree[2:]]
    parts = [_without((HERE / name).read_text(), "from virtual_loop") for name in ("virtual_loop.py", "world.py")]
    end = f'if __name__ == "__main__":\n    print(*run(block_{tree[1][1]}, {cancels})[0], sep="\\n")\n'
    return "\n\n".join([*parts, python_body(tree), end])


# ---- C++

def _cpp_statement(statement):
    tasks = [f"tasks.push_back(w.create({part[1]}, &block_{part[1]}));" if part[0] == "do"
             else f"for (const task<int>& t : w.pick(at, {part[1]})) tasks.push_back(t);" for part in children(statement)]
    kids = [f"w.create_in(group, {part[1]}, &block_{part[1]});" for part in children(statement)[1:]]
    more = {"tasks": "\n".join(["std::vector<task<int>> tasks;", *tasks]), "kids": "\n  ".join(kids),
            "kid": "".join(str(part[1]) for part in children(statement)[:1])}
    more["limit"] = f"limit({numbers(statement)[-1]})"
    return "{\n" + _indented(_fill(CPP[statement[0]], statement, more), 2) + "\n}"


def cpp_body(tree):
    functions = []
    for block in _blocks(tree[1]):
        lines = [_cpp_statement(s) for s in children(block)]
        lines.append("co_return;")
        functions.append(f"coroutine<> block_{block[1]}([[maybe_unused]] world& w, [[maybe_unused]] place at) {{\n"
                         f"{_indented(chr(10).join(lines), 2)}\n}}\n")
    return "\n".join(functions)


def cpp_program(tree):
    cancels = ", ".join("{" + ", ".join(map(str, numbers(c))) + "}" for c in tree[2:])
    parts = [_without((HERE / name).read_text(), '#include "oracle/', "#pragma once") for name in ("words.hpp", "world.hpp")]
    end = f"""int main() {{
  for (const std::string& line : oracle::run({tree[1][1]}, &oracle::block_{tree[1][1]}, {{{cancels}}}))
    std::printf("%s\\n", line.c_str());
}}
"""
    return "\n".join([*parts, "namespace oracle {\n", cpp_body(tree), "}  // namespace oracle\n", end])


def _without(text, *beginnings):
    return "\n".join(line for line in text.splitlines() if not line.startswith(beginnings)) + "\n"
