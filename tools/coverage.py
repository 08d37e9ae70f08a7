#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Reads what llvm-cov counted and prints the lines that the tests ran: by file, then by room.

    coverage.py SUMMARY.json [--all-tests]

With --all-tests, that is, when no test was left out, each room named in REQUIRED must reach its share of lines; exit
status 1 says that one does not.
"""
import json
import sys
from collections import defaultdict
from pathlib import PurePath

REQUIRED = {"include/asyncio": 95.0, "src/base": 95.0, "src/loop": 95.0, "src/coro": 95.0}


def lines_of_files(summary):
    """(path, lines, lines that ran) of each file of the tree, in order."""
    files = []
    for file in summary["data"][0]["files"]:
        path = PurePath(file["filename"])
        start = max(i for i, part in enumerate(path.parts) if part in ("src", "include"))
        lines = file["summary"]["lines"]
        files.append((PurePath(*path.parts[start:]), lines["count"], lines["covered"]))
    return sorted(files)


def room_of(path):
    return "/".join(path.parts[:2])


def print_table(rows):
    for name, count, covered in rows:
        print(f"{str(name):44} {count:6} {count - covered:6} {percent(count, covered):7.2f} %")


def percent(count, covered):
    return 100.0 * covered / count if count else 100.0


def main(arguments):
    if not arguments:
        sys.exit(__doc__)
    with open(arguments[0], encoding="utf-8") as f:
        files = lines_of_files(json.load(f))
    rooms = defaultdict(lambda: [0, 0])
    for path, count, covered in files:
        rooms[room_of(path)][0] += count
        rooms[room_of(path)][1] += covered
    print(f"{'':44} {'lines':>6} {'not run':>6}")
    print_table(files)
    print()
    print_table((room, *counts) for room, counts in sorted(rooms.items()))
    if "--all-tests" not in arguments:
        return 0
    short = [room for room, least in REQUIRED.items() if percent(*rooms[room]) < least]
    for room in short:
        print(f"coverage: {room}: {percent(*rooms[room]):.2f} % of its lines ran, {REQUIRED[room]} % must", file=sys.stderr)
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
