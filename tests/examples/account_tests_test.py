# SPDX-License-Identifier: BSL-1.0
"""account_tests prints the same wherever it runs: what a seed does depends on nothing else."""

import unittest

import programs

EXPECTED = """\
both at once: passes, first come first served
for_each_order: run 4 of 1000 failed; it is repeated by testing::run(body, {.seed = 3})
both at once, in another order: not enough money
when the money is there: 2 orders pass
transfer: cancelled at 2 points, nothing is lost
conversation:
balance 10
balance 30
"""


class AccountTests(unittest.TestCase):
    def test_its_output(self):
        self.assertEqual(programs.run("account_tests"), (0, EXPECTED, ""))


if __name__ == "__main__":
    programs.main()
