#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Compares the library with CPython: the same scenario on both sides must log the same events, line by line.

usage: run.py scenarios PROGRAM [NAME …]       those written by hand; PROGRAM is oracle_scenarios
       run.py pairs PROGRAM                    every combinator in every other; PROGRAM is oracle_interpreter, also below
       run.py random PROGRAM [--count N] [--seed S]
       run.py print SEED [FOLDER]              one random scenario as a C++ and a Python program
       run.py print-all FOLDER                 as many as contain every kind of statement: FOLDER/printed_0.cpp …
       run.py printed PROGRAM FOLDER PROGRAM…  these, compiled, log what the first program, oracle_interpreter, logs
Exit status: 0 equal; 1 they differ, with both logs; 2 something is missing.
"""
import argparse
import difflib
import pathlib
import platform
import subprocess
import sys
import time

import newest

FEWEST = 60


# ---- scenarios written by hand

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


def run_scenarios(program, names):
    import scenarios
    from oracle import run_scenario
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


# ---- trees

def show(name, run, program):
    """A difference, made as small as it will go."""
    import printer
    from compare import shrink
    from tree import indented
    small = shrink(program, run)
    print(f"== {name} differs; made smaller:\n{indented(small.tree)}\n{small.beside()}")
    print(f"-- in Python:\n{printer.python_body(small.tree)}\n-- in C++:\n{printer.cpp_body(small.tree)}")


def run_pairs(program):
    from compare import compare
    from pairs import pairs
    table = pairs(sys.version_info[:2])
    runs = dict(zip(table, compare(program, list(table.values()))))
    differing = {name: run for name, run in runs.items() if run.differs}
    for name, run in list(differing.items())[:3]:
        show(name, run, program)
    print(f"{len(runs)} pairs against CPython {platform.python_version()}, {sum(r.cut for r in runs.values())} of them up "
          f"to a deliberate difference, {len(differing)} differ")
    return 1 if differing else 0


def run_random(program, count, seed):
    from compare import compare
    from generator import generate
    if seed is None:
        seed = time.time_ns() // 1_000_000 % 1_000_000_000
    print(f"{count} random scenarios against CPython {platform.python_version()}, seed {seed}", flush=True)
    lines = cut = 0
    differing = []
    for first in range(seed, seed + count, 500):
        seeds = range(first, min(first + 500, seed + count))
        for scenario, run in zip(seeds, compare(program, [generate(s) for s in seeds])):
            cut += run.cut
            lines += len(run.expected[:run.comparable])
            if run.differs:
                differing.append(scenario)
                if len(differing) <= 3:
                    show(f"scenario {scenario}", run, program)
    print(f"{lines} lines compared, {cut} scenarios up to a deliberate difference, {len(differing)} differ")
    for scenario in differing[:20]:
        print(f"to repeat: ./dev oracle --count 1 --seed {scenario}")
    return 1 if differing else 0


def write_programs(seed, folder):
    """As scenario_SEED.cpp and scenario_SEED.py; without a folder, to the output."""
    import printer
    from generator import generate
    tree = generate(seed)
    for suffix, text in ((".py", printer.python_program(tree)), (".cpp", printer.cpp_program(tree))):
        if folder is None:
            print(text)
        else:
            path = pathlib.Path(folder) / f"scenario_{seed}{suffix}"
            path.write_text(text)
            print(path)
    return 0


PRINTED = 3  # programs that print-all writes


def write_covering_programs(folder):
    import printer
    for i, tree in enumerate(printer.covering(PRINTED)):
        (pathlib.Path(folder) / f"printed_{i}.py").write_text(printer.python_program(tree))
        (pathlib.Path(folder) / f"printed_{i}.cpp").write_text(printer.cpp_program(tree))
    return 0


def check_printed(interpreter, folder, programs):
    import printer
    from compare import compare
    if len(programs) != PRINTED:
        print(f"{PRINTED} programs are printed, {len(programs)} were given", file=sys.stderr)
        return 2
    wrong = 0
    for i, (run, program) in enumerate(zip(compare(interpreter, printer.covering(PRINTED)), programs)):
        for command, expected in (([sys.executable, "-B", f"{folder}/printed_{i}.py"], run.expected),
                                  ([program], run.cpp)):
            done = subprocess.run(command, capture_output=True, text=True, timeout=60)
            if done.returncode != 0 or done.stdout.splitlines() != expected:
                wrong += 1
                print(f"== {' '.join(command)} ({done.returncode})\n{done.stderr}")
                print("\n".join(difflib.unified_diff(expected, done.stdout.splitlines(), "interpreted", "printed")))
    print(f"{2 * len(programs)} printed programs, {wrong} differ from what the interpreters log")
    return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("scenarios", "pairs", "random"):
        verbs.add_parser(verb).add_argument("program")
    verbs.choices["scenarios"].add_argument("names", nargs="*")
    verbs.choices["random"].add_argument("--count", type=int, default=2000)
    verbs.choices["random"].add_argument("--seed", type=int)
    verbs.add_parser("print").add_argument("seed", type=int)
    verbs.choices["print"].add_argument("folder", nargs="?")
    verbs.add_parser("print-all").add_argument("folder")
    verbs.add_parser("printed").add_argument("program")
    verbs.choices["printed"].add_argument("folder")
    verbs.choices["printed"].add_argument("printed", nargs="+")
    asked = parser.parse_args()
    newest.go_on_in_the_newest()
    if asked.verb == "scenarios":
        return run_scenarios(asked.program, asked.names)
    if asked.verb == "print":
        return write_programs(asked.seed, asked.folder)
    if asked.verb == "print-all":
        return write_covering_programs(asked.folder)
    if asked.verb == "printed":
        return check_printed(asked.program, asked.folder, asked.printed)
    if asked.verb == "pairs":
        return run_pairs(asked.program)
    return run_random(asked.program, asked.count, asked.seed)


if __name__ == "__main__":
    sys.exit(main())
