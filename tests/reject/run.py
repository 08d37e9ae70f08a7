#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""A wrong program must not compile, and must say so in one readable sentence near the top.

    tests/reject/run.py COMPILER gcc|clang FILE

expect.txt holds, for each file and compiler, the sentence as a regular expression. It has to stand in one line of the
first LINES lines of the compiler's output, with the user's own file named somewhere in them.
"""
import os
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
FLAGS = ["-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'include'}"]
LINES = 12


def sentences(text):
    """{(file, compiler): regular expression} of expect.txt."""
    table = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        file, compilers, sentence = (cell.strip() for cell in line.split("|", 2))
        for compiler in ("gcc", "clang") if compilers == "both" else (compilers,):
            if (file, compiler) in table:
                sys.exit(f"expect.txt:{number}: {file} has two sentences for {compiler}")
            table[file, compiler] = re.compile(sentence)
    return table


def check(compiler, kind, file):
    sentence = sentences((HERE / "expect.txt").read_text()).get((file.name, kind))
    if sentence is None:
        return f"expect.txt has no sentence for {file.name} under {kind}"
    run = subprocess.run([compiler, *FLAGS, str(file)], capture_output=True, text=True, check=False,
                         env={**os.environ, "LC_ALL": "C"})
    first = run.stderr.splitlines()[:LINES]
    shown = "\n".join(run.stderr.splitlines()[:40])
    if run.returncode == 0:
        return f"{file.name} compiles, and must not\n{shown}"
    if not any(sentence.search(line) for line in first):
        return f"{file.name}: no line of the first {LINES} says: {sentence.pattern}\n{shown}"
    if not any(file.name in line for line in first):
        return f"{file.name}: the first {LINES} lines do not say where the mistake is\n{shown}"
    return None


def main():
    if len(sys.argv) != 4 or sys.argv[2] not in ("gcc", "clang"):
        print(__doc__, file=sys.stderr)
        return 2
    complaint = check(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
    print(complaint or f"{Path(sys.argv[3]).name}: refused in a readable sentence")
    return 1 if complaint else 0


if __name__ == "__main__":
    sys.exit(main())
