#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""tools/lint/tidy.py with a clang-tidy that says what the test wants."""
import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
FILES = [ROOT / "src/base/clock.cpp", ROOT / "src/base/log.cpp"]
FINDING = f"{ROOT}/include/asyncio/time.hpp:3:1: error: wrong [some-check]\n    3 | a line of it\n"


class Tidy(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.flags = "-std=c++20"
        self.says("", 0)

    def says(self, output, status):
        """From here on clang-tidy prints `output` for every file, and ends with `status`."""
        (self.folder / "output").write_text(output)
        fake = self.folder / "clang-tidy"
        fake.write_text(f'#!/bin/sh\n[ "$1" = --version ] && exit 0\ncat "{self.folder}/output"\n'
                        f'echo "18 warnings generated." >&2\nexit {status}\n')
        fake.chmod(0o755)

    def tidy(self):
        database = [{"directory": str(self.folder), "file": str(file),
                     "command": f"c++ -I{ROOT}/include -I{ROOT}/src {self.flags} -c {file}"} for file in FILES]
        (self.folder / "compile_commands.json").write_text(json.dumps(database))
        return subprocess.run([sys.executable, "-B", ROOT / "tools/lint/tidy.py", "-p", self.folder, "-j", "1",
                               "--clang-tidy", self.folder / "clang-tidy"], capture_output=True, text=True, check=False)

    def assert_says(self, status, last):
        run = self.tidy()
        self.assertEqual((run.returncode, run.stdout.splitlines()[-1], run.stderr), (status, last, ""))
        return run.stdout

    def test_a_finding_in_a_header_is_told_once_however_many_files_include_it(self):
        self.says(FINDING, 1)
        told = self.assert_says(1, "tidy: 2 files, 2 of them read anew, 1 findings")
        self.assertEqual(told.splitlines()[:2],
                         ["include/asyncio/time.hpp:3:1: error: wrong [some-check]", "    3 | a line of it"])

    def test_what_was_clean_is_not_read_again_until_its_flags_change(self):
        self.assert_says(0, "tidy: 2 files, 2 of them read anew, 0 findings")
        self.says(FINDING, 1)
        self.assert_says(0, "tidy: 2 files, 0 of them read anew, 0 findings")
        self.flags = "-std=c++20 -DCHANGED"
        self.assert_says(1, "tidy: 2 files, 2 of them read anew, 1 findings")

    def test_what_had_findings_is_read_again(self):
        self.says(FINDING, 1)
        self.tidy()
        self.assert_says(1, "tidy: 2 files, 2 of them read anew, 1 findings")

    def test_a_clang_tidy_that_fails_without_a_word_is_a_finding(self):
        self.says("", 1)
        told = self.assert_says(1, "tidy: 2 files, 2 of them read anew, 2 findings")
        self.assertIn("src/base/clock.cpp:1:1: error: ", told)


if __name__ == "__main__":
    unittest.main()
