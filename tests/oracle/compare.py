# SPDX-License-Identifier: BSL-1.0
"""Runs trees on both sides, says which logs differ, and makes such trees smaller."""
import re
import subprocess
import tempfile

from interpreter import interpret
from tree import children, to_text


_UNTOLD = re.compile(r"cancelled(?![(=])")


def same(expected, got):
    """Are these lines equal? Where CPython has lost the message of a cancellation, ours may have it: CPython tells it to
    the first who asks, and a scope that cancels its own task erases it.
    """
    if expected == got:
        return True
    if not _UNTOLD.search(expected):
        return False
    pattern = r"cancelled(?:\([^()]*\))?".join(map(re.escape, _UNTOLD.split(expected)))
    return re.fullmatch(pattern, got) is not None


class Run:
    """What became of one tree on both sides. Only what comes before a deliberate difference is compared."""

    def __init__(self, tree, cpp):
        self.tree = tree
        self.expected, self.comparable = interpret(tree)
        self.cpp = cpp

    @property
    def cut(self):
        return self.comparable is not None

    @property
    def differs(self):
        expected, got = self.expected[:self.comparable], self.cpp[:self.comparable]
        return len(expected) != len(got) or not all(map(same, expected, got))

    def beside(self):
        """Both logs beside each other, up to where they are compared."""
        left, right = self.expected[:self.comparable], self.cpp[:self.comparable]
        width = max(map(len, ["CPython", *left])) + 2
        lines = [f"  {'CPython':{width}}ours"]
        for i in range(max(len(left), len(right))):
            a, b = (log[i] if i < len(log) else "" for log in (left, right))
            lines.append(f"{' ' if same(a, b) else '≠'} {a:{width}}{b}")
        return "\n".join(lines)


def cpp_logs(program, trees):
    """The logs of the C++ side. One that it does not survive says so as its last line, and the others go on."""
    logs = []
    while len(logs) < len(trees):
        with tempfile.TemporaryFile("w+") as scenarios:
            scenarios.writelines(to_text(t) + "\n" for t in trees[len(logs):])
            scenarios.seek(0)
            try:
                done = subprocess.run([program], stdin=scenarios, capture_output=True, text=True, timeout=120)
                status, out, said = done.returncode, done.stdout, done.stderr
            except subprocess.TimeoutExpired as late:
                status, out, said = "no end within two minutes", (late.stdout or b"").decode(), ""
        for line in out.splitlines():
            if line.startswith("== "):
                logs.append([])
            else:
                logs[-1].append(line)
        if status != 0:
            logs[-1].append(f"the program dies: {status} {said}")
    return logs


def compare(program, trees):
    return [Run(tree, log) for tree, log in zip(trees, cpp_logs(program, trees))]


def _smaller(node):
    """Trees with a little less in them than this one."""
    for i, part in enumerate(node):
        if not isinstance(part, list):
            if i >= 2 and part > 1 and node[0] in ("sleep", "ticks"):
                yield [*node[:i], 1, *node[i + 1:]]
            continue
        if node[0] == "do":
            for block in children(part):
                yield [*node[:i], *(children(block) if block[0] == "do" else []), *node[i + 1:]]
        optional = {"do": 2, "scenario": 2, "group": 3, "gather": 4, "wait": 5, "as_completed": 4}.get(node[0])
        if optional is not None and i >= optional:
            yield [*node[:i], *node[i + 1:]]
        for less in _smaller(part):
            yield [*node[:i], less, *node[i + 1:]]


def shrink(program, run):
    """The smallest tree that still differs, of those that can be reached by leaving out a part again and again."""
    found = run
    while found is not None:
        run = found
        candidates = sorted(_smaller(run.tree), key=lambda tree: len(to_text(tree)))
        found = next((r for r in compare(program, candidates) if r.differs), None)
    return run
