#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""clang-tidy over the library and the examples, each finding once.

    tools/lint/tidy.py -p BUILD_DIR [-j N] [FILE …]

Without files: every .cpp of src and examples that BUILD_DIR/compile_commands.json knows, and through them the headers
that .clang-tidy's HeaderFilterRegex lets in. What was clean is remembered in BUILD_DIR/tidy-clean, and read again only
when it, something that it includes from here, its flags, a .clang-tidy or clang-tidy itself has changed.
Exit status: 0 nothing found, 1 findings, 2 clang-tidy could not run.
"""
import argparse
import concurrent.futures
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from lint import ROOT, build_flags, closure, relative

FOLDERS = ["src", "examples"]
HEAD = re.compile(r"^(.+?):(\d+):(\d+): (?:fatal )?(?:error|warning): ")


def findings_of(output):
    """Each finding with its notes, as clang-tidy printed them."""
    found = []
    for line in output.splitlines():
        if HEAD.match(line):
            found.append([line.removeprefix(f"{ROOT}/")])
        elif found:
            found[-1].append(line)
    return ["\n".join(lines) for lines in found]


def tidy_file(clang_tidy, build_dir, file):
    run = subprocess.run([clang_tidy, "--quiet", "-p", str(build_dir), str(file)], capture_output=True, text=True,
                         stdin=subprocess.DEVNULL, check=False)
    found = findings_of(run.stdout)
    if run.returncode != 0 and not found:
        last = (run.stderr.strip() or "no output").splitlines()[-1]
        found.append(f"{relative(file)}:1:1: error: {clang_tidy} failed: {last}")
    return found


def settings(file):
    """The .clang-tidy files that hold for `file`."""
    folders = [folder for folder in file.parents if folder.is_relative_to(ROOT)]
    return [folder / ".clang-tidy" for folder in folders if (folder / ".clang-tidy").is_file()]


def fingerprint(version, file, flags):
    """Of everything that decides what clang-tidy says about a file, except the system's own headers."""
    texts = closure(file, flags) | {path: path.read_text() for path in settings(file)}
    digest = hashlib.sha256(Path(__file__).read_bytes() + "\0".join([version, *flags]).encode())
    for path in sorted(texts):
        digest.update(f"{path}\0{texts[path]}\0".encode())
    return digest.hexdigest()


def tidy(clang_tidy, build_dir, files, known, jobs):
    """All findings, each once; how many files were read anew; the marks of all files as they are now."""
    clean_folder = Path(build_dir) / "tidy-clean"
    clean_folder.mkdir(exist_ok=True)
    version = subprocess.run([clang_tidy, "--version"], capture_output=True, text=True, check=True).stdout
    marks = {file: fingerprint(version, file, known[file]) for file in files}
    wanted = [file for file in files if not (clean_folder / marks[file]).exists()]

    def read(file):
        found = tidy_file(clang_tidy, build_dir, file)
        if not found:
            (clean_folder / marks[file]).touch()
        return found

    findings = {}
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for found in pool.map(read, wanted):
            findings.update((text.splitlines()[0], text) for text in found)
    return [findings[head] for head in sorted(findings)], len(wanted), set(marks.values())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-p", dest="build_dir", required=True, help="a configured build directory")
    parser.add_argument("-j", dest="jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--clang-tidy", default="clang-tidy-19")
    parser.add_argument("files", nargs="*", type=Path)
    arguments = parser.parse_args()
    clang_tidy = shutil.which(arguments.clang_tidy)
    if not clang_tidy:
        print(f"tidy: {arguments.clang_tidy} is not installed (./dev install-deps clang)", file=sys.stderr)
        return 2
    known = build_flags(arguments.build_dir)
    files = [f.resolve() for f in arguments.files] or sorted(
        file for file in known if relative(file).startswith(tuple(name + "/" for name in FOLDERS)))
    if unknown := [relative(file) for file in files if file not in known]:
        print(f"tidy: {arguments.build_dir} does not compile {' '.join(unknown)}", file=sys.stderr)
        return 2
    findings, anew, marks = tidy(clang_tidy, arguments.build_dir, files, known, arguments.jobs)
    if not arguments.files:
        for old in (Path(arguments.build_dir) / "tidy-clean").iterdir():
            if old.name not in marks:
                old.unlink()
    for text in findings:
        print(text)
    print(f"tidy: {len(files)} files, {anew} of them read anew, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
