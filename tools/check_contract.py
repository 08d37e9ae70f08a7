#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Checks docs/contract.md, the table of what Python's asyncio promises, against the tests and docs/from-python.md.

    tools/check_contract.py [ROOT]

- Every statement of RANGES stands in a row of its own, once: | S1 | statement | state | why, where | tests |.
- The state is one of STATES. What is held, or differs, names at least one test.
- Every test that is named exists: `Suite.name` in a TEST of any kind, a test of ctest's, `oracle/scenario`.
- What differs on purpose links to the section of from-python.md that explains it, and that section's table names one of
  the row's tests.
- What is not here yet is named in that section of from-python.md; what is not applicable says why.
- The tests that from-python.md names exist too.
"""
import re
import sys
from pathlib import Path

RANGES = [(1, 248)]
STATES = {"held", "differs on purpose", "not applicable", "not here yet"}
TESTED = {"held", "differs on purpose"}
CONTRACT, DIFFERENCES = "docs/contract.md", "docs/from-python.md"
TEST = re.compile(r"^(?:TYPED_)?TEST(?:_F|_P)?\(\s*(\w+)\s*,\s*(\w+)\s*\)", re.MULTILINE)
CTEST = re.compile(r"\b(?:add_test\(NAME|asyncio_source_test\()\s*([\w.]+)(?=[\s)])")
NAMED = re.compile(r"`([A-Za-z]\w*\.\w+)`")


def tests_of(root):
    """Every name by which the table may call a test."""
    names = set()
    for file in sorted((root / "tests").rglob("*.cpp")):
        names |= {f"{suite}.{name}" for suite, name in TEST.findall(file.read_text())}
    for file in sorted((root / "tests").rglob("CMakeLists.txt")):
        names |= set(CTEST.findall(file.read_text()))
    rejects = root / "tests/reject/expect.txt"
    if rejects.exists():
        names |= {f"reject.{stem}" for stem in re.findall(r"^(r\w+)\.cpp", rejects.read_text(), re.MULTILINE)}
    scenarios = root / "tests/oracle/scenarios.py"
    if scenarios.exists():
        names |= {f"oracle/{name}" for name in re.findall(r"^async def (\w+)\(log\)", scenarios.read_text(), re.MULTILINE)}
    return names


def rows_of(text):
    """(line number, cells) of each row of the tables."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("|"):
            yield number, [cell.strip() for cell in line.strip().strip("|").split("|")]


def anchor_of(heading):
    """The anchor by which a heading is linked to."""
    return re.sub(r"[^\w -]", "", heading.strip().lower()).replace(" ", "-")


def sections_of(text):
    """The text below each heading, to the next one of any depth, by anchor."""
    sections, current, code = {}, None, False
    for line in text.splitlines():
        if line.startswith("```"):
            code = not code
        if line.startswith("#") and not code:
            current = anchor_of(line.lstrip("#"))
            sections[current] = ""
        elif current is not None:
            sections[current] += line + "\n"
    return sections


def tests_in_table(section):
    """The tests that the rows of a section name."""
    return {name for _, cells in rows_of(section) for name in NAMED.findall(cells[-1])}


def check_row(where, cells, tests, sections):
    """What is wrong with one statement's row."""
    if len(cells) != 5:
        yield f"{where}: a row has five cells, this one {len(cells)}"
        return
    number, _, state, why, named = cells
    state = state.strip("`")
    names = re.findall(r"`([^`]+)`", named)
    if state not in STATES:
        yield f"{where}: {number}: '{state}' is no state; one of: {', '.join(sorted(STATES))}"
    if state in TESTED and not names:
        yield f"{where}: {number} is {state}, and names no test"
    for name in names:
        if name not in tests:
            yield f"{where}: {number}: there is no test {name}"
    if state == "not applicable" and not why:
        yield f"{where}: {number} is not applicable, and does not say why"
    if state == "not here yet":
        listed = " ".join(sections.get("not-here-yet", "").split())
        if not why or why not in listed:
            yield f"{where}: {number}: '{why}' is not in the section 'Not here yet' of {DIFFERENCES}"
    if state == "differs on purpose":
        anchors = re.findall(r"\(from-python\.md#([\w-]+)\)", why)
        if not anchors:
            yield f"{where}: {number} differs, and does not say where {DIFFERENCES} explains it"
        for anchor in anchors:
            if anchor not in sections:
                yield f"{where}: {number}: {DIFFERENCES} has no section #{anchor}"
            elif not tests_in_table(sections[anchor]) & set(names):
                yield f"{where}: {number}: no row of {DIFFERENCES}#{anchor} names one of its tests"


def check(root):
    """All complaints."""
    root = Path(root).resolve()
    missing = [name for name in (CONTRACT, DIFFERENCES) if not (root / name).exists()]
    if missing:
        return [f"{name} is missing" for name in missing]
    tests = tests_of(root)
    differences = (root / DIFFERENCES).read_text()
    sections = sections_of(differences)
    complaints, seen = [], {}
    for line, cells in rows_of((root / CONTRACT).read_text()):
        match = re.fullmatch(r"S(\d+)", cells[0])
        if not match:
            continue
        where, number = f"{CONTRACT}:{line}", int(match.group(1))
        if number in seen:
            complaints.append(f"{where}: S{number} stands in line {seen[number]} already")
        if not any(first <= number <= last for first, last in RANGES):
            complaints.append(f"{where}: S{number} is none of the statements")
        seen[number] = line
        complaints += check_row(where, cells, tests, sections)
    for first, last in RANGES:
        complaints += [f"{CONTRACT}: S{n} is missing" for n in range(first, last + 1) if n not in seen]
    for line, cells in rows_of(differences):
        named = NAMED.findall(cells[-1]) if len(cells) == 4 else []
        complaints += [f"{DIFFERENCES}:{line}: there is no test {name}" for name in named if name not in tests]
    return complaints


def main():
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent
    complaints = check(root)
    for complaint in complaints:
        print(complaint)
    print(f"check_contract: {len(complaints)} complaints")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
