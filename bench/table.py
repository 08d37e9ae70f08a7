# SPDX-License-Identifier: BSL-1.0
"""What the tables of benchmarks have in common: libraries in turns, the smallest figure of each, one line a measure."""
import json
import os
import subprocess
import sys


def program(folder, name):
    """{library: {measure: nanoseconds}} of one run of a benchmark program whose rows are called MEASURE/LIBRARY."""
    text = subprocess.run([f"{folder}/{name}", "--benchmark_format=json", "--benchmark_min_time=0.2"], check=True,
                          capture_output=True, text=True).stdout
    figures = {}
    for row in json.loads(text)["benchmarks"]:
        measure, library = row["name"].removesuffix("/real_time").rsplit("/", 1)
        real = row["name"].endswith("/real_time")
        nanoseconds = row["real_time" if real else "cpu_time"]
        if "items_per_second" in row:
            nanoseconds = 1e9 / row["items_per_second"]
        figures.setdefault(library, {})[measure] = nanoseconds
    return figures


def tokio(folder, name):
    """{measure: nanoseconds} of one run of tokio's program; nothing where it was not built."""
    path = f"{folder}/bench_tokio"
    if not os.path.exists(path):
        return {}
    return json.loads(subprocess.run([path, name], check=True, capture_output=True, text=True).stdout)


def cell(figures, value):
    if value is None:
        return "-" if figures else "not installed"
    return f"{value:.1f}"


def show(corner, columns, rows):
    """Prints rows of (name, cells) under a head."""
    width = max(len(name) for name, _ in [(corner, []), *rows])
    for name, cells in [(corner, columns), *rows]:
        print(f"{name:{width}} " + " ".join(f"{each:>15}" for each in cells), flush=True)


def main(name, measures, libraries, cpython):
    """Runs program bench_`name` of the folder of the command line, tokio's and cpython() in turns; prints one table. Ours
    come first in `libraries`; where one lacks a measure there is a dash."""
    folder = sys.argv[1]
    repetitions = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    best = {library: {} for library in libraries}
    for _ in range(repetitions):
        runs = program(folder, f"bench_{name}")
        runs["tokio"] = tokio(folder, name)
        runs["CPython"] = cpython()
        for library, figures in runs.items():
            for measure, value in figures.items():
                best[library][measure] = min(value, best[library].get(measure, value))
    ours, *others = libraries
    rows = []
    for measure in measures:
        own = best[ours][measure]
        values = [best[library].get(measure) for library in libraries]
        cells = [cell(best[library], value) for library, value in zip(libraries, values)]
        cells += ["-" if value is None else f"{value / own:.1f}" for value in values[1:]]
        rows.append((measure, cells))
    show("ns per operation", libraries + [f"{library} / ours" for library in others], rows)
