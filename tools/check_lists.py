#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Checks that no source and no test was forgotten: each stands in a CMakeLists.txt (or a .cmake) of its folder or above,
and each folder with a CMakeLists.txt in one above.

    tools/check_lists.py [ROOT]

A file counts as listed when its name does, with or without its ending and without `_test`: lists may be built in loops.
"""
import re
import sys
from pathlib import Path

FOLDERS = ["src", "tests", "examples", "bench"]
# Found by a program instead of a list: reject/expect.txt, lint_test.py, and the project that uses the installed library.
LEFT_OUT = ["tests/reject", "tests/lint", "tests/install", "tests/programs"]


def wanted(root):
    """Every .cpp, and every Python test."""
    for folder in FOLDERS:
        for file in sorted((root / folder).rglob("*")):
            name = file.relative_to(root).as_posix()
            if name.startswith(tuple(left + "/" for left in LEFT_OUT)):
                continue
            if file.suffix == ".cpp" or name.endswith("_test.py"):
                yield file


def lists_above(root, file):
    """The text of the lists in the file's folder and in those above it."""
    text = []
    for folder in file.parents:
        text += [path.read_text() for path in sorted([*folder.glob("CMakeLists.txt"), *folder.glob("*.cmake")])]
        if folder == root:
            return "\n".join(text)
    raise ValueError(f"{file} is not below {root}")


def forgotten(root):
    for file in wanted(root):
        words = set(re.findall(r"[\w.]+", lists_above(root, file)))
        if not words & {file.name, file.stem, file.stem.removesuffix("_test")}:
            yield file.relative_to(root).as_posix()
    for folder in FOLDERS:
        for list_file in sorted((root / folder).rglob("CMakeLists.txt")):
            below = list_file.parent
            name = list_file.relative_to(root).as_posix()
            if below.parent == root or name.startswith(tuple(left + "/" for left in LEFT_OUT)):
                continue
            if below.name not in set(re.findall(r"[\w.]+", lists_above(root, below))):
                yield name


def main():
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent
    missing = list(forgotten(root.resolve()))
    for name in missing:
        print(f"{name} is in no CMakeLists.txt: it is never built or run")
    print(f"check_lists: {len(missing)} forgotten files")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
