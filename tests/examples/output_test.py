# SPDX-License-Identifier: BSL-1.0
"""Each program of examples/features, and each examples/embed_*, prints exactly the lines of
tests/examples/expected/<name>.txt, and ends with 0.

usage: output_test.py FOLDER_OF_THE_PROGRAMS FOLDER_OF_THE_SOURCES FOLDER_OF_THE_LINES [EMBEDDING …]

EMBEDDING: those of examples/embed_* whose host is installed, so that they were built."""

import subprocess
import sys
import unittest
from pathlib import Path

PROGRAMS, SOURCES, EXPECTED = (Path(folder) for folder in sys.argv[1:4])
BUILT = set(sys.argv[4:])
FEATURES = sorted(SOURCES.glob("*.cpp"))
EMBEDDING = sorted(SOURCES.parent.glob("embed_*.cpp"))
PATIENCE = 60


class Output(unittest.TestCase):
    maxDiff = None

    def test_every_program_has_its_lines_and_all_lines_have_a_program(self):
        programs = {file.stem for file in FEATURES + EMBEDDING}
        self.assertTrue(FEATURES and EMBEDDING)
        self.assertLessEqual(BUILT, {file.stem for file in EMBEDDING})
        self.assertEqual(programs, {file.stem for file in EXPECTED.glob("*.txt")})

    def test_every_program_prints_its_lines(self):
        not_built = {file.stem for file in EMBEDDING} - BUILT
        for lines in sorted(EXPECTED.glob("*.txt")):
            if lines.stem in not_built:
                continue
            with self.subTest(program=lines.stem):
                run = subprocess.run([PROGRAMS / lines.stem], capture_output=True, text=True, timeout=PATIENCE,
                                     stdin=subprocess.DEVNULL, check=False)
                self.assertEqual((run.returncode, run.stdout, run.stderr), (0, lines.read_text(), ""))

    def test_no_program_is_longer_than_eighty_lines(self):
        for file in FEATURES + EMBEDDING:
            self.assertLessEqual(len(file.read_text().splitlines()), 80, file.name)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
