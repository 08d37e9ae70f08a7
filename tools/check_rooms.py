#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Checks every #include of src/, include/ and examples/ against the room table of ARCHITECTURE.md.

    tools/check_rooms.py [ROOT]

The table's columns: room | what it is for | may include | forbidden. In "may include" and "forbidden" only what stands
in backticks counts: a room, a header `<unistd.h>`, a folder of headers `<openssl/>`, or `OS` for every header of the
operating system. Without a word in the table:
- a room may include itself, the public face and the standard library, and no header of the OS or of another library;
- a header that is forbidden to a room is forbidden through other headers too;
- the public face (the room `public`, include/) includes itself and the standard library; include/asyncio/codec is a room
  of its own, for other libraries' headers, which the rest of the face does not include;
- examples are programs of users: of this project they include the public face only;
- the rooms' arrows form no cycle, and neither do the files'.
"""
import re
import sys
from pathlib import Path

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
SOURCES = {".cpp", ".hpp", ".h", ".c"}
PUBLIC = "public"
EXAMPLES = "examples"
# Headers with a .h that are C's own or the compiler's, and so no door to the operating system.
LANGUAGE_HEADERS = {
    "assert.h", "ctype.h", "errno.h", "float.h", "inttypes.h", "limits.h", "locale.h", "math.h", "signal.h",
    "stdarg.h", "stddef.h", "stdint.h", "stdio.h", "stdlib.h", "string.h", "time.h", "wchar.h", "cxxabi.h",
    "immintrin.h",
}
LANGUAGE_FOLDERS = ("sanitizer/", "valgrind/")
LIBRARY_FOLDERS = ("openssl/", "curl/", "gtest/", "gmock/", "benchmark/", "asio/", "cereal/")
LIBRARY_HEADERS = {"Python.h", "asio.hpp", "liburing.h"}


class Room:
    def __init__(self, name, may_include, forbidden):
        self.name = name
        self.rooms = {token for token in may_include if not token.startswith("<") and token != "OS"}
        self.headers = [token.strip("<>") for token in may_include if token.startswith("<")]
        self.all_of_os = "OS" in may_include
        self.forbidden = [token.strip("<>") for token in forbidden if token.startswith("<")]


def covers(patterns, header):
    """Whether one of the patterns is the header, or a folder that contains it."""
    return any(header == p or (p.endswith("/") and header.startswith(p)) for p in patterns)


def read_table(text):
    """(rooms by name, complaints) of the table whose first column is headed "room"."""
    rooms, complaints, inside = {}, [], False
    for number, line in enumerate(text.splitlines(), 1):
        if not line.startswith("|"):
            inside = False
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if cells[0].lower() == "room":
            inside = True
            continue
        if not inside or set(cells[0]) <= set("-: "):
            continue
        if len(cells) != 4:
            complaints.append(f"ARCHITECTURE.md:{number}: a row of the room table has four cells, this one {len(cells)}")
            continue
        names = re.findall(r"`([^`]+)`", cells[0])
        if len(names) != 1:
            complaints.append(f"ARCHITECTURE.md:{number}: the first cell names one room in backticks")
            continue
        allowed, forbidden = (re.findall(r"`([^`]+)`", cell) for cell in cells[2:])
        rooms[names[0]] = Room(names[0], allowed, forbidden)
    if not rooms:
        complaints.append("ARCHITECTURE.md: there is no room table (| room | what it is for | may include | forbidden |)")
    return rooms, complaints


def first_cycle(arrows):
    """A list of nodes that leads back to its first one, or None. Arrows to oneself do not count."""
    state, path = {}, []

    def visit(node):
        state[node] = "open"
        path.append(node)
        for target in sorted(arrows.get(node, ())):
            if target == node:
                continue
            if state.get(target) == "open":
                return path[path.index(target):] + [target]
            if target not in state and (cycle := visit(target)):
                return cycle
        path.pop()
        state[node] = "done"
        return None

    for start in sorted(arrows):
        if start not in state and (cycle := visit(start)):
            return cycle
    return None


class Tree:
    """The source files below a root, and what each includes: project files resolved, the rest as it was written."""

    def __init__(self, root):
        self.root = root
        self.room_of = {}
        for folder in sorted((root / "src").iterdir()) if (root / "src").is_dir() else []:
            if folder.is_dir():
                self.add(folder, folder.name)
        self.add(root / "include", PUBLIC)
        self.add(root / "include" / "asyncio" / "codec", "codec")
        self.add(root / "examples", EXAMPLES)
        self.complaints = []
        self.includes = {file: list(self.read(file)) for file in self.room_of}

    def add(self, folder, room):
        if folder.is_dir():
            for file in sorted(folder.rglob("*")):
                if file.suffix in SOURCES and file.is_file():
                    self.room_of[file] = room

    def read(self, file):
        """(line, project file or None, header as written) of each include."""
        for number, line in enumerate(file.read_text().splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            quote, name = match.groups()
            places = [self.root / "include"]
            if quote == '"':
                places = [file.parent, self.root / "src", self.root / "examples", *places]
            target = next((p for p in ((place / name).resolve() for place in places) if p in self.room_of), None)
            if target is None and (quote == '"' or name.startswith("asyncio/")):
                self.complaints.append(f"{self.at(file, number)}: {name} is no file of this project")
                continue
            yield number, target, name

    def at(self, file, number):
        return f"{file.relative_to(self.root).as_posix()}:{number}"

    def reaches(self, file, pattern, seen=None):
        """A chain of files from `file` to one that includes a header that the pattern covers, or None."""
        seen = seen if seen is not None else set()
        seen.add(file)
        for _, target, name in self.includes[file]:
            if target is None and covers([pattern], name):
                return [file]
        for _, target, _ in self.includes[file]:
            if target is not None and target not in seen:
                if chain := self.reaches(target, pattern, seen):
                    return [file, *chain]
        return None


def is_language_header(name):
    if name in LANGUAGE_HEADERS or name.startswith(LANGUAGE_FOLDERS):
        return True
    return not name.endswith(".h") and "/" not in name and name not in LIBRARY_HEADERS


def check_header(room, name, where):
    if covers(room.forbidden, name):
        return f"{where}: <{name}> is forbidden in {room.name}"
    if is_language_header(name) or covers(room.headers, name) or room.name == EXAMPLES:
        return None
    if name.startswith(LIBRARY_FOLDERS) or name in LIBRARY_HEADERS:
        return f"{where}: {room.name} may not include <{name}>: that library belongs to another room"
    if room.all_of_os:
        return None
    return f"{where}: {room.name} may not include <{name}>, a header of the operating system"


def check(root):
    """All complaints about the tree below root, in the order of its files."""
    root = Path(root).resolve()
    document = root / "ARCHITECTURE.md"
    if not document.exists():
        return ["ARCHITECTURE.md is missing"]
    rooms, complaints = read_table(document.read_text())
    rooms.setdefault(PUBLIC, Room(PUBLIC, [], []))
    rooms[EXAMPLES] = Room(EXAMPLES, [], [])
    tree = Tree(root)
    complaints += tree.complaints

    for name in sorted(set(tree.room_of.values()) - set(rooms)):
        complaints.append(f"src/{name}: this room is not in the table of ARCHITECTURE.md")
    for name in sorted(set(rooms) - {PUBLIC, EXAMPLES} - set(tree.room_of.values())):
        complaints.append(f"ARCHITECTURE.md: the room {name} has no files")
    for room in rooms.values():
        for other in sorted(room.rooms - set(rooms)):
            complaints.append(f"ARCHITECTURE.md: {room.name} may include {other}, which is no room")
    if cycle := first_cycle({room.name: room.rooms for room in rooms.values()}):
        complaints.append("ARCHITECTURE.md: the table's arrows form a cycle: " + " -> ".join(cycle))

    for file, includes in tree.includes.items():
        room = rooms.get(tree.room_of[file])
        if room is None:
            continue
        for number, target, name in includes:
            where = tree.at(file, number)
            if target is None:
                if complaint := check_header(room, name, where):
                    complaints.append(complaint)
                continue
            other = tree.room_of[target]
            if other not in (room.name, PUBLIC) and other not in room.rooms:
                complaints.append(f"{where}: {room.name} may not include {other} ({name})")
            for pattern in room.forbidden:
                chain = tree.reaches(target, pattern)
                if chain and tree.room_of[chain[-1]] == PUBLIC and room.name != PUBLIC:
                    way = " -> ".join(step.relative_to(root).as_posix() for step in chain)
                    complaints.append(f"{where}: <{pattern}> is forbidden in {room.name}, and comes in by {way}")

    arrows = {file: {target for _, target, _ in includes if target} for file, includes in tree.includes.items()}
    if cycle := first_cycle(arrows):
        complaints.append("files include each other: " + " -> ".join(f.relative_to(root).as_posix() for f in cycle))
    return complaints


def main():
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent
    complaints = check(root)
    for complaint in complaints:
        print(complaint)
    print(f"check_rooms: {len(complaints)} complaints")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
