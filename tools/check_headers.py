#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Checks that public headers stand alone, and what the face costs to compile.

    tools/check_headers.py alone COMPILER    every header of include/ compiles by itself, and twice in one file
    tools/check_headers.py budget [COMPILER] <asyncio/asyncio.hpp> costs at most 0.45 s over an empty file

The cost is the compiler's own processor time (-O0, syntax only), compared with what it takes right before for some
standard headers: so a slower machine, or a busy one, gives the same answer as the one that the budget was set on. It is
the median of several such pairs.
"""
import concurrent.futures
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FLAGS = ["-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'include'}"]
FACE = "asyncio/asyncio.hpp"
BUDGET_SECONDS = 0.45
# What is compiled to compare machines, and what it cost on the machine of the budget.
REFERENCE = ("chrono", "string", "vector", "span", "tuple", "optional", "system_error")
REFERENCE_SECONDS = 0.27
ROUNDS = 15
# Headers for a library that is not needed otherwise: compiled where that is installed.
NEEDS = {"asyncio/codec/cereal.hpp": "cereal/cereal.hpp"}


def headers():
    return sorted(file.relative_to(ROOT / "include").as_posix() for file in (ROOT / "include").rglob("*.hpp"))


def compile_alone(compiler, header):
    """The compiler's complaint about a file that includes this header twice and nothing else, or None."""
    text = f"#include <{header}>\n#include <{header}>\nint main() {{}}\n"
    run = subprocess.run([compiler, *FLAGS, "-x", "c++", "-"], input=text, capture_output=True, text=True, check=False)
    return f"<{header}> does not stand alone:\n{run.stderr}" if run.returncode else None


def has_header(compiler, name):
    run = subprocess.run([compiler, *FLAGS, "-x", "c++", "-"], input=f"#include <{name}>\n", capture_output=True, text=True,
                         check=False)
    return run.returncode == 0


def check_alone(compiler):
    names = [name for name in headers() if name not in NEEDS or has_header(compiler, NEEDS[name])]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        complaints = [c for c in pool.map(lambda name: compile_alone(compiler, name), names) if c]
    for complaint in complaints:
        print(complaint)
    print(f"check_headers: {len(names)} headers, {len(complaints)} that do not stand alone ({compiler})")
    return 1 if complaints else 0


def seconds(compiler, file):
    """User time of one compilation, the compiler's children included."""
    process = subprocess.Popen([compiler, *FLAGS, "-O0", str(file)])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"check_headers: {compiler} {' '.join(FLAGS)} {file} failed")
    return usage.ru_utime


def check_budget(compiler):
    texts = {
        "empty": "",
        "reference": "".join(f"#include <{name}>\n" for name in REFERENCE),
        "face": f"#include <{FACE}>\n",
    }
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        for name, text in texts.items():
            (Path(folder) / f"{name}.cpp").write_text(text + "int main() {}\n")
        while len(ratios) < ROUNDS:
            took = {name: seconds(compiler, Path(folder) / f"{name}.cpp") for name in texts}
            ratios.append((took["face"] - took["empty"]) / max(took["reference"] - took["empty"], REFERENCE_SECONDS))
    cost = statistics.median(ratios) * REFERENCE_SECONDS
    print(f"check_headers: <{FACE}> costs {cost:.3f} s over an empty file ({compiler}, median of {ROUNDS}, as on the machine "
          f"of the budget); the budget is {BUDGET_SECONDS:.2f} s")
    return 1 if cost > BUDGET_SECONDS else 0


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "alone":
        return check_alone(sys.argv[2])
    if len(sys.argv) in (2, 3) and sys.argv[1] == "budget":
        return check_budget(sys.argv[2] if len(sys.argv) == 3 else "g++")
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
