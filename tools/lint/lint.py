#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""The GCC 12 dialect lint: finds the coroutine code that GCC 12 miscompiles.

    tools/lint/lint.py [-p BUILD_DIR] [-j N] [FILE …]

Without files: every .cpp under src, tests, examples and bench, and through them every header they include. Flags come
from BUILD_DIR/compile_commands.json; a file that no build knows is read with the project's plain flags. Templates are
looked at where they are instantiated. The code blocks of Markdown files are searched for conditions with co_await.
What was clean is remembered in BUILD_DIR/lint-clean, and read again only when something in it has changed.
Exit status: 0 nothing found, 1 findings, 2 the lint could not run.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
QUERY = HERE / "gcc12.query"
BATCH = 12  # files that are read together
FOLDERS = ["src", "tests", "examples", "bench"]
# Not in our dialect: other libraries' programs, and a user's program that stays as it was written (one co_await is the
# argument of the other there, so that their order is certain). Wrong on purpose: the lint's own snippets, and programs that
# must not compile.
LEFT_OUT = ["bench/peers", "tests/lint", "tests/reject", "tests/programs/25_unix_and_proxy.cpp"]

SENTENCES = {
    "G1": "a closure that owns something is a temporary beside co_await (GCC 12 destroys its captures twice): "
          "name the closure first, or pass arguments instead of captures",
    "G2": "an aggregate that owns something is a temporary beside co_await (GCC 12 destroys it twice): "
          "name it first, or give its type a constructor",
    "G3": "co_await in a condition (GCC 12 lays the frame out wrong): "
          "write `bool ok = co_await x;` or `if (auto v = co_await x; v)`",
    "G4": "a choice between objects beside co_await (GCC 12 destroys one twice): write if/else with an assignment",
    "G7": "an over-aligned local in a coroutine (frames are not over-aligned): put it on the heap",
    "G15": "two co_awaits in one expression (their order is not guaranteed): one co_await a statement",
    "G16": "co_await inside the braces of an aggregate (GCC 12 uses it after its end): name the value first",
    "G17": "an aggregate in parentheses is a temporary beside co_await (GCC 12 destroys it twice): name it first",
}
BINDING = re.compile(r'^(.+?):(\d+):(\d+): note: "(G\d+)" binds here$')
ERROR = re.compile(r"^(.+?):(\d+):(\d+): (?:fatal )?error: (.*)$")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
OUR_NAMESPACE = re.compile(r"^namespace asyncio\b", re.MULTILINE)
COROUTINE = re.compile(r"\bco_(?:await|return|yield)\b")
MARKDOWN_CONDITION = re.compile(r"\b(?:if|while|switch)\s*\(\s*!?\s*co_await\b")
PAIRED_FLAGS = ("-I", "-isystem", "-include", "-D", "-U")
KEPT_FLAGS = ("-I", "-D", "-U", "-std=", "-isystem")


class Finding(tuple):
    """(file relative to the root, line, column, rule, sentence)"""

    def __str__(self):
        path, line, column, rule, sentence = self
        return f"{path}:{line}:{column}: {rule}: {sentence}"


def relative(path):
    path = Path(path)
    try:
        return path.resolve().relative_to(ROOT).as_posix()
    except ValueError:
        return str(path)


def plain_flags():
    return ["-std=c++20", *(f"-I{ROOT / name}" for name in ("include", "src", "tests", "examples"))]


def kept(arguments):
    """Of a compiler's command line, what decides how a file is parsed; the rest belongs to that compiler. What is handed
    to its innards (-Xclang), and precompiled headers, only make it quicker."""
    flags, i = [], 0
    while i < len(arguments):
        argument = arguments[i]
        if argument == "-Xclang":
            i += 1
        elif argument in PAIRED_FLAGS:
            if "cmake_pch" not in arguments[i + 1]:
                flags += [argument, arguments[i + 1]]
            i += 1
        elif argument.startswith(KEPT_FLAGS):
            flags.append(argument)
        i += 1
    return flags


def build_flags(build_dir):
    """{file: flags} of a build directory's compile commands."""
    database = Path(build_dir) / "compile_commands.json"
    if not database.exists():
        sys.exit(f"lint: {database} does not exist: configure first (cmake --preset tidy)")
    known = {}
    for entry in json.loads(database.read_text()):
        arguments = entry.get("arguments") or shlex.split(entry["command"])
        file = (Path(entry["directory"]) / entry["file"]).resolve()
        known[file] = kept(arguments) + [f"-I{entry['directory']}"]
    return known


def project_files():
    files = []
    for folder in FOLDERS:
        for file in sorted((ROOT / folder).rglob("*.cpp")):
            if not f"{relative(file)}/".startswith(tuple(name + "/" for name in LEFT_OUT)):
                files.append(file)
    return files


def markdown_findings():
    findings = []
    files = sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").rglob("*.md"))
    for file in files:
        inside = False
        for number, line in enumerate(file.read_text().splitlines(), 1):
            if line.lstrip().startswith("```"):
                inside = not inside and line.strip().startswith("```cpp")
                continue
            match = MARKDOWN_CONDITION.search(line.split("//")[0]) if inside else None
            if match:
                findings.append(Finding((relative(file), number, match.start() + 1, "G3", SENTENCES["G3"])))
    return findings


def together(files):
    """The text of a translation unit that holds these files. A program, whose names are its own, stands in a namespace;
    what it includes stands before that."""
    includes, bodies = [], []
    for number, file in enumerate(files):
        text = file.read_text()
        body = f'#include "{file}"\n'
        if not OUR_NAMESPACE.search(text):
            for line in INCLUDE.finditer(text):
                local = (file.parent / line[2]).resolve()
                includes.append(f'#include "{local}"\n' if local.is_file() else line[0].strip() + "\n")
            body = f"namespace program_{number} {{\n{body}}}\n"
        bodies.append(body)
    return "".join(includes + bodies)


def query(clang_query, files, flags):
    """The findings in these files, read as one translation unit, and in the project's headers that they include."""
    with tempfile.TemporaryDirectory() as folder:
        unit = files[0]
        if len(files) > 1:
            unit = Path(folder) / "several.cpp"
            unit.write_text(together(files))
        database = [{"directory": folder, "file": str(unit), "arguments": ["clang++", *flags, "-w", "-c", str(unit)]}]
        (Path(folder) / "compile_commands.json").write_text(json.dumps(database))
        run = subprocess.run([clang_query, "-p", folder, "-f", str(QUERY), str(unit)],
                             capture_output=True, text=True, check=False)
    findings = set()
    for line in (run.stdout + run.stderr).splitlines():
        if match := BINDING.match(line):
            path, row, column, rule = match.groups()
            findings.add(Finding((relative(path), int(row), int(column), rule, SENTENCES[rule])))
        elif match := ERROR.match(line):
            path, row, column, message = match.groups()
            findings.add(Finding((relative(path), int(row), int(column), "parse", f"clang cannot read it: {message}")))
    if run.returncode != 0 and not findings:
        said = (run.stderr.strip() or run.stdout.strip() or "no output").splitlines()
        reason = next((line for line in said if "error:" in line), said[-1])
        findings.add(Finding((relative(files[0]), 1, 1, "parse", f"{clang_query} failed: {reason}")))
    return findings


def lint_batch(clang_query, files, flags):
    """[(file, its findings and those of the headers)]. Reading headers takes most of the time: several files are read
    together. Those that do not stand each other, because of helpers of one name, are read alone."""
    findings = query(clang_query, files, flags)
    if len(files) == 1:
        return [(files[0], findings)]
    if not findings:
        return [(file, findings) for file in files]
    blamed = {finding[0] for finding in findings}
    alone = [file for file in files if relative(file) in blamed] or files
    rest = [file for file in files if file not in alone]
    answers = [(file, query(clang_query, [file], flags)) for file in alone]
    return answers + (lint_batch(clang_query, rest, flags) if rest else [])


def batches(wanted):
    """[(files, flags)]: files with the same flags, some at a time."""
    by_flags = {}
    for file, flags, _ in wanted:
        by_flags.setdefault(tuple(flags), []).append(file)
    return [(files[i:i + BATCH], list(flags)) for flags, files in by_flags.items() for i in range(0, len(files), BATCH)]


def closure(file, flags):
    """{path: text} of the file and the project's files that it includes, directly or not."""
    folders = [Path(flag[2:]) for flag in flags if flag.startswith("-I") and len(flag) > 2]
    texts, waiting = {}, [file]
    while waiting:
        path = waiting.pop()
        if path in texts:
            continue
        texts[path] = path.read_text()
        for quote, name in INCLUDE.findall(texts[path]):
            places = [path.parent, *folders] if quote == '"' else folders
            found = next((p for p in ((place / name).resolve() for place in places) if p.is_file()), None)
            if found and found.is_relative_to(ROOT):
                waiting.append(found)
    return texts


def fingerprint(texts, flags):
    """Of everything that decides what the lint says about a file."""
    digest = hashlib.sha256(QUERY.read_bytes() + Path(__file__).read_bytes() + "\0".join(flags).encode())
    for path in sorted(texts):
        digest.update(f"{path}\0{texts[path]}\0".encode())
    return digest.hexdigest()


def with_coroutines(files, known):
    """[(file, flags, closure)]: the files that have coroutines of their own, and of the others those that are needed so
    that each header which has some is read."""
    own, others = [], []
    for file in files:
        flags = known.get(file, plain_flags())
        texts = closure(file, flags)
        (own if COROUTINE.search(texts[file]) else others).append((file, flags, texts))
    read = {path for _, _, texts in own for path in texts}
    for entry in others:
        unread = {path for path, text in entry[2].items() if path not in read and COROUTINE.search(text)}
        if unread:
            own.append(entry)
            read |= unread
    return own


def lint(clang_query, files, known, jobs, clean_folder=None):
    """All findings. `clean_folder` holds an empty file for each fingerprint that had none."""
    wanted, clean = [], set()
    for file, flags, texts in with_coroutines(files, known):
        mark = fingerprint(texts, flags)
        if clean_folder and (clean_folder / mark).exists():
            clean.add(mark)
        else:
            wanted.append((file, flags, mark))
    findings = set()
    marks = {file: mark for file, _, mark in wanted}
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for answers in pool.map(lambda batch: lint_batch(clang_query, *batch), batches(wanted)):
            for file, found in answers:
                findings |= found
                if not found:
                    clean.add(marks[file])
    if clean_folder:
        clean_folder.mkdir(exist_ok=True)
        for old in clean_folder.iterdir():
            if old.name not in clean:
                old.unlink()
        for mark in clean:
            (clean_folder / mark).touch()
    return sorted(findings)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-p", dest="build_dir", help="a configured build directory")
    parser.add_argument("-j", dest="jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--clang-query", default="clang-query-19")
    parser.add_argument("files", nargs="*", type=Path)
    arguments = parser.parse_args()
    clang_query = shutil.which(arguments.clang_query)
    if not clang_query:
        print(f"lint: {arguments.clang_query} is not installed (./dev install-deps clang)", file=sys.stderr)
        return 2
    known = build_flags(arguments.build_dir) if arguments.build_dir else {}
    files = [f.resolve() for f in arguments.files] or project_files()
    whole = not arguments.files
    clean_folder = Path(arguments.build_dir) / "lint-clean" if arguments.build_dir and whole else None
    findings = lint(clang_query, files, known, arguments.jobs, clean_folder)
    if whole:
        findings += markdown_findings()
    for finding in findings:
        print(finding)
    print(f"lint: {len(files)} files, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
