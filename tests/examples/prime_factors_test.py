# SPDX-License-Identifier: BSL-1.0
"""prime_factors finds the same factors one after another, in threads and in processes, and says how long each took."""

import os
import re
import signal
import subprocess
import tempfile
import unittest

import programs

LINES = (
    r"3 numbers, 2 workers",
    r"one after another +\d+\.\d{3} s",
    r"in threads +\d+\.\d{3} s, \d+\.\d\d times as fast",
    r"in processes +\d+\.\d{3} s, \d+\.\d\d times as fast",
    r"the same factors each time",
)


class PrimeFactors(unittest.TestCase):
    def test_its_output(self):
        status, out, err = programs.run("prime_factors", "--numbers", "3", "--workers", "2")
        self.assertEqual((status, err), (0, ""))
        self.assertEqual(len(out.splitlines()), len(LINES), out)
        for line, pattern in zip(out.splitlines(), LINES):
            self.assertIsNotNone(re.fullmatch(pattern, line), line)

    def test_ctrl_c_ends_each_of_the_three_ways(self):
        for way, numbers in enumerate((1000, 8, 8)):
            with self.subTest(way=LINES[way + 1]), tempfile.TemporaryFile() as errors:
                # A group of its own, as a shell gives it: Ctrl-C reaches the workers, too.
                with subprocess.Popen([programs.path("prime_factors"), "--numbers", str(numbers), "--workers", "2"],
                                      stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True) as program:
                    try:
                        for _ in range(way + 1):
                            self.assertTrue(program.stdout.readline())
                        os.killpg(program.pid, signal.SIGINT)
                        self.assertEqual(program.stdout.read(), "")
                        self.assertEqual(program.wait(programs.PATIENCE), 128 + signal.SIGINT)
                    finally:
                        program.kill()
                programs.eventually(lambda group=program.pid: self.is_gone(group), "its workers are gone")
                errors.seek(0)
                self.assertEqual(errors.read(), b"")

    @staticmethod
    def is_gone(group):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        return False


if __name__ == "__main__":
    programs.main()
