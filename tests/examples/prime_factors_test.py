# SPDX-License-Identifier: BSL-1.0
"""prime_factors finds the same factors one after another, in threads and in processes, and says how long each took."""

import re
import unittest

import programs

LINES = (
    r"one after another +\d+\.\d{3} s",
    r"in threads +\d+\.\d{3} s, \d+\.\d\d times as fast",
    r"in processes +\d+\.\d{3} s, \d+\.\d\d times as fast",
    r"3 numbers, the same factors each time",
)


class PrimeFactors(unittest.TestCase):
    def test_its_output(self):
        status, out, err = programs.run("prime_factors", "--numbers", "3", "--workers", "2")
        self.assertEqual((status, err), (0, ""))
        self.assertEqual(len(out.splitlines()), len(LINES), out)
        for line, pattern in zip(out.splitlines(), LINES):
            self.assertIsNotNone(re.fullmatch(pattern, line), line)


if __name__ == "__main__":
    programs.main()
