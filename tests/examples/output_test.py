# SPDX-License-Identifier: BSL-1.0
"""Each program of examples/features prints exactly the lines of tests/examples/expected/<name>.txt, and ends with 0.

usage: output_test.py FOLDER_OF_THE_PROGRAMS FOLDER_OF_THE_SOURCES FOLDER_OF_THE_LINES"""

import subprocess
import sys
import unittest
from pathlib import Path

PROGRAMS, SOURCES, EXPECTED = (Path(folder) for folder in sys.argv[1:4])
PATIENCE = 60


class Output(unittest.TestCase):
    maxDiff = None

    def test_every_program_has_its_lines_and_all_lines_have_a_program(self):
        programs = {file.stem for file in SOURCES.glob("*.cpp")}
        self.assertTrue(programs)
        self.assertEqual(programs, {file.stem for file in EXPECTED.glob("*.txt")})

    def test_every_program_prints_its_lines(self):
        for lines in sorted(EXPECTED.glob("*.txt")):
            with self.subTest(program=lines.stem):
                run = subprocess.run([PROGRAMS / lines.stem], capture_output=True, text=True, timeout=PATIENCE,
                                     stdin=subprocess.DEVNULL, check=False)
                self.assertEqual((run.returncode, run.stdout, run.stderr), (0, lines.read_text(), ""))

    def test_no_program_is_longer_than_eighty_lines(self):
        for file in SOURCES.glob("*.cpp"):
            self.assertLessEqual(len(file.read_text().splitlines()), 80, file.name)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
