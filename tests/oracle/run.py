#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Runs every scenario in C++ and in CPython, and compares their logs line by line.

usage: run.py PROGRAM [SCENARIO …]      PROGRAM is the C++ side, oracle_scenarios
Exit status: 0 equal; 1 they differ, with a diff of each; 2 something is missing.
"""
import difflib
import subprocess
import sys

import scenarios
from oracle import run_scenario

FEWEST = 25


def cpp_logs(program, names):
    out = subprocess.run([program, *names], capture_output=True, text=True, timeout=300)
    if out.returncode != 0:
        sys.exit(f"{program} ended with {out.returncode}\n{out.stdout}{out.stderr}")
    logs, lines = {}, None
    for line in out.stdout.splitlines():
        if line.startswith("== "):
            lines = logs.setdefault(line[3:], [])
        else:
            lines.append(line)
    return logs


def main():
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    program, names = sys.argv[1], sys.argv[2:]
    python = {n: f for n, f in scenarios.scenarios().items() if not names or n in names}
    cpp = cpp_logs(program, names)
    only_one = sorted(python.keys() ^ cpp.keys())
    if only_one or (not names and len(python) < FEWEST):
        print(f"{len(python)} scenarios in Python, {len(cpp)} in C++; only on one side: {only_one}", file=sys.stderr)
        return 2
    differing = 0
    for name, function in python.items():
        expected = run_scenario(function)
        if not expected:
            print(f"{name}: an empty log compares nothing", file=sys.stderr)
            return 2
        if expected == cpp[name]:
            continue
        differing += 1
        print(f"== {name} (first CPython's, then ours)")
        print("\n".join(difflib.unified_diff(expected, cpp[name], "CPython", "asyncio-cpp", lineterm="", n=20)))
    lines = sum(len(log) for log in cpp.values())
    print(f"{len(python)} scenarios, {lines} lines, {differing} scenarios differ")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
