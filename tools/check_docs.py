#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Checks what stands in Markdown files: programs compile, links lead somewhere.

    tools/check_docs.py COMPILER

A block ```cpp that begins with #include is a whole program, and must compile as it stands. Links to other sites are not
followed.
"""
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FLAGS = ["-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'include'}"]


def programs(text):
    """(line, source) of each whole program in a Markdown text."""
    block, start = None, 0
    for number, line in enumerate(text.splitlines(), 1):
        if block is None:
            if line.strip() == "```cpp":
                block, start = [], number + 1
        elif line.strip() == "```":
            if block and block[0].startswith("#include"):
                yield start, "\n".join(block) + "\n"
            block = None
        else:
            block.append(line)


LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def broken_links(file):
    for number, line in enumerate(file.read_text().splitlines(), 1):
        for target in LINK.findall(line):
            if "://" not in target and not (file.parent / target).exists():
                yield f"{file.relative_to(ROOT)}:{number}: {target} does not exist"


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    complaints, count = [], 0
    files = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
    for file in files:
        complaints += broken_links(file)
        for line, source in programs(file.read_text()):
            count += 1
            run = subprocess.run([sys.argv[1], *FLAGS, "-x", "c++", "-"], input=source, capture_output=True, text=True,
                                 check=False)
            if run.returncode:
                complaints.append(f"{file.relative_to(ROOT)}:{line}: this program does not compile:\n{run.stderr}")
    for complaint in complaints:
        print(complaint)
    print(f"check_docs: {len(files)} files, {count} programs, {len(complaints)} complaints")
    return 1 if complaints or not count else 0


if __name__ == "__main__":
    sys.exit(main())
